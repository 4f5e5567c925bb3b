"""What stands beside the ledger in the same run: the floor, and what a user would write otherwise.

Each is fed with the same payloads on streams of its own and counts what it has applied.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

import orjson
from faststream.redis import RedisBroker, StreamSub
from msgspec import Struct
from redis.asyncio import Redis

from benchmarks.ground import rows
from benchmarks.orders import feed

GROUP: Final = "bench"
BATCH: Final = 256
SEEN_S: Final = 86_400
ROUND_MAX_S: Final = 120
# No check, no decision: as many writes as the ledger makes for as many entries, of the same size.
FLOOR: Final = """
local evidence, events = KEYS[1], KEYS[2]
for number = 3, #KEYS do redis.call('HSET', KEYS[number], 'state', ARGV[2]) end
for number = 1, tonumber(ARGV[4]) do redis.call('XADD', events, '*', 'data', ARGV[3]) end
return redis.call('XACK', evidence, ARGV[1], unpack(ARGV, 5))
"""


class Work(Struct, frozen=True, kw_only=True):
    """What the ledger wrote for its fills, as the server counted it.

    Attributes:
        hsets_per_fill: HSET calls.
        xadds_per_batch: XADD calls of one script call.
        journal_bytes_per_fill: of the entries of `events`.
        state: one stored state.
    """

    hsets_per_fill: float
    xadds_per_batch: float
    journal_bytes_per_fill: float
    state: bytes


class Floor:
    """XREADGROUP COUNT 256, then one script call a batch: the least that Redis can be asked to do."""

    def __init__(self, redis: Redis, account: str) -> None:
        """Bind it; `redis` is a single connection like the ledger's."""
        self._redis = redis
        self._tag = f"bench:{{{account}}}:floor"

    async def measure(self, raw: Sequence[bytes], work: Work, entries: Callable[[bytes], Any]) -> float:
        """Write that work for as many entries; entries a second."""
        stream, events = f"{self._tag}:evidence", f"{self._tag}:events"
        await self._redis.delete(stream, events)
        await self._redis.xgroup_create(stream, GROUP, id="0", mkstream=True)
        await feed(self._redis, stream, map(entries, raw))
        script = await self._redis.script_load(FLOOR)
        hashes = [f"{self._tag}:order:{number}" for number in range(max(1, round(BATCH * work.hsets_per_fill)))]
        body = b"x" * round(BATCH * work.journal_bytes_per_fill / work.xadds_per_batch)
        done, began = 0, time.perf_counter_ns()
        while done < len(raw):
            reply: Any = await self._redis.xreadgroup(GROUP, "floor", {stream: ">"}, count=BATCH)
            ids = [row[0] for row in rows(reply)]
            share = len(ids) / BATCH
            keys = [stream, events, *hashes[: max(1, round(len(hashes) * share))]]
            args = [GROUP, work.state, body[: round(len(body) * share)], round(work.xadds_per_batch), *ids]
            done += int(await self._redis.evalsha(script, len(keys), *keys, *args))
        return done * 1e9 / (time.perf_counter_ns() - began)


class ByHand:
    """redis-py by hand: SET NX, then a pipeline, for each message."""

    def __init__(self, redis: Redis, account: str) -> None:
        """Bind it; `redis` is a client as redis-py makes it."""
        self._redis = redis
        self._tag = f"bench:{{{account}}}:hand"

    async def measure(self, raw: Sequence[bytes]) -> float:
        """Apply fills; fills a second."""
        redis, stream = self._redis, f"{self._tag}:evidence"
        await redis.delete(stream)
        await redis.xgroup_create(stream, GROUP, id="0", mkstream=True)
        await feed(redis, stream, ({"raw": one} for one in raw))
        done, began = 0, time.perf_counter_ns()
        while done < len(raw):
            reply: Any = await redis.xreadgroup(GROUP, "hand", {stream: ">"}, count=BATCH)
            for entry, fields in rows(reply):
                report = orjson.loads(fields[b"raw"])["event"]
                if await redis.set(f"{self._tag}:seen:{report['i']}:{report['t']}", 1, nx=True, ex=SEEN_S):
                    pipe = redis.pipeline()
                    pipe.hset(f"{self._tag}:order:{report['c']}", mapping=_order(report))
                    pipe.xadd(f"{self._tag}:events", _event(report))
                    pipe.xack(stream, GROUP, entry)
                    await pipe.execute()
                    done += 1
        return done * 1e9 / (time.perf_counter_ns() - began)


class PerMessage:
    """A FastStream subscriber for each message: GET, HSET, XADD, SETEX, and FastStream's XACK."""

    def __init__(self, redis: Redis, url: str, account: str) -> None:
        """Bind it; FastStream opens its own connections at `url`."""
        self._redis, self._url = redis, url
        self._tag = f"bench:{{{account}}}:faststream"

    async def measure(self, raw: Sequence[bytes]) -> float:
        """Apply fills; fills a second, from the first handler's begin to the last one's end."""
        stream, redis = f"{self._tag}:evidence", self._redis
        await redis.delete(stream)
        await redis.xgroup_create(stream, GROUP, id="0", mkstream=True)
        # FastStream's own field; what is no envelope of its own it takes for the message.
        await feed(redis, stream, ({"__data__": one} for one in raw))
        broker = RedisBroker(self._url, logger=None)  # type: ignore[arg-type]  # None is its way to log nothing
        every, at_ns = asyncio.Event(), list[int]()

        @broker.subscriber(stream=StreamSub(stream, group=GROUP, consumer="one", max_records=BATCH))
        async def apply(frame: dict[str, Any]) -> None:
            at_ns.append(time.perf_counter_ns())
            report = frame["event"]
            seen = f"{self._tag}:seen:{report['i']}:{report['t']}"
            if await redis.get(seen) is not None:
                return
            await redis.hset(f"{self._tag}:order:{report['c']}", mapping=_order(report))
            await redis.xadd(f"{self._tag}:events", _event(report))
            # Its method of that name warns at each call.
            await redis.execute_command("SETEX", seen, SEEN_S, 1)  # type: ignore[no-untyped-call]  # redis-py leaves it open
            if len(at_ns) == len(raw):
                at_ns.append(time.perf_counter_ns())
                every.set()

        async with broker:
            await broker.start()
            async with asyncio.timeout(ROUND_MAX_S):
                await every.wait()
        return len(raw) * 1e9 / (at_ns[-1] - at_ns[0])


def _order(report: dict[str, Any]) -> dict[Any, Any]:
    return {"status": report["X"], "filled": report["z"], "price": report["L"]}


def _event(report: dict[str, Any]) -> dict[Any, Any]:
    return {"order": report["c"], "trade": report["t"], "quantity": report["l"], "price": report["L"]}
