"""The rows kept as evidence: ccxt's reading of an order or a trade, with the venue's own words in it. Pure.

A row is the JSON of `exchange`, of what ccxt made of the answer (`order` or `trade`, whose `info` is the venue's own
object) and, of an order, `name`: our client order id, and `named_by`: the venue's answer, or the question it answers.
Amounts are texts: ccxt is told to keep them so, and what is no whole number in the venue's JSON stays its own text.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from adapters.generic.facts import ID_RULE
from adapters.venue import CouldNotAsk
from streams.identity import is_ours

ORDER_FORMAT: Final = "ccxt.order"
TRADE_FORMAT: Final = "ccxt.trade"
BALANCE_FORMAT: Final = "ccxt.balance"

_ORDER_FIELDS = (
    "id", "clientOrderId", "symbol", "type", "side", "status", "timeInForce", "postOnly", "price", "amount", "filled",
    "remaining", "cost", "timestamp", "lastTradeTimestamp", "lastUpdateTimestamp", "info",
)  # fmt: skip
_TRADE_FIELDS = (
    "id", "order", "symbol", "side", "takerOrMaker", "price", "amount", "cost", "fee", "fees", "timestamp", "info",
)  # fmt: skip
# A number that stands by itself, in an address or a body.
_NUMBER = re.compile(r"(?<![\w.])[0-9]{1,40}(?:\.[0-9]{1,40})?(?![\w.])")


def order_row(exchange_id: str, order: Mapping[str, Any], asked: str = "") -> bytes:
    """Keep what ccxt made of one order.

    Args:
        exchange_id: ccxt's name of the exchange.
        order: ccxt's unified order.
        asked: the client order id the question named, where it named one.

    Raises:
        CouldNotAsk: it is no order that can be kept.
    """
    told = told_name(order)
    named = {"name": told or asked or None, "named_by": "answer" if told else "question" if asked else ""}
    return _kept({"exchange": exchange_id, **named, "order": {key: order.get(key) for key in _ORDER_FIELDS}})


def trade_row(exchange_id: str, trade: Mapping[str, Any]) -> bytes:
    """Keep what ccxt made of one own trade; raises as `order_row`."""
    return _kept({"exchange": exchange_id, "trade": {key: trade.get(key) for key in _TRADE_FIELDS}})


def balance_row(exchange_id: str, balance: Mapping[str, Any]) -> bytes:
    """Keep what ccxt made of a statement of balances; raises as `order_row`."""
    return _kept({"exchange": exchange_id, "total": balance.get("total"), "info": balance.get("info")})


def told_name(order: Mapping[str, Any]) -> str:
    """Read the client order id an answer names; one that a venue put `t-` in front of is ours all the same."""
    name = order.get("clientOrderId")
    if not isinstance(name, str):
        return ""
    bare = name.removeprefix("t-")
    return bare if is_ours(bare, ID_RULE) else name


def numbers_in(words: str) -> frozenset[str]:
    """Find the numbers that stand by themselves in an address or a body, without zeros at their ends."""
    return frozenset(_short(found[0]) for found in _NUMBER.finditer(words))


def says(words: str, amount: str) -> bool:
    """Whether an amount, in canonical text, stands in an address or a body as it is."""
    return _short(amount) in numbers_in(words)


def _short(number: str) -> str:
    whole, _, fraction = number.partition(".")
    whole, fraction = whole.lstrip("0") or "0", fraction.rstrip("0")
    return f"{whole}.{fraction}" if fraction else whole


def _kept(row: Mapping[str, Any]) -> bytes:
    try:
        return msgspec.json.encode(row, enc_hook=str)
    except (TypeError, ValueError, RecursionError) as error:
        raise CouldNotAsk(f"an answer cannot be kept ({type(error).__name__})") from None
