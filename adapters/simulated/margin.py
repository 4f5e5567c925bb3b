"""Pure: a position of a margin account by average cost, and the profit that its wallet gets when it shrinks."""

from collections.abc import Iterable
from decimal import Decimal

from msgspec import Struct

ZERO = Decimal(0)
_UNIT = Decimal("0.00000001")


class Position(Struct, frozen=True):
    """What is held of one symbol and side: signed amount, signed cost of it, and profit paid out so far."""

    amount: Decimal = ZERO
    cost: Decimal = ZERO
    realized: Decimal = ZERO

    @property
    def entry_price(self) -> Decimal:
        """Average price of what is held."""
        return self.cost / self.amount if self.amount else ZERO


def traded(position: Position, signed: Decimal, price: Decimal) -> Position:
    """Add one trade: what closes pays out at once, rounded to the venue's eight decimals, and the rest is held."""
    held = position.amount
    if held * signed >= 0:
        return Position(held + signed, position.cost + signed * price, position.realized)
    closing = min(abs(signed), abs(held))
    direction = 1 if held > 0 else -1
    share = position.cost * closing / abs(held)
    profit = (direction * closing * price - share).quantize(_UNIT)
    opened = (abs(signed) - closing) * -direction
    left = held - direction * closing
    cost = opened * price if opened else position.cost - share if left else ZERO
    return Position(left + opened, cost, position.realized + profit)


def replayed(trades: Iterable[tuple[Decimal, Decimal]]) -> Position:
    """The position after these, each a signed amount and its price, from none."""
    position = Position()
    for signed, price in trades:
        position = traded(position, signed, price)
    return position
