"""A way between a client and a websocket server that loses, keeps or cuts what a test names, message by message."""

import asyncio
from contextlib import suppress
from typing import Final, Self

import orjson
from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from tests.proxy import Held
from tests.support import POLL_S

LOOPBACK: Final = "127.0.0.1"


class SocketProxy:
    """Stands before a ws-api; use it with `async with`. Every verb names one message, the next that contains its bytes.

    Attributes:
        seen: messages of clients as they came, oldest first.
        delivered: messages as they were given to the server.
        answers: what the server answered, message by message.
        down: whether connections are refused.
    """

    def __init__(self, url: str) -> None:
        self.seen: list[bytes] = []
        self.delivered: list[bytes] = []
        self.answers: list[bytes] = []
        self.down = False
        self._upstream = url
        self._held: dict[bytes, Held] = {}
        self._held_answers: dict[bytes, Held] = {}
        self._answers_at: dict[str, Held] = {}  # by id of the request
        self._cut_answers: set[bytes] = set()
        self._dropped: set[bytes] = set()
        self._silent: set[str] = set()  # requests whose answer is never given
        self._clients: set[ServerConnection] = set()
        self._muted: set[ServerConnection] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: Server

    @property
    def url(self) -> str:
        """Where the client is to connect."""
        return f"ws://{LOOPBACK}:{self._server.sockets[0].getsockname()[1]}/ws-api/v3"

    def hold(self, needle: bytes) -> Held:
        """Keep the next such message until it is released."""
        return self._held.setdefault(needle, Held())

    def cut_answer(self, needle: bytes) -> None:
        """Deliver the next such message, and cut the client off once it is answered."""
        self._cut_answers.add(needle)

    def hold_answer(self, needle: bytes) -> Held:
        """Keep the answer to the next such message until it is released; events overtake it."""
        return self._held_answers.setdefault(needle, Held())

    def drop(self, needle: bytes) -> None:
        """Cut the client off before the next such message is delivered."""
        self._dropped.add(needle)

    def mute(self) -> None:
        """Leave all connections as they are, and neither read nor answer them any more."""
        for client in list(self._clients):
            client.transport.pause_reading()
            self._muted.add(client)

    def cut(self) -> None:
        """Cut everybody off, now."""
        for client in list(self._clients):
            client.transport.abort()

    def count(self, needle: bytes) -> int:
        """How many such messages were delivered."""
        return sum(needle in one for one in self.delivered)

    async def __aenter__(self) -> Self:
        self._server = await serve(self._play, LOOPBACK, 0, compression=None, close_timeout=0.1)
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        self.cut()
        self._server.close()
        await self._server.wait_closed()

    async def _play(self, client: ServerConnection) -> None:
        if self.down:
            client.transport.abort()
            return
        self._clients.add(client)
        async with connect(self._upstream, proxy=None, compression=None) as server:
            pump = asyncio.create_task(self._pump(server, client))
            under_way: set[asyncio.Task[None]] = set()
            with suppress(ConnectionClosed):
                async for message in client:
                    # What is held must not hold up what follows it.
                    task = asyncio.create_task(self._pass_on(str(message), client, server))
                    under_way.add(task)
                    self._tasks.add(task)
            self._clients.discard(client)
            # A request that is on its way is acted upon although its client has gone, and its answer is kept.
            await asyncio.gather(*under_way, return_exceptions=True)
            while len(self.delivered) > len(self.answers) and not pump.done():
                await asyncio.wait([pump], timeout=POLL_S)
            pump.cancel()
            await asyncio.gather(pump, return_exceptions=True)

    async def _pass_on(self, text: str, client: ServerConnection, server: ClientConnection) -> None:
        message = text.encode()
        self.seen.append(message)
        for needle in [one for one in self._dropped if one in message]:
            self._dropped.discard(needle)
            client.transport.abort()
            return
        for needle in [one for one in self._held if one in message]:
            await self._held.pop(needle).passed()
        for needle in [one for one in self._cut_answers if one in message]:
            self._cut_answers.discard(needle)
            self._silent.add(orjson.loads(message)["id"])
        for needle in [one for one in self._held_answers if one in message]:
            self._answers_at[orjson.loads(message)["id"]] = self._held_answers.pop(needle)
        self.delivered.append(message)
        await server.send(text)

    async def _pump(self, server: ClientConnection, client: ServerConnection) -> None:
        async for message in server:
            answer = str(message).encode()
            self.answers.append(answer)
            name = orjson.loads(answer).get("id")
            if name in self._silent:
                client.transport.abort()
            held = self._answers_at.pop(name, None)
            if held is None:
                await self._give(client, str(message))
            else:
                task = asyncio.create_task(self._give(client, str(message), held))
                self._tasks.add(task)

    async def _give(self, client: ServerConnection, message: str, held: Held | None = None) -> None:
        if held is not None:
            await held.passed()
        if client in self._muted:
            return
        with suppress(ConnectionClosed):
            await client.send(message)
