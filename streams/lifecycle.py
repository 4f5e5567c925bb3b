"""An order's life: the legal moves, and the fold of evidence into an order. Pure.

`fold` never refuses a fact the venue asserts: what must not happen is applied and flagged. Quantities come
from executions by id; the venue's cumulative figure is kept beside them as a check and as a request to
fetch what is missing. Status comes from the venue's own words, ordered by the venue's own time.
"""

from decimal import Decimal
from typing import assert_never

from msgspec import Struct
from msgspec.structs import replace

from streams.corrections import excess, inferred, remaining, replaced
from streams.legs import DOUBLE, counted, met, over, took_effect, untold
from streams.money import CONTEXT, ZERO, plain
from streams.schemas import (
    Absent,
    Accepted,
    Amending,
    Command,
    Correction,
    Duplicate,
    Execution,
    Inferred,
    NotSent,
    Order,
    OrderFact,
    OrderReport,
    OrderState,
    OrderStatus,
    Provisional,
    Refused,
    Throttled,
    Unknown,
)

MOVES: dict[OrderStatus, frozenset[OrderStatus]] = {
    "created": frozenset({"submitting", "cancelled", "rejected", "expired"}),
    "submitting": frozenset(
        {"open", "partially_filled", "filled", "cancelled", "rejected", "expired", "unknown", "created"}
    ),
    "unknown": frozenset({"open", "partially_filled", "filled", "cancelled", "rejected", "expired", "created"}),
    "open": frozenset({"partially_filled", "filled", "cancelled", "expired", "rejected"}),
    "partially_filled": frozenset({"filled", "cancelled", "expired"}),
    "filled": frozenset(),
    "cancelled": frozenset(),
    "rejected": frozenset(),
    "expired": frozenset(),
}

CORRECTED = "corrected"
_BEFORE_THE_VENUE = ("created", "submitting", "unknown")
_ENDED_SHORT = ("cancelled", "rejected", "expired")
_TERMINAL = ("filled", *_ENDED_SHORT)

__all__ = ["CORRECTED", "DOUBLE", "MOVES", "Resubmission", "fold", "missing"]


class Resubmission(Struct, frozen=True):
    """What a lost place may become.

    Attributes:
        allowed: the venue refuses late requests or duplicates for ever (R2).
        now_ms: the Redis server's clock; a place past its validity is not sent again.
    """

    allowed: bool
    now_ms: int


def fold(order: Order, evidence: OrderFact | Command, again: Resubmission) -> Order:  # noqa: PLR0911 - one arm per kind
    """Apply one piece of evidence.

    Args:
        order: as it stands; an execution must not have been applied to it before.
        evidence: an execution, a report, what became of a command, what is inferred, or a correction as
            `corrections.settle` gives it.
        again: whether and until when a lost place may be sent again.

    Returns:
        The order after it; equal to `order` when nothing changes.
    """
    match evidence:
        case Execution():
            return _execute(order, evidence)
        case OrderReport():
            return _report(order, evidence)
        case Inferred():
            found = inferred(order, evidence)
            return order if found is None else _infer(order, found)
        case Correction():
            return _correct(order, evidence)
        case Command(kind="place"):
            return _close(order, evidence, again)
        case Command(kind="amend"):
            return _close_amend(order, evidence)
        case Command():
            return order  # what became of a cancel is read from the order's own reports
        case _:
            assert_never(evidence)


def missing(order: Order) -> bool:
    """Say whether the venue counted executions that have not reached us, or has yet to say how a leg of it ended."""
    state = order.state
    return state.counted < state.reported or bool(state.legs and untold(state))


