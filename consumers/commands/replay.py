"""`fillonce replay`: stored entries once more through the live path; nothing may change."""

import asyncio
import time
from typing import Annotated, Any

import typer
from msgspec.structs import asdict

from consumers.commands import output
from consumers.commands.connecting import chosen_accounts, connected, only_account, settings_of
from consumers.commands.verify import entry_at
from streams.errors import UsageError
from streams.settings import Settings


def replay(
    ctx: typer.Context,
    *,
    account: Annotated[str, typer.Option(help="Whose entries; default the only account.")] = "",
    stream: Annotated[str, typer.Option(help="intents, evidence, or both with a comma.")] = "evidence",
    start: Annotated[str, typer.Option("--from", metavar="TIME|ID", help="First entry; default the oldest.")] = "",
    end: Annotated[str, typer.Option("--to", metavar="TIME|ID", help="Last entry; default the newest.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")] = False,
) -> int:
    """Deliver stored entries again through the pipeline that runs, and count what they change.

    Exit code 1 when a replayed entry changed anything: it had been missed before, and is applied now.

    \b
    Examples:
      fillonce replay --account binance.main
      fillonce replay --stream intents,evidence --from 2026-11-21T10:00:00Z
    """  # noqa: D301 - \b tells the help to keep the lines
    names = [name.strip() for name in stream.split(",") if name.strip()]
    if not names or set(names) - {"intents", "evidence"}:
        raise UsageError(f"--stream takes intents, evidence, or both with a comma, not {stream!r}.")
    settings = settings_of(ctx)
    span = (entry_at(start) if start else "-", entry_at(end) if end else "+")
    figures = asyncio.run(_replay(settings, only_account(settings, account), names, span))
    if as_json:
        output.document(figures)
    else:
        output.show(output.table("", ["figure", "#value"], [[name, value] for name, value in figures.items()]))
    return output.WRONG if figures["changes"] else output.DONE


async def _replay(settings: Settings, account: str, names: list[str], span: tuple[str, str]) -> dict[str, Any]:
    from streams.clock import SystemClock
    from streams.keys import AccountKeys
    from streams.replay import replay as deliver

    began = time.monotonic()

    def show(done: int, total: int) -> None:
        rate = done / max(time.monotonic() - began, 0.001)
        output.say(f"replayed {done:,} of at most {total:,}, {rate:,.0f}/s, {max(total - done, 0) / rate:,.0f} s to go")

    async with connected(settings) as redis:
        [account] = await chosen_accounts(redis, settings, account)
        found = await deliver(
            redis, AccountKeys(account), names, *span, SystemClock(), show  # type: ignore[arg-type]  # checked above
        )  # fmt: skip
    return {"account": account, **asdict(found), "seconds": round(time.monotonic() - began, 1)}
