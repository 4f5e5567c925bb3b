"""Fills applied exactly once, and the same fills again, beside the floor and what a user would write otherwise.

A round is the ledger, the floor, a FastStream subscriber, redis-py by hand, the same fills known to the ledger's own
memory, and the same fills to a ledger that has none of them: what disturbs the machine disturbs all. Orders are open
and mapped before a round begins, and everything a round reads is in its stream. The ledger of a round is the one that
opened its orders, as in a pipeline that runs: it knows them. What one costs that has just started and must read every
order is the row `duplicates, asked`.
"""

import time
from collections import defaultdict
from collections.abc import Sequence
from contextlib import AsyncExitStack
from decimal import Decimal
from typing import Any, Final

from msgspec import Struct
from redis.asyncio import Redis

from benchmarks.beside import ByHand, Floor, PerMessage, Work
from benchmarks.figures import Row, rate, spread, times
from benchmarks.ground import ACCOUNT, Tell, client, open_account, served
from benchmarks.orders import PER_ORDER, Named, entry, feed, fills, ledger, submit
from consumers.ledger import Ledger
from streams.keys import AccountKeys
from streams.server_config import Fsync
from streams.store import Store

FLOOR_MIN: Final = 0.5
FASTSTREAM_MIN: Final = 10
KNOWN_MIN: Final = 0.8
KEYS: Final = AccountKeys(ACCOUNT)
FSYNCS: Final[Sequence[Fsync]] = ("everysec", "always")

Rounds = dict[str, list[float]]


class Effort(Struct, frozen=True):
    """How much is measured.

    Attributes:
        rounds: of each kind; at least five, so that a median means something.
        orders: of one round of the ledger and the floor; each has two fills.
        others: fills of one round of those that take them one by one.
    """

    rounds: int
    orders: int
    others: int


FULL = Effort(rounds=9, orders=2_500, others=1_000)
QUICK = Effort(rounds=5, orders=384, others=100)
TINY = Effort(rounds=1, orders=8, others=4)


async def measure(effort: Effort, tell: Tell) -> list[Row]:
    """Measure at each durability, on a server of its own."""
    return [row for fsync in FSYNCS for row in await _measure(effort, fsync, tell)]


async def _measure(effort: Effort, fsync: Fsync, tell: Tell) -> list[Row]:
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(served(fsync))
        redis = await stack.enter_async_context(client(server.url, "bench-ledger"))
        pool = await stack.enter_async_context(client(server.url, "bench-ledger-pool", single=False))
        await open_account(redis)
        contest = _Contest(server.url, redis, pool, effort)
        for number in range(effort.rounds + 1):
            tell(f"{fsync}, round {number} of {effort.rounds}")
            if number == 1:
                contest.rounds.clear()  # the first was to warm up
            await contest.round()
        assert await contest.position() == contest.submitted, "the position is not what the fills add up to"
        return _rows(contest.rounds, fsync)


