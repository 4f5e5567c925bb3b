"""The same number of fills spread over 1, 4 and 16 accounts of one server, each with a ledger process of its own.

The ledgers are stopped (SIGSTOP) while their fills are written, so that a round measures taking them and nothing else.
"""

import asyncio
import os
import signal
import time
from collections import defaultdict
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Any, Final

from msgspec import Struct
from redis.asyncio import Redis

from benchmarks.child import Child
from benchmarks.figures import Row, rate, times
from benchmarks.ground import Tell, client, open_account, served
from benchmarks.orders import PER_ORDER, entry, feed, fills, submit
from streams.keys import AccountKeys
from streams.server_config import Fsync

COUNTS: Final = (1, 4, 16)
FSYNC: Final[Fsync] = "everysec"
LOOK_S: Final = 0.002
DRAIN_MAX_S: Final = 120


class Effort(Struct, frozen=True):
    """How much is measured: rounds of each number of accounts, orders of a round over all its accounts."""

    rounds: int
    orders: int


FULL = Effort(rounds=9, orders=2_048)
QUICK = Effort(rounds=5, orders=128)
TINY = Effort(rounds=1, orders=16)


async def measure(effort: Effort, tell: Tell) -> list[Row]:
    """Measure on one server."""
    names = [f"binance.bench{number}" for number in range(max(COUNTS))]
    rounds: dict[int, list[float]] = defaultdict(list)
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(served(FSYNC))
        pool = await stack.enter_async_context(client(server.url, "bench-accounts", single=False))
        for name in names:
            await open_account(pool, name)
        ledgers = await stack.enter_async_context(Child("benchmarks.ledgers", server.url, *names))
        several = _Several(pool, names, ledgers.told["pids"])
        for number in range(effort.rounds + 1):
            if number == 1:
                rounds.clear()  # the first was to warm up
            for count in COUNTS:
                tell(f"{_accounts(count)}, round {number} of {effort.rounds}")
                rounds[count].append(await several.round(count, effort.orders))
        await ledgers.finish()
    return [rate(f"fills, {_accounts(count)}, {FSYNC}", rounds[count], "all together") for count in COUNTS] + [
        times(f"{_accounts(count)} / 1 account, {FSYNC}", rounds[count], rounds[1], better="more")
        for count in COUNTS[1:]
    ]


class _Several:
    """Accounts and their ledgers."""

    def __init__(self, pool: Redis, names: Sequence[str], pids: Sequence[int]) -> None:
        self._pool, self._names, self._pids = pool, names, pids
        self._submitted = 0

    async def round(self, count: int, orders: int) -> float:
        """Spread so many orders over the first `count` accounts; fills a second."""
        names, share = self._names[:count], orders // count
        frames = []
        for name in names:
            numbers = range(self._submitted + 1, self._submitted + share + 1)
            frames.append(list(fills(await submit(self._pool, numbers, name))))
        self._submitted += share
        await self._drained(names)
        self._all(signal.SIGSTOP)
        try:
            for name, raw in zip(names, frames, strict=True):
                await feed(self._pool, AccountKeys(name).evidence, map(entry, raw))
        finally:
            self._all(signal.SIGCONT)
        began = time.perf_counter_ns()
        await self._drained(names)
        return share * count * PER_ORDER * 1e9 / (time.perf_counter_ns() - began)

    async def _drained(self, names: Sequence[str]) -> None:
        async with asyncio.timeout(DRAIN_MAX_S):
            while await self._left(names):  # noqa: ASYNC110 - other processes work
                await asyncio.sleep(LOOK_S)

    async def _left(self, names: Sequence[str]) -> bool:
        pipe = self._pool.pipeline(transaction=False)
        for name in names:
            pipe.xinfo_groups(AccountKeys(name).evidence)
        told: list[Any] = await pipe.execute(raise_on_error=False)
        # Before its ledger has started, a stream has no group.
        return any(not isinstance(one, list) or not one or one[0]["lag"] or one[0]["pending"] for one in told)

    def _all(self, number: signal.Signals) -> None:
        for pid in self._pids:
            os.kill(pid, number)


def _accounts(count: int) -> str:
    return "1 account" if count == 1 else f"{count} accounts"
