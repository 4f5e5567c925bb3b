"""The shared request budget of one account: asks Redis, and keeps a little so that it seldom has to.

Far from a limit the script grants a hundredth of it beyond what is needed; what is kept is used without asking, until
the window nears its end. It was counted when it was granted, so no process can use more than there is. Every grant is a
write, which the server may have to put on disk first; so requests in a row pay for one of them together.
"""

import asyncio
import logging
from collections.abc import Sequence

from redis.exceptions import RedisError

from streams.budget import Cost, Counter, Grant, Pot, Reading, Told, Usage, learned, plan
from streams.clock import Clock
from streams.errors import StoreError, StoreUnreachable
from streams.scripts import Scripts

log = logging.getLogger("fillonce.rate")

# What is kept is used without asking for more, so this often it is asked whether another process met a block.
BLOCK_EVERY_MS = 1_000
# When the server gives no answer, a look-up is asked again so much later.
UNREACHABLE_MS = 1_000


class _Pocket:
    """What was granted beyond need, and until when it is good; and whether somebody is asking for more."""

    def __init__(self) -> None:
        self.left = self.until_ms = self.heard_ms = 0
        self.asking: asyncio.Future[bool] | None = None  # False: the server gave no answer

    def holds(self, need: int, now_ms: int) -> bool:
        """Whether there is enough that is good, and nobody need be asked whether another process met a block."""
        return self.left >= need and now_ms < self.until_ms and now_ms - self.heard_ms < BLOCK_EVERY_MS

    def take(self, need: int, now_ms: int) -> bool:
        if now_ms >= self.until_ms or self.left < need:
            return False
        self.left -= need
        return True

    def put(self, units: int, until_ms: int, now_ms: int) -> None:
        """Put more to what is still good; all of it is good as long as the part that ends first."""
        kept = self.left if now_ms < self.until_ms else 0
        self.left, self.until_ms = kept + units, min(until_ms, self.until_ms) if kept else until_ms


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
        self._shut_until_ms = 0
        self._scarce = False  # then one after the other, so that who is turned away has spent nothing of the rest
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

    def shut_ms(self) -> int:
        """For how long no new order will find budget, as far as is known here: a claim would only be thrown back."""
        return max(0, self._shut_until_ms - self._clock.monotonic_ms())

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
        """Take of every pot, or of none: what was taken in vain stays here while it is good."""
        wanted = [(number, need) for number, pot in enumerate(self._pots) if (need := pot.need(cost))]
        if self._take_kept(wanted):
            return 0
        waits: list[int] = []
        if self._scarce:
            for number, need in wanted:
                waits.append(await self._take_one(number, need, cost, ahead_ms))
                if waits[-1]:
                    break
        else:
            waits += await asyncio.gather(*(self._take_one(number, need, cost, ahead_ms) for number, need in wanted))
        self._scarce = any(waits)
        if self._scarce:
            for (number, need), wait_ms in zip(wanted, waits, strict=False):
                self._pockets[number].left += 0 if wait_ms else need
        return max(waits, default=0)

    def _take_kept(self, wanted: Sequence[tuple[int, int]]) -> bool:
        """Take all of it from what is kept here, where nobody has to be asked: the way of nearly every request."""
        now_ms = self._clock.monotonic_ms()
        pockets = [(self._pockets[number], need) for number, need in wanted]
        if not all(pocket.holds(need, now_ms) for pocket, need in pockets):
            return False
        for pocket, need in pockets:
            pocket.left -= need
        self._scarce = False
        return True

    async def _take_one(self, number: int, need: int, cost: Cost, ahead_ms: int) -> int:
        pocket = self._pockets[number]
        if pocket.take(need, self._clock.monotonic_ms()):
            return await self._unless_blocked(number, need)
        # Requests that begin at the same moment need one answer where it grants enough for all of them.
        if (leader := pocket.asking) is not None:
            await asyncio.wait([leader])
            if not leader.result():
                raise StoreUnreachable("The server gave who asked before no answer.")
            if pocket.take(need, self._clock.monotonic_ms()):
                return 0
        asking: asyncio.Future[bool] = pocket.asking or asyncio.get_running_loop().create_future()
        pocket.asking, answered = asking, False
        try:
            wait_ms = await self._ask(number, need, cost, ahead_ms)
            answered = True
            return wait_ms
        finally:
            if pocket.asking is asking:
                pocket.asking = None
            if not asking.done():
                asking.set_result(answered)

    async def _unless_blocked(self, number: int, need: int) -> int:
        """Use what was kept, if no other process has met a block since it was asked last."""
        pocket, pot, now_ms = self._pockets[number], self._pots[number], self._clock.monotonic_ms()
        if now_ms - pocket.heard_ms < BLOCK_EVERY_MS:
            return 0
        pocket.heard_ms = now_ms
        wait_ms = await self._scripts.blocked_ms(pot.key, pot.blocked)
        if wait_ms:
            pocket.left += need
            pocket.heard_ms = 0
        return wait_ms

    async def _ask(self, number: int, need: int, cost: Cost, ahead_ms: int) -> int:
        pocket = self._pockets[number]
        self.asked += 1
        began_ms = self._clock.monotonic_ms()
        grant = await self._call(number, need, cost, ahead_ms, 0)
        if grant.wait_ms and cost.urgency == "new":
            self._shut_until_ms = self._clock.monotonic_ms() + grant.good_ms
        if not grant.wait_ms:
            pocket.heard_ms = began_ms
            pocket.put(grant.granted - need, began_ms + grant.good_ms, self._clock.monotonic_ms())
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
