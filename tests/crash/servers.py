"""The server of one lane under one address, and a replica that can take its place with an older state.

The address is a link to the socket of whichever server serves, so that it costs no passage through another process.
"""

import asyncio
import itertools
import shutil
import tempfile
from pathlib import Path
from typing import Any, Self

from redis.asyncio import Redis
from redis.exceptions import RedisError

from streams.server import EmbeddedServer
from tests.failover import LOOPBACK, PROMPT, Way, follows
from tests.support import wait_until_async


class Servers:
    """Use it with ``async with``.

    Attributes:
        primary: the server that serves.
        replica: the one that may take its place, if there is one.
        promotions: how often one did.
    """

    def __init__(self, folder: Path) -> None:
        self._folder, self._numbers = folder, itertools.count()
        self._place = Path(tempfile.mkdtemp(prefix="fillonce-"))  # short enough for a socket
        self._link: Way | None = None
        self.primary, self.promotions = self._made(), 0
        self.replica: EmbeddedServer | None = None

    @property
    def url(self) -> str:
        """The same address, whatever server is behind it."""
        return f"unix://{self._place / 'socket'}?db=0"

    async def __aenter__(self) -> Self:
        await self.primary.start()
        self._lead_to(self.primary)
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self.drop()
        await self.primary.stop()
        shutil.rmtree(self._place)

    async def follow(self) -> None:
        """Give the server a replica that has everything it has."""
        await self.drop()
        self.replica = replica = self._made()
        self._link = link = Way(self.primary)
        await asyncio.gather(replica.start(), link.__aenter__())
        async with Redis.from_url(replica.url) as redis:
            await redis.execute_command("REPLICAOF", LOOPBACK, str(link.port))
            await wait_until_async(lambda: follows(redis))

    async def cut(self) -> None:
        """Let the replica have everything up to now, and nothing from here on; a dead server has nothing to give."""
        replica, link = self.replica, self._link
        if replica is None or link is None:
            return  # it has taken the server's place
        async with Redis.from_url(self.primary.url) as before, Redis.from_url(replica.url) as after:

            async def caught_up() -> bool:
                told: dict[str, Any] = await after.info("replication")
                return int(told.get("slave_repl_offset", mark)) >= mark  # none once it has taken the server's place

            try:
                mark = int((await before.info("replication"))["master_repl_offset"])
                await wait_until_async(caught_up)
            except (RedisError, OSError, AssertionError):
                pass  # what it has so far is a beginning too
        link.cut()  # whether or not it took the server's place meanwhile

    async def promote(self) -> None:
        """Make the replica a primary and lead the address to it; the first one is dead and never comes back."""
        assert self.replica is not None
        gone, self.primary, self.replica = self.primary, self.replica, None
        async with Redis.from_url(self.primary.url) as redis:
            await redis.execute_command("REPLICAOF", "NO", "ONE")
        self._lead_to(self.primary)
        self.promotions += 1
        await self._discard(gone)
        await self.drop()

    async def drop(self) -> None:
        """Do without the replica."""
        if self.replica is not None:
            await self._discard(self.replica)
            self.replica = None
        if self._link is not None:
            await self._link.__aexit__()
            self._link = None

    async def _discard(self, server: EmbeddedServer) -> None:
        await server.stop()
        await asyncio.to_thread(shutil.rmtree, server.data_dir)

    def _made(self) -> EmbeddedServer:
        return EmbeddedServer(self._folder / f"server{next(self._numbers)}", extra=PROMPT)

    def _lead_to(self, server: EmbeddedServer) -> None:
        """Replace the link in one step: whoever connects meanwhile meets the one or the other."""
        fresh = self._place / "next"
        fresh.symlink_to(server.socket_path)
        fresh.replace(self._place / "socket")
