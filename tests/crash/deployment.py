"""One deployment: a server, a simulated venue and the role processes of one account, with crash points in them.

Only what was killed starts again, by the product's own supervisor and by `EmbeddedServer`; or a replica is promoted.
"""

import asyncio
import math
import os
import signal
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from decimal import Decimal
from pathlib import Path
from typing import Any, Self

import orjson
from redis.exceptions import RedisError

from adapters.simulated.process import SimulatedVenue, local_settings
from consumers.keyring import variables
from consumers.supervise import Child, environment, tasks
from streams.clock import SystemClock
from streams.connection import connect
from streams.errors import ServerError
from streams.settings import AccountSettings, Settings
from tests.crash.board import Board
from tests.crash.nursery import Nursery, Nursling
from tests.crash.points import sent_bytes
from tests.crash.scenario import LOOK_S, OTHER, PATIENCE_S, SYMBOL, Desk
from tests.crash.servers import Servers
from tests.support import wait_until_async

ACCOUNTS_MAX = 200
BALANCES = {"BTC": Decimal(1_000), "ETH": Decimal(10_000), "USDT": Decimal(100_000_000)}


class QuickClock(SystemClock):
    """A supervisor's clock by which every process was well for long, so that it comes back after the shortest pause."""

    def monotonic_ms(self) -> int:
        """A thousand times as fast."""
        return super().monotonic_ms() * 1_000


