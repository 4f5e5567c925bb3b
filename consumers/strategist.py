"""One strategy as one process: found by name, run beside the pipeline, and seen by `status`.

The process is the user's: whatever it does, it can block, flood or end nobody but itself. It gets the settings and no
venue's key, and begins where the strategy's own consumer group stands.
"""

import asyncio
import importlib
import logging
import os
import socket
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import entry_points
from typing import Any, Literal

import orjson
import uvloop
from faststream import FastStream
from faststream.redis.prometheus import RedisPrometheusMiddleware
from msgspec import Struct
from redis.asyncio import Redis
from redis.exceptions import RedisError

from consumers import logs
from consumers.endpoint import Endpoint
from consumers.keyring import known_secrets, passphrase_variable, variables
from consumers.probing import strategy_probe
from streams.clock import SystemClock
from streams.connection import connect
from streams.errors import UsageError
from streams.host import Host
from streams.keys import AccountKeys
from streams.parent import alive, end_with_parent
from streams.settings import Settings, read
from streams.strategy import Strategy
from streams.tasks import end

GROUP = "fillonce.strategies"
CHECK = "--check"
HEARTBEAT_MS = 500
# What a handler is at when it is stopped is delivered again, so nobody has to wait long for one that does not end.
DRAIN_S = 4

log = logging.getLogger("fillonce.strategist")


class StrategyTask(Struct, frozen=True, kw_only=True):
    """Which strategy a process runs.

    Attributes:
        reference: `module:attribute`, or the name of an entry point.
        account: empty, because a strategy may trade on several.
    """

    reference: str
    role: Literal["strategy"] = "strategy"
    account: str = ""

    @property
    def name(self) -> str:
        """The name it beats under."""
        return f"strategy.{self.reference}"

    @property
    def arguments(self) -> Sequence[str]:
        """What Python is started with."""
        return ("consumers.strategist", self.reference)


def find(reference: str) -> Strategy:
    """Find a strategy: `module:attribute` in the current directory or installed, or an entry point's name.

    Raises:
        UsageError: with the sentence that says what is not there.
    """
    module, colon, attribute = reference.partition(":")
    if not colon:
        named = {one.name: one for one in entry_points(group=GROUP)}
        if reference not in named:
            known = ", ".join(sorted(named)) or "none"
            raise UsageError(f"No strategy {reference}: write module:attribute, or an installed one ({known}).")
        module, _, attribute = named[reference].value.partition(":")
    here = os.getcwd()  # noqa: PTH109 - sys.path takes texts
    if here not in sys.path:
        sys.path.append(here)  # last, so that nothing there stands in for a module of ours
    try:
        found: Any = importlib.import_module(module)
        for name in attribute.split("."):
            found = getattr(found, name)
    except ModuleNotFoundError as error:
        raise UsageError(f"Strategy {reference}: there is no module {error.name} in {here} or installed.") from None
    except AttributeError as error:
        raise UsageError(f"Strategy {reference}: {error}.") from error
    except Exception as error:
        raise UsageError(f"Strategy {reference} cannot be imported: {type(error).__name__}: {error}.") from error
    if not isinstance(found, Strategy):
        raise UsageError(f"Strategy {reference} is a {type(found).__name__}, not a streams.Strategy.")
    return found


def chosen_accounts(strategy: Strategy, settings: Settings) -> Sequence[str]:
    """List where a strategy trades: where it says, else every account of the settings.

    Raises:
        UsageError: it names an account that the settings do not have.
    """
    for one in strategy.accounts:
        settings.account(one)
    found = strategy.accounts or tuple(settings.accounts)
    if not found:
        raise UsageError(f"Strategy {strategy.name} has no account to trade on: add one to the settings.")
    return found


def without_keys(settings: Settings, env: Mapping[str, str]) -> dict[str, str]:
    """Take the venues' keys out of an environment: a strategy publishes intents, it never signs."""
    secret = {name for one in settings.accounts for name in (*variables(one), passphrase_variable(one))}
    return {name: value for name, value in env.items() if name not in secret}