class _Contest:
    """All contestants on one server.

    Attributes:
        rounds: figure of each round, by contestant.
        submitted: orders so far.
    """

    def __init__(self, url: str, redis: Redis, pool: Redis, effort: Effort) -> None:
        self.rounds: Rounds = defaultdict(list)
        self.submitted = 0
        self._url, self._redis, self._pool, self._effort = url, redis, pool, effort
        self._floor = Floor(redis, ACCOUNT)
        self._faststream = PerMessage(pool, url, ACCOUNT)
        self._by_hand = ByHand(pool, ACCOUNT)

    async def round(self) -> None:
        """Let each have its turn."""
        async with ledger(self._url) as first:
            orders = await self._open_orders(first, self._effort.orders)
            frames = list(fills(orders))
            await feed(self._redis, KEYS.evidence, map(entry, frames))
            work = await self._fresh(first, orders, len(frames))
            self.rounds["floor"].append(await self._floor.measure(frames, work, entry))
            self.rounds["faststream"].append(await self._faststream.measure(frames[: self._effort.others]))
            self.rounds["by hand"].append(await self._by_hand.measure(frames[: self._effort.others]))
            await self._again("known", first, frames)
        async with ledger(self._url) as second:
            await self._again("asked", second, frames)
        await self._tidy()

    async def position(self) -> Decimal:
        """What is held at the end."""
        return (await Store(self._redis, KEYS).positions())["BTC/USDT"].quantity

    async def _open_orders(self, role: Ledger, count: int) -> list[Named]:
        orders = await submit(self._pool, range(self.submitted + 1, self.submitted + count + 1))
        self.submitted += count
        await role.run(burst=True)
        return orders

    async def _fresh(self, role: Ledger, orders: Sequence[Named], count: int) -> Work:
        journal = (await self._redis.xinfo_stream(KEYS.events))["last-generated-id"]
        await self._redis.config_resetstat()
        cpu = time.process_time_ns()
        self.rounds["ledger"].append(await _drained(role, count))
        cpu = time.process_time_ns() - cpu
        stats: Any = await self._redis.info("commandstats")
        assert role.applied == count, f"{role.applied} of {count} fills were applied"
        self.rounds["python"].append(cpu / 1000 / count)
        script = stats["cmdstat_evalsha"]
        self.rounds["server"].append(script["usec"] / count)
        told: Any = await self._redis.xrange(KEYS.events, min=b"(" + journal)
        state: Any = await self._redis.hget(KEYS.order(orders[0].client_order_id), "state")
        return Work(
            hsets_per_fill=stats["cmdstat_hset"]["calls"] / count,
            xadds_per_batch=max(1, stats["cmdstat_xadd"]["calls"] / script["calls"]),
            journal_bytes_per_fill=sum(len(fields[b"data"]) for _, fields in told) / count,
            state=state,
        )

    async def _again(self, name: str, role: Ledger, frames: Sequence[bytes]) -> None:
        applied = role.applied
        await feed(self._redis, KEYS.evidence, map(entry, frames))
        self.rounds[name].append(await _drained(role, len(frames)))
        assert role.applied == applied, "a duplicate was applied"
        left = await Store(self._redis, KEYS).backlog()
        assert left["evidence"]["lag"] + left["evidence"]["pending"] == 0, "duplicates were left"

    async def _tidy(self) -> None:
        """Let every round begin with streams of the same length."""
        for stream in (KEYS.intents, KEYS.evidence, KEYS.events):
            await self._redis.xtrim(stream, maxlen=0, approximate=False)


async def _drained(role: Ledger, count: int) -> float:
    """Let a ledger take everything that waits; entries a second."""
    began = time.perf_counter_ns()
    await role.run(burst=True)
    return count * 1e9 / (time.perf_counter_ns() - began)


def _rows(rounds: Rounds, fsync: Fsync) -> list[Row]:
    at, floor = f", {fsync}", rounds["floor"]
    one = f"{PER_ORDER} fills an order"
    return [
        rate(f"ledger{at}", rounds["ledger"], one),
        rate(f"floor{at}", floor, "as many HSET, XADD and XACK as the ledger made"),
        rate(f"FastStream subscriber, GET/SETEX{at}", rounds["faststream"]),
        rate(f"redis-py by hand, SET NX{at}", rounds["by hand"]),
        rate(f"duplicates, known locally{at}", rounds["known"]),
        rate(f"duplicates, asked{at}", rounds["asked"]),
        times(f"ledger / floor{at}", rounds["ledger"], floor, better="more", limit=FLOOR_MIN),
        times(f"ledger / FastStream{at}", rounds["ledger"], rounds["faststream"], better="more", limit=FASTSTREAM_MIN),
        times(f"ledger / by hand{at}", rounds["ledger"], rounds["by hand"], better="more"),
        times(f"duplicates known / floor{at}", rounds["known"], floor, better="more", limit=KNOWN_MIN),
        times(f"duplicates asked / floor{at}", rounds["asked"], floor, better="more"),
        Row(name=f"ledger, process time a fill{at}", unit="µs", spread=spread(rounds["python"])),
        Row(name=f"ledger, server time a fill{at}", unit="µs", spread=spread(rounds["server"]), note="scripts alone"),
    ]
