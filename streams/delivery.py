"""Bringing one account's events to a strategy's handlers: in order, at least once, whatever dies in between.

An entry of the journal is acknowledged when every handler has dealt with everything it tells. A handler that raises
is asked again, with growing pauses; one that still raises does not stop the account: the entry goes to quarantine
with the reason, and the rest of it is delivered.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator, Sequence
from functools import partial
from typing import Any, TypeVar

import msgspec
from msgspec import Struct
from redis.asyncio import Redis
from redis.exceptions import RedisError, ResponseError

from streams import codec, events
from streams.cache import Cache
from streams.clock import Clock
from streams.errors import BadIntent, StoreError
from streams.keys import AccountKeys, strategy_group
from streams.notices import AnyNotice, Journal, Notice, concerns, learnt, tell, unknown
from streams.reader import Entry, Reader
from streams.schemas import Place
from streams.scripts import Scripts
from streams.standing import Standing, covers, read_standing

log = logging.getLogger("fillonce.strategy")

CONSUMER = "only"  # one process reads for a strategy; after a restart it is delivered what it left
BATCH = 100
TERMS_MAX = 20_000

T = TypeVar("T")
Handler = Callable[[Any], Awaitable[object]]


class Patience(Struct, frozen=True, kw_only=True):
    """How long a handler is borne with.

    Attributes:
        tries: calls of one handler with one event before its entry goes to quarantine.
        pause_min_ms: before the second try; doubled before each further one.
        pause_max_ms: longest pause.
        timeout_s: a call that takes longer counts as one that raised.
    """

    tries: int = 5
    pause_min_ms: int = 50
    pause_max_ms: int = 2_000
    timeout_s: float = 30.0


class Delivery:
    """One account, one strategy.

    Attributes:
        figures: since the start, for the heartbeat.
        pulse: beaten by its loop, and wherever it waits.
    """

    def __init__(
        self, *, strategy: str, account: str, handlers: Callable[[Notice], Sequence[Handler]], reader: Redis,
        commands: Redis, clock: Clock, patience: Patience | None = None, orders: bool = True,
        journal: bool = False, copy: str = "",
    ) -> None:  # fmt: skip
        """Bind it; nothing is sent yet.

        Args:
            strategy: whose orders it is told of; also names its consumer group.
            account: whose journal is read.
            handlers: who is to be called with an event, in order.
            reader: a connection that may block.
            commands: another client.
            clock: for the pauses.
            patience: with handlers that raise.
            orders: whether anybody is to be told of orders and positions.
            journal: whether anybody is to be told of whole entries.
            copy: of the strategy, where several run.
        """
        self.figures: dict[str, int] = {"handled": 0, "retried": 0, "quarantined": 0, "dropped": 0, "snapshots": 0}
        self._strategy, self._keys, self._group = strategy, AccountKeys(account), strategy_group(strategy, copy)
        self._handlers, self._commands, self._clock = handlers, commands, clock
        self._scripts = Scripts(commands, self._keys)
        self._patience, self._orders, self._journal = patience or Patience(), orders, journal
        self._terms: Cache[str, Place] = Cache(TERMS_MAX)
        self._standing: Standing
        self._running = True
        self._ready, self._turn = asyncio.Event(), asyncio.Lock()  # a handler is called with one thing at a time
        # Nobody else reads for this strategy, so there is nothing to take over: what is pending is its own.
        self._reader = Reader(
            reader, self._keys.events, self._group, CONSUMER, count=BATCH, claim_idle_ms=86_400_000, clock=clock
        )
        self.pulse = self._reader.pulse

    @property
    def ready(self) -> bool:
        """Whether the snapshot was handled."""
        return self._ready.is_set()

    async def marked(self) -> str:
        """The newest entry of `marks` that the snapshot has; empty for none. Waits for the snapshot."""
        await self._ready.wait()
        return self._standing.mark

    async def run(self) -> None:
        """Give the snapshot, then deliver until stopped.

        Raises:
            Exception: what a handler of the snapshot raised; without it no event makes sense.
        """
        await self._start()
        async for batch in self._reader.batches():
            for entry in batch:
                if not self._running:
                    return
                async with self._turn:
                    await self._deliver(entry)

    def stop(self) -> None:
        """End `run` after the entry that is being delivered."""
        self._running = False
        self._reader.stop()

    async def _start(self) -> None:
        self._standing = await self._insist(partial(read_standing, self._commands, self._keys, self._strategy))
        await self._insist(self._make_group)
        self.figures["snapshots"] += 1
        for handler in self._handlers(self._standing.snapshot):
            await handler(self._standing.snapshot)
        self._ready.set()

    async def offer(self, notice: Notice) -> None:
        """Have the handlers deal with something that is not of the journal: tried as often, then dropped."""
        await self._ready.wait()
        async with self._turn:
            for handler in self._handlers(notice):
                if reason := await self._call(handler, notice):
                    log.error("%s: %s is dropped: %s", self._keys.account, notice.event_id, reason)
                    self.figures["dropped"] += 1

    async def _make_group(self) -> None:
        """Begin a new strategy where its first snapshot ends; one that was here before goes on where it was."""
        try:
            await self._commands.xgroup_create(
                self._keys.events, self._group, id=self._standing.snapshot.entry, mkstream=True
            )
        except ResponseError as error:
            if "BUSYGROUP" not in str(error):
                raise

    async def _deliver(self, entry: Entry) -> None:
        try:
            journal = events.decode(entry.fields[b"data"])
        except (KeyError, msgspec.MsgspecError) as error:
            await self._insist(partial(self._settle, entry, [f"not an entry of the journal: {error}"]))
            return
        if any(isinstance(one, events.Opened) and one.history != self._standing.history for one in journal.changes):
            # Another history of the server: what the strategy was told may have been lost, so it is told anew.
            log.info("%s: the server's history changed; the strategy is given a new snapshot", self._keys.account)
            self._terms.drop_all()
            await self._start()
        failed: list[str] = []
        told: list[Notice] = [_whole(self._keys.account, entry, journal)] if self._journal else []
        if self._orders:
            told += await self._insist(partial(self._notices, entry, journal))
        for notice in told:
            for handler in self._handlers(notice):
                reason = await self._call(handler, notice)
                if reason:
                    failed.append(f"{notice.event_id}: {reason}")
        await self._insist(partial(self._settle, entry, failed))

    async def _notices(self, entry: Entry, journal: events.JournalEntry) -> list[AnyNotice]:
        for name, brought in learnt(journal):
            self._terms.put(name, brought)
        named = {name: terms for name in _named(journal) if (terms := self._terms.get(name)) is not None}
        missing = unknown(journal, named)
        if missing:
            pipe = self._commands.pipeline(transaction=False)
            for name in missing:
                pipe.hget(self._keys.order(name), "terms")
            for name, stored in zip(missing, await pipe.execute(), strict=True):
                if stored:
                    named[name] = codec.decode_terms(stored, self._keys.account)
                    self._terms.put(name, named[name])
        known = covers(self._standing.snapshot.entry, entry.id)
        return [
            msgspec.structs.replace(one, redelivered=entry.redelivered, in_snapshot=known)
            for one in tell(self._keys.account, journal, named)
            if concerns(one, self._strategy)
        ]

    async def _call(self, handler: Handler, notice: Notice) -> str:
        """Call one handler with one event until it returns; why it never did, or nothing."""
        pause_ms, tries = self._patience.pause_min_ms, 0
        while True:
            self.pulse.beat()
            try:
                async with asyncio.timeout(self._patience.timeout_s):
                    await handler(notice)
            except BadIntent as error:  # the same intent will be refused again
                return str(error)
            except StoreError as error:
                # Not the handler's doing: the pipeline is away, and nothing is lost by waiting for it.
                log.info("%s: %s waits: %s", self._keys.account, notice.event_id, error)
            except Exception as error:
                tries += 1
                log.warning("%s: %s raised (%d)", self._keys.account, notice.event_id, tries, exc_info=error)
                if tries >= self._patience.tries:
                    return f"{type(error).__name__}: {error}"
            else:
                self.figures["handled"] += 1
                return ""
            self.figures["retried"] += 1
            notice = msgspec.structs.replace(notice, redelivered=True)
            await self._clock.sleep_ms(pause_ms)
            pause_ms = min(pause_ms * 2, self._patience.pause_max_ms)

    async def _settle(self, entry: Entry, failed: Sequence[str]) -> None:
        """Acknowledge an entry, by way of the quarantine where somebody could not use it."""
        if not failed:
            await self._commands.xack(self._keys.events, self._group, entry.id)
            return
        reason = f"strategy {self._strategy}: " + "; ".join(failed)
        log.error("%s: entry %s goes to quarantine: %s", self._keys.account, entry.id, reason)
        change = events.Quarantined(
            id=f"quarantined:{self._group}:{entry.id}", stream="events", entry=entry.id, reason=reason
        )
        done = await self._scripts.quarantine(
            stream=self._keys.events, group=self._group, entry=entry.id,
            reason=codec.encode({"stream": "events", "entry": entry.id, "reason": reason}),
            raw=entry.fields.get(b"data", b""), change=codec.encode(change),
        )  # fmt: skip
        self.figures["quarantined"] += done

    async def _insist(self, step: Callable[[], Awaitable[T]]) -> T:
        """Do a step that may be done twice, as soon as the pipeline is there."""
        pause_ms = self._patience.pause_min_ms
        while True:
            self.pulse.beat()
            try:
                return await step()
            except (StoreError, RedisError, OSError) as error:
                log.info("%s: tries again: %s", self._keys.account, error)
            await self._clock.sleep_ms(pause_ms)
            pause_ms = min(pause_ms * 2, self._patience.pause_max_ms)


def _whole(account: str, entry: Entry, journal: events.JournalEntry) -> Journal:
    name = journal.changes[0].id if journal.changes else entry.id
    return Journal(
        event_id=f"journal:{name}", account=account, at_ms=journal.at_ms, script=journal.script,
        changes=journal.changes, redelivered=entry.redelivered,
    )  # fmt: skip


def _named(journal: events.JournalEntry) -> Iterator[str]:
    for change in journal.changes:
        name = getattr(change, "client_order_id", "")
        if name:
            yield name