async def work(task: StrategyTask, settings: Settings, env: Mapping[str, str]) -> int:
    """Run one strategy until SIGTERM, SIGINT or its own failure.

    Returns:
        Exit code: 0 after a stop that was asked for, 1 after a failure.
    """
    logs.set_up(task.name, settings.log_level, known_secrets(settings, env))
    strategy = find(task.reference)
    accounts = chosen_accounts(strategy, settings)
    host = Host(
        strategy, settings.redis_url, accounts, SystemClock(), settings.redis_timeout_ms,
        intents_per_second_max=settings.strategy_intents_per_second_max,
    )  # fmt: skip
    heart = connect(settings.redis_url, name=f"{task.name}-heartbeat", timeout_ms=settings.redis_timeout_ms)
    if pid := await _other(heart, task, accounts):
        await heart.aclose()
        await host.close()
        log.error("%s runs already (pid %d); stop it first: two would share one place in the journal", task.name, pid)
        return 1
    probes = [strategy_probe(host, heart, one, task.name, strategy) for one in accounts]
    endpoint = Endpoint(probes, host.measures, settings)
    if settings.metrics:
        host.broker.add_middleware(RedisPrometheusMiddleware(registry=endpoint.registry, app_name=strategy.name))
    app, failed = FastStream(host.broker, logger=None), asyncio.Event()
    running: list[asyncio.Task[None]] = []

    def ended(done: asyncio.Task[None]) -> None:
        if not done.cancelled() and (error := done.exception()) is not None:
            log.error("%s failed: %s", task.name, error, exc_info=error)
            failed.set()
            app.exit()

    def said(account: str) -> Mapping[str, Any]:
        served = {"metrics": endpoint.address} if endpoint.address else {}
        return {"strategy": strategy.name, **host.figures(account), **served}

    @app.after_startup
    async def start() -> None:
        await endpoint.open()
        main = asyncio.create_task(host.run())
        main.add_done_callback(ended)
        running.extend([main, asyncio.create_task(_beat(heart, task, said, accounts))])
        log.info("%s is up", task.name)

    @app.on_shutdown
    async def stop() -> None:
        host.stop()
        if running:
            await asyncio.wait(running[:1], timeout=DRAIN_S)
        await end(running)
        await endpoint.close()
        await _last_beat(heart, task, accounts)
        await heart.aclose()
        log.info("%s is down", task.name)

    await app.run(sleep_time=0.05)
    await host.close()
    return 1 if failed.is_set() else 0


async def _other(redis: Redis, task: StrategyTask, accounts: Sequence[str]) -> int:
    """Process id of another one that runs the same strategy; 0 when there is none, or only its last words."""
    first = await _told(redis, task, accounts)
    if not first or (first.get("host") == socket.gethostname() and not alive(int(first["pid"]))):
        return 0
    await asyncio.sleep(2 * HEARTBEAT_MS / 1000)
    second = await _told(redis, task, accounts)
    return int(second["pid"]) if second.get("at_ms", 0) > first["at_ms"] else 0


async def _told(redis: Redis, task: StrategyTask, accounts: Sequence[str]) -> dict[str, Any]:
    try:
        beat = await redis.hget(AccountKeys(accounts[0]).roles, task.name)
        found: dict[str, Any] = orjson.loads(beat) if beat else {}
    except (RedisError, OSError, orjson.JSONDecodeError):
        return {}
    return found


async def _beat(
    redis: Redis, task: StrategyTask, said: Callable[[str], Mapping[str, Any]], accounts: Sequence[str]
) -> None:
    """Say that the process lives, on its own loop: a handler that blocks it is seen as a beat that fails to come."""
    started_ms = time.time_ns() // 1_000_000
    while True:
        try:
            seconds, micros = await redis.time()
            for account in accounts:
                beat = {
                    "pid": os.getpid(), "host": socket.gethostname(), "started_ms": started_ms,
                    "at_ms": int(seconds) * 1000 + int(micros) // 1000, **said(account),
                }  # fmt: skip
                await redis.hset(AccountKeys(account).roles, task.name, orjson.dumps(beat).decode())
        except (RedisError, OSError):
            log.debug("no heartbeat")
        await asyncio.sleep(HEARTBEAT_MS / 1000)


async def _last_beat(redis: Redis, task: StrategyTask, accounts: Sequence[str]) -> None:
    try:
        for account in accounts:
            await redis.hdel(AccountKeys(account).roles, task.name)
    except (RedisError, OSError):
        log.debug("no goodbye")


def main(arguments: Sequence[str]) -> int:
    """Run `python -m consumers.strategist [--check] REFERENCE`; settings come from the environment alone."""
    end_with_parent()
    try:
        settings = read("", os.environ)
        if arguments[0] == CHECK:
            chosen_accounts(find(arguments[1]), settings)
            return 0
        return uvloop.run(work(StrategyTask(reference=arguments[0]), settings, os.environ))
    except UsageError as error:
        sys.stderr.write(f"{error}\n")
        return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
