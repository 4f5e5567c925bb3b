"""Where the server's files stand, and who may reach them."""

import os
import socket
import stat
from pathlib import Path

import pytest
from redis.asyncio import Redis

from streams.errors import ServerError
from streams.server import EmbeddedServer

pytestmark = pytest.mark.slow


async def test_a_stale_socket_does_not_confuse(tmp_path: Path) -> None:
    """Whatever stands at the socket's path, dead or answering, the started server is the one that answers."""
    async with EmbeddedServer(tmp_path / "other") as other:
        server = EmbeddedServer(tmp_path / "data")
        server.socket_path.parent.mkdir(parents=True)
        server.socket_path.hardlink_to(other.socket_path)
        async with server, Redis.from_url(server.url) as redis:
            assert (await redis.info("server"))["process_id"] == server.pid != other.pid
        with socket.socket(socket.AF_UNIX) as dead:
            server.socket_path.parent.mkdir(exist_ok=True)
            dead.bind(str(server.socket_path))
        async with server, Redis.from_url(server.url) as redis:
            assert (await redis.info("server"))["process_id"] == server.pid
        assert other.alive()


@pytest.mark.parametrize("name", ["deep/" * 40, "spa ce/100%/what?#", 'quo"te\\n'])
async def test_any_data_directory_works(tmp_path: Path, name: str) -> None:
    """Long paths get a short socket of their own; odd characters survive the configuration and the address."""
    async with EmbeddedServer(tmp_path / name) as server, Redis.from_url(server.url) as redis:
        assert await redis.set("key", "value")
        assert len(os.fsencode(server.socket_path)) <= 103
        assert stat.S_IMODE(server.socket_path.parent.stat().st_mode) == 0o700
        assert (tmp_path / name / "appendonlydir").is_dir()
    assert not server.socket_path.parent.exists()


async def test_a_foreign_directory_at_the_place_of_the_socket_is_refused(tmp_path: Path) -> None:
    """A link prepared at the predictable place is not followed."""
    server = EmbeddedServer(tmp_path / ("deep/" * 40))
    (tmp_path / "trap").mkdir()
    (tmp_path / "trap" / "precious").touch()
    server.socket_path.parent.symlink_to(tmp_path / "trap")
    try:
        with pytest.raises(ServerError, match="is not ours"):
            await server.start()
        assert (tmp_path / "trap" / "precious").exists()
    finally:
        server.socket_path.parent.unlink()


async def test_a_data_directory_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    """A file in the way is named."""
    (tmp_path / "file").touch()
    with pytest.raises(ServerError, match=r"^The data directory .*file/data cannot be used \(Not a directory"):
        await EmbeddedServer(tmp_path / "file" / "data").start()


def test_a_large_log_is_set_aside(tmp_path: Path) -> None:
    """The log does not grow for ever: the next start begins a new one."""
    with (tmp_path / "valkey.log").open("wb") as log:
        log.truncate(17 * 1024 * 1024)
    with EmbeddedServer(tmp_path):
        assert (tmp_path / "valkey.log").stat().st_size < 100_000
        assert (tmp_path / "valkey.log.1").stat().st_size == 17 * 1024 * 1024
