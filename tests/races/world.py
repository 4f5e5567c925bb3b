"""What the state machine drives: an account on the real server, and the truth about it in plain Python."""

import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from adapters.binance.decode import ORDER_FORMAT, decode
from adapters.binance.facts import FACTS
from consumers.ledger import Ledger, LedgerSettings
from consumers.prepare import Prepared, prepare
from streams import codec
from streams.errors import HistoryChanged
from streams.keys import GATEWAYS, LEDGERS
from streams.plans import Claimed, ClaimItem, Look
from streams.producer import publish_item
from streams.reader import Entry
from streams.schemas import (
    TERMINAL,
    Absent,
    Cancel,
    Command,
    Evidence,
    Unknown,
)
from tests.flow import INFO, INSTRUMENTS, LEASE_MS, LOOK_MS, WINDOW_MS, Bench, place
from tests.races.losing import Kept, keep, restore
from tests.races.standstill import RULES, Still, fold_one, write
from tests.races.truth import PIECE, Token, Truth, cancelled, placed, reopen, say_all, say_execution, say_report

ORDERS_MAX = 3
ROUNDS_MAX = 40
# A window that closed before its claim returned: a gateway that stood still, without the wait.
CLOSED_MS = -1
SWEEP_MS = (30_000, 100, 5_000)
# Every ledger of the model, so that the epoch repeats: only what they folded from tells them apart.
HOLDER = "model"


@dataclass
class Held:
    """A claim whose outcome is not settled yet, in some gateway's memory."""

    truth: Truth
    item: ClaimItem


