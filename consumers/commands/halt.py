"""`fillonce halt`, `resume` and `cancel-all`: turn the switches that a claim looks at, and cancel what is out."""

import asyncio
import os
import secrets
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, NamedTuple

import typer

from consumers.commands import output
from consumers.commands.clear import DEADLINE_S, clear
from consumers.commands.connecting import address, chosen_accounts, connected, only_account, person, settings_of
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
Foreign = Annotated[bool, typer.Option("--foreign", help="Also orders at the venue that are not this program's.")]
Deadline = Annotated[float, typer.Option(metavar="SECONDS", min=1, help="Give up cancelling after that long.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")]
# An account that the settings do not name may have the longest window there is.
WINDOW_MS_MAX: Final = 60_000


class _Turn(NamedTuple):
    """Which switch is turned how, and why."""

    scope: str
    action: Action
    reason: str


class _Clearing(NamedTuple):
    """How what is out is cancelled."""

    deadline_s: float
    foreign: bool


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
    cancel_open: Annotated[
        bool, typer.Option("--cancel-open", help="Cancel what is resting or unknown too, and wait until none is left.")
    ] = False,
    foreign: Foreign = False,
    deadline: Deadline = DEADLINE_S,
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
      fillonce halt --all --reason "wrong price feed" --cancel-open
    """  # noqa: D301 - \b tells the help to keep the lines
    settings, scope = settings_of(ctx), _scope(everywhere=everywhere, strategy=strategy, symbol=symbol)
    action: Action = "halt" if level == "halted" else "reduce"
    done: list[dict[str, Any]] = []
    try:
        asyncio.run(
            _halt(
                settings, account, _Turn(scope, action, reason), done, wait=wait,
                clearing=_Clearing(deadline, foreign) if cancel_open else None,
            )
        )  # fmt: skip
    except KeyboardInterrupt:
        return _interrupted(done)
    return max(_tell(done, scope, level, reason, as_json=as_json), _tell_cleared(done, as_json=as_json))


def cancel_all(
    ctx: typer.Context,
    *,
    reason: Reason,
    account: Account = "",
    everywhere: Everywhere = False,
    strategy: Strategy = "",
    symbol: Symbol = "",
    foreign: Foreign = False,
    deadline: Deadline = DEADLINE_S,
    as_json: AsJson = False,
) -> int:
    """Cancel every order that was sent, until none is left: resting, unknown, and those without a record here.

    New intents go out meanwhile; `fillonce halt --cancel-open` stops them first. An order without a record may be any
    strategy's: with --strategy it is left and named, and the exit code is 1.

    \b
    Examples:
      fillonce cancel-all --reason "flat before the weekend"
      fillonce cancel-all --symbol BTC/USDT --reason "delisted" --deadline 20
      fillonce cancel-all --all --foreign --reason "keys were stolen" --json
    """  # noqa: D301 - \b tells the help to keep the lines
    settings, scope = settings_of(ctx), _scope(everywhere=everywhere, strategy=strategy, symbol=symbol)
    done: list[dict[str, Any]] = []
    try:
        asyncio.run(_clear_all(settings, account, (scope, reason), done, _Clearing(deadline, foreign)))
    except KeyboardInterrupt:
        return _interrupted(done)
    if as_json:
        rows = [{**one, "scope": scope, "reason": reason} for one in done]
        output.document(rows[0] if scope != "global" else {"accounts": rows})
    return _tell_cleared(done, as_json=as_json)


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
    """Turn one switch off again, in the scope it was turned on; shows what is still wrong.

    \b
    Examples:
      fillonce resume --reason "price feed is right again"
      fillonce resume --strategy mean-reversion --reason "reviewed"
    """  # noqa: D301 - \b tells the help to keep the lines
    settings, scope = settings_of(ctx), _scope(everywhere=everywhere, strategy=strategy, symbol=symbol)
    done: list[dict[str, Any]] = []
    asyncio.run(_resume(settings, account, scope, reason, done))
    return _tell(done, scope, "trading", reason, as_json=as_json)


def _scope(*, everywhere: bool, strategy: str, symbol: str) -> str:
    if sum((everywhere, bool(strategy), bool(symbol))) > 1:
        raise UsageError("Name one scope: --all, --strategy or --symbol; turn several switches for several.")
    return "global" if everywhere else f"strategy:{strategy}" if strategy else f"symbol:{symbol}" if symbol else ""


async def _accounts(redis: "Redis", settings: Settings, account: str, scope: str) -> list[str]:
    if scope != "global":
        return [only_account(settings, account)]
    if account:
        raise UsageError("--all is for every account; leave --account out.")
    # Those of the registry too: a process may trade an account that these settings do not name.
    registered = await chosen_accounts(redis, Settings(), "")
    return sorted({*registered, *settings.accounts})


async def _halt(
    settings: Settings, account: str, turn: _Turn, done: list[dict[str, Any]], *, wait: bool,
    clearing: _Clearing | None,
) -> None:  # fmt: skip
    """Turn the switches, and add to `done` what became of it, account by account."""
    async with connected(settings) as redis:
        for name in await _accounts(redis, settings, account, turn.scope):
            done.append(await _switch(settings, name, turn))  # noqa: PERF401 - told also when the next one fails
        # Every switch is on by now: the accounts' windows close side by side.
        waits = [_until_closed(redis, settings, one) for one in done] if wait else []
        clears = [_clear(settings, one, turn.scope, turn.reason, clearing) for one in done if clearing is not None]
        await asyncio.gather(*waits, *clears)


async def _clear_all(
    settings: Settings, account: str, why: tuple[str, str], done: list[dict[str, Any]], clearing: _Clearing
) -> None:
    scope, reason = why
    async with connected(settings) as redis:
        done += [{"account": name} for name in await _accounts(redis, settings, account, scope)]
        await asyncio.gather(*(_clear(settings, one, scope, reason, clearing) for one in done))


async def _clear(settings: Settings, one: dict[str, Any], scope: str, reason: str, clearing: _Clearing) -> None:
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


async def _resume(settings: Settings, account: str, scope: str, reason: str, done: list[dict[str, Any]]) -> None:
    from consumers.commands.figures import read_figures
    from consumers.commands.wrong import wrong

    async with connected(settings) as redis:
        for name in await _accounts(redis, settings, account, scope):
            one = await _switch(settings, name, _Turn(scope, "resume", reason))
            done.append({**one, "wrong": wrong(await read_figures(redis, name))})


async def _switch(settings: Settings, account: str, turn: _Turn) -> dict[str, Any]:
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
        at_ms = await Scripts(redis, keys).halt(turn.action, turn.reason, person(), turn.scope)
        if durability is not None and not await durability.confirm():
            raise StoreUnreachable(f"{account}: the switch is turned, but {durability.reason}; call it again.")
        control: Any = await redis.hgetall(keys.control)
        return {"account": account, "at_ms": at_ms, "on": switches(control)}
    finally:
        await redis.aclose()


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


def _tell(done: list[dict[str, Any]], scope: str, trading: str, reason: str, *, as_json: bool) -> int:
    if as_json:
        rows = [{**one, "scope": scope, "trading": trading, "reason": reason} for one in done]
        output.document(rows[0] if scope != "global" else {"accounts": rows})
    else:
        where = f" {scope.replace(':', ' ')}" if scope and scope != "global" else ""
        output.show(*(f"{one['account']}{where}: {trading}" for one in done))
        output.show(*(f"still wrong: {what}" for one in done for what in one.get("wrong", ())))
    return output.DONE


def _tell_cleared(done: list[dict[str, Any]], *, as_json: bool) -> int:
    """Say what was cancelled; what is left is what a person has to look at."""
    cleared = [(one["account"], one["cleared"]) for one in done if "cleared" in one]
    for account, told in cleared if not as_json else ():
        gone = told["cancelled"] + len(told["orphans_cancelled"])
        output.show(f"{account}: {gone} cancelled, {len(told['left'])} left")
        if told["orphans_left"]:
            names = ", ".join(told["orphans_left"])
            output.show(f"{account}: left alone at the venue, not this program's: {names}; --foreign cancels them")
        if told["unclear"]:
            names = ", ".join(told["unclear"])
            output.show(
                f"{account}: left, because their intents are lost and nobody can tell whose strategy's they are: "
                f"{names}; `fillonce cancel-all` without --strategy cancels them"
            )
        if not told["done"]:
            output.say(f"{account}: not all could be cancelled in time; do its gateways and its ledger run?")
    return output.DONE if all(told["done"] and not told["unclear"] for _, told in cleared) else output.WRONG


def _interrupted(done: list[dict[str, Any]]) -> int:
    """Say how far it came: what was switched stays switched, and cancels that are out go on."""
    for one in done:
        told = one.get("cleared", {})
        switched = "the switch stays on; " if "at_ms" in one else ""
        output.say(f"{one['account']}: interrupted; {switched}{len(told.get('left', ()))} orders were left")
    return output.INTERRUPTED
