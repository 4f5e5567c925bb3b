"""Compares what we stored with the venue's own books: every order, every execution, every position. Pure.

It trusts neither side's bookkeeping of identities: orders are counted per intent by what was wanted, not by
the client order id, and executions are counted by how often the journal applied them.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from msgspec import Struct

from adapters.binance.facts import FACTS
from streams.corrections import Move, is_inferred
from streams.events import Adjusted, AnyChange, Created, Imported, Updated
from streams.identity import read_wire_id
from streams.money import text
from streams.schemas import Adjustment, Correction, Execution, IdRule, Order, Position

Fill = tuple[str, str, str]  # venue symbol, venue order id, trade id


class Books(Struct, frozen=True, kw_only=True):
    """One account in the venue's own books.

    Attributes:
        initial, balances: free and locked together, by asset.
        orders: (venue symbol, venue order id, client order id, executed quantity).
        fills: every execution of those orders, with its quantity.
    """

    initial: Mapping[str, Decimal]
    balances: Mapping[str, Decimal]
    orders: Sequence[tuple[str, str, str, Decimal]]
    fills: Mapping[Fill, Decimal]


class Local(Struct, frozen=True, kw_only=True):
    """The same account as the pipeline stored it."""

    orders: Sequence[Order]
    positions: Mapping[str, Position]
    changes: Sequence[AnyChange]
    waiting: int  # parked orders and entries nobody has dealt with


class Audit(Struct, frozen=True, kw_only=True):
    """What was found; the five defects must be 0."""

    intents: int
    venue_orders: int
    intents_with_more_than_one_order: int
    venue_fills: int
    fills_applied: int
    fills_missing: int
    fills_doubled: int
    fills_corrected: int = 0
    adjustments: int = 0
    position_mismatches: int
    unknown_left: int
    details: tuple[str, ...] = ()

    @property
    def defects(self) -> int:
        """Sum of the five defects."""
        return (
            self.intents_with_more_than_one_order
            + self.fills_missing
            + self.fills_doubled
            + self.position_mismatches
            + self.unknown_left
        )


DETAILS_MAX = 20
# Of the venues that the demo has.
RULE = FACTS.id_rule


def read_books(book: Mapping[str, Any]) -> Books:
    """Read one account of the simulated venue's `/sim/books`."""
    return Books(
        initial={asset: Decimal(amount) for asset, amount in book["initial"].items()},
        balances={
            **{asset: Decimal(held["free"]) + Decimal(held["locked"]) for asset, held in book["balances"].items()},
            # With margin nothing of the base asset is held: the venue keeps positions instead.
            **{asset: Decimal(amount) for asset, amount in book.get("positions", {}).items()},
        },
        orders=[
            (one["symbol"], str(one["order_id"]), one["client_order_id"], Decimal(one["executed"]))
            for one in book["orders"]
        ],
        fills={
            (one["symbol"], str(one["order_id"]), str(one["trade_id"])): Decimal(one["quantity"])
            for one in book["trades"]
        },
    )


def audit(books: Books, local: Local, rule: IdRule = RULE) -> Audit:
    """Compare; `rule` tells the orders apart that an amend made of one."""
    details: list[str] = []
    adjustments = [one.adjustment for one in local.changes if isinstance(one, Adjusted)]
    applied, corrected = _applied(local.changes)
    missing = [fill for fill in books.fills if applied[fill] < 1]
    doubled = [fill for fill, times in applied.items() if times > 1 or (times > 0 and fill not in books.fills)]
    more, less = _miscounted(books, local.orders, rule)
    doubled, missing = doubled + more, missing + less
    mismatches = _mismatches(books, local.positions, adjustments)
    crowded = _crowded(books, local, rule)
    left = [order.client_order_id for order in local.orders if _untold(order)]
    details += [f"two orders for one intent: {name}" for name in crowded]
    details += [f"missing execution: {'/'.join(fill)}" for fill in missing]
    details += [f"doubled execution: {'/'.join(fill)}" for fill in doubled]
    details += mismatches
    details += [f"unknown: {name}" for name in left]
    return Audit(
        intents=len({_identity(order) for order in local.orders if order.terms is not None}),
        venue_orders=len(books.orders),
        intents_with_more_than_one_order=len(crowded),
        venue_fills=len(books.fills),
        fills_applied=sum(applied.values()),
        fills_missing=len(missing),
        fills_doubled=len(doubled),
        fills_corrected=corrected,
        adjustments=len(adjustments),
        position_mismatches=len(mismatches),
        unknown_left=len(left) + local.waiting,
        details=tuple(details[:DETAILS_MAX]),
    )


