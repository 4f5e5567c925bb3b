"""A wire tap in front of the venue: when did the first byte of an order's request reach the venue's socket?"""

import asyncio
import re
import time
from collections.abc import Iterator
from types import TracebackType
from typing import Final, Self

_ORDER: Final = re.compile(rb"newClientOrderId\"?[=:]\"?([^&\s\",}]+)")
_READ: Final = 65_536
_UPGRADE: Final = re.compile(rb"^upgrade: *websocket\r$", re.IGNORECASE | re.MULTILINE)
_BEGINNINGS: Final = (b"POST ", b"GET ", b"DELETE ")


class Tap:
    """Listens on a port of its own and passes everything on, both ways, REST and websocket alike.

    Attributes:
        seen: client order id -> monotonic ns of its request's first byte.
    """

    def __init__(self, upstream_port: int) -> None:
        """Bind it to the venue's port on this machine."""
        self.seen: dict[str, int] = {}
        self._upstream_port = upstream_port
        self._passing: set[asyncio.Task[None]] = set()

    @property
    def port(self) -> int:
        """Where to connect instead of the venue's port."""
        return int(self._server.sockets[0].getsockname()[1])

    @property
    def url(self) -> str:
        """Scheme, host and port to give for the venue's REST."""
        return f"http://127.0.0.1:{self.port}"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        for task in self._passing:
            task.cancel()
        await asyncio.gather(*self._passing, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        above, below = await asyncio.open_connection("127.0.0.1", self._upstream_port)
        for task in (self._requests(reader, below), self._answers(above, writer)):
            running = asyncio.create_task(task)
            self._passing.add(running)
            running.add_done_callback(self._passing.discard)

    async def _requests(self, reader: asyncio.StreamReader, below: asyncio.StreamWriter) -> None:
        first_ns, frames = 0, bytearray()
        is_socket = False
        try:
            while data := await reader.read(_READ):
                now_ns = time.perf_counter_ns()
                if is_socket:
                    first_ns = first_ns if frames else now_ns  # a frame may come in parts
                    frames += data
                    self._note(b" ".join(unmasked(frames)), first_ns)
                else:
                    first_ns = now_ns if data.startswith(_BEGINNINGS) else first_ns  # so may a request
                    self._note(data, first_ns)
                    is_socket = _UPGRADE.search(data) is not None
                below.write(data)
                await below.drain()
        except OSError:
            pass
        finally:
            below.close()

    def _note(self, said: bytes, at_ns: int) -> None:
        for found in _ORDER.finditer(said):
            self.seen.setdefault(found[1].decode(), at_ns)

    async def _answers(self, above: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await above.read(_READ):
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        finally:
            writer.close()


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
