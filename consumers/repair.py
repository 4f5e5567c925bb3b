"""Acts on findings: writes what the venue said into `evidence`, makes records of orders that have none, cancels.

It never writes an order's state or a position. Doing it twice changes nothing: rows fold into nothing, an import
finds its record, a cancel finds its order cancelled, an adjustment has its finding's id.
"""

import logging
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import assert_never

from msgspec.structs import replace
from redis.asyncio import Redis

from adapters.venue import CouldNotAsk, Decoder, Described, Rows, Venue, Window
from consumers.adoption import FOREIGN, IMPORTED, import_item, listed_terms
from consumers.concluding import corrections, counted, difference
from consumers.findings import Finding, Row
from consumers.survey import Look
from streams.clock import Clock
from streams.errors import BadIntent, BadPayload
from streams.evidence import append
from streams.holdings import OPENING, liquidated
from streams.identity import is_ours
from streams.keys import AccountKeys
from streams.money import ZERO
from streams.producer import IntentProducer
from streams.record import NEW_STATE
from streams.schemas import (
    TERMINAL,
    Adjustment,
    Cancel,
    Correction,
    Evidence,
    Execution,
    Inferred,
    Leg,
    Order,
    OrderReport,
)
from streams.scripts import Scripts
from streams.store import Store
from streams.trace import trace

log = logging.getLogger("fillonce.reconciler")

# The ledger applies a row within milliseconds where it runs; a revived order is cancelled at the next look otherwise.
REVIVE_MS, REVIVE_POLL_MS = 2_000, 20


