"""Executions and reports of a live order in one pass: the short way of `lifecycle.fold` for what comes most. Pure.

It takes only what has one possible meaning. Whatever else there is (an order not open, an id or an execution twice,
too much, an end other than filled) it leaves to `fold`, and says so by None; a property holds both to the same result.
"""

from collections.abc import Container, Sequence
from operator import attrgetter

from msgspec import Struct
from msgspec.structs import replace

from streams.money import CONTEXT, plain
from streams.schemas import Execution, Order, OrderReport, OrderState, execution_id

Told = tuple[str, Sequence[object]]
"""An entry and the facts of it, in order."""

_LIVE = ("open", "partially_filled")
_PLAIN_WORDS = frozenset({"open", "partially_filled", "filled"})
# What it follows, or what no execution and no report without a reason changes. Anything else that a state holds makes
# its order one for `fold`.
_FOLLOWED = frozenset(
    {"venue_order_ids", "filled", "cost", "fees", "reported", "ended", "reported_at_ms", "closed_token", "reason"}
)
_unusual = attrgetter(*(name for name in OrderState.__struct_fields__ if name not in _FOLLOWED))


class Advance(Struct, frozen=True):
    """An order after what was told.

    Attributes:
        order: as it stands then.
        facts: those that changed it, in order.
        entries: that they came from.
        executions: by execution id, in order.
    """

    order: Order
    facts: list[Execution | OrderReport]
    entries: list[str]
    executions: dict[str, Execution]


def advance(order: Order, told: Sequence[Told], seen: Container[str]) -> Advance | None:  # noqa: C901, PLR0911, PLR0912 - one pass, no call
    """Fold what was told of an order into it.

    Args:
        order: as it stands.
        told: entries and their facts, oldest first.
        seen: executions that were applied before.

    Returns:
        What `fold` makes of it, fact by fact; None when it has to be asked.
    """
    state, quantity, status = order.state, order.quantity, order.status
    filled, cost, fees, reported, ended = state.filled, state.cost, state.fees, state.reported, state.ended
    if order.amend is not None or any(_unusual(state)):
        return None
    if status not in _LIVE or len(state.venue_order_ids) != 1 or ended is not None or quantity <= 0:
        return None
    if (status == "partially_filled") != bool(filled):
        return None
    venue_order_id, reported_at_ms = state.venue_order_ids[0], state.reported_at_ms
    add, fma, full, charged = CONTEXT.add, CONTEXT.fma, False, False
    executions: dict[str, Execution] = {}
    facts: list[Execution | OrderReport] = []
    entries: list[str] = []
    for entry, of_entry in told:
        before = len(facts)
        for fact in of_entry:
            if type(fact) is Execution:
                name = execution_id(venue_order_id, fact.trade_id)
                if full or name in executions or name in seen or fact.venue_order_id != venue_order_id:
                    return None
                if fact.generation:  # an amend was at work
                    return None
                executions[name] = fact
                filled = add(filled, fact.quantity)
                cost = fma(fact.quantity, fact.price, cost)  # the product is exact, so both are rounded alike
                if filled >= quantity:
                    full = True
                    if filled > quantity:
                        return None
                fee, asset = fact.fee, fact.fee_asset
                if fee and asset:
                    if not charged:
                        fees, charged = dict(fees), True  # the order's own stay as they are
                    fees[asset] = add(fees[asset], fee) if asset in fees else fee
            elif type(fact) is OrderReport:
                if fact.reason or fact.status not in _PLAIN_WORDS or fact.venue_order_id != venue_order_id:
                    return None
                if fact.generation:
                    return None
                changed = False
                if fact.filled > reported:
                    reported, changed = fact.filled, True
                if fact.reported_at_ms > reported_at_ms:
                    reported_at_ms, changed = fact.reported_at_ms, True
                if ended is None and fact.status == "filled":
                    ended, changed = "filled", True
                if not changed:
                    continue  # it repeats what is known, so it moves no status either
            else:
                return None
            if status != "filled":
                if full or (ended is not None and filled >= reported > 0):
                    status = "filled"
                else:
                    status = "partially_filled" if filled else "open"
            facts.append(fact)
        if len(facts) > before:
            entries.append(entry)
    if not facts:
        return Advance(order, [], [], {})
    after = replace(
        state, filled=plain(filled), cost=plain(cost), reported=plain(reported), reported_at_ms=reported_at_ms,
        fees={asset: plain(fee) for asset, fee in fees.items()} if charged else fees, ended=ended,
    )  # fmt: skip
    return Advance(replace(order, status=status, state=after), facts, entries, executions)
