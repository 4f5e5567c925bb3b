"""The embedded server: a real Valkey on a unix socket, started with the pipeline and never outliving it.

Who watches whom::

    pipeline ──life line (pipe)──▶ server_child ──SIGTERM──▶ valkey-server
        └──────────── all three hold the lock on the data directory ───────────┘

The pipeline may end in any way: the kernel closes the life line, ``streams/server_child.py`` stops the server, the
append-only file is flushed, the lock is free and the next start finds the data. The children live in a session of their
own, so Ctrl-C in a terminal reaches the pipeline alone and it can drain before it stops the server. A process forked
from the pipeline without exec keeps the life line open as well: the server then lives until that one ends too.
"""

import asyncio
import os
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Final, Self
from urllib.parse import quote

from streams.errors import ServerError
from streams.server_binary import find_binary, server_version
from streams.server_config import Fsync, config_text, log_excerpt
from streams.server_lock import DirectoryLock
from streams.server_paths import ServerPaths
from streams.server_process import ServerProcess
from streams.server_ready import await_ready, log_loading

__all__ = ["START_DEADLINE_S", "EmbeddedServer", "find_binary", "server_version"]

START_DEADLINE_S: Final = 300.0
"""Bound on a start, which reads the whole append-only file."""

_LOG_EXCERPT_BYTES: Final = 8192


class EmbeddedServer:
    """Supervisor of one server on one data directory; use it with ``with`` or ``async with``.

    Args:
        data_dir: where the append-only file, the log and the lock live; made, owner-only, when missing.
        fsync: ``always`` answers a write after it is on disk; ``everysec`` is faster, power loss may cost two seconds.
        binary: server program; None looks for one as ``find_binary`` says.
        extra: more server directives; they win over ours, except for those that decide who reaches the server.
        start_deadline_s: bound on one start, loading included.
        on_loading: called about once a second from the starting thread with the loaded part, 0 to 1; None logs it.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        fsync: Fsync = "always",
        binary: Path | None = None,
        extra: Mapping[str, str] | None = None,
        start_deadline_s: float = START_DEADLINE_S,
        on_loading: Callable[[float], None] = log_loading,
    ) -> None:
        self._paths = ServerPaths.of(data_dir)
        self._fsync: Fsync = fsync
        self._binary = binary
        self._extra = dict(extra or {})
        self._start_deadline_s = start_deadline_s
        self._on_loading = on_loading
        self._cancelled = threading.Event()
        self._changing = threading.RLock()  # a start and a stop from two threads happen one after the other
        self._lock: DirectoryLock | None = None
        self._process: ServerProcess | None = None
        self._run_id = ""

    def __repr__(self) -> str:
        return f"EmbeddedServer({str(self.data_dir)!r}, alive={self.alive()})"

    @property
    def data_dir(self) -> Path:
        """Absolute path of the data directory."""
        return self._paths.data_dir

    @property
    def socket_path(self) -> Path:
        """The unix socket, mode 0700 in a directory of mode 0700."""
        return self._paths.socket

    @property
    def url(self) -> str:
        """For ``redis.asyncio.from_url``; known before the start."""
        return f"unix://{quote(str(self.socket_path))}?db=0"

    @property
    def pid(self) -> int:
        """Process id of the server.

        Raises:
            ServerError: it is not started.
        """
        return self._started().pid

    @property
    def run_id(self) -> str:
        """The server's own name of its latest run; empty before the first start."""
        return self._run_id

    def alive(self) -> bool:
        """Whether the server process runs."""
        process = self._process
        return process is not None and process.alive()

    def kill(self) -> None:
        """Kill the server with SIGKILL, for crash tests; returns at once, ``wait`` sees the end.

        Raises:
            ServerError: it is not started.
        """
        self._started().kill()

    async def wait(self) -> int:
        """Wait until the server ends and give its exit code; negative is the signal that ended it.

        Raises:
            ServerError: it is not started.
        """
        return await self._started().wait()

    async def start(self) -> None:
        """Start and wait until the server answers with all its data; a cancelled start leaves nothing behind.

        Raises:
            ServerError: no program, the directory is in use, the server ended (with its last words) or took too long.
        """
        starting = asyncio.ensure_future(asyncio.to_thread(self.start_sync))
        try:
            await asyncio.shield(starting)
        except asyncio.CancelledError:
            await self.stop()
            await asyncio.wait([starting])
            starting.exception()  # taken, so that the loop does not report it as lost
            await self.stop()  # the start may have begun only after the first stop
            raise

    async def stop(self) -> None:
        """Flush and stop the server and free the directory; carried through once begun, and may be repeated."""
        await asyncio.shield(asyncio.to_thread(self.stop_sync))

    def start_sync(self) -> None:
        """Like ``start``, blocking the calling thread."""
        with self._changing:
            if self.alive():
                raise ServerError(f"The server on {self.data_dir} is already started; use it or stop it first.")
            self.stop_sync()
            self._cancelled.clear()
            try:
                self._start()
            except OSError as error:
                self.stop_sync()
                raise ServerError(
                    f"The data directory {self.data_dir} cannot be used ({error.strerror}: {error.filename}); "
                    "correct it or choose another."
                ) from error
            except BaseException:
                self.stop_sync()
                raise

    def stop_sync(self) -> None:
        """Like ``stop``, blocking the calling thread."""
        self._cancelled.set()  # a start that still waits gives up
        with self._changing:
            if self._process is not None:
                self._process.end()
                self._process = None
            if self._lock is not None:
                self._paths.remove_socket()
                self._lock.release()
                self._lock = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    def __enter__(self) -> Self:
        self.start_sync()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop_sync()

    def _start(self) -> None:
        binary = find_binary(self._binary)
        config = config_text(
            data_dir=self.data_dir,
            socket_path=self.socket_path,
            log_path=self._paths.log,
            fsync=self._fsync,
            extra=self._extra,
        )
        self._paths.make()
        self._lock = DirectoryLock(self.data_dir, self._cancelled)
        # Under the lock no server of ours can be behind a socket file that still stands there.
        self._paths.remove_socket()
        self._paths.make_socket_directory()
        self._paths.rotate_log()
        self._paths.write_config(config)
        log_start = self._paths.log_size()
        self._process = ServerProcess(binary, self._paths, self._lock.fd)
        self._lock.record(os.getpid(), self._process.pid)
        run_id = await_ready(
            self.socket_path,
            self._process.pid,
            alive=self.alive,
            cancelled=self._cancelled,
            deadline_s=self._start_deadline_s,
            on_loading=self._on_loading,
        )
        if run_id is None:
            raise self._ended_early(self._process, log_start)
        self._run_id = run_id

    def _ended_early(self, process: ServerProcess, log_start: int) -> ServerError:
        code = process.exit_code()
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        last_words = log_excerpt(self._paths.log_since(log_start, _LOG_EXCERPT_BYTES))
        return ServerError(
            f"The server on {self.data_dir} ended while starting ({how}): {last_words} (see {self._paths.log})."
        )

    def _started(self) -> ServerProcess:
        if self._process is None:
            raise ServerError(f"The server on {self.data_dir} is not started; start it first.")
        return self._process
