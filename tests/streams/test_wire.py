"""Specification of streams/wire.py: one command, its reply as it came; what could still come closes the connection."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvloop
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from streams.connection import connect
from streams.wire import AHEAD, Wire, answers_within, command, commands
from tests.support import wait_until_async

Runner = Callable[[Coroutine[Any, Any, None]], None]
LOOPS = pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
LOOKS = pytest.mark.parametrize("spin_ns", [0, 20_000_000], ids=["sleeps", "looks"])


@asynccontextmanager
async def client(url: str, timeout_ms: int = 30_000) -> AsyncIterator[Redis]:
    """One connection, which a first command opened."""
    redis = connect(url, name="wire", timeout_ms=timeout_ms)
    try:
        await redis.ping()
        yield redis
    finally:
        await redis.aclose()


def connection(redis: Redis) -> Any:
    """The one connection of a client."""
    found: Any = redis.connection
    assert isinstance(found, Wire)
    return found


@LOOKS
@LOOPS
def test_a_reply_comes_as_the_server_wrote_it(redis_url: str, run: Runner, spin_ns: int) -> None:
    """No type of redis-py is made of it, whatever its size."""

    async def ask() -> None:
        async with client(redis_url) as redis:
            key, large = "wire:{reply}", "x" * 1_000_000
            assert await command(redis, "SET", key, large, spin_ns=spin_ns) == b"OK"
            assert await command(redis, "GET", key, spin_ns=spin_ns) == large.encode()
            assert await command(redis, "EVAL", "return {1, 'two', {ARGV[1]}, false}", 0, b"\xff", spin_ns=spin_ns) == [
                1, b"two", [b"\xff"], None,
            ]  # fmt: skip
            assert await command(redis, "DEL", key, spin_ns=spin_ns) == 1

    run(ask())


@LOOKS
@LOOPS
def test_a_refusal_is_raised_and_the_connection_goes_on(redis_url: str, run: Runner, spin_ns: int) -> None:
    """The reply of the refused command was read, so the next reply is the next command's."""

    async def ask() -> None:
        async with client(redis_url) as redis:
            ours = connection(redis)._writer
            with pytest.raises(ResponseError, match="mine"):
                await command(redis, "EVAL", "return redis.error_reply('ERR mine')", 0, spin_ns=spin_ns)
            assert await command(redis, "ECHO", "next", spin_ns=spin_ns) == b"next"
            assert connection(redis)._writer is ours

    run(ask())


@LOOKS
@LOOPS
def test_an_answer_that_is_too_late_closes_the_connection(redis_url: str, run: Runner, spin_ns: int) -> None:
    """Else it would be taken for the answer of the next command."""

    async def ask() -> None:
        async with client(redis_url, timeout_ms=100) as redis:
            with pytest.raises(RedisTimeoutError):
                await command(redis, "BLPOP", "wire:{never}", 0, spin_ns=spin_ns)
            assert not connection(redis).is_connected
            assert await command(redis, "ECHO", "next", spin_ns=spin_ns) == b"next"

    run(ask())


@LOOPS
def test_a_command_behind_others_has_an_end_too(redis_url: str, run: Runner) -> None:
    """The timer of an earlier one does not leave it without an end."""

    async def ask() -> None:
        loop = asyncio.get_running_loop()
        async with client(redis_url, timeout_ms=500) as redis:
            began = loop.time()
            while loop.time() < began + 0.05:
                await command(redis, "ECHO", "in time")
            with pytest.raises(RedisTimeoutError):
                await command(redis, "BLPOP", "wire:{never}", 0)
            assert await command(redis, "ECHO", "next") == b"next"

    run(ask())


@LOOPS
def test_a_caller_that_looks_for_its_replies_leaves_other_tasks_their_turns(redis_url: str, run: Runner) -> None:
    """A reply that is there at once needs no turn of the loop, and many of them would hold it for ever."""

    async def ask() -> None:
        async with client(redis_url) as redis:
            turns = asyncio.create_task(_turns(100))
            while not turns.done():
                assert await command(redis, "ECHO", "mine", spin_ns=20_000_000) == b"mine"

    run(ask())


@LOOPS
def test_a_reply_that_took_longer_than_it_was_looked_for_is_read_all_the_same(redis_url: str, run: Runner) -> None:
    """So is each of those after it, which are looked for less often."""

    async def ask() -> None:
        async with client(redis_url) as redis:
            for number in range(200):
                assert await command(redis, "ECHO", str(number), spin_ns=1) == str(number).encode()

    run(ask())


@LOOPS
def test_a_server_that_closes_while_its_reply_is_looked_for_is_an_error_of_redis(redis_url: str, run: Runner) -> None:
    """The command after it opens another connection."""

    async def ask() -> None:
        async with client(redis_url) as redis:
            await command(redis, "CLIENT", "KILL", "SKIPME", "no", "ID", await redis.client_id(), spin_ns=10**9)
            with pytest.raises(RedisConnectionError, match="closed"):
                await command(redis, "ECHO", "lost", spin_ns=10**9)
            assert await command(redis, "ECHO", "next", spin_ns=10**9) == b"next"

    run(ask())


