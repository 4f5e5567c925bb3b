"""The resolver: one sweep over what is due, and questions to the venue about what nobody can tell.

It writes evidence, never state: what the venue answers goes the same way as everything else it says.
"""

import asyncio
import logging
from collections.abc import Sequence

from msgspec import Struct
from redis.asyncio import Redis
from redis.exceptions import RedisError

from adapters.venue import CouldNotAsk, Decoder, Rows, Venue
from consumers.lookup import Asked, horizon_ms, verdict
from consumers.reconciler import Reconciler
from consumers.registration import Registration
from streams.clock import Clock
from streams.errors import BadPayload, HistoryChanged, StoreUnreachable
from streams.evidence import append
from streams.identity import wire_id
from streams.keys import AccountKeys
from streams.legs import as_leg, executed_more, successor, untold
from streams.measures import Measures
from streams.pulse import Pulse
from streams.schemas import Absent, Amending, Command, CommandKind, Evidence, Order, OrderReport
from streams.scripts import Scripts
from streams.store import Store
from streams.tasks import end

log = logging.getLogger("fillonce.resolver")

PAUSE_MS = 50
# A restarted server is noticed by the first script it refuses; with nothing to sweep, by asking.
GATE_EVERY_MS, STARTING_EVERY_MS = 500, 100
STANDBY_MS, STANDBY_MAX_MS = 200, 30_000
# Questions under way at once: look-ups cost the venue's request budget, orders come first.
QUESTIONS_MAX = 8
# Nothing due waits longer for the questions of one sweep; a list may wait a minute for the venue's budget.
PATIENCE_S = 2.0
SWEEP_MAX = 128
# A claim's clock and the venue's order time may differ by this much when a list is asked from the claim on.
SINCE_MARGIN_MS = 5_000


class ResolverSettings(Struct, frozen=True, kw_only=True):
    """What a resolver needs of the settings."""

    calm_ms: int
    retry_min_ms: int
    retry_max_ms: int


