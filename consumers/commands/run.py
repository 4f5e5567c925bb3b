"""`fillonce run`: the whole pipeline, or one role of it for processes of your own."""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer

from consumers.commands import output
from consumers.commands.connecting import (
    SIMULATED,
    address,
    connected,
    given_settings,
    only_account,
    settings_of,
)
from consumers.preflight import before_connecting, failed, refuse, server
from streams.errors import UsageError
from streams.settings import Settings

ROLES = ("gateway", "ledger", "listener", "resolver", "strategy")


def run(
    ctx: typer.Context,
    *,
    role: Annotated[
        str,
        typer.Argument(
            metavar="[ROLE]",
            help=f"One of {', '.join(ROLES)}; default all.",
            autocompletion=lambda incomplete: [one for one in ROLES if one.startswith(incomplete)],
        ),
    ] = "",
    account: Annotated[str, typer.Option(help="Only this account.")] = "",
    index: Annotated[int, typer.Option(min=0, max=63, help="Which of several gateways.")] = 0,
    strategy: Annotated[
        list[str],
        typer.Option(metavar="REF", help="A strategy to run too: module:attribute, or an installed one's name."),
    ] = [],  # noqa: B006 - typer reads it
    simulated: Annotated[
        bool,
        typer.Option("--simulated", help="Trade at a simulated venue, without keys; what it did goes with the next."),
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="State changes as JSON logs on standard error; one document at the end.")
    ] = False,
) -> int:
    """Run the pipeline until SIGTERM or Ctrl-C, then drain and stop.

    Without ROLE: the embedded server (unless redis_url is set) and all roles of all accounts;
    what crashes is started again. With ROLE: that role, in this process, on the server of
    redis_url or of a pipeline that runs already.

    \b
    Examples:
      fillonce run
      fillonce run --simulated --strategy my_pkg.mean_reversion:app
      fillonce run --strategy my_pkg.mean_reversion:app
      fillonce run strategy --strategy my_pkg.mean_reversion:app
      fillonce run gateway --account binance.main --index 2
      FILLONCE_REDIS_URL=redis://cache:6379/0 fillonce run ledger
    """  # noqa: D301 - \b tells the help to keep the lines
    # A strategy may join a simulation; everything else is for the venues that the settings name.
    settings = settings_of(ctx) if role == "strategy" else given_settings(ctx)
    if role and role not in ROLES:
        raise UsageError(f"There is no role {role}; use one of {', '.join(ROLES)}.")
    if simulated and role:
        raise UsageError("--simulated is for the whole pipeline; leave the role out.")
    if simulated:
        from consumers.commands import simulated as simulation

        settings = simulation.with_account(settings)
    if role in ("", "strategy"):
        settings = _with_strategies(settings, strategy)
    if role == "strategy":
        return _run_strategy(settings)
    if account or role:
        name = only_account(settings, account)
        settings = _narrowed(settings, name)
    if simulated:
        with simulation.simulated(settings, os.environ) as (led, env):
            return _run_all(led, env, as_json=as_json)
    if (Path(settings.data_dir) / SIMULATED).exists():
        raise UsageError(f"{settings.data_dir} has orders of a simulated venue; remove it, or use --simulated again.")
    refuse(before_connecting(settings, os.environ))
    return _run_role(role, name, index, settings) if role else _run_all(settings, os.environ, as_json=as_json)


def _run_all(settings: Settings, env: Mapping[str, str], *, as_json: bool) -> int:
    import uvloop

    from consumers.commands.pipeline import run_pipeline

    return uvloop.run(run_pipeline(settings, env, as_json=as_json))


def _with_strategies(settings: Settings, references: Sequence[str]) -> Settings:
    """Add strategies to those of the settings; each is looked for in a process of its own, as it will run.

    Raises:
        UsageError: one of them is not there, or cannot be imported.
    """
    import msgspec

    from consumers.strategist import CHECK, without_keys
    from consumers.supervise import environment

    settings = msgspec.structs.replace(settings, strategies=tuple(dict.fromkeys((*settings.strategies, *references))))
    env = without_keys(settings, environment(settings, settings.redis_url, os.environ))
    for one in settings.strategies:
        words = [sys.executable, "-P", "-m", "consumers.strategist", CHECK, one]
        said = subprocess.run(words, env=env, capture_output=True, text=True, check=False)
        if said.returncode:
            raise UsageError(said.stderr.strip().splitlines()[-1].rstrip(".") + ".")
    return settings


def _run_strategy(settings: Settings) -> int:
    import msgspec
    import uvloop

    from consumers.strategist import StrategyTask, work

    if len(settings.strategies) != 1:
        raise UsageError("Say which strategy with --strategy: one, in this process.")
    task = StrategyTask(reference=settings.strategies[0])

    async def main() -> int:
        async with connected(settings):  # a strategy that runs waits for its server; one that is started has one
            pass
        return await work(task, msgspec.structs.replace(settings, redis_url=address(settings)), os.environ)

    return uvloop.run(main())


def _narrowed(settings: Settings, account: str) -> Settings:
    import msgspec

    return msgspec.structs.replace(settings, accounts={account: settings.account(account)})


def _run_role(role: str, account: str, index: int, settings: Settings) -> int:
    import msgspec
    import uvloop

    from consumers.roles import RoleName, Task
    from consumers.worker import work

    task = Task(role=msgspec.convert(role, RoleName), account=account, index=index)

    async def main() -> int:
        async with connected(settings) as redis:
            wrong = failed(await server(redis, settings.accounts, settings.clock_skew_max_ms))
        if wrong:
            output.say(wrong[0].sentence)
            return output.WRONG
        code = await work(task, msgspec.structs.replace(settings, redis_url=address(settings)), os.environ)
        await _forget_beat(settings, account, task.name)
        return code

    return uvloop.run(main())


async def _forget_beat(settings: Settings, account: str, name: str) -> None:
    """Take back the beat of a role that stopped, so that `status` does not call it stale."""
    from redis.exceptions import RedisError

    from streams.errors import FillonceError
    from streams.keys import AccountKeys

    try:
        async with connected(settings) as redis:
            await redis.hdel(AccountKeys(account).roles, name)
    except (FillonceError, RedisError, OSError):
        return  # the server stopped before the role did
