"""One run of the server program, held through the process that ends it when the pipeline is gone."""

import asyncio
import contextlib
import logging
import os
import selectors
import subprocess
import sys
from pathlib import Path
from typing import Final

from streams import server_child
from streams.server_paths import ServerPaths

STOP_DEADLINE_S: Final = 10.0
"""How long the server may flush after SIGTERM before it is killed."""

CHILD_START_S: Final = 10.0
"""A child that has not said by then which server it started is not going to."""

CHILD_MARGIN_S: Final = 5.0
"""What the child may take beyond its server."""

_ENVIRONMENT: Final = ("PATH", "TZ", "TMPDIR", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "GLIBC_TUNABLES")

_ALLOCATOR: Final = (
    "glibc.malloc.mmap_threshold=33554432:glibc.malloc.trim_threshold=67108864:glibc.malloc.top_pad=4194304"
    ":glibc.malloc.tcache_count=2000"
)
"""A server built on the C library's allocator gives every batch's buffers back to the kernel and faults them in again
with the next one; these thresholds keep them. Other allocators and other C libraries do not look at it
(https://sourceware.org/glibc/manual/latest/html_node/Memory-Allocation-Tunables.html)."""

_log = logging.getLogger(__name__)


class ServerProcess:
    """The server and its parent, ``streams/server_child.py``, in a session of their own.

    Attributes:
        pid: process id of the server; 0 when it could not even be started.
    """

    def __init__(self, binary: Path, paths: ServerPaths, lock_fd: int) -> None:
        """Start the server with the written configuration; its output goes to the log."""
        with paths.open_log() as log:
            child = [sys.executable, "-I", "-S", server_child.__file__]  # no site packages: it starts at once
            self._child = subprocess.Popen(
                [*child, str(lock_fd), str(STOP_DEADLINE_S), binary, paths.config],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                pass_fds=(lock_fd,),
                start_new_session=True,
                umask=0o077,
                cwd="/",
                # Venue secrets in our environment are nothing the server needs.
                env={"LC_ALL": "C", "GLIBC_TUNABLES": _ALLOCATOR}
                | {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ},
                bufsize=0,
            )
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        self._life_line = self._child.stdin
        self._output = self._child.stdout
        self.pid = self._read_pid()

    def alive(self) -> bool:
        """Whether the server runs."""
        return self._child.poll() is None

    def kill(self) -> None:
        """Kill the server with SIGKILL; returns at once."""
        # Its parent does it, since only a parent can know that the process id is still the server's.
        with contextlib.suppress(BrokenPipeError):
            os.write(self._life_line.fileno(), server_child.KILL_COMMAND)

    def exit_code(self) -> int:
        """Exit code of a server that has ended; negative is the signal that ended it."""
        status = self._child.wait(CHILD_MARGIN_S)
        return status if status <= 128 else 128 - status

    async def wait(self) -> int:
        """Wait for the end without holding a thread; gives ``exit_code``."""
        loop = asyncio.get_running_loop()
        ended = asyncio.Event()
        end_of_output_fd = os.dup(self._output.fileno())  # one watch to a descriptor, so each waiter has its own
        loop.add_reader(end_of_output_fd, ended.set)
        try:
            await ended.wait()
        finally:
            loop.remove_reader(end_of_output_fd)
            os.close(end_of_output_fd)
        return self.exit_code()

    def end(self) -> None:
        """Stop the server with SIGTERM, after ``STOP_DEADLINE_S`` with SIGKILL, and reap."""
        self._life_line.close()
        try:
            self._child.wait(STOP_DEADLINE_S + CHILD_MARGIN_S)
        except subprocess.TimeoutExpired:
            _log.error("The parent of server %d hangs and was killed.", self.pid)
            self._child.kill()
            self._child.wait()
        self._output.close()

    def _read_pid(self) -> int:
        with selectors.DefaultSelector() as selector:
            selector.register(self._output, selectors.EVENT_READ)
            said = self._output.readline() if selector.select(CHILD_START_S) else b""
        if said.strip().isdigit():
            return int(said)
        self._child.kill()
        return 0
