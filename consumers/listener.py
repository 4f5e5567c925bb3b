"""The listener: the venue's private stream into `evidence`, raw, and what was missed while it was down.

Nobody replays a private stream. So after every connect: subscribed and acknowledged first, then orders and
trades since the stored watermark minus an overlap are fetched, while live frames are stored beside them;
what comes both ways folds into nothing. From the loss until all of that is applied nobody vouches for the stream, and
claims let no new exposure out; a listener that dies stops vouching by itself.
"""

import asyncio
import logging
from collections.abc import Sequence
from contextlib import aclosing

from msgspec import Struct
from redis.asyncio import Redis
from redis.exceptions import RedisError

from adapters.venue import CouldNotAsk, Frame, Lost, Rows, StreamEvent, Subscribed, Venue
from consumers.look_back import look_back
from streams.clock import Clock
from streams.errors import StoreError
from streams.evidence import append
from streams.keys import AccountKeys
from streams.measures import Measures
from streams.pulse import Pulse
from streams.schemas import Evidence
from streams.scripts import Scripts
from streams.store import Store
from streams.tasks import end

log = logging.getLogger("fillonce.listener")

# Frames held while Redis is away; beyond it reading stops and the socket's own buffers fill.
QUEUE_MAX = 10_000
APPEND_MAX = 200
RETRY_MS = 500
BEAT_MS, BEHIND_MS = 500, 50
WATERMARK = "stream_watermark"
FILLED = "stream_filled"


class ListenerSettings(Struct, frozen=True, kw_only=True):
    """What a listener needs of the settings.

    Attributes:
        symbols: unified symbols to fetch after a gap.
        overlap_ms: how far before the watermark a fetch begins; above the time a dead stream goes unnoticed.
        name: of several that listen to one account each has its own, the same after a restart.
        lease_ms: for how long the stream is vouched for at a time.
    """

    symbols: tuple[str, ...]
    overlap_ms: int
    name: str = "listener.0"
    lease_ms: int = 5_000


