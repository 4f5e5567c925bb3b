"""Publishing intents, one at a time and in batches, beside bare XADD of the same bytes, single and pipelined.

A round is all four; the intents of a round are made before it and new to the server.
"""

import time
from collections import defaultdict
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Final

from msgspec import Struct
from redis.asyncio import Redis

from benchmarks.figures import Row, rate, times
from benchmarks.ground import ACCOUNT, TIMEOUT_MS, Tell, client, open_account, place, served
from streams import codec
from streams.keys import AccountKeys
from streams.producer import IntentProducer, Receipt
from streams.schemas import Place
from streams.scripts import BATCH_MAX
from streams.server_config import Fsync

BATCHED_MIN: Final = 0.6
KEYS: Final = AccountKeys(ACCOUNT)
BARE: Final = f"bench:{{{ACCOUNT}}}:intents"
FSYNCS: Final[Sequence[Fsync]] = ("everysec", "always")

Rounds = dict[str, list[float]]


class Effort(Struct, frozen=True):
    """How much is measured.

    Attributes:
        rounds: of each kind; at least five, so that a median means something.
        single: intents of a round that are published one at a time.
        batches: of `BATCH_MAX` intents in a round.
    """

    rounds: int
    single: int
    batches: int


FULL = Effort(rounds=9, single=2_000, batches=20)
QUICK = Effort(rounds=5, single=200, batches=4)
TINY = Effort(rounds=1, single=3, batches=1)


async def measure(effort: Effort, tell: Tell) -> list[Row]:
    """Measure at each durability, on a server of its own."""
    return [row for fsync in FSYNCS for row in await _measure(effort, fsync, tell)]


async def _measure(effort: Effort, fsync: Fsync, tell: Tell) -> list[Row]:
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(served(fsync))
        redis = await stack.enter_async_context(client(server.url, "bench-publish"))
        await open_account(redis)
        producer, rounds = IntentProducer(redis, timeout_ms=TIMEOUT_MS), defaultdict[str, list[float]](list)
        await producer.place(place(0))  # learns the account and its symbols
        size = effort.single + effort.batches * BATCH_MAX
        for number in range(effort.rounds + 1):
            tell(f"{fsync}, round {number} of {effort.rounds}")
            if number == 1:
                rounds.clear()  # the first was to warm up
            await _round(redis, producer, [place(number * size + one + 1) for one in range(size)], effort, rounds)
        return _rows(rounds, fsync)


async def _round(
    redis: Redis, producer: IntentProducer, intents: Sequence[Place], effort: Effort, rounds: Rounds
) -> None:
    single, many = intents[: effort.single], intents[effort.single :]
    batches = [many[start : start + BATCH_MAX] for start in range(0, len(many), BATCH_MAX)]
    data = [codec.encode(one) for one in intents]

    began = time.perf_counter_ns()
    for one in single:
        await producer.place(one)
    rounds["single"].append(_rate(len(single), began))

    began = time.perf_counter_ns()
    for row in data[: effort.single]:
        await redis.xadd(BARE, {"data": row})
    rounds["bare"].append(_rate(len(single), began))

    began = time.perf_counter_ns()
    answers = [await producer.publish(batch) for batch in batches]
    rounds["batched"].append(_rate(len(many), began))
    assert all(isinstance(one, Receipt) and not one.duplicate for batch in answers for one in batch), "a duplicate"

    began = time.perf_counter_ns()
    for start in range(effort.single, len(data), BATCH_MAX):
        pipe = redis.pipeline(transaction=False)
        for row in data[start : start + BATCH_MAX]:
            pipe.xadd(BARE, {"data": row})
        await pipe.execute()
    rounds["pipelined"].append(_rate(len(many), began))
    for stream in (BARE, KEYS.intents, KEYS.events):
        await redis.xtrim(stream, maxlen=0, approximate=False)


def _rate(count: int, began_ns: int) -> float:
    return count * 1e9 / (time.perf_counter_ns() - began_ns)


def _rows(rounds: Rounds, fsync: Fsync) -> list[Row]:
    at, each = f", {fsync}", f"{BATCH_MAX} a call"
    return [
        rate(f"publish, single{at}", rounds["single"]),
        rate(f"XADD, single{at}", rounds["bare"], "bytes made before"),
        rate(f"publish, batched{at}", rounds["batched"], each),
        rate(f"XADD, pipelined{at}", rounds["pipelined"], f"{each}, bytes made before"),
        times(f"publish / XADD, single{at}", rounds["single"], rounds["bare"], better="more"),
        times(
            f"publish / XADD, batched{at}", rounds["batched"], rounds["pipelined"], better="more", limit=BATCHED_MIN
        ),
    ]  # fmt: skip
