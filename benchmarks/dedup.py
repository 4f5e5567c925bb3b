"""What a duplicate costs: known in local memory, and decided by Redis, beside an empty script on the same connection.

A round is bare calls as redis-py makes them, the same by our own wire, which looks for the answer of one call before it
sleeps, then duplicates; the rounds alternate, so that what disturbs the machine disturbs all. The producer that asks
Redis remembers one intent only and is given many in turn, so its memory never answers.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack

from msgspec import Struct
from redis.asyncio import Redis

from benchmarks.figures import Row, quantile, rate, ratios, spread
from benchmarks.ground import TIMEOUT_MS, Tell, client, open_account, place, served
from streams.producer import IntentProducer, Receipt
from streams.schemas import Place
from streams.scripts import BATCH_MAX
from streams.wire import SPIN_NS, command

LOCAL_P99_NS = 5_000
RATIO_MAX = 1.3
KNOWN = 64
RATE = 10_000
CONNECTIONS = 4
MICROSECOND = 1_000


class Effort(Struct, frozen=True):
    """How much is measured.

    Attributes:
        rounds: of each kind; at least five, so that a median means something.
        calls: closed-loop calls of a round.
        local_calls: local answers of a round.
        open_ms: length of one open-loop round.
    """

    rounds: int
    calls: int
    local_calls: int
    open_ms: int


FULL = Effort(rounds=9, calls=2_000, local_calls=100_000, open_ms=3_000)
QUICK = Effort(rounds=5, calls=300, local_calls=20_000, open_ms=300)
TINY = Effort(rounds=1, calls=5, local_calls=100, open_ms=20)


class OpenLoop(Struct, frozen=True):
    """One open-loop round: how late answers came after the time their intents were due, and how many came a second."""

    lateness_ns: Sequence[float]
    achieved: float


async def measure(effort: Effort, tell: Tell) -> list[Row]:
    """Measure duplicates on a server of its own."""
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(served())
        redis = await stack.enter_async_context(client(server.url, "bench-dedup"))
        await open_account(redis)
        intents = [place(number) for number in range(KNOWN)]
        await IntentProducer(redis).publish(intents)
        tell("local answers")
        rows = await _local(redis, intents, effort)
        tell("one call after the other")
        rows += await _closed(redis, intents, effort)
        tell("open loop")
        clients = [await stack.enter_async_context(client(server.url, f"bench-{n}")) for n in range(CONNECTIONS)]
        return rows + await _open(clients, intents, effort)


async def _local(redis: Redis, intents: Sequence[Place], effort: Effort) -> list[Row]:
    rounds: list[list[float]] = []
    for _ in range(effort.rounds + 1):
        producer = IntentProducer(redis)
        await producer.publish(intents)  # a local answer is from within the last second
        samples = _local_round(producer, intents, effort.local_calls)
        rounds.append(samples)
    p50, p99 = _quantiles(rounds[1:])
    return [
        Row(name="local hit p50", unit="ns", spread=spread(p50)),
        Row(name="local hit p99", unit="ns", spread=spread(p99), limit=LOCAL_P99_NS),
    ]


def _local_round(producer: IntentProducer, intents: Sequence[Place], calls: int) -> list[float]:
    samples: list[float] = []
    while len(samples) < calls:
        for intent in intents:
            began = time.perf_counter_ns()
            receipt = producer.remembered(intent)
            samples.append(time.perf_counter_ns() - began)
            assert receipt is not None, "the local memory did not answer"
    return samples


async def _closed(redis: Redis, intents: Sequence[Place], effort: Effort) -> list[Row]:
    producer = IntentProducer(redis, timeout_ms=TIMEOUT_MS, remembers_max=1)
    empty = await redis.script_load("return 0")

    async def bare(_: int) -> None:
        await redis.evalsha(empty, 0)

    async def looked_for(_: int) -> None:
        await command(redis, "EVALSHA", empty, 0, spin_ns=SPIN_NS)

    async def duplicate(number: int) -> None:
        [receipt] = await producer.publish([intents[number % KNOWN]])
        assert isinstance(receipt, Receipt)
        assert receipt.duplicate

    bare_rounds: list[list[float]] = []
    looked_rounds: list[list[float]] = []
    duplicate_rounds: list[list[float]] = []
    server_us: list[float] = []
    for _ in range(effort.rounds + 1):
        bare_rounds.append(await _calls(bare, effort.calls))
        looked_rounds.append(await _calls(looked_for, effort.calls))
        await redis.config_resetstat()
        duplicate_rounds.append(await _calls(duplicate, effort.calls))
        stats = await redis.info("commandstats")
        server_us.append(float(stats["cmdstat_evalsha"]["usec_per_call"]))
    assert producer.answers.counters.hits == 0, "the local memory answered what Redis was to answer"
    bare_p50, bare_p99 = _quantiles(bare_rounds[1:])
    looked_p50, _ = _quantiles(looked_rounds[1:])
    p50, p99 = _quantiles(duplicate_rounds[1:])
    return [
        _in_us("empty script p50", bare_p50),
        _in_us("empty script p99", bare_p99),
        _in_us("empty script, answer looked for, p50", looked_p50),
        _in_us("duplicate p50", p50),
        _in_us("duplicate p99", p99),
        Row(name="duplicate p50 / empty p50", unit="times", spread=spread(ratios(p50, bare_p50)), limit=RATIO_MAX),
        Row(name="duplicate, server time a call", unit="µs", spread=spread(server_us[1:])),
    ]


async def _calls(call: Callable[[int], Awaitable[None]], count: int) -> list[float]:
    samples: list[float] = []
    for number in range(count):
        began = time.perf_counter_ns()
        await call(number)
        samples.append(time.perf_counter_ns() - began)
    return samples


async def _open(clients: Sequence[Redis], intents: Sequence[Place], effort: Effort) -> list[Row]:
    producers = [IntentProducer(one, timeout_ms=TIMEOUT_MS, remembers_max=1) for one in clients]
    rounds = [await _open_round(producers, intents, effort.open_ms) for _ in range(effort.rounds + 1)][1:]
    p50, p99 = _quantiles([one.lateness_ns for one in rounds])
    name = f"open loop {RATE:,}/s, {CONNECTIONS} connections"
    return [
        _in_us(f"{name}, p50", p50),
        _in_us(f"{name}, p99", p99),
        _in_us(f"{name}, latest", [max(one.lateness_ns) for one in rounds]),
        rate(f"{name}, achieved", [one.achieved for one in rounds]),
    ]


async def _open_round(producers: Sequence[IntentProducer], intents: Sequence[Place], open_ms: int) -> OpenLoop:
    """Publish at fixed times, whether or not the last answers have come; what is due at once goes in one call."""
    share, step_ns = RATE * open_ms // 1000 // len(producers), 1_000_000_000 * len(producers) // RATE
    began = time.perf_counter_ns() + step_ns

    async def one(number: int, producer: IntentProducer) -> list[float]:
        lateness: list[float] = []
        first = began + number * step_ns // len(producers)
        while len(lateness) < share:
            sent, now = len(lateness), time.perf_counter_ns()
            due = min((now - first) // step_ns + 1, share) - sent
            if due <= 0:
                await asyncio.sleep(max(first + sent * step_ns - now, 0) / 1e9)
                continue
            chosen = [intents[(sent + at) % KNOWN] for at in range(min(due, BATCH_MAX, KNOWN))]
            await producer.publish(chosen)
            done = time.perf_counter_ns()
            lateness += [done - (first + at * step_ns) for at in range(sent, sent + len(chosen))]
        return lateness

    told = await asyncio.gather(*(one(number, producer) for number, producer in enumerate(producers)))
    elapsed_ns = time.perf_counter_ns() - began
    every = [sample for samples in told for sample in samples]
    return OpenLoop(every, len(every) * 1e9 / elapsed_ns)


def _quantiles(rounds: Sequence[Sequence[float]]) -> tuple[list[float], list[float]]:
    return [quantile(one, 0.5) for one in rounds], [quantile(one, 0.99) for one in rounds]


def _in_us(name: str, rounds: Sequence[float]) -> Row:
    return Row(name=name, unit="µs", spread=spread([one / MICROSECOND for one in rounds]))
