"""Venue frames stored raw, beside a loop that only receives frames and pipelines XADD; the venue is another process."""

import asyncio
import time
from collections import defaultdict
from contextlib import AsyncExitStack
from typing import Any, Final, cast

from msgspec import Struct
from redis.asyncio import Redis
from websockets.asyncio.client import connect

from adapters.venue import Venue
from benchmarks.child import Child
from benchmarks.figures import Row, rate, times
from benchmarks.ground import ACCOUNT, Tell, client, open_account, served
from benchmarks.stream_venue import StreamVenue
from consumers.listener import APPEND_MAX, Listener, ListenerSettings
from streams.clock import SystemClock
from streams.keys import AccountKeys
from streams.server_config import Fsync

KEYS: Final = AccountKeys(ACCOUNT)
BARE: Final = f"bench:{{{ACCOUNT}}}:evidence"
LOOK_S: Final = 0.002
FSYNCS: Final[tuple[Fsync, ...]] = ("everysec", "always")


class Effort(Struct, frozen=True):
    """How much is measured: rounds of each kind, frames of a round."""

    rounds: int
    frames: int


FULL = Effort(rounds=9, frames=20_000)
QUICK = Effort(rounds=5, frames=2_000)
TINY = Effort(rounds=1, frames=20)


async def measure(effort: Effort, tell: Tell) -> list[Row]:
    """Measure at each durability, on a server of its own."""
    async with Child("benchmarks.stream_venue", str(effort.frames)) as venue:
        url = f"ws://127.0.0.1:{venue.told['port']}"
        return [row for fsync in FSYNCS for row in await _measure(url, effort, fsync, tell)]


async def _measure(url: str, effort: Effort, fsync: Fsync, tell: Tell) -> list[Row]:
    rounds: dict[str, list[float]] = defaultdict(list)
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(served(fsync))
        redis = await stack.enter_async_context(client(server.url, "bench-bare"))
        pool = await stack.enter_async_context(client(server.url, "bench-listener", single=False))
        await open_account(redis)
        for number in range(effort.rounds + 1):
            tell(f"{fsync}, round {number} of {effort.rounds}")
            if number == 1:
                rounds.clear()  # the first was to warm up
            rounds["listener"].append(await _listen(pool, url, effort.frames))
            rounds["bare"].append(await _bare(redis, url, effort.frames))
            assert await redis.xlen(KEYS.evidence) == await redis.xlen(BARE) == effort.frames, "frames are missing"
            await redis.delete(KEYS.evidence, BARE)
    at = f", {fsync}"
    return [
        rate(f"listener, frames{at}", rounds["listener"]),
        rate(f"recv and pipelined XADD, frames{at}", rounds["bare"]),
        times(f"listener / recv and XADD{at}", rounds["listener"], rounds["bare"], better="more"),
    ]


async def _listen(pool: Redis, url: str, count: int) -> float:
    """Let the real listener store so many frames; frames a second, connecting and subscribing included."""
    clock = SystemClock()
    listener = Listener(
        redis=pool, keys=KEYS, venue=cast("Venue", StreamVenue(url, lambda: time.time_ns() // 1_000_000)),
        settings=ListenerSettings(symbols=("BTC/USDT",), overlap_ms=1), clock=clock,
    )  # fmt: skip
    began = time.perf_counter_ns()
    running = asyncio.create_task(listener.run())
    while listener.frames < count and not running.done():  # noqa: ASYNC110 - it only counts
        await asyncio.sleep(LOOK_S)
    elapsed = time.perf_counter_ns() - began
    listener.stop()
    await running
    return count * 1e9 / elapsed


async def _bare(redis: Redis, url: str, count: int) -> float:
    """Receive and append, and nothing else; frames a second."""
    dialogue = StreamVenue(url, lambda: 0).dialogue
    began, done = time.perf_counter_ns(), 0
    async with connect(url, proxy=None, compression=None) as socket:
        await socket.send(dialogue.subscribe())
        await socket.recv()
        while done < count:
            pipe: Any = redis.pipeline(transaction=False)
            for _ in range(min(APPEND_MAX, count - done)):
                pipe.xadd(BARE, {"raw": await socket.recv(decode=False)})
            done += len(await pipe.execute())
    return count * 1e9 / (time.perf_counter_ns() - began)
