"""Retention: what ended long ago, and what waited too long for its order, leaves by a journaled script."""

import logging
import re
from collections.abc import Mapping

from redis.asyncio import Redis

from streams.keys import AccountKeys
from streams.lifecycle import missing
from streams.schemas import TERMINAL, Order, from_ms
from streams.scripts import Scripts
from streams.store import Store

log = logging.getLogger("fillonce.retention")

PAGE = 100
DAY_MS = 86_400_000
SCAN_COUNT = 1_000
GLOB, ESCAPED = re.compile(r"([\\*?\[\]^])"), r"\\\1"
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
        self._redis, self._keys = redis, keys
        self._scripts, self._store = Scripts(redis, keys), Store(redis, keys)
        self._unlisted: dict[str, str] = {}  # venue symbols of symbols that are not registered any more

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
                if order is None or (order.status in TERMINAL and not missing(order)):
                    spelled = await self._venue_symbol(order, venue_symbols)
                    self.forgotten += await self._scripts.forget(name, order, spelled, self._retention_ms, month)
            if self.forgotten == before:
                return

    async def _venue_symbol(self, order: Order | None, registered: Mapping[str, str]) -> str:
        """Spell an order's symbol as its venue order keys do; empty where it has none.

        A symbol leaves the registered ones when it is delisted or no longer in the settings; its orders stay. The keys
        that are to go are looked for then, once per symbol: it is a scan of the server.
        """
        if order is None or order.terms is None or not order.state.venue_order_ids:
            return ""
        symbol = order.terms.symbol
        if symbol not in registered and symbol not in self._unlisted:
            found = await self._search(order.client_order_id, order.state.venue_order_ids[0])
            if not found:
                return ""
            self._unlisted[symbol] = found
        return registered.get(symbol) or self._unlisted[symbol]

    async def _search(self, client_order_id: str, venue_order_id: str) -> str:
        before, after = self._keys.venue_order("*", venue_order_id).split("*", 1)
        pattern = f"{before}*{GLOB.sub(ESCAPED, after)}"
        async for key in self._redis.scan_iter(match=pattern, count=SCAN_COUNT):
            if await self._redis.get(key) == client_order_id.encode():
                return str(key.decode().removeprefix(before).removesuffix(after))
        return ""
