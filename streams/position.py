"""Positions: what executions add up to, by average cost. Pure.

A fee in the base asset of a spot symbol leaves the holding itself: buying 1 BTC for a fee of 0.001 BTC
holds 0.999. It changes the quantity, not what was paid.
"""

from decimal import Decimal

from streams.money import CONTEXT, RATIOS, ZERO, plain
from streams.schemas import Execution, Place, Position


def move(position: Position, terms: Place, fill: Execution) -> Position:
    """Add one execution of an order with `terms`.

    Returns:
        The position after it; `quantity` moves by the fill, less a fee taken in the base asset.
    """
    signed = fill.quantity if fill.side == "buy" else -fill.quantity
    quantity, entry_cost, realized = _trade(position, signed, fill.price)
    fees = position.fees
    if fill.fee and fill.fee_asset:
        fees = {**fees, fill.fee_asset: plain(CONTEXT.add(fees.get(fill.fee_asset, ZERO), fill.fee))}
        if fill.fee_asset == _base_of_spot(terms.symbol):
            quantity = CONTEXT.subtract(quantity, fill.fee)
    return Position(quantity=plain(quantity), entry_cost=plain(entry_cost), realized=plain(realized), fees=fees)


def _trade(position: Position, signed: Decimal, price: Decimal) -> tuple[Decimal, Decimal, Decimal]:
    held, cost = position.quantity, position.entry_cost
    if not held or (held > 0) == (signed > 0):
        return CONTEXT.add(held, signed), CONTEXT.add(cost, CONTEXT.multiply(signed, price)), position.realized
    closed = signed if abs(signed) <= abs(held) else -held
    # The part of the entry cost that belongs to what is closed, in proportion.
    whole = closed == -held  # then all of it, to the last digit
    freed = cost if whole else RATIOS.divide(CONTEXT.multiply(cost, -closed), held)
    realized = CONTEXT.add(position.realized, CONTEXT.subtract(CONTEXT.multiply(-closed, price), freed))
    opened = CONTEXT.subtract(signed, closed)
    left = CONTEXT.subtract(cost, freed)
    return CONTEXT.add(held, signed), CONTEXT.add(left, CONTEXT.multiply(opened, price)), realized


def _base_of_spot(symbol: str) -> str | None:
    base, _, rest = symbol.partition("/")
    return None if ":" in rest else base
