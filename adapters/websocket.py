"""The shell of a private stream: connect, subscribe, hand on frames as they came, and begin again, for ever.

What to say and what an answer means is the venue's `Dialogue`, which is pure. Silence is bounded by pings:
a connection that does not answer one is lost, so frames are complete between `Subscribed` and `Lost`.
"""

import asyncio
import logging
import math
import random
import secrets
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Protocol, assert_never

from msgspec import Struct
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException

from adapters.classify import clean
from adapters.venue import Frame, Lost, StreamEvent, Subscribed

FRAME_BYTES_MAX = 1 << 20
FRAMES_QUEUED_MAX = 256  # beyond it the venue waits on TCP
FRAMES_EARLY_MAX = 1_024  # frames that may overtake the acknowledgement

# At debug level the library logs whole frames, and ours carry a key and a signature.
_LOGGER = logging.getLogger("fillonce.websocket")
_LOGGER.setLevel(logging.WARNING)


class Confirmed(Struct, frozen=True):
    """The subscription stands."""


class Denied(Struct, frozen=True):
    """The venue refused the subscription."""

    reason: str


class Event(Struct, frozen=True):
    """A frame to hand on."""


class Ended(Struct, frozen=True):
    """A frame to hand on, after which no other comes by this subscription."""

    reason: str


class Noise(Struct, frozen=True):
    """A frame that answers something nobody waits for."""


Heard = Confirmed | Denied | Event | Ended | Noise


class Dialogue(Protocol):
    """What a venue's private stream needs to be said, and what its frames mean."""

    url: str
    format: str

    def subscribe(self) -> str:
        """Write a fresh subscription, signed for now."""
        ...

    def hear(self, raw: bytes) -> Heard:
        """Say what a frame is; never raises."""
        ...


class Pace(Struct, frozen=True, kw_only=True):
    """Bounds of every wait of a stream.

    Attributes:
        connect_ms: until the connection must stand.
        answer_ms: until the subscription must be acknowledged.
        silence_ms: after which a connection that shows no life is lost.
        close_ms: for saying goodbye.
        retry_first_ms: first wait before connecting again; it doubles.
        retry_most_ms: longest such wait.
        steady_ms: a connection that lasted so long was well; one that is dropped sooner does not reset the wait.
    """

    connect_ms: int = 10_000
    answer_ms: int = 10_000
    silence_ms: int = 20_000
    close_ms: int = 1_000
    retry_first_ms: int = 100
    retry_most_ms: int = 5_000
    steady_ms: int = 2_000


class _Broken(Exception):  # noqa: N818 - the end of one connection, not an error of the program
    """One connection is over; its text is the reason."""


async def listen(
    dialogue: Dialogue,
    pace: Pace | None = None,
    *,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    uniform: Callable[[float, float], float] = random.uniform,
    now_ns: Callable[[], int] = time.time_ns,
) -> AsyncGenerator[StreamEvent, None]:
    """Follow a private stream for ever.

    Args:
        dialogue: the venue's side of it.
        pace: bounds of the waits.
        sleep: waits a number of seconds before connecting again.
        uniform: draws the jitter of that wait.
        now_ns: wall clock for `received_at_ns`.

    Yields:
        `Subscribed`, then frames, then `Lost`; a failed attempt is a `Lost` alone, with its reason.
    """
    pace = pace or Pace()
    failures = 0
    while True:
        connection, subscribed_at = secrets.token_hex(6), math.inf
        try:
            async with _connect(dialogue.url, pace) as socket:
                early = await _subscribe(socket, dialogue, pace, now_ns)
                subscribed_at = time.monotonic()
                yield Subscribed(connection)
                for raw, received_at_ns in early:
                    yield Frame(dialogue.format, raw, received_at_ns, connection)
                while True:
                    raw = await socket.recv(decode=False)
                    received_at_ns = now_ns()
                    heard = dialogue.hear(raw)
                    if isinstance(heard, Event | Ended):
                        yield Frame(dialogue.format, raw, received_at_ns, connection)
                    if isinstance(heard, Ended):
                        raise _Broken(heard.reason)  # noqa: TRY301 - one way out of a connection, whatever ended it
        except (OSError, TimeoutError, WebSocketException, _Broken) as error:
            reason = _reason(error)
        if time.monotonic() - subscribed_at >= pace.steady_ms / 1000:
            failures = 0
        yield Lost(connection, reason)
        wait_ms = min(pace.retry_first_ms * 2**failures, pace.retry_most_ms)
        failures = min(failures + 1, 32)
        # Half of the wait is jitter, so that workers cut off together do not come back together.
        await sleep(wait_ms * uniform(0.5, 1.0) / 1000)


def _connect(url: str, pace: Pace) -> connect:
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
    )


async def _subscribe(
    socket: ClientConnection, dialogue: Dialogue, pace: Pace, now_ns: Callable[[], int]
) -> list[tuple[bytes, int]]:
    """Subscribe and wait for the acknowledgement; returns the frames that overtook it, with their times."""
    early: list[tuple[bytes, int]] = []
    async with asyncio.timeout(pace.answer_ms / 1000):
        await socket.send(dialogue.subscribe())
        while len(early) < FRAMES_EARLY_MAX:
            raw = await socket.recv(decode=False)
            heard = dialogue.hear(raw)
            match heard:
                case Confirmed():
                    return early
                case Denied(reason):
                    raise _Broken(f"subscription refused: {reason}")
                case Ended(reason):
                    raise _Broken(reason)
                case Event():
                    early.append((raw, now_ns()))
                case Noise():
                    pass
                case _:
                    assert_never(heard)
    raise _Broken("the subscription was not acknowledged")


def _reason(error: Exception) -> str:
    match error:
        case _Broken():
            return clean(str(error))
        case ConnectionClosed():
            told = error.rcvd or error.sent
            return clean(f"connection closed ({told.code} {told.reason})" if told else "connection cut")
        case InvalidStatus():
            return f"the venue answered HTTP {error.response.status_code}"
        case TimeoutError():
            return "no answer in time"
        case _:
            return type(error).__name__  # its text may hold the address
