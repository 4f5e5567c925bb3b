"""Keeps the venue's dead-man timers from firing while this account is looked after.

When nobody looks after it any more (this process, this machine or Redis is gone), the venue cancels what rests.
"""

import asyncio
import logging
from typing import Any

from redis.asyncio import Redis

from adapters.venue import Venue
from consumers.clearing import concerned
from streams.keys import AccountKeys
from streams.store import Store

log = logging.getLogger("fillonce.dead_man")

PAGE = 500
ROUNDS = 3  # so often within the time after which a timer fires: one round may fail


class DeadMan:
    """The timers of one account.

    Attributes:
        armed: symbols whose timers run.
    """

    def __init__(self, redis: Redis, keys: AccountKeys, venue: Venue, after_ms: int) -> None:
        """Bind it; a timer fires `after_ms` after the last round."""
        self.armed: set[str] = set()
        self._redis, self._keys, self._venue, self._after_ms = redis, keys, venue, after_ms
        self._store = Store(redis, keys)

    @property
    def pause_ms(self) -> int:
        """How long to wait between two rounds."""
        return self._after_ms // ROUNDS

    async def round(self) -> None:
        """Set the timers of symbols that have orders at the venue, and stop those of symbols that have none any more.

        Every symbol is tried, beside the others: a timer that is not set in time fires, and cancels what rests.

        Raises:
            CouldNotAsk, StoreUnreachable, RedisError: the first of the errors; it is repeated at the next round.
        """
        wanted = await self._symbols()
        symbols = sorted(wanted | self.armed)
        rounds = (self._set(symbol, self._after_ms if symbol in wanted else 0) for symbol in symbols)
        failed = [error for error in await asyncio.gather(*rounds, return_exceptions=True) if error is not None]
        if failed:
            raise failed[0]

    async def _set(self, symbol: str, after_ms: int) -> None:
        try:
            await self._venue.count_down(symbol, after_ms)
        except Exception as error:
            log.warning("the dead-man timer of %s was not set: %s", symbol, str(error) or type(error).__name__)
            raise
        self.armed = self.armed | {symbol} if after_ms else self.armed - {symbol}

    async def _symbols(self) -> set[str]:
        names: Any = await self._redis.zrange(self._keys.live, 0, -1)
        found: set[str] = set()
        for start in range(0, len(names), PAGE):
            page = await self._store.orders([name.decode() for name in names[start : start + PAGE]])
            orders = concerned([one for one in page if one is not None], "")
            found |= {one.terms.symbol for one in orders if one.terms is not None}
        return found
