"""Connections to Redis: no blind re-sends, own deadlines, and addresses that carry no secret when shown."""

from urllib.parse import urlsplit, urlunsplit

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from streams.errors import UsageError

COMMAND_TIMEOUT_MS = 2_000
SCHEMES = ("unix", "redis", "rediss")


def connect(url: str, *, name: str, timeout_ms: int = COMMAND_TIMEOUT_MS, single: bool = True) -> Redis:
    """Make a client. Nothing is sent before its first command.

    redis-py repeats a command that timed out up to ten times by default, XADD included; here it never does.

    Args:
        url: `unix://`, `redis://` or `rediss://`.
        name: shown by CLIENT LIST.
        timeout_ms: longest wait for one answer.
        single: one connection, one command at a time; False gives a pool for concurrent callers.

    Raises:
        UsageError: the address is of a kind this version does not speak.
    """
    scheme = urlsplit(url).scheme
    if scheme not in SCHEMES:
        raise UsageError(f"Cannot connect to {shown(url)}: use unix://, redis:// or rediss://.")
    try:
        client: Redis = Redis.from_url(
            url,
            single_connection_client=single,
            retry=Retry(NoBackoff(), 0),
            socket_timeout=timeout_ms / 1000,
            socket_connect_timeout=timeout_ms / 1000,
            client_name=name,
            decode_responses=False,
        )
    except ValueError as error:
        raise UsageError(f"Cannot connect to {shown(url)}: {error}.") from None
    return client


def shown(url: str) -> str:
    """Write an address without user, password and query."""
    parts = urlsplit(url)
    netloc = "…@" + parts.netloc.rpartition("@")[2] if "@" in parts.netloc else parts.netloc
    return urlunsplit(parts._replace(netloc=netloc, query=""))
