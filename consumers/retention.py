"""Retention: what ended long ago, and what waited too long for its order, leaves by a journaled script."""

import logging

from redis.asyncio import Redis

from streams.keys import AccountKeys
from streams.lifecycle import missing
from streams.schemas import TERMINAL, from_ms
from streams.scripts import Scripts
from streams.store import Store

log = logging.getLogger("fillonce.retention")

PAGE = 100
DAY_MS = 86_400_000
PAGES_MAX = 100  # of one round; an account with more ended orders a minute catches up in the next


class Retention:
    """Lets go of what is old enough.

    Attributes:
        forgotten: records removed since the start.
        lapsed: parked executions that went to quarantine since the start.
    """

    def __init__(self, redis: Redis, keys: AccountKeys, retention_ms: int, parked_max_ms: int = DAY_MS) -> None:
        """Bind it; `retention_ms` counts from an order's last commit, `parked_max_ms` from the parking."""
        self.forgotten = self.lapsed = 0
        self._retention_ms, self._parked_max_ms = retention_ms, parked_max_ms
        self._scripts, self._store = Scripts(redis, keys), Store(redis, keys)

    async def round(self) -> None:
        """Let go of everything that is due."""
        await self.lapse_parked()
        await self.forget_old()

    async def lapse_parked(self) -> None:
        """Move executions that waited too long for their order to quarantine, where they are shown."""
        now_ms = await self._store.now_ms()
        for venue_order, waiting, since_ms in await self._store.parked():
            if now_ms - since_ms >= self._parked_max_ms:
                self.lapsed += waiting - await self._scripts.lapse(venue_order, self._parked_max_ms)

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
