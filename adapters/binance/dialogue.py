"""What Binance's private stream needs to be said, and what its frames mean. Pure, but for the clock it is given.

ws-api with `userDataStream.subscribe.signature`: listen keys of spot ended in February 2026. One frame in, one
verdict out; a frame that cannot be read is handed on, so that it is quarantined and not lost.
"""

import hashlib
import hmac
from collections.abc import Callable, Mapping
from itertools import count

import msgspec
from msgspec import Struct

from adapters.binance.decode import STREAM_FORMAT
from adapters.classify import clean
from adapters.credentials import Credentials
from adapters.websocket import Confirmed, Denied, Ended, Event, Heard, Noise

RECV_WINDOW_MS = 5_000


class _Error(Struct, frozen=True):
    code: int = 0
    msg: str = ""


class _Name(Struct, frozen=True):
    e: str = ""


class _Frame(Struct, frozen=True):
    id: str | int | None = None
    status: int | None = None
    error: _Error | None = None
    event: _Name | None = None
    e: str = ""


class BinanceDialogue:
    """One account's side of the private stream.

    Attributes:
        url: of the ws-api.
        format: how frames decode.
    """

    format = STREAM_FORMAT

    def __init__(self, url: str, credentials: Credentials, now_ms: Callable[[], int]) -> None:
        """Take the address, the key and the venue's clock (UTC ms)."""
        self.url = url
        self._credentials = credentials
        self._now_ms = now_ms
        self._ids = count(1)
        self._id = ""

    def __repr__(self) -> str:
        return "BinanceDialogue()"

    def subscribe(self) -> str:
        """Write a fresh subscription, signed for now."""
        self._id = f"subscribe-{next(self._ids)}"
        params: dict[str, str | int] = {
            "apiKey": self._credentials.api_key,
            "recvWindow": RECV_WINDOW_MS,
            "timestamp": self._now_ms(),
        }
        signed = {**params, "signature": sign(params, self._credentials.secret)}
        request = {"id": self._id, "method": "userDataStream.subscribe.signature", "params": signed}
        return msgspec.json.encode(request).decode()

    def hear(self, raw: bytes) -> Heard:
        """Say what a frame is; never raises."""
        try:
            frame = _FRAME.decode(raw)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            return Event()
        name = frame.event.e if frame.event else frame.e
        if name == "eventStreamTerminated":
            return Ended("the venue ended the subscription")
        if name or frame.event or frame.id is None:
            return Event()
        if frame.id != self._id:
            return Noise()
        if frame.status == 200:
            return Confirmed()
        error = frame.error or _Error(msg=f"status {frame.status}")
        return Denied(clean(f"{error.code} {error.msg}"))


def sign(params: Mapping[str, str | int], secret: str) -> str:
    """Sign the parameters of a ws-api request: HMAC-SHA256 over them in alphabetical order, in hexadecimal."""
    payload = "&".join(f"{name}={params[name]}" for name in sorted(params))
    return hmac.new(secret.encode(), payload.encode(), hashlib.sha256).hexdigest()


_FRAME = msgspec.json.Decoder(_Frame)
