"""Whether a commit costs more when more orders are known, what an order takes in Redis, and what each worker takes.

One server for each number of known orders, all running; a round is the same fills on each in turn. Orders are known in
the proportion of a pipeline that has run for long: one in ten is live, the others have ended. Where callgrind is
installed, a copy of each server does the same once more, and its instructions are counted.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import Struct
from redis.asyncio import Redis

from adapters.simulated.process import SimulatedVenue, local_settings
from benchmarks import instructions
from benchmarks.figures import Row, spread, times
from benchmarks.ground import ACCOUNT, Tell, client, open_account, open_gate, place, served
from benchmarks.orders import PER_ORDER, Named, entry, feed, fills, ledger, submit
from benchmarks.population import Kind, copy
from benchmarks.workers import env_of, settings, worker
from consumers.ledger import Ledger
from consumers.roles import ROLES, Task
from streams.keys import AccountKeys
from streams.producer import IntentProducer
from streams.server import EmbeddedServer
from streams.server_config import Fsync
from streams.store import Store

GROWTH_MAX: Final = 1.15
TERMINAL_BYTES_MAX: Final = 900
RSS_MB_MAX: Final = 250
FSYNC: Final[Fsync] = "everysec"
KEYS: Final = AccountKeys(ACCOUNT)
# A rewrite of the append-only file beside a round would be measured with it.
QUIET_SERVER: Final = {"auto-aof-rewrite-percentage": "0"}
FIRST_ORDER, FIRST_COPY = 10**9, 2 * 10**9
LIVE_SHARE: Final = 0.1
TRADED: Final = 20
BALANCES: Final = {"BTC": Decimal(1_000_000), "USDT": Decimal(10**12)}
QUIET_S, LOOK_S = 60, 0.02


class Effort(Struct, frozen=True):
    """How much is measured.

    Attributes:
        rounds: of everything.
        orders: filled in each round.
        known: numbers of orders known, fewest first.
        counts: rounds in which instructions are counted.
    """

    rounds: int
    orders: int
    known: tuple[int, ...]
    counts: int = 0


FULL = Effort(rounds=9, orders=512, known=(1_000, 100_000, 1_000_000), counts=3)
QUICK = Effort(rounds=5, orders=128, known=(1_000, 50_000))
TINY = Effort(rounds=1, orders=4, known=(100, 200), counts=1)

Rounds = dict[int, list[float]]


async def measure(effort: Effort, tell: Tell) -> list[Row]:
    """Measure on a server for each number of known orders, and the workers beside the last one."""
    async with AsyncExitStack() as stack:
        grounds = []
        for known in effort.known:
            tell(f"making {known:,} orders")
            grounds.append(await _Ground.open(stack, known, effort.rounds))
        for number in range(effort.rounds + 1):
            tell(f"round {number} of {effort.rounds}")
            for ground in grounds:
                await ground.round(effort.orders, warm=number == 0)
        if effort.counts and instructions.are_countable():
            for ground in grounds:
                tell(f"counting instructions with {ground.known:,} orders known")
                await ground.count(effort.orders, effort.counts)
        tell("memory of the workers")
        rows = [row for ground in grounds for row in ground.rows()]
        first, last = grounds[0], grounds[-1]
        more = f"{last.known:,} / {first.known:,} orders"
        rows += [
            times(f"{words}, {more}", last.costs[name], first.costs[name], better="less", limit=GROWTH_MAX)
            for name, words in WORDS.items()
            if name in first.costs
        ]
        return rows + last.bytes_rows() + await _workers(stack, last, effort.rounds)


WORDS: Final = {
    "server": "server time a commit of a fill",
    "server cpu": "server processor time a fill",
    "python": "process time a fill",
    "instructions": "server instructions a fill",
}
NOTES: Final = {"server": "INFO commandstats", "server cpu": "INFO cpu", "instructions": "counted by callgrind"}
UNITS: Final = {"instructions": "instructions"}


class _Ground:
    """One server that knows a number of orders.

    Attributes:
        known: how many.
        server: the embedded one.
        redis: a pool.
        costs: what a fill took in each round, by what is measured: `WORDS`.
    """

    def __init__(self, server: EmbeddedServer, redis: Redis, known: int, submitted: int = FIRST_ORDER) -> None:
        self.server, self.redis, self.known = server, redis, known
        self.costs: defaultdict[str, list[float]] = defaultdict(list)
        self._bytes: dict[Kind, list[float]] = {}
        self._submitted = submitted

    @classmethod
    async def open(cls, stack: AsyncExitStack, known: int, blocks: int) -> "_Ground":
        """Start a server and make its orders, in equal blocks."""
        server = await stack.enter_async_context(served(FSYNC, QUIET_SERVER))
        redis = await stack.enter_async_context(client(server.url, "bench-growth", single=False))
        await open_account(redis)
        ground = cls(server, redis, known)
        async with ledger(server.url) as role:
            live, ended = await ground._orders(role, 2)
            await feed(redis, KEYS.evidence, map(entry, fills([ended])))
            await role.run(burst=True)
        await ground._tidy()
        first = FIRST_COPY
        shares: tuple[tuple[Kind, Named, float], ...] = (
            ("live", live, LIVE_SHARE), ("ended", ended, 1 - LIVE_SHARE),
        )  # fmt: skip
        for kind, order, share in shares:
            block = round(known * share / blocks)
            ground._bytes[kind] = [
                await ground._grow(order, kind, range(first + block * n, first + block * (n + 1)))
                for n in range(blocks)
            ]
            first += block * blocks
        return ground

    async def round(self, orders: int, *, warm: bool) -> None:
        """Fill new orders; what that cost a ledger that runs and has opened them itself."""
        async with self._fed(orders) as (role, frames):
            await self.redis.config_resetstat()
            busy_us, cpu = await self._busy_us(), time.process_time_ns()
            await role.run(burst=True)
            cpu, busy_us = time.process_time_ns() - cpu, await self._busy_us() - busy_us
        stats: Any = await self.redis.info("commandstats")
        if not warm:
            self.costs["server"].append(stats["cmdstat_evalsha"]["usec"] / frames)
            self.costs["server cpu"].append(busy_us / frames)
            self.costs["python"].append(cpu / 1000 / frames)
        await self._tidy()

    async def count(self, orders: int, rounds: int) -> None:
        """Fill new orders on a copy of the server, instruction by instruction."""
        async with (
            instructions.counted(self.server, self.redis, FSYNC) as (server, counter),
            client(server.url, "bench-count", single=False) as redis,
        ):
            await open_gate(redis)
            copied = _Ground(server, redis, self.known, self._submitted)
            for number in range(rounds + 1):
                async with copied._fed(orders) as (role, frames):
                    await counter.begin()
                    await role.run(burst=True)
                    total = await counter.end()
                if number:  # the first was to warm up
                    self.costs["instructions"].append(total / frames)
                await copied._tidy()

    def rows(self) -> list[Row]:
        """What a fill cost."""
        return [
            Row(name=f"{words}, {self.known:,} orders", unit=UNITS.get(name, "µs"), spread=spread(self.costs[name]),
                note=NOTES.get(name, ""))
            for name, words in WORDS.items()
            if name in self.costs
        ]  # fmt: skip

    def bytes_rows(self) -> list[Row]:
        """What an order takes: its record and every key that points at it, by the server's own count."""
        note = f"{PER_ORDER} fills; growth of the server's memory, {self.known:,} orders"
        return [
            Row(name="bytes of a live order", unit="B", spread=spread(self._bytes["live"]), note="no fill yet"),
            Row(name="bytes of a terminal order", unit="B", spread=spread(self._bytes["ended"]),
                limit=TERMINAL_BYTES_MAX, note=note),
        ]  # fmt: skip

    @asynccontextmanager
    async def _fed(self, orders: int) -> AsyncIterator[tuple[Ledger, int]]:
        """A ledger that has opened new orders itself, and how many fills of them wait for it."""
        async with ledger(self.server.url) as role:
            frames = list(fills(await self._orders(role, orders)))
            await feed(self.redis, KEYS.evidence, map(entry, frames))
            yield role, len(frames)

    async def _orders(self, role: Ledger, count: int) -> list[Named]:
        orders = await submit(self.redis, range(self._submitted, self._submitted + count))
        self._submitted += count
        await role.run(burst=True)
        return orders

    async def _grow(self, order: Named, kind: Kind, numbers: range) -> float:
        before = await self._memory()
        await copy(self.redis, KEYS, order, kind, numbers)
        return (await self._memory() - before) / len(numbers)

    async def _memory(self) -> int:
        told: Any = await self.redis.info("memory")
        return int(told["used_memory"]) - int(told["mem_aof_buffer"]) - int(told["mem_clients_normal"])

    async def _busy_us(self) -> float:
        """Processor time of the thread that runs every command; the time of the kernel for others is not in it."""
        told: Any = await self.redis.info("cpu")
        return 1e6 * (float(told["used_cpu_user_main_thread"]) + float(told["used_cpu_sys_main_thread"]))

    async def _tidy(self) -> None:
        for stream in (KEYS.intents, KEYS.evidence, KEYS.events):
            await self.redis.xtrim(stream, maxlen=0, approximate=False)


