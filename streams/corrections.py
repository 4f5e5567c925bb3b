"""What a fact moves: executions that count, and executions that count no more. Pure.

Nearly every fact is an execution that moves its order and its position by itself. The others take something back:
a real execution what was inferred in its place, a correction what the venue does not stand by any more. Order and
position follow from the same moves, so they cannot part.
"""

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import assert_never

from msgspec import Struct
from msgspec.structs import replace

from streams.legs import figure_of_all
from streams.money import CONTEXT, RATIOS, ZERO, plain, text
from streams.schemas import Command, Correction, Execution, Inferred, Order, OrderFact, OrderReport, Provisional

INFERRED = "inferred-"  # how the trade id of an inferred execution begins
_STEP = Decimal("1E-12")  # of an inferred price, which only stands until the real one is known


class Move(Struct, frozen=True, omit_defaults=True, gc=False):
    """One execution that counts, or that counts no more.

    Attributes:
        execution: whose quantity, price and fee.
        back: whether it is taken back.
    """

    execution: Execution
    back: bool = False


# What may come before its order is known, and waits for it.
Waiting = Execution | Correction


def waits_as(fact: Waiting) -> tuple[str, Execution]:
    """Name what waits for its order as the parked set has it, and the execution that it is about."""
    match fact:
        case Execution():
            return fact.execution_id, fact
        case Correction():
            return fact.mark, fact.execution
        case _:
            assert_never(fact)


def moves(order: Order, fact: OrderFact | Command) -> Sequence[Move]:
    """Work out what a fact moves.

    Args:
        order: as it stands before it.
        fact: an execution that it has not had, a correction as `settle` gives it, or anything else.
    """
    match fact:
        case Execution():
            return _execution(order.state.provisional, fact, fact.quantity)
        case Correction():
            return _correction(order.state.provisional, fact)
        case Inferred():
            found = inferred(order, fact)
            return [] if found is None else [Move(found)]
        case OrderReport() | Command():
            return ()
        case _:
            assert_never(fact)


def settle(correction: Correction, known: Callable[[str], bool]) -> Correction:
    """Say what of a correction is to be done; `known` tells whether the order's record has an execution."""
    had, instead = correction.execution.execution_id, correction.instead
    adds = instead is not None and (instead.execution_id == had or not known(instead.execution_id))
    return replace(correction, counted=known(had), adds=adds)


def marks(correction: Correction) -> Sequence[str]:
    """Name what a record remembers of a settled correction: itself, and what it makes known."""
    had, instead = correction.execution.execution_id, correction.instead
    found = {correction.mark: None}
    if not correction.counted:
        found[had] = None
    if instead is not None and correction.adds and instead.execution_id != had:
        found[instead.execution_id] = None
    return tuple(found)


def is_inferred(execution: Execution) -> bool:
    """Whether it stands for executions that the venue has not listed."""
    return execution.trade_id.startswith(INFERRED)


def named(correction: Correction) -> frozenset[str]:
    """Every mark of a record that says what of a correction is to be done."""
    others = {correction.instead.execution_id} if correction.instead else set()
    return frozenset({correction.mark, correction.execution.execution_id, *others})


def excess(correction: Correction) -> Decimal:
    """How much more stands in an execution's place than it was."""
    instead = correction.instead
    return max(ZERO, CONTEXT.subtract(instead.quantity, correction.execution.quantity)) if instead else ZERO


def replaced(provisional: Sequence[Provisional], quantity: Decimal) -> Sequence[Provisional]:
    """Which of what was inferred a real execution stands for: the oldest, as far as it reaches."""
    found, left = [], quantity
    for one in provisional:
        if left <= 0:
            break
        taken = min(left, one.quantity)
        found.append(Provisional(taken, one.price))
        left = CONTEXT.subtract(left, taken)
    return found


def remaining(provisional: Sequence[Provisional], quantity: Decimal) -> tuple[Provisional, ...]:
    """What of it stays inferred after a real execution."""
    left, gone = [], quantity
    for one in provisional:
        taken = min(gone, one.quantity)
        gone = CONTEXT.subtract(gone, taken)
        if taken < one.quantity:
            left.append(Provisional(plain(CONTEXT.subtract(one.quantity, taken)), one.price))
    return tuple(left)


def inferred(order: Order, fact: Inferred) -> Execution | None:
    """What is missing of the venue's figure, as one execution; None when everything has come."""
    state = order.state
    missing = CONTEXT.subtract(figure_of_all(state, fact.venue_order_id, fact.filled), state.counted)
    if missing <= 0 or not fact.filled:
        return None
    untold = CONTEXT.subtract(fact.cost, state.cost)
    # After a correction, or of a replaced order, the venue's cost and ours are not of the same executions: its average
    # stands in.
    of_rest = untold > 0 and not state.busted and not state.legs
    price = RATIOS.divide(untold, missing) if of_rest else RATIOS.divide(fact.cost, fact.filled)
    name = Execution(
        venue_symbol=fact.venue_symbol, venue_order_id=fact.venue_order_id, trade_id="", side=fact.side,
        quantity=missing, price=price, executed_at_ms=fact.told_at_ms, client_order_id=fact.client_order_id,
    )  # fmt: skip
    return _stand_in(
        name, Provisional(plain(missing), plain(price.quantize(_STEP, context=CONTEXT))), text(fact.filled)
    )


def _execution(provisional: Sequence[Provisional], fill: Execution, stands_for: Decimal) -> list[Move]:
    pieces = replaced(provisional, stands_for)
    return [*(Move(_stand_in(fill, one, ""), back=True) for one in pieces), Move(fill)]


def _correction(provisional: Sequence[Provisional], fact: Correction) -> list[Move]:
    found, gone = list[Move](), fact.execution
    if not fact.counted:
        # The venue counted it, so it stands for what was inferred as if it had come.
        found += _execution(provisional, gone, gone.quantity)
        provisional = remaining(provisional, gone.quantity)
    found.append(Move(gone, back=True))
    if fact.instead is not None and fact.adds:
        found += _execution(provisional, fact.instead, excess(fact))
    return found


def _stand_in(fill: Execution, piece: Provisional, name: str) -> Execution:
    return replace(
        fill, trade_id=f"{INFERRED}{name}", quantity=piece.quantity, price=piece.price, fee=None, fee_asset=None,
        maker=None,
    )  # fmt: skip
