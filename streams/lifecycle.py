"""An order's life: the legal moves, and the fold of evidence into an order. Pure.

`fold` never refuses a fact the venue asserts: what must not happen is applied and flagged. Quantities come
from executions by id; the venue's cumulative figure is kept beside them as a check and as a request to
fetch what is missing. Status comes from the venue's own words, ordered by the venue's own time.
"""

from decimal import Decimal
from typing import assert_never

from msgspec import Struct
from msgspec.structs import replace

from streams.money import CONTEXT, plain
from streams.schemas import (
    Absent,
    Accepted,
    Command,
    Duplicate,
    Execution,
    NotSent,
    Order,
    OrderReport,
    OrderState,
    OrderStatus,
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

# A second order under one client order id, and no amend explains it: trading halts.
DOUBLE = "double"
_BEFORE_THE_VENUE = ("created", "submitting", "unknown")
_ENDED_SHORT = ("cancelled", "rejected", "expired")


class Resubmission(Struct, frozen=True):
    """What a lost place may become.

    Attributes:
        allowed: the venue refuses late requests or duplicates for ever (R2).
        now_ms: the Redis server's clock; a place past its validity is not sent again.
    """

    allowed: bool
    now_ms: int


def fold(order: Order, evidence: Execution | OrderReport | Command, again: Resubmission) -> Order:
    """Apply one piece of evidence.

    Args:
        order: as it stands; an execution must not have been applied to it before.
        evidence: an execution, a report, or what became of a command.
        again: whether and until when a lost place may be sent again.

    Returns:
        The order after it; equal to `order` when nothing changes.
    """
    match evidence:
        case Execution():
            return _execute(order, evidence)
        case OrderReport():
            return _report(order, evidence)
        case Command(kind="place"):
            return _close(order, evidence, again)
        case Command():
            return order  # what became of a cancel is read from the order's own reports
        case _:
            assert_never(evidence)


def missing(order: Order) -> bool:
    """Say whether the venue counted executions that have not reached us."""
    return order.state.filled < order.state.reported


def _execute(order: Order, fill: Execution) -> Order:
    state = order.state
    filled = plain(CONTEXT.add(state.filled, fill.quantity))
    fees = state.fees
    if fill.fee and fill.fee_asset:
        fees = {**fees, fill.fee_asset: plain(CONTEXT.add(fees.get(fill.fee_asset, Decimal(0)), fill.fee))}
    state = replace(
        state,
        filled=filled,
        cost=plain(CONTEXT.add(state.cost, CONTEXT.multiply(fill.quantity, fill.price))),
        fees=fees,
    )
    if filled > order.quantity:
        state = _flag(state, "overfill")
    elif state.ended not in (None, "filled") and filled > state.reported:
        state = _flag(state, "late_fill")  # the venue ended it with less; the fill counts all the same
    return _settle_status(order, _name(replace(order, state=state), fill.venue_order_id))


def _report(order: Order, report: OrderReport) -> Order:
    state = order.state
    newest = report.reported_at_ms >= state.reported_at_ms
    terminal = report.status in ("filled", "cancelled", "rejected", "expired")
    ended = state.ended
    if terminal and ended is None:
        ended = report.status  # type: ignore[assignment]  # the four terminal words of VenueStatus are those of `ended`
    elif terminal and ended != report.status:
        state = _flag(state, f"contradiction:{ended}/{report.status}")
    state = replace(
        state,
        ended=ended,
        reported=plain(max(state.reported, report.filled)),
        reported_at_ms=max(state.reported_at_ms, report.reported_at_ms),
        reason=report.reason if newest and report.reason else state.reason,
    )
    return _settle_status(order, _name(replace(order, state=state), report.venue_order_id))


def _settle_status(was: Order, order: Order) -> Order:
    """Derive the status that the venue's words and the applied executions give together."""
    state, status = order.state, order.status
    if status == "filled":
        now: OrderStatus = "filled"  # whatever the venue counts later; what is missing is asked for
    elif state.ended is not None and state.ended != "filled":
        now = state.ended
    elif state.filled >= order.quantity > 0 or (state.ended == "filled" and state.filled >= state.reported > 0):
        now = "filled"
    else:
        # The venue may say `filled` already: until its executions are here, ours is not.
        now = "partially_filled" if state.filled else "open"
    # Only we ended it, or took it for unsent (lost, expired or cancelled before an answer); it had reached the venue.
    ours = status == "created" or (status in _ENDED_SHORT and was.state.ended is None)
    if ours and (now != status or state.filled or state.reported):
        state = _flag(state, f"revived:{status}")
    elif now != status and now not in MOVES[status]:
        state = _flag(state, f"contradiction:{status}/{now}")
    if now == order.status and state is order.state:
        return order
    return replace(order, status=now, state=state)


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


def _name(order: Order, venue_order_id: str) -> Order:
    ids = order.state.venue_order_ids
    if venue_order_id in ids:
        return order
    state = replace(order.state, venue_order_ids=(*ids, venue_order_id))
    if ids:
        state = _flag(state, DOUBLE)
    return replace(order, state=state)


def _flag(state: OrderState, anomaly: str) -> OrderState:
    return state if anomaly in state.anomalies else replace(state, anomalies=(*state.anomalies, anomaly))
