"""Specification of streams/connection.py: a command is sent once, its answer has a deadline, no secret is shown."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvloop
from hypothesis import given
from hypothesis import strategies as st
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError

from streams.connection import connect, shown
from streams.errors import UsageError
from tests.support import wait_until_async


class Deaf:
    """A server that reads and answers nothing but the greeting; `hangs_up` closes at the first real command."""

    def __init__(self, *, hangs_up: bool) -> None:
        self.heard = b""
        self.connections = 0
        self._hangs_up = hangs_up

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer OK to what sets a connection up, so that only the command itself is left without an answer."""
        self.connections += 1
        try:
            while data := await reader.read(65_536):
                self.heard += data
                if b"XADD" in data:
                    if self._hangs_up:
                        break
                    continue
                writer.write(_greeting(data))
                await writer.drain()
        finally:
            writer.close()


def _greeting(data: bytes) -> bytes:
    """One error per command: HELLO and CLIENT are not known here, which redis-py takes as an old server."""
    return b"".join(
        b"+OK\r\n" if not part.startswith(b"HELLO") else b"%1\r\n+proto\r\n:3\r\n"
        for part in (one.split(b"\r\n")[2] for one in data.split(b"*")[1:])
    )


@asynccontextmanager
async def deaf(*, hangs_up: bool) -> AsyncIterator[tuple[Deaf, str]]:
    """Run it on a free port."""
    ours = Deaf(hangs_up=hangs_up)
    server = await asyncio.start_server(ours.serve, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        yield ours, f"redis://127.0.0.1:{port}"


async def test_a_command_without_an_answer_is_not_sent_again() -> None:
    """The client gives up after its deadline; the server has heard one XADD."""
    async with deaf(hangs_up=False) as (server, url):
        client = connect(url, name="t", timeout_ms=200)
        begun = time.monotonic()
        with pytest.raises(RedisTimeoutError):
            await client.xadd("s", {"a": "1"})
        assert 0.15 < time.monotonic() - begun < 5
        await client.aclose()
        assert server.heard.count(b"XADD") == 1


async def test_a_command_whose_connection_broke_is_not_sent_again() -> None:
    """It may have run: only the caller knows whether it may be repeated."""
    async with deaf(hangs_up=True) as (server, url):
        client = connect(url, name="t", timeout_ms=2_000)
        with pytest.raises(RedisConnectionError):
            await client.xadd("s", {"a": "1"})
        await client.aclose()
        assert server.heard.count(b"XADD") == 1


async def test_a_server_that_is_not_there_is_told_at_once() -> None:
    """No retries, no waiting."""
    async with deaf(hangs_up=False) as (_, url):
        pass
    client = connect(url, name="t")
    with pytest.raises(RedisError):
        await client.ping()
    await client.aclose()


async def test_a_client_answers_in_bytes_under_its_name(redis_url: str) -> None:
    """Payloads are never decoded on the way; CLIENT LIST shows whose connection it is."""
    client = connect(redis_url, name="gateway.0-scripts")
    await client.set("fillonce-test:connection", b"\xff")
    assert await client.get("fillonce-test:connection") == b"\xff"
    assert await client.client_getname() in (b"gateway.0-scripts", "gateway.0-scripts")
    await client.aclose()


@pytest.mark.parametrize(("single", "most"), [(True, 1), (False, 3)])
async def test_a_single_client_has_one_connection_and_a_pool_has_several(
    redis_url: str, single: bool, most: int
) -> None:
    """WAIT counts the writes of one connection, so claims share theirs with it; concurrent callers do not."""
    client = connect(redis_url, name=f"count-{single}", single=single)
    ids = await asyncio.gather(*(client.client_id() for _ in range(3)))
    assert len(set(ids)) == most
    await client.aclose()


@pytest.mark.parametrize("url", ["http://:hunter2@h", "redis+sentinel://u:hunter2@h", "valkey://u:hunter2@h", ""])
def test_an_address_of_another_kind_is_refused_without_its_password(url: str) -> None:
    """The sentence says which kinds there are."""
    with pytest.raises(UsageError, match=r"use unix://, redis:// or rediss://\.$") as refused:
        connect(url, name="t")
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("redis://h:6379/0", "redis://h:6379/0"),
        ("redis://u:hunter2@h:6379/0", "redis://…@h:6379/0"),
        ("rediss://:hunter@2@h", "rediss://…@h"),
        ("unix://u:hunter2@/run/r.sock", "unix://…@/run/r.sock"),
    ],
)
def test_an_address_is_shown_without_user_and_password(url: str, text: str) -> None:
    """The rest is what a person needs to find the server."""
    assert shown(url) == text


