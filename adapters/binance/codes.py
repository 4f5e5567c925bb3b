"""Binance's native codes: which of them prove that a command had no effect. Pure.

From the venue's error page. -2010 and -1010 come from the matching engine and mean several things, so their
sentence must be known as well. Never on a list: -1000, -1001, -1004, -1006, -1007, -1008 (unknown error,
disconnected, busy, unexpected response, timeout, overloaded): after them the order may be live.
"""

import msgspec
from msgspec import Raw, Struct

from adapters.binance.payloads import ORDER
from adapters.classify import Rule, Table, Verdict

NO_SUCH_ORDER = "-2013"

# Answers to a new order that the matching engine refused (the venue's "Messages for -1010, -2010 and -2011").
ENGINE_REFUSALS = (
    r"Account has insufficient balance for requested action"
    r"|Market is closed"
    r"|Order would immediately match and take"
    r"|(?:Order|Stop price) would trigger immediately"
    r"|orders are not support(?:ed)? for this symbol"
    r"|Order (?:cancel-replace|amend) is not supported for this symbol"
    r"|Price \* QTY is zero or less"
    r"|IcebergQty exceeds QTY"
    r"|This action is disabled on this account"
    r"|This account may not place or cancel orders"
    r"|Unsupported order combination"
    r"|This symbol is (?:not permitted|restricted) for this account"
    r"|API trading is not enabled"
    r"|Order book liquidity is less than"
    r"|The relationship of the prices for the orders is not correct"
    r"|Filter failure: "
)

# The request was looked at and thrown away before the matching engine.
_REFUSED_ALWAYS = (
    "-1002",  # not authorised
    "-1013",  # "the request didn't reach the matching engine": filters
    "-1014",  # unsupported order combination
    "-1016",  # service no longer available
    "-1020",  # unsupported operation
    "-1022",  # signature not valid
    "-1100",  # illegal characters
    "-1101",  # too many parameters
    "-1102",  # mandatory parameter missing
    "-1103",  # unknown parameter
    "-1104",  # unread parameters
    "-1105",  # parameter empty
    "-1106",  # parameter not required
    "-1108",  # invalid asset
    "-1111",  # too much precision
    "-1112",  # no orders on the book for a market order
    "-1114",  # time in force not required
    "-1115",  # invalid time in force
    "-1116",  # invalid order type
    "-1117",  # invalid side
    "-1118",  # new client order id empty
    "-1119",  # original client order id empty
    "-1121",  # invalid symbol
    "-1128",  # combination of optional parameters
    "-1130",  # invalid data for a parameter
    "-1131",  # recvWindow too long
    "-1136",  # invalid newOrderRespType
    "-2014",  # API key format
    "-2015",  # API key, address or permissions
)

_BEFORE_PROCESSING: tuple[tuple[str, Verdict], ...] = (
    ("-1003", "throttled"),  # request weight
    ("-1015", "throttled"),  # order count
    ("-1021", "not_sent"),  # outside of recvWindow: this claim's request can no longer act
    ("-5028", "not_sent"),  # outside of the matching engine's recvWindow
)


class _Error(Struct, frozen=True):
    code: int
    msg: str = ""


class _Replaced(Struct, frozen=True, rename="camel"):
    cancel_result: str = ""
    new_order_result: str = ""
    cancel_response: Raw = Raw(b"null")
    new_order_response: Raw = Raw(b"null")


class _Half(Struct, frozen=True):
    code: int
    data: _Replaced = _Replaced()


def read_error(body: bytes) -> tuple[str, str] | None:
    """Read `{"code", "msg"}`; None when the body is something else.

    Raises:
        msgspec.MsgspecError: it is not JSON, or not of that shape.
        ValueError: it is not UTF-8.
        RecursionError: it is nested too deeply.
    """
    if body.lstrip()[:1] != b"{":
        return None
    error = _ERROR.decode(body)
    return str(error.code), error.msg


def placed(body: bytes, client_order_id: str) -> str:
    """Say what is missing for the body to show our new order; empty when nothing is.

    Raises:
        msgspec.MsgspecError: it is not JSON, or not of that shape (a cut or empty body).
        ValueError: it is not UTF-8.
        RecursionError: it is nested too deeply.
    """
    return "" if ORDER.decode(body).client_order_id == client_order_id else "with an order that is not ours"


def read_replace_error(body: bytes) -> tuple[str, str] | None:
    """Read the code that tells of a cancel-replace: that of the cancel, or of the new order where the cancel was done.

    -2022: the cancel failed, and the new order was not attempted. -2021: the cancel is done, and the new order failed.
    Raises as `read_error`.
    """
    error = read_error(body)
    if error is None or error[0] not in ("-2021", "-2022"):
        return error
    told = _HALF.decode(body).data
    match told.cancel_result, told.new_order_result:
        case "FAILURE", "NOT_ATTEMPTED":
            return read_error(bytes(told.cancel_response))
        case "SUCCESS", "FAILURE":
            return read_error(bytes(told.new_order_response))
    return error


def replaced(body: bytes, client_order_id: str) -> str:
    """Say what is missing for the body to show that our new order stands in the old one's place; raises as `placed`."""
    told = _REPLACED.decode(body)
    if (told.cancel_result, told.new_order_result) != ("SUCCESS", "SUCCESS"):
        return "without both results"
    return placed(bytes(told.new_order_response), client_order_id)


def replaced_parts(body: bytes) -> tuple[bytes, tuple[bytes, ...]]:
    """Take an answer to a cancel-replace apart: what it says of the new order, and of the old one."""
    try:
        told = _HALF.decode(body).data if b'"code"' in body[:64] else _REPLACED.decode(body)
        old = bytes(told.cancel_response)
        shown = ORDER.decode(old).status is not None
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return body, ()
    new = bytes(told.new_order_response) if told.new_order_result == "SUCCESS" else body
    return new, (old,) if shown else ()


def cancelled(body: bytes, client_order_id: str) -> str:
    """Say what is missing for the body to show our cancelled order; raises as `placed`.

    In this answer `clientOrderId` is the id of the cancel request.
    """
    return "" if ORDER.decode(body).orig_client_order_id == client_order_id else "with an order that is not ours"


_ERROR = msgspec.json.Decoder(_Error)
_HALF = msgspec.json.Decoder(_Half)
_REPLACED = msgspec.json.Decoder(_Replaced)
ALWAYS = (
    *(Rule(code, verdict) for code, verdict in _BEFORE_PROCESSING),
    *(Rule(code, "refused") for code in _REFUSED_ALWAYS),
)

PLACE = Table(
    rules=(
        Rule("-2010", "duplicate", r"^Duplicate order sent"),
        Rule("-2010", "refused", ENGINE_REFUSALS),
        Rule("-1010", "duplicate", r"^Duplicate order sent"),
        Rule("-1010", "refused", ENGINE_REFUSALS),
        *ALWAYS,
    ),
    error=read_error,
    accepted=placed,
)

# "Unknown order sent." proves that this cancel did nothing; about the order it proves nothing (only a look-up does).
CANCEL_RULES = (Rule("-2011", "refused"), Rule("-1145", "refused"), *ALWAYS)
CANCEL = Table(
    rules=CANCEL_RULES,
    error=read_error,
    accepted=cancelled,
)

# A code of either half: the cancel's prove that nothing was done, the new order's that only the cancel was.
REPLACE = Table(rules=(*PLACE.rules, *CANCEL_RULES), error=read_replace_error, accepted=replaced)
