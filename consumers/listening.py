"""Sockets that HTTP is served on, bound before anybody serves: what is wrong with an address is known at once."""

import socket
from pathlib import Path

from streams.server_config import socket_path_fits

UNIX = "unix"


def listen(address: str) -> socket.socket:
    """Listen on `HOST:PORT`, `[::1]:PORT` for IPv6; port 0 is any free one.

    Raises:
        OSError: it is taken, or no address of this machine.
    """
    host, _, port = address.rpartition(":")
    made = socket.socket(socket.AF_INET6 if host.startswith("[") else socket.AF_INET)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((host.strip("[]"), int(port)))
        made.listen()
    except OSError:
        made.close()
        raise
    return made


def listen_unix(folder: Path, name: str) -> socket.socket:
    """Listen on a unix socket that only its owner reaches; one that a killed process left is replaced.

    Raises:
        OSError, ValueError: it cannot be made there.
    """
    path = folder / f"{name.replace('/', '_')}.http"
    if not socket_path_fits(path):
        raise ValueError(f"{path} is too long for a unix socket")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    made = socket.socket(socket.AF_UNIX)
    try:
        made.bind(str(path))
        path.chmod(0o600)
        made.listen()
    except OSError:
        made.close()
        raise
    return made


def shown(listening: socket.socket) -> str:
    """Write where it listens as a client would."""
    name = listening.getsockname()
    if isinstance(name, str):
        return f"{UNIX}:{name}"
    host = f"[{name[0]}]" if ":" in name[0] else name[0]
    return f"http://{host}:{name[1]}"
