"""Frames of Binance's private streams into facts. Pure."""

from collections.abc import Sequence

import msgspec

from adapters.binance.adjustments import closed, transfer, venue_made, wallets
from adapters.binance.payloads import (
    ACCOUNT_UPDATE,
    ALLOCATION,
    FRAME,
    FUTURES,
    NO_TRADE,
    REPORT,
    SPOT_FRAME,
    TRANSFER,
    ExecutionReport,
    QuotedReport,
    amount,
    amount_or_none,
    is_venue_symbol,
    ordinary,
)
from adapters.binance.words import (
    REASONS,
    REPLACED_LENGTH,
    SIDES,
    STATUSES,
    named,
    positive,
    side_of,
    status_of,
    trade_id_of,
)
from streams.errors import BadPayload
from streams.schemas import Execution, Fact, Ignored, OrderReport

_TRADE, _AMENDMENT = "TRADE", "AMENDMENT"
_SPOT_EXECUTION_TYPES = frozenset({"NEW", "CANCELED", "REPLACED", "REJECTED", _TRADE, "EXPIRED", "TRADE_PREVENTION"})
_CALCULATED = "CALCULATED"  # a liquidation
_FUTURES_EXECUTION_TYPES = frozenset({"NEW", "CANCELED", _TRADE, "EXPIRED", "AMENDMENT", _CALCULATED})
# Events that say nothing about an order. TRADE_LITE repeats a fill early, without fee and cumulative figure:
# the ORDER_TRADE_UPDATE that follows carries the same trade id.
_IGNORED = frozenset(
    {
        "outboundAccountPosition",
        "outboundAccountInfo",
        "externalLockUpdate",
        "listStatus",
        "eventStreamTerminated",
        "serverShutdown",
        "listenKeyExpired",
        "ACCOUNT_CONFIG_UPDATE",
        "MARGIN_CALL",
        "TRADE_LITE",
        "ALGO_UPDATE",
        "CONDITIONAL_ORDER_TRIGGER_REJECT",
        "STRATEGY_UPDATE",
        "GRID_UPDATE",
        # Of margin and portfolio margin accounts: loans, risk, and conditional orders before they are orders.
        "userLiabilityChange",
        "USER_LIABILITY_CHANGE",
        "marginLevelStatusChange",
        "MARGIN_LEVEL_STATUS_CHANGE",
        "liabilityChange",
        "openOrderLoss",
        "riskLevelChange",
        "RISK_LEVEL_CHANGE",
        "CONDITIONAL_ORDER_TRADE_UPDATE",
    }
)


def stream(raw: bytes) -> Sequence[Fact]:
    """Decode one frame, bare or wrapped.

    Raises:
        BadPayload: it is on no list here, or says what cannot be.
        msgspec.MsgspecError: it is not JSON, or not of its event's shape.
        ValueError: it is not UTF-8.
        RecursionError: it is nested too deeply.
    """
    try:
        event = SPOT_FRAME.decode(raw).event
    except (msgspec.DecodeError, ValueError, RecursionError):
        return _frame(raw)  # another event, or a fault that is to be told in the words of its own event
    if not is_venue_symbol(event.symbol):
        return _frame(raw)
    if event.execution_type == _TRADE:
        return _trade_report(event) or _frame(raw)
    return _report(event, _SPOT_EXECUTION_TYPES)


def _trade_report(event: QuotedReport) -> Sequence[Fact] | None:
    """An execution and its report as the venue nearly always writes them; None for what `_frame` is to look at.

    What comes most often is read once and without a look at what it could be instead.
    """
    status, side, trade_id = STATUSES.get(event.status), SIDES.get(event.side), event.trade_id
    quantity, price = ordinary(event.last_quantity), ordinary(event.last_price)
    filled, fee = ordinary(event.cumulative_quantity), ordinary(event.commission)
    if status is None or side is None or trade_id is None or trade_id < 0 or filled is None or fee is None:
        return None
    if not quantity or not price or event.reject_reason != "NONE" or event.status in REASONS:
        return None
    original = event.original_client_order_id
    client_order_id = original if original and original != "null" else event.client_order_id or None
    if client_order_id is not None and len(client_order_id) == REPLACED_LENGTH:
        return None
    symbol, venue_order_id, at_ms = event.symbol, str(event.order_id), event.transacted_at_ms
    return [
        Execution(
            venue_symbol=symbol, venue_order_id=venue_order_id, trade_id=str(trade_id), client_order_id=client_order_id,
            side=side, quantity=quantity, price=price, fee=fee, fee_asset=event.commission_asset or None,
            maker=event.is_maker, executed_at_ms=at_ms,
        ),
        OrderReport(
            venue_symbol=symbol, venue_order_id=venue_order_id, status=status, filled=filled, reported_at_ms=at_ms,
            client_order_id=client_order_id,
        ),
    ]  # fmt: skip


