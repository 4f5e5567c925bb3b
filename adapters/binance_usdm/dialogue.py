"""What USDⓈ-M's private stream needs, and what its frames mean. Pure.

The stream's address holds a listen key, which REST gives and keeps alive; nothing is said on the socket itself, so the
subscription stands with the connection.
"""

import msgspec
from msgspec import Struct

from adapters.binance.decode import STREAM_FORMAT
from adapters.venue import CouldNotAsk
from adapters.websocket import Ended, Event, Heard

_ENDS = {
    "listenKeyExpired": "the listen key expired",
    "serverShutdown": "the venue shuts this connection down",
}


class _Name(Struct, frozen=True):
    e: str = ""


class _Frame(Struct, frozen=True):
    e: str = ""
    data: _Name | None = None  # of a combined stream


class _ListenKey(Struct, frozen=True, rename="camel"):
    listen_key: str


class UsdmDialogue:
    """One account's side of the private stream.

    Attributes:
        url: of the streams, without a listen key.
        format: how frames decode.
    """

    format = STREAM_FORMAT

    def __init__(self, url: str) -> None:
        """Take the address."""
        self.url = url

    def __repr__(self) -> str:
        return "UsdmDialogue()"

    def subscribe(self) -> str:
        """Nothing: the address says whose stream it is."""
        return ""

    def hear(self, raw: bytes) -> Heard:
        """Say what a frame is; never raises."""
        try:
            frame = _FRAME.decode(raw)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            return Event()
        name = frame.data.e if frame.data else frame.e
        return Ended(_ENDS[name]) if name in _ENDS else Event()


def listen_key(body: bytes) -> str:
    """Read the answer to `POST /fapi/v1/listenKey`.

    Raises:
        CouldNotAsk: there is no usable key in it.
    """
    try:
        key = _KEY.decode(body).listen_key
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise CouldNotAsk(f"the venue's answer cannot be read ({type(error).__name__})") from None
    if not key.isalnum() or not key.isascii():
        raise CouldNotAsk("the venue gave a listen key that is none")
    return key


_FRAME = msgspec.json.Decoder(_Frame)
_KEY = msgspec.json.Decoder(_ListenKey)
