"""Pure: one symbol's order book with price-time priority.

Time in force follows Binance spot (enums page of its API documentation): GTC rests, IOC expires what did not match,
FOK matches everything or nothing, a post-only order that would take is rejected. The same calls give the same events.
"""

from bisect import bisect_left, insort
from collections.abc import Iterator
from decimal import Decimal
from enum import Enum

import msgspec

ZERO = Decimal(0)


class Side(Enum):
    """Which way an order trades."""

    BUY = "BUY"
    SELL = "SELL"


class TimeInForce(Enum):
    """How long an order may wait for a counterparty."""

    GTC = "GTC"
    IOC = "IOC"
    FOK = "FOK"


class Submission(msgspec.Struct, frozen=True):
    """An order as the book sees it. `price` is None for a market order, which never rests."""

    order_id: int
    side: Side
    quantity: Decimal
    price: Decimal | None
    time_in_force: TimeInForce = TimeInForce.GTC
    post_only: bool = False


class Accepted(msgspec.Struct, frozen=True, tag=True):
    """The book took the order; what follows in the same answer happened to it at once."""

    order_id: int


class Rejected(msgspec.Struct, frozen=True, tag=True):
    """A post-only order that would have taken liquidity: the book is as it was."""

    order_id: int


class Trade(msgspec.Struct, frozen=True, tag=True):
    """One match, at the resting order's price."""

    maker_order_id: int
    taker_order_id: int
    taker_side: Side
    price: Decimal
    quantity: Decimal


class Expired(msgspec.Struct, frozen=True, tag=True):
    """The rest of an order that may not wait."""

    order_id: int
    remaining: Decimal


class Cancelled(msgspec.Struct, frozen=True, tag=True):
    """A resting order taken off the book."""

    order_id: int
    remaining: Decimal


Event = Accepted | Rejected | Trade | Expired


class Level(msgspec.Struct, frozen=True):
    """All that rests at one price."""

    price: Decimal
    quantity: Decimal


class Resting(msgspec.Struct, frozen=True):
    """An order on the book."""

    order_id: int
    side: Side
    price: Decimal
    remaining: Decimal


