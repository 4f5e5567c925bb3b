"""`fillonce halt` and `fillonce resume`: turn the switches that a claim looks at, and say what is still out."""

import asyncio
import getpass
import os
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import typer

from consumers.commands import output
from consumers.commands.connecting import address, chosen_accounts, connected, only_account, settings_of
from streams.errors import StoreUnreachable, UsageError
from streams.settings import AccountSettings, Settings

if TYPE_CHECKING:
    from redis.asyncio import Redis

Level = Literal["halted", "reducing"]
Action = Literal["halt", "reduce", "resume"]
Reason = Annotated[str, typer.Option(help="Why; it stays in the journal with who and when.")]
Account = Annotated[str, typer.Option(help="Which account; default the only one.")]
Everywhere = Annotated[bool, typer.Option("--all", help="Every account that is registered.")]
Strategy = Annotated[str, typer.Option(help="Only orders of this strategy.")]
Symbol = Annotated[str, typer.Option(help="Only orders of this symbol.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")]
# An account that the settings do not name may have the longest window there is.
WINDOW_MS_MAX: Final = 60_000


def halt(
    ctx: typer.Context,
    *,
    reason: Reason,
    account: Account = "",
    everywhere: Everywhere = False,
    strategy: Strategy = "",
    symbol: Symbol = "",
    level: Annotated[
        Level, typer.Option(help="reducing lets those go on that only make a position smaller.")
    ] = "halted",
    wait: Annotated[bool, typer.Option(help="Wait until nothing claimed before can still go out.")] = True,
    as_json: AsJson = False,
) -> int:
    """Stop claims of an account, of all accounts, of a strategy or of a symbol; cancels go on.

    Under `halted` intents wait and expire; under `reducing` what could do more than close a position is rejected.
    Returns when no send window that was open can still be used; with --no-wait at once, and claims made before may
    still go out within their window.

    \b
    Examples:
      fillonce halt --reason "wrong price feed"
      fillonce halt --all --reason "power cut announced"
      fillonce halt --strategy mean-reversion --level reducing --reason "wind down"
      fillonce halt --account binance.main --reason maintenance --no-wait
    """  # noqa: D301 - \b tells the help to keep the lines
    settings, scope = settings_of(ctx), _scope(everywhere=everywhere, strategy=strategy, symbol=symbol)
    action: Action = "halt" if level == "halted" else "reduce"
    done = asyncio.run(_turn(settings, account, scope, action, reason, wait=wait))
    return _tell(done, scope, level, reason, as_json=as_json)


def resume(
    ctx: typer.Context,
    *,
    reason: Reason,
    account: Account = "",
    everywhere: Everywhere = False,
    strategy: Strategy = "",
    symbol: Symbol = "",
    as_json: AsJson = False,
) -> int:
    """Turn one switch off again, in the scope it was turned on; shows which others are still on.

    \b
    Examples:
      fillonce resume --reason "price feed is right again"
      fillonce resume --strategy mean-reversion --reason "reviewed"
    """  # noqa: D301 - \b tells the help to keep the lines
    settings, scope = settings_of(ctx), _scope(everywhere=everywhere, strategy=strategy, symbol=symbol)
    done = asyncio.run(_turn(settings, account, scope, "resume", reason, wait=False))
    return _tell(done, scope, "trading", reason, as_json=as_json)


def _scope(*, everywhere: bool, strategy: str, symbol: str) -> str:
    if sum((everywhere, bool(strategy), bool(symbol))) > 1:
        raise UsageError("Name one scope: --all, --strategy or --symbol; turn several switches for several.")
    return "global" if everywhere else f"strategy:{strategy}" if strategy else f"symbol:{symbol}" if symbol else ""


async def _turn(
    settings: Settings, account: str, scope: str, action: Action, reason: str, *, wait: bool
) -> list[dict[str, Any]]:
    async with connected(settings) as redis:
        if scope == "global":
            if account:
                raise UsageError("--all is for every account; leave --account out.")
            # Those of the registry too: a process may trade an account that these settings do not name.
            registered = await chosen_accounts(redis, Settings(), "")
            names = sorted({*registered, *settings.accounts})
        else:
            names = [only_account(settings, account)]
        done = [await _switch(settings, name, scope, action, reason) for name in names]
        # Every switch is on by now: the accounts' windows close side by side.
        waits = [_until_closed(redis, settings, one) for one in done] if wait else []
        for one, out in zip(done, await asyncio.gather(*waits), strict=False):
            one["waited_ms"] = out
        return done


async def _switch(settings: Settings, account: str, scope: str, action: Action, reason: str) -> dict[str, Any]:
    """Turn a switch on one connection, and see that it is kept as the account's claims are."""
    from consumers.commands.figures import switches
    from consumers.durability import Durability
    from streams.connection import connect
    from streams.keys import AccountKeys
    from streams.scripts import Scripts

    told, keys = settings.accounts.get(account), AccountKeys(account)
    redis = connect(
        address(settings), name=f"fillonce-cli-{os.getpid()}", timeout_ms=settings.redis_timeout_ms, single=True
    )
    try:
        durability = None if told is None else await Durability.open(redis, told.durability, told.replicas_min)
        at_ms = await Scripts(redis, keys).halt(action, reason, getpass.getuser(), scope)
        if durability is not None and not await durability.confirm():
            raise StoreUnreachable(f"{account}: the switch is turned, but {durability.reason}; call it again.")
        control: Any = await redis.hgetall(keys.control)
        return {"account": account, "at_ms": at_ms, "on": switches(control)}
    finally:
        await redis.aclose()


async def _until_closed(redis: "Redis", settings: Settings, done: dict[str, Any]) -> int:
    """Wait until no claim made before the switch can still be sent; how long that took in ms."""
    from consumers.windows import open_until_ms
    from streams.keys import AccountKeys

    told = settings.accounts.get(done["account"])
    longest_ms = told.send_window_ms if isinstance(told, AccountSettings) else WINDOW_MS_MAX
    until_ms = await open_until_ms(redis, AccountKeys(done["account"]), done["at_ms"], longest_ms)
    wait_ms = max(0, until_ms - int(done["at_ms"]))
    await asyncio.sleep(wait_ms / 1000)
    return wait_ms


def _tell(done: list[dict[str, Any]], scope: str, trading: str, reason: str, *, as_json: bool) -> int:
    if as_json:
        rows = [{**one, "scope": scope, "trading": trading, "reason": reason} for one in done]
        output.document(rows[0] if scope != "global" else {"accounts": rows})
    else:
        where = f" {scope.replace(':', ' ')}" if scope and scope != "global" else ""
        output.show(*(f"{one['account']}{where}: {trading}" for one in done))
        output.show(
            *(f"still on: {name} ({why})" for one in done for name, why in one["on"].items() if trading == "trading")
        )
    return output.DONE
