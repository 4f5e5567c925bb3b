"""Positions: what executions add up to, by average cost. Pure.

A fee in the base asset of a spot symbol leaves the holding itself: buying 1 BTC for a fee of 0.001 BTC
holds 0.999. It changes the quantity, not what was paid.
"""

from collections.abc import Sequence
from decimal import Decimal
from typing import Protocol

from streams.money import CONTEXT, RATIOS, ZERO, plain
from streams.schemas import Execution, Position


class Traded(Protocol):
    """What says which symbol an execution is of: an order's terms, or the journal's word."""

    @property
    def symbol(self) -> str:
        """Unified."""
        ...


def move(position: Position, terms: Traded, fill: Execution) -> Position:
    """Add one execution of an order with `terms`.

    Returns:
        The position after it; `quantity` moves by the fill, less a fee taken in the base asset.
    """
    return settled(step(position, terms, fill))


def step(position: Position, terms: Traded, fill: Execution) -> Position:
    """Add one execution as `move` does, its amounts not yet in their canonical form; `settled` gives it to the last."""
    signed = fill.quantity if fill.side == "buy" else -fill.quantity
    quantity, entry_cost, realized = _trade(position, signed, fill.price)
    fees, asset = position.fees, fill.fee_asset
    if fill.fee and asset:
        fees = {**fees, asset: CONTEXT.add(fees.get(asset, ZERO), fill.fee)}
        if terms.symbol.startswith(asset) and asset == _base_of_spot(terms.symbol):
            quantity = CONTEXT.subtract(quantity, fill.fee)
    return Position(quantity=quantity, entry_cost=entry_cost, realized=realized, fees=fees)


def back(position: Position, terms: Traded, fill: Execution) -> Position:
    """Take back one execution that was added; `settled` gives the amounts their canonical form.

    Quantity, fees and cash (profit less what the holding cost) are exactly what they would be without it. So are
    profit and cost themselves where the holding has only grown since; where it was traded away, its price tells them
    apart.
    """
    signed = fill.quantity if fill.side == "buy" else -fill.quantity
    fees, asset, fee = position.fees, fill.fee_asset, ZERO
    if fill.fee and asset:
        fees = {**fees, asset: CONTEXT.subtract(fees.get(asset, ZERO), fill.fee)}
        if not fees[asset]:
            fees = {name: paid for name, paid in fees.items() if name != asset}
        fee = fill.fee if asset == _base_of_spot(terms.symbol) else ZERO
    held = CONTEXT.add(position.quantity, fee)
    quantity, cost, realized = _untrade(
        Position(quantity=held, entry_cost=position.entry_cost, realized=position.realized), signed, fill.price
    )
    return Position(quantity=quantity, entry_cost=cost, realized=realized, fees=fees)


def run(position: Position, terms: Traded, fills: Sequence[Execution]) -> Position:
    """Add executions of one order as `step` does, one after the other; those that only add to it in one pass."""
    add, fma, base = CONTEXT.add, CONTEXT.fma, _base_of_spot(terms.symbol)
    held, cost, fees = position.quantity, position.entry_cost, dict(position.fees)
    sells = held.is_signed() if held else None  # which way it stands; None while nothing is held
    for number, fill in enumerate(fills):
        signed, asset = fill.quantity if fill.side == "buy" else -fill.quantity, fill.fee_asset
        if sells is None:
            sells = signed.is_signed()
        if signed.is_signed() != sells or (asset == base and fill.fee):
            position = Position(quantity=held, entry_cost=cost, realized=position.realized, fees=fees)
            for one in fills[number:]:
                position = step(position, terms, one)
            return position
        held, cost = add(held, signed), fma(signed, fill.price, cost)  # as `_trade`: the product is exact
        if fill.fee and asset:
            fees[asset] = add(fees[asset], fill.fee) if asset in fees else fill.fee
    return Position(quantity=held, entry_cost=cost, realized=position.realized, fees=fees)


def settled(position: Position) -> Position:
    """Bring every amount to its canonical form."""
    return Position(
        quantity=plain(position.quantity),
        entry_cost=plain(position.entry_cost),
        realized=plain(position.realized),
        fees={asset: plain(fee) for asset, fee in position.fees.items()},
    )


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


def _untrade(position: Position, signed: Decimal, price: Decimal) -> tuple[Decimal, Decimal, Decimal]:
    quantity = CONTEXT.subtract(position.quantity, signed)
    cost = CONTEXT.subtract(position.entry_cost, CONTEXT.multiply(signed, price))
    if not quantity:
        return quantity, ZERO, CONTEXT.subtract(position.realized, cost)  # nothing is held: what is left was profit
    if (quantity > 0) == (signed > 0) and (cost > 0) == (signed > 0):
        return quantity, cost, position.realized
    return _trade(position, -signed, price)  # it has been traded away since


def _base_of_spot(symbol: str) -> str | None:
    base, _, rest = symbol.partition("/")
    return None if ":" in rest else base
