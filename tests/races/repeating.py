"""A venue that takes every order it is sent, whatever its client order id: nothing but our record stands before it."""

from collections.abc import Sequence

import msgspec
import orjson

from adapters.binance.decode import ORDER_FORMAT, TRADE_FORMAT
from adapters.binance.facts import FACTS
from adapters.venue import Answer, Rows, Window
from streams.schemas import Accepted, Order, Refused

# It refuses late requests, so that a lost order may be sent again at all (R2); repeats it never refuses.
REPEATING = msgspec.structs.replace(
    FACTS, name="repeating", duplicates="never", request_lifetime_ms=0, lookup_lag_ms=0, clock_bound_ms=0
)


class RepeatingVenue:
    """Accepts and fills everything at once; answers with the bytes of the order and its fill.

    Attributes:
        sent: client order ids, one for each order it made.
        cancels: client order ids it was asked to cancel.
    """

    facts = REPEATING
    clock_offset_ms = 0

    def __init__(self, symbol: str = "BTCUSDT") -> None:
        self.sent: list[str] = []
        self.cancels: list[str] = []
        self._symbol = symbol

    async def submit(self, order: Order, window: Window) -> Answer:
        """Make an order, and another one for the same client order id if asked."""
        del window
        self.sent.append(order.client_order_id)
        return Answer(Accepted(), ORDER_FORMAT, self._row(len(self.sent)))

    async def cancel(self, order: Order, window: Window) -> Answer:
        """Refuse: what it takes is filled at once."""
        del window
        self.cancels.append(order.client_order_id)
        return Answer(Refused("-2011", "Unknown order sent."))

    async def find(self, order: Order) -> Rows:
        """The newest order under this client order id, as most venues answer."""
        numbers = [number for number, name in enumerate(self.sent, start=1) if name == order.client_order_id]
        return Rows(ORDER_FORMAT, [self._row(number) for number in numbers[-1:]])

    async def open_orders(self, symbol: str) -> Rows:
        """None is ever open."""
        del symbol
        return Rows(ORDER_FORMAT, [])

    async def orders_since(self, symbol: str, since_ms: int) -> Rows:
        """All of them."""
        del symbol, since_ms
        return Rows(ORDER_FORMAT, [self._row(number) for number in range(1, len(self.sent) + 1)])

    async def trades_since(self, symbol: str, since_ms: int) -> Rows:
        """None that an order does not show."""
        del symbol, since_ms
        return Rows(TRADE_FORMAT, [])

    async def trades_of(self, symbol: str, venue_order_id: str) -> Rows:
        """None that the order does not show."""
        del symbol, venue_order_id
        return Rows(TRADE_FORMAT, [])

    async def instruments(self) -> Sequence[object]:
        """Nothing to say."""
        return []

    async def measure_clock(self) -> None:
        """It has ours."""

    async def close(self) -> None:
        """Nothing is open."""

    def _row(self, number: int) -> bytes:
        fill = {"price": "100", "qty": "1", "commission": "0", "commissionAsset": "BNB", "tradeId": number}
        return orjson.dumps(
            {
                "symbol": self._symbol,
                "orderId": number,
                "clientOrderId": self.sent[number - 1],
                "status": "FILLED",
                "executedQty": "1",
                "transactTime": 1_700_000_000_000 + number,
                "side": "BUY",
                "fills": [fill],
            }
        )
