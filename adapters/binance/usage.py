"""What Binance's answers say of its budgets: headers of REST, `rateLimits` of the ws-api, and refusals. Pure.

`X-MBX-USED-WEIGHT-(intervalNum)(intervalLetter)` and `X-MBX-ORDER-COUNT-(…)`, the `rateLimits` of `exchangeInfo` and of
every ws-api answer, 429 with -1003 or -1015, and 418, as the venue's pages on limits describe them.
"""

import re
from collections.abc import Sequence

import msgspec
from msgspec import Struct

from adapters.classify import BODY_BYTES_MAX, Response, retry_after_ms
from streams.budget import Of, Reading, Usage

_HEADER = re.compile(r"x-mbx-(used-weight|order-count)-([0-9]{1,4})([smhd])", re.IGNORECASE)
_TOO_MANY_ORDERS = re.compile(
    r"([0-9]{1,9}) orders per (?:([0-9]{1,4}|TEN)[ _]?)?(SECOND|MINUTE|HOUR|DAY)", re.IGNORECASE
)
_OF_HEADER: dict[str, Of] = {"used-weight": "weight", "order-count": "orders"}
_OF_TYPE: dict[str, Of] = {"REQUEST_WEIGHT": "weight", "ORDERS": "orders"}
_UNIT_MS = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_NONE = Usage()


class RateLimit(Struct, frozen=True, rename="camel"):
    """One row of `rateLimits`; `count` only where an answer has it."""

    rate_limit_type: str = ""
    interval: str = ""
    interval_num: int = 0
    limit: int = 0
    count: int = -1


class _Info(Struct, frozen=True, rename="camel"):
    rate_limits: tuple[RateLimit, ...] = ()


class _Error(Struct, frozen=True):
    code: int = 0
    msg: str = ""


def usage(answer: Response) -> Usage:
    """Read what an answer says; never raises."""
    readings = (*answer.usage, *_headers(answer))
    if answer.status not in (418, 429):
        return Usage(readings) if readings else _NONE
    error = _error(answer.body)
    if error.code == -1015:
        # The account has placed too many orders; whatever else it asks is answered.
        found = _TOO_MANY_ORDERS.search(error.msg)
        if found is not None:
            number = 10 if (found[2] or "").upper() == "TEN" else int(found[2] or 1)
            limit, unit = int(found[1]), found[3][0].lower()
            return Usage((*readings, Reading("orders", number * _UNIT_MS[unit], limit, limit)), over=True)
        return Usage(readings)  # whatever its sentence: the address is not shut out
    return Usage(readings, block_ms=retry_after_ms(answer.headers))


def limits(body: bytes) -> Usage:
    """Read the limits in the body of `exchangeInfo`; none when it cannot be read."""
    try:
        return Usage(told(_INFO.decode(body).rate_limits))
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return _NONE


def told(rows: Sequence[RateLimit]) -> tuple[Reading, ...]:
    """Make readings of `rateLimits`; rows of another kind are left out."""
    return tuple(
        Reading(_OF_TYPE[row.rate_limit_type], row.interval_num * _UNIT_MS[row.interval[:1].lower()], row.count,
                max(row.limit, 0))
        for row in rows
        if row.rate_limit_type in _OF_TYPE and row.interval[:1].lower() in _UNIT_MS and row.interval_num > 0
    )  # fmt: skip


def _headers(answer: Response) -> tuple[Reading, ...]:
    found = []
    for name, value in answer.headers.items():
        match = _HEADER.fullmatch(name)
        if match is not None and re.fullmatch(r"[0-9]{1,9}", value.strip()):
            interval_ms = int(match[2]) * _UNIT_MS[match[3].lower()]
            found.append(Reading(_OF_HEADER[match[1].lower()], interval_ms, int(value)))
    return tuple(found)


def _error(body: bytes) -> _Error:
    if len(body) > BODY_BYTES_MAX:
        return _Error()
    try:
        return _ERROR.decode(body)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return _Error()


_INFO = msgspec.json.Decoder(_Info)
_ERROR = msgspec.json.Decoder(_Error)
