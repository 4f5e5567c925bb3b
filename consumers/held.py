"""What a gateway leaves pending for more than its turn, and when it reads that again.

New orders wait while the venue takes none, everything but cancels while a clock is wrong, and what a switch, a gap of
the private stream or the account's start forbids until that is over.
"""

import math
from collections.abc import Callable, Collection, Sequence

from redis.exceptions import RedisError

from adapters.venue import Venue, clock_is_off
from consumers.prepare import Prepared
from streams.clock import Clock
from streams.plans import ClaimItem
from streams.reader import Reader
from streams.scripts import Scripts

# How soon entries that wait are claimed again once they may be; the reader's own blocking read adds to it.
LOOK_EVERY_MS = 100


class Held:
    """The entries of one gateway that wait.

    Attributes:
        waiting: how often an entry was left to wait, but for a halt.
        clock_off: the venue's clock and the server's differ too much for anything but cancels.
        shut_ms: asked for how long the venue is known to take no new order, for its rate.
    """

    def __init__(self, reader: Reader, scripts: Scripts, venue: Venue, clock: Clock) -> None:
        """Bind it."""
        self.waiting, self.clock_off = 0, False
        self.shut_ms: Callable[[], int] = lambda: 0
        self._reader, self._scripts, self._venue, self._clock = reader, scripts, venue, clock
        self._open_at_ms = math.inf  # when the venue takes new orders again that wait here
        self._lanes: set[tuple[str, str]] = set()  # strategy and symbol of what waits
        self._signs: Sequence[bytes | None] | None = None

    def leave(self, item: ClaimItem) -> None:
        """Remember that an entry waits until a switch, the stream, the start or a clock moves."""
        self._lanes.add((item.strategy, item.symbol))

    def is_behind(self, item: ClaimItem) -> bool:
        """Whether something of the same strategy and symbol waits, which was published before a new entry."""
        return (item.strategy, item.symbol) in self._lanes and item.command != "cancel"

    def in_turn(self, prepared: list[Prepared], new: Collection[str], reducing: Collection[str]) -> list[Prepared]:
        """Leave new entries that are behind others, but for what makes a position smaller: it waits for no exposure."""
        wanted = [
            one
            for one in prepared
            if one.item.entry not in new or one.item.entry in reducing or not self.is_behind(one.item)
        ]
        self.waiting += len(prepared) - len(wanted)
        return wanted

    def timely(self, prepared: list[Prepared]) -> list[Prepared]:
        """Leave everything but cancels while the venue's clock is too far from the server's.

        Whose clock is wrong is not known, so neither is until when a request is good; a cancel does no harm late.
        """
        self.clock_off = clock_is_off(self._venue)
        if not self.clock_off:
            return prepared
        wanted = [one for one in prepared if one.item.command == "cancel"]
        self.waiting += len(prepared) - len(wanted)
        for one in prepared:
            if one.item.command != "cancel":
                self.leave(one.item)
        return wanted

    @property
    def is_shut(self) -> bool:
        """Whether the venue takes no new order, or some wait here that come before what is read now."""
        return bool(self.shut_ms()) or self._open_at_ms != math.inf

    def unless_shut(self, prepared: list[Prepared], reducing: Collection[str]) -> list[Prepared]:
        """Leave new orders as they are while the venue takes none; `reducing` names the entries that make no exposure.

        Thrown back one by one they would keep everybody from the cancels. Once some wait, those behind them do, too,
        until they are read again: so they stay in their order.
        """
        shut_ms = self.shut_ms()
        wanted = [one for one in prepared if one.item.command != "place" or one.item.entry in reducing]
        if len(wanted) < len(prepared):
            self.waiting += len(prepared) - len(wanted)
            if shut_ms:
                self._open_at_ms = self._clock.monotonic_ms() + shut_ms
        return wanted

    async def release(self) -> None:
        """Read again what waits whenever a switch, the stream or the start has moved, or there is budget; for ever."""
        while True:
            await self._clock.sleep_ms(LOOK_EVERY_MS)
            if self._clock.monotonic_ms() >= self._open_at_ms:
                self._open_at_ms = math.inf
                self._reader.forget()
            if not self._lanes:
                continue
            try:
                signs = await self._scripts.signs()
            except (RedisError, OSError):
                continue
            if signs != self._signs or self.clock_off > clock_is_off(self._venue):
                self._signs = signs
                self._lanes.clear()
                self._reader.forget()