async def _workers(stack: AsyncExitStack, ground: _Ground, rounds: int) -> list[Row]:
    """Run every role as a process while orders are traded; the memory of each after every round."""
    enter, redis = stack.enter_async_context, ground.redis
    venue = await enter(SimulatedVenue(local_settings([ACCOUNT], BALANCES)))
    env = env_of(settings(ground.server.url, rest_url=venue.rest_url, stream_url=venue.ws_url), venue)
    tasks = [Task(role=role, account=ACCOUNT) for role in ROLES]
    pids = dict(zip(ROLES, await asyncio.gather(*(enter(worker(one, env, redis)) for one in tasks)), strict=True))
    memory: dict[str, list[float]] = {role: [] for role in ROLES}
    producer = IntentProducer(redis, timeout_ms=QUIET_S * 1000)
    for number in range(rounds):
        intents = [
            msgspec.structs.replace(place(number * TRADED + one), type="market", price=None, quantity=Decimal("0.001"))
            for one in range(TRADED)
        ]
        await producer.publish(intents)
        await _quiet(redis)
        for role, pid in pids.items():
            memory[role].append(_rss_mb(pid))
    note = f"resident, {ground.known:,} orders known, 1 symbol"
    return [
        Row(name=f"{role} process", unit="MB", spread=spread(memory[role]), limit=RSS_MB_MAX, note=note)
        for role in ROLES
    ]


async def _quiet(redis: Redis) -> None:
    """Wait until what was published has been sent, answered and committed."""
    async with asyncio.timeout(QUIET_S):
        while _left(await Store(redis, KEYS).backlog()):  # noqa: ASYNC110 - other processes work
            await asyncio.sleep(LOOK_S)


def _left(backlog: dict[str, dict[str, int]]) -> int:
    return sum(row["lag"] + row["pending"] for row in backlog.values())


def _rss_mb(pid: int) -> float:
    """Resident memory of a process; Linux only, zero elsewhere."""
    lines: Sequence[str] = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS:"))
