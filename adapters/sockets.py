"""What every websocket of ours needs, whoever speaks over it: how it connects, why it ended, when to try again."""

import logging
import random
from collections.abc import Callable

from msgspec import Struct
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from adapters.classify import clean

FRAME_BYTES_MAX = 1 << 20
FRAMES_QUEUED_MAX = 256  # beyond it the venue waits on TCP

# At debug level the library logs whole frames, and ours carry a key and a signature.
_LOGGER = logging.getLogger("fillonce.websocket")
_LOGGER.setLevel(logging.WARNING)


class Pace(Struct, frozen=True, kw_only=True):
    """Bounds of every wait of a socket.

    Attributes:
        connect_ms: until the connection must stand.
        answer_ms: until the subscription or the login must be acknowledged.
        silence_ms: after which a connection that shows no life is lost.
        close_ms: for saying goodbye.
        retry_first_ms: first wait before connecting again; it doubles.
        retry_most_ms: longest such wait.
        steady_ms: a connection that lasted so long was well; one that is dropped sooner does not reset the wait.
        renew_ms: age at which a connection that carries orders is replaced before the venue ends it (24 h).
    """

    connect_ms: int = 10_000
    answer_ms: int = 10_000
    silence_ms: int = 20_000
    close_ms: int = 1_000
    retry_first_ms: int = 100
    retry_most_ms: int = 5_000
    steady_ms: int = 2_000
    renew_ms: int = 23 * 3_600_000


class Broken(Exception):  # noqa: N818 - the end of one connection, not an error of the program
    """One connection is over; its text is the reason."""


class Waits:
    """How long to wait before connecting again: doubling, and half of it jitter.

    The jitter keeps workers that were cut off together from coming back together.
    """

    def __init__(self, pace: Pace, uniform: Callable[[float, float], float] = random.uniform) -> None:
        """Begin with the first wait; `uniform` draws the jitter."""
        self._pace, self._uniform = pace, uniform
        self._failures = 0

    def next_s(self, stood_s: float) -> float:
        """Give the wait (seconds) after a connection that stood for `stood_s`; minus infinity where it never did."""
        pace = self._pace
        if stood_s >= pace.steady_ms / 1000:
            self._failures = 0
        wait_ms: float = min(pace.retry_first_ms * 2**self._failures, pace.retry_most_ms)
        self._failures = min(self._failures + 1, 32)
        return wait_ms * self._uniform(0.5, 1.0) / 1000


def open_socket(url: str, pace: Pace, *, write_limit: int = 1 << 15) -> connect:
    """Connect to `url`; use it with `async with`.

    Args:
        url: of the venue.
        pace: bounds of the waits.
        write_limit: bytes that may wait for the peer before a sender does.
    """
    return connect(
        url,
        proxy=None,
        logger=_LOGGER,
        compression=None,
        open_timeout=pace.connect_ms / 1000,
        # A ping after half of the bound and the other half to answer it: the whole is the bound.
        ping_interval=pace.silence_ms / 2000,
        ping_timeout=pace.silence_ms / 2000,
        close_timeout=pace.close_ms / 1000,
        max_size=FRAME_BYTES_MAX,
        max_queue=FRAMES_QUEUED_MAX,
        write_limit=write_limit,
    )


def reason_of(error: Exception) -> str:
    """Say why a connection ended, without its address."""
    match error:
        case Broken():
            return clean(str(error))
        case ConnectionClosed():
            # Whoever closed first said why; the other side only agrees.
            told = (error.rcvd if error.rcvd_then_sent else error.sent) or error.rcvd
            return clean(f"connection closed ({told.code} {told.reason})" if told else "connection cut")
        case InvalidStatus():
            return f"the venue answered HTTP {error.response.status_code}"
        case TimeoutError():
            return "no answer in time"
        case _:
            return type(error).__name__  # its text may hold the address
