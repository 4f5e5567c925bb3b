"""`fillonce check`: settings, keys, server, scripts and packages, each with a verdict."""

import asyncio
import os
from typing import Annotated

import typer

from consumers.commands import output
from consumers.commands.connecting import address, client, ping, settings_of
from consumers.preflight import Verdict, before_connecting, embedded, failed, packages, server
from streams.errors import FillonceError, ServerError, UsageError
from streams.settings import Settings


def check(
    ctx: typer.Context,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")] = False,
) -> int:
    """Check settings, keys, server, scripts and packages; exit code 1 when anything fails.

    \b
    Examples:
      fillonce check
      fillonce --settings prod.toml check --json
    """  # noqa: D301 - \b tells the help to keep the lines
    code = output.WRONG
    try:
        settings = settings_of(ctx)
    except UsageError as error:
        verdicts, code = [packages(), Verdict("settings", "fail", str(error))], output.USAGE
    else:
        verdicts = before_connecting(settings, os.environ) + asyncio.run(_server(settings))
    if as_json:
        rows = [{"subject": one.subject, "verdict": one.level, "sentence": one.sentence} for one in verdicts]
        output.document({"ok": not failed(verdicts), "checks": rows})
    else:
        shown = [(one.level, one.subject, one.sentence) for one in verdicts]
        output.show(output.table("", ["verdict", "what", "finding"], shown))
    return code if failed(verdicts) else output.DONE


async def _server(settings: Settings) -> list[Verdict]:
    from redis.exceptions import RedisError

    from streams.connection import shown

    try:
        redis = client(settings)
        try:
            await ping(redis, settings)
            found = await server(redis, settings.accounts, settings.clock_skew_max_ms)
            return [Verdict("server", "ok", f"The server answers at {shown(address(settings))}."), *found]
        finally:
            await redis.aclose()
    except ServerError as error:
        # Nothing is wrong with a pipeline that was not started yet.
        return [Verdict("server", "warn", str(error)), embedded()]
    except FillonceError as error:
        return [Verdict("server", "fail", str(error))]
    except (RedisError, OSError) as error:
        return [Verdict("server", "fail", f"The server stopped answering ({type(error).__name__}).")]
