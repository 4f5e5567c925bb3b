"""Acts on findings: writes what the venue said into `evidence`, makes records of orders that have none, cancels.

It never writes an order's state or a position. Doing it twice changes nothing: rows fold into nothing, an import
finds its record, a cancel finds its order cancelled, an adjustment has its finding's id.
"""

import logging
from collections.abc import Callable
from decimal import Decimal
from typing import assert_never

from redis.asyncio import Redis

from adapters.venue import CouldNotAsk, Described, Rows, Venue, Window
from consumers.adoption import FOREIGN, IMPORTED, import_item, listed_terms
from consumers.findings import Finding, Row
from consumers.survey import Look
from streams.clock import Clock
from streams.errors import BadIntent, BadPayload
from streams.evidence import append
from streams.identity import is_ours
from streams.keys import AccountKeys
from streams.money import CONTEXT, plain
from streams.producer import IntentProducer
from streams.record import NEW_STATE
from streams.schemas import TERMINAL, Adjustment, Cancel, Cause, Evidence, Order, OrderReport
from streams.scripts import Scripts
from streams.store import Store

log = logging.getLogger("fillonce.reconciler")

# The ledger applies a row within milliseconds where it runs; a revived order is cancelled at the next look otherwise.
REVIVE_MS, REVIVE_POLL_MS = 2_000, 20


class Repair:
    """Acts for one account."""

    def __init__(
        self, *, redis: Redis, keys: AccountKeys, venue: Venue, describe: Callable[[str, bytes], Described],
        window_ms: int, clock: Clock,
    ) -> None:  # fmt: skip
        """Bind it; a cancel that it sends itself may take `window_ms` to the venue."""
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
        await self._adjust(Adjustment(id="opening", cause="opening", amounts=amounts, at_ms=at_ms), look, "opening")

    async def _act(self, finding: Finding, look: Look) -> str:
        match finding.action:
            case "apply":
                await self._apply(finding, look)
            case "adopt":
                await self._adopt(finding, look)
            case "cancel":
                await self._cancel(finding, look)
            case "adjust":
                here, there = Decimal(finding.here), Decimal(finding.there)
                moved = {finding.subject: plain(CONTEXT.subtract(there, here))}
                cause: Cause = "drift"
                await self._adjust(
                    Adjustment(id=finding.id, cause=cause, amounts=moved, at_ms=finding.first_seen_ms), look, finding.id
                )
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
            if report.filled:
                await self._write(finding.id, await self._venue.trades_of(row.symbol, report.venue_order_id))
            await self._write(finding.id, Rows(row.format, (row.raw,)))
            return
        rows = [row for fill, row in look.there.executions if fill.execution_id in finding.evidence]
        for row in rows:
            await self._write(finding.id, Rows(row.format, (row.raw,)))

    async def _adopt(self, finding: Finding, look: Look) -> None:
        report, row = self._needed(finding, look)
        order = self._listed(finding, row)
        assert order.terms is not None
        history = (await self._scripts.gate()).history
        await self._scripts.import_orders([import_item(order.client_order_id, order.terms)], history)
        if report.filled:
            await self._write(finding.id, await self._venue.trades_of(row.symbol, report.venue_order_id))
        await self._write(finding.id, Rows(row.format, (row.raw,)))

    async def _cancel(self, finding: Finding, look: Look) -> None:
        """Cancel ours by an intent, as every cancel goes; what has no record here is cancelled at the venue itself."""
        _, row = self._needed(finding, look)
        order = self._listed(finding, row)
        ours = is_ours(order.client_order_id, self._venue.facts.id_rule)
        if ours and finding.kind == "orphan":
            await self._adopt(finding, look)
        elif ours:
            await self._apply(finding, look)
        if ours and await self._lives(order.client_order_id):
            await self._producer.cancel(Cancel(account=self._keys.account, client_order_id=order.client_order_id))
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
        row = look.account_row
        said = Evidence(
            source="reconcile", format=row.format if row else "", received_at_ns=self._clock.now_ns(), finding=finding,
            adjustment=adjustment,
        )  # fmt: skip
        await append(self._redis, self._keys, [(said, row.raw if row else b"")])

    async def _write(self, finding: str, rows: Rows) -> None:
        said = Evidence(
            source="reconcile", format=rows.format, received_at_ns=self._clock.now_ns(), finding=finding
        )  # fmt: skip
        await append(self._redis, self._keys, [(said, row) for row in rows.rows])

    def _order_row(self, finding: Finding, look: Look) -> tuple[OrderReport, Row] | None:
        named = [
            (report, row)
            for report, row in look.there.reports
            if report.venue_order_id in finding.evidence
            and finding.subject in (report.client_order_id, report.venue_order_id)
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
        return Order(
            client_order_id=listed.client_order_id, terms=terms, status="open", state=NEW_STATE, digest=finding.id
        )
