"""The orders at the venue that were, after another, one order of ours. Pure.

An amend that the venue carries out by replacing leaves two of its orders: the replaced one, whose end is not the end of
ours, and the new one, which bears the amend's revision in its name. An order that was never replaced has no legs.
"""

from decimal import Decimal

from msgspec.structs import replace

from streams.money import CONTEXT, ZERO, plain
from streams.schemas import Amending, Ended, Execution, Leg, Order, OrderReport, OrderState

# A second order under one name, and no amend explains it: trading halts.
DOUBLE = "double"


def met(order: Order, fact: Execution | OrderReport) -> Order:
    """Take in of which order at the venue a fact speaks; one that an amend made shows that the amend took effect."""
    state = order.state
    if fact.venue_order_id not in state.venue_order_ids:
        state = _joined(state, fact)
    if not fact.generation:
        return order if state is order.state else replace(order, state=state)
    amend = order.amend
    if fact.generation > state.revision:
        if amend is not None and amend.revision == fact.generation:
            return took_effect(replace(order, state=state), amend)
        # Its claim is lost with an older history; its name alone proves that it is ours.
        state, amend = replace(state, revision=fact.generation, quantity=None, price=None), _later(amend, fact)
    if fact.generation == state.revision and isinstance(fact, OrderReport):
        state = _told(state, fact)
    return replace(order, amend=amend, state=state)


def took_effect(order: Order, amend: Amending) -> Order:
    """The order with an amend's terms."""
    state = replace(order.state, revision=amend.revision, quantity=amend.quantity, price=amend.price)
    return replace(order, amend=None, state=state)


def counted(order: Order, report: OrderReport) -> tuple[OrderState, bool]:
    """Count a report's figure and its terminal word, for the leg it speaks of where there are legs.

    Returns:
        The state, and whether the word contradicts an earlier one.
    """
    state = order.state
    word: Ended | None = report.status if report.status not in ("open", "partially_filled") else None  # type: ignore[assignment]  # what is left are the words of `Ended`
    if not state.legs and not (order.amend is not None and word not in (None, "filled")):
        ended = word if state.ended is None else state.ended
        figure = plain(report.filled) if report.filled > state.reported else state.reported
        return replace(state, ended=ended, reported=figure), word not in (None, ended)
    legs, strange = [], False
    for leg in state.legs or _first(state):
        if leg.venue_order_id == report.venue_order_id:
            strange = None not in (leg.ended, word) and leg.ended != word
            figure = plain(report.filled) if report.filled > leg.reported else leg.reported
            leg = replace(leg, reported=figure, ended=leg.ended or word)  # noqa: PLW2901 - the leg after the report
        legs.append(leg)
    return over(replace(state, legs=tuple(legs), reported=_sum(legs)), order.amend), strange


def over(state: OrderState, amend: Amending | None) -> OrderState:
    """Derive whether the order ended: by the end of its newest leg, unless an amend may have replaced that one."""
    if not state.legs:
        return state
    ended = state.legs[-1].ended
    return replace(state, ended=ended if amend is None or ended == "filled" else None)


def untold(state: OrderState) -> tuple[Leg, ...]:
    """Name replaced legs of which the venue has not said that they ended, and with how much."""
    return tuple(leg for leg in state.legs[:-1] if leg.ended is None)


def executed_before(state: OrderState) -> Decimal:
    """Sum what the legs before the newest one executed, by the venue's word."""
    return _sum(state.legs[:-1])


def executed_more(state: OrderState, report: OrderReport) -> bool:
    """Whether a report counts executions that the order does not have."""
    if not state.legs:
        return report.filled > state.counted
    known = [leg.reported for leg in state.legs if leg.venue_order_id == report.venue_order_id]
    return state.counted < state.reported or report.filled > (known[0] if known else ZERO)


def figure_of_all(state: OrderState, venue_order_id: str, figure: Decimal) -> Decimal:
    """Add to the figure of one of its orders at the venue what the others executed, by the venue's word."""
    return CONTEXT.add(figure, _sum([leg for leg in state.legs if leg.venue_order_id != venue_order_id]))


def successor(order: Order, amend: Amending, quantity: Decimal) -> Order:
    """The order as it is sent to replace what is at the venue: with its name there, and what is still to execute."""
    legs = (*(order.state.legs or _first(order.state)), Leg(generation=amend.revision))
    return replace(order, amend=None, state=replace(order.state, legs=legs, quantity=quantity, price=amend.price))


def as_leg(order: Order, leg: Leg) -> Order:
    """The order under the name that one of its legs has at the venue, for a look-up."""
    return replace(order, state=replace(order.state, legs=(leg,)))


def _joined(state: OrderState, fact: Execution | OrderReport) -> OrderState:
    ids, legs = (*state.venue_order_ids, fact.venue_order_id), state.legs
    if not legs and not fact.generation:
        return replace(state, venue_order_ids=ids, anomalies=_double(state) if len(ids) > 1 else state.anomalies)
    legs = legs or _first(state)
    if any(leg.generation == fact.generation for leg in legs):
        return replace(state, venue_order_ids=ids, anomalies=_double(state))
    leg = Leg(generation=fact.generation, venue_order_id=fact.venue_order_id)
    legs = tuple(sorted((*legs, leg), key=lambda one: one.generation))
    return over(replace(state, venue_order_ids=ids, legs=legs), None)


def _later(amend: Amending | None, fact: Execution | OrderReport) -> Amending | None:
    """Amends go out one at a time, so an older one that is still open here was decided before this one was sent."""
    return amend if amend is not None and amend.revision > fact.generation else None


def _told(state: OrderState, report: OrderReport) -> OrderState:
    if report.quantity is None:
        return state
    total = plain(CONTEXT.add(executed_before(state), report.quantity))
    if state.quantity is not None and (not state.legs or total <= state.quantity):
        return state
    # What earlier legs executed may come to light after the newest one was told of.
    return replace(state, quantity=total, price=report.price if state.quantity is None else state.price)


def _first(state: OrderState) -> tuple[Leg, ...]:
    """What there was before anything was replaced."""
    if not state.venue_order_ids:
        return ()
    return (Leg(venue_order_id=state.venue_order_ids[0], reported=state.reported, ended=state.ended),)


def _double(state: OrderState) -> tuple[str, ...]:
    return state.anomalies if DOUBLE in state.anomalies else (*state.anomalies, DOUBLE)


def _sum(legs: "list[Leg] | tuple[Leg, ...]") -> Decimal:
    total = ZERO
    for leg in legs:
        total = CONTEXT.add(total, leg.reported)
    return plain(total)
