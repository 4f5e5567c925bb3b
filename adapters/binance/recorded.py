"""Recorded files of Binance payloads into single payloads with their format. Pure.

A file may hold one object, an array, an answer `{"id", "status", "result"}` of the ws-api, a wrapped or bare
stream event, JSON documents one behind the other, or a transcript: method, path and signed-or-not before the body, or
`>` for a client's frame, `<` for an acknowledgement and `=` for an event. Nothing is dropped in silence:
what is not recognised comes back without a format, with the reason.
"""

import json
import re

import msgspec
from msgspec import Raw

from adapters.binance.decode import ACCOUNT_FORMAT, ANSWER_FORMAT, ORDER_FORMAT, STREAM_FORMAT, TRADE_FORMAT
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
    "info",  # where ccxt keeps the venue's own words
)
_HTTP = re.compile(
    rb"\A(GET|POST|PUT|DELETE)\r?\n[^\r\n]*\r?\n(?:true|false)[ \t]*(?:\r?\n|(?=[\[{])|\Z)", re.IGNORECASE
)
_MARK = re.compile(rb"^[ \t]*([><=])", re.MULTILINE)

# What the account holds says nothing about an order, and is known by the keys beside it.
_STATEMENTS = (
    (ACCOUNT_FORMAT, {"balances", "canTrade"}),
    ("binance.wallets", {"asset", "balance", "crossWalletBalance"}),
    ("binance.wallets", {"assets", "positions", "totalWalletBalance"}),
    ("binance.positions", {"symbol", "positionAmt", "entryPrice"}),
)
_TEXT = json.JSONDecoder()
_GAP = re.compile(r"[ \t\r\n,]*")
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
            return _all(lines)
        if depth == 0 and len(documents := _documents(text)) > 1:
            return _all(documents)
        return [Recorded("", text, f"not a JSON object or array ({type(error).__name__})")]


def _documents(text: bytes) -> list[bytes]:
    """Cut apart what stands one behind the other; from where it breaks on, it is one."""
    try:
        words, at = text.decode(), 0
    except UnicodeDecodeError:
        return [text]
    found: list[bytes] = []
    while at < len(words):
        try:
            _, end = _TEXT.raw_decode(words, at)  # for where it ends; values are read from the bytes
        except (ValueError, RecursionError):
            end = len(words)
        found.append(words[at:end].encode())
        gap = _GAP.match(words, end)
        at = gap.end() if gap else end
    return found


def _all(documents: list[bytes]) -> list[Recorded]:
    found = [one for document in documents[:ELEMENTS_MAX] for one in _document(document, 1)]
    if left := documents[ELEMENTS_MAX:]:
        found.append(Recorded("", b"\n".join(left), f"more than {ELEMENTS_MAX} documents in one file; split it"))
    return found


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
    found = [] if depth >= DEPTH_MAX else [one for name in inside for one in _document(bytes(fields[name]), depth + 1)]
    if _is_answer(fields) and not any(one.format for one in found):
        return [Recorded(STREAM_FORMAT, text)]  # of the connection that events come by; its decoder knows it
    if not inside and fields.keys() >= {"code", "msg"}:
        return [Recorded(ANSWER_FORMAT, text)]
    return found or [Recorded("", text, _reason(fields))]


def _is_answer(fields: dict[str, Raw]) -> bool:
    has = fields.keys()
    return "id" in has and ("result" in has or bytes(fields.get("error", b"")).lstrip()[:1] == b"{")


def _recognise(fields: dict[str, Raw]) -> str:
    has = fields.keys()
    if "e" in has or ("event" in has and bytes(fields["event"]).lstrip()[:1] == b"{"):
        return STREAM_FORMAT
    if has >= {"symbol", "orderId", "id", "price", "qty"}:
        return TRADE_FORMAT
    if has.isdisjoint(("orderId", "id")) and (statement := next((form for form, of in _STATEMENTS if has >= of), "")):
        return statement
    if has >= {"symbol", "orderId", "status"} or has >= {"symbol", "orderId", "clientOrderId", "transactTime"}:
        return ORDER_FORMAT
    return ""


def _reason(fields: dict[str, Raw]) -> str:
    has = fields.keys()
    if has >= {"symbol", "orderId"}:
        return "an order's name without its state"
    return "neither an order, nor a fill, nor a stream event of Binance"
