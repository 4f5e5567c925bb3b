"""Fixtures for every test: one real server for the session, an account of its own for each test."""

import signal
from collections.abc import AsyncIterator, Iterator
from uuid import uuid4

import pytest
from hypothesis import settings
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from streams.server import EmbeddedServer
from tests.given_server import NotGiven, claim, release

# Servers and two busy cores make single examples slow at random: the time limit is that of the whole test. `make test`
# tries the same examples every time, so that it says the same of the same tree; `make long` looks for new ones.
settings.register_profile("fillonce", deadline=None, max_examples=100, derandomize=True, print_blob=True)
settings.register_profile("explore", deadline=None, max_examples=1_000, derandomize=False, print_blob=True)
settings.load_profile("fillonce")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let the suite run against a server that is already there."""
    parser.addoption(
        "--redis-url", default=None, metavar="URL",
        help="run tests/streams, tests/lua and tests/races against this Redis or Valkey instead of the embedded one; "
        "the database must be empty, and what the tests make there is removed at the end",
    )  # fmt: skip


def pytest_configure(config: pytest.Config) -> None:
    """Refuse a given server that holds anything else, before the first test; workers rely on who started them."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as a shell leaves it in the background; commands inherit it
        signal.signal(signal.SIGINT, signal.default_int_handler)
    given = config.getoption("--redis-url")
    if given is not None and not hasattr(config, "workerinput"):
        try:
            claim(given)
        except NotGiven as refusal:
            raise pytest.UsageError(str(refusal)) from None
        config.add_cleanup(lambda: release(given))


@pytest.fixture(scope="session")
def redis_url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a server that lives as long as the session; no event loop owns it, so each test may have its own."""
    if (given := request.config.getoption("--redis-url")) is not None:
        yield given
        return
    with EmbeddedServer(tmp_path_factory.mktemp("server")) as server:
        yield server.url


@pytest.fixture
def account() -> str:
    """Name of an account no other test has, so that nothing needs to be flushed."""
    return f"sim.t{uuid4().hex[:12]}"


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    """Client that answers in bytes and never sends a command twice."""
    client = Redis.from_url(
        redis_url, decode_responses=False, single_connection_client=False, retry=Retry(NoBackoff(), 0)
    )
    try:
        yield client
    finally:
        await client.aclose()
