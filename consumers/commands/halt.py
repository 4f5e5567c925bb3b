"""`fillonce halt` and `fillonce resume`: stop an account's claims, and let them go on."""

import asyncio
import getpass
from typing import Annotated

import typer

from consumers.commands import output
from consumers.commands.connecting import connected, only_account, settings_of
from streams.settings import Settings

Reason = Annotated[str, typer.Option(help="Why; it stays in the journal with who and when.")]
Account = Annotated[str, typer.Option(help="Which account; default the only one.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")]


def halt(
    ctx: typer.Context,
    *,
    reason: Reason,
    account: Account = "",
    wait: Annotated[bool, typer.Option(help="Wait until nothing claimed before can still go out.")] = True,
    as_json: AsJson = False,
) -> int:
    """Stop an account's claims; cancels go on, intents wait and expire.

    Returns when no send window that was open can still be used; with --no-wait at once, and claims made before may
    still go out within their window.

    \b
    Examples:
      fillonce halt --reason "wrong price feed"
      fillonce halt --account binance.main --reason maintenance --no-wait
    """  # noqa: D301 - \b tells the help to keep the lines
    settings = settings_of(ctx)
    name = only_account(settings, account)
    window_ms = settings.accounts[name].send_window_ms if name in settings.accounts else 60_000
    at_ms = asyncio.run(_switch(settings, name, "halt", reason, window_ms if wait else 0))
    return _tell({"account": name, "trading": "halted", "reason": reason, "at_ms": at_ms}, as_json=as_json)


def resume(ctx: typer.Context, *, reason: Reason, account: Account = "", as_json: AsJson = False) -> int:
    """Let an account's claims go on.

    \b
    Examples:
      fillonce resume --reason "price feed is right again"
    """  # noqa: D301 - \b tells the help to keep the lines
    settings = settings_of(ctx)
    name = only_account(settings, account)
    at_ms = asyncio.run(_switch(settings, name, "resume", reason, 0))
    return _tell({"account": name, "trading": "trading", "reason": reason, "at_ms": at_ms}, as_json=as_json)


async def _switch(settings: Settings, account: str, action: str, reason: str, wait_ms: int) -> int:
    from streams.keys import AccountKeys
    from streams.scripts import Scripts

    async with connected(settings) as redis:
        scripts = Scripts(redis, AccountKeys(account))
        at_ms = await scripts.halt("halt" if action == "halt" else "resume", reason, getpass.getuser())
    # A claim's window is fixed when it is made, and none is made after the script returned.
    await asyncio.sleep(wait_ms / 1000)
    return at_ms


def _tell(done: dict[str, object], *, as_json: bool) -> int:
    if as_json:
        output.document(done)
    else:
        output.show(f"{done['account']}: {done['trading']}")
    return output.DONE
