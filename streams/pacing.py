"""A producer that cannot flood: what is too much waits in the process that decided it, and is counted."""

from collections.abc import Sequence

from redis.asyncio import Redis

from streams.clock import Clock
from streams.producer import Answer, IntentProducer
from streams.schemas import Cancel, Intent


class Allowance:
    """So many a second, saved up for at most one second. Pure but for what it remembers."""

    def __init__(self, per_second: int) -> None:
        """Begin with a full second's worth."""
        self._per_second, self._at_ms = per_second, 0.0
        self._left: float = per_second

    def take(self, count: int, now_ms: float) -> float:
        """Take `count`, and tell how many ms they have to wait; what is taken early is missing to those after it."""
        if self._at_ms:
            self._left += (now_ms - self._at_ms) * self._per_second / 1000
        self._left, self._at_ms = min(self._left, self._per_second) - count, now_ms
        return max(0.0, -self._left * 1000 / self._per_second)


class PacedProducer(IntentProducer):
    """As `IntentProducer`; places and amends beyond the allowance wait their turn, cancels never do.

    Attributes:
        published: intents that were answered since the start.
        held_back: of them, those that had to wait.
    """

    def __init__(self, redis: Redis, clock: Clock, per_second_max: int) -> None:
        """Bind it; `per_second_max` of 0 holds nothing back."""
        super().__init__(redis)
        self.published = self.held_back = 0
        self._clock, self._per_second = clock, per_second_max
        self._allowance = Allowance(per_second_max) if per_second_max else None

    async def publish(self, intents: Sequence[Intent]) -> list[Answer]:
        """Publish as soon as the allowance has room; raises as `IntentProducer.publish`."""
        answers: list[Answer] = []
        # In parts of one second's worth, so that those which may go do not wait for those which may not.
        size = self._per_second or len(intents) or 1
        for start in range(0, len(intents), size):
            part = intents[start : start + size]
            await self._turn(sum(not isinstance(one, Cancel) for one in part))
            answers += await super().publish(part)
            self.published += len(part)
        return answers

    async def _turn(self, count: int) -> None:
        if self._allowance is None or not count:
            return
        wait_ms = self._allowance.take(count, self._clock.monotonic_ms())
        if wait_ms:
            self.held_back += count
            await self._clock.sleep_ms(wait_ms)
