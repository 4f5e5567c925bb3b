"""A server that is given to the tests: refused unless its database is empty or holds only what tests left there.

The database is claimed with a mark of its own before the first test. At the end, or at the next start when a run was
killed, only keys that tests make are removed, and nothing is flushed.
"""

from typing import Any, Final

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from consumers.preflight import failed, judge_server
from streams.connection import SCHEMES, shown

MARK: Final = "fillonce-tests:session"
OURS: Final = ("fillonce:*", "fillonce-test*")
TIMEOUT_S: Final = 5.0
PAGE: Final = 1_000


class NotGiven(Exception):  # noqa: N818 - it is told to a person, not caught by name
    """The server cannot be used; one sentence that says what to do."""


def claim(url: str) -> None:
    """Make sure that nothing but tests is in the database, and mark it.

    Raises:
        NotGiven: it does not answer, is not fit, or holds keys of somebody else.
    """
    if url.partition("://")[0] not in SCHEMES:
        raise NotGiven(f"--redis-url {shown(url)} cannot be used: give unix://, redis:// or rediss://.")
    client = _client(url)
    try:
        info: dict[str, Any] = client.info()
        config: dict[Any, Any] = client.config_get("appendfsync")
        if unfit := failed(judge_server(info, config)):
            raise NotGiven(f"The server behind {shown(url)} is not fit for the tests: {unfit[0].sentence}")
        if client.exists(MARK):
            _clean(client)
        if count := client.dbsize():
            raise NotGiven(
                f"The database behind {shown(url)} holds {count} keys that are not of the tests; "
                "give one that is empty, for example another number at the end of the address."
            )
        client.set(MARK, "1")
    except redis.RedisError as error:
        raise NotGiven(f"The server behind {shown(url)} does not answer: {error}.") from None
    finally:
        client.close()


def release(url: str) -> None:
    """Remove what the tests made, and the mark; nothing when the database is not marked."""
    client = _client(url)
    try:
        if client.exists(MARK):
            _clean(client)
    except redis.RedisError:
        pass  # the next claim cleans up
    finally:
        client.close()


def _clean(client: "redis.Redis") -> None:
    for pattern in OURS:
        for key in client.scan_iter(match=pattern, count=PAGE):
            if key != MARK:
                client.unlink(key)
    client.delete(MARK)


def _client(url: str) -> "redis.Redis":
    retry: Retry = Retry(NoBackoff(), 0)
    return redis.Redis.from_url(
        url, socket_timeout=TIMEOUT_S, socket_connect_timeout=TIMEOUT_S, retry=retry, decode_responses=True
    )
