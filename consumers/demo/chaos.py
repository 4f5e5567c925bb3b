"""Kills and pauses the demo's processes in mid-flight: real signals, at seeded moments, counted by role."""

import asyncio
import os
import random
import signal
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import Literal

from msgspec import Struct

from consumers.supervise import Child
from streams.clock import Clock
from streams.server import EmbeddedServer

Role = Literal["gateway", "ledger", "listener", "resolver", "server"]

KILLS: dict[Role, int] = {"gateway": 4, "ledger": 3, "listener": 3, "resolver": 3, "server": 2}
PAUSES: dict[Role, int] = {"gateway": 3, "ledger": 2}
# A role is struck again only after its supervisor had the time to bring it back.
GAP_MS = (700, 1_500)
# Longer than any other wait of the demo: what happened meanwhile is fetched, and nothing new was sent.
STREAM_GAP_MS, BETWEEN_GAPS_MS = 30_000, 5_000


class Blow(Struct, frozen=True):
    """One thing that is done to one process."""

    kind: Literal["kill", "pause"]
    role: Role


class Tally(Struct, frozen=True):
    """How often each role was killed and paused, and how often the private stream was gone for long."""

    kills: dict[str, int]
    pauses: dict[str, int]
    gaps: int = 0


def schedule(seed: int) -> Sequence[Blow]:
    """Every blow of a run, in a seeded order."""
    blows = [Blow("kill", role) for role, times in KILLS.items() for _ in range(times)]
    blows += [Blow("pause", role) for role, times in PAUSES.items() for _ in range(times)]
    random.Random(f"chaos:{seed}").shuffle(blows)  # noqa: S311 - a seeded demo
    return blows


class Chaos:
    """Strikes blow by blow until all are dealt."""

    def __init__(
        self, seed: int, server: EmbeddedServer, children: Sequence[Child], pause_ms: int, clock: Clock, *,
        gap: Callable[[int], Awaitable[object]], gaps: int,
    ) -> None:  # fmt: skip
        """Bind it.

        Args:
            seed: of the order and the moments.
            server: what is killed, too.
            children: the roles.
            pause_ms: longer than every window, deadline and lease.
            clock: to wait by.
            gap: takes the private stream away for so many milliseconds; it returns at once.
            gaps: how often that is done, one after the other.
        """
        self.done = False
        self._gap, self._gaps, self._gone = gap, gaps, 0
        self._kills: Counter[str] = Counter()
        self._pauses: Counter[str] = Counter()
        self._seed, self._server, self._children, self._pause_ms, self._clock = seed, server, children, pause_ms, clock

    @property
    def tally(self) -> Tally:
        """What was done so far."""
        return Tally(dict(sorted(self._kills.items())), dict(sorted(self._pauses.items())), self._gone)

    async def run(self) -> None:
        """Deal every blow, the stream's gaps beside all others."""
        await asyncio.gather(self._deal(), self._open_gaps())
        self.done = True

    async def _open_gaps(self) -> None:
        for _ in range(self._gaps):
            await self._clock.sleep_ms(BETWEEN_GAPS_MS)
            await self._gap(STREAM_GAP_MS)
            self._gone += 1
            await self._clock.sleep_ms(STREAM_GAP_MS)

    async def _deal(self) -> None:
        dice = random.Random(f"moments:{self._seed}")  # noqa: S311 - a seeded demo
        for blow in schedule(self._seed):
            await self._clock.sleep_ms(dice.uniform(*GAP_MS))
            await self._strike(blow, dice)

    async def _strike(self, blow: Blow, dice: random.Random) -> None:
        if blow.role == "server":
            self._server.kill()
            await self._server.wait()
            await self._server.start()
            self._kills["server"] += 1
            return
        child = await self._alive(blow.role, dice)
        if blow.kind == "kill":
            os.kill(child.pid, signal.SIGKILL)
            self._kills[blow.role] += 1
            return
        pid = child.pid
        os.kill(pid, signal.SIGSTOP)
        try:
            await self._clock.sleep_ms(self._pause_ms)
        finally:
            os.kill(pid, signal.SIGCONT)
        self._pauses[blow.role] += 1

    async def _alive(self, role: Role, dice: random.Random) -> Child:
        """Choose a running process of a role; its supervisor brings one back if none runs now."""
        while True:
            running = [child for child in self._children if child.task.role == role and child.pid]
            if running:
                return dice.choice(running)
            await self._clock.sleep_ms(50)


async def alongside(work: Callable[[], Awaitable[None]], chaos: Chaos | None) -> None:
    """Do work while blows fall; both are over when this returns."""
    if chaos is None:
        await work()
        return
    await asyncio.gather(work(), chaos.run())
