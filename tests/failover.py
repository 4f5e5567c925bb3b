"""Servers that follow one another under one address: a primary and its replica, a link to cut, a way to move the roles.

The servers are the embedded ones, which have no TCP port. A `Way` is the port: the replica follows its primary through
one, and the roles reach whichever server serves through another.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final, Self

from redis.asyncio import Redis

from streams.server import EmbeddedServer
from tests.support import wait_until_async

LOOPBACK: Final = "127.0.0.1"
CHUNK_BYTES: Final = 65_536
PROMPT: Final = {"repl-diskless-sync-delay": "0", "repl-diskless-load": "swapdb", "hz": "100"}
"""A replica follows within milliseconds; with the defaults the primary waits for a second one."""


class Way:
    """A loopback port before one server; moving or cutting it breaks every connection that goes through.

    Attributes:
        server: where new connections go.
        is_cut: new connections are refused.
    """

    def __init__(self, server: EmbeddedServer) -> None:
        self.server, self.is_cut = server, False
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._listener: asyncio.Server

    @property
    def port(self) -> int:
        """Where it listens, on loopback."""
        return int(self._listener.sockets[0].getsockname()[1])

    @property
    def url(self) -> str:
        """The same address, whatever server is behind it."""
        return f"redis://{LOOPBACK}:{self.port}/0"

    def move(self, server: EmbeddedServer) -> None:
        """Lead to another server from now on."""
        self.server = server
        self._break()

    def cut(self) -> None:
        """Lead nowhere."""
        self.is_cut = True
        self._break()

    async def __aenter__(self) -> Self:
        self._listener = await asyncio.start_server(self._accept, LOOPBACK, 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._listener.close()
        self.cut()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._listener.wait_closed()

    def _break(self) -> None:
        for writer in self._writers:
            writer.transport.abort()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ends = {writer}
        self._writers.add(writer)
        try:
            if self.is_cut:
                return
            answers, requests = await asyncio.open_unix_connection(str(self.server.socket_path))
            ends.add(requests)
            self._writers.add(requests)
            _, left = await asyncio.wait(
                [asyncio.create_task(_copy(reader, requests)), asyncio.create_task(_copy(answers, writer))],
                return_when=asyncio.FIRST_COMPLETED,
            )
            for task in left:
                task.cancel()
            await asyncio.gather(*left, return_exceptions=True)
        except OSError:
            pass  # the server behind it is not there
        finally:
            self._writers -= ends
            for end in ends:
                end.transport.abort()


async def _copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await source.read(CHUNK_BYTES):
            target.write(data)
            await target.drain()


async def follows(replica: Redis) -> bool:
    """Whether a replica has everything, on its disk too: it writes what it copied in the background."""
    info: dict[str, Any] = await replica.info()
    writes = info["aof_rewrite_in_progress"] or info["aof_rewrite_scheduled"]
    return bool(info.get("master_link_status") == "up" and not writes)


class Pair:
    """A primary, its replica, and the address under which the roles know them.

    Attributes:
        address: the roles' way to the server that serves.
        link: the replica's way to its primary.
    """

    def __init__(self, folder: Path, binary: Path | None = None) -> None:
        self.primary = EmbeddedServer(folder / "primary", extra=PROMPT, binary=binary)
        self.replica = EmbeddedServer(folder / "replica", extra=PROMPT, binary=binary)
        self.address, self.link = Way(self.primary), Way(self.primary)
        self.before, self.after = Redis.from_url(self.primary.url), Redis.from_url(self.replica.url)

    async def follow(self) -> None:
        """Make the second server a replica of the first and wait for its link."""
        await self.after.execute_command("REPLICAOF", LOOPBACK, str(self.link.port))

        await wait_until_async(lambda: follows(self.after))

    async def cut(self) -> None:
        """Let the replica have everything up to now, and nothing from here on."""
        await self.before.set("fillonce-test:last", "kept")
        mark = int((await self.before.info("replication"))["master_repl_offset"])

        async def caught_up() -> bool:
            return int((await self.after.info("replication"))["slave_repl_offset"]) >= mark

        await wait_until_async(caught_up)
        self.link.cut()

    async def promote(self) -> None:
        """Make the replica a primary and lead the address to it; the first one is gone."""
        self.primary.kill()
        await self.primary.wait()
        await self.after.execute_command("REPLICAOF", "NO", "ONE")
        self.address.move(self.replica)


@contextlib.asynccontextmanager
async def replicated(folder: Path, binary: Path | None = None) -> AsyncIterator[Pair]:
    """Start a pair whose replica follows, and end both whatever happened to them."""
    pair = Pair(folder, binary)
    try:
        await asyncio.gather(pair.primary.start(), pair.replica.start())
        async with pair.address, pair.link:
            await pair.follow()
            # The first acknowledgement after a full copy takes the replica's own second; later ones come at once.
            await pair.before.set("followed", "1")
            await pair.before.execute_command("WAIT", 1, 5_000)
            yield pair
    finally:
        await pair.before.aclose()
        await pair.after.aclose()
        await asyncio.gather(pair.primary.stop(), pair.replica.stop())
