"""Pure: from the bytes of a request to who sent it, when, and what it asks for; or the refusal Binance would send.

Rules are those of the "SIGNED endpoint security" and "Timing security" chapters of Binance's spot API documentation.
"""

import hashlib
import hmac
import re
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import TypeVar
from urllib.parse import parse_qsl

import msgspec

from adapters.simulated import refusals
from adapters.simulated.history import MAX_ROWS, Page
from adapters.simulated.matching import Side, TimeInForce
from adapters.simulated.orders import Cancellation, OrderType, Placement

Params = Mapping[str, str]
_Choice = TypeVar("_Choice", Side, TimeInForce, OrderType)

_AHEAD_MS = 1000
_DEFAULT_WINDOW_MS = 5000
_MAX_WINDOW_MS = 60000
_CLIENT_ID = r"^[\.A-Z\:/a-z0-9_-]{1,36}$"
_AMOUNT = r"^([0-9]{1,20})(\.[0-9]{1,20})?$"
_NUMBER = r"^[0-9]{1,20}$"
_AUTHENTICATION = frozenset({"timestamp", "recvWindow", "apiKey"})
_PLACE = frozenset({
    "symbol", "side", "type", "timeInForce", "quantity", "quoteOrderQty", "price", "newClientOrderId",
    "newOrderRespType", "selfTradePreventionMode", "strategyId", "strategyType",
})  # fmt: skip
_CANCEL = frozenset({"symbol", "orderId", "origClientOrderId", "newClientOrderId"})
RESPONSE_TYPES = frozenset({"ACK", "RESULT", "FULL"})


class Window(msgspec.Struct, frozen=True):
    """When a request was made and how long it is good for, in milliseconds of the venue's clock."""

    timestamp_ms: int
    recv_window_ms: Decimal

    def check(self, now_ms: int) -> None:
        """Refuse a request from the future or the past.

        Raises:
            Refusal: -1021.
        """
        if self.timestamp_ms >= now_ms + _AHEAD_MS:
            raise refusals.too_early()
        self.check_again(now_ms)

    def check_again(self, now_ms: int) -> None:
        """The second look, right before the matching engine: a request that waited inside may be too old by now.

        Raises:
            Refusal: -1021.
        """
        if now_ms - self.timestamp_ms > self.recv_window_ms:
            raise refusals.too_late()


def parse(query: str, body: str) -> tuple[dict[str, str], str, str]:
    """Split a request into its parameters, the text its signature covers, and the signature.

    The text is the query string followed by the body, as sent, without the signature. The query string wins.

    Raises:
        Refusal: -1101, when a parameter is sent twice in the same place.
    """
    first, second = _pairs(query), _pairs(body)
    params = second | first
    signature = params.pop("signature", "")
    return params, _unsigned(query) + _unsigned(body), signature


def window(params: Params) -> Window:
    """Read timestamp and receive window.

    Raises:
        Refusal: -1102 or -1131.
    """
    timestamp = params.get("timestamp", "")
    if not re.match(_NUMBER, timestamp):
        raise refusals.mandatory("timestamp")
    text = params.get("recvWindow") or str(_DEFAULT_WINDOW_MS)
    if not re.match(_AMOUNT, text):
        raise refusals.illegal("recvWindow", _AMOUNT)
    recv_window_ms = Decimal(text)
    if recv_window_ms > _MAX_WINDOW_MS:
        raise refusals.bad_window()
    return Window(int(timestamp), recv_window_ms)


def check_signature(secret: str, text: str, signature: str) -> None:
    """Refuse a signature that is not HMAC SHA256 of the text under the secret. Takes equal time for all wrong ones.

    Raises:
        Refusal: -1102 or -1022.
    """
    if not signature:
        raise refusals.mandatory("signature")
    wanted = hmac.digest(secret.encode(), text.encode(), hashlib.sha256).hex()
    if not hmac.compare_digest(wanted.encode(), signature.lower().encode()):
        raise refusals.bad_signature()


