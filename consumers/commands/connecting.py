"""Where a command finds its settings and its server."""

import fcntl
import getpass
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec
import typer

from streams.errors import ServerError, StoreUnreachable, UsageError
from streams.settings import AccountSettings, Settings, read

if TYPE_CHECKING:
    from redis.asyncio import Redis

NAME = "fillonce-cli"

# In a data directory: what is there belongs to a simulated venue, and goes when the next simulation begins.
SIMULATED: Final = "simulated"


class Simulation(msgspec.Struct, frozen=True):
    """What a simulation leaves in its data directory for every command beside it.

    Attributes:
        accounts: settings that lead to the simulated venue.
        keys: by variable, of that venue.
    """

    accounts: dict[str, AccountSettings]
    keys: dict[str, str]


def settings_of(ctx: typer.Context) -> Settings:
    """Read the settings that `--settings`, the environment or the current directory name.

    On a simulation's data the accounts are the simulated ones, whatever the settings say: what is stored there must
    never be compared with the books of a real venue.

    Raises:
        UsageError: they cannot be used.
    """
    settings = given_settings(ctx)
    if settings.redis_url or (simulation := _simulation(Path(settings.data_dir))) is None:
        return settings
    os.environ.update(simulation.keys)
    return msgspec.structs.replace(settings, accounts=simulation.accounts)


def given_settings(ctx: typer.Context) -> Settings:
    """Read the settings as they are written, a simulation or not; raises as `settings_of`."""
    return read(ctx.obj or "", os.environ)


def _simulation(data_dir: Path) -> Simulation | None:
    try:
        return msgspec.json.decode((data_dir / SIMULATED).read_bytes(), type=Simulation)
    except (OSError, msgspec.DecodeError):
        return None  # it is only just beginning, or of an older version


def person() -> str:
    """Name whoever calls, as the journal is to tell; signs that no intent may have are replaced."""
    return "".join(sign if "!" <= sign <= "~" else "?" for sign in getpass.getuser())


def only_account(settings: Settings, given: str) -> str:
    """Take the account that was named, else the only one there is.

    Raises:
        UsageError: none was named, and there is not exactly one.
    """
    if given:
        return given
    if len(settings.accounts) != 1:
        names = ", ".join(sorted(settings.accounts)) or "none in the settings"
        raise UsageError(f"Say which account with --account; there are: {names}.")
    return next(iter(settings.accounts))


async def chosen_accounts(redis: "Redis", settings: Settings, given: str) -> list[str]:
    """List the account that was named, else those of the settings, else all that are registered.

    Raises:
        UsageError: the named one is neither in the settings nor registered.
    """
    from streams import store

    if not given and settings.accounts:
        return sorted(settings.accounts)
    registered = await store.accounts(redis)
    if given and given not in settings.accounts and given not in registered:
        known = ", ".join(sorted({*settings.accounts, *registered})) or "none"
        raise UsageError(f"No account {given}; there are: {known}.")
    return [given] if given else sorted(registered)


def address(settings: Settings) -> str:
    """Address of the server: the one of the settings, else the embedded one of the data directory."""
    if settings.redis_url:
        return settings.redis_url
    from streams.server import EmbeddedServer

    return EmbeddedServer(Path(settings.data_dir)).url


@asynccontextmanager
async def connected(settings: Settings) -> "AsyncIterator[Redis]":
    """Connect to the server, which must answer.

    Raises:
        ServerError: no pipeline runs on the data directory.
        StoreUnreachable: the server of the settings, or of a pipeline that runs, does not answer.
        UsageError: its address cannot be used.
    """
    redis = client(settings)
    try:
        await ping(redis, settings)
        yield redis
    finally:
        await redis.aclose()


def client(settings: Settings) -> "Redis":
    """Make a client without sending anything.

    Raises:
        UsageError: the address cannot be used.
    """
    from streams.connection import connect, shown

    url = address(settings)
    try:
        return connect(url, name=NAME, timeout_ms=settings.redis_timeout_ms)
    except ValueError as error:
        raise UsageError(f"redis_url {shown(url)} cannot be used: {error}.") from None


async def ping(redis: "Redis", settings: Settings) -> None:
    """Ask for a sign of life; raises as `connected`."""
    from redis.exceptions import AuthenticationError, BusyLoadingError, RedisError

    from streams.connection import shown

    where = shown(settings.redis_url) if settings.redis_url else f"the embedded server of {settings.data_dir}"
    try:
        await redis.ping()
    except BusyLoadingError:
        raise StoreUnreachable(f"Redis at {where} is still loading its data; try again soon.") from None
    except AuthenticationError:
        raise StoreUnreachable(f"Redis at {where} refuses user or password; correct redis_url.") from None
    except (RedisError, OSError) as error:
        if not settings.redis_url:
            if _in_use(Path(settings.data_dir)):
                raise StoreUnreachable(
                    f"The pipeline on {settings.data_dir} is starting or restarting its server; try again soon."
                ) from None
            raise ServerError(f"No pipeline runs on {settings.data_dir}; start it with `fillonce run`.") from None
        raise StoreUnreachable(f"Redis at {where} does not answer ({type(error).__name__}); is it up?") from None


def _in_use(data_dir: Path) -> bool:
    """Whether a pipeline holds the data directory; the lock is free again when this returns."""
    try:
        lock = os.open(data_dir / "lock", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(lock)
    return False
