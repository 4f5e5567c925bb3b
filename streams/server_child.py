"""The process between the pipeline and its embedded server: it ends the server when the pipeline is gone.

Run as a program of the standard library only: ``python -I -S server_child.py LOCK_FD STOP_S SERVER ARGUMENT…``.

Standard input is the life line: a pipe whose other end only the pipeline holds. The kernel closes it however the
pipeline dies, kill -9 included, on Linux and macOS alike, and the server is then asked to stop (SIGTERM, which flushes
the append-only file). One byte on it is a command: ``K`` kills the server. Standard output says one line, the server's
process id, and ends with this process. Standard error is the server's log.

Exit status: the server's own, or 128 plus the signal that ended it.
"""

import ctypes
import os
import select
import signal
import subprocess
import sys

KILL_COMMAND = b"K"
_PR_SET_PDEATHSIG = 1
_READ_BYTES = 64


def main(arguments: list[str]) -> int:
    """Run the server until it ends, the life line closes or SIGTERM arrives."""
    lock_fd, stop_s, command = int(arguments[0]), float(arguments[1]), arguments[2:]
    signals_fd = _signals_as_bytes()
    server = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=sys.stderr.fileno(),
        pass_fds=(lock_fd,),  # the server holds the directory lock too, for as long as it lives
        preexec_fn=_end_with_parent,  # noqa: PLW1509 - this process has one thread, so no lock is held across the fork
    )
    os.write(sys.stdout.fileno(), b"%d\n" % server.pid)
    _until_told_to_stop(server, signals_fd)
    if server.poll() is None:
        server.terminate()
        try:
            server.wait(timeout=stop_s)
        except subprocess.TimeoutExpired:
            server.kill()
    code = server.wait()
    return code if code >= 0 else 128 - code


def _signals_as_bytes() -> int:
    read_fd, write_fd = os.pipe()
    os.set_blocking(write_fd, False)
    signal.set_wakeup_fd(write_fd, warn_on_full_buffer=False)
    # A handler of Python's is reset to the default by exec, an ignored signal would stay ignored in the server.
    for number in (signal.SIGCHLD, signal.SIGTERM):
        signal.signal(number, lambda _number, _frame: None)
    return read_fd


def _until_told_to_stop(server: subprocess.Popen[bytes], signals_fd: int) -> None:
    life_line = sys.stdin.fileno()
    while server.poll() is None:
        ready, _, _ = select.select([life_line, signals_fd], [], [])
        if signals_fd in ready and signal.SIGTERM in os.read(signals_fd, _READ_BYTES):
            return
        if life_line in ready:
            said = os.read(life_line, _READ_BYTES)
            if not said:
                return
            if KILL_COMMAND in said:
                server.kill()
                server.wait()


def _end_with_parent() -> None:
    """Have Linux stop the server even when this process itself is killed; elsewhere the life line alone must do."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