def _execute(order: Order, fill: Execution, stands_for: Decimal | None = None) -> Order:
    order = met(order, fill)
    state = order.state
    if state.provisional:
        state = _unwound(state, fill.quantity if stands_for is None else stands_for)
    filled = plain(CONTEXT.add(state.filled, fill.quantity))
    fees = state.fees
    if fill.fee and fill.fee_asset:
        fees = {**fees, fill.fee_asset: plain(CONTEXT.add(fees.get(fill.fee_asset, ZERO), fill.fee))}
    anomalies = state.anomalies
    if filled > _most(order):
        anomalies = _flagged(anomalies, "overfill")
    elif state.ended not in (None, "filled") and filled > state.reported and not untold(state):
        anomalies = _flagged(anomalies, "late_fill")  # the venue ended it with less; the fill counts all the same
    state = replace(
        state,
        filled=filled,
        cost=plain(CONTEXT.add(state.cost, CONTEXT.multiply(fill.quantity, fill.price))),
        fees=fees,
        anomalies=anomalies,
    )
    return _settle_status(order, state)


def _unwound(state: OrderState, quantity: Decimal) -> OrderState:
    """Take out what was inferred in the place of real executions."""
    filled, cost = state.filled, state.cost
    for one in replaced(state.provisional, quantity):
        filled = CONTEXT.subtract(filled, one.quantity)
        cost = CONTEXT.subtract(cost, CONTEXT.multiply(one.quantity, one.price))
    return replace(state, filled=filled, cost=cost, provisional=remaining(state.provisional, quantity))


def _infer(order: Order, found: Execution) -> Order:
    state = order.state
    after = _execute(replace(order, state=replace(state, provisional=())), found)
    provisional = (*state.provisional, Provisional(found.quantity, found.price))
    return replace(after, state=replace(after.state, provisional=provisional))


def _correct(order: Order, correction: Correction) -> Order:
    """Take an execution back, and count what stands in its place; what the venue ended stays ended."""
    gone, instead = correction.execution, correction.instead
    before = order if correction.counted else _execute(order, gone)
    state = before.state
    lost = gone.quantity if instead is None else max(ZERO, CONTEXT.subtract(gone.quantity, instead.quantity))
    state = replace(
        state,
        filled=plain(CONTEXT.subtract(state.filled, gone.quantity)),
        cost=plain(CONTEXT.subtract(state.cost, CONTEXT.multiply(gone.quantity, gone.price))),
        fees=_refunded(state.fees, gone),
        busted=plain(CONTEXT.add(state.busted, lost)),
        anomalies=_flagged(state.anomalies, CORRECTED),
    )
    after = replace(before, state=state)
    return _execute(after, instead, excess(correction)) if instead is not None and correction.adds else after


def _refunded(fees: dict[str, Decimal], fill: Execution) -> dict[str, Decimal]:
    if not fill.fee or not fill.fee_asset:
        return fees
    left = plain(CONTEXT.subtract(fees.get(fill.fee_asset, ZERO), fill.fee))
    others = {asset: fee for asset, fee in fees.items() if asset != fill.fee_asset}
    return {**others, fill.fee_asset: left} if left else others


def _report(order: Order, report: OrderReport) -> Order:
    newest = report.reported_at_ms >= order.state.reported_at_ms
    order = met(order, report)
    if newest and order.amend is not None and _shows(report, order, order.amend):
        order = took_effect(order, order.amend)
    state, contradicts = counted(order, report)
    if contradicts:
        state = replace(state, anomalies=_flagged(state.anomalies, f"contradiction:{state.ended}/{report.status}"))
    state = replace(
        state,
        reported_at_ms=max(state.reported_at_ms, report.reported_at_ms),
        reason=report.reason if newest and report.reason else state.reason,
    )
    return _settle_status(order, state)


def _shows(report: OrderReport, order: Order, amend: Amending) -> bool:
    """Whether a report shows an amend's terms in the order that was there before: an amend in place."""
    if order.state.legs or report.generation or report.venue_order_id != order.state.venue_order_ids[-1]:
        return False
    return (report.quantity, report.price) == (amend.quantity, amend.price)


