"""A start ends with a server that has all its data, or with the reason."""

import asyncio
import threading
from pathlib import Path

import pytest
from redis.asyncio import Redis

from streams.errors import ServerError
from streams.server import EmbeddedServer
from streams.server_ready import await_ready
from tests.support import process_ended, wait_until_async

pytestmark = pytest.mark.slow


def test_the_server_of_another_process_is_not_mistaken_for_ours(tmp_path: Path) -> None:
    """A socket that answers proves nothing when its process is not the one that was started."""
    with EmbeddedServer(tmp_path) as server:

        def wait_for(pid: int) -> str | None:
            return await_ready(
                server.socket_path,
                pid,
                alive=lambda: True,
                cancelled=threading.Event(),
                deadline_s=0.1,
                on_loading=lambda _loaded: None,
            )

        assert wait_for(server.pid) == server.run_id
        with pytest.raises(ServerError, match=r"was not ready within 0\.1 s"):
            wait_for(server.pid + 1)


async def test_an_early_exit_says_why(tmp_path: Path) -> None:
    """The error is one line with the server's last words, and the directory is free again."""
    with pytest.raises(ServerError, match=r"ended while starting \(exit code 1\): .*maxmemory") as refused:
        await EmbeddedServer(tmp_path, extra={"maxmemory": "plenty"}).start()
    assert "\n" not in str(refused.value)
    async with EmbeddedServer(tmp_path) as server:
        assert server.alive()


async def test_an_early_exit_does_not_quote_an_earlier_run(tmp_path: Path) -> None:
    """The last words are those of this start, even when there are none."""
    (tmp_path / "valkey.log").write_text("reason of yesterday\n")
    mute = tmp_path / "mute"
    mute.write_text('#!/bin/sh\n[ "$1" = --version ] && echo "Valkey server v=9.1.2 sha=0" || exit 3\n')
    mute.chmod(0o700)
    with pytest.raises(ServerError, match=r"ended while starting \(exit code 3\): it said nothing"):
        await EmbeddedServer(tmp_path, binary=mute).start()


async def test_broken_data_is_reported_and_kept(tmp_path: Path) -> None:
    """Damage in the middle of the append-only file stops the start; nothing is cut away."""
    async with EmbeddedServer(tmp_path) as server, Redis.from_url(server.url) as redis:
        for number in range(10):
            await redis.set(f"key{number}", "value")
    (log,) = (tmp_path / "appendonlydir").glob("*.incr.aof")
    broken = log.read_bytes().replace(b"$4\r\nkey5", b"?4\r\nkey5")
    log.write_bytes(broken)
    with pytest.raises(ServerError, match="Bad file format"):
        await EmbeddedServer(tmp_path).start()
    assert log.read_bytes() == broken


async def test_a_torn_tail_is_cut_back_to_before_its_transaction(tmp_path: Path) -> None:
    """After a power loss the server loads an earlier consistent state: never a half-applied transaction."""
    async with EmbeddedServer(tmp_path) as server, Redis.from_url(server.url) as redis:
        await redis.set("before", "1")
        async with redis.pipeline(transaction=True) as transaction:
            transaction.set("position", "1")
            transaction.set("order", "1")
            await transaction.execute()
    (log,) = (tmp_path / "appendonlydir").glob("*.incr.aof")
    whole = log.read_bytes()
    log.write_bytes(whole[: whole.index(b"order") + 2])
    async with EmbeddedServer(tmp_path) as server, Redis.from_url(server.url) as redis:
        assert await redis.mget("before", "position", "order") == [b"1", None, None]


async def test_a_long_load_is_waited_for_and_reported(tmp_path: Path) -> None:
    """The start returns only with all data, and says on the way how far it is."""
    async with EmbeddedServer(tmp_path) as server, Redis.from_url(server.url) as redis:
        await redis.mset({f"key{number}": "value" * 100 for number in range(3000)})
        await redis.bgrewriteaof()
        await wait_until_async(lambda: _rewritten(redis))
    loaded: list[float] = []
    slow = {"key-load-delay": "500", "loading-process-events-interval-bytes": "1024"}
    async with (
        EmbeddedServer(tmp_path, extra=slow, on_loading=loaded.append) as server,
        Redis.from_url(server.url) as redis,
    ):
        assert await redis.dbsize() == 3000
    assert loaded
    assert 0 < loaded[-1] <= 1


async def test_a_start_past_its_deadline_or_cancelled_leaves_nothing_behind(tmp_path: Path) -> None:
    """A start that gives up stops its server and frees the directory."""
    async with EmbeddedServer(tmp_path) as server, Redis.from_url(server.url) as redis:
        await redis.mset({f"key{number}": "value" * 100 for number in range(1000)})
        await redis.bgrewriteaof()
        await wait_until_async(lambda: _rewritten(redis))
    slow = {"key-load-delay": "20000", "loading-process-events-interval-bytes": "1024"}
    with pytest.raises(ServerError, match=r"was not ready within 0\.2 s"):
        await EmbeddedServer(tmp_path, extra=slow, start_deadline_s=0.2).start()
    server = EmbeddedServer(tmp_path, extra=slow)
    starting = asyncio.create_task(server.start())
    await wait_until_async(server.alive)
    pid = server.pid
    starting.cancel()
    async with asyncio.timeout(10):  # the load itself would take 20 s
        with pytest.raises(asyncio.CancelledError):
            await starting
    assert process_ended(pid)
    async with EmbeddedServer(tmp_path) as again, Redis.from_url(again.url) as redis:
        assert await redis.dbsize() == 1000


async def _rewritten(redis: Redis) -> bool:
    info = await redis.info("persistence")
    return not info["aof_rewrite_in_progress"] and not info["aof_rewrite_scheduled"]
