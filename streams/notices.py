"""What a strategy is told: typed events worked out from the journal. Pure.

The journal says everything about every order of an account; a strategy asks three questions of it: what traded, how
do my orders stand, what do I hold. An event's id is made of the journal's own ids, so it stays the same when the
entry is delivered again, or gets another stream id after a failover.
"""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import assert_never

from msgspec import Struct

from streams import events
from streams.corrections import Move, is_inferred
from streams.events import JournalEntry
from streams.money import ZERO
from streams.schemas import (
    Absent,
    Cause,
    Command,
    Correction,
    Execution,
    Order,
    OrderReport,
    OrderStatus,
    Place,
    Position,
    PositionSide,
    Refused,
    Side,
)


class Notice(Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="kind"):
    """What every event has.

    Attributes:
        event_id: the same at every delivery; what a strategy keeps to know that it has seen it.
        account: where it happened.
        at_ms: the server's clock, UTC milliseconds.
        redelivered: it may have been handled before, in whole or in part.
        in_snapshot: the last `Snapshot` has it already; a sum that began with the snapshot must not add it again.
    """

    event_id: str
    account: str
    at_ms: int
    redelivered: bool = False
    in_snapshot: bool = False


class OfOrder(Notice, frozen=True, kw_only=True, omit_defaults=True):
    """What every event of an order has: the identity its intent was published under.

    Attributes:
        client_order_id: ours.
        strategy: who decided.
        signal_id: of the intent; empty where the order's record was forgotten.
        leg: of the intent.
        symbol: unified.
    """

    client_order_id: str
    strategy: str
    signal_id: str
    symbol: str
    leg: str = ""


class Fill(OfOrder, frozen=True, kw_only=True, omit_defaults=True, tag="fill"):
    """One execution of an order, counted once.

    Attributes:
        trade_id: the venue's.
        side: of our order.
        quantity: base units, positive.
        price: quote units.
        fee: positive is a cost, negative a rebate; None when not told.
        fee_asset: the currency of `fee`.
        maker: True when our order was resting; None when not told.
        executed_at_ms: the venue's time.
        provisional: it is inferred from the venue's sum; the real one follows, and takes its place.
        status: the order's, after this and what came with it.
        filled: sum of the order's executions, after this and what came with it.
    """

    trade_id: str
    side: Side
    quantity: Decimal
    price: Decimal
    executed_at_ms: int
    status: OrderStatus
    filled: Decimal
    fee: Decimal | None = None
    fee_asset: str | None = None
    maker: bool | None = None
    provisional: bool = False


class FillTakenBack(OfOrder, frozen=True, kw_only=True, omit_defaults=True, tag="taken_back"):
    """An execution that was told counts no more: the venue took it back, or the real one takes an inferred one's place.

    Attributes:
        trade_id: of the execution as it was told, or `inferred-`.
        side: of our order.
        quantity: base units that count no more, positive.
        price: at which they were counted.
        fee: that is given back; None when none was told.
        fee_asset: the currency of `fee`.
        reason: why, in the venue's words or a person's; empty for an inferred one.
        status: the order's, after this and what came with it.
        filled: sum of the order's executions, after this and what came with it.
    """

    trade_id: str
    side: Side
    quantity: Decimal
    price: Decimal
    status: OrderStatus
    filled: Decimal
    fee: Decimal | None = None
    fee_asset: str | None = None
    reason: str = ""


class OrderChanged(OfOrder, frozen=True, kw_only=True, omit_defaults=True, tag="order"):
    """An order moved: created, sent, in doubt, working, ended.

    Attributes:
        status: after it.
        filled: sum of its executions after it.
        reported: what the venue says has traded, where it said so here; above `filled` while executions are to come.
        quantity: that was asked for; None where the order's record was forgotten.
        reason: why it ended or was refused; empty when there is nothing to say.
        anomalies: what must not happen and did.
    """

    status: OrderStatus
    filled: Decimal = ZERO
    reported: Decimal = ZERO
    quantity: Decimal | None = None
    reason: str = ""
    anomalies: tuple[str, ...] = ()

    @property
    def traded(self) -> Decimal:
        """What has traded, whether its executions are all known or not: what is left of an order is counted from it."""
        return max(self.filled, self.reported)