class Book:
    """The resting orders of one symbol. Order ids must be unique; the caller counts them."""

    def __init__(self) -> None:
        self._sides = {Side.BUY: _Ladder(Side.BUY), Side.SELL: _Ladder(Side.SELL)}
        self._resting: dict[int, Resting] = {}

    def submit(self, order: Submission) -> tuple[Event, ...]:
        """Match one order and rest what is left of it if it may.

        Raises:
            ValueError: the order id is already on the book.
        """
        if order.order_id in self._resting:
            raise ValueError(f"order {order.order_id} is already on the book; give every order its own id")
        if order.post_only and self.crosses(order):
            return (Rejected(order.order_id),)
        if order.time_in_force is TimeInForce.FOK and self.available(order.side, order.price) < order.quantity:
            return Accepted(order.order_id), Expired(order.order_id, order.quantity)
        trades, remaining = self._match(order)
        events: tuple[Event, ...] = (Accepted(order.order_id), *trades)
        if remaining == ZERO:
            return events
        if order.price is None or order.time_in_force is not TimeInForce.GTC:
            return (*events, Expired(order.order_id, remaining))
        self._rest(Resting(order.order_id, order.side, order.price, remaining))
        return events

    def cancel(self, order_id: int) -> Cancelled | None:
        """Take an order off the book; None when it is not there."""
        resting = self._resting.get(order_id)
        if resting is None:
            return None
        self._remove(resting)
        return Cancelled(order_id, resting.remaining)

    def resting(self, order_id: int) -> Resting | None:
        """Look at one order on the book."""
        return self._resting.get(order_id)

    def best(self, side: Side) -> Decimal | None:
        """The best price of a side, None when it is empty."""
        return self._sides[side].best()

    def available(self, taker: Side, limit: Decimal | None) -> Decimal:
        """How much a taker of that side could match at once, at `limit` or better (None: at any price)."""
        return sum((quantity for _, quantity in self.sweep(taker, limit)), ZERO)

    def sweep(self, taker: Side, limit: Decimal | None) -> Iterator[tuple[Decimal, Decimal]]:
        """Price and quantity of each order a taker would meet, in the order it would meet them."""
        ladder = self._sides[_opposite(taker)]
        for price in ladder.prices():
            if limit is not None and not _reaches(taker, limit, price):
                return
            for order_id in ladder.queue(price):
                yield price, self._resting[order_id].remaining

    def depth(self, side: Side, levels: int) -> tuple[Level, ...]:
        """The best `levels` prices of a side with what rests at each."""
        ladder = self._sides[side]
        found: list[Level] = []
        for price in ladder.prices():
            if len(found) == levels:
                break
            found.append(Level(price, sum((self._resting[i].remaining for i in ladder.queue(price)), ZERO)))
        return tuple(found)

    def queue(self, side: Side) -> tuple[Resting, ...]:
        """Every resting order of a side, best price first, oldest first within a price."""
        ladder = self._sides[side]
        return tuple(self._resting[order_id] for price in ladder.prices() for order_id in ladder.queue(price))

    def crosses(self, order: Submission) -> bool:
        """Whether an order would trade at once."""
        best = self.best(_opposite(order.side))
        return best is not None and (order.price is None or _reaches(order.side, order.price, best))

    def _match(self, order: Submission) -> tuple[list[Trade], Decimal]:
        ladder = self._sides[_opposite(order.side)]
        trades: list[Trade] = []
        remaining = order.quantity
        while remaining > ZERO:
            price = ladder.best()
            if price is None or (order.price is not None and not _reaches(order.side, order.price, price)):
                break
            maker = self._resting[ladder.first(price)]
            quantity = min(remaining, maker.remaining)
            trades.append(Trade(maker.order_id, order.order_id, order.side, price, quantity))
            remaining -= quantity
            if quantity == maker.remaining:
                self._remove(maker)
            else:
                self._resting[maker.order_id] = Resting(maker.order_id, maker.side, price, maker.remaining - quantity)
        return trades, remaining

    def _rest(self, order: Resting) -> None:
        self._resting[order.order_id] = order
        self._sides[order.side].append(order.price, order.order_id)

    def _remove(self, order: Resting) -> None:
        del self._resting[order.order_id]
        self._sides[order.side].remove(order.price, order.order_id)


class _Ladder:
    """Prices of one side with a queue at each. Keys are signed so that the best price is always the last."""

    def __init__(self, side: Side) -> None:
        self._sign = 1 if side is Side.BUY else -1
        self._keys: list[Decimal] = []
        self._queues: dict[Decimal, dict[int, None]] = {}

    def best(self) -> Decimal | None:
        return self._keys[-1] * self._sign if self._keys else None

    def prices(self) -> Iterator[Decimal]:
        return (key * self._sign for key in reversed(self._keys))

    def queue(self, price: Decimal) -> Iterator[int]:
        return iter(self._queues[price])

    def first(self, price: Decimal) -> int:
        return next(iter(self._queues[price]))

    def append(self, price: Decimal, order_id: int) -> None:
        if price not in self._queues:
            self._queues[price] = {}
            insort(self._keys, price * self._sign)
        self._queues[price][order_id] = None

    def remove(self, price: Decimal, order_id: int) -> None:
        queue = self._queues[price]
        del queue[order_id]
        if not queue:
            del self._queues[price]
            del self._keys[bisect_left(self._keys, price * self._sign)]


def _opposite(side: Side) -> Side:
    return Side.SELL if side is Side.BUY else Side.BUY


def _reaches(taker: Side, limit: Decimal, price: Decimal) -> bool:
    return price <= limit if taker is Side.BUY else price >= limit
