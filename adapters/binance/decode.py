"""Binance's bytes into facts. Pure.

Four formats: `binance.order` (an order as REST states it), `binance.trade` (a row of `myTrades`),
`binance.stream` (a frame of the private stream) and `binance.account` (what the account holds). A value that is not
on a list below is never guessed at:
the payload is refused with a sentence and waits in quarantine.
"""

from collections.abc import Sequence
from decimal import Decimal
from typing import Final

import msgspec

from adapters.binance.adjustments import closed, transfer, venue_made, wallets
from adapters.binance.facts import FACTS
from adapters.binance.payloads import (
    ACCOUNT_UPDATE,
    ALLOCATION,
    FRAME,
    FUTURES,
    NO_TRADE,
    ORDER,
    RAW_BYTES_MAX,
    REPORT,
    SPOT_FRAME,
    TRADE,
    TRANSFER,
    ExecutionReport,
    FillRow,
    OrderRow,
    QuotedReport,
    amount,
    amount_or_none,
    is_venue_symbol,
    ordinary,
)
from streams.errors import BadPayload
from streams.identity import digits, read_wire_id, wire_id
from streams.money import ZERO
from streams.schemas import Execution, Fact, Ignored, OrderReport, Side, VenueStatus

ORDER_FORMAT: Final = "binance.order"
TRADE_FORMAT: Final = "binance.trade"
STREAM_FORMAT: Final = "binance.stream"
ACCOUNT_FORMAT: Final = "binance.account"
TRADE_ID_MAX: Final = 64  # signs; the id becomes part of a key

_STATUSES: dict[str, VenueStatus] = {
    "NEW": "open",
    "PENDING_NEW": "open",
    # USDⓈ-M's for an order that a liquidation or an auto-deleveraging works on.
    "NEW_INSURANCE": "open",
    "NEW_ADL": "open",
    "PARTIALLY_FILLED": "partially_filled",
    "FILLED": "filled",
    "CANCELED": "cancelled",
    "PENDING_CANCEL": "open",
    "REJECTED": "rejected",
    "EXPIRED": "expired",
    "EXPIRED_IN_MATCH": "expired",
}
_REASONS: Final = ("REJECTED", "EXPIRED_IN_MATCH")  # words for a status that say why, too
_SIDES: dict[str, Side] = {"BUY": "buy", "SELL": "sell"}
_TRADE, _AMENDMENT = "TRADE", "AMENDMENT"
# Of a name at the venue that has a generation; both products have one rule.
_REPLACED_LENGTH: Final = len(wire_id(FACTS.id_rule.prefix + "0" * digits(FACTS.id_rule), 1, FACTS.id_rule))
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


def decode(format: str, raw: bytes) -> Sequence[Fact]:  # noqa: A002 - the word of the streams
    """Decode one payload of Binance.

    Args:
        format: `binance.order`, `binance.trade` or `binance.stream`.
        raw: the venue's own bytes of one JSON object.

    Returns:
        Executions before the report that counts them, or one `Ignored`.

    Raises:
        BadPayload: it is not what `format` says; nothing else is raised whatever the bytes are.
    """
    if len(raw) > RAW_BYTES_MAX:
        raise BadPayload(f"the payload has {len(raw)} bytes, more than the {RAW_BYTES_MAX} of any order or trade")
    try:
        match format:
            case "binance.stream":  # what comes most
                return _stream(raw)
            case "binance.order":
                return _order(ORDER.decode(raw))
            case "binance.trade":
                return _trade(raw)
            case "binance.account" | "binance.wallets" | "binance.positions":
                return [Ignored("a statement of what the account holds says nothing about an order")]
            case _:
                raise BadPayload(f"{format[:64]!r} is not a format of Binance")
    except RecursionError:
        raise BadPayload("the payload is nested too deeply") from None
    except msgspec.MsgspecError as error:
        raise BadPayload(str(error)[:300]) from None
    except ValueError as error:  # not UTF-8, or an integer of thousands of digits
        raise BadPayload(f"the payload is not JSON: {type(error).__name__}") from None


def _order(row: OrderRow) -> Sequence[Fact]:
    client_order_id, generation = _named(row.orig_client_order_id, row.client_order_id)
    # An amend may have changed the terms: of a futures order in place, of another by the one that replaced it.
    amendable = bool(generation) or row.position_side is not None
    if row.status is None and (client_order_id is None or row.transact_time is None):
        raise BadPayload("an order without a status, and not the short answer to a new order either")
    filled = amount_or_none(row.executed_qty, "executedQty")
    if filled is None:
        filled = amount_or_none(row.cum_qty, "cumQty")
    if filled is None and row.status is not None:
        raise BadPayload("executedQty is missing")
    report = OrderReport(
        venue_symbol=row.symbol,
        venue_order_id=str(row.order_id),
        # The short answer proves that the order exists, and no more.
        status="open" if row.status is None else _status(row.status),
        filled=ZERO if filled is None else filled,
        # Zero, the oldest of all, where none is told, as in the parts of a cancel-replace.
        reported_at_ms=max(int(row.transact_time or 0), int(row.update_time or 0)),
        client_order_id=client_order_id,
        reason=row.status if row.status in _REASONS else "",
        generation=generation,
        quantity=amount_or_none(row.orig_qty, "origQty") if amendable else None,
        price=amount_or_none(row.price, "price") if amendable else None,
    )
    # A fill without a trade id has no identity: the report's figure makes the ledger ask for the trades.
    return [
        *(_fill(row, report, one) for one in row.fills or () if not _nameless(one.trade_id, one.match_type)),
        report,
    ]


