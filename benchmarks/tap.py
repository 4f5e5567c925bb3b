"""A wire tap in front of the venue's REST: when did the first byte of an order's request reach the venue's socket?"""

import asyncio
import re
import time
from types import TracebackType
from typing import Final, Self

_ORDER: Final = re.compile(rb"newClientOrderId=([^&\s\"]+)")
_READ: Final = 65_536


class Tap:
    """Listens on a port of its own and passes everything on, both ways.

    Attributes:
        seen: client order id -> monotonic ns of its request's first byte.
    """

    def __init__(self, upstream_port: int) -> None:
        """Bind it to the venue's port on this machine."""
        self.seen: dict[str, int] = {}
        self._upstream_port = upstream_port
        self._passing: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        """Scheme, host and port to give for the venue's."""
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

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
        first_ns = 0
        try:
            while data := await reader.read(_READ):
                now_ns = time.perf_counter_ns()
                if data.startswith((b"POST ", b"GET ", b"DELETE ")):
                    first_ns = now_ns  # a body may come by a segment of its own
                if found := _ORDER.search(data):
                    self.seen.setdefault(found[1].decode(), first_ns)
                below.write(data)
                await below.drain()
        except OSError:
            pass
        finally:
            below.close()

    async def _answers(self, above: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await above.read(_READ):
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        finally:
            writer.close()