class World:
    """One account: what is done to it, and what must be true of it."""

    def __init__(self, redis: Any, account: str) -> None:
        self.bench = Bench(redis, account)
        self.truths: list[Truth] = []
        for number in range(ORDERS_MAX):
            terms = place(account, f"s{number}")
            self.truths.append(Truth(number, terms, publish_item(terms, INFO).client_order_id))
        self.entries: list[Entry] = []
        self.held: list[Held] = []
        self.still: list[Still] = []
        self.due: list[str] = []
        self.kept: tuple[Kept, list[bool]] | None = None
        self.ledger: Ledger | None = None

    async def open(self) -> None:
        """Open the account's gate."""
        await self.bench.open()

    async def begin(self, depths: Sequence[int]) -> None:
        """Bring each order as far as its depth says: published, claimed, settled, executed and told."""
        for number, depth in enumerate(depths):
            if depth > 0:
                await self.publish(number)
                await self.read("gateway.0")
            if depth > 1:
                await self.claim(len(self.entries) - 1)
            if depth > 2:
                await self.settle(len(self.held) - 1, number * 2, reached=True)
            if depth > 3:
                self.fill(number, 2)
                await self.say(number, ("frame", "trade", "report")[number], 1)

    async def publish(self, number: int) -> None:
        """Publish a place."""
        truth = self.truths[number]
        truth.wanted = True
        await self.bench.publish(truth.terms)

    async def add_bare(self, number: int) -> None:
        """Add a place by XADD."""
        truth = self.truths[number]
        truth.wanted = True
        await self.bench.redis.xadd(self.bench.keys.intents, {"data": publish_item(truth.terms, INFO).data})

    async def cancel(self, number: int) -> None:
        """Publish a cancel."""
        intent = Cancel(account=self.bench.account, client_order_id=self.truths[number].name)
        await self.bench.scripts.publish([publish_item(intent, INFO)], f"c{number}", LOOK_MS)

    async def read(self, consumer: str) -> None:
        """Read what is new and take over what is pending, as a gateway does."""
        found = [entry async for batch in self.bench.gateway_reader(consumer).batches(burst=True) for entry in batch]
        _, rows, _ = await self.bench.redis.xautoclaim(self.bench.keys.intents, GATEWAYS, consumer, 0, count=100)
        found += [Entry(row[0].decode(), row[1], redelivered=True) for row in rows]
        held = {one.id: one for one in [*self.entries, *found]}
        self.entries = list(held.values())

    async def redeliver(self) -> None:
        """Set the gateways' group back to the first entry there is."""
        await self.read("gateway.0")
        await self.bench.redis.xgroup_setid(self.bench.keys.intents, GATEWAYS, "0")

    async def claim(self, number: int, *, closed: bool = False) -> None:
        """Claim one entry that is held; with `closed` its window is over at once."""
        if not self.entries:
            await self.read(f"gateway.{number % 2}")
        if not self.entries:
            return
        entry = self.entries.pop(number % len(self.entries))
        made = prepare(entry, self.bench.account, INFO, FACTS, INSTRUMENTS)
        assert isinstance(made, Prepared)
        item = replace(made.item, token=secrets.token_urlsafe(12))
        [verdict] = await self.bench.scripts.claim(
            [item], f"gateway.{number % 2}", CLOSED_MS if closed else WINDOW_MS, LOOK_MS
        )
        if not isinstance(verdict, Claimed):
            return
        truth = self._truth(item.client_order_id)
        if item.command == "place":
            already = [one for one in truth.tokens.values() if one.open or one.reached]
            assert not already, "claimed for sending although an earlier request may arrive or has arrived"
            truth.tokens[item.token] = Token(closed_window=closed)
        self.held.append(Held(truth, item))

    async def settle(self, number: int, outcome: int, *, reached: bool = False, twice: bool = False) -> None:
        """Settle one claim that is held, with an outcome that is true."""
        if not self.held:
            return
        held = self.held.pop(number % len(self.held))
        if held.item.command == "place":
            said, raw = placed(held.truth, held.truth.tokens[held.item.token], outcome, reached=reached)
        else:
            said, raw = cancelled(held.truth, outcome, reached=reached)
        command = Command(
            client_order_id=held.truth.name, token=held.item.token, outcome=said, kind=held.item.command
        )  # fmt: skip
        evidence = Evidence(source="answer", format=ORDER_FORMAT if raw else "", received_at_ns=1, command=command)
        for _ in range(2 if twice else 1):
            await self.bench.scripts.settle(
                client_order_id=held.truth.name, entry=held.item.entry, token=held.item.token,
                command=held.item.command, evidence=codec.encode(evidence), raw=raw,
            )  # fmt: skip

    def fill(self, number: int, count: int) -> None:
        """Execute some of an order that is at the venue."""
        truth = self.truths[number % ORDERS_MAX]
        if truth.at_venue and not truth.ended:
            truth.executed = min(truth.executed + count, 10)
            truth.ended = truth.executed == 10

    async def say(self, number: int, how: str, times: int) -> None:
        """Tell something that happened at the venue."""
        truth = self.truths[number % ORDERS_MAX]
        if not truth.at_venue:
            return
        for _ in range(times):
            if how == "report" or not truth.executed:
                await say_report(self.bench, truth)
            else:
                await say_execution(self.bench, truth, number % truth.executed + 1, bare=how == "trade")

    async def commit(self) -> None:
        """Let the ledger fold everything, and compare."""
        if self.ledger is None:
            self.ledger = self._ledger()
        await self.ledger.run(burst=True)
        await self.assert_counted()

    async def sweep(self, number: int) -> None:
        """Sweep an order as if it were due, and answer the question that comes of it as the venue would."""
        truth = self.truths[number]
        [order] = await self.bench.store.orders([truth.name])
        if order is None or await self.bench.redis.zscore(self.bench.keys.live, truth.name) is None:
            return
        for look in await self.bench.sweep(truth.name):
            await self._answer(truth, look)

    async def list_due(self) -> None:
        """List what is looked after, as a resolver does before it sweeps."""
        rows: Any = await self.bench.redis.zrange(self.bench.keys.live, 0, -1)
        self.due = [row.decode() for row in rows]

    async def sweep_listed(self) -> None:
        """Sweep what was listed, whatever became of it since."""
        names, self.due = self.due, []
        if names:
            _, looks = await self.bench.scripts.sweep(names, *SWEEP_MS)
            for look in looks:
                await self._answer(self._truth(look.order.client_order_id), look)

    async def fold(self, number: int) -> None:
        """A ledger folds one entry that waits, and stands still."""
        still = await fold_one(self.bench, number)
        self.still += [still] if still is not None else []

    async def write(self, number: int) -> None:
        """One of those that stand still goes on."""
        if self.still:
            await write(self.bench, self.still.pop(number % len(self.still)), HOLDER)

    async def keep(self) -> None:
        """Note what the server has, in case it loses the rest."""
        self.kept = await keep(self.bench.redis, self.bench.account), [one.wanted for one in self.truths]

    async def lose(self, early: Iterable[int] = ()) -> None:
        """Go back to what was kept, under another history; the gate opens after R6, when no window is open.

        Those in `early` are published before, perhaps again.
        """
        if self.kept is None:
            return
        (kept, wanted), self.kept = self.kept, None
        await restore(self.bench.redis, self.bench.account, kept)
        self.entries, self.due, self.ledger = [], [], None
        for truth, was in zip(self.truths, wanted, strict=True):
            truth.forget(wanted=was)
        await self.bench.redis.hset(self.bench.keys.control, "history", "of a server that is gone")
        for number in early:
            await self.publish(number)
        await reopen(self.bench, self.truths)
        for truth in self.truths:
            [order] = await self.bench.store.orders([truth.name])
            if order is not None and order.status == "submitting":
                await self._doubt(truth, order.token)

    async def restart(self) -> None:
        """The server is started again with all it had: nothing is claimed until the gate opens; windows stay open.

        Whoever sent a request still waits for its answer.
        """
        control = self.bench.keys.control
        await self.bench.redis.hset(control, "history", "of the run before")
        with pytest.raises(HistoryChanged):
            await self.bench.claim(Entry("0-1", {}, redelivered=False), self.truths[0].terms)
        self.entries, self.due, self.ledger = [], [], None
        await reopen(self.bench, self.truths)

    def crash(self) -> None:
        """Lose all memory: a request of a gateway that is gone never arrives, which nobody knows yet."""
        self.entries, self.held, self.still, self.due, self.ledger = [], [], [], [], None

    def assert_one_each(self) -> None:
        """At most one request that may arrive or has arrived, of each order."""
        for truth in self.truths:
            assert sum(one.open or one.reached for one in truth.tokens.values()) <= 1
            assert sum(one.reached for one in truth.tokens.values()) <= 1

    async def assert_counted(self) -> None:
        """Everything that was said of a known order is counted once; the rest is parked."""
        total = Decimal(0)
        for truth in self.truths:
            [order] = await self.bench.store.orders([truth.name])
            expected = PIECE * len(truth.said) if truth.named else Decimal(0)
            found = order.state.filled if order is not None else Decimal(0)
            assert found == expected, f"{truth.name} has {found}, said {expected}"
            total += expected
            if order is not None:
                assert not {one for one in order.state.anomalies if one != "late_fill"}, order.state.anomalies
        positions = await self.bench.store.positions()
        held = positions["BTC/USDT"].quantity if positions else Decimal(0)
        assert held == total
        parked = sum(count for _, count, _ in await self.bench.store.parked())
        assert parked == sum(len(one.said) for one in self.truths if not one.named)
        assert await self.bench.pending(self.bench.keys.evidence, LEDGERS) == 0

    async def come_to_rest(self) -> None:
        """Work as living processes do, until nothing is left to be done."""
        for _ in range(ROUNDS_MAX):
            await self.commit()
            for number in range(ORDERS_MAX):
                await self.sweep(number)
            await self.commit()
            await self.read("gateway.2")
            while self.entries:
                await self.claim(0)
            while self.held:
                await self.settle(0, 0, reached=True)
            for truth in self.truths:  # who never came back has closed its window by now
                await self._let_windows_pass(truth)
            if await self._rests():
                break

    async def assert_at_rest(self) -> None:
        """Nothing is lost: every intent became an order that ended or stands at its venue, and it is acknowledged."""
        await self.commit()
        looked_after = set(await self.bench.redis.zrange(self.bench.keys.live, 0, -1))
        for truth in self.truths:
            [order] = await self.bench.store.orders([truth.name])
            assert (truth.name.encode() in looked_after) == (order is not None and order.live)
            if truth.wanted:
                assert order is not None
            if order is not None:
                assert order.status in TERMINAL or truth.at_venue, f"{order.status} for ever"
                if truth.at_venue and order.terms is not None:
                    assert order.status not in ("created", "submitting", "unknown", "rejected")
        if await self.bench.redis.exists(self.bench.keys.intents):
            assert await self.bench.pending(self.bench.keys.intents, GATEWAYS) == 0

    def _truth(self, name: str) -> Truth:
        return next(one for one in self.truths if one.name == name)

    async def _answer(self, truth: Truth, look: Look) -> None:
        """Answer a question as the venue would."""
        if truth.at_venue:
            await say_all(self.bench, truth)
        elif look.order.status == "unknown" and truth.tokens[look.order.token].closed_window:
            # Not there, and its request can no longer arrive: R2 holds.
            truth.tokens[look.order.token].open = False
            await self.bench.say(order=look.order, outcome=Absent(1))

    async def _rests(self) -> bool:
        for truth in self.truths:
            [order] = await self.bench.store.orders([truth.name])
            if truth.wanted and (order is None or order.status in ("created", "submitting", "unknown")):
                return False
        if not await self.bench.redis.exists(self.bench.keys.intents):
            return True
        return not await self.bench.pending(self.bench.keys.intents, GATEWAYS)

    async def _let_windows_pass(self, truth: Truth) -> None:
        """A claim nobody holds any more: its sender died. A second claim of its entry finds the window over."""
        [order] = await self.bench.store.orders([truth.name])
        if order is None or order.status not in ("submitting", "unknown") or not order.token:
            return
        token = truth.tokens[order.token]
        if not token.closed_window:
            token.closed_window = True
            if order.status == "submitting":
                # The window is a time: what waits for it is told here, by the word the sweep would write.
                await self._doubt(truth, order.token)

    async def _doubt(self, truth: Truth, token: str) -> None:
        await self.bench.say(order=await self.bench.order(truth.name), token=token, outcome=Unknown("no answer"))

    def _ledger(self) -> Ledger:
        chosen = LedgerSettings(holder=HOLDER, lease_ms=LEASE_MS, rules=RULES)
        return Ledger(
            redis=self.bench.redis, reader=self.bench.ledger_reader(), keys=self.bench.keys, decode=decode,
            settings=chosen, clock=self.bench.clock,
        )  # fmt: skip