def _nameless(trade_id: int | str | None, match_type: object) -> bool:
    """Say whether what was filled has no trade id, as allocations have none."""
    return trade_id is None or (trade_id == NO_TRADE and match_type == ALLOCATION)


def _fill(row: OrderRow, report: OrderReport, fill: FillRow) -> Execution:
    if row.transact_time is None:
        raise BadPayload("transactTime is missing in an answer with fills")
    return Execution(
        venue_symbol=row.symbol,
        venue_order_id=report.venue_order_id,
        trade_id=_trade_id(fill.trade_id),
        client_order_id=report.client_order_id,
        side=_side(row.side),
        quantity=_positive(fill.qty, "qty"),
        price=_positive(fill.price, "price"),
        fee=amount_or_none(fill.commission, "commission", least=None),
        fee_asset=fill.commission_asset or None,
        maker=False,  # what an order trades on arrival, it takes
        executed_at_ms=int(row.transact_time),
        generation=report.generation,
    )


def _trade(raw: bytes) -> Sequence[Fact]:
    row = TRADE.decode(raw)
    if row.side is None and row.is_buyer is None:
        raise BadPayload("a trade without isBuyer or side: whose it was cannot be told")
    if row.side is None:
        side: Side = "buy" if row.is_buyer else "sell"
    else:
        side = _side(row.side)
    execution = Execution(
        venue_symbol=row.symbol,
        venue_order_id=str(row.order_id),
        trade_id=str(row.id),
        side=side,
        quantity=_positive(row.qty, "qty"),
        price=_positive(row.price, "price"),
        fee=amount_or_none(row.commission, "commission", least=None),
        fee_asset=row.commission_asset or None,
        maker=row.maker if row.is_maker is None else row.is_maker,
        executed_at_ms=int(row.time),
    )
    return [execution]


def _stream(raw: bytes) -> Sequence[Fact]:
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
    status, side, trade_id = _STATUSES.get(event.status), _SIDES.get(event.side), event.trade_id
    quantity, price = ordinary(event.last_quantity), ordinary(event.last_price)
    filled, fee = ordinary(event.cumulative_quantity), ordinary(event.commission)
    if status is None or side is None or trade_id is None or trade_id < 0 or filled is None or fee is None:
        return None
    if not quantity or not price or event.reject_reason != "NONE" or event.status in _REASONS:
        return None
    original = event.original_client_order_id
    client_order_id = original if original and original != "null" else event.client_order_id or None
    if client_order_id is not None and len(client_order_id) == _REPLACED_LENGTH:
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
    client_order_id, generation = _named(event.original_client_order_id, event.client_order_id)
    if venue_made(client_order_id):
        return _closing(event, client_order_id)
    quantity = price = None
    if isinstance(event, ExecutionReport) and (generation or event.execution_type == _AMENDMENT):
        quantity, price = amount_or_none(event.quantity, "q"), amount_or_none(event.price, "p")
    report = OrderReport(
        venue_symbol=event.symbol,
        venue_order_id=str(event.order_id),
        status=_status(event.status),
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
    return event.status if event.status in _REASONS else ""


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
        trade_id=_trade_id(event.trade_id),
        client_order_id=client_order_id,
        side=_side(event.side),
        quantity=_positive(event.last_quantity, "l"),
        price=_positive(event.last_price, "L"),
        fee=amount_or_none(event.commission, "n", least=None),
        fee_asset=event.commission_asset or None,
        maker=event.is_maker,
        executed_at_ms=int(event.transacted_at_ms),
        generation=generation,
    )


def _named(original: str | None, current: str | None) -> tuple[str | None, int]:
    """Read the order's own name: after a cancel the venue puts the cancel's id where the order's was.

    Returns:
        The identity it belongs to, and its generation.
    """
    name = original if original and original != "null" else current or None
    if name is None or len(name) != _REPLACED_LENGTH:
        return name, 0
    return read_wire_id(name, FACTS.id_rule)


def _status(word: str) -> VenueStatus:
    status = _STATUSES.get(word)
    if status is None:
        raise BadPayload(f"status {word[:48]!r} is not on the list of known ones")
    return status


def _side(word: str | None) -> Side:
    side = _SIDES.get(word or "")
    if side is None:
        raise BadPayload(f"side {str(word)[:48]!r} is neither BUY nor SELL")
    return side


def _trade_id(value: int | str | None) -> str:
    shown = "" if value is None else str(value)
    if not shown or len(shown) > TRADE_ID_MAX or not shown.isascii() or not shown.isalnum():
        raise BadPayload(f"a trade without a trade id: {shown[:48]!r}")
    return shown


def _positive(raw: msgspec.Raw | str | None, name: str) -> Decimal:
    value = amount(raw, name)
    if not value:
        raise BadPayload(f"{name} of a trade is zero")
    return value