class Deployment:
    """Use it with ``async with``.

    Attributes:
        folder: where the server's data, the board and the recording are.
        board: what it shares with its role processes.
        children: the role processes of the present account.
        desk: who trades on that account.
    """

    children: Sequence[Child]
    desk: Desk

    def __init__(self, folder: Path, *, seed: int, record: bool = False) -> None:
        """Bind it; nothing is started yet. With `record` every process writes down the points it passes."""
        self.folder = folder
        self.board = Board.create(folder / "board")
        self._nursery = Nursery(folder, record=record)
        self.servers = Servers(folder)
        names = [f"binance.c{number}" for number in range(ACCOUNTS_MAX)]
        self.venue = SimulatedVenue(local_settings(names, BALANCES), seed=seed)
        self._accounts = iter(names)
        self._stack, self._roles = AsyncExitStack(), AsyncExitStack()

    async def __aenter__(self) -> Self:
        await self._stack.enter_async_context(self._nursery)
        await self._stack.enter_async_context(self.servers)
        self.board.serve(self.servers.primary.pid)
        await self._stack.enter_async_context(self._revived())
        await self._stack.enter_async_context(self.venue)
        self.control = await self._stack.enter_async_context(self.venue.control())
        self.redis = connect(self.servers.url, name="runner", single=False, timeout_ms=5_000)
        self._stack.push_async_callback(self.redis.aclose)
        await self.move()
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self._roles.aclose()
        await self._stack.aclose()

    async def move(self) -> None:
        """Start the roles of an account nobody has used."""
        await self._roles.aclose()
        account = next(self._accounts)
        told = next(one for one in self.venue.settings.accounts if one.name == account)
        key, secret = variables(account)
        settings = self._settings(account)
        env = environment(settings, self.servers.url, {**os.environ, key: told.api_key, secret: told.secret})
        self.board.profile = "start"
        self.children = [Nursling(task, env, QuickClock(), self._nursery) for task in tasks(settings)]
        self._roles.push_async_callback(self._stop, self.children)
        await asyncio.gather(*(child.start() for child in self.children))
        self.desk = Desk(self.redis, account, self.control)
        await wait_until_async(self.all_up, PATIENCE_S, LOOK_S)
        await wait_until_async(self._leads, PATIENCE_S, LOOK_S)

    async def restart(self, role: str) -> None:
        """Kill a role and wait until it is back, however often it is struck on its way."""
        child = next(child for child in self.children if child.task.role == role)
        await wait_until_async(lambda: child.pid, PATIENCE_S, LOOK_S)
        before = child.pid
        with suppress(ProcessLookupError):
            os.kill(before, signal.SIGKILL)

        async def back() -> bool:
            return child.pid != before and await self.up(child)

        await wait_until_async(back, PATIENCE_S, LOOK_S)

    async def beats(self) -> dict[str, dict[str, Any]]:
        """Read what every role last told of itself."""
        rows: Any = await self.redis.hgetall(self.desk.keys.roles)
        return {name.decode(): orjson.loads(beat) for name, beat in rows.items()}

    async def all_up(self) -> bool:
        """Whether every role runs."""
        return all([await self.up(child) for child in self.children])

    async def up(self, child: Child) -> bool:
        """Whether its present process has told of itself, which it does when it is built."""
        try:
            beat = (await self.beats()).get(child.task.name, {})
        except (RedisError, OSError):
            return False
        return bool(child.pid and beat.get("pid") == child.pid)

    async def _leads(self) -> bool:
        try:
            beats = await self.beats()
        except (RedisError, OSError):
            return False
        told = beats.get("ledger.0", {}), beats.get("listener.0", {})
        return bool(told[0].get("leads") and told[1].get("current"))

    async def compare(self) -> None:
        """Find every connection that the server has in the recording, with as many bytes sent as were received.

        The recording may have more: an idle connection whose server was killed is noticed when it is used again.
        """
        pids = [child.pid for child in self.children]
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        try:
            sent = Counter[tuple[str, int]]()
            for pid in pids:
                sent.update(sent_bytes((self.folder / f"record.{pid}").read_text().splitlines()))
            strange = Counter[tuple[str, int]]()

            async def found() -> bool:
                rows: Any = await self.redis.client_list()
                received = [(row["name"], int(row["tot-net-in"])) for row in rows if row["name"] != "runner"]
                strange.clear()
                strange.update(Counter(received) - sent)
                return not strange

            try:
                await wait_until_async(found, PATIENCE_S, LOOK_S)
            except AssertionError:
                raise AssertionError(f"bytes without a point: {strange} received, recorded are {sent}") from None
        finally:
            for pid in pids:
                os.kill(pid, signal.SIGCONT)

    async def _stop(self, children: Sequence[Child]) -> None:
        """Stop all roles at once; the supervisor's order matters to those who go on trading."""
        await asyncio.gather(*(child.stop() for child in children))

    def _settings(self, account: str) -> Settings:
        """Windows and deadlines as short as two busy cores allow."""
        one = AccountSettings(
            symbols=(SYMBOL, OTHER), rest_url=self.venue.rest_url, stream_url=self.venue.ws_url, send_window_ms=800,
            request_timeout_ms=500, backfill_overlap_ms=3_000, lookup_lag_ms=200, request_lifetime_ms=200,
        )  # fmt: skip
        return Settings(
            accounts={account: one}, claim_idle_ms=1_500, calm_ms=500, lookup_retry_max_ms=300, lease_ms=800,
            reconcile_light_ms=1_000,
            log_level="error",
        )  # fmt: skip

    @asynccontextmanager
    async def replicated(self) -> AsyncIterator[None]:
        """Have a replica that is cut off when the board says so, until it took the server's place or nobody struck."""

        async def watch() -> None:
            while True:
                await wait_until_async(lambda: self.board.to_cut, timeout_s=math.inf)
                try:
                    await self.servers.cut()
                finally:
                    self.board.cut_done()

        await self.servers.follow()
        task = asyncio.create_task(watch())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            self.board.cut_done()
            with suppress(AssertionError):  # whoever was to kill the server may have died before
                if self.board.lost:
                    await wait_until_async(lambda: self.servers.replica is None)
            await self.servers.drop()

    @asynccontextmanager
    async def _revived(self) -> AsyncIterator[None]:
        """Start the server again whenever it was killed; one that is to be gone for ever gives way to its replica."""

        async def watch() -> None:
            while True:
                server = self.servers.primary
                await server.wait()
                if self.servers.replica is not None and self.board.lost:
                    await self.servers.promote()
                    self.desk.histories += 1
                else:
                    while not server.alive():
                        with suppress(ServerError):  # it was killed while it started
                            await server.start()
                self.board.serve(self.servers.primary.pid)

        task = asyncio.create_task(watch())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
