"""The embedded server: starts, keeps data, refuses company, and never outlives its pipeline."""

import asyncio
import os
import signal
import stat
import subprocess
from pathlib import Path

import pytest
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError

from streams.errors import ServerError
from streams.server import EmbeddedServer, find_binary
from tests.support import parent_of, process_ended, wait_until_async

pytestmark = pytest.mark.slow


async def test_it_answers_on_a_socket_only_the_owner_can_open(tmp_path: Path) -> None:
    """Socket and directory are owner-only, and there is no TCP port."""
    async with EmbeddedServer(tmp_path / "data") as server, Redis.from_url(server.url) as redis:
        assert await redis.ping()
        assert stat.S_IMODE(server.socket_path.stat().st_mode) == 0o700
        assert stat.S_IMODE(server.socket_path.parent.stat().st_mode) == 0o700
        assert (await redis.config_get("port"))["port"] == "0"
        for path in server.data_dir.rglob("*"):
            assert not stat.S_IMODE(path.stat().st_mode) & 0o077, path


async def test_it_runs_with_the_configuration_that_keeps_money_safe(tmp_path: Path) -> None:
    """The running server, asked itself, flushes every write, evicts nothing and keeps order records compact."""
    async with EmbeddedServer(tmp_path) as server, Redis.from_url(server.url) as redis:
        running = await redis.config_get("*")
    expected = {
        "appendonly": "yes",
        "appendfsync": "always",
        "aof-load-truncated": "yes",
        "no-appendfsync-on-rewrite": "no",
        "save": "",
        "maxmemory-policy": "noeviction",
        "hash-max-listpack-value": "1024",
        "hash-max-listpack-entries": "128",
        "enable-debug-command": "no",
        "protected-mode": "yes",
        "dir": str(server.data_dir),
    }
    assert {name: running[name] for name in expected} == expected


async def test_everysec_and_extra_directives_reach_the_server(tmp_path: Path) -> None:
    """What the caller chooses is what runs, words and all."""
    extra = {"client-output-buffer-limit": "normal 0 0 0", "busy-reply-threshold": "1234"}
    async with EmbeddedServer(tmp_path, fsync="everysec", extra=extra) as server, Redis.from_url(server.url) as redis:
        assert (await redis.config_get("appendfsync"))["appendfsync"] == "everysec"
        assert (await redis.config_get("busy-reply-threshold"))["busy-reply-threshold"] == "1234"


@pytest.mark.parametrize("chosen", ["", "glibc.malloc.tcache_count=3"])
async def test_its_allocator_keeps_what_was_freed_unless_the_operator_says_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chosen: str
) -> None:
    """The C library is told at the start; nothing else of our environment is there but what the server needs."""
    monkeypatch.setenv("SECRET_OF_A_VENUE", "x")
    monkeypatch.delenv("GLIBC_TUNABLES", raising=False)
    if chosen:
        monkeypatch.setenv("GLIBC_TUNABLES", chosen)
    program = tmp_path / "server"
    program.write_text(f'#!/bin/sh\nenv > {tmp_path}/environment\nexec {find_binary(None)} "$@"\n')
    program.chmod(0o700)
    async with EmbeddedServer(tmp_path / "data", binary=program):
        told = dict(row.split("=", 1) for row in (tmp_path / "environment").read_text().splitlines())
    assert told["GLIBC_TUNABLES"] == chosen or (not chosen and "trim_threshold" in told["GLIBC_TUNABLES"])
    assert "SECRET_OF_A_VENUE" not in told


async def test_data_survives_stop_and_start(tmp_path: Path) -> None:
    """A new server on the same directory has what the last one was told, under another run id."""
    server = EmbeddedServer(tmp_path)
    await server.start()
    first_run = server.run_id
    async with Redis.from_url(server.url) as redis:
        await redis.set("key", "value")
    await server.stop()
    async with EmbeddedServer(tmp_path) as again, Redis.from_url(again.url) as redis:
        assert await redis.get("key") == b"value"
        assert again.run_id != first_run
        assert again.run_id == (await redis.info("server"))["run_id"]


async def test_every_acknowledged_write_is_there_after_kill_9_of_the_server(tmp_path: Path) -> None:
    """Killed in the middle of a load, the server comes back with all it had answered."""
    async with EmbeddedServer(tmp_path) as server:
        answered = 0

        async def write_until_it_dies() -> None:
            nonlocal answered
            async with Redis.from_url(server.url, retry=None) as redis:
                while True:
                    answered = await redis.incr("count")

        writing = asyncio.create_task(write_until_it_dies())
        await wait_until_async(lambda: answered >= 100)
        server.kill()
        assert await server.wait() == -signal.SIGKILL
        with pytest.raises((RedisConnectionError, OSError)):
            await writing
        assert not server.alive()
        await server.start()
        async with Redis.from_url(server.url) as redis:
            # One more may have been written whose answer was lost.
            assert int(await redis.get("count") or 0) - answered in {0, 1}


async def test_a_death_is_seen_by_every_waiter(tmp_path: Path) -> None:
    """``wait`` ends for all who wait, with the signal, also when somebody else killed the server."""
    async with EmbeddedServer(tmp_path) as server:
        waiting = [asyncio.create_task(server.wait()) for _ in range(3)]
        os.kill(server.pid, signal.SIGKILL)
        assert await asyncio.gather(*waiting) == [-signal.SIGKILL] * 3
        assert await server.wait() == -signal.SIGKILL


async def test_a_cancelled_wait_leaves_the_server_alone(tmp_path: Path) -> None:
    """Whoever stops watching does not stop what is watched, nor hold a thread."""
    async with EmbeddedServer(tmp_path) as server, Redis.from_url(server.url) as redis:
        waiting = asyncio.create_task(server.wait())
        await redis.ping()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert server.alive()
        assert await redis.ping()


async def test_stop_may_be_repeated(tmp_path: Path) -> None:
    """Stopping what never started, is stopped, died or is being stopped changes nothing more."""
    server = EmbeddedServer(tmp_path)
    await server.stop()
    await server.start()
    pid = server.pid
    await asyncio.gather(server.stop(), server.stop())
    await server.stop()
    assert process_ended(pid)
    assert not server.socket_path.exists()
    await server.start()
    server.kill()
    await server.wait()
    await server.stop()
    assert not server.alive()


async def test_a_server_that_is_not_started_says_so(tmp_path: Path) -> None:
    """Asking for a process that is not there, or starting twice, is an error in one sentence."""
    server = EmbeddedServer(tmp_path)
    with pytest.raises(ServerError, match="is not started; start it first"):
        _ = server.pid
    with pytest.raises(ServerError, match="is not started; start it first"):
        await server.wait()
    async with server:
        with pytest.raises(ServerError, match="already started"):
            await server.start()
        assert server.alive()


def test_the_server_sees_no_secret_of_the_pipeline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys in the pipeline's environment are not handed on, and arguments name only files."""
    monkeypatch.setenv("BINANCE_SECRET", "do-not-tell")
    with EmbeddedServer(tmp_path) as server:
        # The server hides its environment behind its title, the process before it shows what both were given.
        asked = subprocess.run(
            ["ps", "eww", "-p", f"{server.pid},{parent_of(server.pid)}"], capture_output=True, text=True, check=True
        )
        assert "LC_ALL=C" in asked.stdout
        assert "do-not-tell" not in asked.stdout