async def _turns(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


@LOOPS
def test_a_caller_that_is_cancelled_closes_the_connection(redis_url: str, run: Runner) -> None:
    """The reply that nobody reads any more could be taken for another one's."""

    async def ask() -> None:
        async with client(redis_url) as redis:
            waiting = asyncio.create_task(command(redis, "BLPOP", "wire:{never}", 0))
            await asyncio.sleep(0)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            assert not connection(redis).is_connected
            assert await command(redis, "ECHO", "next") == b"next"

    run(ask())


@LOOKS
@LOOPS
def test_a_connection_that_is_gone_is_an_error_of_redis(redis_url: str, run: Runner, spin_ns: int) -> None:
    """Also where the loop itself raises something else; the command after it opens another one."""

    async def ask() -> None:
        async with client(redis_url) as redis:
            connection(redis)._writer.transport.abort()
            await wait_until_async(connection(redis)._reader.at_eof)
            with pytest.raises(RedisConnectionError, match="closed"):
                await command(redis, "ECHO", "lost", spin_ns=spin_ns)
            assert await command(redis, "ECHO", "next", spin_ns=spin_ns) == b"next"

    run(ask())


@LOOPS
def test_commands_that_are_sent_ahead_are_told_in_their_turn(redis_url: str, run: Runner) -> None:
    """A refusal among them is told as one, those behind it are answered, and the connection goes on."""

    async def ask() -> None:
        async with client(redis_url) as redis:
            told: list[Any] = []
            rows = [("ECHO", "a"), ("EVAL", "return redis.error_reply('NO way')", 0), ("ECHO", "b"), ("ECHO", "c")]
            await commands(redis, rows, told.append)
            assert [one if isinstance(one, bytes) else type(one) for one in told] == [b"a", ResponseError, b"b", b"c"]
            assert await command(redis, "ECHO", "next") == b"next"

    run(ask())


async def test_a_command_is_made_when_it_is_due(redis_url: str) -> None:
    """No more than `AHEAD` are made before the first is answered, and none after it is said to be the last."""
    async with client(redis_url) as redis:
        made: list[int] = []
        at: list[int] = []

        def due() -> Iterator[tuple[str, str]]:
            for number in range(20):
                made.append(number)
                yield "ECHO", str(number)

        await commands(redis, due(), lambda _: at.append(len(made)))
        assert at == [*range(AHEAD + 1, 20), *[20] * (AHEAD + 1)]


@LOOPS
def test_what_was_sent_ahead_of_a_lost_connection_is_an_error_of_redis(redis_url: str, run: Runner) -> None:
    """Nobody is told a reply that did not come, and the next command opens another connection."""

    async def ask() -> None:
        async with client(redis_url) as redis:
            told: list[Any] = []
            rows = [("ECHO", "a"), ("QUIT",), ("ECHO", "lost")]
            with pytest.raises(RedisConnectionError, match="closed"):
                await commands(redis, rows, told.append)
            assert told == [b"a", b"OK"][: len(told)]
            assert await command(redis, "ECHO", "next") == b"next"

    run(ask())


def _fail(_: object) -> None:
    raise ZeroDivisionError


async def test_a_caller_that_fails_leaves_no_reply_for_the_next_command(redis_url: str) -> None:
    """The connection is closed, because replies are still to come."""
    async with client(redis_url) as redis:
        with pytest.raises(ZeroDivisionError):
            await commands(redis, [("ECHO", "a"), ("ECHO", "b"), ("ECHO", "c")], _fail)
        assert await command(redis, "ECHO", "next") == b"next"


async def test_a_client_without_a_connection_of_its_own_sends_nothing_ahead(redis_url: str) -> None:
    """Its rows are left for whoever sends them one by one."""
    for single in (True, False):  # not connected yet, or with a pool
        redis, rows = connect(redis_url, name="wire", single=single), iter([("ECHO", "a")])
        await commands(redis, rows, pytest.fail)
        assert next(rows) == ("ECHO", "a")
        await redis.aclose()


async def test_what_the_server_tells_unasked_is_not_taken_for_a_reply(redis_url: str) -> None:
    """A client that follows keys is told of their changes between two replies."""
    async with client(redis_url) as redis, client(redis_url) as other:
        await redis.client_tracking_on(bcast=True, prefix=["wire:{told}"])
        await other.set("wire:{told}", 1)
        assert await command(redis, "ECHO", "mine") == b"mine"
        await other.delete("wire:{told}")


async def test_many_callers_of_one_connection_each_get_their_own_reply(redis_url: str) -> None:
    """One command at a time, in the order they came."""
    async with client(redis_url) as redis:
        replies = await asyncio.gather(*(command(redis, "ECHO", str(number)) for number in range(200)))
        assert replies == [str(number).encode() for number in range(200)]


async def test_a_pool_answers_the_same(redis_url: str) -> None:
    """It goes redis-py's way."""
    redis = connect(redis_url, name="wire", single=False)
    assert await command(redis, "EVAL", "return {1, 'two'}", 0) == [1, b"two"]
    await redis.aclose()


def test_a_client_that_waits_longer_than_its_user_needs_a_time_limit_beside_its_own(redis_url: str) -> None:
    """So does a pool, whose callers wait for a connection first."""
    assert answers_within(connect(redis_url, name="wire", timeout_ms=500), 500)
    assert not answers_within(connect(redis_url, name="wire", timeout_ms=501), 500)
    assert not answers_within(connect(redis_url, name="wire", timeout_ms=500, single=False), 500)
