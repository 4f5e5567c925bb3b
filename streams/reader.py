"""Reading one stream in a consumer group, so that no entry is lost whatever dies.

The group is made at id 0, own pending entries come first (also after every reconnect, because a reply may
have been lost on its way), entries of dead consumers are claimed in batches, and a lost connection costs
milliseconds. Acknowledging is not done here: only a script that proves the reason does that (R4).
"""

import asyncio
import contextlib
import logging
import random
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any

from msgspec import Struct
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ReadOnlyError, RedisError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from streams.clock import Clock
from streams.pulse import Pulse
from streams.tasks import begin
from streams.wire import command

log = logging.getLogger("fillonce.reader")

BACKOFF_MIN_MS, BACKOFF_MAX_MS = 10, 1_000
# Far below the client's answer timeout, which counts a blocked read as silence.
BLOCK_MS = 500
# While own pending entries wait for their reader, new ones are looked at; it is told within this time to go on.
PAUSED_MS = 5
# Own pending entries that new ones are read past: more are left to other consumers.
AHEAD_MAX = 10_000


class Entry(Struct, frozen=True, gc=False):
    """One entry as delivered; `fields` is empty when it was trimmed away before it was read."""

    id: str
    fields: Mapping[bytes, bytes]
    redelivered: bool


class Reader:
    """Reads batches until stopped.

    Attributes:
        reconnects: how often the connection or the group was lost.
        claimed: how many entries were taken over from other consumers.
        lost: how many pending entries somebody trimmed away before they were dealt with.
        pulse: beaten whenever it asks for entries.
        overtakes: what is yielded although own pending entries come before it. Whatever else is read before they are
            done is one of them then, and comes in its turn. Without it nothing new is read before.
        paused: own pending entries are not asked for; of what is new only what overtakes them is yielded.
    """

    def __init__(  # noqa: D417 - the first five are what they are called
        self, redis: Redis, stream: str, group: str, consumer: str, *, count: int, claim_idle_ms: int, clock: Clock,
        ahead: bool = False,
    ) -> None:  # fmt: skip
        """Bind a reader.

        Args:
            count: most entries of one batch.
            claim_idle_ms: an entry pending for longer belongs to a dead consumer.
            ahead: read the next batch while the last one is worked on. What was read ahead when the reading ends
                stays pending, and is delivered again by `forget`.
        """
        self.reconnects = self.claimed = self.lost = 0
        self.pulse = Pulse(clock)
        self._redis, self._stream, self._group, self._consumer = redis, stream, group, consumer
        self._count, self._claim_idle_ms, self._clock = count, claim_idle_ms, clock
        self._ahead, self._newest = ahead, "0"
        self.overtakes: Callable[[Entry], bool] | None = None
        self.paused = False
        self._own_turn, self._passed, self._forgotten = True, 0, 0
        self._running, self._prepared = True, False
        self._drained = False  # the last step looked for new entries and found none
        self._own_cursor: str | None = "0"  # where re-reading own pending entries stands; None when done
        self._claim_cursor, self._claim_at_ms = "0-0", 0
        self._backoff_ms: float = BACKOFF_MIN_MS

    def stop(self) -> None:
        """End `batches` after the current one."""
        self._running = False

    def forget(self) -> None:
        """Read own pending entries again before new ones; for a reader that gave up what it had read.

        What a read that is under way brings is delivered with them.
        """
        self._own_cursor = self._newest = "0"
        self._forgotten += 1

    async def batches(self, *, burst: bool = False, idle: bool = False) -> AsyncIterator[list[Entry]]:
        """Yield batches, oldest first.

        Args:
            burst: end when nothing is left to deliver.
            idle: also yield an empty batch when nothing came within a blocking read.
        """
        coming: asyncio.Task[list[Entry]] | None = None
        try:
            while self._running:
                self.pulse.beat()
                try:
                    batch = await (coming if coming is not None else self._next(0 if burst else BLOCK_MS))
                    self._backoff_ms = BACKOFF_MIN_MS
                except (RedisError, OSError) as error:
                    coming = None
                    await self._recover(error)
                    continue
                coming, drained = None, self._drained
                if self._ahead and not (drained and burst):
                    coming = await begin(self._next(0 if burst else BLOCK_MS))
                if batch or (drained and idle and not burst):
                    yield batch
                elif drained and burst:
                    return
        finally:
            await _ended(coming)

    async def _next(self, block_ms: int) -> list[Entry]:
        self._drained = False
        if not self._prepared:
            await self._make_group()
            self._prepared = True
        if self._own_cursor is not None and self._own_turn and not self.paused:
            self._own_turn = self.overtakes is None
            return await self._read_own(self._own_cursor)
        self._own_turn = True
        if self._clock.monotonic_ms() >= self._claim_at_ms:
            taken = await self._take_over()
            batch = self._in_turn(taken, "0")
            if len(batch) < len(taken):
                self._own_cursor = "0"  # the rest may be older than what is read by now
            if batch:
                return batch
        return await self._read_new(block_ms)

    @property
    def _is_behind(self) -> bool:
        """Whether new entries have to wait."""
        return self.overtakes is not None and (self._own_cursor is not None or self.paused)

    def _in_turn(self, batch: list[Entry], before: str) -> list[Entry]:
        """What of a batch need not wait for own pending entries; the rest is read with those, from `before` on."""
        if self.overtakes is None or not self._is_behind:
            return batch
        first = [entry for entry in batch if self.overtakes(entry)]
        if len(first) < len(batch):
            self._passed += len(batch) - len(first)
            self._own_cursor = before if self._own_cursor is None else self._own_cursor
        return first

    async def _make_group(self) -> None:
        try:
            await self._redis.xgroup_create(self._stream, self._group, id="0", mkstream=True)
        except ResponseError as error:
            if "BUSYGROUP" not in str(error):
                raise

    async def _read_own(self, cursor: str) -> list[Entry]:
        reply = await self._read(cursor)
        batch = _entries(reply, redelivered=True)
        if self._own_cursor == cursor:  # else it was told meanwhile to begin again
            # Fewer than asked for are the last. To look once more would cost those behind them a turn, and they would
            # be read twice: at a steady rate that would not end.
            self._own_cursor = batch[-1].id if len(batch) >= self._count else None
            self._passed = self._passed if self._own_cursor is not None else 0
        return batch

    async def _read_new(self, block_ms: int) -> list[Entry]:
        if self._is_behind:
            block_ms = PAUSED_MS if self.paused else 0
            if self._passed >= AHEAD_MAX:
                await self._clock.sleep_ms(block_ms)
                return []
        forgotten = self._forgotten
        reply = await self._read(">", *(("BLOCK", block_ms) if block_ms else ()))  # 0 would mean for ever
        if forgotten != self._forgotten:
            return []  # told meanwhile to begin again: it comes in its turn, where it still exists
        batch, before = _entries(reply, redelivered=False), self._newest
        if batch:
            self._newest = batch[-1].id
        self._drained = not batch and not self._is_behind
        return self._in_turn(batch, before)

    async def _read(self, after: str, *options: str | int) -> Any:
        return await command(
            self._redis, "XREADGROUP", "GROUP", self._group, self._consumer, "COUNT", self._count, *options, "STREAMS",
            self._stream, after,
        )  # fmt: skip

    async def _take_over(self) -> list[Entry]:
        """Claim one batch of what dead consumers left; what is already ours and idle comes back the same way."""
        cursor, rows, deleted = await self._redis.xautoclaim(
            self._stream, self._group, self._consumer, self._claim_idle_ms, self._claim_cursor, count=self._count
        )
        if deleted:
            # The server has dropped them from the pending entries: all that is left to do is to say so.
            log.error(
                "%s: %d pending entries were trimmed away unread, first %s", self._stream, len(deleted), deleted[0]
            )
            self.lost += len(deleted)
        self._claim_cursor = cursor.decode()
        if self._claim_cursor == "0-0":
            # One full pass; jitter keeps consumers that started together apart.
            self._claim_at_ms = self._clock.monotonic_ms() + int(self._claim_idle_ms * random.uniform(0.4, 0.6))  # noqa: S311 - spread, not secrecy
        batch = [Entry(row[0].decode(), row[1] or {}, redelivered=True) for row in rows if row[0] is not None]
        self.claimed += len(batch)
        return batch

    async def _recover(self, error: Exception) -> None:
        self.reconnects += 1
        self._prepared = self._prepared and "NOGROUP" not in str(error)
        self._own_cursor = self._newest = "0"  # another server's ids may be lower
        log.info("%s: reads again after %s", self._stream, error)
        if isinstance(error, RedisConnectionError | RedisTimeoutError | ReadOnlyError | OSError):
            await _drop(self._redis)
        await self._clock.sleep_ms(self._backoff_ms * random.uniform(0.5, 1.0))  # noqa: S311 - spread, not secrecy
        self._backoff_ms = min(self._backoff_ms * 2, BACKOFF_MAX_MS)


