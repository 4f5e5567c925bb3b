"""Pure: one symbol of the venue: its rules, its book, its counters, and who owns what rests there."""

from decimal import Decimal

import msgspec

from adapters.simulated.matching import Book, Side, TimeInForce
from adapters.simulated.symbols import Symbol

# Far apart, so that whoever takes a trade id for an order id finds nothing.
_FIRST_ORDER_ID = 4_000_000_001
_FIRST_TRADE_ID = 700_000_001


class Quote(msgspec.Struct, frozen=True):
    """An order of the house. `price` is None to take whatever there is."""

    side: Side
    quantity: Decimal
    price: Decimal | None
    time_in_force: TimeInForce = TimeInForce.GTC


class Market:
    """One symbol: its rules, its book, its counters and the last price."""

    def __init__(self, rules: Symbol) -> None:
        self.rules = rules
        self.book = Book()
        self.last_price = rules.reference_price
        self.next_order_id = _FIRST_ORDER_ID
        self.next_trade_id = _FIRST_TRADE_ID
        self.owners: dict[int, str] = {}
        self.house: set[int] = set()

    def take_order_id(self) -> int:
        """The next order id; every order of the symbol has its own, whoever places it."""
        self.next_order_id += 1
        return self.next_order_id - 1

    def take_trade_id(self) -> int:
        """The next trade id of the symbol."""
        self.next_trade_id += 1
        return self.next_trade_id - 1
