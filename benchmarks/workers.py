"""The settings of roles under measurement, and their processes as an operator starts them."""

import asyncio
import os
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

import orjson
from redis.asyncio import Redis

from adapters.simulated.process import SimulatedVenue
from benchmarks.ground import ACCOUNT, TIMEOUT_MS
from consumers.keyring import variables
from consumers.roles import Task, Workshop
from consumers.supervise import environment
from streams.keys import AccountKeys
from streams.settings import AccountSettings, Settings

START_S: Final = 60
LOOK_S: Final = 0.01


def settings(
    url: str, account: str = ACCOUNT, *, rest_url: str = "", stream_url: str = "", order_url: str = "", **changes: Any
) -> Settings:
    """Make the default settings of one account, but for `changes`; the addresses are the venue's.

    With an `order_url` orders go by websocket. Without any address nobody is asked: the ledger needs none.
    """
    where = AccountSettings(
        symbols=("BTC/USDT",), rest_url=rest_url, stream_url=stream_url, order_url=order_url,
        order_entry="ws" if order_url else "rest", environment="" if rest_url else "testnet",
    )  # fmt: skip
    return Settings(redis_url=url, redis_timeout_ms=TIMEOUT_MS, accounts={account: where}, **changes)


def env_of(chosen: Settings, venue: SimulatedVenue) -> dict[str, str]:
    """Make the environment of a role: the settings, and the key of its account at the simulated venue."""
    [account] = chosen.accounts
    held = next(one for one in venue.settings.accounts if one.name == account)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("FILLONCE_")}
    keys = dict(zip(variables(account), (held.api_key, held.secret), strict=True))
    return environment(chosen, chosen.redis_url, {**kept, **keys})


async def learn_limits(chosen: Settings, env: Mapping[str, str]) -> None:
    """Ask the venue what it allows, as the resolver does before anybody trades: what is declared may be far less."""
    [account] = chosen.accounts
    shop = Workshop(Task(role="resolver", account=account), chosen, env)
    try:
        venue = await shop.venue()
        await venue.instruments()
    finally:
        await shop.close()


@asynccontextmanager
async def worker(task: Task, env: Mapping[str, str], redis: Redis) -> AsyncIterator[int]:
    """Run one role until the end of the block; yields its process id when it is up."""
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(  # noqa: ASYNC220 - takes a millisecond
            [sys.executable, "-P", "-m", "consumers.worker", task.role, task.account, str(task.index)],
            env=dict(env), stdin=subprocess.DEVNULL, stdout=errors, stderr=errors, start_new_session=True,
        )  # fmt: skip
        try:
            async with asyncio.timeout(START_S):
                while not await _up(task, redis):
                    if process.poll() is not None:
                        errors.seek(0)
                        raise RuntimeError(f"{task.name} ended: {errors.read()[-2000:].decode(errors='replace')}")
                    await asyncio.sleep(LOOK_S)
            yield process.pid
        finally:
            process.kill()
            process.wait()


async def _up(task: Task, redis: Redis) -> bool:
    """Whether its heart beats; a listener must also be subscribed and have filled its gap."""
    beat: Any = await redis.hget(AccountKeys(task.account).roles, task.name)
    return beat is not None and bool(orjson.loads(beat).get("current", True))