class AmendDeclined(OfOrder, frozen=True, kw_only=True, omit_defaults=True, tag="amend_declined"):
    """An amend came to nothing, and the order is as it was: declined before it was sent, or refused by the venue.

    Attributes:
        revision: which amend of the order.
        reason: why, in a sentence or the venue's words.
    """

    revision: int
    reason: str


class PositionChanged(Notice, frozen=True, kw_only=True, omit_defaults=True, tag="position"):
    """A position of the account moved, whichever strategy's order it was: a venue knows accounts, not strategies.

    Attributes:
        symbol: unified.
        position_side: `net`, or one of two at venues that keep both.
        quantity: base units after it, negative when short.
        strategy: whose order moved it last; empty where the venue moved it without one.
    """

    symbol: str
    quantity: Decimal
    strategy: str
    position_side: PositionSide = "net"


class HoldingsChanged(Notice, frozen=True, kw_only=True, omit_defaults=True, tag="holdings"):
    """What the account holds, or a position, became another without any order: never a fill.

    Attributes:
        cause: `transfer`, `funding`, `liquidation`, `venue`, `manual`, `drift`, or `opening` for what was there before.
        amounts: by asset, positive is more; empty where only a position moved, which `PositionChanged` tells.
        symbol: unified, of the position that moved; empty for none.
        reason: in the words of whoever said so.
    """

    cause: Cause
    amounts: Mapping[str, Decimal]
    symbol: str = ""
    reason: str = ""


class Snapshot(Notice, frozen=True, kw_only=True, omit_defaults=True, tag="snapshot"):
    """How the account stands before the first event: one moment of the journal, read whole.

    Attributes:
        entry: the last journal entry it contains; empty before there was any.
        positions: every position of the account, by symbol (and side).
        orders: the strategy's orders that can still trade.
        marks: the newest reference price of each symbol, as of the same moment.
    """

    entry: str
    positions: Mapping[str, Position]
    orders: tuple[Order, ...]
    marks: Mapping[str, Decimal] = {}


class Mark(Notice, frozen=True, kw_only=True, omit_defaults=True, tag="mark"):
    """A new reference price; where several came at once, the newest of each symbol.

    Attributes:
        symbol: unified.
        price: quote units.
    """

    symbol: str
    price: Decimal


class Journal(Notice, frozen=True, kw_only=True, omit_defaults=True, tag="journal"):
    """One entry of the journal as it is, whosever orders it is about: for whoever watches an account as a whole.

    Attributes:
        script: which script wrote it.
        changes: what it did, in order.
    """

    script: str
    changes: tuple[events.AnyChange, ...]


class Tick(Notice, frozen=True, kw_only=True, omit_defaults=True, tag="tick"):
    """A moment that `Strategy.every` asked for.

    Attributes:
        due_ms: the moment on the wall clock, a multiple of the period: the same for every copy and after a restart,
            so it can be part of a signal id. Moments that passed while the strategy was down are left out.
        period_ms: of it.
    """

    due_ms: int
    period_ms: int


AnyNotice = Fill | FillTakenBack | OrderChanged | AmendDeclined | PositionChanged | HoldingsChanged


def unknown(entry: JournalEntry, terms: Mapping[str, Place]) -> list[str]:
    """Name the orders of an entry whose terms must be read before it can be told."""
    made = {one.client_order_id for one in entry.changes if isinstance(one, events.Created | events.Imported)}
    return sorted({one for one in map(_order_of, entry.changes) if one} - made - terms.keys())