class Resolver:
    """Looks after the orders of one account that are due.

    Attributes:
        asked: orders the venue was asked about since the start.
        absent: orders proven never to have reached the venue.
        could_not_ask: questions without an answer.
        pulse: of its loop.
    """

    def __init__(
        self, *, redis: Redis, keys: AccountKeys, venue: Venue, decode: Decoder, settings: ResolverSettings,
        reconciler: Reconciler, clock: Clock, registration: Registration | None = None,
    ) -> None:  # fmt: skip
        """Bind it; `redis` is a pool, because questions run side by side; a registration is kept before the gate."""
        self.asked = self.absent = self.could_not_ask = 0
        self.pulse = Pulse(clock)
        self._redis, self._keys, self._venue, self._decode = redis, keys, venue, decode
        self._settings, self._reconciler, self._clock = settings, reconciler, clock
        self._registration = registration
        self._scripts, self._store = Scripts(redis, keys), Store(redis, keys)
        self._room = asyncio.Semaphore(QUESTIONS_MAX)
        self._asking: dict[str, asyncio.Task[None]] = {}  # by client order id
        self._ask_at_ms = 0.0  # the venue wants no question before
        self._running = True

    async def run(self) -> None:
        """Keep the gate and sweep until stopped."""
        try:
            await self._run()
        finally:
            await end(self._asking.values())  # they only ask; whoever comes next asks again

    async def _run(self) -> None:
        gate_at_ms, standby_ms = 0, STANDBY_MS
        while self._running:
            self.pulse.beat()
            try:
                if self._clock.monotonic_ms() >= gate_at_ms:
                    if self._registration is not None:
                        await self._registration.keep()
                    if not await self._reconciler.ensure_open():
                        # A venue that does not answer is asked ever less often; a ban only grows with asking.
                        shut = self._reconciler.shut
                        standby_ms = min(standby_ms * 2, STANDBY_MAX_MS) if shut and shut.by_venue else STANDBY_MS
                        await self._clock.sleep_ms(standby_ms)
                        continue
                    standby_ms = STANDBY_MS
                    # An account that starts waits for steps that take milliseconds.
                    pause_ms = STARTING_EVERY_MS if self._reconciler.starting else GATE_EVERY_MS
                    gate_at_ms = self._clock.monotonic_ms() + pause_ms
                busy = await self.sweep()
                await self._clock.sleep_ms(0 if busy else PAUSE_MS)
            except HistoryChanged:
                await end(self._asking.values())  # what they were asked for was read under another history
                gate_at_ms = 0
            except (StoreUnreachable, RedisError, OSError) as error:
                log.warning("waits for Redis: %s", type(error).__name__)
                await self._clock.sleep_ms(STANDBY_MS)

    def stop(self) -> None:
        """End `run` after the sweep at hand."""
        self._running = False

    def figures(self) -> dict[str, int | str]:
        """What was counted since the start, and why the gate is shut if it is."""
        counted: dict[str, int | str] = {
            "asked": self.asked, "absent": self.absent, "could_not_ask": self.could_not_ask,
            "imported": self._reconciler.imported,
        }  # fmt: skip
        shut, starting = self._reconciler.shut, self._reconciler.starting
        if starting:
            counted["starting"] = starting
        return counted if shut is None else {**counted, "shut": shut.reason}

    def measures(self) -> Measures:
        """Nothing beside its figures."""
        return Measures()

    async def sweep(self) -> bool:
        """Sweep what is due once and ask about it; True when there may be more.

        A question that takes longer than `PATIENCE_S` goes on beside the next sweeps, which do not ask it again.
        """
        due = await self._store.due(await self._store.now_ms(), SWEEP_MAX)
        if not due:
            return False
        settings = self._settings
        now_ms, looks = await self._scripts.sweep(due, settings.calm_ms, settings.retry_min_ms, settings.retry_max_ms)
        if self._clock.monotonic_ms() < self._ask_at_ms:
            return False
        fresh = [look.order for look in looks if look.order.client_order_id not in self._asking]
        tasks = {order.client_order_id: asyncio.create_task(self._ask(order, now_ms)) for order in fresh}
        self._asking |= tasks
        for task in tasks.values():
            task.add_done_callback(self._answered)
        if tasks:
            done, _ = await asyncio.wait(tasks.values(), timeout=PATIENCE_S)
            for task in done:  # of one order nobody need be able to ask; the others go on
                if isinstance(error := task.exception(), (HistoryChanged, StoreUnreachable, RedisError, OSError)):
                    raise error
        return len(due) == SWEEP_MAX

    def _answered(self, task: asyncio.Task[None]) -> None:
        self._asking = {name: one for name, one in self._asking.items() if one is not task}
        if not task.cancelled() and (error := task.exception()) is not None:
            self.could_not_ask += 1
            log.warning("a question is asked again: %s", type(error).__name__, exc_info=error)

    async def _ask(self, order: Order, begun_at_ms: int) -> None:
        async with self._room:
            await self.look_up(order, begun_at_ms)

    async def look_up(self, order: Order, begun_at_ms: int) -> None:
        """Ask the venue about one order and write down what it says.

        Args:
            order: as it was read.
            begun_at_ms: the server's clock before the first question.
        """
        if order.terms is None:
            return
        self.asked += 1
        try:
            found = await self._find(order)
            late = begun_at_ms >= horizon_ms(order.send_by_ms, self._venue.facts)
            if order.amend is not None and late:
                await self._prove_amend(order, order.amend, begun_at_ms, found=found)
            if found:
                return
            # Before the horizon finding nothing means nothing, so the venue is spared the longer questions.
            if order.status == "unknown" and late:
                await self._prove(order, begun_at_ms)
        except CouldNotAsk as error:
            # Not being able to ask proves nothing; the sweep asks again.
            self.could_not_ask += 1
            if error.wait_ms:
                self._ask_at_ms = self._clock.monotonic_ms() + error.wait_ms
            log.info("could not ask about %s: %s", order.client_order_id, error)

    async def _find(self, order: Order) -> bool:
        """Ask for the order by its name at the venue, and for what it was before an amend replaced it."""
        found = await self._find_one(order)
        for leg in untold(order.state):
            await self._find_one(as_leg(order, leg))
        return found

    async def _find_one(self, order: Order) -> bool:
        assert order.terms is not None
        found = await self._venue.find(order)
        if not found.rows:
            return False
        await self._write(found)
        for report in self._reports(found):
            if executed_more(order.state, report):  # executions that nobody heard; known ones fold into nothing
                await self._write(await self._venue.trades_of(order.terms.symbol, report.venue_order_id))
        return True

    async def _prove_amend(self, order: Order, amend: Amending, begun_at_ms: int, *, found: bool) -> None:
        """Say that an amend had no effect, when the venue shows none and it is late enough.

        Evidence is folded in its order: an effect that a row written before this shows makes it say nothing.
        """
        if self._venue.facts.amends == "in place":
            if found:
                await self._write_absent(order, begun_at_ms, "amend")
            return
        made = successor(order, amend, amend.quantity)
        if not await self._find_one(made) and await self._nowhere(made, begun_at_ms):
            await self._write_absent(order, begun_at_ms, "amend")

    async def _prove(self, order: Order, begun_at_ms: int) -> None:
        if await self._nowhere(order, begun_at_ms):
            await self._write_absent(order, begun_at_ms, "place")

    async def _nowhere(self, order: Order, begun_at_ms: int) -> bool:
        """Climb the ladder: open orders, then all orders since the claim; then absence, if it is late enough."""
        assert order.terms is not None
        symbol = order.terms.symbol
        open_orders = await self._venue.open_orders(symbol)
        if await self._write_own(open_orders, order):
            return False
        since_ms = order.send_by_ms - self._venue.facts.window_ms_max - SINCE_MARGIN_MS
        closed = await self._venue.orders_since(symbol, since_ms)
        if await self._write_own(closed, order):
            return False
        asked = Asked(begun_at_ms=begun_at_ms, by_client_id=True, open_orders=True, closed_orders=True)
        return verdict(asked, order.send_by_ms, self._venue.facts) == "absent"

    async def _write_absent(self, order: Order, begun_at_ms: int, kind: CommandKind) -> None:
        self.absent += 1
        revision = order.amend.revision if kind == "amend" and order.amend is not None else 0
        command = Command(
            client_order_id=order.client_order_id, token=order.token, outcome=Absent(begun_at_ms), kind=kind,
            revision=revision,
        )  # fmt: skip
        said = Evidence(source="lookup", received_at_ns=self._clock.now_ns(), command=command)
        await append(self._redis, self._keys, [(said, b"")])

    async def _write_own(self, rows: Rows, order: Order) -> bool:
        """Write the rows that name this order; whether there were any."""
        named = wire_id(order.client_order_id, order.generation, self._venue.facts.id_rule).encode()
        own = [row for row in rows.rows if b'"' + named + b'"' in row]
        await self._write(Rows(rows.format, own))
        return bool(own)

    def _reports(self, found: Rows) -> Sequence[OrderReport]:
        try:
            facts = [fact for row in found.rows for fact in self._decode(found.format, row)]
        except BadPayload:
            return []  # the ledger quarantines it with the reason
        return [fact for fact in facts if isinstance(fact, OrderReport)]

    async def _write(self, rows: Rows) -> None:
        said = Evidence(source="lookup", format=rows.format, received_at_ns=self._clock.now_ns())
        await append(self._redis, self._keys, [(said, row) for row in rows.rows])
