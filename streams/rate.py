"""The shared request budget of one account: asks Redis, and keeps a little so that it seldom has to.

Far from a limit the script grants a hundredth of it beyond what is needed; what is kept is used without asking, for a
second and until the window nears its end. It was counted when it was granted, so no process can use more than there is.
"""

import logging
from collections.abc import Sequence

from redis.exceptions import RedisError

from streams.budget import Cost, Counter, Grant, Pot, Reading, Told, Usage, learned, plan
from streams.clock import Clock
from streams.errors import StoreError
from streams.scripts import Scripts

log = logging.getLogger("fillonce.rate")

# What is kept is used without asking, so a block that another process met is heard of after this time at the latest.
KEEP_MS = 1_000
# When the server gives no answer, a look-up is asked again so much later.
UNREACHABLE_MS = 1_000


class _Pocket:
    """What was granted beyond need, and until when it is good."""

    def __init__(self) -> None:
        self.left, self.until_ms = 0, 0

    def take(self, need: int, now_ms: int) -> bool:
        if now_ms >= self.until_ms or self.left < need:
            return False
        self.left -= need
        return True

    def put(self, units: int, until_ms: int, now_ms: int) -> None:
        """Units of an older window are worth nothing."""
        kept = self.left if now_ms < self.until_ms else 0
        self.left, self.until_ms = kept + units, max(until_ms, self.until_ms) if kept else until_ms


class Rate:
    """The budgets of one account in one process; an `Allowance`.

    Attributes:
        asked: calls of the server for a grant.
        turned_away: requests that had to wait.
    """

    def __init__(self, scripts: Scripts, pots: Sequence[Pot], clock: Clock) -> None:
        """Bind it; the scripts are on a pool, because requests go out side by side."""
        self.asked = self.turned_away = 0
        self._scripts, self._clock = scripts, clock
        # What is scarce first: a request that is turned away has spent nothing of the others.
        self._pots = sorted(pots, key=lambda pot: pot.of != "orders")
        self._pockets = {number: _Pocket() for number in range(len(self._pots))}
        self._told: dict[str, Told] = {}

    async def take(self, cost: Cost, *, ahead_ms: int, patience_ms: int = 0) -> int:
        """Take what a request costs, or nothing; see `Allowance`.

        A server that gives no answer stops look-ups and no command: a claim has just succeeded there, so no more than
        what is in flight goes out uncounted, and the venue's own count is told with its answer.
        """
        deadline_ms = self._clock.monotonic_ms() + patience_ms
        while True:
            try:
                wait_ms = await self._take(cost, ahead_ms)
            except (StoreError, RedisError, OSError) as error:
                log.warning("the request budget is not known: %s", type(error).__name__)
                return UNREACHABLE_MS if cost.urgency == "query" else 0
            if not wait_ms:
                return 0
            if self._clock.monotonic_ms() + wait_ms > deadline_ms:
                self.turned_away += 1
                return wait_ms
            await self._clock.sleep_ms(wait_ms)

    async def heard(self, usage: Usage, *, ahead_ms: int, began_ms: int, ended_ms: int) -> None:
        """Learn from an answer; the server is told with the next question, of a refusal or another limit at once."""
        urgent = {number for number, pot in enumerate(self._pots) if usage.block_ms and pot.of == "weight"}
        for number, pot in enumerate(self._pots):
            for reading in usage.readings:
                if self._learn(pot, reading, began_ms=began_ms, ended_ms=ended_ms, over=usage.over):
                    urgent.add(number)
        for number in urgent:
            self._pockets[number].left = 0
            block_ms = usage.block_ms if self._pots[number].of == "weight" else 0
            try:
                await self._call(number, 0, Cost("cancel"), ahead_ms, block_ms)
            except (StoreError, RedisError, OSError) as error:
                log.warning("what the venue said of a budget is not told: %s", type(error).__name__)

    def _learn(self, pot: Pot, reading: Reading, *, began_ms: int, ended_ms: int, over: bool) -> bool:
        """Remember a reading; whether the server is to be told at once."""
        counter = _named(pot, reading)
        if counter is None:
            return False
        known = self._told.get(counter.name, Told())
        now = learned(known, reading, counter, began_ms=began_ms, ended_ms=ended_ms, over=over)
        self._told[counter.name] = now
        return over or now.limit != known.limit

    async def _take(self, cost: Cost, ahead_ms: int) -> int:
        taken: list[tuple[int, int]] = []
        for number, pot in enumerate(self._pots):
            need = pot.need(cost)
            if not need:
                continue
            wait_ms = await self._take_one(number, need, cost, ahead_ms)
            if wait_ms:
                for other, units in taken:
                    self._pockets[other].left += units
                return wait_ms
            taken.append((number, need))
        return 0

    async def _take_one(self, number: int, need: int, cost: Cost, ahead_ms: int) -> int:
        pocket = self._pockets[number]
        if pocket.take(need, self._clock.monotonic_ms()):
            return 0
        self.asked += 1
        began_ms = self._clock.monotonic_ms()
        grant = await self._call(number, need, cost, ahead_ms, 0)
        if not grant.wait_ms:
            until_ms = began_ms + min(grant.good_ms, KEEP_MS)
            pocket.put(grant.granted - need, until_ms, self._clock.monotonic_ms())
        return grant.wait_ms

    async def _call(self, number: int, need: int, cost: Cost, ahead_ms: int, block_ms: int) -> Grant:
        pot = self._pots[number]
        packed = plan(pot, need, cost.urgency, self._told, ahead_ms=ahead_ms, block_ms=block_ms)
        return await self._scripts.spend(pot.key, packed)


def _named(pot: Pot, reading: Reading) -> Counter | None:
    """Find the counter a reading is of."""
    if pot.of != reading.of:
        return None
    return next((one for one in pot.counters if one.interval_ms == reading.interval_ms), None)