def test_the_address_of_a_socket_is_shown_as_it_is() -> None:
    """So that it can be copied into the settings again."""
    assert shown("unix:///run/r.sock") == "unix:///run/r.sock"


SECRETS = st.from_regex(r"[A-Za-z0-9+:@!$]{8,20}", fullmatch=True)


@given(SECRETS, st.sampled_from(["redis", "rediss", "unix"]))
def test_no_password_of_the_usual_place_is_ever_shown(secret: str, scheme: str) -> None:
    """Whatever signs it has, at signs and colons too."""
    assert secret not in shown(f"{scheme}://user:{secret}@somewhere/0")


@pytest.mark.parametrize("url", ["redis://h/0?password=hunter2", "unix:///s?db=1&password=hunter2"])
def test_no_password_of_the_query_is_shown(url: str) -> None:
    """redis-py takes it from there, too."""
    assert "hunter2" not in shown(url)


@pytest.mark.parametrize("url", ["redis://u:a/hunter2@h:6379", "u:hunter2@h:6379"])
def test_no_password_of_an_unusual_place_is_shown(url: str) -> None:
    """Behind an unescaped slash, without a scheme."""
    assert "hunter2" not in shown(url)


def test_an_address_without_a_port_number_is_a_usage_error() -> None:
    """One sentence that shows the address."""
    with pytest.raises(UsageError, match=r"redis://h:port"):
        connect("redis://h:port", name="t")


@pytest.mark.parametrize("url", ["redis://u:hunter2/x@h:6379", "redis://[h"])
def test_an_address_that_cannot_be_read_is_a_usage_error(url: str) -> None:
    """One sentence, and nothing of the password."""
    with pytest.raises(UsageError) as refused:
        connect(url, name="t")
    assert "hunter2" not in str(refused.value)


async def test_nothing_is_sent_before_the_first_command() -> None:
    """Making a client opens no connection."""
    async with deaf(hangs_up=False) as (server, url):
        client = connect(url, name="t", timeout_ms=200)
        assert server.connections == 0
        with pytest.raises(RedisTimeoutError):
            await client.xadd("s", {"a": "1"})
        await wait_until_async(lambda: server.connections == 1)
        await client.aclose()


@pytest.mark.parametrize("single", [True, False])
def test_a_connection_that_was_closed_between_two_steps_is_an_error_of_redis_on_uvloop_too(
    redis_url: str, single: bool
) -> None:
    """The roles run on uvloop, which raises RuntimeError there: it would end whoever waits out a server's restart."""

    async def sent() -> None:
        client = connect(redis_url, name="closed", single=single)
        await client.ping()
        pool: Any = client.connection_pool
        connection: Any = client.connection or pool._available_connections[0]
        connection._writer.transport.abort()
        await wait_until_async(connection._reader.at_eof)
        with pytest.raises(RedisConnectionError, match="closed"):
            await connection.send_command("PING", check_health=False)
        assert await client.ping()
        await client.aclose()

    uvloop.run(sent())


async def test_a_name_that_no_client_may_have_is_told_without_its_blanks(redis_url: str) -> None:
    """CLIENT SETNAME would refuse it, and the refusal looks like a server that cannot be reached."""
    client = connect(redis_url, name="strategy.mean reversion ü")
    assert (await client.client_getname()) in {"strategy.mean-reversion--", b"strategy.mean-reversion--"}
    await client.aclose()