class Repair:
    """Acts for one account."""

    def __init__(
        self, *, redis: Redis, keys: AccountKeys, venue: Venue, describe: Callable[[str, bytes], Described],
        decode: Decoder, window_ms: int, gap_ms: int, clock: Clock, who: str = "reconciler",
    ) -> None:  # fmt: skip
        """Bind it.

        Args:
            redis: a pool.
            keys: of the account.
            venue: what is asked.
            describe: reads the terms of a listed order.
            decode: reads what the venue says.
            window_ms: how long a cancel that it sends itself may take to the venue.
            gap_ms: executions that the venue counts and still does not list after it are inferred.
            clock: whose time is used.
            who: asks for its cancels.
        """
        self._who = who
        self._decode, self._gap_ms = decode, gap_ms
        self._redis, self._keys, self._venue, self._describe = redis, keys, venue, describe
        self._window_ms, self._clock = window_ms, clock
        self._scripts, self._store = Scripts(redis, keys), Store(redis, keys)
        self._producer = IntentProducer(redis)

    async def act(self, finding: Finding, look: Look) -> str:
        """Do what a finding proposes.

        Returns:
            What was done, in the words of `Action`; empty when nothing could be done or nothing is to be done.
        """
        try:
            return await self._act(finding, look)
        except (CouldNotAsk, BadPayload, BadIntent, ValueError) as error:
            log.warning("%s of %s stays as it is: %s", finding.kind, finding.subject, error)
            return ""

    async def opening(self, amounts: dict[str, Decimal], look: Look) -> None:
        """Book what the account held before its first fill, once."""
        at_ms = look.there.asked_at_ms
        await self._adjust(Adjustment(id=OPENING, cause="opening", amounts=amounts, at_ms=at_ms), look, OPENING)

    async def _act(self, finding: Finding, look: Look) -> str:
        match finding.action:
            case "apply":
                await self._apply(finding, look)
            case "adopt":
                await self._adopt(finding, look)
            case "cancel":
                await self._cancel(finding, look)
            case "adjust":
                await self._adjust(difference(finding, look), look, finding.id)
            case "book":
                await self._book(finding, look)
            case "correct":
                await self._correct(finding, look)
            case "leave" | "wait" | "person":
                return ""
            case _:
                assert_never(finding.action)
        return finding.action

    async def _apply(self, finding: Finding, look: Look) -> None:
        """Write the order's row, and every execution of it that the venue lists."""
        order_row = self._order_row(finding, look)
        if order_row is not None:
            report, row = order_row
            said = Rows(row.format, (row.raw,))
            if not report.filled:
                await self._write(finding.id, said)
                return
            trades = await self._trades(look, report, row)
            await self._write(finding.id, trades, said)
            if finding.kind == "stale_fill" and finding.age_ms >= self._gap_ms:
                await self._infer(finding, report, row, self._executions(trades))
            return
        rows = [row for fill, row in look.there.executions if fill.execution_id in finding.evidence]
        for row in rows:
            await self._write(finding.id, Rows(row.format, (row.raw,)))

    async def _trades(self, look: Look, report: OrderReport, row: Row) -> Rows:
        """The order's executions: from the look where that has all of them, because each question costs budget."""
        at_hand = look.executions.get((report.venue_symbol, report.venue_order_id), [])
        if at_hand and sum((fill.quantity for fill, _ in at_hand), ZERO) == report.filled:
            return Rows(at_hand[0][1].format, tuple(of.raw for _, of in at_hand))
        return await self._venue.trades_of(row.symbol, report.venue_order_id)

    async def _infer(self, finding: Finding, report: OrderReport, row: Row, listed: Mapping[str, Execution]) -> None:
        """Say what the venue counts and, asked again and again, does not list; the real executions will replace it."""
        order = self._describe(row.format, row.raw)
        if order.cost is None or sum((one.quantity for one in listed.values()), ZERO) >= report.filled:
            return
        fact = Inferred(
            venue_symbol=report.venue_symbol, venue_order_id=report.venue_order_id, client_order_id=finding.subject,
            side=order.side, filled=report.filled, cost=order.cost, told_at_ms=report.reported_at_ms,
        )  # fmt: skip
        await self._conclude(finding, row, fact)

    async def _correct(self, finding: Finding, look: Look) -> None:
        """Take back what the venue does not list any more, and tell anew what it lists otherwise.

        Raises:
            CouldNotAsk: its list does not add up to its own figure; nothing is corrected by half a list.
        """
        report, row = self._needed(finding, look)
        listed = self._executions(await self._venue.trades_of(row.symbol, report.venue_order_id))
        if sum((one.quantity for one in listed.values()), ZERO) != report.filled:
            raise CouldNotAsk("the venue's trades of the order do not add up to what it says was executed")
        [order] = await self._store.orders([finding.subject])
        steps = await trace(self._redis, self._keys, finding.subject, order, lambda _: None)
        for fact in corrections(counted([step.change for step in steps]), listed, look.there.asked_at_ms):
            await self._conclude(finding, row, fact)

    async def _book(self, finding: Finding, look: Look) -> None:
        """Book what the venue traded for us by itself."""
        for fill, row in look.there.executions:
            orders = [of for report, of in look.by_order.get(fill.venue_order_id, ()) if of.symbol == row.symbol]
            if fill.execution_id in finding.evidence and orders:
                side = self._describe(orders[0].format, orders[0].raw).position_side
                told = Adjustment(
                    id=liquidated(fill), cause="liquidation", at_ms=fill.executed_at_ms, execution=fill,
                    position_side=side, reason=finding.subject,
                )  # fmt: skip
                said = Evidence(
                    source="reconcile", format=row.format, received_at_ns=self._clock.now_ns(), finding=finding.id,
                    adjustment=told,
                )  # fmt: skip
                await append(self._redis, self._keys, [(said, row.raw)])

    def _executions(self, rows: Rows) -> dict[str, Execution]:
        facts = [fact for raw in rows.rows for fact in self._decode(rows.format, raw)]
        return {fact.execution_id: fact for fact in facts if isinstance(fact, Execution)}

    async def _conclude(self, finding: Finding, row: Row, fact: Inferred | Correction) -> None:
        said = Evidence(
            source="reconcile", format=row.format, received_at_ns=self._clock.now_ns(), finding=finding.id, fact=fact
        )  # fmt: skip
        await append(self._redis, self._keys, [(said, row.raw)])

    async def _adopt(self, finding: Finding, look: Look) -> None:
        report, row = self._needed(finding, look)
        order = self._listed(finding, row)
        assert order.terms is not None
        history = (await self._scripts.gate()).history
        item = import_item(order.client_order_id, order.terms)
        if "spent" in await self._scripts.import_orders([item], history, finding.id):
            return  # it was counted before it was forgotten
        if report.filled:
            await self._write(finding.id, await self._trades(look, report, row), Rows(row.format, (row.raw,)))
            return
        await self._write(finding.id, Rows(row.format, (row.raw,)))

    async def _cancel(self, finding: Finding, look: Look) -> None:
        """Cancel ours by an intent, as every cancel goes; what has no record here is cancelled at the venue itself."""
        _, row = self._needed(finding, look)
        order = self._listed(finding, row)
        ours = is_ours(order.client_order_id, self._venue.facts.id_rule)
        # An intent names an order by our id, and that is two orders here: the newer one is named by the venue's.
        by_intent = ours and finding.kind != "double"
        if ours and finding.kind == "orphan":
            await self._adopt(finding, look)
        elif ours:
            await self._apply(finding, look)
        if by_intent and await self._lives(order.client_order_id):
            wish = Cancel(account=self._keys.account, client_order_id=order.client_order_id, who=self._who)
            await self._producer.cancel(wish)
            return
        now_ms = await self._store.now_ms()
        answer = await self._venue.cancel(order, Window(now_ms, now_ms + self._window_ms))
        await self._write(finding.id, Rows(answer.format, (answer.raw,) if answer.format else ()))
        log.info("%s at the venue: %s", finding.subject, type(answer.outcome).__name__)

    async def _lives(self, client_order_id: str) -> bool:
        """Wait until the ledger has seen that an order lives; False when it will not."""
        for _ in range(REVIVE_MS // REVIVE_POLL_MS):
            [order] = await self._store.orders([client_order_id])
            if order is not None and order.status not in TERMINAL:
                return True
            await self._clock.sleep_ms(REVIVE_POLL_MS)
        return False

    async def _adjust(self, adjustment: Adjustment, look: Look, finding: str) -> None:
        row = look.account_row if adjustment.execution is None else look.positions_row
        said = Evidence(
            source="reconcile", format=row.format if row else "", received_at_ns=self._clock.now_ns(), finding=finding,
            adjustment=adjustment,
        )  # fmt: skip
        await append(self._redis, self._keys, [(said, row.raw if row else b"")])

    async def _write(self, finding: str, *rows: Rows) -> None:
        at_ns = self._clock.now_ns()
        said = [
            (Evidence(source="reconcile", format=one.format, received_at_ns=at_ns, finding=finding), raw)
            for one in rows
            for raw in one.rows
        ]
        await append(self._redis, self._keys, said)

    def _order_row(self, finding: Finding, look: Look) -> tuple[OrderReport, Row] | None:
        named = [
            (report, row)
            for name in finding.evidence
            for report, row in look.by_order.get(name, ())
            if finding.subject in (report.client_order_id, report.venue_order_id)
        ]
        return named[0] if named else None

    def _needed(self, finding: Finding, look: Look) -> tuple[OrderReport, Row]:
        found = self._order_row(finding, look)
        if found is None:
            raise CouldNotAsk("the venue's row is not at hand")
        return found

    def _listed(self, finding: Finding, row: Row) -> Order:
        """The order as the venue lists it."""
        listed = self._describe(row.format, row.raw)
        ours = is_ours(listed.client_order_id, self._venue.facts.id_rule)
        terms = listed_terms(listed, row.symbol, self._keys.account, IMPORTED if ours else FOREIGN)
        legs = (Leg(generation=listed.generation, venue_order_id=listed.venue_order_id),) if listed.generation else ()
        # By its names at the venue, so that a cancel names it.
        state = replace(NEW_STATE, legs=legs, venue_order_ids=(listed.venue_order_id,))
        return Order(client_order_id=listed.client_order_id, terms=terms, status="open", state=state, digest=finding.id)
