"""What the embedded server is told and what it says about itself. Pure: text in, text out.

``streams/server.py`` writes the configuration and starts the program, ``streams/server_binary.py`` finds it.
"""

import re
import shlex
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Final, Literal

import msgspec

from streams.errors import ServerError

Fsync = Literal["always", "everysec"]

VERSION_MIN: Final = (7, 0, 0)
"""Script flags, XAUTOCLAIM that drops deleted entries and XINFO lag exist from Redis 7.0."""

SOCKET_PATH_BYTES_MAX: Final = 103
"""``sun_path`` holds 104 bytes on macOS and 108 on Linux, the closing zero included."""

LOG_EXCERPT_LINES: Final = 3
LOG_EXCERPT_CHARS: Final = 400

_SUPERVISOR_OWNS: Final = frozenset(
    {
        "bind", "cluster-enabled", "daemonize", "dir", "include", "logfile", "masterauth", "pidfile", "port",
        "primaryauth", "rename-command", "requirepass", "supervised", "tls-port", "unixsocket", "unixsocketgroup",
        "unixsocketperm", "user",
    }
)  # fmt: skip
"""Directives that decide who reaches the server and where it lives; an owner-only socket needs no password."""

_DIRECTIVE: Final = re.compile(r"[a-z][a-z0-9-]*")
_VERSION: Final = re.compile(r"^(Redis|Valkey) server v=(\d+)\.(\d+)\.(\d+)", re.MULTILINE)
_LOG_PREFIX: Final = re.compile(r"^\d+:[A-Z] .*? [.\-*#] ")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")


class ServerVersion(msgspec.Struct, frozen=True):
    """Version of a server program.

    Attributes:
        product: ``Redis`` or ``Valkey``.
        number: major, minor, patch; Valkey 7.2 continues Redis 7.2, so both compare with ``VERSION_MIN``.
    """

    product: str
    number: tuple[int, int, int]

    def __str__(self) -> str:
        return f"{self.product} {'.'.join(map(str, self.number))}"


def parse_version(text: str) -> ServerVersion | None:
    """Version from the output of ``valkey-server --version``; None when the text is something else."""
    found = _VERSION.search(text)
    if found is None:
        return None
    product, major, minor, patch = found.groups()
    return ServerVersion(product, (int(major), int(minor), int(patch)))


def config_text(*, data_dir: Path, socket_path: Path, log_path: Path, fsync: Fsync, extra: Mapping[str, str]) -> str:
    """Configuration file of the embedded server; ``extra`` comes last and wins.

    Args:
        data_dir: absolute directory of the append-only file.
        socket_path: absolute path of the unix socket, the only way in.
        log_path: absolute path of the server's log.
        fsync: ``always`` answers a write after it is on disk; ``everysec`` may lose about two seconds on power loss.
        extra: directive to value, the value split like a shell's words; whoever overrides durability answers for it.

    Raises:
        ServerError: ``extra`` names no directive, one the supervisor owns, or a value with an open quote.
    """
    fixed: dict[str, tuple[str, ...]] = {
        "port": ("0",),
        "protected-mode": ("yes",),
        "unixsocket": (str(socket_path),),
        "unixsocketperm": ("700",),
        "daemonize": ("no",),
        "dir": (str(data_dir),),
        "logfile": (str(log_path),),
        "enable-debug-command": ("no",),
        # A torn tail is cut back to before the last open transaction: an earlier consistent prefix, never half a fill.
        "appendonly": ("yes",),
        "appendfsync": (fsync,),
        "aof-load-truncated": ("yes",),
        # With `yes` a rewrite would suspend fsync and could lose half a minute of acknowledged fills.
        "no-appendfsync-on-rewrite": ("no",),
        "save": ("",),
        # Eviction would delete idempotency records; a full server must refuse writes instead.
        "maxmemory-policy": ("noeviction",),
        # An order record holds its state as one JSON field of several hundred bytes: keep it in the compact encoding.
        "hash-max-listpack-entries": ("128",),
        "hash-max-listpack-value": ("1024",),
        # Raw venue payloads are about 1 kB: eight of them to a node instead of the default's four.
        "stream-node-max-bytes": ("8192",),
        "stream-node-max-entries": ("100",),
    }
    lines = [_line(name, values) for name, values in fixed.items()]
    lines += [_line(name, _extra_values(name, value)) for name, value in extra.items()]
    return "\n".join(lines) + "\n"


def short_directory_name(data_dir: Path) -> str:
    """Name of the directory that holds the socket of a data directory too deep for one; same directory, same name."""
    return f"fillonce-{sha256(str(data_dir).encode(errors='surrogateescape')).hexdigest()[:16]}"


def socket_path_fits(path: Path) -> bool:
    """Whether every supported system can bind a unix socket at this path."""
    return len(str(path).encode(errors="surrogateescape")) <= SOCKET_PATH_BYTES_MAX


def log_excerpt(log: str) -> str:
    """Last lines of a server log as one line for an error, without process ids, times and control characters."""
    lines = [_CONTROL.sub(" ", _LOG_PREFIX.sub("", line)).strip() for line in log.splitlines()]
    said = [line for line in lines if line.strip("*# ")]
    return "; ".join(said[-LOG_EXCERPT_LINES:])[-LOG_EXCERPT_CHARS:] or "it said nothing"


def _extra_values(name: str, value: str) -> tuple[str, ...]:
    if not _DIRECTIVE.fullmatch(name):
        raise ServerError(f"{name!r} is not a server directive; use lower-case names from valkey.conf.")
    if name in _SUPERVISOR_OWNS:
        raise ServerError(f"The directive {name} belongs to the supervisor; leave it out of the extra configuration.")
    try:
        return tuple(shlex.split(value)) or ("",)
    except ValueError:
        raise ServerError(f"The value of the directive {name} has an open quote; close it.") from None


def _line(name: str, values: tuple[str, ...]) -> str:
    return " ".join((name, *map(_quoted, values)))


def _quoted(value: str) -> str:
    # The server's parser knows \" \\ and \xHH inside double quotes; control characters must not end the line.
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + _CONTROL.sub(lambda found: f"\\x{ord(found.group()):02x}", escaped) + '"'
