"""What Binance's ws-api needs to be said for an order, and what its answers mean. Pure.

`{"id", "method", "params"}` out, `{"id", "status", "result" | "error", "rateLimits"}` in. Every request is signed by
itself, because `session.logon` takes Ed25519 keys only; so a new connection needs no login. An answer becomes what
REST would have said: the status, Retry-After, and the bytes of `result` or `error` as they came.
"""

import math
import re
from collections.abc import Mapping

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from adapters.binance.dialogue import sign
from adapters.binance.usage import RateLimit, told
from adapters.classify import Response
from adapters.credentials import Credentials
from adapters.socket_calls import Heard, Replied
from adapters.websocket import Ended, Noise
from streams.budget import Reading

PLACE, CANCEL, STATUS = "order.place", "order.cancel", "order.status"
REPLACE, MODIFY = "order.cancelReplace", "order.modify"

_NUMBERS = frozenset({"timestamp", "recvWindow", "orderId"})
_HEAD = re.compile(rb'\A\s*\{\s*"id"\s*:\s*"([0-9A-Za-z-]{1,64})"(?:\s*,\s*"status"\s*:\s*([0-9]{3})\b)?')


class _Retry(Struct, frozen=True, rename="camel"):
    server_time: int = 0
    retry_after: int = 0


class _Error(Struct, frozen=True):
    data: _Retry | None = None


class _Name(Struct, frozen=True):
    e: str = ""


class _Frame(Struct, frozen=True, rename="camel"):
    id: str | int | None = None
    status: int = 0
    result: Raw | UnsetType = UNSET
    error: Raw | UnsetType = UNSET
    event: _Name | None = None
    rate_limits: Raw = Raw()


class BinanceSpeech:
    """One account's side of order entry over the ws-api.

    Attributes:
        url: of the ws-api.
    """

    def __init__(self, url: str, credentials: Credentials) -> None:
        """Take the address and the key."""
        self.url = url
        self._credentials = credentials

    def __repr__(self) -> str:
        return "BinanceSpeech()"

    def log_in(self) -> str:
        """Nothing: requests are signed one by one."""
        return ""

    def request(self, name: str, method: str, params: Mapping[str, str]) -> str:
        """Write a signed request; `timestamp` and `recvWindow` are the caller's and never made here."""
        said: dict[str, str | int] = {"apiKey": self._credentials.api_key}
        said.update({key: int(value) if key in _NUMBERS else value for key, value in params.items()})
        said["signature"] = sign(said, self._credentials.secret)
        return msgspec.json.encode({"id": name, "method": method, "params": said}).decode()

    def hear(self, raw: bytes) -> Heard:
        """Say what a frame is; never raises."""
        try:
            frame = _FRAME.decode(raw)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            return _cut(raw)
        if frame.event is not None:
            return Ended("the venue shuts this connection down") if frame.event.e == "serverShutdown" else Noise()
        if not isinstance(frame.id, str):
            return Noise()
        part = frame.result if frame.status == 200 else frame.error
        body = b"" if isinstance(part, UnsetType) else bytes(part)
        headers = _headers(body) if frame.status in (418, 429) else {}
        return Replied(frame.id, Response(frame.status, headers, body, _usage(bytes(frame.rate_limits))))


def _cut(raw: bytes) -> Heard:
    """Give a broken frame to the request it names: its outcome is unknown, and no answer will come after it."""
    head = _HEAD.match(raw)
    if head is None:
        return Noise()
    return Replied(head[1].decode(), Response(int(head[2] or 0), {}, raw))


def _headers(body: bytes) -> dict[str, str]:
    """Read `data.retryAfter`, a moment in the venue's milliseconds, as the seconds of a Retry-After header."""
    try:
        told = _ERROR.decode(body).data
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return {}
    if told is None or not told.retry_after:
        return {}
    return {"retry-after": str(max(0, math.ceil((told.retry_after - told.server_time) / 1000)))}


def _usage(rows: bytes) -> tuple[Reading, ...]:
    """Read `rateLimits`; what cannot be read says nothing, and takes nothing from the answer."""
    try:
        return told(_ROWS.decode(rows)) if rows else ()
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return ()


_ROWS = msgspec.json.Decoder(tuple[RateLimit, ...])
_FRAME = msgspec.json.Decoder(_Frame)
_ERROR = msgspec.json.Decoder(_Error)
