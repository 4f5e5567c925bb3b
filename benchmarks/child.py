"""A part of a benchmark that runs as a process of its own: started, waited for, asked for what it measured, ended."""

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Final, Self

import orjson

READY_S: Final = 60
END_S: Final = 30


class Child:
    """`python -m MODULE ARGUMENTS…`, which writes one JSON line when it is ready and one when SIGTERM ended it.

    Attributes:
        told: what it said when it was ready.
    """

    def __init__(self, module: str, *arguments: str, env: Mapping[str, str] | None = None) -> None:
        """Bind it; nothing is started yet."""
        self.told: Any = None
        self._command: Sequence[str] = [sys.executable, "-P", "-m", module, *arguments]
        # Settings left in the environment belong to somebody's pipeline.
        kept = {name: value for name, value in os.environ.items() if not name.startswith("FILLONCE_")}
        self._env = {**kept, **(env or {})}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The process id."""
        return self._running().pid

    async def __aenter__(self) -> Self:
        # Started by this thread, because it ends with the thread that started it; only the waiting is done elsewhere.
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the process
        self._process = subprocess.Popen(  # noqa: ASYNC220 - takes a millisecond
            self._command, env=self._env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=self._errors,
            start_new_session=True,
        )  # fmt: skip
        try:
            async with asyncio.timeout(READY_S):
                self.told = await self._line()
        except BaseException:
            self._kill()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._kill()

    async def finish(self) -> Any:
        """End it and give what it measured."""
        self._running().send_signal(signal.SIGTERM)
        async with asyncio.timeout(END_S):
            return await self._line()

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self._running().send_signal(number)

    async def _line(self) -> Any:
        stdout = self._running().stdout
        assert stdout is not None
        line = await asyncio.to_thread(stdout.readline)
        if not line:
            raise RuntimeError(f"{' '.join(self._command[3:])} ended: {self._last_words()}")
        return orjson.loads(line)

    def _last_words(self) -> str:
        self._running().wait()
        self._errors.seek(0)
        return self._errors.read()[-2000:].decode(errors="replace")

    def _running(self) -> subprocess.Popen[bytes]:
        assert self._process is not None
        return self._process

    def _kill(self) -> None:
        process = self._running()
        process.kill()
        process.communicate()
        self._errors.close()


async def until_ended() -> None:
    """Wait, in a child, until it is told to end."""
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    await ended.wait()


def say(value: Any) -> None:
    """Write one JSON line to whoever started this child."""
    sys.stdout.buffer.write(orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS) + b"\n")
    sys.stdout.flush()