def placement(params: Params, default_client_id: str) -> tuple[Placement, str]:
    """Read a new order and the response type it asks for.

    Raises:
        Refusal: with the venue's own code for what is missing, malformed or unknown.
    """
    known(params, _PLACE)
    symbol = required(params, "symbol")
    side = _choice(Side, required(params, "side"), refusals.Refusal(-1117, "Invalid side."))
    kind = _choice(OrderType, required(params, "type"), refusals.Refusal(-1116, "Invalid orderType."))
    if "quoteOrderQty" in params:
        raise refusals.Refusal(-2010, "Quote order qty market orders are not support for this symbol.")
    if params.get("selfTradePreventionMode", "NONE") != "NONE":
        raise refusals.Refusal(-1013, "This symbol does not allow the specified self-trade prevention mode.")
    time_in_force, price = TimeInForce.GTC, None
    if kind is OrderType.LIMIT:
        text = required(params, "timeInForce")
        time_in_force = _choice(TimeInForce, text, refusals.Refusal(-1115, "Invalid timeInForce."))
    elif "timeInForce" in params:
        raise refusals.Refusal(-1106, "Parameter 'timeInForce' sent when not required.")
    quantity = amount(params, "quantity")
    if kind is not OrderType.MARKET:
        price = amount(params, "price")
    elif "price" in params:
        raise refusals.Refusal(-1106, "Parameter 'price' sent when not required.")
    client_id = _client_id(params, "newClientOrderId") or default_client_id
    response_type = params.get("newOrderRespType", "ACK" if kind is OrderType.LIMIT_MAKER else "FULL")
    if response_type not in RESPONSE_TYPES:
        raise refusals.Refusal(-1136, "Invalid newOrderRespType.")
    return Placement(symbol, side, kind, quantity, price, time_in_force, client_id), response_type


def cancellation(params: Params, default_cancel_id: str) -> Cancellation:
    """Read a cancel by order id or original client order id.

    Raises:
        Refusal: with the venue's own code.
    """
    known(params, _CANCEL)
    symbol = required(params, "symbol")
    order_id, client_id = either_id(params)
    return Cancellation(symbol, order_id, client_id, _client_id(params, "newClientOrderId") or default_cancel_id)


def either_id(params: Params) -> tuple[int | None, str | None]:
    """Order id and original client order id, at least one of them.

    Raises:
        Refusal: -1102 or -1100.
    """
    order_id, client_id = number(params, "orderId"), _client_id(params, "origClientOrderId")
    if order_id is None and client_id is None:
        raise refusals.one_of("origClientOrderId", "orderId")
    return order_id, client_id


def page(params: Params) -> Page:
    """Which rows a list asks for; at most 1000, 500 when it does not say.

    Raises:
        Refusal: -1100 or -1102.
    """
    limit = number(params, "limit")
    if limit is not None and limit > MAX_ROWS:
        raise refusals.Refusal(-1102, f"'limit' contains unexpected value. Cannot be greater than '{MAX_ROWS}'.")
    return Page(
        order_id=number(params, "orderId"),
        from_id=number(params, "fromId"),
        start_ms=number(params, "startTime"),
        end_ms=number(params, "endTime"),
        limit=limit or Page().limit,
    )


def number(params: Params, name: str) -> int | None:
    """A whole number, None when it was not sent.

    Raises:
        Refusal: -1100.
    """
    text = params.get(name)
    if text is None:
        return None
    if not re.match(_NUMBER, text):
        raise refusals.illegal(name, _NUMBER)
    return int(text)


def _pairs(text: str) -> dict[str, str]:
    pairs = parse_qsl(text, keep_blank_values=True)
    found = dict(pairs)
    if len(found) != len(pairs):
        raise refusals.Refusal(-1101, "Duplicate values for a parameter detected.")
    return found


def _unsigned(text: str) -> str:
    return "&".join(part for part in text.split("&") if not part.startswith("signature="))


def known(params: Params, names: frozenset[str]) -> None:
    """Refuse parameters that this request does not have; raises Refusal -1104."""
    unread = [name for name in params if name not in names and name not in _AUTHENTICATION]
    if unread:
        sentence = "Not all sent parameters were read; read '{}' parameter(s) but was sent '{}'."
        raise refusals.Refusal(-1104, sentence.format(len(params) - len(unread), len(params)))


def required(params: Params, name: str) -> str:
    """A text that must be there; raises Refusal -1102."""
    text = params.get(name)
    if not text:
        raise refusals.mandatory(name)
    return text


def _choice(kind: type[_Choice], text: str, refusal: refusals.Refusal) -> _Choice:
    try:
        return kind(text)
    except ValueError:
        raise refusal from None


def amount(params: Params, name: str) -> Decimal:
    """A plain decimal that must be there; raises Refusal -1102 or -1100."""
    text = required(params, name)
    if not re.match(_AMOUNT, text):
        raise refusals.illegal(name, _AMOUNT)
    try:
        return Decimal(text)
    except InvalidOperation:
        raise refusals.illegal(name, _AMOUNT) from None


def _client_id(params: Params, name: str) -> str | None:
    text = params.get(name)
    if text is not None and not re.match(_CLIENT_ID, text):
        raise refusals.illegal(name, _CLIENT_ID)
    return text
