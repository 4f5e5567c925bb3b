"""Retention: orders that ended long ago leave, by a journaled script; their spent identities stay."""

import logging

from redis.asyncio import Redis

from streams.keys import AccountKeys
from streams.lifecycle import missing
from streams.schemas import TERMINAL, from_ms
from streams.scripts import Scripts
from streams.store import Store

log = logging.getLogger("fillonce.retention")

PAGE = 100
PAGES_MAX = 100  # of one round; an account with more ended orders a minute catches up in the next


class Retention:
    """Forgets what is old enough.

    Attributes:
        forgotten: records removed since the start.
    """

    def __init__(self, redis: Redis, keys: AccountKeys, retention_ms: int) -> None:
        """Bind it; `retention_ms` counts from the last commit that touched an order."""
        self.forgotten = 0
        self._redis, self._keys, self._retention_ms = redis, keys, retention_ms
        self._scripts, self._store = Scripts(redis, keys), Store(redis, keys)

    async def forget_old(self) -> None:
        """Forget every order that is due."""
        venue_symbols = {one.symbol: one.venue_symbol for one in await self._store.instruments()}
        for _ in range(PAGES_MAX):
            now_ms = await self._store.now_ms()
            due = await self._store.ended(now_ms - self._retention_ms, PAGE)
            month = from_ms(now_ms).strftime("%Y-%m")
            before = self.forgotten
            for name, order in zip(due, await self._store.orders(due), strict=True):
                symbol = order.terms.symbol if order is not None and order.terms is not None else ""
                if order is None or (order.status in TERMINAL and not missing(order)):
                    done = await self._scripts.forget(
                        name, order, venue_symbols.get(symbol, ""), self._retention_ms, month
                    )
                    self.forgotten += done
            if self.forgotten == before:
                return
