"""Connections to Redis: no blind re-sends, own deadlines, and addresses that carry no secret when shown."""

import re

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from streams.errors import UsageError
from streams.wire import quicken

COMMAND_TIMEOUT_MS = 2_000
SCHEMES = ("unix", "redis", "rediss")
# CLIENT SETNAME refuses them: https://valkey.io/commands/client-setname/ (and the source: from `!` to `~` is allowed).
_NOT_OF_A_NAME = re.compile(r"[^!-~]")


def connect(url: str, *, name: str, timeout_ms: int = COMMAND_TIMEOUT_MS, single: bool = True) -> Redis:
    """Make a client. Nothing is sent before its first command.

    redis-py repeats a command that timed out up to ten times by default, XADD included; here it never does.

    Args:
        url: `unix://`, `redis://` or `rediss://`.
        name: shown by CLIENT LIST, with `-` for each sign that no client's name may have.
        timeout_ms: longest wait for one answer.
        single: one connection, one command at a time; False gives a pool for concurrent callers.

    Raises:
        UsageError: the address is of a kind this version does not speak.
    """
    if url.partition("://")[0] not in SCHEMES:
        raise UsageError(f"Cannot connect to {shown(url)}: use unix://, redis:// or rediss://.")
    try:
        client: Redis = Redis.from_url(
            url,
            single_connection_client=single,
            retry=Retry(NoBackoff(), 0),
            socket_timeout=timeout_ms / 1000,
            socket_connect_timeout=timeout_ms / 1000,
            client_name=_NOT_OF_A_NAME.sub("-", name),
            decode_responses=False,
        )
    except ValueError:  # its text may hold a part of the password
        raise UsageError(f"Cannot connect to {shown(url)}: a part of the address is not what it should be.") from None
    quicken(client)
    return client


def shown(url: str) -> str:
    """Write an address without user, password and query."""
    scheme, mark, rest = url.partition("://") if "://" in url else ("", "", url)
    _, at, place = rest.rpartition("@")
    return scheme + mark + ("…@" if at else "") + place.partition("?")[0]
