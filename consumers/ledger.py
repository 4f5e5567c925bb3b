"""The ledger: evidence in, commits out. One is active per account, by lease; safety never depends on that.

Reads a batch, reads what it touches, folds (`folding`, pure), commits in one call. An order that moved in
between comes back stale and is folded again; what is left stays pending and is delivered again.
"""

import logging
from collections.abc import Awaitable, Sequence

from msgspec import Struct
from redis.asyncio import Redis
from redis.exceptions import RedisError

from adapters.venue import Decoder
from consumers.adjusting import adjust
from consumers.folding import Folded, Rules, fold_batch
from consumers.interpret import Bad, Item, interpret
from consumers.memory import Memory, reference_plan
from consumers.quarantine import quarantine
from consumers.snapshot import read_snapshot
from streams.clock import Clock
from streams.errors import HistoryChanged, LeaseLost, StoreUnreachable
from streams.keys import AccountKeys
from streams.plans import Lease, ParkPlan
from streams.reader import Entry, Reader
from streams.scripts import Scripts
from streams.store import Store

log = logging.getLogger("fillonce.ledger")

# A stale order is folded again at once; more rounds than this mean someone else writes it all the time.
ROUNDS_MAX = 8
STANDBY_MS = 100
CONTRADICTION = 3


class LedgerSettings(Struct, frozen=True, kw_only=True):
    """What a ledger needs of the settings."""

    holder: str
    lease_ms: int
    rules: Rules
    remembers_max: int = 100_000


class Ledger:
    """Applies the evidence of one account.

    Attributes:
        applied: executions counted since the start.
        parked: entries parked.
        quarantined: entries quarantined.
        stale: orders that had to be folded again.
        leads: whether it holds the lease.
        memory: payloads it has applied.
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
        self.leads = False
        self._redis, self._reader, self._keys, self._decode = redis, reader, keys, decode
        self._settings, self._clock = settings, clock
        self._scripts, self._store = Scripts(redis, keys), Store(redis, keys)
        self._epoch, self._renew_at_ms = 0, 0
        self._running = True
        self.memory = Memory(settings.remembers_max)
        self._entries: Sequence[Entry] = ()
        self._raw: dict[str, bytes] = {}  # payloads of the batch at hand, should one have to be quarantined

    async def run(self, *, burst: bool = False) -> None:
        """Lead whenever nobody else does, until stopped; with `burst` until nothing is left to read."""
        while self._running:
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
            "leads": int(self.leads), "cache_hits": self.memory.cache.counters.hits,
            "cache_misses": self.memory.cache.counters.misses,
        }  # fmt: skip

    async def handle(self, entries: Sequence[Entry]) -> None:
        """Apply one batch.

        Raises:
            HistoryChanged, LeaseLost: nothing more may be written; what is left of the batch stays pending.
            StoreUnreachable: Redis did not answer; the batch may be handled again.
        """
        settings, entries = self._settings, await self._acknowledge_known(entries)
        items: list[Item] = []
        self._raw = {entry.id: entry.fields.get(b"raw", b"") for entry in entries}
        for entry in entries:
            said = interpret(entry, self._decode)
            if isinstance(said, Bad):
                await self._quarantine(said)
            elif said.adjustment is not None:
                await adjust(self._scripts, self._store, entry.id, said.adjustment, (self._epoch, settings.lease_ms))
            else:
                items.append(said)
        self._entries = entries
        for _ in range(ROUNDS_MAX):
            if not items:
                return
            items = await self._round(items)
        log.warning("%d entries stay pending: their orders change faster than they can be folded", len(items))

    async def _acknowledge_known(self, entries: Sequence[Entry]) -> Sequence[Entry]:
        """Acknowledge payloads that were applied before; the entries that must be read."""
        known, rest = self.memory.split(entries)
        if not known:
            return rest
        done = await self._scripts.commit(reference_plan(known, self._keys), self._epoch, self._settings.lease_ms)
        if done.acknowledged == len(known):
            return rest
        # The server lost what we remember: all of it is read as if for the first time.
        self.memory.contradicted(entry for entry, _ in known)
        return entries

    async def _lead(self, *, burst: bool) -> bool:
        """Handle batches while the lease is ours; False when it was lost."""
        async for batch in self._reader.batches(burst=burst, idle=True):
            try:
                if not await self._handled(batch):
                    break
            except (HistoryChanged, LeaseLost) as change:
                log.warning("stands by: %s", change)
                self.leads = False
                self.memory.forget()
                return False
        return True

    async def _handled(self, batch: Sequence[Entry]) -> bool:
        """Handle a batch; while Redis is away, keep it and try again, because every call may be repeated."""
        while self._running or batch:
            try:
                if batch:
                    await self.handle(batch)
                elif self._clock.monotonic_ms() >= self._renew_at_ms:
                    await self._renew()
            except (StoreUnreachable, RedisError, OSError) as error:
                log.warning("waits for Redis: %s", error if isinstance(error, StoreUnreachable) else type(error))
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

    async def _round(self, items: list[Item]) -> list[Item]:
        """Fold and commit once; the items that must be folded again."""
        snapshot = await read_snapshot(self._redis, self._keys, items)
        folded = fold_batch(items, snapshot, self._settings.rules, self._keys)
        again = {entry for plan in folded.parks for entry in await self._park(plan)}
        if folded.commit.entries:
            again |= await self._commit(folded, items)
        return [item for item in items if item.entry in again]

    async def _commit(self, folded: Folded, items: Sequence[Item]) -> set[str]:
        done = await self._scripts.commit(folded.commit, self._epoch, self._settings.lease_ms)
        stale = {number for number, verdict in enumerate(done.verdicts, start=1) if verdict == 0}
        self.stale += len(stale)
        plans = zip(folded.commit.orders, done.verdicts, strict=True)
        self.applied += sum(len(plan.executions) for plan, verdict in plans if verdict == 1)
        for name in folded.doubles:
            log.error("two orders at the venue under %s: trading halts", name)
            await self._scripts.halt("halt", f"two orders at the venue under {name}", self._settings.holder)
        await self._contradictions(folded, done.verdicts, items)
        names = dict(enumerate(folded.orders, start=1))
        good = {number for number, verdict in enumerate(done.verdicts, start=1) if verdict in (1, 2)}
        owners = {entry.entry: names[entry.order] for entry in folded.commit.entries if entry.order in good}
        self.memory.learn(self._entries, items, owners)
        return {entry.entry for entry in folded.commit.entries if entry.order in stale}

    async def _contradictions(self, folded: Folded, verdicts: Sequence[int], items: Sequence[Item]) -> None:
        """Quarantine what names a venue order that belongs to another of our orders."""
        wrong = {number for number, verdict in enumerate(verdicts, start=1) if verdict == CONTRADICTION}
        names = {entry.entry for entry in folded.commit.entries if entry.order in wrong}
        for item in items:
            if item.entry in names:
                reason = f"its venue order {item.venue_order} belongs to another order than {item.client_order_id}"
                await self._quarantine(Bad(entry=item.entry, reason=reason, raw=self._raw[item.entry]))

    async def _park(self, plan: ParkPlan) -> list[str]:
        verdict = await self._scripts.park(plan, self._epoch, self._settings.lease_ms)
        if verdict == "known":
            return [plan.entry]
        if verdict == "parked":
            self.parked += 1
            return []
        reason = "too many executions wait for this order"
        await self._quarantine(Bad(entry=plan.entry, reason=reason, raw=self._raw[plan.entry]))
        return []

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