async def _drop(redis: Redis) -> None:
    """Close the connection, so that a late answer cannot be taken for the next one's."""
    try:
        async with asyncio.timeout(1):
            if redis.connection is not None:
                await redis.connection.disconnect(nowait=True)
            else:
                await redis.connection_pool.disconnect(inuse_connections=True)
    except (TimeoutError, RedisError, OSError):
        pass  # it is gone already


async def _ended(coming: "asyncio.Task[list[Entry]] | None") -> None:
    """End a read that nobody waits for any more."""
    if coming is None:
        return
    coming.cancel()
    with contextlib.suppress(asyncio.CancelledError, RedisError, OSError):
        await coming


def _entries(reply: Any, *, redelivered: bool) -> list[Entry]:
    """Read a reply for one stream: a list of pairs, or a map in the newer protocol; entries are flat lists."""
    if not reply:
        return []
    [(_, rows)] = reply.items() if isinstance(reply, dict) else reply
    return [Entry(entry_id.decode(), _fields(flat), redelivered) for entry_id, flat in rows]


def _fields(flat: Sequence[bytes] | None) -> dict[bytes, bytes]:
    if not flat:
        return {}
    if len(flat) == 4:  # `data` and `raw`, as nearly every entry of a busy stream
        return {flat[0]: flat[1], flat[2]: flat[3]}
    return dict(zip(flat[::2], flat[1::2], strict=True))