def _frame(raw: bytes | msgspec.Raw, *, wrapped: bool = False) -> Sequence[Fact]:
    frame = FRAME.decode(raw)
    if isinstance(frame.e, str):
        return _event(frame.e, raw)
    inside = frame.event if isinstance(frame.stream, msgspec.UnsetType) else frame.data
    if isinstance(inside, msgspec.Raw) and not wrapped:
        return _frame(inside, wrapped=True)
    told = (frame.status, frame.result, frame.error)
    if frame.id is not msgspec.UNSET and any(one is not msgspec.UNSET for one in told):
        return [Ignored("the answer to a request of ours")]
    raise BadPayload("a frame without an event type `e`")


def _event(name: str, raw: bytes | msgspec.Raw) -> Sequence[Fact]:
    if name == "executionReport":
        return _report(REPORT.decode(raw), _SPOT_EXECUTION_TYPES)
    if name == "ORDER_TRADE_UPDATE":
        return _report(FUTURES.decode(raw).o, _FUTURES_EXECUTION_TYPES)
    if name == "balanceUpdate":
        return [transfer(TRANSFER.decode(raw))]
    if name == "ACCOUNT_UPDATE":
        return [wallets(ACCOUNT_UPDATE.decode(raw))]
    if name in _IGNORED:
        return [Ignored(f"{name} says nothing about an order that its own report does not say")]
    raise BadPayload(f"event {name[:48]!r} is not on the list of known ones")


def _report(event: ExecutionReport | QuotedReport, execution_types: frozenset[str]) -> Sequence[Fact]:
    if event.execution_type not in execution_types:
        raise BadPayload(f"execution type {event.execution_type[:48]!r} is not on the list of known ones")
    client_order_id, generation = named(event.original_client_order_id, event.client_order_id)
    if venue_made(client_order_id):
        return _closing(event, client_order_id)
    quantity = price = None
    if isinstance(event, ExecutionReport) and (generation or event.execution_type == _AMENDMENT):
        quantity, price = amount_or_none(event.quantity, "q"), amount_or_none(event.price, "p")
    report = OrderReport(
        venue_symbol=event.symbol,
        venue_order_id=str(event.order_id),
        status=status_of(event.status),
        filled=amount(event.cumulative_quantity, "z"),
        reported_at_ms=int(event.transacted_at_ms),
        client_order_id=client_order_id,
        reason=_reason(event),
        generation=generation,
        quantity=quantity,
        price=price,
    )
    if event.execution_type != _TRADE:
        return [report]
    if event.trade_id == NO_TRADE and isinstance(event, ExecutionReport) and event.match_type == ALLOCATION:
        return [report]  # no identity either: its figure makes the ledger ask
    return [_traded(event, client_order_id, generation), report]


def _reason(event: ExecutionReport | QuotedReport) -> str:
    if event.reject_reason not in (None, "", "NONE"):
        return str(event.reject_reason)
    return event.status if event.status in REASONS else ""


def _closing(event: ExecutionReport | QuotedReport, client_order_id: str | None) -> Sequence[Fact]:
    """What the venue trades for us is no fill of ours: it moves the position by itself."""
    if not amount_or_none(event.last_quantity, "l"):
        return [Ignored("an order of the venue's own, which has not traded")]
    side = event.position_side if isinstance(event, ExecutionReport) else None
    return [closed(_traded(event, client_order_id), side)]


def _traded(event: ExecutionReport | QuotedReport, client_order_id: str | None, generation: int = 0) -> Execution:
    return Execution(
        venue_symbol=event.symbol,
        venue_order_id=str(event.order_id),
        trade_id=trade_id_of(event.trade_id),
        client_order_id=client_order_id,
        side=side_of(event.side),
        quantity=positive(event.last_quantity, "l"),
        price=positive(event.last_price, "L"),
        fee=amount_or_none(event.commission, "n", least=None),
        fee_asset=event.commission_asset or None,
        maker=event.is_maker,
        executed_at_ms=int(event.transacted_at_ms),
        generation=generation,
    )
