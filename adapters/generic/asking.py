"""What an exchange is asked, by ccxt's unified calls. Everything raises CouldNotAsk where no answer means anything."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from adapters.ccxt_unified import CcxtUnified
from adapters.generic.answers import Row, at_ms, rows_of, why
from adapters.venue import CouldNotAsk

PAGES_MAX = 1_000
Deed = Callable[[Any], Awaitable[Any]]


class Asking:
    """Questions to one account.

    Attributes:
        symbols: that were asked about.
    """

    def __init__(self, rest: CcxtUnified) -> None:
        """Bind it."""
        self.symbols: dict[str, None] = {}
        self._rest = rest

    @property
    def has(self) -> Mapping[str, Any]:
        """What ccxt says that the exchange has."""
        found: Mapping[str, Any] = self._rest.exchange.has
        return found

    async def ping(self) -> None:
        """Ask for the balance, which only this account is told."""
        await self.balance()

    async def resting(self, symbol: str) -> Sequence[Row]:
        """Open orders as ccxt reads them."""
        self.symbols[symbol] = None
        return rows_of(await self.call(lambda x: x.fetch_open_orders(symbol)))

    async def one(self, symbol: str, venue_order_id: str) -> Row | None:
        """One order by the venue's id as ccxt reads it, None when there is none."""
        return await self.order(symbol, venue_order_id, {})

    async def traded(self, symbol: str, since_ms: int) -> Sequence[Row]:
        """Own trades since a moment of the exchange's clock, as ccxt reads them."""
        self.symbols[symbol] = None
        return await self.pages(lambda x, since: x.fetch_my_trades(symbol, since), since_ms)

    async def order(self, symbol: str, venue_id: str | None, params: Mapping[str, str]) -> Row | None:
        """One order as ccxt reads it, None when the exchange says there is none."""
        self.symbols[symbol] = None
        done = await self._rest.perform(lambda x: x.fetch_order(venue_id, symbol, dict(params)))
        if done.failure is None and isinstance(done.value, Mapping) and done.value.get("id"):
            return {**done.value, "symbol": done.value.get("symbol") or symbol}
        if "OrderNotFound" in done.errors and done.response is not None:
            return None
        raise CouldNotAsk(why(done))

    async def balance(self) -> Mapping[str, Any]:
        """What the account holds as ccxt reads it."""
        found = await self.call(lambda x: x.fetch_balance())
        if not isinstance(found, Mapping):
            raise CouldNotAsk("the exchange's statement of balances is none")
        return found

    async def call(self, deed: Deed) -> Any:
        """Give what one call of ccxt gives."""
        done = await self._rest.perform(deed)
        if done.failure is not None:
            raise CouldNotAsk(why(done))
        return done.value

    async def pages(self, fetch: Callable[[Any, int], Awaitable[Any]], since_ms: int) -> list[Row]:
        """Fetch a list page by page, each from the newest row of the last one on, until one holds nothing new."""
        found: dict[str, Row] = {}
        for _ in range(PAGES_MAX):
            start_ms = since_ms
            page = rows_of(await self.call(lambda x, since=start_ms: fetch(x, since)))  # type: ignore[misc]  # the default binds the loop's value
            news = [row for row in page if str(row.get("id")) not in found]
            found.update((str(row.get("id")), row) for row in news)
            newest = max((at_ms(row) for row in news), default=0)
            if newest <= since_ms:
                return list(found.values())
            since_ms = newest
        raise CouldNotAsk(f"more than {PAGES_MAX} pages; ask for less.")
