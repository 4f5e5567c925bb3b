"""One lane: one deployment that is struck again and again, and audited after every strike.

After some strikes it moves to an account nobody has used, so that journals stay short and one defect is counted once.
"""

import asyncio
import os
import signal
import time
from collections.abc import Sequence
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any

from msgspec import Struct
from redis.exceptions import RedisError

from consumers.demo.audit import Local, audit, read_books
from consumers.roles import ROLES
from streams import events
from streams.errors import ServerError
from streams.tasks import end
from streams.verify import verify
from tests.crash.deployment import Deployment
from tests.crash.points import LOAD, PROFILES, UNNAMED, WAVES, Point, Profile, Target, counted
from tests.crash.scenario import LOOK_S, PATIENCE_S, UNKIND
from tests.support import wait_until_async

STRIKES_PER_ACCOUNT = 25
# A wave passes a point many times; one that is not reached after so many waves depends on a coincidence.
WAVES_MAX = 6
# A ledger renews its lease and a listener its watermark when nothing else happened for so long.
IDLE_S = 1.2
LOOKS_S = 6.0
UNHEARD_S = 4.0


class Outcome(Struct, frozen=True, kw_only=True):
    """What came of one strike.

    Attributes:
        target: what was tried.
        fired: whether its point was passed often enough.
        seconds: its part of what its volley took.
        trouble: what did not hold after the volley; empty when everything did.
    """

    target: Target
    fired: bool
    seconds: float
    trouble: tuple[str, ...] = ()


