"""A way between a client and a server over real sockets that loses, keeps or cuts what a test names.

It reads one request at a time (a Redis command, an HTTP request), so a test can say which of them is met. Whatever
was written to the server counts as delivered; what the server answers is kept even when the client has gone.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable
from enum import Enum, auto
from typing import Final, Self
from urllib.parse import unquote, urlsplit, urlunsplit

LOOPBACK: Final = "127.0.0.1"
CHUNK_BYTES: Final = 65_536

Framing = Callable[[asyncio.StreamReader], Awaitable[bytes]]


class _Deed(Enum):
    CUT_ANSWER = auto()
    HOLD = auto()
    DROP = auto()


class Held:
    """A request that waits at the proxy.

    Attributes:
        arrived: set when the request is here.
        delivered: set when it was written to the server.
    """

    def __init__(self) -> None:
        self.arrived, self.delivered, self._gate = asyncio.Event(), asyncio.Event(), asyncio.Event()

    def release(self) -> None:
        """Let it through, whether or not its client still waits."""
        self._gate.set()

    async def passed(self) -> None:
        """Wait for `release`; for the proxy."""
        self.arrived.set()
        await self._gate.wait()


class _Rule:
    """What happens to the next request that contains `needle`."""

    def __init__(self, needle: bytes, deed: _Deed, held: Held | None = None) -> None:
        self.needle, self.deed, self.held = needle, deed, held


class Proxy:
    """Stands between a client and one server; use it with `async with`.

    Requests pass unless a verb named them. Every verb names one request, the next that contains its bytes.

    Attributes:
        seen: requests as they came, oldest first.
        delivered: requests as they were written to the server.
        answers: what the server answered, chunk by chunk, cut answers apart.
        swallowed: answers that were cut.
    """

    def __init__(self, url: str, framing: Framing) -> None:
        self.seen: list[bytes] = []
        self.delivered: list[bytes] = []
        self.answers: list[bytes] = []
        self.swallowed: list[bytes] = []
        self._upstream, self._framing = urlsplit(url), framing
        self._rules: list[_Rule] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server

    @classmethod
    def redis(cls, url: str) -> Self:
        """Stand before a Redis, `unix://` or `redis://`."""
        return cls(url, resp)

    @classmethod
    def venue(cls, url: str) -> Self:
        """Stand before the REST side of a venue, `http://`."""
        return cls(url, http)

    @property
    def port(self) -> int:
        """Where it listens, on loopback."""
        return int(self._server.sockets[0].getsockname()[1])

    @property
    def url(self) -> str:
        """Where the client is to connect: the server's own address with our host and port."""
        here = f"{LOOPBACK}:{self.port}"
        if self._upstream.scheme == "unix":
            return f"redis://{here}/0"
        login, at, _ = self._upstream.netloc.rpartition("@")
        return urlunsplit(self._upstream._replace(netloc=login + at + here))

    def cut_answer(self, needle: bytes) -> None:
        """Deliver the next such request, swallow its answer and cut the connection."""
        self._rules.append(_Rule(needle, _Deed.CUT_ANSWER))

    def hold(self, needle: bytes) -> Held:
        """Keep the next such request until it is released; what follows on its connection waits behind it."""
        held = Held()
        self._rules.append(_Rule(needle, _Deed.HOLD, held))
        return held

    def drop(self, needle: bytes) -> None:
        """Cut the connection before the next such request is delivered."""
        self._rules.append(_Rule(needle, _Deed.DROP))

    def count(self, needle: bytes) -> int:
        """How many such requests were delivered."""
        return sum(needle in one for one in self.delivered)

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, LOOPBACK, 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answers, requests = await self._connect()
        link = _Link(writer)
        pump = asyncio.create_task(self._pump(answers, link))
        try:
            while await self._pass_on(await self._framing(reader), requests, link):
                pass
        except (ConnectionError, asyncio.IncompleteReadError):
            await link.idle.wait()  # a request that is on its way is acted upon although its client has gone
        finally:
            pump.cancel()
            for end in (writer, requests):
                end.transport.abort()
            await asyncio.gather(pump, return_exceptions=True)

    async def _pass_on(self, request: bytes, requests: asyncio.StreamWriter, link: "_Link") -> bool:
        """Do to one request what a verb said; False when the connection is cut."""
        self.seen.append(request)
        rule = next((one for one in self._rules if one.needle in request), None)
        if rule is not None:
            self._rules.remove(rule)
            if rule.deed is _Deed.DROP:
                return False
            if rule.held is not None:
                await rule.held.passed()
            link.cut = rule.deed is _Deed.CUT_ANSWER
        link.idle.clear()
        self.delivered.append(request)
        requests.write(request)
        await requests.drain()
        if rule is not None and rule.held is not None:
            rule.held.delivered.set()
        return True

    async def _pump(self, answers: asyncio.StreamReader, link: "_Link") -> None:
        while data := await answers.read(CHUNK_BYTES):
            if link.cut:
                self.swallowed.append(data)
                link.client.transport.abort()
                link.idle.set()
                return
            self.answers.append(data)
            if not link.client.transport.is_closing():
                link.client.write(data)
            link.idle.set()
        link.idle.set()
        link.client.close()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._upstream.scheme == "unix":
            return await asyncio.open_unix_connection(unquote(self._upstream.path))
        return await asyncio.open_connection(self._upstream.hostname, self._upstream.port or 6379)


class _Link:
    """One connection: whether its next answer is cut, and whether no answer is awaited."""

    def __init__(self, client: asyncio.StreamWriter) -> None:
        self.client, self.cut, self.idle = client, False, asyncio.Event()
        self.idle.set()


async def resp(reader: asyncio.StreamReader) -> bytes:
    """Read one Redis command: an array of bulk strings, as every client sends it."""
    head = await reader.readuntil(b"\r\n")
    parts = [head]
    for _ in range(int(head[1:])):
        size = await reader.readuntil(b"\r\n")
        parts += [size, await reader.readexactly(int(size[1:]) + 2)]
    return b"".join(parts)


async def http(reader: asyncio.StreamReader) -> bytes:
    """Read one HTTP request with its body."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = re.search(rb"(?i)\r\ncontent-length: (\d+)", head)
    return head + (await reader.readexactly(int(length[1])) if length else b"")
