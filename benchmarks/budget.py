"""How long a cancel takes while a flood of new orders has used up what the venue allows, and while nothing happens.

Every role is a process, two gateways among them, beside a simulated venue with Binance's own limits: a hundred orders
in ten seconds, a weight of 6000 in a minute. Measured is from before the publish to the order's end in the journal. The
venue may not refuse a single request for its rate, or nothing was measured.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

import msgspec
from msgspec import Struct
from redis.asyncio import Redis

from adapters.simulated.limits import Limits
from adapters.simulated.liquidity import Liquidity
from adapters.simulated.process import SimulatedVenue, local_settings
from benchmarks.figures import Row, quantile, spread, times
from benchmarks.ground import ACCOUNT, Tell, client, place, served
from benchmarks.pace import pace
from benchmarks.workers import env_of, settings, worker
from consumers.roles import Task
from streams import events
from streams.keys import AccountKeys
from streams.producer import IntentProducer, Receipt
from streams.schemas import Cancel, Place
from streams.scripts import Scripts
from streams.store import Store
from streams.tasks import end
from streams.wire import stream_rows

ORDERS_10S, WEIGHT_1M = 100, 6_000  # of Binance spot
CANCEL_P99_MS: Final = 250
FLOOD_RATE, CANCEL_RATE = 200, 10
VALID_S: Final = 4  # what has found no budget by then expires, so that rounds do not pile up
LOOK_S, WAIT_MAX_S = 0.02, 120
KEYS: Final = AccountKeys(ACCOUNT)


class Effort(Struct, frozen=True):
    """How much is measured: rounds, cancels of each kind in one, seconds of flood before the first of them."""

    rounds: int
    cancels: int
    ahead_s: float


FULL = Effort(rounds=5, cancels=40, ahead_s=2)
QUICK = Effort(rounds=1, cancels=20, ahead_s=1)
TINY = Effort(rounds=1, cancels=2, ahead_s=0.1)


async def measure(effort: Effort, tell: Tell) -> list[Row]:
    """Measure cancels alone, then under the flood, round by round."""
    found: dict[str, list[float]] = defaultdict(list)
    async with AsyncExitStack() as stack:
        bench = await _Bench.open(stack)
        for number in range(effort.rounds):
            tell(f"round {number + 1} of {effort.rounds}")
            resting = await bench.resting(2 * effort.cancels)
            alone = await bench.cancel(resting[: effort.cancels])
            flood = asyncio.create_task(bench.flood(effort.ahead_s + effort.cancels / CANCEL_RATE))
            await asyncio.sleep(effort.ahead_s)
            under = await bench.cancel(resting[effort.cancels :])
            await flood
            for name, samples in (("alone", alone), ("under", under)):
                found[f"{name} p50"].append(quantile(samples, 0.5))
                found[f"{name} p99"].append(quantile(samples, 0.99))
        if refused := await bench.refused():
            raise RuntimeError(f"the venue refused {refused} requests for their rate")
    note = f"{effort.cancels} a round, {FLOOD_RATE} new orders a second beside them"
    return [
        Row(name="cancel → cancelled, alone, p99", unit="ms", spread=spread(found["alone p99"])),
        Row(name="cancel → cancelled, under a flood, p99", unit="ms", spread=spread(found["under p99"]),
            limit=CANCEL_P99_MS, note=note),
        times("cancel under a flood / alone, p50", found["under p50"], found["alone p50"], better="less", note=note),
    ]  # fmt: skip


class _Bench:
    """One account with every role running, and when each of its orders ended.

    Attributes:
        ended: client order id -> monotonic ns at which the journal told of its cancel.
    """

    def __init__(self, redis: Redis, venue: SimulatedVenue) -> None:
        self.ended: dict[str, int] = {}
        self._redis, self._venue = redis, venue
        self._store, self._producer = Store(redis, KEYS), IntentProducer(redis, timeout_ms=WAIT_MAX_S * 1000)
        self._number = 0
        self._placed: list[str] = []

    @classmethod
    async def open(cls, stack: AsyncExitStack) -> "_Bench":
        """Start server, venue and roles."""
        enter = stack.enter_async_context
        server = await enter(served("always"))
        told = msgspec.structs.replace(
            local_settings([ACCOUNT], {"USDT": Decimal(10**9)}), liquidity=Liquidity(on=False),
            limits=Limits(weight_1m=WEIGHT_1M, orders_10s=ORDERS_10S),
        )  # fmt: skip
        venue = await enter(SimulatedVenue(told))
        redis = await enter(client(server.url, "bench-budget", single=False))
        chosen = settings(server.url, rest_url=venue.rest_url, stream_url=venue.ws_url)
        # The venue is next door: nothing is late there, and nothing has to be waited for.
        account = msgspec.structs.replace(chosen.accounts[ACCOUNT], lookup_lag_ms=300, request_lifetime_ms=500)
        env = env_of(msgspec.structs.replace(chosen, accounts={ACCOUNT: account}), venue)
        tasks = [Task(role=role, account=ACCOUNT) for role in ("resolver", "ledger", "listener", "gateway")]
        tasks.append(Task(role="gateway", account=ACCOUNT, index=1))
        await asyncio.gather(*(enter(worker(one, env, redis)) for one in tasks))
        bench = cls(redis, venue)
        reading = asyncio.create_task(bench.read(await enter(client(server.url, "bench-journal"))))
        stack.push_async_callback(end, [reading])
        await bench.until(bench.ready)
        return bench

    async def ready(self) -> bool:
        """Whether new exposure may go out."""
        gate = await Scripts(self._redis, KEYS).gate()
        return gate.is_open and not gate.waits_for

    async def read(self, redis: Redis) -> None:
        """Note every cancel that the journal tells."""
        last = b"0-0"
        while True:
            reply: Any = await redis.xread({KEYS.events: last}, count=500, block=500)
            now_ns = time.perf_counter_ns()
            for rows in stream_rows(reply):
                for entry, fields in rows:
                    last = entry
                    for change in events.decode(fields[b"data"]).changes:
                        if isinstance(change, events.Updated) and change.status == "cancelled":
                            self.ended.setdefault(change.client_order_id, now_ns)

    async def resting(self, count: int) -> list[str]:
        """Wait until nothing moves, and for so many orders that rest at the venue, as fast as it takes them."""
        await self.until(self._quiet)
        missing = count - len(await self._open())
        if missing > 0:
            await self._publish(missing, WAIT_MAX_S)
        await self.until(self._quiet)
        return (await self._open())[:count]

    async def flood(self, seconds: float) -> None:
        """Publish new orders, one call each, whatever becomes of them."""
        await pace(FLOOD_RATE, range(int(seconds * FLOOD_RATE)), lambda _: self._publish(1, VALID_S))

    async def cancel(self, names: Sequence[str]) -> list[float]:
        """Cancel one after the other; ms from before the publish to the journal's word."""
        began: dict[str, int] = {}

        async def one(name: str) -> None:
            began[name] = time.perf_counter_ns()
            await self._producer.publish([Cancel(account=ACCOUNT, client_order_id=name)])

        await pace(CANCEL_RATE, names, one)
        await self.until(lambda: self._have_ended(names))
        return [(self.ended[name] - began[name]) / 1e6 for name in names]

    async def refused(self) -> int:
        """How many requests the venue refused for their rate."""
        async with self._venue.control() as control:
            return int((await control.faults())["counts"]["refused_for_rate"])

    async def until(self, condition: Any) -> None:
        """Wait for something."""
        async with asyncio.timeout(WAIT_MAX_S):
            while not await condition():  # noqa: ASYNC110 - it only asks
                await asyncio.sleep(LOOK_S)

    async def _have_ended(self, names: Sequence[str]) -> bool:
        return all(name in self.ended for name in names)

    async def _quiet(self) -> bool:
        return not set(await self._store.live_statuses()) - {"open"}

    async def _open(self) -> list[str]:
        """Those that rest, oldest first."""
        found = await self._store.orders(self._placed)
        self._placed = [one.client_order_id for one in found if one is not None and one.status == "open"]
        return list(self._placed)

    async def _publish(self, count: int, valid_s: float) -> None:
        made = []
        for _ in range(count):
            self._number += 1
            made.append(self._intent(self._number, valid_s))
        answers = await self._producer.publish(made)
        self._placed += [one.client_order_id for one in answers if isinstance(one, Receipt)]

    def _intent(self, number: int, valid_s: float) -> Place:
        now = datetime.now(UTC)
        return msgspec.structs.replace(
            place(number), signal_time=now, valid_until=now + timedelta(seconds=valid_s), price=Decimal(30_000),
            quantity=Decimal("0.001"),
        )  # fmt: skip
