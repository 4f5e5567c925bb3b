"""A wire tap in front of the venue: when did the first byte of an order's request reach the venue's socket?"""

import asyncio
import re
import time
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any, Final, Self

_ORDER: Final = re.compile(rb"newClientOrderId\"?[=:]\"?([^&\s\",}]+)")
_UPGRADE: Final = re.compile(rb"^upgrade: *websocket\r$", re.IGNORECASE | re.MULTILINE)
_BEGINNINGS: Final = (b"POST ", b"GET ", b"DELETE ")


class Tap:
    """Listens on a port of its own and passes everything on, both ways, REST and websocket alike.

    Bytes are handed on before they are looked at, and by no task of their own: what stands between an order and its
    venue must not take the processor from who is measured.

    Attributes:
        seen: client order id -> monotonic ns of its request's first byte.
    """

    def __init__(self, upstream_port: int) -> None:
        """Bind it to the venue's port on this machine."""
        self.seen: dict[str, int] = {}
        self._upstream_port = upstream_port
        self._connecting: set[asyncio.Task[None]] = set()
        self._sides: set[_Side] = set()

    @property
    def port(self) -> int:
        """Where to connect instead of the venue's port."""
        return int(self._server.sockets[0].getsockname()[1])

    @property
    def url(self) -> str:
        """Scheme, host and port to give for the venue's REST."""
        return f"http://127.0.0.1:{self.port}"

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._accepted, "127.0.0.1", 0)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        for task in self._connecting:
            task.cancel()
        await asyncio.gather(*self._connecting, return_exceptions=True)
        for side in self._sides:
            side.close()

    def _accepted(self) -> "_Side":
        asked = _Side(Requests(self.seen).note)
        answers = _Side(lambda _data, _at_ns: None)
        self._sides |= {asked, answers}
        connecting = asyncio.create_task(self._connect(asked, answers))
        self._connecting.add(connecting)
        connecting.add_done_callback(self._connecting.discard)
        return asked

    async def _connect(self, asked: "_Side", answers: "_Side") -> None:
        try:
            await asyncio.get_running_loop().create_connection(lambda: answers, "127.0.0.1", self._upstream_port)
        except OSError:
            asked.close()
        else:
            answers.join(asked)
            asked.join(answers)


class _Side(asyncio.Protocol):
    """One end of a passage: what it receives, the other end writes."""

    def __init__(self, note: Callable[[bytes, int], None]) -> None:
        self._note = note
        self._transport: asyncio.Transport | None = None
        self._other: _Side | None = None
        self._early = bytearray()  # before the other end stood
        self._lost = False

    def join(self, other: "_Side") -> None:
        self._other = other
        other.write(bytes(self._early))
        self._early.clear()
        if self._lost:
            other.close()

    def write(self, data: bytes) -> None:
        if data and self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        now_ns = time.perf_counter_ns()
        if self._other is None:
            self._early += data
        else:
            self._other.write(data)
        self._note(data, now_ns)

    def connection_lost(self, _error: Exception | None) -> None:
        self._lost = True
        if self._other is not None:
            self._other.close()

    def pause_writing(self) -> None:
        if self._other is not None:
            self._other.read_on(wanted=False)

    def resume_writing(self) -> None:
        if self._other is not None:
            self._other.read_on(wanted=True)

    def read_on(self, *, wanted: bool) -> None:
        if self._transport is not None and not self._transport.is_closing():
            (self._transport.resume_reading if wanted else self._transport.pause_reading)()


class Requests:
    """Finds the orders in what one client says, however it is cut."""

    def __init__(self, seen: dict[str, int]) -> None:
        """Note them in `seen`, with the moment of their first byte."""
        self._seen, self._first_ns, self._frames, self._is_socket = seen, 0, bytearray(), False

    def note(self, data: bytes, now_ns: int) -> None:
        """Take what was received at a moment (monotonic ns)."""
        if self._is_socket:
            self._first_ns = self._first_ns if self._frames else now_ns  # a frame may come in parts
            self._frames += data
            self._find(b" ".join(unmasked(self._frames)))
        else:
            self._first_ns = now_ns if data.startswith(_BEGINNINGS) else self._first_ns  # so may a request
            self._find(data)
            self._is_socket = _UPGRADE.search(data) is not None

    def _find(self, said: bytes) -> None:
        for found in _ORDER.finditer(said):
            self._seen.setdefault(found[1].decode(), self._first_ns)


def unmasked(frames: bytearray) -> Iterator[bytes]:
    """Take every whole frame of a websocket's client out of `frames`; what is said in each (RFC 6455, 5.2)."""
    while len(frames) >= 2:
        size, at = frames[1] & 127, 2
        if size > 125:
            at = 4 if size == 126 else 10
            size = int.from_bytes(frames[2:at])
        if len(frames) < at + 4 + size:
            return
        mask, said = frames[at : at + 4], frames[at + 4 : at + 4 + size]
        del frames[: at + 4 + size]
        pad = (mask * (size // 4 + 1))[:size]
        yield (int.from_bytes(said) ^ int.from_bytes(pad)).to_bytes(size)
