"""The parameters of USDⓈ-M order requests, as texts. Pure."""

from decimal import Decimal

from adapters.binance.requests import Params, terms_of, wire
from adapters.binance_usdm.facts import FACTS
from streams.errors import BadIntent
from streams.money import text
from streams.schemas import Amending, Order, Place

_TIMES_IN_FORCE = {"gtc": "GTC", "ioc": "IOC", "fok": "FOK"}
_SIDES = {"net": "BOTH", "long": "LONG", "short": "SHORT"}


def place(order: Order) -> Params:
    """Build the parameters of a new order, but for its window.

    Returns:
        Parameters of `POST /fapi/v1/order`; RESULT, because there is no answer with fills here.

    Raises:
        BadIntent: the order cannot be said in these terms; nothing may be sent then.
    """
    terms = terms_of(order)
    params = {
        "symbol": venue_symbol(terms.symbol),
        "side": terms.side.upper(),
        "quantity": text(order.quantity),
        "newClientOrderId": wire(order),
        "newOrderRespType": "RESULT",
        **_position(terms),
    }
    if terms.type == "market":
        return {**params, "type": "MARKET"}
    params["price"] = text(order.price or Decimal(0))
    if terms.time_in_force not in FACTS.times_in_force:
        raise BadIntent(f"Binance USDⓈ-M has no time in force {terms.time_in_force} here; use gtc, ioc or fok.")
    force = "GTX" if terms.post_only else _TIMES_IN_FORCE[terms.time_in_force]
    return {**params, "type": "LIMIT", "timeInForce": force}


def amend(order: Order, amend: Amending) -> Params:
    """Build the parameters of an amend in place, but for its window; the quantity is that of the whole order.

    Returns:
        Parameters of `PUT /fapi/v1/order`.

    Raises:
        BadIntent: the order has no terms.
    """
    terms = terms_of(order)
    return {
        "symbol": venue_symbol(terms.symbol),
        "side": terms.side.upper(),
        "origClientOrderId": wire(order),
        "quantity": text(amend.quantity),
        "price": text(amend.price),
    }


def venue_symbol(symbol: str) -> str:
    """Spell a unified perpetual as Binance does: `BTC/USDT:USDT` is `BTCUSDT`.

    Raises:
        BadIntent: it is not a perpetual that is settled in its quote.
    """
    pair, _, settle = symbol.partition(":")
    base, _, quote = pair.partition("/")
    if not base or not quote or settle != quote:
        raise BadIntent(f"{symbol} is not a USDⓈ-M perpetual; they look like BTC/USDT:USDT.")
    return base + quote


def _position(terms: Place) -> Params:
    if terms.position_side == "net":
        return {"positionSide": "BOTH", **({"reduceOnly": "true"} if terms.reduce_only else {})}
    # With two positions a symbol the venue refuses the flag: a sell of the long one can only reduce it.
    if terms.reduce_only and terms.side == ("buy" if terms.position_side == "long" else "sell"):
        raise BadIntent(f"A {terms.side} never reduces a {terms.position_side} position; send it without reduce_only.")
    return {"positionSide": _SIDES[terms.position_side]}
