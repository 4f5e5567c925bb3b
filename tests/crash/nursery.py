"""Role processes by fork: one process has imported everything, so a role that comes back costs no second of a core.

The nursery is a process of its own without threads and without an event loop, so that forking it is safe. It is told
on standard input whom to start, and tells on standard output who started and who ended, one JSON line each.
"""

import asyncio
import gc
import importlib
import os
import select
import signal
import sys
import traceback
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Self

import certifi
import msgspec
from msgspec import Struct

from consumers import worker
from consumers.roles import Task
from consumers.supervise import Child
from streams.clock import Clock
from streams.parent import end_with_parent
from tests.crash import wrap_redis, wrap_venue
from tests.crash.striker import Striker

ROOT = Path(__file__).parents[2]
# What a role imports only when it runs, or when it opens its venue.
LATE = ("anyio._backends._asyncio", "adapters.binance.venue", "ccxt.async_support")
LINE_BYTES_MAX = 1 << 16


class Wanted(Struct, frozen=True, kw_only=True):
    """A role process to start, with crash points of the lane in `folder`."""

    number: int
    task: Task
    env: Mapping[str, str]
    folder: str
    record: bool


class Told(Struct, frozen=True):
    """A role process started, or ended: then with its exit code, negative for the signal that ended it."""

    number: int
    pid: int
    code: int | None = None


class Process:
    """A forked process, as `asyncio.subprocess.Process` shows one."""

    def __init__(self, pid: int, ended: "asyncio.Future[int]") -> None:
        self.pid, self._ended = pid, ended

    @property
    def returncode(self) -> int | None:
        """Exit code, once it ended."""
        return self._ended.result() if self._ended.done() else None

    async def wait(self) -> int:
        """Wait for its end."""
        return await asyncio.shield(self._ended)

    def send_signal(self, number: int) -> None:
        """Send a signal; nothing when it ended."""
        if self.returncode is None:
            with suppress(ProcessLookupError):  # it ended, and nobody was told yet
                os.kill(self.pid, number)

    def kill(self) -> None:
        """End it at once."""
        self.send_signal(signal.SIGKILL)


class Nursery:
    """Starts role processes of one lane; use it with ``async with``."""

    def __init__(self, folder: Path, *, record: bool) -> None:
        """Bind it; with `record` every process writes down the points it passes."""
        self._folder, self._record = folder, record
        self._started: dict[int, asyncio.Future[int]] = {}
        self._ended: dict[int, asyncio.Future[int]] = {}

    async def __aenter__(self) -> Self:
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.crash.nursery", str(self._folder), cwd=ROOT,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        self._reading = asyncio.create_task(self._read())
        return self

    async def __aexit__(self, *_error: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        await self._process.wait()
        await self._reading

    async def start(self, task: Task, env: Mapping[str, str]) -> Process:
        """Start one role."""
        assert self._process.stdin is not None
        number, loop = len(self._started), asyncio.get_running_loop()
        self._started[number], self._ended[number] = loop.create_future(), loop.create_future()
        wanted = Wanted(number=number, task=task, env=env, folder=str(self._folder), record=self._record)
        self._process.stdin.write(msgspec.json.encode(wanted) + b"\n")
        return Process(await self._started[number], self._ended[number])

    async def _read(self) -> None:
        assert self._process.stdout is not None
        while line := await self._process.stdout.readline():
            told = msgspec.json.decode(line, type=Told)
            if told.code is None:
                self._started[told.number].set_result(told.pid)
            else:
                self._ended[told.number].set_result(told.code)


class Nursling(Child):
    """The product's child, restarts and all, but for where its processes come from."""

    def __init__(self, task: Task, env: Mapping[str, str], clock: Clock, nursery: Nursery) -> None:
        """Bind it; `start` makes the process."""
        super().__init__(task, env, clock)
        self._nursery = nursery

    async def _spawn(self) -> None:
        assert isinstance(self.task, Task)  # no strategies here
        process = await self._nursery.start(self.task, self._env)
        self._process = process  # type: ignore[assignment]  # it shows all of one that is used
        self.pid = process.pid


def main() -> None:
    """Start who is wanted until standard input ends, then wait for the last one."""
    end_with_parent()
    for name in LATE:
        importlib.import_module(name)
    _trust_one(Path(sys.argv[1]))
    gc.collect()
    gc.freeze()  # a collection in a child would touch, and so copy, every page
    wake, woken = os.pipe2(os.O_NONBLOCK)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(woken)
    numbers: dict[int, int] = {}
    buffer, asked = b"", True
    while asked or numbers:
        ready, _, _ = select.select([wake, *([0] if asked else [])], [], [])
        if wake in ready:
            os.read(wake, LINE_BYTES_MAX)
            _reap(numbers)
        if 0 in ready:
            read = os.read(0, LINE_BYTES_MAX)
            asked = bool(read)
            *lines, buffer = (buffer + read).split(b"\n")
            for line in lines:
                wanted = msgspec.json.decode(line, type=Wanted)
                pid = os.fork()
                if pid == 0:
                    _become(wanted, (wake, woken))
                numbers[pid] = wanted.number
                _tell(Told(wanted.number, pid))


def _trust_one(folder: Path) -> None:
    """Shorten the list of certificates: a lane has no TLS, and reading all of them is a good part of a role's start."""
    first, end, _ = Path(certifi.where()).read_text().partition("-----END CERTIFICATE-----")
    file = folder / "certificate.pem"
    file.write_text(first + end + "\n")
    certifi.where = lambda: str(file)


def _reap(numbers: dict[int, int]) -> None:
    while numbers:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            return
        _tell(Told(numbers.pop(pid), pid, os.waitstatus_to_exitcode(status)))


def _tell(told: Told) -> None:
    os.write(1, msgspec.json.encode(told) + b"\n")


def _become(wanted: Wanted, pipes: tuple[int, ...]) -> None:
    """Be the role, and never return."""
    code = 70
    try:
        os.setsid()
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        null = os.open(os.devnull, os.O_RDWR)
        os.dup2(null, 0)
        os.dup2(2, 1)
        for end in (*pipes, null):
            os.close(end)
        os.environ.clear()
        os.environ.update(wanted.env)
        striker = Striker(wanted.task.role, Path(wanted.folder), record=wanted.record)
        wrap_redis.install(striker)
        wrap_venue.install(striker)
        code = worker.main([wanted.task.role, wanted.task.account, str(wanted.task.index)])
    except BaseException:  # noqa: BLE001 - the runner reads it in the lane's log
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    main()