def learnt(entry: JournalEntry) -> Iterator[tuple[str, Place]]:
    """Give the terms that an entry itself brings."""
    for one in entry.changes:
        if isinstance(one, events.Created | events.Imported):
            yield one.client_order_id, one.terms


def tell(account: str, entry: JournalEntry, terms: Mapping[str, Place]) -> list[AnyNotice]:
    """Work out what one journal entry tells, in its order; a position is told once, as it stands after the entry.

    Args:
        account: whose journal it is.
        entry: as decoded.
        terms: client order id -> what was asked for, of every order the entry names and has a record of.
    """
    told: list[AnyNotice] = []
    for change in entry.changes:
        told += _tell(account, entry.at_ms, change, terms)
    last = {(one.symbol, one.position_side): one.event_id for one in told if isinstance(one, PositionChanged)}
    return [
        one
        for one in told
        if not isinstance(one, PositionChanged) or last[one.symbol, one.position_side] == one.event_id
    ]


def concerns(notice: AnyNotice, strategy: str) -> bool:
    """Whether a strategy is told: everything of its own orders, and all that the account itself holds."""
    return isinstance(notice, PositionChanged | HoldingsChanged) or notice.strategy == strategy


def _tell(  # noqa: C901 - one arm per kind of change
    account: str, at_ms: int, change: events.AnyChange, terms: Mapping[str, Place]
) -> Iterator[AnyNotice]:
    def moved(client_order_id: str, status: OrderStatus, reason: str = "") -> Iterator[OrderChanged]:
        asked = terms.get(client_order_id)
        if asked is not None:  # a tombstone has none, and nobody decided it
            yield OrderChanged(
                event_id=change.id, account=account, at_ms=at_ms, client_order_id=client_order_id,
                strategy=asked.strategy, signal_id=asked.signal_id, leg=asked.leg, symbol=asked.symbol,
                status=status, quantity=asked.quantity, reason=reason,
            )  # fmt: skip

    match change:
        case events.Created():
            yield from moved(change.client_order_id, "created")
        case events.Imported() | events.Doubted():
            yield from moved(change.client_order_id, "unknown")
        case events.Claimed(command="place"):
            yield from moved(change.client_order_id, "submitting")
        case events.Ended():
            yield from moved(change.client_order_id, change.status, change.reason)
        case events.Declined(client_order_id=name, revision=revision, reason=reason):
            yield from _declined(account, at_ms, change.id, terms.get(name), name, revision, reason)
        case events.Updated():
            yield from _updated(account, at_ms, change, terms.get(change.client_order_id))
        case events.Adjusted():
            yield from _adjusted(account, at_ms, change)
        case (
            events.Claimed()
            | events.CancelRequested()
            | events.Tombstone()
            | events.Queued()
            | events.Parked()
            | events.Lapsed()
            | events.Passed()
            | events.Reconciled()
            | events.Quarantined()
            | events.Forgotten()
            | events.Switched()
            | events.Clearing()
            | events.Opened()
            | events.Shut()
            | events.Enabled()
            | events.StreamLost()
            | events.StreamWhole()
        ):
            return
        case _:
            assert_never(change)


def _adjusted(account: str, at_ms: int, change: events.Adjusted) -> Iterator[AnyNotice]:
    told = change.adjustment
    yield HoldingsChanged(
        event_id=change.id, account=account, at_ms=at_ms, cause=told.cause, amounts=told.amounts, symbol=change.symbol,
        reason=told.reason,
    )  # fmt: skip
    if change.symbol:
        yield PositionChanged(
            event_id=f"{change.id}:position", account=account, at_ms=at_ms, symbol=change.symbol,
            quantity=Decimal(change.position_quantity), strategy="", position_side=told.position_side,
        )  # fmt: skip


