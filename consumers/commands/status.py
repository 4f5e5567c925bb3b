"""`fillonce status`: what runs, what waits, what went wrong."""

import asyncio
from typing import Annotated, Any, Final

import typer

from consumers.commands import output
from consumers.commands.connecting import chosen_accounts, connected, settings_of
from streams.errors import UsageError
from streams.settings import Settings

WATCH_EVERY_S: Final = 1.0
FOR_A_PERSON: Final = (
    "{0}: the venue cannot tell any more whether it ever had it. Ask the venue, and if it has not: "
    "fillonce correct {0} --lost --reason WHY"
)


def status(
    ctx: typer.Context,
    *,
    account: Annotated[str, typer.Option(help="Only this account.")] = "",
    watch: Annotated[bool, typer.Option("--watch", help="Show it again every second until Ctrl-C.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")] = False,
) -> int:
    """Show every account: gate, orders, backlog, parked, quarantined, roles.

    \b
    Examples:
      fillonce status
      fillonce status --account binance.main --watch
      fillonce status --json | jq '.accounts[].gate'
    """  # noqa: D301 - \b tells the help to keep the lines
    settings = settings_of(ctx)
    if watch and as_json:
        raise UsageError("--json is one document; call it again instead of --watch.")
    if watch:
        asyncio.run(_watch(settings, account))
        return output.DONE
    found = asyncio.run(_read(settings, account))
    if as_json:
        output.document({"accounts": found})
    else:
        output.show(*(_panel(one) for one in found) if found else ["No accounts."])
    return output.DONE


async def _read(settings: Settings, account: str) -> list[dict[str, Any]]:
    from consumers.commands.figures import read_figures

    async with connected(settings) as redis:
        return [
            await read_figures(redis, one, settings.accounts[one].egress if one in settings.accounts else "")
            for one in await chosen_accounts(redis, settings, account)
        ]


async def _watch(settings: Settings, account: str) -> None:
    from rich.console import Group
    from rich.live import Live

    console = output.console()
    if not console.is_terminal:  # a log takes one picture after the other
        while True:
            console.print(Group(*map(_panel, await _read(settings, account))))
            await asyncio.sleep(WATCH_EVERY_S)
    with Live(console=console, auto_refresh=False) as live:
        while True:
            live.update(Group(*map(_panel, await _read(settings, account))), refresh=True)
            await asyncio.sleep(WATCH_EVERY_S)


def _panel(one: dict[str, Any]) -> Any:
    from rich.console import Group

    return Group(output.table(one["account"], ["what", "how it stands"], _lines(one)), _roles(one))


def _lines(one: dict[str, Any]) -> list[tuple[str, str]]:
    gate, orders, parked, quarantined = one["gate"], one["orders"], one["parked"], one["quarantined"]
    lines = [
        ("gate", "open" if gate["open"] else f"SHUT: {gate['reason']}"),
        ("trading", _trading(one["switches"])),
        *(("new exposure", f"WAITS: {why}") for why in _waits(one)),
        ("orders", _orders(orders)),
        *(("", FOR_A_PERSON.format(name)) for name in orders["for_a_person"]),
        *((name, _backlog(figures)) for name, figures in one["backlog"].items()),
        ("parked", f"{parked['executions']} executions of {parked['orders']} orders" + _since(parked["oldest_ms"])),
        ("quarantined", str(quarantined["count"])),
        *(("", f"{last['stream']} {last['entry']}: {last['reason']}") for last in quarantined["last"]),
        ("ledger", one["ledger"]["holder"] or "nobody leads"),
        ("history", gate["history"][:12] or "none"),
    ]
    if one["reconciled"] is not None:
        lines.append(("reconciled", _reconciled(one["reconciled"])))
    if one["stream_watermark_age_ms"] is not None:
        lines.append(("private stream", f"complete until {output.duration(one['stream_watermark_age_ms'])} ago"))
    for left in one["budgets"]:
        told = f"{left['left']:,} of {left['limit']:,} left: {left['budget']} of the {left['counted_by']}"
        lines.append(("request budget", told))
    return lines


def _trading(switches: dict[str, str]) -> str:
    if not switches:
        return "yes"
    words = {"halt": "HALTED", "reduce": "REDUCING"}
    told = []
    for name, why in switches.items():
        level, _, scope = name.partition(":")
        told.append(f"{words[level]}{f' ({scope})' if scope else ''}: {why}")
    return "; ".join(told)


def _waits(one: dict[str, Any]) -> list[str]:
    """Why new exposure waits, though orders that reduce a position and cancels go on."""
    stream, starting = one["stream"], one["gate"]["starting"]
    lost = stream["known"] and not stream["whole"]
    since = f" for {output.duration(stream['since_ms'])}" if lost else ""
    return [
        *([f"since the start, {starting}"] if starting else []),
        *([f"the private stream is not whole{since}: {stream['reason']}"] if lost else []),
    ]


def _reconciled(told: dict[str, Any]) -> str:
    left = f"{told['left']} findings are left; see `fillonce reconcile`" if told["left"] else "the venue's books agree"
    if not told["left"] and told.get("in_doubt"):
        left = f"nothing is certain to be left, {told['in_doubt']} differences are looked at again"
    if told.get("not_compared"):
        from consumers.findings import held_words

        left = f"{told['left']} findings are left; not compared meanwhile: {held_words(told['not_compared'])}"
    return f"{output.duration(told['age_ms'])} ago ({told['depth']}): {left}"


def _orders(orders: dict[str, Any]) -> str:
    if not orders["live"]:
        return "none live"
    by_status = ", ".join(f"{count} {status}" for status, count in sorted(orders["by_status"].items()))
    part = f" (of the first {orders['counted']})" if orders["counted"] < orders["live"] else ""
    oldest = orders["oldest_unknown_ms"]
    doubt = "" if oldest is None else f"; oldest unknown since {output.duration(oldest)}"
    return f"{orders['live']} live: {by_status}{part}{doubt}"


def _backlog(figures: dict[str, int]) -> str:
    return f"lag {figures['lag']}, pending {figures['pending']}, {figures['length']} stored"


def _since(ms: int | None) -> str:
    return "" if ms is None else f", the oldest since {output.duration(ms)}"


def _roles(one: dict[str, Any]) -> Any:
    rows = [
        [
            role["role"] + (" (STALE)" if role["stale"] else ""),
            role["pid"],
            output.duration(role["uptime_ms"]) if role["uptime_ms"] is not None else "",
            role["restarts"],
            "never" if role["age_ms"] is None else output.duration(role["age_ms"]) + " ago",
            ", ".join(f"{name} {value}" for name, value in role["figures"].items()),
        ]
        for role in one["roles"]
    ]
    return output.table("", ["role", "#pid", "#up", "#restarts", "last beat", "since its start"], rows)
