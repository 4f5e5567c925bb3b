"""Holds an order against the account's limits, worst case: everything that was sent executes. Pure.

A book is a snapshot with the name of the exposure it was read at; the claim refuses whatever was judged by
another one. So two gateways cannot both use the last room there is.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal

from msgspec import Struct
from msgspec.structs import replace

from streams.limits import Limits, limit_of
from streams.money import CONTEXT, ZERO, text
from streams.schemas import Order, Place

SECOND_MS = 1_000


class Mark(Struct, frozen=True):
    """A reference price and when it was true (UTC ms)."""

    price: Decimal
    at_ms: int


class Rate(Struct, frozen=True):
    """Orders of one strategy in one second of the server's clock."""

    second: int = 0
    count: int = 0

    @property
    def text(self) -> str:
        """As the control hash keeps it."""
        return f"{self.second}:{self.count}"


class Room(Struct, frozen=True):
    """What of one order may still execute; of a claim that is judged in the same batch, all of it."""

    strategy: str
    symbol: str
    position_side: str
    side: str
    left: Decimal
    client_order_id: str = ""
    executed: Decimal = ZERO


class Book(Struct, frozen=True, kw_only=True):
    """What orders are judged by.

    Attributes:
        exposure: name of the exposure it was read at.
        now_ms: the server's clock.
        positions: (symbol, position side) -> quantity.
        sent: orders that were sent and have not ended, unknown ones too.
        rates: strategy -> orders of its last second.
        marks: symbol -> reference price.
        contract_sizes: symbol -> base units of one contract.
    """

    exposure: str
    now_ms: int
    positions: Mapping[tuple[str, str], Decimal] = {}
    sent: Sequence[Room] = ()
    rates: Mapping[str, Rate] = {}
    marks: Mapping[str, Mark] = {}
    contract_sizes: Mapping[str, Decimal] = {}


def room_of(order: Order) -> Room | None:
    """What an order may still execute; None when it was never sent, or ended with everything counted."""
    if order.terms is None or order.status == "created" or not order.live:
        return None
    ended = order.status in ("cancelled", "rejected", "expired", "filled")
    wanted = order.quantity if order.amend is None else max(order.quantity, order.amend.quantity)
    most = order.state.reported if ended else max(wanted, order.state.reported)
    terms = order.terms
    left = max(CONTEXT.subtract(most, order.state.counted), ZERO)
    return Room(
        terms.strategy, terms.symbol, terms.position_side, terms.side, left, order.client_order_id, order.state.counted
    )  # fmt: skip


def without(client_order_id: str, quantity: Decimal, book: Book) -> tuple[Book, Decimal]:
    """Take an order that is amended out of the book; and what it may still execute with its new quantity."""
    own = [one for one in book.sent if one.client_order_id == client_order_id]
    rest = [one for one in book.sent if one.client_order_id != client_order_id]
    executed = own[0].executed if own else ZERO
    return replace(book, sent=rest), max(CONTEXT.subtract(quantity, executed), ZERO)


def refusal(  # noqa: PLR0917 - one order and what it is held against
    terms: Place, quantity: Decimal, price: Decimal | None, book: Book, limits: Limits, left: Decimal | None = None
) -> str:
    """Give the sentence that refuses an order: the limit's name, its value, and what it would come to; else empty.

    `left` is what it may still execute, where that is less than its quantity.
    """
    said = _refusal(terms, quantity, price, book, limits, left)
    if said or terms.strategy not in limits.strategies:
        return said
    own = _refusal(terms, quantity, price, book, limits.of(terms.strategy), left)
    return f"strategy {terms.strategy}: {own}" if own else ""


def _refusal(  # noqa: PLR0917 - as above
    terms: Place, quantity: Decimal, price: Decimal | None, book: Book, limits: Limits, left: Decimal | None
) -> str:
    return (
        _order_size(terms, quantity, price, book, limits)
        or _position(terms, quantity if left is None else left, book, limits)
        or _counts(terms, book, limits)
        or _collar(terms, price, book, limits)
    )


