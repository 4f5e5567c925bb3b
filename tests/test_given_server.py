"""`--redis-url`: a server of somebody else is used only where nothing can be lost by it, and is left as it was."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from redis.asyncio import Redis

from streams.server import EmbeddedServer
from tests.given_server import MARK, NotGiven, claim, release
from tests.sessions import pytest_on

pytestmark = pytest.mark.slow
RUN_S = 50
ONE_TEST = "tests/streams/test_scripts.py::test_publishing_the_same_intent_again_answers_with_the_order_as_it_stands"
USAGE = 4  # pytest's own exit code


@pytest.fixture
async def given(tmp_path: Path) -> AsyncIterator[str]:
    """A server with keys of somebody else in its database 0, and nothing in 3."""
    async with EmbeddedServer(tmp_path) as server, Redis.from_url(server.url) as redis:
        await redis.set("somebody:else", "kept")
        yield server.url.replace("db=0", "db=3")


async def test_a_session_leaves_a_given_server_as_it_was(given: str) -> None:
    """The tests pass there, in a database of their own; afterwards that is empty and the others are untouched."""
    with pytest_on(given, ONE_TEST) as session:
        out, _ = await asyncio.to_thread(session.communicate, timeout=RUN_S)
    assert (session.returncode, " passed" in out) == (0, True), out
    async with Redis.from_url(given) as redis:
        assert await redis.dbsize() == 0
    async with Redis.from_url(given.replace("db=3", "db=0")) as redis:
        assert await redis.get("somebody:else") == b"kept"


async def test_a_database_with_keys_of_somebody_else_is_refused_in_one_sentence(given: str) -> None:
    """Before the first test, with what to give instead; nothing in it is touched."""
    with pytest_on(given.replace("db=3", "db=0"), ONE_TEST) as session:
        out, _ = await asyncio.to_thread(session.communicate, timeout=RUN_S)
    assert session.returncode == USAGE
    [said] = [line for line in out.splitlines() if line.strip()]
    assert "holds 1 keys that are not of the tests; give one that is empty" in said


async def test_what_a_killed_session_left_is_removed_by_the_next_one(given: str) -> None:
    """Its mark says whose the keys are."""
    async with Redis.from_url(given) as redis:
        await redis.mset({MARK: "1", "fillonce:{sim.t1}:order:fo-1": "left", "fillonce-test:last": "left"})
        await asyncio.to_thread(claim, given)
        assert await redis.keys() == [MARK.encode()]
        await asyncio.to_thread(release, given)
        assert await redis.keys() == []


async def test_keys_of_the_product_without_the_mark_are_somebody_elses(given: str) -> None:
    """They may be orders: an account that trades there is not removed, and not tested on."""
    async with Redis.from_url(given) as redis:
        await redis.set("fillonce:{binance.main}:order:fo-1", "real")
        with pytest.raises(NotGiven, match="not of the tests"):
            await asyncio.to_thread(claim, given)
        await asyncio.to_thread(release, given)
        assert await redis.dbsize() == 1


async def test_a_server_that_loses_orders_is_refused_with_what_to_set(tmp_path: Path) -> None:
    """The same sentence as at a start of the product."""
    async with EmbeddedServer(tmp_path, extra={"appendonly": "no"}) as server:
        with pytest.raises(NotGiven, match="appendonly is off"):
            await asyncio.to_thread(claim, server.url)


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "redis://user:secret@127.0.0.1:1/0"])
def test_an_address_where_nothing_can_be_asked_is_refused_without_its_secret(url: str) -> None:
    """One sentence, no traceback."""
    with pytest.raises(NotGiven) as refusal:
        claim(url)
    assert "127.0.0.1" in str(refusal.value)
    assert "secret" not in str(refusal.value)
