"""Rows of any exchange into facts. Pure.

ccxt's word for a status is one of a few, or whatever the venue wrote. Its `closed` says that nothing rests, not that
all was executed: the amounts decide that. A word on no list is refused with a sentence and waits in quarantine.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Raw, Struct

from adapters.binance.payloads import RAW_BYTES_MAX, Asset, Millis, Text, amount, amount_or_none
from adapters.generic.payloads import ORDER_FORMAT, TRADE_FORMAT
from adapters.recorded import Recorded
from adapters.venue import Described, Undescribed
from streams.errors import BadPayload
from streams.money import CONTEXT, ZERO, plain
from streams.schemas import Execution, Fact, Ignored, OrderReport, OrderType, Side, VenueStatus

_ABSENT = Raw(b"null")
# It becomes a part of a key, and ids are joined by a colon.
VenueId = Annotated[str, Meta(pattern=r"\A[^\s{}:]{1,128}\Z")]
Spelling = Annotated[str, Meta(pattern=r"\A[A-Z0-9]{1,32}/[A-Z0-9]{1,32}\Z")]
Name = Annotated[str, Meta(max_length=128)]

# Of ccxt's order structure; `canceling` is still there, and None is what the short answer to a new order has.
_RESTING = frozenset({None, "open", "canceling"})
_ENDED: dict[str, VenueStatus] = {"canceled": "cancelled", "expired": "expired", "rejected": "rejected"}
_SIDES: dict[str, Side] = {"buy": "buy", "sell": "sell"}
_TYPES: dict[str, OrderType] = {"limit": "limit", "market": "market"}


class _Order(Struct, frozen=True):
    id: VenueId
    symbol: Spelling
    status: Text | None = None
    side: Text | None = None
    type: Text | None = None
    amount: Raw = _ABSENT
    filled: Raw = _ABSENT
    remaining: Raw = _ABSENT
    price: Raw = _ABSENT
    cost: Raw = _ABSENT
    time_in_force: Text | None = msgspec.field(default=None, name="timeInForce")
    post_only: bool | None = msgspec.field(default=None, name="postOnly")
    timestamp: Millis | None = None
    traded_at: Millis | None = msgspec.field(default=None, name="lastTradeTimestamp")
    updated_at: Millis | None = msgspec.field(default=None, name="lastUpdateTimestamp")


class _OrderRow(Struct, frozen=True):
    order: _Order
    name: Name | None = None
    named_by: Literal["answer", "question", ""] = ""


class _Fee(Struct, frozen=True):
    cost: Raw = _ABSENT
    currency: Asset | None = None


class _Trade(Struct, frozen=True):
    id: VenueId
    order: VenueId
    symbol: Spelling
    side: Text
    price: Raw
    amount: Raw
    timestamp: Millis
    maker: Text | None = msgspec.field(default=None, name="takerOrMaker")
    fee: _Fee | None = None
    fees: tuple[_Fee, ...] | None = None


class _TradeRow(Struct, frozen=True):
    trade: _Trade


class _BalanceRow(Struct, frozen=True):
    total: dict[Name, Raw]


class _Named(Struct, frozen=True):
    name: Name | None = None


_ORDER = msgspec.json.Decoder(_OrderRow)
_TRADE = msgspec.json.Decoder(_TradeRow)
_BALANCE = msgspec.json.Decoder(_BalanceRow)
_NAMED = msgspec.json.Decoder(_Named)


def decode(format: str, raw: bytes) -> Sequence[Fact]:  # noqa: A002 - the word of the streams
    """Decode one row.

    Args:
        format: `ccxt.order`, `ccxt.trade` or `ccxt.balance`.
        raw: as `adapters.generic.payloads` writes it.

    Raises:
        BadPayload: it is not what `format` says; nothing else is raised whatever the bytes are.
    """
    match format:
        case "ccxt.order":
            return [_report(_read(_ORDER, raw))]
        case "ccxt.trade":
            return [_execution(_read(_TRADE, raw).trade)]
        case "ccxt.balance":
            return [Ignored("a statement of balances says nothing about an order")]
        case _:
            raise BadPayload(f"{format[:64]!r} is not a format of an exchange by ccxt")


def describe(format: str, raw: bytes) -> Described:  # noqa: A002 - the word of the streams
    """Read the terms of a listed order.

    Raises:
        BadPayload: it is no such row.
        Undescribed: it is, and its terms are none that we send.
    """
    if format != ORDER_FORMAT:
        raise BadPayload(f"{format[:64]!r} does not describe an order")
    name = _read(_NAMED, raw).name or ""
    try:
        return _described(_read(_ORDER, raw).order, name)
    except BadPayload as error:
        raise Undescribed(name, str(error)[:200]) from None


def holdings(format: str, raw: bytes) -> Mapping[str, Decimal]:  # noqa: A002 - the word of the streams
    """Read free and locked together by asset, without what is zero; raises BadPayload."""
    if format != "ccxt.balance":
        raise BadPayload(f"{format[:64]!r} does not say what an account holds")
    totals = _read(_BALANCE, raw).total
    held = {asset: amount_or_none(total, asset) or ZERO for asset, total in totals.items()}
    return {asset: plain(total) for asset, total in held.items() if total}


def sniff(raw: bytes) -> Sequence[Recorded]:
    """Take a recorded row for what it is."""
    for name in (ORDER_FORMAT, TRADE_FORMAT):
        try:
            decode(name, raw)
        except BadPayload:
            continue
        return [Recorded(name, raw)]
    return [Recorded("", raw, "no row of an order or a trade as ccxt reads them")]


def status_of(order: _Order) -> VenueStatus:
    """Say where an order stands: by ccxt's word whether it rests, by its amounts how it ended.

    Raises:
        BadPayload: the word is on no list, or the amounts that would decide are missing.
    """
    filled = _filled(order)
    if order.status in _RESTING:
        return "partially_filled" if filled else "open"
    if order.status in _ENDED:
        if filled is None and order.status != "rejected":
            raise BadPayload("an order that ended, and how much of it was executed is not told")
        return _ENDED[order.status]
    if order.status != "closed":
        raise BadPayload(f"status {str(order.status)[:48]!r} is not on the list of known ones")
    wanted, left = amount_or_none(order.amount, "amount"), amount_or_none(order.remaining, "remaining")
    if filled is None or (wanted is None and left is None):
        raise BadPayload("an order that is closed, and how much of it was executed is not told")
    return "filled" if (filled and left == ZERO) or (wanted and filled >= wanted) else "cancelled"


def _filled(order: _Order) -> Decimal | None:
    """What was executed of it; where that is not told, what is not left of it."""
    filled = amount_or_none(order.filled, "filled")
    wanted, left = amount_or_none(order.amount, "amount"), amount_or_none(order.remaining, "remaining")
    if filled is None and wanted is not None and left is not None and left <= wanted:
        return plain(CONTEXT.subtract(wanted, left))
    return filled


def _report(row: _OrderRow) -> OrderReport:
    order = row.order
    return OrderReport(
        venue_symbol=order.symbol,
        venue_order_id=order.id,
        status=status_of(order),
        filled=_filled(order) or ZERO,
        reported_at_ms=max(order.timestamp or 0, order.traded_at or 0, order.updated_at or 0),
        client_order_id=row.name,
    )


def _execution(trade: _Trade) -> Execution:
    quantity, price = amount(trade.amount, "amount"), amount(trade.price, "price")
    if not quantity or not price:
        raise BadPayload("amount or price of a trade is zero")
    fee, asset = _fee(trade)
    return Execution(
        venue_symbol=trade.symbol,
        venue_order_id=trade.order,
        trade_id=trade.id,
        side=_one_of(_SIDES, trade.side, "side"),
        quantity=quantity,
        price=price,
        fee=fee,
        fee_asset=asset,
        maker=None if trade.maker is None else trade.maker == "maker",
        executed_at_ms=trade.timestamp,
    )


def _fee(trade: _Trade) -> tuple[Decimal | None, str | None]:
    """Read what a trade cost; several parts of it in one asset are one.

    Raises:
        BadPayload: it was paid in several assets, which no execution can say.
    """
    told = [
        (amount_or_none(one.cost, "fee", least=None), one.currency) for one in (trade.fee, *(trade.fees or ())) if one
    ]
    if trade.fee is not None and told[0][0] is not None:
        return told[0]
    parts = [(cost, asset) for cost, asset in told if cost]
    assets = {asset for _, asset in parts}
    if len(assets) > 1:
        raise BadPayload("a trade with fees in several assets")
    if not parts:
        return None, None
    return CONTEXT.plus(sum((cost for cost, _ in parts), ZERO)), assets.pop()


def _described(order: _Order, name: str) -> Described:
    kind = _one_of(_TYPES, order.type, "type")
    if order.time_in_force not in (None, "GTC") and kind == "limit":
        raise BadPayload(f"time in force {str(order.time_in_force)[:8]} is none that we send")
    if order.timestamp is None:
        raise BadPayload("when it was made is not told")
    return Described(
        client_order_id=name,
        venue_symbol=order.symbol,
        venue_order_id=order.id,
        side=_one_of(_SIDES, order.side, "side"),
        type=kind,
        quantity=amount(order.amount, "amount"),
        price=amount(order.price, "price") if kind == "limit" else None,
        time_in_force="gtc",
        post_only=bool(order.post_only),
        created_at_ms=order.timestamp,
        cost=amount_or_none(order.cost, "cost"),
    )


def _one_of(known: Mapping[str, Any], word: str | None, what: str) -> Any:
    found = known.get(word or "")
    if found is None:
        raise BadPayload(f"{what} {str(word)[:48]!r} is not on the list of known ones")
    return found


def _read(decoder: msgspec.json.Decoder[Any], raw: bytes) -> Any:
    if len(raw) > RAW_BYTES_MAX:
        raise BadPayload(f"the row has {len(raw)} bytes, more than the {RAW_BYTES_MAX} of any order or trade")
    try:
        return decoder.decode(raw)
    except RecursionError:
        raise BadPayload("the row is nested too deeply") from None
    except msgspec.MsgspecError as error:
        raise BadPayload(str(error)[:300]) from None
    except ValueError as error:
        raise BadPayload(f"the row is not JSON: {type(error).__name__}") from None
