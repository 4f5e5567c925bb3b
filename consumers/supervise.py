"""Runs role processes: starts them, restarts what crashes with a growing pause, counts, and stops them in order."""

import asyncio
import logging
import signal
import sys
from collections.abc import Mapping, Sequence

import msgspec

from consumers.roles import Task
from consumers.strategist import StrategyTask, without_keys
from streams.clock import Clock
from streams.settings import PREFIX, AccountSettings, Settings, spread

log = logging.getLogger("fillonce.supervise")

PAUSE_MIN_MS, PAUSE_MAX_MS = 200, 10_000
# A role that ran this long was well; its next crash begins with the shortest pause again.
WELL_AFTER_MS = 30_000
STOP_S = 35
# One that blocks or floods must not keep the others from stopping; what it had in hand is delivered to the next one.
STOP_STRATEGY_S = 6
# Who decides and who sends first, so that nothing new goes out; the ledger last, so that what came in is still counted.
STOP_ORDER = (("strategy",), ("gateway",), ("listener", "resolver"), ("ledger",))


class Child:
    """One role process and its restarts.

    Attributes:
        task: which role it runs.
        restarts: how often it came back after it ended unasked.
        pid: of the present process; 0 between two.
    """

    def __init__(self, task: Task | StrategyTask, env: Mapping[str, str], clock: Clock) -> None:
        """Bind it; `start` makes the process."""
        self.task, self.restarts, self.pid = task, 0, 0
        self._env, self._clock = dict(env), clock
        self._process: asyncio.subprocess.Process | None = None
        self._stopping = False
        self._watch: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start the process and keep it running."""
        await self._spawn()
        self._watch = asyncio.create_task(self._keep())

    async def stop(self) -> None:
        """Ask it to drain and end; make it end when it does not."""
        self._stopping = True
        process = self._process
        if process is not None and process.returncode is None:
            process.send_signal(signal.SIGTERM)
            patience_s = STOP_STRATEGY_S if self.task.role == "strategy" else STOP_S
            try:
                await asyncio.wait_for(process.wait(), patience_s)
            except TimeoutError:
                log.warning("%s did not stop within %d s and is killed", self.task.name, patience_s)
                process.kill()
                await process.wait()
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.gather(self._watch, return_exceptions=True)

    async def _spawn(self) -> None:
        command = [sys.executable, "-P", "-m", *self.task.arguments]
        self._process = await asyncio.create_subprocess_exec(
            *command, env=self._env, stdin=asyncio.subprocess.DEVNULL, start_new_session=True
        )
        self.pid = self._process.pid

    async def _keep(self) -> None:
        pause_ms = PAUSE_MIN_MS
        while True:
            assert self._process is not None
            started_ms = self._clock.monotonic_ms()
            code = await self._process.wait()
            self.pid = 0
            if self._stopping:
                return
            if self._clock.monotonic_ms() - started_ms > WELL_AFTER_MS:
                pause_ms = PAUSE_MIN_MS
            log.warning("%s ended with %s; it is started again in %d ms", self.task.name, _said(code), pause_ms)
            await self._clock.sleep_ms(pause_ms)
            pause_ms = min(pause_ms * 2, PAUSE_MAX_MS)
            self.restarts += 1
            try:
                await self._spawn()
            except OSError as error:  # no memory or no process to be had now; tried again after the pause
                log.warning("%s cannot be started: %s", self.task.name, error.strerror)


class Supervisor:
    """The role processes of one deployment."""

    def __init__(self, settings: Settings, redis_url: str, env: Mapping[str, str], clock: Clock) -> None:
        """Plan one child per role of every account, and one per strategy; nothing is started yet."""
        given = environment(settings, redis_url, env)
        keyless = without_keys(settings, given)
        work: list[tuple[Task | StrategyTask, Mapping[str, str]]] = [(task, given) for task in tasks(settings)]
        work += [(StrategyTask(reference=one), keyless) for one in settings.strategies]
        self.children = [
            Child(task, {**its, PREFIX + "METRICS": where}, clock)
            for (task, its), where in zip(work, spread(settings.metrics, len(work)), strict=True)
        ]

    @property
    def restarts(self) -> int:
        """Restarts of all roles together."""
        return sum(child.restarts for child in self.children)

    async def start(self) -> None:
        """Start every role."""
        await asyncio.gather(*(child.start() for child in self.children))

    async def stop(self) -> None:
        """Drain and stop: strategies, senders, then whoever listens and asks, then the ledgers."""
        for roles in STOP_ORDER:
            await asyncio.gather(*(child.stop() for child in self.children if child.task.role in roles))


def tasks(settings: Settings) -> Sequence[Task]:
    """List the role processes that settings ask for."""
    found: list[Task] = []
    for account in settings.accounts:
        found.append(Task(role="resolver", account=account))
        found.append(Task(role="ledger", account=account))
        found.append(Task(role="listener", account=account))
        found += [Task(role="gateway", account=account, index=index) for index in range(settings.gateways)]
    return found


def environment(settings: Settings, redis_url: str, env: Mapping[str, str]) -> dict[str, str]:
    """Environment of a role process: the settings as they are in force, whatever file they came from."""
    given = {name: value for name, value in env.items() if name != PREFIX + "SETTINGS"}
    for field in msgspec.structs.fields(Settings):
        if field.name not in ("accounts", "redis_url"):
            value = getattr(settings, field.name)
            given[PREFIX + field.name.upper()] = ",".join(value) if isinstance(value, tuple) else str(value)
    accounts: dict[str, AccountSettings] = dict(settings.accounts)
    given[PREFIX + "ACCOUNTS"] = msgspec.json.encode(accounts).decode()
    given[PREFIX + "REDIS_URL"] = redis_url
    return given


def _said(code: int) -> str:
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
