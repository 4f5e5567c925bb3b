"""One pipeline per data directory: a lock that the pipeline, its server and the process between them hold together.

``flock`` belongs to the open file, which the children inherit, so the directory is free only when all of them are gone,
however they ended. The file's text, the process ids of the owner and of the server, only serves the refusal's sentence.
"""

import fcntl
import os
import threading
import time
from pathlib import Path
from typing import Final

from streams.errors import ServerError
from streams.parent import alive

HANDOVER_S: Final = 12.0
"""How long a start waits for the server of a pipeline that has ended; longer than that server may take to stop."""

LOCK_POLL_S: Final = 0.02

_TEXT_BYTES_MAX: Final = 64


class DirectoryLock:
    """Exclusive hold on a data directory.

    Attributes:
        fd: the open lock file, for the children to inherit.
    """

    def __init__(self, data_dir: Path, cancelled: threading.Event) -> None:
        """Take the lock.

        Raises:
            ServerError: a live pipeline holds it, or what a dead one left did not end within ``HANDOVER_S``.
        """
        self.fd = os.open(data_dir / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            self._take(data_dir, cancelled)
        except BaseException:
            os.close(self.fd)
            raise
        self.record(os.getpid(), 0)

    def record(self, owner_pid: int, server_pid: int) -> None:
        """Say who holds the directory; zero for nobody."""
        self._server_pid = server_pid
        os.ftruncate(self.fd, 0)
        os.pwrite(self.fd, b"%d\n%d\n" % (owner_pid, server_pid), 0)

    def release(self) -> None:
        """Let go; a server that is still stopping keeps its own hold, and the next start waits for it."""
        self.record(0, self._server_pid)
        os.close(self.fd)

    def _take(self, data_dir: Path, cancelled: threading.Event) -> None:
        deadline = time.monotonic() + HANDOVER_S
        while True:
            try:
                fcntl.flock(self.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                owner_pid, server_pid = self._holders()
                if alive(owner_pid) or time.monotonic() > deadline or cancelled.wait(LOCK_POLL_S):
                    pid = owner_pid if alive(owner_pid) else server_pid
                    raise ServerError(
                        f"Another pipeline (pid {pid or 'unknown'}) already runs on {data_dir}; "
                        "stop it or choose another data directory."
                    ) from None
            else:
                return

    def _holders(self) -> tuple[int, int]:
        words = os.pread(self.fd, _TEXT_BYTES_MAX, 0).split()
        numbers = [int(word) for word in words if word.isdigit()]
        return (numbers[0], numbers[1]) if len(numbers) == 2 else (0, 0)