def _declined(  # noqa: PLR0917 - one event
    account: str, at_ms: int, event_id: str, terms: Place | None, client_order_id: str, revision: int, reason: str
) -> Iterator[AmendDeclined]:
    if terms is not None:
        yield AmendDeclined(
            event_id=event_id, account=account, at_ms=at_ms, client_order_id=client_order_id, strategy=terms.strategy,
            signal_id=terms.signal_id, leg=terms.leg, symbol=terms.symbol, revision=revision, reason=reason,
        )  # fmt: skip


def _refused_amends(change: events.Updated) -> Iterator[tuple[int, str]]:
    """Amends that the venue refused, or that never reached it: which, and why."""
    for fact in change.facts:
        match fact:
            case Command(kind="amend", revision=revision, outcome=Refused(code, told)):
                yield revision, f"{code} {told}".strip()
            case Command(kind="amend", revision=revision, outcome=Absent()):
                yield revision, "it never reached the venue"


def _updated(account: str, at_ms: int, change: events.Updated, terms: Place | None) -> Iterator[AnyNotice]:
    signal_id, leg = (terms.signal_id, terms.leg) if terms else ("", "")
    filled = Decimal(change.filled)
    plain = [Move(fact) for fact in change.facts if isinstance(fact, Execution)]
    corrected = next((one.reason for one in change.facts if isinstance(one, Correction)), "")
    for number, move in enumerate(change.moves or plain):
        one = move.execution
        # One execution can be told, taken back and told anew in one change.
        name = f"{change.id}:{number}:{one.execution_id}" if change.moves else f"{change.id}:{one.execution_id}"
        if move.back:
            yield FillTakenBack(
                event_id=name, account=account, at_ms=at_ms,
                client_order_id=change.client_order_id, strategy=change.strategy, signal_id=signal_id, leg=leg,
                symbol=change.symbol, trade_id=one.trade_id, side=one.side, quantity=one.quantity, price=one.price,
                status=change.status, filled=filled, fee=one.fee, fee_asset=one.fee_asset,
                reason="" if is_inferred(one) else corrected,
            )  # fmt: skip
        else:
            yield Fill(
                event_id=name, account=account, at_ms=at_ms,
                client_order_id=change.client_order_id, strategy=change.strategy, signal_id=signal_id, leg=leg,
                symbol=change.symbol, trade_id=one.trade_id, side=one.side, quantity=one.quantity,
                price=one.price, executed_at_ms=one.executed_at_ms, status=change.status, filled=filled,
                fee=one.fee, fee_asset=one.fee_asset, maker=one.maker, provisional=is_inferred(one),
            )  # fmt: skip
    reports = [one for one in change.facts if isinstance(one, OrderReport)]
    reason = next((one.reason for one in reversed(reports) if one.reason), "")
    yield OrderChanged(
        event_id=change.id, account=account, at_ms=at_ms, client_order_id=change.client_order_id,
        strategy=change.strategy, signal_id=signal_id, leg=leg, symbol=change.symbol, status=change.status,
        filled=filled, reported=max((one.filled for one in reports), default=ZERO),
        quantity=Decimal(change.quantity) if change.quantity else terms.quantity if terms else None, reason=reason,
        anomalies=change.anomalies,
    )  # fmt: skip
    for revision, why in _refused_amends(change):
        name = f"{change.id}:amend:{revision}"
        yield from _declined(account, at_ms, name, terms, change.client_order_id, revision, why)
    if change.position:
        yield PositionChanged(
            event_id=f"{change.id}:position", account=account, at_ms=at_ms, symbol=change.symbol,
            quantity=Decimal(change.position_quantity), strategy=change.strategy,
            position_side=change.position.removeprefix(change.symbol).removeprefix(":") or "net",  # type: ignore[arg-type]  # the ledger wrote it
        )  # fmt: skip


def _order_of(change: events.AnyChange) -> str:
    match change:
        case events.Claimed(command="place") | events.Doubted() | events.Ended() | events.Declined() | events.Updated():
            return change.client_order_id
        case _:
            return ""