class Lane(Deployment):
    """Use it with ``async with``; then `record`, or `strike` target by target."""

    def __init__(self, folder: Path, *, seed: int, record: bool = False) -> None:
        """Bind it; nothing is started yet."""
        super().__init__(folder, seed=seed, record=record)
        self._strikes = 0

    async def move(self) -> None:
        """Start the roles of an account nobody has used."""
        await super().move()
        self._strikes = 0

    async def strike(self, *volley: Target) -> list[Outcome]:
        """Arm targets of one scenario, trade until all were struck, let everything come to rest, and audit."""
        if self._strikes >= STRIKES_PER_ACCOUNT:
            await self.move()
        self._strikes += len(volley)
        began, trouble = time.monotonic(), []
        lost = any(target.strike == "history" for target in volley)
        try:
            async with self.replicated() if lost else nullcontext():
                await self._trade_until_struck(volley)
            fired = self._disarm(volley)
            await self.settle()
            trouble = await self.trouble()
        except (AssertionError, RedisError, OSError) as error:
            fired = self._disarm(volley)
            trouble = [f"did not come to rest: {error}", *await self._said()]
        if trouble:
            self._strikes = STRIKES_PER_ACCOUNT  # the next one finds an account without a past
        seconds = round((time.monotonic() - began) / len(volley), 2)
        return [
            Outcome(target=target, fired=target in fired, seconds=seconds, trouble=tuple(trouble)) for target in volley
        ]

    async def _trade_until_struck(self, volley: Sequence[Target]) -> None:
        self.desk.begin()
        self.board.arm(volley)
        if any(target.strike == "history" and target.kept == 0 for target in volley):
            await self.servers.cut()
        for _ in range(WAVES_MAX):
            await self.wave(volley[0].profile, [target.point for target in volley])
            if await self._struck():
                break

    def _disarm(self, volley: Sequence[Target]) -> list[Target]:
        fired = [target for number, target in enumerate(volley) if self.board.fired(number)]
        self.board.arm(())
        return fired

    async def wave(self, profile: Profile, points: Sequence[Point] = ()) -> None:
        """Run one scenario, for some points or for all.

        `restart` and `outage` kill the role or the server themselves, so that the way back up is passed too.
        """
        self.board.profile = profile
        loads = not points or any(point.call == LOAD for point in points)
        if loads:
            await self.desk.insist(self.redis.script_flush)
        match profile:
            case "start":
                await self.move()
                await self.desk.trade()
            case "plain":
                await self.desk.trade()
            case "park":
                await self._parked()
            case "faults":
                await self.control.set_faults(UNKIND)
                await self.desk.trade()
                await self._answered()
            case "restart":
                await self.desk.trade()
                roles = {point.role for point in points} or {*ROLES}
                if loads:
                    await self.desk.insist(self.redis.script_flush)
                elif "gateway" in roles:
                    roles.add("listener")  # a gateway goes other ways while nobody listens to the account
                await asyncio.gather(*(self.restart(role) for role in sorted(roles)))
                await self.desk.trade()
            case "outage":
                await self.desk.trade()
                with suppress(ServerError):  # it is just being started
                    self.servers.primary.kill()
                await self.desk.trade()
        await self.desk.rest()

    async def settle(self) -> None:
        """Wait until every role runs and nothing is on its way."""
        await self.desk.rest()
        await wait_until_async(self.all_up, PATIENCE_S, LOOK_S)
        await self.desk.rest()

    async def trouble(self) -> list[str]:
        """Audit and verify until both are clean; what they find in the end.

        A listener that came back may still tell what is known already, so one look alone may see it half way.
        """
        said: list[str] = []

        async def clean() -> bool:
            said[:] = await self._look()
            return not said

        with suppress(AssertionError):
            await wait_until_async(clean, LOOKS_S, LOOK_S)
        return said

    async def _look(self) -> list[str]:
        """Audit against the venue's books, and compare the state with the fold of its journal."""
        desk = self.desk
        books = read_books((await self.control.books(desk.account))["accounts"][desk.account])
        local = Local(
            orders=await desk.store.all_orders(), positions=await desk.store.positions(),
            changes=await self._changes(), waiting=await desk.waiting(),
        )  # fmt: skip
        found = audit(books, local)
        said = [f"audit: {found}"] if found.defects else []
        verdict = await verify(self.redis, desk.keys)
        if not verdict.good:
            said.append(f"verify: {verdict}")
        return said

    async def record(self) -> dict[Point, dict[Profile, int]]:
        """Run every scenario, each role killed once, and name every point that was passed.

        Raises:
            AssertionError: a command reached the server without passing a point.
        """
        await self.desk.trade()  # on an account and processes that are new, which `start` is
        await self.settle()
        for profile in PROFILES[:-1]:
            for _ in range(WAVES[profile]):
                await self.wave(profile)
                await self.settle()
        await self.compare()
        lines = [line for file in self.folder.glob("record.*") for line in file.read_text().splitlines()]
        passes = counted(lines)
        assert not [point for point in passes if UNNAMED in point.call], f"commands without a name: {passes}"
        return passes

    async def _parked(self) -> None:
        """Park while nobody listens; the listener is paused, and its parent wakes it whatever happens.

        A strike may have the account start anew, and that waits for the listener: then it is woken early.
        """
        paused = [child.pid for child in self.children if child.task.role == "listener" and child.pid]
        for pid in paused:
            os.kill(pid, signal.SIGSTOP)
        parking = asyncio.create_task(self.desk.park())
        try:
            try:
                await asyncio.wait([parking], timeout=UNHEARD_S)
            finally:
                for pid in paused:
                    with suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGCONT)
            await parking  # it gives up by itself
        finally:
            await end([parking])

    async def _struck(self) -> bool:
        """Whether all points were struck; some are passed only while nothing happens, so a wave is given that time."""
        with suppress(AssertionError):
            await wait_until_async(lambda: self.board.all_fired, IDLE_S)
        return self.board.all_fired

    async def _answered(self) -> None:
        """Wait until every order of this wave is beyond doubt, so that look-ups happen while faults last."""

        async def told() -> bool:
            try:
                self._left = await self.desk.store.live_statuses()
            except (RedisError, OSError):
                return False
            return not {"created", "submitting", "unknown"} & set(self._left)

        try:
            await wait_until_async(told, PATIENCE_S, LOOK_S)
        except AssertionError:
            raise AssertionError(f"still in doubt: {await self._said()}") from None

    async def _changes(self) -> list[events.AnyChange]:
        rows: Any = await self.redis.xrange(self.desk.keys.events)
        return [change for _, fields in rows for change in events.decode(fields[b"data"]).changes]

    async def _said(self) -> list[str]:
        """What is known of a lane that does not come to rest."""
        try:
            store = self.desk.store
            beats = {name: beat.get("pid") for name, beat in (await self.beats()).items()}
            pids = {child.task.name: child.pid for child in self.children}
            orders = [one for one in await store.all_orders() if one.live]
            return [
                f"statuses {await store.live_statuses()}, backlog {await store.backlog()}",
                f"parked {await store.parked()}, beats {beats}, pids {pids}, live {orders[:4]}",
                *await self.trouble(),
            ]
        except (RedisError, OSError) as error:
            return [f"and cannot be looked at: {error!r}"]
