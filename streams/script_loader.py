"""Loads the Lua files and calls them by name: once per server, healed when the server forgot them."""

import hashlib
import importlib.resources
import re
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import Any

from msgspec import Struct
from redis.asyncio import Redis
from redis.exceptions import (
    ClusterDownError,
    NoScriptError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
    TryAgainError,
)
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from streams.errors import (
    ContractError,
    GateMoved,
    HistoryChanged,
    LeaseLost,
    SpentChanged,
    StoreError,
    StoreUnreachable,
)
from streams.wire import command, commands

NAMES = (
    "publish",
    "claim",
    "settle",
    "commit",
    "park",
    "quarantine",
    "sweep",
    "lease",
    "gate",
    "import",
    "forget",
    "halt",
    "lapse",
    "adjust",
    "report",
    "stream",
    "rate",
)

Keys = Sequence[str]
Args = Sequence[bytes | str | int]

_INCLUDE = re.compile(r"^--@include (\w+)$", re.MULTILINE)


_REFUSALS: dict[str, tuple[type[StoreError], str]] = {
    "HISTORY_CHANGED": (
        HistoryChanged,
        "The server restarted or was replaced; trading waits until the account is reconciled.",
    ),
    "SPENT_CHANGED": (SpentChanged, "An order was forgotten for the first time in this month."),
    "LEASE_LOST": (LeaseLost, "Another ledger leads this account."),
}


class Source(Struct, frozen=True):
    """One script: its text with includes in place, and the SHA-1 Redis knows it by."""

    name: str
    text: str
    sha: str


@cache
def load(name: str) -> Source:
    """Read one script of the `lua` package."""
    folder = importlib.resources.files("lua")
    body = (folder / f"{name}.lua").read_text()
    text = _INCLUDE.sub(lambda found: (folder / "include" / f"{found[1]}.lua").read_text().rstrip(), body)
    return Source(name, text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())


async def call(redis: Redis, name: str, keys: Keys, args: Args, *, spin_ns: int = 0) -> Any:
    """Run a script once.

    A server that does not know it (restarted, flushed, promoted) refuses before anything runs, so loading it
    and calling again is safe. Nothing else is called again here: after a timeout only the caller knows
    whether the same call finds its stored result.

    Args:
        redis: who calls.
        name: of the script.
        keys: its KEYS.
        args: its ARGV.
        spin_ns: for how long the answer is looked for before the process sleeps (`streams.wire`).

    Raises:
        HistoryChanged, GateMoved, LeaseLost, SpentChanged: the script refused; it wrote nothing.
        StoreUnreachable: no answer, or the server refuses writes. It may have run.
        ContractError: the script failed.
    """
    source = load(name)
    try:
        try:
            return await command(redis, "EVALSHA", source.sha, len(keys), *keys, *args, spin_ns=spin_ns)
        except NoScriptError:
            await redis.script_load(source.text)
            return await command(redis, "EVALSHA", source.sha, len(keys), *keys, *args)
    except ResponseError as error:
        if isinstance(error, ReadOnlyError):
            # Behind a moving address the next connection may reach the primary.
            await redis.connection_pool.disconnect(inuse_connections=True)
        raise explained(name, error) from None
    except (RedisConnectionError, RedisTimeoutError, OSError) as error:
        raise _unreachable(name, error) from error


async def call_ahead(redis: Redis, name: str, calls: Iterable[tuple[Keys, Args]], tell: Callable[[Any], None]) -> None:
    """Run a script many times, each sent while the server works on those before.

    Args:
        redis: a client that has called before; another one calls nothing and takes nothing from `calls`.
        name: of the script.
        calls: keys and arguments, made when they are due.
        tell: takes each answer in its turn, None where the server refused: called by itself, it says why.

    Raises:
        StoreUnreachable: no answer. What no answer was told of may have run.
    """
    sha = load(name).sha
    rows = (("EVALSHA", sha, len(keys), *keys, *args) for keys, args in calls)
    try:
        await commands(redis, rows, lambda reply: tell(None if isinstance(reply, RedisError) else reply))
    except (RedisConnectionError, RedisTimeoutError, OSError) as error:
        raise _unreachable(name, error) from error


def _unreachable(name: str, error: Exception) -> StoreUnreachable:
    return StoreUnreachable(f"Redis did not answer {name}: {type(error).__name__}; is the server up?")


def explained(name: str, error: ResponseError) -> Exception:
    """Say what a server's refusal of a script means, as redis-py read it."""
    text = str(error)
    if text.startswith("GATE_MOVED"):
        return GateMoved(text.partition(" ")[2])
    if text.partition(" ")[0] in _REFUSALS:
        kind, sentence = _REFUSALS[text.partition(" ")[0]]
        return kind(sentence)
    if isinstance(error, OutOfMemoryError) or "OOM" in text:
        return StoreUnreachable("Redis is full: raise maxmemory or trim; nothing was written.")
    if isinstance(error, ReadOnlyError):
        return StoreUnreachable("Redis is a read-only replica: point the settings at the primary.")
    # redis-py takes the first word off the errors it has a class for; MASTERDOWN's is one of CLUSTERDOWN's.
    # A script is lost when it is flushed, or another server answers, since it was loaded; then nothing ran.
    for_now = isinstance(error, ClusterDownError | TryAgainError | NoScriptError)
    if for_now or text.startswith(("NOREPLICAS", "BUSY", "MISCONF")):
        return StoreUnreachable(f"Redis refuses {name} for now: {text.partition('.')[0]}.")
    return ContractError(f"Script {name} failed: {text}")
