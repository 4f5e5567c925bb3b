"""Reference prices: a stream that a feed or a strategy writes, and the newest of each symbol as a reader has it."""

import logging
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

import msgspec
from msgspec import Struct
from redis.asyncio import Redis

from streams import codec
from streams.keys import AccountKeys
from streams.money import in_bounds
from streams.schemas import Symbol

log = logging.getLogger("fillonce.marks")

# A reader that starts looks so far back, and nobody needs an older price.
KEPT = 10_000
PAGE = 1_000


class MarkEntry(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The `data` of one entry of `marks`; its time is that of the entry, so it is the server's own."""

    symbol: Symbol
    price: Decimal


_decoder = msgspec.json.Decoder(MarkEntry)


async def publish_mark(redis: Redis, account: str, symbol: str, price: Decimal) -> None:
    """Write a reference price; raises ValueError for one that is none."""
    if not in_bounds(price):
        raise ValueError(f"a reference price is a positive decimal of ordinary size, not {price}")
    data = codec.encode(MarkEntry(symbol=symbol, price=price))
    await redis.xadd(AccountKeys(account).marks, {"data": data}, maxlen=KEPT, approximate=True)


class Marks:
    """The newest reference price of each symbol of one account.

    Attributes:
        prices: symbol -> price and the server's time in ms.
        last: the newest entry it has; empty before the first.
    """

    def __init__(self, redis: Redis, keys: AccountKeys) -> None:
        """Bind it; nothing is read yet."""
        self.prices: dict[str, tuple[Decimal, int]] = {}
        self.last = ""
        self._redis, self._keys = redis, keys

    async def refresh(self) -> None:
        """Read what came since the last time."""
        while True:
            if self.last:
                rows: Any = await self._redis.xrange(self._keys.marks, min=f"({self.last}", count=PAGE)
            else:
                newest: Any = await self._redis.xrevrange(self._keys.marks, count=PAGE)
                rows = newest[::-1]
            self.take(rows)
            if len(rows) < PAGE:
                return

    def take(self, rows: Iterable[Any]) -> set[str]:
        """Take entries, oldest first; the symbols that have a new price."""
        return {symbol for entry, fields in rows if (symbol := self._take(entry.decode(), fields.get(b"data", b"")))}

    def _take(self, entry: str, data: bytes) -> str:
        self.last = entry
        try:
            mark = _decoder.decode(data)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            log.warning("a reference price cannot be read: %s", error)
            return ""
        if not in_bounds(mark.price):
            return ""
        self.prices[mark.symbol] = mark.price, int(entry.partition("-")[0])
        return mark.symbol
