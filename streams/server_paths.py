"""Where the files of an embedded server stand, and who may read them."""

import os
import stat
import tempfile
from pathlib import Path
from typing import IO, Final, Self

import msgspec

from streams.errors import ServerError
from streams.server_config import short_directory_name, socket_path_fits

LOG_BYTES_MAX: Final = 16 * 1024 * 1024
"""A log larger than this is set aside at the next start; the one set aside before it goes."""

_SOCKET_NAME: Final = "valkey.sock"
_PRIVATE_MODE: Final = 0o700


class ServerPaths(msgspec.Struct, frozen=True):
    """Absolute paths of one server.

    Attributes:
        data_dir: append-only file, lock and everything below.
        socket: the unix socket, in a directory of its own that only the owner can enter.
        config: configuration written at every start.
        log: the server's log.
    """

    data_dir: Path
    socket: Path
    config: Path
    log: Path

    @classmethod
    def of(cls, data_dir: Path) -> Self:
        """Paths for a data directory; every spelling of the same directory gives the same paths.

        Raises:
            ServerError: even the temporary directory is too deep for a unix socket.
        """
        data_dir = data_dir.expanduser().resolve()
        return cls(data_dir, _socket_path(data_dir), data_dir / "valkey.conf", data_dir / "valkey.log")

    def make(self) -> None:
        """Make the data directory, owner-only; one that exists keeps its mode, since the files carry their own."""
        self.data_dir.mkdir(mode=_PRIVATE_MODE, parents=True, exist_ok=True)

    def make_socket_directory(self) -> None:
        """Make the socket's directory, or check that nobody else made it first.

        Raises:
            ServerError: it is a link, a file or somebody else's.
        """
        directory = self.socket.parent
        directory.mkdir(mode=_PRIVATE_MODE, exist_ok=True)
        found = directory.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
            raise ServerError(
                f"The socket directory {directory} is not ours; remove it or choose another data directory."
            )
        if stat.S_IMODE(found.st_mode) != _PRIVATE_MODE:
            directory.chmod(_PRIVATE_MODE)

    def remove_socket(self) -> None:
        """Remove the socket and its directory if they stand; only the holder of the directory lock may."""
        self.socket.unlink(missing_ok=True)
        if self.socket.parent.is_dir() and not any(self.socket.parent.iterdir()):
            self.socket.parent.rmdir()

    def write_config(self, text: str) -> None:
        """Replace the configuration file, readable by the owner only."""
        self.config.unlink(missing_ok=True)
        with _open_private(self.config, os.O_WRONLY | os.O_EXCL) as file:
            file.write(text.encode(errors="surrogateescape"))

    def open_log(self) -> IO[bytes]:
        """Open the log to append, readable by the owner only."""
        return _open_private(self.log, os.O_WRONLY | os.O_APPEND)

    def rotate_log(self) -> None:
        """Set a large log aside."""
        if self.log_size() > LOG_BYTES_MAX:
            self.log.replace(self.log.with_suffix(".log.1"))

    def log_size(self) -> int:
        """Bytes in the log, 0 when there is none."""
        try:
            return self.log.stat().st_size
        except FileNotFoundError:
            return 0

    def log_since(self, start: int, bytes_max: int) -> str:
        """What was logged after the first ``start`` bytes, its last ``bytes_max`` bytes."""
        with self.log.open("rb") as file:
            file.seek(max(start, self.log_size() - bytes_max))
            return file.read(bytes_max).decode(errors="replace")


def _open_private(path: Path, flags: int) -> IO[bytes]:
    return os.fdopen(os.open(path, flags | os.O_CREAT | os.O_CLOEXEC, 0o600), "wb")


def _socket_path(data_dir: Path) -> Path:
    inside = data_dir / "run" / _SOCKET_NAME
    if socket_path_fits(inside):
        return inside
    for base in (Path(tempfile.gettempdir()), Path("/tmp")):  # noqa: S108 - owner and mode of what is made there are checked
        outside = base.resolve() / short_directory_name(data_dir) / _SOCKET_NAME
        if socket_path_fits(outside):
            return outside
    raise ServerError(
        f"{data_dir} is too deep for a unix socket, and so is the temporary directory; set TMPDIR to a shorter path."
    )
