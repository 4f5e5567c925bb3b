"""What `fillonce halt`, `resume` and `cancel-all` do: account by account, so that one that fails hides no other."""

import asyncio
import os
import secrets
from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

from consumers.commands.clear import clear
from consumers.commands.connecting import address, chosen_accounts, connected, only_account, person
from streams.errors import FillonceError, StoreUnreachable, UsageError
from streams.settings import AccountSettings, Settings

if TYPE_CHECKING:
    from redis.asyncio import Redis

Action = Literal["halt", "reduce", "resume"]
# An account that the settings do not name may have the longest window there is.
WINDOW_MS_MAX: Final = 60_000


class Turn(NamedTuple):
    """Which switch is turned how, and why."""

    scope: str
    action: Action
    reason: str


class Clearing(NamedTuple):
    """How what is out is cancelled."""

    deadline_s: float
    foreign: bool


async def _accounts(redis: "Redis", settings: Settings, account: str, scope: str) -> list[str]:
    """List the accounts that a scope is in.

    Raises:
        UsageError: an account or a symbol that nobody trades: a switch there would stop nothing.
    """
    if scope != "global":
        return await chosen_accounts(redis, settings, only_account(settings, account))
    if account:
        raise UsageError("--all is for every account; leave --account out.")
    # Those of the registry too: a process may trade an account that these settings do not name.
    registered = await chosen_accounts(redis, Settings(), "")
    return sorted({*registered, *settings.accounts})


async def _to_stop(redis: "Redis", settings: Settings, account: str, scope: str) -> list[str]:
    """List the accounts of a scope that is to be stopped; only a symbol is looked up before.

    Raises:
        UsageError: as `_accounts`; or the account does not trade the symbol. Of one never started nobody knows.
    """
    from streams.instrument import some_of
    from streams.keys import AccountKeys
    from streams.store import Store

    names = await _accounts(redis, settings, account, scope)
    kind, _, symbol = scope.partition(":")
    for name in names if kind == "symbol" else ():
        traded = {one.symbol for one in await Store(redis, AccountKeys(name)).instruments()}
        if traded and symbol not in traded:
            raise UsageError(f"{name} does not trade {symbol}; it trades {some_of(traded)}.")
    return names


async def halt(
    settings: Settings, account: str, turn: Turn, done: list[dict[str, Any]], *, wait: bool,
    clearing: Clearing | None,
) -> None:  # fmt: skip
    """Turn the switches, and add to `done` what became of it, account by account; one that fails hides no other."""
    async with connected(settings) as redis:
        for name in await _to_stop(redis, settings, account, turn.scope):
            one: dict[str, Any] = {"account": name}
            done.append(one)
            await _noted(one, _switch(settings, one, turn))
        # Every switch is on by now: the accounts' windows close side by side.
        on = [one for one in done if "at_ms" in one]
        waits = [_noted(one, _until_closed(redis, settings, one)) for one in on] if wait else []
        clears = [
            _noted(one, _clear(settings, one, turn.scope, turn.reason, clearing)) for one in on if clearing is not None
        ]
        await asyncio.gather(*waits, *clears)


async def _noted(one: dict[str, Any], step: Awaitable[None]) -> None:
    """Take a step for an account, and note why it failed."""
    from redis.exceptions import RedisError

    try:
        await step
    except (FillonceError, RedisError, OSError) as error:
        one["error"] = str(error) if isinstance(error, FillonceError) else f"{type(error).__name__}: {error}"


async def clear_all(
    settings: Settings, account: str, why: tuple[str, str], done: list[dict[str, Any]], clearing: Clearing
) -> None:
    """Cancel what the accounts of a scope have out, and add to `done` what became of it; `why` is scope and reason."""
    scope, reason = why
    async with connected(settings) as redis:
        done += [{"account": name} for name in await _to_stop(redis, settings, account, scope)]
        await asyncio.gather(*(_noted(one, _clear(settings, one, scope, reason, clearing)) for one in done))


async def _clear(settings: Settings, one: dict[str, Any], scope: str, reason: str, clearing: Clearing) -> None:
    """Cancel what an account has out; who and why stays in the journal."""
    from streams.connection import connect
    from streams.keys import AccountKeys
    from streams.scripts import Scripts

    redis = connect(address(settings), name=f"fillonce-cli-{os.getpid()}", timeout_ms=settings.redis_timeout_ms)
    try:
        scripts = Scripts(redis, AccountKeys(one["account"]))
        await scripts.clear(reason, person(), scope, secrets.token_urlsafe(12))
    finally:
        await redis.aclose()
    one["cleared"] = {}
    await clear(settings, one["account"], scope, clearing.deadline_s, one["cleared"], foreign=clearing.foreign)


async def resume(settings: Settings, account: str, scope: str, reason: str, done: list[dict[str, Any]]) -> None:
    """Turn a switch off, and add to `done` what is still wrong."""
    from consumers.commands.figures import read_figures
    from consumers.commands.wrong import wrong

    async with connected(settings) as redis:
        for name in await _accounts(redis, settings, account, scope):
            one: dict[str, Any] = {"account": name}
            done.append(one)
            await _noted(one, _switch(settings, one, Turn(scope, "resume", reason)))
            one["wrong"] = wrong(await read_figures(redis, name))


async def _switch(settings: Settings, one: dict[str, Any], turn: Turn) -> None:
    """Turn a switch on one connection, note it, and only then see that it is kept as the account's claims are.

    Raises:
        FillonceError: it is turned and not surely kept; or it could not be turned, and nothing was noted.
    """
    from consumers.commands.figures import switches
    from streams.connection import connect
    from streams.keys import AccountKeys
    from streams.scripts import Scripts

    account = one["account"]
    told, keys = settings.accounts.get(account), AccountKeys(account)
    redis = connect(
        address(settings), name=f"fillonce-cli-{os.getpid()}", timeout_ms=settings.redis_timeout_ms, single=True
    )
    try:
        one["at_ms"] = await Scripts(redis, keys).halt(turn.action, turn.reason, person(), turn.scope)
        control: Any = await redis.hgetall(keys.control)
        one["on"] = switches(control)
        if told is not None:
            await _kept(redis, told)
    finally:
        await redis.aclose()


async def _kept(redis: "Redis", told: AccountSettings) -> None:
    """Raise StoreUnreachable unless what was written on this connection is as safe as the account wants it."""
    from consumers.durability import Durability

    try:
        durability = await Durability.open(redis, told.durability, told.replicas_min)
        if await durability.confirm():
            return
        reason = durability.reason
    except FillonceError as error:
        reason = str(error)
    raise StoreUnreachable(f"the switch is turned, but {reason.rstrip('.')}; call it again when that is mended.")


async def _until_closed(redis: "Redis", settings: Settings, done: dict[str, Any]) -> None:
    """Wait until no claim made before the switch can still be sent, and add how long that took in ms."""
    from consumers.windows import open_until_ms
    from streams.keys import AccountKeys

    told = settings.accounts.get(done["account"])
    longest_ms = told.send_window_ms if isinstance(told, AccountSettings) else WINDOW_MS_MAX
    until_ms = await open_until_ms(redis, AccountKeys(done["account"]), done["at_ms"], longest_ms)
    wait_ms = max(0, until_ms - int(done["at_ms"]))
    await asyncio.sleep(wait_ms / 1000)
    done["waited_ms"] = wait_ms
