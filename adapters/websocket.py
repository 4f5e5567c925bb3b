"""The shell of a private stream: connect, subscribe, hand on frames as they came, and begin again, for ever.

What to say and what an answer means is the venue's `Dialogue`, which is pure. Silence is bounded by pings:
a connection that does not answer one is lost, so frames are complete between `Subscribed` and `Lost`.
"""

import asyncio
import math
import random
import secrets
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Protocol, assert_never

from msgspec import Struct
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import WebSocketException

from adapters.sockets import Broken, Pace, Waits, open_socket, reason_of
from adapters.venue import CouldNotAsk, Frame, Lost, StreamEvent, Subscribed

FRAMES_EARLY_MAX = 1_024  # frames that may overtake the acknowledgement


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
        """Write a fresh subscription, signed for now; empty where the address alone subscribes."""
        ...

    def hear(self, raw: bytes) -> Heard:
        """Say what a frame is; never raises."""
        ...


async def listen(
    dialogue: Dialogue,
    pace: Pace | None = None,
    *,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    uniform: Callable[[float, float], float] = random.uniform,
    now_ns: Callable[[], int] = time.time_ns,
    address: Callable[[], Awaitable[str]] | None = None,
    stands: Callable[[ClientConnection], None] | None = None,
) -> AsyncGenerator[StreamEvent, None]:
    """Follow a private stream for ever.

    Args:
        dialogue: the venue's side of it.
        pace: bounds of the waits.
        sleep: waits a number of seconds before connecting again.
        uniform: draws the jitter of that wait.
        now_ns: wall clock for `received_at_ns`.
        address: asks where to connect, before each time; a CouldNotAsk of it is a failed attempt.
        stands: is given each connection that stands, to close it where something beside it says that it hears nothing.

    Yields:
        `Subscribed`, then frames, then `Lost`; a failed attempt is a `Lost` alone, with its reason.
    """
    pace = pace or Pace()
    waits = Waits(pace, uniform)
    while True:
        connection, subscribed_at = secrets.token_hex(6), math.inf
        try:
            url = await address() if address is not None else dialogue.url
            async with open_socket(url, pace) as socket:
                early = await _subscribe(socket, dialogue, pace, now_ns)
                subscribed_at = time.monotonic()
                if stands is not None:
                    stands(socket)
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
                        raise Broken(heard.reason)  # noqa: TRY301 - one way out of a connection, whatever ended it
        except CouldNotAsk as error:
            reason = str(error)
        except (OSError, TimeoutError, WebSocketException, Broken) as error:
            reason = reason_of(error)
        stood_s = time.monotonic() - subscribed_at
        yield Lost(connection, reason)
        await sleep(waits.next_s(stood_s))


async def _subscribe(
    socket: ClientConnection, dialogue: Dialogue, pace: Pace, now_ns: Callable[[], int]
) -> list[tuple[bytes, int]]:
    """Subscribe and wait for the acknowledgement; returns the frames that overtook it, with their times."""
    early: list[tuple[bytes, int]] = []
    words = dialogue.subscribe()
    if not words:
        return early
    async with asyncio.timeout(pace.answer_ms / 1000):
        await socket.send(words)
        while len(early) < FRAMES_EARLY_MAX:
            raw = await socket.recv(decode=False)
            heard = dialogue.hear(raw)
            match heard:
                case Confirmed():
                    return early
                case Denied(reason):
                    raise Broken(f"subscription refused: {reason}")
                case Ended(reason):
                    raise Broken(reason)
                case Event():
                    early.append((raw, now_ns()))
                case Noise():
                    pass
                case _:
                    assert_never(heard)
    raise Broken("the subscription was not acknowledged")
