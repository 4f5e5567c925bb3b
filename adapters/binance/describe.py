"""An order's own terms, from a row of Binance's lists: what an import makes a record of. Pure."""

from typing import Literal

import msgspec
from msgspec import Struct

from adapters.binance.adjustments import position_side
from adapters.binance.decode import ORDER_FORMAT
from adapters.binance.facts import FACTS
from adapters.binance.payloads import amount, amount_or_none
from adapters.venue import Described, Undescribed
from streams.errors import BadPayload
from streams.identity import read_wire_id
from streams.schemas import OrderType, Side, TimeInForce

_SIDES: dict[str, Side] = {"BUY": "buy", "SELL": "sell"}
# The last is the venue's own word for the order by which it closes an account's position.
_TYPES: dict[str, OrderType] = {"LIMIT": "limit", "LIMIT_MAKER": "limit", "MARKET": "market", "LIQUIDATION": "limit"}
# GTX is USDⓈ-M's word for post-only.
_TIMES: dict[str, TimeInForce] = {"GTC": "gtc", "IOC": "ioc", "FOK": "fok", "GTX": "gtc"}


_ABSENT = msgspec.Raw(b"null")


class _Named(Struct, frozen=True, rename="camel"):
    client_order_id: str


class _Row(Struct, frozen=True, rename="camel"):
    symbol: str
    order_id: int
    client_order_id: str
    side: Literal["BUY", "SELL"]
    type: str
    orig_qty: msgspec.Raw
    price: msgspec.Raw
    time: int
    time_in_force: str = "GTC"
    position_side: str = "BOTH"
    reduce_only: bool = False
    cummulative_quote_qty: msgspec.Raw = _ABSENT
    cum_quote: msgspec.Raw = _ABSENT


_named = msgspec.json.Decoder(_Named)
_decoder = msgspec.json.Decoder(_Row)


def describe(format: str, raw: bytes) -> Described:  # noqa: A002 - the word of the streams
    """Read the terms of one row of `openOrders` or `allOrders`.

    Raises:
        BadPayload: it is not such a row.
        Undescribed: it is, and its terms are none that we send.
    """
    if format != ORDER_FORMAT:
        raise BadPayload(f"{format[:64]!r} does not describe an order")
    try:
        named = _named.decode(raw).client_order_id
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise BadPayload(f"not an order: {str(error)[:200]}") from None
    try:
        return _described(_decoder.decode(raw))
    except (msgspec.MsgspecError, ValueError, RecursionError, BadPayload) as error:
        raise Undescribed(read_wire_id(named, FACTS.id_rule)[0], str(error)[:200]) from None


def _described(row: _Row) -> Described:
    if row.type not in _TYPES or row.time_in_force not in _TIMES:
        raise BadPayload(f"type {row.type[:32]} {row.time_in_force[:8]} is none that we send")
    kind = _TYPES[row.type]
    name, generation = read_wire_id(row.client_order_id, FACTS.id_rule)
    return Described(
        client_order_id=name,
        generation=generation,
        venue_symbol=row.symbol,
        venue_order_id=str(row.order_id),
        side=_SIDES[row.side],
        type=kind,
        quantity=amount(row.orig_qty, "origQty"),
        price=amount(row.price, "price") if kind == "limit" else None,
        time_in_force=_TIMES[row.time_in_force] if kind == "limit" else "gtc",
        post_only=row.type == "LIMIT_MAKER" or row.time_in_force == "GTX",
        created_at_ms=row.time,
        reduce_only=row.reduce_only,
        position_side=position_side(row.position_side),
        cost=amount_or_none(row.cummulative_quote_qty, "cummulativeQuoteQty", least=None)
        or amount_or_none(row.cum_quote, "cumQuote", least=None),
    )
