"""Roles as processes: what is killed comes back and goes on, what is asked to stop drains, and no secret shows."""

import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest

from consumers.keyring import variables
from consumers.supervise import Supervisor, environment
from streams.keys import GATEWAYS
from streams.settings import AccountSettings, Settings
from tests.pipeline import Pipeline, Proxy, identities
from tests.support import process_ended

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]
START_S = 30.0


def _secret(pipeline: Pipeline) -> tuple[str, str]:
    told = next(one for one in pipeline.process.settings.accounts if one.name == pipeline.book)
    return told.api_key, told.secret


@asynccontextmanager
async def roles(pipeline: Pipeline, rest_url: str) -> AsyncIterator[Supervisor]:
    """One process per role of the account, up and listening."""
    account = AccountSettings(
        symbols=(pipeline.symbol,), venue="binance", rest_url=rest_url, stream_url=pipeline.process.ws_url,
        send_window_ms=1_000, request_timeout_ms=3_000, backfill_overlap_ms=2_000, lookup_lag_ms=200,
        request_lifetime_ms=200,
    )  # fmt: skip
    settings = Settings(
        accounts={pipeline.account: account}, gateways=1, claim_idle_ms=2_000, lease_ms=1_000, calm_ms=1_000,
        lookup_retry_max_ms=200, log_level="error",
    )  # fmt: skip
    key, secret = variables(pipeline.account)
    api_key, api_secret = _secret(pipeline)
    env = {**os.environ, key: api_key, secret: api_secret}
    supervisor = Supervisor(settings, pipeline.url, env, pipeline.clock)
    await supervisor.start()
    try:
        await pipeline.until(lambda: _up(pipeline), START_S)
        yield supervisor
    finally:
        await supervisor.stop()


async def _beats(pipeline: Pipeline) -> dict[str, dict[str, Any]]:
    rows: Any = await pipeline.redis.hgetall(pipeline.keys.roles)
    return {name.decode(): orjson.loads(beat) for name, beat in rows.items()}


async def _up(pipeline: Pipeline) -> bool:
    beats = await _beats(pipeline)
    wanted = {"gateway.0", "ledger.0", "listener.0", "resolver.0"}
    return wanted <= set(beats) and bool(beats["ledger.0"]["leads"]) and bool(beats["listener.0"]["current"])


async def test_roles_that_are_killed_come_back_and_nothing_is_lost_or_doubled(
    pipeline: Pipeline, capfd: pytest.CaptureFixture[str]
) -> None:
    """SIGKILL to every role with orders on their way; then a stop: the lease is given back and no secret was shown."""
    async with Proxy(pipeline.process.rest_url) as proxy, roles(pipeline, proxy.url) as supervisor:
        pids = {child.task.name: child.pid for child in supervisor.children}
        for pid in pids.values():
            _assert_hidden(_secret(pipeline), _arguments(pid))
        proxy.hold.clear()
        names = await pipeline.place(*(pipeline.terms() for _ in range(4)))
        await pipeline.until(lambda: proxy.held == 4)
        for pid in pids.values():
            os.kill(pid, signal.SIGKILL)
        proxy.hold.set()
        await pipeline.house("SELL", 2)
        await pipeline.until(lambda: supervisor.restarts == len(pids), START_S)
        names += await pipeline.place(*(pipeline.terms() for _ in range(2)))
        for name in names:
            await pipeline.status(name, "open", "filled", timeout_s=START_S)
        await pipeline.agreed(START_S)
        assert sorted(identities(await pipeline.venue_orders())) == sorted(names)
    lease = await pipeline.scripts.lease("take", "test", 1_000)
    assert lease.holder == "test"
    said = capfd.readouterr()
    _assert_hidden(_secret(pipeline), said.out + said.err)


async def test_a_gateway_that_is_asked_to_stop_settles_what_is_in_flight(pipeline: Pipeline) -> None:
    """SIGTERM with a request out: the answer is settled, its entry acknowledged, and the process ends by itself."""
    async with Proxy(pipeline.process.rest_url) as proxy, roles(pipeline, proxy.url) as supervisor:
        gateway = next(child for child in supervisor.children if child.task.role == "gateway")
        pid = gateway.pid
        proxy.hold.clear()
        [name] = await pipeline.place(pipeline.terms())
        await pipeline.until(lambda: proxy.held == 1)
        gateway._stopping = True  # so that it is not started again
        os.kill(pid, signal.SIGTERM)
        proxy.hold.set()
        await pipeline.until(lambda: process_ended(pid), START_S)
        assert gateway._process is not None
        assert await gateway._process.wait() == 0
        await pipeline.status(name, "open")
        assert await pipeline.pending(pipeline.keys.intents, GATEWAYS) == 0


IDLE = """
import asyncio, sys
from consumers import worker
from streams.measures import Measures

class Idle:
    def __init__(self):
        self.stopped = asyncio.Event()
    async def run(self):
        await self.stopped.wait()
    def stop(self):
        self.stopped.set()
    def figures(self):
        return {}
    def measures(self):
        return Measures()

async def fails():
    raise KeyError("a field that is not there")

async def build(shop):
    shop.background.append(fails)
    return Idle()

worker.build = build
sys.exit(worker.main(["ledger", "binance.main", "0"]))
"""


def test_a_role_whose_background_fails_ends_with_the_error_in_its_log(redis_url: str) -> None:
    """Exit code 1, so that its parent starts it whole again."""
    settings = Settings(accounts={"binance.main": AccountSettings(symbols=("BTC/USDT",))})
    command = [sys.executable, "-P", "-c", IDLE]
    ended = subprocess.run(
        command, env=environment(settings, redis_url, dict(os.environ)), capture_output=True, text=True,
        timeout=START_S, check=False,
    )  # fmt: skip
    assert (ended.returncode, "a field that is not there" in ended.stderr) == (1, True)


def test_a_role_whose_server_is_away_says_so_in_one_line_and_leaves_the_next_try_to_its_parent(tmp_path: Path) -> None:
    """Exit code 1, no traceback: what starts it again needs none."""
    account = AccountSettings(symbols=("BTC/USDT",), rest_url="http://127.0.0.1:1", stream_url="ws://127.0.0.1:1")
    settings = Settings(accounts={"binance.main": account})
    key, secret = variables("binance.main")
    env = environment(settings, f"unix://{tmp_path}/nobody.sock", {**os.environ, key: "x" * 32, secret: "y" * 32})
    command = [sys.executable, "-P", "-m", "consumers.worker", "gateway", "binance.main", "0"]
    ended = subprocess.run(command, env=env, capture_output=True, text=True, timeout=START_S, check=False)
    assert ended.returncode == 1
    [said] = [line for line in ended.stderr.splitlines() if '"error"' in line]
    assert "gateway.0 cannot start" in orjson.loads(said)["message"]
    assert "Traceback" not in ended.stderr + ended.stdout


def _arguments(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_bytes().decode()


def _assert_hidden(secrets: tuple[str, str], text: str) -> None:
    for secret in secrets:
        assert secret not in text
