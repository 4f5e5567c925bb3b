"""`fillonce reconcile`: the venue's books against ours, now; what differs, and what is done about it."""

import asyncio
import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec
import typer

from consumers.commands import output
from consumers.commands.connecting import address, connected, person, settings_of
from streams.errors import UsageError
from streams.policy import Kind, Mode
from streams.settings import Settings

if TYPE_CHECKING:
    from consumers.findings import Finding
    from consumers.patrol import Patrol, Report
    from streams.store import Store

# The ledger applies what was written within milliseconds; without one nothing is applied, and that is said.
APPLIED_S: Final = 5.0
POLL_S: Final = 0.05


def reconcile(
    ctx: typer.Context,
    *,
    account: Annotated[str, typer.Option(help="Only this account; default all of the settings.")] = "",
    mode: Annotated[
        Mode | None,
        typer.Option(
            help="report: only tell; approve: ask for each finding; auto: act. Default: by kind, as the settings say."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")] = False,
) -> int:
    """Compare the venue's orders, executions and balances with ours, and put right what may be put right.

    What rests on absence is looked at twice, some seconds apart. Nothing is written into an order or a position: what
    the venue says goes into `evidence`, and the ledger applies it.

    \b
    Examples:
      fillonce reconcile
      fillonce reconcile --mode report --json
      fillonce reconcile --account binance.main --mode approve
    """  # noqa: D301 - \b tells the help to keep the lines
    settings = settings_of(ctx)
    if account:
        settings.account(account)
    if not settings.accounts:
        raise UsageError("The settings name no account; nothing can be asked of a venue without one.")
    asks = sys.stdin.isatty() and not as_json
    if mode == "approve" and not asks:
        raise UsageError("--mode approve asks for each finding; it needs a terminal and no --json.")
    found = asyncio.run(_all(settings, [account] if account else sorted(settings.accounts), mode, asks=asks))
    if as_json:
        output.document({"accounts": found})
    else:
        output.show(*(part for one in found for part in _shown(one)))
    return output.WRONG if any(one["left"] for one in found) else output.DONE


async def _all(settings: Settings, accounts: list[str], mode: Mode | None, *, asks: bool) -> list[dict[str, Any]]:
    async with connected(settings):
        located = msgspec.structs.replace(settings, redis_url=address(settings))
        return [await _one(located, account, mode, asks=asks) for account in accounts]


async def _one(settings: Settings, account: str, mode: Mode | None, *, asks: bool) -> dict[str, Any]:
    from consumers.patrolling import patrol
    from consumers.roles import Task, Workshop
    from streams.store import Store

    shop = Workshop(Task(role="resolver", account=account), settings, os.environ)
    try:
        redis = shop.redis("reconcile", single=False)
        await shop.server_clock.measure(redis)
        compared = patrol(shop, redis, await shop.venue(), person())
        act = _chooser(mode, compared.settings.mode, asks=asks)
        first = await compared.once("full", "command", act)
        last = await _again(compared, first, act, Store(redis, shop.keys))
        return _told(first, last)
    finally:
        await shop.close()


async def _again(patrol: "Patrol", first: "Report", act: "Callable[[Finding], bool]", store: "Store") -> "list[Report]":
    """Look once more at what one look does not prove, and then at what is left of everything."""
    reports = [first]
    if any(not one.confirmed for one in first.findings):
        await asyncio.sleep(patrol.settings.terms.gap_ms / 1000)
        reports.append(await patrol.once("full", "command", act))
    if reports[-1].done or reports[-1].opened:
        await _applied(store)
        reports.append(await patrol.once("full", "command", lambda _: False))
    return reports


async def _applied(store: "Store") -> None:
    """Wait until the ledger has read everything, as long as it takes one that runs."""
    for _ in range(int(APPLIED_S / POLL_S)):
        backlog = (await store.backlog())["evidence"]
        if not backlog["lag"] + backlog["pending"]:
            return
        await asyncio.sleep(POLL_S)
    output.say("The ledger has not applied everything yet; is the pipeline running?")


def _chooser(mode: Mode | None, by_kind: "Callable[[Kind], Mode]", *, asks: bool) -> "Callable[[Finding], bool]":
    """Decide about findings: by one mode for all, or by each kind's own; a person is asked once about each."""
    answers: dict[str, bool] = {}

    def choose(one: "Finding") -> bool:
        told = mode or by_kind(one.kind)
        if told == "approve" and asks and one.action not in ("leave", "wait", "person"):
            if one.id not in answers:
                question = f"{one.kind} {one.subject}: {one.here} here, {one.there} at the venue. {one.action}?"
                answers[one.id] = typer.confirm(output.clean(question))
            return answers[one.id]
        return told == "auto"

    return choose


def _told(first: "Report", reports: "list[Report]") -> dict[str, Any]:
    """Every finding of the looks, with what was done about it; what is left is what the last look still saw."""
    seen = {one.id: one for report in reports for one in report.findings}
    done = {name: what for report in reports for name, what in report.done.items()}
    return {
        "account": first.account,
        "asked_at_ms": reports[-1].asked_at_ms,
        "opened": any(report.opened for report in reports),
        "findings": [{**msgspec.to_builtins(one), "done": done.get(one.id, "")} for one in seen.values()],
        "left": [one.id for one in reports[-1].left],
        "not_compared": reports[-1].held,
    }


def _shown(told: dict[str, Any]) -> list[Any]:
    rows = [
        [
            one["kind"], one["severity"], one["subject"], one.get("symbol", ""), one["here"], one["there"],
            output.duration(one["age_ms"]), _doing(one, told["left"]),
        ]
        for one in told["findings"]
    ]  # fmt: skip
    lines: list[Any] = []
    if told["opened"]:
        lines.append(f"{told['account']}: what it held before its first fill is recorded.")
    if not rows:
        return [*lines, f"{told['account']}: the venue's books and ours agree."]
    columns = ["kind", "severity", "what", "symbol", "here", "at the venue", "#since", "action"]
    if told["not_compared"]:
        from consumers.findings import held_words

        names = held_words(told["not_compared"])
        lines.append(f"{told['account']}: not compared until what concerns it is put right: {names}.")
    return [*lines, output.table(told["account"], columns, rows), _what_now(told)]


def _what_now(told: dict[str, Any]) -> str:
    if not told["left"]:
        return "Put right."
    left = [one for one in told["findings"] if one["id"] in told["left"]]
    tried = any(one["done"] for one in left)
    proposed = not tried and any(one["action"] not in ("leave", "wait", "person") for one in left)
    how = " `--mode approve` asks about each, `--mode auto` does what is proposed." if proposed else ""
    return f"{len(told['left'])} left to decide.{how}"


def _doing(one: dict[str, Any], left: list[str]) -> str:
    if one["done"]:
        return f"{one['done']}: done" if one["id"] not in left else f"{one['done']}: tried"
    if not one["confirmed"]:
        return "gone by itself"
    return {"person": "a person must decide", "wait": "the resolver is at it"}.get(
        one["action"], f"{one['action']}: proposed"
    )
