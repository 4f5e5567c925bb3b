"""What an exchange is asked, by ccxt's unified calls. Everything raises CouldNotAsk where no answer means anything."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from adapters.ccxt_rest import always
from adapters.ccxt_unified import CcxtUnified, Performed, Written
from adapters.generic.answers import Row, rows_of, wait_ms, why
from adapters.generic.paging import whole
from adapters.venue import CouldNotAsk

Deed = Callable[[Any], Awaitable[Any]]


class Asking:
    """Questions to one account.

    Attributes:
        symbols: that were asked about.
    """

    def __init__(self, rest: CcxtUnified, now_ms: Callable[[], int]) -> None:
        """Bind it; `now_ms` is any clock."""
        self.symbols: dict[str, None] = {}
        self._rest, self._now_ms = rest, now_ms
        self._ask_at_ms = 0  # the exchange wants no request before

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
        return await self.pages(lambda x, since, params: x.fetch_my_trades(symbol, since, None, params), since_ms)

    async def orders(self, name: str, symbol: str, since_ms: int) -> Sequence[Row]:
        """One of ccxt's lists of orders since a moment of the exchange's clock; `name` is of the call that gives it."""
        return await self.pages(lambda x, since, params: getattr(x, name)(symbol, since, None, params), since_ms)

    async def order(self, symbol: str, venue_id: str | None, params: Mapping[str, str]) -> Row | None:
        """One order as ccxt reads it, None when the exchange says there is none."""
        self.symbols[symbol] = None
        done = await self._asked(lambda x: x.fetch_order(venue_id, symbol, dict(params)))
        if done.failure is None and isinstance(done.value, Mapping) and done.value.get("id"):
            return {**done.value, "symbol": done.value.get("symbol") or symbol}
        if "OrderNotFound" in done.errors and done.response is not None:
            return None
        raise CouldNotAsk(why(done), wait_ms(done))

    async def balance(self) -> Mapping[str, Any]:
        """What the account holds as ccxt reads it."""
        found = await self.call(lambda x: x.fetch_balance())
        if not isinstance(found, Mapping):
            raise CouldNotAsk("the exchange's statement of balances is none")
        return found

    async def call(self, deed: Deed) -> Any:
        """Give what one call of ccxt gives."""
        done = await self._asked(deed)
        if done.failure is not None:
            raise CouldNotAsk(why(done), wait_ms(done))
        return done.value

    async def pages(self, fetch: Callable[[Any, int, Mapping[str, int]], Awaitable[Any]], since_ms: int) -> list[Row]:
        """Fetch a whole list, oldest first; `fetch` is given the moment to begin with, and ccxt's `until` beside it."""

        async def page(since_ms: int, until_ms: int | None) -> list[Row]:
            params = {} if until_ms is None else {"until": until_ms}
            return rows_of(await self.call(lambda x: fetch(x, since_ms, params)))

        return await whole(page, since_ms)

    def left_ms(self) -> int:
        """For how long the exchange still wants no request."""
        return max(self._ask_at_ms - self._now_ms(), 0)

    async def perform(
        self, deed: Deed, check: Callable[[], str] = always, judge: Callable[[Written], str | None] | None = None
    ) -> Performed:
        """Have ccxt do something, as `CcxtUnified.perform`, and remember when it was asked too often."""
        done = await self._rest.perform(deed, check, judge)
        if told_ms := wait_ms(done):
            self._ask_at_ms = max(self._ask_at_ms, self._now_ms() + told_ms)
        return done

    async def _asked(self, deed: Deed) -> Performed:
        """Ask, unless the exchange was asked too often: asking on lengthens a ban, and orders come first.

        Raises:
            CouldNotAsk: nothing is asked now.
        """
        if left_ms := self.left_ms():
            raise CouldNotAsk(f"the exchange wants no request for {left_ms} ms", left_ms)
        return await self.perform(deed)
