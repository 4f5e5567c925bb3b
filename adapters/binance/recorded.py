"""Recorded files of Binance payloads into single payloads with their format. Pure.

A file may hold one object, an array, an answer `{"id", "status", "result"}` of the ws-api, a wrapped or bare
stream event, one JSON document a line, or a transcript: method, path and signed-or-not before the body, or
`>` for a client's frame, `<` for an acknowledgement and `=` for an event. Nothing is dropped in silence:
what is not recognised comes back without a format, with the reason.
"""

import re

import msgspec
from msgspec import Raw

from adapters.binance.decode import ORDER_FORMAT, STREAM_FORMAT, TRADE_FORMAT
from adapters.recorded import Recorded

DEPTH_MAX = 6  # of containers around an order
ELEMENTS_MAX = 100_000  # of one file

# Keys under which Binance puts orders and trades; every other nested value belongs to its object.
_CONTAINERS = (
    "result",
    "data",
    "rows",
    "orderReports",
    "cancelResponse",
    "newOrderResponse",
    "amendedOrder",
    "orders",
    "list",
    "subOrders",
)
_HTTP = re.compile(
    rb"\A(GET|POST|PUT|DELETE)\r?\n[^\r\n]*\r?\n(?:true|false)[ \t]*(?:\r?\n|(?=[\[{])|\Z)", re.IGNORECASE
)
_MARK = re.compile(rb"^[ \t]*([><=])", re.MULTILINE)

_OBJECT = msgspec.json.Decoder(dict[str, Raw])
_ARRAY = msgspec.json.Decoder(list[Raw])


def sniff(raw: bytes) -> list[Recorded]:
    """Find every order, fill and stream event of a recorded file.

    Args:
        raw: the whole file.

    Returns:
        Payloads in the order of the file; never empty, and never an exception.
    """
    body = raw.removeprefix(b"\xef\xbb\xbf")
    head = _HTTP.match(body)
    if head is not None:
        return _document(body[head.end() :], 0)
    if body.lstrip()[:1] in (b">", b"<", b"="):
        return _transcript(body)
    return _document(body, 0)


def _transcript(body: bytes) -> list[Recorded]:
    marks = list(_MARK.finditer(body))
    found: list[Recorded] = []
    for mark, end in zip(marks, [*(m.start() for m in marks[1:]), len(body)], strict=True):
        # What the client said is no evidence; acknowledgements and events are the venue's words.
        if mark.group(1) != b">":
            found += _document(body[mark.end() : end], 0)
    return found or [Recorded("", body, "a transcript without a word of the venue")]


def _document(body: bytes, depth: int) -> list[Recorded]:
    text = body.strip()
    if not text:
        return [Recorded("", body, "empty")]
    try:
        if text[:1] == b"[":
            return _elements(text, depth)
        return _object(text, depth)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        lines = [line for line in text.splitlines() if line.strip()]
        if depth == 0 and len(lines) > 1 and all(line.lstrip()[:1] in (b"{", b"[") for line in lines):
            return [found for line in lines[:ELEMENTS_MAX] for found in _document(line, 1)]
        return [Recorded("", text, f"not a JSON object or array ({type(error).__name__})")]


def _elements(text: bytes, depth: int) -> list[Recorded]:
    elements = _ARRAY.decode(text)
    if not elements:
        return [Recorded("", text, "an empty list")]
    if depth >= DEPTH_MAX or len(elements) > ELEMENTS_MAX:
        return [Recorded("", text, "too many elements or too deeply nested")]
    return [found for element in elements for found in _document(bytes(element), depth + 1)]


def _object(text: bytes, depth: int) -> list[Recorded]:
    fields = _OBJECT.decode(text)
    format_ = _recognise(fields)
    if format_:
        return [Recorded(format_, text)]
    inside = [name for name in _CONTAINERS if bytes(fields.get(name, b"")).lstrip()[:1] in (b"{", b"[")]
    if "orderReports" in inside:
        inside = [name for name in inside if name != "orders"]  # only names of what the reports state in full
    if not inside or depth >= DEPTH_MAX:
        return [Recorded("", text, _reason(fields))]
    return [found for name in inside for found in _document(bytes(fields[name]), depth + 1)]


def _recognise(fields: dict[str, Raw]) -> str:
    has = fields.keys()
    if "e" in has or ("event" in has and bytes(fields["event"]).lstrip()[:1] == b"{"):
        return STREAM_FORMAT
    if has >= {"symbol", "orderId", "id", "price", "qty"}:
        return TRADE_FORMAT
    if has >= {"symbol", "orderId", "status"} or has >= {"symbol", "orderId", "clientOrderId", "transactTime"}:
        return ORDER_FORMAT
    return ""


def _reason(fields: dict[str, Raw]) -> str:
    has = fields.keys()
    if has >= {"code", "msg"}:
        return "an error answer: it belongs to a request, not to an order"
    if has >= {"symbol", "orderId"}:
        return "an order's name without its state"
    return "neither an order, nor a fill, nor a stream event of Binance"
