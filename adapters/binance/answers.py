"""Reading Binance's answers to look-ups. Pure: a response in, bytes or `CouldNotAsk` out."""

from typing import TypeVar

import msgspec
from msgspec import Raw, Struct

from adapters.binance.codes import NO_SUCH_ORDER, read_error
from adapters.classify import Failure, Response, clean, retry_after_ms
from adapters.venue import CouldNotAsk

_T = TypeVar("_T")


class _OrderId(Struct, frozen=True, rename="camel"):
    order_id: int


class _TradeId(Struct, frozen=True):
    id: int


class _Restrictions(Struct, frozen=True, rename="camel"):
    enable_withdrawals: bool


class _Time(Struct, frozen=True, rename="camel"):
    server_time: int


def body(answer: Response | Failure) -> bytes:
    """Give the body of a success.

    Raises:
        CouldNotAsk: it is none; the sentence says what the venue or the connection said.
    """
    if isinstance(answer, Failure):
        raise CouldNotAsk(clean(answer.reason))
    if answer.status == 200:
        return answer.body
    code, message = _told(answer)
    wait_ms = retry_after_ms(answer.headers) if answer.status in (418, 429) else 0
    wait = f", asks to wait {wait_ms} ms" if wait_ms else ""
    raise CouldNotAsk(clean(f"the venue answered HTTP {answer.status}{wait}: {code} {message}"), wait_ms)


def says_no_such_order(answer: Response | Failure) -> bool:
    """Whether the venue itself says that the order does not exist: HTTP 400 with -2013, and nothing else."""
    return says(answer, NO_SUCH_ORDER)


def says(answer: Response | Failure, code: str) -> bool:
    """Whether the venue itself gave this code, with HTTP 400."""
    return isinstance(answer, Response) and answer.status == 400 and _told(answer)[0] == code


def one_order(answer: Response | Failure) -> bytes:
    """Give the bytes of one order; raises CouldNotAsk when the body does not hold one."""
    raw = body(answer)
    _read(raw, _OrderId)
    return raw


def orders(answer: Response | Failure) -> list[tuple[int, bytes]]:
    """Give a list of orders as (order id, the venue's own bytes) by id; raises CouldNotAsk."""
    return sorted((_read(raw, _OrderId).order_id, raw) for raw in _elements(answer))


def trades(answer: Response | Failure) -> list[tuple[int, bytes]]:
    """Give a list of own trades as (trade id, the venue's own bytes) by id; raises CouldNotAsk."""
    return sorted((_read(raw, _TradeId).id, raw) for raw in _elements(answer))


def server_time_ms(answer: Response | Failure) -> int:
    """Give the venue's clock (UTC ms); raises CouldNotAsk."""
    return _read(body(answer), _Time).server_time


def may_withdraw(raw: bytes) -> bool:
    """Read `GET /sapi/v1/account/apiRestrictions`; raises CouldNotAsk."""
    return _read(raw, _Restrictions).enable_withdrawals


def _elements(answer: Response | Failure) -> list[bytes]:
    return [bytes(element) for element in _read(body(answer), list[Raw])]


def _told(answer: Response) -> tuple[str, str]:
    try:
        return read_error(answer.body) or ("", "no code")
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return "", "no code"


def _read(raw: bytes, kind: type[_T]) -> _T:
    try:
        return msgspec.json.decode(raw, type=kind)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise CouldNotAsk(f"the venue's answer cannot be read ({type(error).__name__})") from None
