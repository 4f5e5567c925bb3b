"""`fillonce halt`, `resume` and `cancel-all`: turn the switches that a claim looks at, and cancel what is out."""

import asyncio
from typing import Annotated, Any, Literal

import typer

from consumers.commands import output, switching
from consumers.commands.clear import DEADLINE_S
from consumers.commands.connecting import settings_of
from consumers.commands.switching import Action, Clearing, Turn
from streams.errors import UsageError

Level = Literal["halted", "reducing"]
Reason = Annotated[str, typer.Option(help="Why; it stays in the journal with who and when.")]
Account = Annotated[str, typer.Option(help="Which account; default the only one.")]
Everywhere = Annotated[bool, typer.Option("--all", help="Every account that is registered.")]
Strategy = Annotated[str, typer.Option(help="Only orders of this strategy.")]
Symbol = Annotated[str, typer.Option(help="Only orders of this symbol.")]
Foreign = Annotated[bool, typer.Option("--foreign", help="Also orders at the venue that are not this program's.")]
Deadline = Annotated[float, typer.Option(metavar="SECONDS", min=1, help="Give up cancelling after that long.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")]


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
            switching.halt(
                settings, account, Turn(scope, action, reason), done, wait=wait,
                clearing=Clearing(deadline, foreign) if cancel_open else None,
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
        asyncio.run(switching.clear_all(settings, account, (scope, reason), done, Clearing(deadline, foreign)))
    except KeyboardInterrupt:
        return _interrupted(done)
    if as_json:
        rows = [{**one, "scope": scope, "reason": reason} for one in done]
        output.document(rows[0] if scope != "global" else {"accounts": rows})
    return max(_tell_failed(done), _tell_cleared(done, as_json=as_json))


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
    asyncio.run(switching.resume(settings, account, scope, reason, done))
    return _tell(done, scope, "trading", reason, as_json=as_json)


def _scope(*, everywhere: bool, strategy: str, symbol: str) -> str:
    if sum((everywhere, bool(strategy), bool(symbol))) > 1:
        raise UsageError("Name one scope: --all, --strategy or --symbol; turn several switches for several.")
    return "global" if everywhere else f"strategy:{strategy}" if strategy else f"symbol:{symbol}" if symbol else ""


def _tell(done: list[dict[str, Any]], scope: str, trading: str, reason: str, *, as_json: bool) -> int:
    if as_json:
        rows = [{**one, "scope": scope, "trading": trading, "reason": reason} for one in done]
        output.document(rows[0] if scope != "global" else {"accounts": rows})
    else:
        where = f" {scope.replace(':', ' ')}" if scope and scope != "global" else ""
        output.show(*(f"{one['account']}{where}: {trading}" for one in done if "at_ms" in one))
        output.show(*(f"still wrong: {what}" for one in done for what in one.get("wrong", ())))
    return _tell_failed(done)


def _tell_failed(done: list[dict[str, Any]]) -> int:
    """Name every account for which not all was done."""
    failed = [one for one in done if "error" in one]
    for one in failed:
        output.say(f"{one['account']}: {one['error']}")
    return output.WRONG if failed else output.DONE


def _tell_cleared(done: list[dict[str, Any]], *, as_json: bool) -> int:
    """Say what was cancelled; what is left is what a person has to look at."""
    cleared = [(one["account"], one["cleared"]) for one in done if one.get("cleared")]
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
    good = all(told["done"] and not told["unclear"] for _, told in cleared)
    return output.DONE if good and not any("error" in one for one in done) else output.WRONG


def _interrupted(done: list[dict[str, Any]]) -> int:
    """Say how far it came: what was switched stays switched, and cancels that are out go on."""
    for one in done:
        told = one.get("cleared", {})
        switched = "the switch stays on; " if "at_ms" in one else ""
        output.say(f"{one['account']}: interrupted; {switched}{len(told.get('left', ()))} orders were left")
    return output.INTERRUPTED
