"""Requests that can be awaited over one websocket: each has an id, each id a future, and no answer is a verdict.

What to say and what a frame means is the venue's `Speech`, which is pure. The connection is kept in the background:
while it stands, requests go over it; while it does not, nothing is sent and the caller is told so at once, so that
the same command may take another way. Whoever waits when the connection is lost has an unknown outcome.
"""

import asyncio
import logging
import math
import random
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from itertools import count
from typing import Protocol, assert_never

from msgspec import Struct
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import WebSocketException
from websockets.protocol import State

from adapters.classify import Failure, Response
from adapters.sockets import Broken, Pace, Waits, open_socket, reason_of
from adapters.websocket import Confirmed, Denied, Ended, Noise
from streams.tasks import end

log = logging.getLogger("fillonce.socket_calls")


class Replied(Struct, frozen=True):
    """A frame that answers the request of this id."""

    id: str
    response: Response


Heard = Replied | Confirmed | Denied | Ended | Noise


class Speech(Protocol):
    """What a venue's order socket needs to be said, and what its frames mean.

    Attributes:
        url: of the socket.
    """

    url: str

    def log_in(self) -> str:
        """Write a fresh login; empty where every request is signed by itself."""
        ...

    def request(self, name: str, method: str, params: Mapping[str, str]) -> str:
        """Write a signed request with the id `name`."""
        ...

    def hear(self, raw: bytes) -> Heard:
        """Say what a frame is; never raises."""
        ...


class SocketCalls:
    """Calls over one websocket that is kept open. Use `open`, and close it.

    Attributes:
        connects: how often the connection stood.
    """

    def __init__(
        self,
        speech: Speech,
        timeout_ms: int,
        pace: Pace | None = None,
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        uniform: Callable[[float, float], float] = random.uniform,
    ) -> None:
        """Bind it; nothing is connected yet.

        Args:
            speech: the venue's side of it.
            timeout_ms: deadline of every call.
            pace: bounds of the connection's waits.
            sleep: waits a number of seconds before connecting again.
            uniform: draws the jitter of that wait.
        """
        self.connects = 0
        self._speech, self._timeout_s, self._pace = speech, timeout_ms / 1000, pace or Pace()
        self._sleep, self._waits = sleep, Waits(self._pace, uniform)
        self._names = (f"{secrets.token_hex(6)}-{number}" for number in count(1))
        self._waiting: dict[str, asyncio.Future[Response | Failure]] = {}
        self._writing = asyncio.Lock()
        self._tried = asyncio.Event()
        self._socket: ClientConnection | None = None
        self._keeper: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        return "SocketCalls()"

    @property
    def stands(self) -> bool:
        """Whether a request would go out now."""
        return self._socket is not None and self._socket.state is State.OPEN

    async def open(self) -> None:
        """Keep a connection from now on; returns when the first attempt has succeeded or failed."""
        self._keeper = asyncio.create_task(self._keep())
        await self._tried.wait()

    async def close(self) -> None:
        """Give the connection back; whoever still waits has an unknown outcome."""
        if self._keeper is not None:
            await end([self._keeper])

    async def call(self, method: str, params: Mapping[str, str], check: Callable[[], str]) -> Response | Failure:
        """Send one request, once, and wait for its answer.

        Args:
            method: the venue's name of it.
            params: as they shall stand on the wire, before what signs them.
            check: asked as the last thing before the write; a non-empty answer is why nothing is sent.

        Returns:
            What came back, or why nothing did and whether a byte may have left.
        """
        name = next(self._names)
        text = self._speech.request(name, method, params)
        answer: asyncio.Future[Response | Failure] = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(self._timeout_s):
                refusal = await self._write(name, text, check, answer)
                return refusal or await answer
        except TimeoutError:
            if answer.done() and not answer.cancelled():
                return answer.result()
            reason = f"no answer within {self._timeout_s * 1000:.0f} ms"
            return Failure(name in self._waiting, reason)
        finally:
            self._waiting.pop(name, None)

    async def _write(
        self, name: str, text: str, check: Callable[[], str], answer: "asyncio.Future[Response | Failure]"
    ) -> Failure | None:
        # One at a time, and each only when the last has left our buffer: what is checked is not sent much later.
        async with self._writing:
            socket = self._socket
            if socket is None or socket.state is not State.OPEN:
                return Failure(sent=False, reason="the order socket is not connected")
            if objection := check():
                return Failure(sent=False, reason=objection)
            # From the check to the write nothing is awaited; from here on a byte may have left.
            self._waiting[name] = answer
            try:
                await socket.send(text)
            except (OSError, WebSocketException) as error:
                return Failure(sent=True, reason=reason_of(error))
        return None

    async def _keep(self) -> None:
        """Connect, listen, and connect again, until closed."""
        while True:
            stood_since = math.inf
            reason = "closed"
            try:
                async with open_socket(self._speech.url, self._pace, write_limit=0) as socket:
                    await self._log_in(socket)
                    stood_since = time.monotonic()
                    self.connects += 1
                    self._socket = socket
                    self._tried.set()
                    await self._listen(socket)
            except (OSError, TimeoutError, WebSocketException, Broken) as error:
                reason = reason_of(error)
            finally:
                self._lose(reason)
            log.warning("order socket: %s", reason)
            await self._sleep(self._waits.next_s(time.monotonic() - stood_since))

    async def _log_in(self, socket: ClientConnection) -> None:
        words = self._speech.log_in()
        if not words:
            return
        async with asyncio.timeout(self._pace.answer_ms / 1000):
            await socket.send(words)
            while True:
                heard = self._speech.hear(await socket.recv(decode=False))
                match heard:
                    case Confirmed():
                        return
                    case Denied(reason):
                        raise Broken(f"login refused: {reason}")
                    case Ended(reason):
                        raise Broken(reason)
                    case Replied() | Noise():
                        pass
                    case _:
                        assert_never(heard)

    async def _listen(self, socket: ClientConnection) -> None:
        """Hand answers to who waits for them, until the connection ends or is old."""
        reason = "replaced for its age"
        with suppress(TimeoutError):
            async with asyncio.timeout(self._pace.renew_ms / 1000):
                reason = await self._hear(socket)
        # Nothing new goes this way; what is under way gets its time.
        self._socket = None
        async with asyncio.timeout(self._timeout_s):
            while self._waiting:
                self._hand_over(self._speech.hear(await socket.recv(decode=False)))
        raise Broken(reason)

    async def _hear(self, socket: ClientConnection) -> str:
        while True:
            heard = self._speech.hear(await socket.recv(decode=False))
            if isinstance(heard, Denied | Ended):
                return heard.reason
            self._hand_over(heard)

    def _hand_over(self, heard: Heard) -> None:
        if isinstance(heard, Replied):
            answer = self._waiting.get(heard.id)
            if answer is not None and not answer.done():
                answer.set_result(heard.response)

    def _lose(self, reason: str) -> None:
        self._socket = None
        self._tried.set()
        for answer in self._waiting.values():
            if not answer.done():
                answer.set_result(Failure(sent=True, reason=f"the order socket was lost: {reason}"))
