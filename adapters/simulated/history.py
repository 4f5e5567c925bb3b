"""Pure: what each account can look up. A look-up shows nothing before its time has come (`visible_at_ms`)."""

from collections import defaultdict
from collections.abc import Iterable, Iterator

import msgspec

from adapters.simulated.orders import OPEN, Fill, Order
from adapters.simulated.refusals import Refusal, bad_combination, no_such_order

MAX_ROWS = 1000
_DAY_MS = 24 * 60 * 60 * 1000

_Key = tuple[str, str]


class Page(msgspec.Struct, frozen=True):
    """Which rows a look-up wants. `order_id` is where a list of orders begins, or whose fills are meant."""

    order_id: int | None = None
    from_id: int | None = None
    start_ms: int | None = None
    end_ms: int | None = None
    limit: int = 500


class History:
    """Every accepted order and every fill, by account and symbol, with indexes for the venue's look-ups.

    Attributes:
        hidden: how many orders and fills a look-up would have shown, had their time come.
    """

    def __init__(self) -> None:
        self.hidden = 0
        self._orders: defaultdict[_Key, dict[int, Order]] = defaultdict(dict)
        self._open: defaultdict[_Key, dict[str, int]] = defaultdict(dict)
        self._by_client_id: defaultdict[tuple[str, str, str], list[int]] = defaultdict(list)
        self._fills: defaultdict[_Key, list[Fill]] = defaultdict(list)

    def put(self, order: Order) -> None:
        """Store an order as it is now."""
        key = (order.account, order.symbol)
        if order.order_id not in self._orders[key]:
            self._by_client_id[*key, order.client_order_id].append(order.order_id)
        self._orders[key][order.order_id] = order
        if order.status in OPEN:
            self._open[key][order.client_order_id] = order.order_id
        elif self._open[key].get(order.client_order_id) == order.order_id:
            del self._open[key][order.client_order_id]

    def add(self, fill: Fill) -> None:
        """Store a fill."""
        self._fills[fill.account, fill.symbol].append(fill)

    def take(self, account: str, symbol: str, trade_id: int) -> Fill:
        """Take a fill out of every list.

        Raises:
            Refusal: -2013, when there is none.
        """
        fills = self._fills[account, symbol]
        found = next((fill for fill in fills if fill.trade_id == trade_id), None)
        if found is None:
            raise no_such_order()
        fills.remove(found)
        return found

    def hide(self, account: str, symbol: str, trade_id: int, until_ms: int) -> None:
        """Let no list show a fill before a moment of the venue's clock, though its order counts it."""
        fills = self._fills[account, symbol]
        for number, fill in enumerate(fills):
            if fill.trade_id == trade_id:
                fills[number] = msgspec.structs.replace(fill, visible_at_ms=until_ms)

    def open_count(self, account: str, symbol: str) -> int:
        """How many orders of an account are open."""
        return len(self._open[account, symbol])

    def open_order(self, account: str, symbol: str, order_id: int | None, client_order_id: str | None) -> Order | None:
        """The open order a cancel speaks of, from the matching engine itself: no lag applies."""
        key = (account, symbol)
        found = order_id if order_id is not None else self._open[key].get(client_order_id or "")
        order = self._orders[key].get(found) if found is not None else None
        if order is None or order.status not in OPEN:
            return None
        return None if client_order_id not in {None, order.client_order_id} else order

    def get(self, account: str, symbol: str, order_id: int) -> Order:
        """An order that is known to exist, lag or not."""
        return self._orders[account, symbol][order_id]

    def find(
        self, account: str, symbol: str, *, order_id: int | None, client_order_id: str | None, now_ms: int
    ) -> Order:
        """One order; by client order id the newest that shows.

        Raises:
            Refusal: -2013, which is what an order that does not show yet looks like too.
        """
        ids = [order_id] if order_id is not None else self._by_client_id[account, symbol, client_order_id or ""]
        orders = self._orders[account, symbol]
        for order in reversed([orders[i] for i in ids if i in orders]):
            if self._shows(order, now_ms):
                return order
        raise no_such_order()

    def open_orders(self, account: str, symbol: str | None, now_ms: int) -> list[Order]:
        """All open orders that show, oldest first; of every symbol when none is given."""
        keys = [key for key in self._open if key[0] == account and symbol in {None, key[1]}]
        orders = (self._orders[key][i] for key in keys for i in self._open[key].values())
        return sorted((order for order in orders if self._shows(order, now_ms)), key=lambda order: order.created_ms)

    def orders(self, account: str, symbol: str, page: Page, now_ms: int) -> list[Order]:
        """Open and closed orders as `GET /api/v3/allOrders` picks them, oldest first.

        Raises:
            Refusal: -1127, when start and end are more than a day apart.
        """
        _check_span(page.start_ms, page.end_ms)
        rows = (order for order in self._orders[account, symbol].values() if self._shows(order, now_ms))
        if page.order_id is not None:
            return [order for order in rows if order.order_id >= page.order_id][: page.limit]
        wanted = [order for order in rows if _within(order.created_ms, page.start_ms, page.end_ms)]
        return wanted[: page.limit] if page.start_ms is not None else wanted[-page.limit :]

    def fills(self, account: str, symbol: str, page: Page, now_ms: int) -> list[Fill]:
        """Fills as `GET /api/v3/myTrades` picks them, oldest first.

        Raises:
            Refusal: -1127 or -1128, when the parameters do not go together.
        """
        _check_span(page.start_ms, page.end_ms)
        timed = page.start_ms is not None or page.end_ms is not None
        if timed and (page.from_id is not None or page.order_id is not None):
            raise bad_combination()
        rows: Iterable[Fill] = (fill for fill in self._fills[account, symbol] if self._shows(fill, now_ms))
        if page.order_id is not None:
            rows = (fill for fill in rows if fill.order_id == page.order_id)
        if page.from_id is not None:
            return [fill for fill in rows if fill.trade_id >= page.from_id][: page.limit]
        wanted = [fill for fill in rows if _within(fill.time_ms, page.start_ms, page.end_ms)]
        return wanted[: page.limit] if page.start_ms is not None or page.order_id is not None else wanted[-page.limit :]

    def everything(self, account: str) -> tuple[Iterator[Order], Iterator[Fill]]:
        """All orders and fills of an account for an audit: no lag, no limit."""
        orders = (order for key, rows in self._orders.items() if key[0] == account for order in rows.values())
        fills = (fill for key, found in self._fills.items() if key[0] == account for fill in found)
        return orders, fills

    def _shows(self, record: Order | Fill, now_ms: int) -> bool:
        shows = now_ms >= record.visible_at_ms
        self.hidden += not shows
        return shows


def _within(time_ms: int, start_ms: int | None, end_ms: int | None) -> bool:
    return (start_ms is None or time_ms >= start_ms) and (end_ms is None or time_ms <= end_ms)


def _check_span(start_ms: int | None, end_ms: int | None) -> None:
    if start_ms is not None and end_ms is not None and end_ms - start_ms > _DAY_MS:
        raise Refusal(-1127, "More than 24 hours between startTime and endTime.")
