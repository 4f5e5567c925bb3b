"""What several test files need: waiting for conditions (the one place that polls) and looking at processes."""

import asyncio
import inspect
import subprocess
import threading
import time
from collections.abc import Awaitable, Callable
from typing import Final

POLL_S: Final = 0.01
WAIT_S: Final = 10.0


def wait_until(condition: Callable[[], object], timeout_s: float = WAIT_S) -> None:
    """Block until the condition is true; AssertionError when it is still false after ``timeout_s``."""
    deadline = time.monotonic() + timeout_s
    never = threading.Event()
    while not condition():
        assert time.monotonic() < deadline, f"still false after {timeout_s:g} s: {_source(condition)}"
        never.wait(POLL_S)


async def wait_until_async(
    condition: Callable[[], object | Awaitable[object]], timeout_s: float = WAIT_S, poll_s: float = POLL_S
) -> None:
    """Wait on the loop until the condition, plain or awaitable, is true; AssertionError after ``timeout_s``."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + timeout_s
    while not await _evaluated(condition):
        assert loop.time() < deadline, f"still false after {timeout_s:g} s: {_source(condition)}"
        tick = asyncio.Event()
        loop.call_later(poll_s, tick.set)
        await tick.wait()


def process_ended(pid: int) -> bool:
    """Whether a process is gone; one that nobody has reaped yet has ended too."""
    asked = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return asked.stdout.strip()[:1] in {"", "Z"}


def parent_of(pid: int) -> int:
    """Process id of the parent."""
    asked = subprocess.run(["ps", "-o", "ppid=", "-p", str(pid)], capture_output=True, text=True, check=True)
    return int(asked.stdout)


async def _evaluated(condition: Callable[[], object | Awaitable[object]]) -> object:
    value = condition()
    return await value if inspect.isawaitable(value) else value


def _source(condition: Callable[[], object]) -> str:
    try:
        return inspect.getsource(condition).strip()
    except (OSError, TypeError):
        return repr(condition)
