"""The parameters of Binance's order requests, as texts. Pure.

Amounts go out exactly as the order's record holds them. ccxt's `create_order` would cut them to the symbol's
precision without a word (1.00000999 becomes 1), so nothing of it is used but signing and transport.
"""

from collections.abc import Callable
from decimal import Decimal

from adapters.binance.facts import FACTS, WINDOW_MS_MAX
from adapters.venue import Window
from streams.errors import BadIntent
from streams.identity import wire_id
from streams.legs import executed_before, successor
from streams.money import CONTEXT, text
from streams.schemas import Amending, Order, Place

Params = dict[str, str]

_TIMES_IN_FORCE = {"gtc": "GTC", "ioc": "IOC", "fok": "FOK"}


def place(order: Order) -> Params:
    """Build the parameters of a new order, but for its window.

    Args:
        order: with its terms; amounts in `sent` stand before those of the terms.

    Returns:
        Parameters of `POST /api/v3/order`; FULL, so that fills come with their trade ids.

    Raises:
        BadIntent: the order cannot be said in Binance spot's terms; nothing may be sent then.
    """
    terms = terms_of(order)
    if terms.position_side not in FACTS.position_sides or terms.reduce_only:
        raise BadIntent("Binance spot has neither position sides nor reduce_only; send the order without them.")
    params = {
        "symbol": venue_symbol(terms.symbol),
        "side": terms.side.upper(),
        "quantity": text(order.quantity),
        "newClientOrderId": wire(order),
        "newOrderRespType": "FULL",
    }
    if terms.type == "market":
        return {**params, "type": "MARKET"}
    params["price"] = text(order.price or Decimal(0))
    if terms.post_only:
        return {**params, "type": "LIMIT_MAKER"}
    if terms.time_in_force not in _TIMES_IN_FORCE:
        raise BadIntent(f"Binance spot has no time in force {terms.time_in_force}; use gtc, ioc or fok.")
    return {**params, "type": "LIMIT", "timeInForce": _TIMES_IN_FORCE[terms.time_in_force]}


def replace(order: Order, amend: Amending) -> Params:
    """Build the parameters of a cancel-replace, but for its window.

    The venue cancels only an order of which nothing was executed (ONLY_NEW): so the new one has all that is left, and
    an execution that crosses the request stops it.

    Returns:
        Parameters of `POST /api/v3/order/cancelReplace`.

    Raises:
        BadIntent: as `place`.
    """
    left = CONTEXT.subtract(amend.quantity, executed_before(order.state))
    return {
        **place(successor(order, amend, left)),
        "cancelReplaceMode": "STOP_ON_FAILURE",
        "cancelOrigClientOrderId": wire(order),
        "cancelRestrictions": "ONLY_NEW",
    }


def wire(order: Order) -> str:
    """Name the newest of an order's orders at the venue."""
    return wire_id(order.client_order_id, order.generation, FACTS.id_rule)


def name(order: Order, spell: Callable[[str], str]) -> Params:
    """Name an order as the venue knows it from us, for a look-up or a cancel; `spell` writes its symbol.

    Raises:
        BadIntent: the record has no terms, so its symbol is not known.
    """
    return {"symbol": spell(terms_of(order).symbol), "origClientOrderId": wire(order)}


def within(window: Window, offset_ms: int) -> Params:
    """Turn a send window into the venue's own terms, fixed at the claim and never at signing.

    Args:
        window: on the Redis server's clock.
        offset_ms: what the venue's clock shows more than the Redis server's.

    Returns:
        `timestamp` and `recvWindow`; the venue refuses the request once their sum has passed.
    """
    length_ms = max(0, min(window.send_by_ms - window.opened_at_ms, WINDOW_MS_MAX))
    return {"timestamp": str(window.opened_at_ms + offset_ms), "recvWindow": str(length_ms)}


def venue_symbol(symbol: str) -> str:
    """Spell a unified spot symbol as Binance does: `BTC/USDT` is `BTCUSDT`.

    Raises:
        BadIntent: it is not a spot symbol.
    """
    if symbol.count("/") != 1 or ":" in symbol:
        raise BadIntent(f"{symbol} is not a spot symbol; Binance spot's look like BTC/USDT.")
    return symbol.replace("/", "")


def terms_of(order: Order) -> Place:
    """Give an order's terms; raises BadIntent for a tombstone, which has none."""
    if order.terms is None:
        raise BadIntent(f"Order {order.client_order_id} is a tombstone without terms; there is nothing to ask for.")
    return order.terms