def _applied(changes: Iterable[AnyChange]) -> tuple[Counter[Fill], int]:
    """How often each execution counts, what was inferred left aside; and how many were corrected."""
    counts, corrected = Counter[Fill](), 0
    for change in changes:
        if isinstance(change, Adjusted) and (made := _made(change)) is not None:
            counts[_fill(made)] += 1
        if not isinstance(change, Updated):
            continue
        corrected += sum(isinstance(fact, Correction) for fact in change.facts)
        for move in change.moves or [Move(fact) for fact in change.facts if isinstance(fact, Execution)]:
            if not is_inferred(move.execution):
                counts[_fill(move.execution)] += -1 if move.back else 1
    return counts, corrected


def _made(change: Adjusted) -> Execution | None:
    """What the venue traded for us; a difference that was only booked is no trade."""
    told = change.adjustment
    return told.execution if told.cause == "liquidation" else None


def _fill(execution: Execution) -> Fill:
    return execution.venue_symbol, execution.venue_order_id, execution.trade_id


def _miscounted(books: Books, orders: Sequence[Order], rule: IdRule) -> tuple[list[Fill], list[Fill]]:
    """Orders whose stored sum is above or below what the venue executed, whatever the journal says."""
    executed: Counter[str] = Counter()
    for _, _, name, quantity in books.orders:
        executed[read_wire_id(name, rule)[0]] += quantity  # type: ignore[assignment]  # a Counter of decimals
    more: list[Fill] = []
    less: list[Fill] = []
    for order in orders:
        filled, done = order.state.filled, executed[order.client_order_id]
        if filled != done or filled > order.quantity > 0:
            (more if filled >= done else less).append(("order", order.client_order_id, text(filled)))
    return more, less


def _crowded(books: Books, local: Local, rule: IdRule) -> list[str]:
    """Intents with two orders of one generation at the venue, and orders at the venue that no intent explains."""
    intents: dict[str, tuple[str, ...]] = {}
    for change in local.changes:
        if isinstance(change, Created | Imported):
            terms = change.terms
            intents[change.client_order_id] = (terms.strategy, terms.signal_id, terms.leg)
    # What the venue traded for us is no order of ours.
    closed = {
        (made.venue_symbol, made.venue_order_id)
        for one in local.changes
        if isinstance(one, Adjusted) and (made := _made(one)) is not None
    }
    ours = [read_wire_id(name, rule) for symbol, order_id, name, _ in books.orders if (symbol, order_id) not in closed]
    counts = Counter((intents.get(name, (name,)), generation) for name, generation in ours)
    return [
        "/".join(identity) if len(identity) > 1 else f"unexplained {identity[0]}"
        for (identity, _), times in counts.items()
        if times > 1 or len(identity) == 1
    ]


def _mismatches(books: Books, positions: Mapping[str, Position], adjustments: Sequence[Adjustment]) -> list[str]:
    """Positions against what the venue's balances moved by; on spot a position is the base asset's change."""
    held: dict[str, Decimal] = {}
    for one in adjustments:
        for asset, amount in one.amounts.items() if one.cause != "opening" else ():
            held[asset] = held.get(asset, Decimal(0)) + amount
    for symbol, position in positions.items():
        base = symbol.partition("/")[0]
        held[base] = held.get(base, Decimal(0)) + position.quantity
    quotes = {symbol.partition("/")[2].partition(":")[0] for symbol in positions}
    found = []
    for asset in sorted((set(books.balances) | set(held)) - quotes):
        moved = books.balances.get(asset, Decimal(0)) - books.initial.get(asset, Decimal(0))
        if moved != held.get(asset, Decimal(0)):
            found.append(f"position {asset}: {text(held.get(asset, Decimal(0)))} here, {text(moved)} at the venue")
    return found


def _identity(order: Order) -> tuple[str, str, str]:
    assert order.terms is not None
    return order.terms.strategy, order.terms.signal_id, order.terms.leg


def _untold(order: Order) -> bool:
    """Whether nobody can tell its state, or the venue counted executions that have not come."""
    return order.status in ("unknown", "submitting") or order.state.counted < order.state.reported
