"""A strategy at work: its broker, one delivery per account, its ticks. FastStream's application owns its life."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from faststream.redis import RedisBroker
from redis.asyncio import Redis
from redis.exceptions import RedisError

from streams.clock import Clock
from streams.connection import COMMAND_TIMEOUT_MS, connect
from streams.delivery import Delivery
from streams.keys import AccountKeys
from streams.marks import Marks
from streams.measures import Measures
from streams.notices import Journal, Mark, Tick
from streams.pacing import PacedProducer
from streams.pulse import Pulse
from streams.strategy import Strategy
from streams.tasks import end
from streams.wire import stream_rows

MARKS_READ, MARKS_BLOCK_MS, RETRY_MS = 1_000, 500, 50


class Host:
    """Runs one strategy.

    Attributes:
        broker: to be started before `run`, and stopped after it.
    """

    def __init__(
        self, strategy: Strategy, url: str, accounts: Sequence[str], clock: Clock,
        timeout_ms: int = COMMAND_TIMEOUT_MS, *, intents_per_second_max: int = 0,
    ) -> None:  # fmt: skip
        """Bind it; nothing is sent yet.

        Args:
            strategy: what to run.
            url: of the server.
            accounts: whose events it is given.
            clock: for pauses and ticks.
            timeout_ms: longest wait for one answer of the server.
            intents_per_second_max: places and amends beyond it wait in this process; 0 holds nothing back.
        """
        self._strategy, self._clock, self._clients = strategy, clock, list[Redis]()

        def client(purpose: str, *, single: bool) -> Redis:
            made = connect(url, name=f"strategy.{strategy.name}-{purpose}", timeout_ms=timeout_ms, single=single)
            self._clients.append(made)
            return made

        self._client = client
        self._producer = PacedProducer(client("intents", single=False), clock, intents_per_second_max)
        self.broker: RedisBroker = strategy.broker(url, self._producer)
        self._deliveries = {
            account: Delivery(
                strategy=strategy.name, account=account, handlers=strategy.handlers,
                reader=client(f"{account}-events", single=True), commands=client(account, single=False), clock=clock,
                patience=strategy.patience, orders=strategy.of_orders,
                journal=strategy.hears(Journal), copy=strategy.copy,
            )
            for account in accounts
        }  # fmt: skip

    async def run(self) -> None:
        """Deliver until stopped.

        Raises:
            Exception: a handler of the snapshot raised.
        """
        deliveries = [asyncio.create_task(one.run()) for one in self._deliveries.values()]
        ticks = [
            asyncio.create_task(self._tick(account, period_ms))
            for account in self._deliveries
            for period_ms in sorted(self._strategy.periods_ms)
        ]
        if self._strategy.hears(Mark):
            ticks += [asyncio.create_task(self._mark(account)) for account in self._deliveries]
        try:
            await asyncio.gather(*deliveries)
        finally:
            await end([*deliveries, *ticks])

    def stop(self) -> None:
        """End `run` after what is being delivered."""
        for one in self._deliveries.values():
            one.stop()

    async def close(self) -> None:
        """Give the connections back."""
        for one in self._clients:
            await one.aclose()

    def ready(self, account: str) -> bool:
        """Whether the strategy has the account's snapshot and is given its events."""
        return self._deliveries[account].ready

    def pulse(self, account: str) -> Pulse:
        """When one account's delivery last went on."""
        return self._deliveries[account].pulse

    def measures(self) -> Measures:
        """What the strategy's producer measured, of all accounts together."""
        producer = self._producer
        return Measures(
            duplicates={"publish": producer.duplicates}, conflicts={"publish": producer.conflicts},
            caches={"answer": producer.answers.counters},
        )  # fmt: skip

    def figures(self, account: str) -> Mapping[str, Any]:
        """What one account's delivery counted since its start, and the producer of all of them."""
        producer = self._producer
        return {
            **self._deliveries[account].figures, "published": producer.published, "held_back": producer.held_back,
        }  # fmt: skip

    async def _mark(self, account: str) -> None:
        """Offer new reference prices; those that came while a handler was busy are one, the newest of each symbol."""
        redis, keys = self._client(f"{account}-marks", single=True), AccountKeys(account)
        marks = Marks(redis, keys)
        marks.last = await self._deliveries[account].marked() or "0"
        while True:
            try:
                reply: Any = await redis.xread({keys.marks: marks.last}, count=MARKS_READ, block=MARKS_BLOCK_MS)
            except (RedisError, OSError):
                await self._clock.sleep_ms(RETRY_MS)
                continue
            for rows in stream_rows(reply):
                for symbol in sorted(marks.take(rows)):
                    price, at_ms = marks.prices[symbol]
                    name = f"mark:{symbol}:{marks.last}"
                    await self._deliveries[account].offer(
                        Mark(event_id=name, account=account, at_ms=at_ms, symbol=symbol, price=price)
                    )

    async def _tick(self, account: str, period_ms: int) -> None:
        due_ms = 0
        while True:
            now_ms = self._clock.now_ns() // 1_000_000
            due_ms = max(now_ms // period_ms, due_ms // period_ms) * period_ms + period_ms
            await self._clock.sleep_ms(due_ms - now_ms)
            name = f"tick:{period_ms}:{due_ms}"
            await self._deliveries[account].offer(
                Tick(event_id=name, account=account, at_ms=due_ms, due_ms=due_ms, period_ms=period_ms)
            )
