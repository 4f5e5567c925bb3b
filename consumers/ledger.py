"""The ledger: evidence in, commits out. One is active per account, by lease; safety never depends on that.

Reads a batch, reads what it touches and memory does not know, folds (`folding`, pure), commits in one call. An order
that moved in between comes back stale and is folded again; what is left stays pending and is delivered again.
While one batch is committed, the next is read, decoded and folded on what the first will have written: it is committed
at once when that came true, and folded again when it did not. The script compares every digest either way.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Iterable, Mapping, Sequence

from msgspec import Struct
from redis.asyncio import Redis
from redis.exceptions import RedisError

from adapters.venue import Decoder
from consumers.adjusting import Adjuster
from consumers.ahead import Ahead, Expected
from consumers.batch import NO_WORK, Work, read_batch
from consumers.folding import Folded, Known, Rules, Snapshot, fold_batch
from consumers.interpret import Bad, Item, read
from consumers.known import BEFORE, WRITTEN, KnownState
from consumers.memory import Applied, Memory, reference_plan
from consumers.quarantine import quarantine
from consumers.snapshot import read_snapshot, recall
from streams.clock import Clock
from streams.errors import BadIntent, HistoryChanged, LeaseLost, StoreUnreachable
from streams.histogram import Histogram
from streams.keys import AccountKeys
from streams.measures import Measures
from streams.plans import Lease, ParkPlan
from streams.reader import Entry, Reader
from streams.schemas import Adjustment
from streams.scripts import Scripts
from streams.store import Store
from streams.tasks import begin

log = logging.getLogger("fillonce.ledger")

# A stale order is folded again at once; more rounds than this mean someone else writes it all the time.
ROUNDS_MAX = 8
STANDBY_MS = 100
STALE, CONTRADICTION = 0, 3  # verdicts of the commit, with those of `known`
_GOOD = (WRITTEN, BEFORE)
ORDERS_MAX = 10_000  # known without asking: some 3 kB each


class LedgerSettings(Struct, frozen=True, kw_only=True):
    """What a ledger needs of the settings."""

    holder: str
    lease_ms: int
    rules: Rules
    remembers_max: int = 100_000
    orders_max: int = ORDERS_MAX


class Ledger:
    """Applies the evidence of one account.

    Attributes:
        applied: executions counted since the start.
        parked: entries parked.
        quarantined: entries quarantined.
        stale: orders that had to be folded again.
        contradictions: entries that name a venue order of another of our orders.
        duplicates: executions that were applied before, by source of the evidence.
        leads: whether it holds the lease.
        to_commit: from a frame of the private stream to its commit.
        pulse: of its loop.
        memory: payloads it has applied.
        known: orders and positions it knows without asking.
    """

    def __init__(
        self,
        *,
        redis: Redis,
        reader: Reader,
        keys: AccountKeys,
        decode: Decoder,
        settings: LedgerSettings,
        clock: Clock,
    ) -> None:
        """Bind it; `redis` is a connection of its own, apart from the reader's."""
        self.applied = self.parked = self.quarantined = self.stale = 0
        self.leads, self.contradictions = False, 0
        self.duplicates: Counter[str] = Counter()
        self.to_commit, self.pulse = Histogram(), reader.pulse
        self._redis, self._reader, self._keys, self._decode = redis, reader, keys, decode
        self._settings, self._clock = settings, clock
        self._scripts = Scripts(redis, keys)
        self._adjuster = Adjuster(keys, self._scripts, Store(redis, keys))
        self._epoch, self._renew_at_ms = 0, 0
        self._running = True
        self.memory, self.known = Memory(settings.remembers_max), KnownState(settings.orders_max)
        self._work = NO_WORK  # the batch at hand
        self._flying: Folded | None = None  # sent, not answered
        self._expected: Expected | None = None  # once that is written
        self._landed: Folded | None = None  # the last that was written whole

    async def run(self, *, burst: bool = False) -> None:
        """Lead whenever nobody else does, until stopped; with `burst` until nothing is left to read."""
        while self._running:
            self.pulse.beat()
            if not await self._take_lease():
                await self._clock.sleep_ms(STANDBY_MS)
                continue
            self.leads = True
            # All ledgers read as one consumer: what the last leader left is delivered to the next one at once.
            self._reader.forget()
            if await self._lead(burst=burst) and burst:
                break
        if self._epoch:
            await self._try(self._scripts.lease("release", self._settings.holder, self._settings.lease_ms))

    def stop(self) -> None:
        """Finish the batch at hand, give the lease back, end `run`."""
        self._running = False
        self._reader.stop()

    def figures(self) -> dict[str, int]:
        """What was counted since the start."""
        return {
            "applied": self.applied, "parked": self.parked, "quarantined": self.quarantined, "stale": self.stale,
            "leads": int(self.leads),
            **self.memory.cache.counters.figures("payload"), **self.known.counters.figures("order"),
        }  # fmt: skip

    def measures(self) -> Measures:
        """What was measured since the start."""
        return Measures(
            times={"frame_to_commit": self.to_commit}, duplicates=self.duplicates,
            conflicts={"evidence": self.contradictions},
            caches={"payload": self.memory.cache.counters, "order": self.known.counters},
        )  # fmt: skip

    async def handle(self, entries: Sequence[Entry]) -> None:
        """Apply one batch.

        Raises:
            HistoryChanged, LeaseLost: nothing more may be written; what is left of the batch stays pending.
            StoreUnreachable: Redis did not answer; the batch may be handled again.
        """
        await self._apply(read_batch(entries, self.memory, self._decode))

    def _fold_ahead(self, work: Work) -> Ahead | None:
        """Fold a batch on what the commit under way will have written; None where something has to be asked first."""
        base = self._flying
        if base is None or not work.items or work.bad or work.adjustments:
            return None
        self._expected = Expected(self.known, base)
        snapshot = recall(work.items, self._expected, self._keys, self._clock)
        return None if snapshot is None else Ahead(self._folded(work.items, snapshot), base)

    def _folded(self, items: Sequence[Item], snapshot: Snapshot) -> Folded:
        return fold_batch(items, snapshot, self._settings.rules, self._keys)

    async def _apply(self, work: Work, ahead: Ahead | None = None) -> None:
        self.duplicates.update(work.repeated)
        if work.applied and not await self._acknowledge(work.applied):
            # The server lost what we remember: all of it is read as if for the first time.
            self.memory.forget()
            work, ahead = read_batch(work.entries, self.memory, self._decode), None
        self._work, items = work, list(work.items)
        for one in work.bad:
            await self._quarantine(one)
        for entry, adjustment in work.adjustments:
            await self._adjust(entry, adjustment)
        for _ in range(ROUNDS_MAX):
            if not items:
                return
            items, ahead = await self._round(items, ahead), None
        log.warning("%d entries stay pending: their orders change faster than they can be folded", len(items))

    async def _adjust(self, entry: str, adjustment: Adjustment) -> None:
        try:
            moved = await self._adjuster.book(entry, adjustment, (self._epoch, self._settings.lease_ms))
        except BadIntent as error:
            await self._quarantine(Bad(entry=entry, reason=f"{error}", raw=self._raw(entry)))
            return
        self.known.positions.drop(moved)

    async def _acknowledge(self, applied: Sequence[tuple[Entry, Applied]]) -> bool:
        """Acknowledge payloads that were applied before; False when the server does not have all of them."""
        done = await self._scripts.commit(reference_plan(applied, self._keys), self._epoch, self._settings.lease_ms)
        return done.acknowledged == len(applied)

    async def _lead(self, *, burst: bool) -> bool:
        """Handle batches while the lease is ours; False when it was lost."""
        flight: asyncio.Task[bool] | None = None
        try:
            async for batch in self._reader.batches(burst=burst, idle=True):
                work = read_batch(batch, self.memory, self._decode)
                ahead = self._fold_ahead(work)
                if flight is not None and not await flight:
                    return True
                flight = await begin(self._handled(work, ahead))
            if flight is not None:
                await flight
        except (HistoryChanged, LeaseLost) as change:
            log.warning("stands by: %s", change)
            self.leads = False
            self.memory.forget()
            self.known.forget()
            return False
        finally:
            await _ended(flight)
        return True

    async def _handled(self, work: Work, ahead: Ahead | None) -> bool:
        """Handle a batch; while Redis is away, keep it and try again, because every call may be repeated."""
        while self._running or work.entries:
            self.pulse.beat()
            try:
                if work.entries:
                    await self._apply(work, ahead)
                elif self._clock.monotonic_ms() >= self._renew_at_ms:
                    await self._renew()
            except (StoreUnreachable, RedisError, OSError) as error:
                log.warning("waits for Redis: %s", error if isinstance(error, StoreUnreachable) else type(error))
                ahead = None
                await self._clock.sleep_ms(STANDBY_MS)
                if not self._running:
                    return False
            else:
                return True
        return True

    async def _take_lease(self) -> bool:
        lease = await self._try(self._scripts.lease("take", self._settings.holder, self._settings.lease_ms))
        if lease is None or lease.holder != self._settings.holder:
            return False
        self._epoch = lease.epoch
        self._renew_at_ms = self._clock.monotonic_ms() + self._settings.lease_ms // 3
        return True

    async def _renew(self) -> None:
        """Keep the lease while nothing is to be committed; a commit renews it by itself."""
        lease = await self._scripts.lease("take", self._settings.holder, self._settings.lease_ms)
        if lease.holder != self._settings.holder or lease.epoch != self._epoch:
            raise LeaseLost("Another ledger leads this account.")
        self._renew_at_ms = self._clock.monotonic_ms() + self._settings.lease_ms // 3

    async def _round(self, items: list[Item], ahead: Ahead | None) -> list[Item]:
        """Fold and commit once; the items that must be folded again."""
        if ahead is not None and ahead.base is self._landed:
            folded = ahead.folded
        else:
            folded = self._folded(items, await read_snapshot(self._redis, self._keys, items, self.known, self._clock))
        again = {entry for plan in folded.parks for entry in await self._park(plan)}
        if folded.commit.entries:
            again |= await self._commit(folded, items)
        return [item for item in items if item.entry in again]

    async def _commit(self, folded: Folded, items: Sequence[Item]) -> set[str]:
        self._flying, self._landed, self._expected = folded, None, None
        try:
            done = await self._scripts.commit(folded.commit, self._epoch, self._settings.lease_ms)
        finally:
            self._flying = None
        self.known.confirm(folded, done.verdicts, self._told())
        verdicts = [0, *done.verdicts]  # by an order's number; what says nothing about an order has none that is good
        if done.verdicts.count(WRITTEN) == len(done.verdicts):
            self._landed = folded
        plans = zip(folded.commit.orders, done.verdicts, strict=True)
        self.applied += sum([len(plan.executions) for plan, verdict in plans if verdict == WRITTEN])
        for name in folded.doubles:
            log.error("two orders at the venue under %s: trading halts", name)
            await self._scripts.halt("halt", f"two orders at the venue under {name}", self._settings.holder)
        if CONTRADICTION in verdicts:
            await self._contradictions(folded, done.verdicts, items)
        names = ["", *[plan.client_order_id for plan in folded.commit.orders]]
        owners = {entry.entry: names[entry.order] for entry in folded.commit.entries if verdicts[entry.order] in _GOOD}
        self.memory.learn(self._work.payloads, items, owners)
        if folded.repeated:
            self._count(entry for entry, order in folded.repeated if verdicts[order] in _GOOD)
        now_ns, heard_ns = self._clock.now_ns(), self._work.heard_ns
        self.to_commit.add_all([(now_ns - heard_ns[entry]) / 1e6 for entry in owners if entry in heard_ns])
        if STALE not in done.verdicts:
            return set()
        self.stale += done.verdicts.count(STALE)
        return {entry.entry for entry in folded.commit.entries if entry.order and verdicts[entry.order] == STALE}

    def _count(self, repeated: Iterable[str]) -> None:
        """Count entries that told what was known, by source."""
        entries = {entry.id: entry for entry in self._work.entries}
        for one in map(read, map(entries.__getitem__, repeated)):
            if not isinstance(one, Bad):
                self.duplicates[one.source] += 1

    def _told(self) -> Mapping[str, Known] | None:
        """What was expected of the orders of the commit just answered, if the next batch was folded meanwhile."""
        return None if self._expected is None else self._expected.orders

    async def _contradictions(self, folded: Folded, verdicts: Sequence[int], items: Sequence[Item]) -> None:
        """Quarantine what names a venue order that belongs to another of our orders."""
        wrong = {number for number, verdict in enumerate(verdicts, start=1) if verdict == CONTRADICTION}
        names = {entry.entry for entry in folded.commit.entries if entry.order in wrong}
        for item in items:
            if item.entry in names:
                self.contradictions += 1
                reason = f"its venue order {item.venue_order} belongs to another order than {item.client_order_id}"
                await self._quarantine(Bad(entry=item.entry, reason=reason, raw=self._raw(item.entry)))

    async def _park(self, plan: ParkPlan) -> list[str]:
        # A list of trades shows also what the venue traded for us, and that is booked where it said so.
        lease = (self._epoch, self._settings.lease_ms)
        if plan.adjustment and await self._adjuster.again(plan.entry, plan.adjustment, lease):
            return []
        verdict = await self._scripts.park(plan, self._epoch, self._settings.lease_ms)
        if verdict == "known":
            return [plan.entry]
        if verdict == "parked":
            self.parked += 1
            return []
        reason = "too many executions wait for this order"
        await self._quarantine(Bad(entry=plan.entry, reason=reason, raw=self._raw(plan.entry)))
        return []

    def _raw(self, entry_id: str) -> bytes:
        return next(entry.fields.get(b"raw", b"") for entry in self._work.entries if entry.id == entry_id)

    async def _quarantine(self, bad: Bad) -> None:
        self.quarantined += await quarantine(
            self._scripts, self._keys, "evidence", bad.entry, bad.reason, bad.raw, self._epoch
        )

    async def _try(self, call: Awaitable[Lease]) -> Lease | None:
        """Ask for the lease; None while the gate is shut or Redis is away."""
        try:
            return await call
        except (HistoryChanged, StoreUnreachable) as error:
            log.debug("no lease: %s", error)
            return None


async def _ended(flight: "asyncio.Task[bool] | None") -> None:
    """End a commit that nobody waits for any more; its entries stay pending."""
    if flight is None:
        return
    flight.cancel()
    await asyncio.wait([flight])
    if not flight.cancelled() and flight.exception() is not None:
        log.debug("a commit ended with %s", type(flight.exception()).__name__)