def _most(order: Order) -> Decimal:
    """Most that it can execute: an amend may have taken effect already."""
    return order.quantity if order.amend is None else max(order.quantity, order.amend.quantity)


def _settle_status(was: Order, state: OrderState) -> Order:
    """Derive the status that the venue's words and the applied executions give together."""
    status, quantity = was.status, _most(was)
    if status == "filled":
        now: OrderStatus = "filled"  # whatever the venue counts later; what is missing is asked for
    elif state.ended is not None and state.ended != "filled":
        now = state.ended
    elif _is_executed(state, quantity):
        now = "filled"
    else:
        # The venue may say `filled` already: until its executions are here, ours is not.
        now = "partially_filled" if state.filled or state.busted else "open"
    # Only we ended it, or took it for unsent (lost, expired or cancelled before an answer); it had reached the venue.
    ours = status == "created" or (status in _ENDED_SHORT and was.state.ended is None)
    if ours and (now != status or state.filled or state.reported):
        state = replace(state, anomalies=_flagged(state.anomalies, f"revived:{status}"))
    elif now != status and now not in MOVES[status]:
        state = replace(state, anomalies=_flagged(state.anomalies, f"contradiction:{status}/{now}"))
    # Nothing is left to tell of an amend: it could not replace what was filled.
    return replace(was, status=now, state=state, amend=None if now in _TERMINAL else was.amend)


def _is_executed(state: OrderState, quantity: Decimal) -> bool:
    """Whether it is filled: of one that was replaced only the venue knows, whose newest order may have more to go."""
    if not state.legs and state.filled >= quantity > 0:
        return True
    return state.ended == "filled" and state.filled >= state.reported > 0


def _close_amend(order: Order, command: Command) -> Order:
    """Apply what became of an amend: without effect, the order is what the venue last said of it."""
    amend, outcome = order.amend, command.outcome
    if amend is None or command.token != order.token:
        return order
    reason = order.state.reason
    match outcome:
        case Accepted() | Unknown() | Duplicate():
            return order  # the payload beside it, or a look-up, shows the order
        case Refused(code, told):
            reason = f"amend {amend.revision}: {code} {told}".strip()
        case NotSent() | Throttled() | Absent():
            pass
        case _:
            assert_never(outcome)
    order = replace(order, amend=None)
    return _settle_status(order, over(replace(order.state, closed_token=command.token, reason=reason), None))


def _close(order: Order, command: Command, again: Resubmission) -> Order:
    """Apply what became of one claim; it closes that claim only, and says nothing once the venue has spoken."""
    ours = command.token == order.token and command.token != order.state.closed_token
    if not ours or order.status not in _BEFORE_THE_VENUE or order.state.venue_order_ids:
        return order
    outcome = command.outcome
    match outcome:
        case Accepted():
            return order  # the payload beside it shows the order
        case Unknown() | Duplicate():
            return replace(order, status="unknown")
        case Refused(code, reason):
            state = replace(order.state, closed_token=command.token, reason=f"{code} {reason}".strip())
            return replace(order, status="rejected", state=state)
        case NotSent() | Throttled():
            return replace(order, status="created", state=replace(order.state, closed_token=command.token))
        case Absent():
            return _lose(order, command.token, again)
        case _:
            assert_never(outcome)


def _lose(order: Order, token: str, again: Resubmission) -> Order:
    state = replace(order.state, closed_token=token)
    if order.cancel_requested:
        return replace(order, status="cancelled", state=replace(state, reason="never reached the venue"))
    if order.valid_until_ms <= again.now_ms:
        return replace(order, status="expired", state=replace(state, reason="never reached the venue in its time"))
    if again.allowed:
        return replace(order, status="created", state=state)
    return replace(order, status="rejected", state=replace(state, reason="lost"))


def _flagged(anomalies: tuple[str, ...], anomaly: str) -> tuple[str, ...]:
    return anomalies if anomaly in anomalies else (*anomalies, anomaly)