def reduces(terms: Place, quantity: Decimal, book: Book) -> bool:
    """Say whether an order can only make its position smaller, whatever of the orders on that side executes first."""
    held = book.positions.get((terms.symbol, terms.position_side), ZERO)
    if not held or (held > 0) == (terms.side == "buy"):
        return False
    return CONTEXT.add(_left(terms, terms.side, book), quantity) <= abs(held)


def claimed(terms: Place, quantity: Decimal, book: Book) -> Book:
    """The book once this order is sent, too."""
    sent = Room(terms.strategy, terms.symbol, terms.position_side, terms.side, quantity)
    return replace(book, sent=[*book.sent, sent], rates={**book.rates, terms.strategy: next_rate(terms.strategy, book)})


def next_rate(strategy: str, book: Book) -> Rate:
    """The strategy's rate with one order more."""
    second, known = book.now_ms // SECOND_MS, book.rates.get(strategy, Rate())
    return Rate(second, known.count + 1) if known.second == second else Rate(second, 1)


def _order_size(terms: Place, quantity: Decimal, price: Decimal | None, book: Book, limits: Limits) -> str:
    most = limit_of(limits.quantity_max, terms.symbol)
    if most is not None and quantity > most:
        return f"quantity_max of {terms.symbol} is {text(most)}, this order has {text(quantity)}"
    most = limit_of(limits.notional_max, terms.symbol)
    if most is None:
        return ""
    valued = price if price is not None else _mark(terms.symbol, book, limits)
    if valued is None:
        return f"notional_max of {terms.symbol} is {text(most)}, and a market order needs a fresh mark to be valued"
    size = book.contract_sizes.get(terms.symbol, Decimal(1))
    notional = CONTEXT.multiply(CONTEXT.multiply(valued, quantity), size)
    return f"notional_max of {terms.symbol} is {text(most)}, this order has {text(notional)}" if notional > most else ""


def _position(terms: Place, quantity: Decimal, book: Book, limits: Limits) -> str:
    most = limit_of(limits.position_max, terms.symbol)
    if most is None:
        return ""
    held = book.positions.get((terms.symbol, terms.position_side), ZERO)
    moved = CONTEXT.add(_left(terms, terms.side, book), quantity)
    worst = CONTEXT.add(held, moved) if terms.side == "buy" else CONTEXT.subtract(moved, held)
    if worst <= most:
        return ""
    return f"position_max of {terms.symbol} is {text(most)}, with this order and all others it could be {text(worst)}"


def _left(terms: Place, side: str, book: Book) -> Decimal:
    same = (terms.symbol, terms.position_side, side)
    total = ZERO
    for one in book.sent:
        if (one.symbol, one.position_side, one.side) == same:
            total = CONTEXT.add(total, one.left)
    return total


def _counts(terms: Place, book: Book, limits: Limits) -> str:
    most, count = limits.open_orders_max, len(book.sent) + 1
    if most is not None and count > most:
        return f"open_orders_max is {most}, this order would be number {count}"
    most, count = limits.open_orders_strategy_max, sum(one.strategy == terms.strategy for one in book.sent) + 1
    if most is not None and count > most:
        return f"open_orders_strategy_max is {most}, this order of {terms.strategy} would be number {count}"
    most, rate = limits.orders_per_second_max, next_rate(terms.strategy, book)
    if most is not None and rate.count > most:
        return f"orders_per_second_max is {most}, this order of {terms.strategy} would be number {rate.count}"
    return ""


def _collar(terms: Place, price: Decimal | None, book: Book, limits: Limits) -> str:
    collar = limits.price_collar
    if collar is None or price is None:
        return ""
    mark = _mark(terms.symbol, book, limits)
    if mark is None:
        return f"price_collar is {text(collar)}, and {terms.symbol} has no mark of the last {limits.mark_max_age_ms} ms"
    if abs(CONTEXT.subtract(price, mark)) <= CONTEXT.multiply(collar, mark):
        return ""
    return f"price_collar is {text(collar)}, and {text(price)} is further than that from {text(mark)}"


def _mark(symbol: str, book: Book, limits: Limits) -> Decimal | None:
    mark = book.marks.get(symbol)
    return mark.price if mark is not None and book.now_ms - mark.at_ms <= limits.mark_max_age_ms else None