class Listener:
    """Stores what one account's private stream says.

    Attributes:
        frames: stored since the start.
        gaps: how often the stream was lost.
        backfilled: rows fetched after gaps.
        current: whether the stream is up and the last gap is filled.
        whole: whether what was fetched is applied too, so that new exposure may go out.
        pulse: beaten whenever it could vouch for the stream.
    """

    def __init__(
        self, *, redis: Redis, keys: AccountKeys, venue: Venue, settings: ListenerSettings, clock: Clock
    ) -> None:
        """Bind it; `redis` is a pool, because a backfill runs beside the frames."""
        self.frames = self.gaps = self.backfilled = 0
        self.current = self.whole = False
        self.pulse = Pulse(clock)
        self._redis, self._keys, self._venue, self._settings, self._clock = redis, keys, venue, settings, clock
        self._store, self._scripts = Store(redis, keys), Scripts(redis, keys)
        self._frames: asyncio.Queue[Frame] = asyncio.Queue(QUEUE_MAX)
        self._stopped = asyncio.Event()
        self._storing = False
        self._backfill: asyncio.Task[None] | None = None
        self._connection = self._marker = ""
        # A loss that Redis does not know of: which connection, and why.
        self._unsaid: tuple[str, str] | None = ("", "the listener has started")
        self._stored_before = 0

    async def run(self) -> None:
        """Listen until stopped."""
        workers = [asyncio.create_task(self._write_frames()), asyncio.create_task(self._vouch())]
        listening = asyncio.create_task(self._listen())
        waiting = asyncio.create_task(self._stopped.wait())
        try:
            await asyncio.wait([listening, waiting, *workers], return_when=asyncio.FIRST_COMPLETED)
        finally:
            # Also when this itself is cancelled: nobody else knows of these tasks.
            tasks = [listening, *workers, *([self._backfill] if self._backfill else [])]
            await end([*tasks, waiting])
        await self._drain()
        self._unsaid = (self._connection, "the listener was stopped")
        await self._say_lost()
        for task in tasks:
            if not task.cancelled() and (error := task.exception()) is not None:
                raise error

    def stop(self) -> None:
        """End `run` when the frames at hand are stored."""
        self._stopped.set()

    def figures(self) -> dict[str, int]:
        """What was counted since the start."""
        return {
            "frames": self.frames, "gaps": self.gaps, "backfilled": self.backfilled, "current": int(self.current),
            "whole": int(self.whole),
        }  # fmt: skip

    def measures(self) -> Measures:
        """Nothing beside its figures."""
        return Measures()

    async def _listen(self) -> None:
        await self._say_lost()
        async with aclosing(self._venue.stream()) as stream:
            async for event in stream:
                await self._take(event)

    async def _drain(self) -> None:
        """Store what was received before the stop; what cannot be stored is fetched at the next start."""
        left = [self._frames.get_nowait() for _ in range(self._frames.qsize())]
        try:
            await append(self._redis, self._keys, [(_said(frame), frame.raw) for frame in left])
        except (RedisError, OSError) as error:
            log.warning("%d frames are left to the next start: %s", len(left), type(error).__name__)

    async def _take(self, event: StreamEvent) -> None:
        match event:
            case Subscribed(connection):
                log.info("subscribed by connection %s", connection)
                self._begin_backfill(connection)
            case Lost(connection, reason):
                self.gaps += 1
                self.current = self.whole = False
                log.warning("connection %s lost: %s", connection, reason)
                self._stop_backfill()
                self._connection, self._unsaid = connection, (connection, reason)
                await self._say_lost()
            case Frame():
                await self._frames.put(event)

    def _begin_backfill(self, connection: str) -> None:
        self._stop_backfill()
        self.current = self.whole = False
        self._connection, self._marker = connection, ""
        self._backfill = asyncio.create_task(self._fill_gap(connection))

    async def _say_lost(self) -> None:
        """Say at once that the stream is lost; where Redis does not hear it, nobody vouches for the stream either."""
        unsaid = self._unsaid
        if unsaid is None:
            return
        try:
            # Of the one that was lost: by now another may be open, and what is told to be lost is never whole again.
            connection, reason = unsaid
            await self._scripts.stream("lost", self._settings.name, connection, reason=reason)
        except (StoreError, RedisError, OSError) as error:
            log.warning("a loss is not yet told: %s", type(error).__name__)
        else:
            if self._unsaid is unsaid:  # else another one was lost meanwhile
                self._unsaid = None

    def _stop_backfill(self) -> None:
        if self._backfill is not None:
            self._backfill.cancel()  # the next connect begins again from the watermark

    async def _write_frames(self) -> None:
        """Store frames in the order they came, for ever; one round trip for all that wait."""
        while True:
            batch = [await self._frames.get()]
            self._storing = True
            while not self._frames.empty() and len(batch) < APPEND_MAX:
                batch.append(self._frames.get_nowait())
            await self._store_frames(batch)
            self._storing = False

    async def _store_frames(self, batch: Sequence[Frame]) -> None:
        rows = [(_said(frame), frame.raw) for frame in batch]
        while rows:
            try:
                await append(self._redis, self._keys, rows)
            except (RedisError, OSError) as error:
                # Perhaps some of it was stored: storing it twice does no harm.
                log.warning("frames wait for Redis: %s", type(error).__name__)
                await self._clock.sleep_ms(RETRY_MS)
            else:
                self.frames += len(rows)
                return

    async def _fill_gap(self, connection: str) -> None:
        """Fetch what happened since the watermark, again and again until the venue answers everything."""
        while True:
            try:
                since_ms = await self._watermark() - self._settings.overlap_ms
                await self._fetch(look_back(since_ms, await self._store.now_ms()))
                # The reconciler takes another connection here for its sign to look.
                await self._redis.hset(self._keys.control, FILLED, connection)
            except (CouldNotAsk, RedisError, OSError) as error:
                log.warning("the gap is still open: %s", error if isinstance(error, CouldNotAsk) else type(error))
                await self._clock.sleep_ms(RETRY_MS)
            except Exception:  # nobody else closes the gap, and until it is closed no new exposure goes out
                log.exception("the gap is still open")
                await self._clock.sleep_ms(RETRY_MS)
            else:
                self.current = True
                return

    async def _fetch(self, since_ms: int) -> None:
        for symbol in self._settings.symbols:
            for rows in (
                await self._venue.orders_since(symbol, since_ms),
                await self._venue.trades_since(symbol, since_ms),
            ):
                await self._store_rows(rows)

    async def _store_rows(self, rows: Rows) -> None:
        said = Evidence(source="backfill", format=rows.format, received_at_ns=self._clock.now_ns())
        await append(self._redis, self._keys, [(said, row) for row in rows.rows])
        self.backfilled += len(rows.rows)

    async def _watermark(self) -> int:
        stored = await self._redis.hget(self._keys.control, WATERMARK)
        return int(stored) if stored else await self._store.now_ms()

    async def _vouch(self) -> None:
        """Vouch for the stream while it is whole, again and again; the watermark moves with it."""
        while True:
            beat_ms = min(BEAT_MS, self._settings.lease_ms // 4)
            # A gap that is closed is said at once: until then no new exposure goes out.
            await self._clock.sleep_ms(beat_ms if self.whole else BEHIND_MS)
            self.pulse.beat()
            if not self.current:
                continue
            try:
                await self._say_lost()
                await (self._keep() if self.whole else self._declare_whole())
            except (StoreError, RedisError, OSError):
                continue  # an older watermark only fetches more, and a lease that ends is a gap

    async def _declare_whole(self) -> None:
        """Say that the gap is closed; it is when the ledger has applied what was fetched."""
        connection, settings = self._connection, self._settings
        said = await self._scripts.stream(
            "whole", settings.name, connection, lease_ms=settings.lease_ms, entry=self._marker
        )
        if connection == self._connection and self.current:
            self._marker, self.whole = said.entry, said.state == "whole"

    async def _keep(self) -> None:
        """Say that nothing is missing. Frames that stand still here are missing: then nothing is said."""
        connection, settings = self._connection, self._settings
        stored = self._frames.empty() and not self._storing
        if not stored and self.frames == self._stored_before:
            return
        self._stored_before = self.frames
        said = await self._scripts.stream(
            "keep", settings.name, connection, lease_ms=settings.lease_ms, entry="stored" if stored else ""
        )
        if said.state == "lost" and connection == self._connection and self.current:
            log.warning("nobody vouched for the stream in time: what may be missing is fetched")
            self._begin_backfill(connection)


def _said(frame: Frame) -> Evidence:
    return Evidence(
        source="stream", format=frame.format, received_at_ns=frame.received_at_ns, connection=frame.connection
    )
