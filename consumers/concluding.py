"""What follows from a finding: corrections of executions, and differences as adjustments. Pure."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal

from consumers.amounts import symbol_of
from consumers.findings import Finding
from consumers.survey import Look
from streams import codec, events
from streams.corrections import Move, is_inferred
from streams.money import CONTEXT, RATIOS, ZERO, plain
from streams.schemas import Adjustment, Correction, Execution, Position, PositionSide


def counted(changes: Iterable[events.AnyChange]) -> dict[str, Execution]:
    """Which executions an order has, by its journal, as they were counted."""
    found: dict[str, Execution] = {}
    for change in changes:
        if not isinstance(change, events.Updated):
            continue
        for move in change.moves or [Move(fact) for fact in change.facts if isinstance(fact, Execution)]:
            if move.back:
                found.pop(move.execution.execution_id, None)
            elif not is_inferred(move.execution):
                found[move.execution.execution_id] = move.execution
    return found


def corrections(ours: Mapping[str, Execution], listed: Mapping[str, Execution], at_ms: int) -> Sequence[Correction]:
    """What the venue took back or tells otherwise, with ids that follow from the executions alone."""
    found = []
    for name, one in sorted(ours.items()):
        now = listed.get(name)
        if now is None:
            found.append(
                Correction(id=f"bust:{name}", execution=one, corrected_at_ms=at_ms, reason="not listed any more")
            )
        elif _terms(now) != _terms(one):
            mark = hashlib.sha256(codec.encode(_terms(now))).hexdigest()[:16]
            found.append(
                Correction(
                    id=f"anew:{name}:{mark}", execution=one, instead=now, corrected_at_ms=at_ms, reason="told anew"
                )
            )
    return found


def difference(finding: Finding, look: Look) -> Adjustment:
    """What is between both sides, as one change: of an asset, or of a position.

    What a position has more moves at the price that makes our average what the venue says it was entered at; what it
    has less, at our average: which profit that brought, the venue's wallet tells.
    """
    between = plain(CONTEXT.subtract(Decimal(finding.there), Decimal(finding.here)))
    key, at_ms = finding.subject, finding.first_seen_ms
    name = f"{finding.id}:{look.here.occasions.get(finding.id, 0)}"  # it may come again after it was booked
    if ":" not in key:
        return Adjustment(id=name, cause="drift", amounts={key: between}, at_ms=at_ms)
    symbol = symbol_of(key)
    quantity, entered_at = (look.there.positions or {}).get(key, (ZERO, ZERO))
    price = plain(_price(look.here.positions.get(key, Position()), quantity, entered_at))
    execution = Execution(
        venue_symbol=look.instruments.by_symbol[symbol].venue_symbol, venue_order_id="drift", trade_id=name,
        side="buy" if between > 0 else "sell", quantity=abs(between), price=price, executed_at_ms=at_ms,
    )  # fmt: skip
    side: PositionSide = key.removeprefix(symbol).removeprefix(":") or "net"  # type: ignore[assignment]  # the key was made of it
    return Adjustment(id=name, cause="drift", at_ms=at_ms, execution=execution, position_side=side)


def _price(held: Position, quantity: Decimal, entered_at: Decimal) -> Decimal:
    """At what the difference between a position here and the venue's quantity counts."""
    if not held.quantity or held.quantity * quantity < 0:
        return entered_at  # all of it was entered there
    if abs(quantity) <= abs(held.quantity):
        return RATIOS.divide(held.entry_cost, held.quantity)
    cost = CONTEXT.subtract(CONTEXT.multiply(quantity, entered_at), held.entry_cost)
    price = RATIOS.divide(cost, CONTEXT.subtract(quantity, held.quantity))
    return price if price > 0 else entered_at  # ours cost more than all of the venue's: its word for what is new


def _terms(one: Execution) -> Sequence[object]:
    return one.side, one.quantity, one.price, one.fee, one.fee_asset
