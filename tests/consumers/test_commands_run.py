"""`fillonce run`: a whole pipeline as processes, started, watched, hurt and stopped from outside."""

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from adapters.simulated.process import SimulatedVenue, local_settings
from streams.keys import AccountKeys
from streams.server import EmbeddedServer
from tests.commands import Shell
from tests.scrape import fetch, samples
from tests.support import process_ended, wait_until

pytestmark = pytest.mark.slow

ACCOUNT = "binance.main"
KEYS = AccountKeys(ACCOUNT)
ROLES = {"gateway.0", "ledger.0", "listener.0", "resolver.0"}
START_S = 30.0


@pytest.fixture(scope="module")
def venue() -> Iterator[SimulatedVenue]:
    """A simulated venue as a process of its own."""
    balances = {"BTC": Decimal(100), "ETH": Decimal(1_000), "USDT": Decimal(10_000_000)}
    with SimulatedVenue(local_settings([ACCOUNT], balances)) as running:
        yield running


@pytest.fixture
def make_shell(venue, tmp_path):
    """Shells whose settings file names the venue; keys stand in a file of the owner's."""

    def make(folder: Path = tmp_path) -> Shell:
        (folder / "fillonce.toml").write_text(
            f"""
            data_dir = "data"
            gateways = 1
            claim_idle_ms = 2000
            [accounts."{ACCOUNT}"]
            symbols = ["BTC/USDT", "ETH/USDT"]
            rest_url = "{venue.rest_url}"
            stream_url = "{venue.ws_url}"
            credentials_file = "keys.json"
            send_window_ms = 1000
            lookup_lag_ms = 200
            request_lifetime_ms = 200
            """
        )
        held = venue.settings.accounts[0]
        file = folder / "keys.json"
        file.touch(mode=0o600)
        file.write_text(json.dumps({"api_key": held.api_key, "api_secret": held.secret}))
        return Shell(folder)

    return make


class Pipeline:
    """A pipeline that runs, seen from outside."""

    def __init__(self, shell: Shell, process: subprocess.Popen[bytes]) -> None:
        self.shell, self.process = shell, process
        self.redis = Redis.from_url(EmbeddedServer(shell.folder / "data").url)

    def status(self) -> Any:
        """The only account's figures."""
        [one] = self.shell("status", "--json").json["accounts"]
        return one

    def role(self, name: str) -> Any:
        """One role's line of status."""
        return next((one for one in self.status()["roles"] if one["role"] == name), {"pid": 0, "restarts": 0})

    def ready(self) -> bool:
        """Whether every role beats and the gate is open."""
        assert self.process.poll() is None, self.shell.written("run")
        said = self.shell.written("run")
        return f"{ACCOUNT}: the gate is open" in said and all(f"{ACCOUNT} {role}: works" in said for role in ROLES)

    def publish(self, signal_id: str, *flags: str) -> str:
        """Publish a market order; its client order id."""
        said = self.shell(
            "publish", "--strategy", "me", "--signal-id", signal_id, "--signal-time", "now", "--symbol", "BTC/USDT",
            "--side", "buy", "--type", "market", "--quantity", "0.01", *flags, "--json",
        )  # fmt: skip
        assert said.code == 0, said
        return str(said.json["answers"][0]["client_order_id"])

    def state(self, client_order_id: str) -> str:
        """An order's status as stored."""
        stored: Any = self.redis.hget(KEYS.order(client_order_id), "status")
        return stored.decode() if stored else ""


@pytest.fixture
def pipeline(make_shell) -> Iterator[Pipeline]:
    """A pipeline that is ready to trade."""
    shell = make_shell()
    with shell.started("run") as process:
        running = Pipeline(shell, process)
        wait_until(running.ready, START_S)
        yield running
        running.redis.close()
        if process.poll() is None:
            process.terminate()
            assert process.wait(30) == 0, shell.written("run")


def test_an_intent_becomes_a_fill_and_everything_says_so(pipeline, venue):
    """One settings file: published, filled, in the position and in status; a second pipeline is refused;
    neither key nor secret is in any output, log, stream, file or process title."""  # noqa: D205, D209 - one specification
    order = pipeline.publish("s1")
    wait_until(lambda: pipeline.state(order) == "filled")
    [one] = pipeline.shell("orders", order, "--json").json["orders"]
    assert (one["status"], one["filled"]) == ("filled", "0.01")
    [held] = pipeline.shell("positions", "--json").json["positions"]
    assert Decimal(held["quantity"]) == Decimal("0.01") - Decimal(held["fees"].get("BTC", 0))
    figures = pipeline.status()
    assert figures["gate"]["open"]
    assert {role["role"] for role in figures["roles"]} == {*ROLES, "supervisor"}
    assert not any(role["stale"] for role in figures["roles"])

    second = pipeline.shell("run")
    assert second.code == 1
    assert second.err.startswith(f"Another pipeline (pid {pipeline.process.pid}) already runs on ")

    shown = [pipeline.shell(*words) for words in (("status",), ("check",), ("orders",), ("status", "--json"))]
    everything = pipeline.shell.written("run") + second.out + second.err + "".join(one.out + one.err for one in shown)
    files = b"".join(one.read_bytes() for one in (pipeline.shell.folder / "data").rglob("*") if one.is_file())
    titles = b"".join(_title(one) for one in Path("/proc").glob("[0-9]*"))
    assert ACCOUNT.encode() in files
    assert b"consumers.worker" in titles
    for secret in (venue.settings.accounts[0].secret, venue.settings.accounts[0].api_key):
        assert secret not in everything
        assert secret.encode() not in files
        assert secret.encode() not in titles


def test_what_is_killed_comes_back_and_is_counted(pipeline):
    """A role and the embedded server, killed with SIGKILL, are started again; status counts both; trading goes on."""
    killed = pipeline.role("ledger.0")["pid"]
    os.kill(killed, signal.SIGKILL)
    wait_until(lambda: pipeline.role("ledger.0")["pid"] not in (0, killed), START_S)
    wait_until(lambda: pipeline.role("ledger.0")["restarts"] == 1, START_S)  # the supervisor tells it in its own beat
    assert "ledger.0 ended with signal SIGKILL; it is started again" in pipeline.shell.written("run")

    os.kill(pipeline.redis.info("server")["process_id"], signal.SIGKILL)
    wait_until(lambda: pipeline.shell.written("run").count(f"{ACCOUNT}: the gate is open") == 2, START_S)
    wait_until(lambda: pipeline.role("supervisor")["restarts"] == 1, START_S)
    order = pipeline.publish("after")
    wait_until(lambda: pipeline.state(order) == "filled", START_S)


@pytest.mark.timeout(120)
def test_a_strategy_runs_beside_the_pipeline_and_outlives_a_kill_and_the_server(make_shell):
    """`new`, `run --strategy`: every entry is answered with its exit, status shows and counts the process, and each
    process serves its metrics."""  # noqa: D205, D209 - one specification
    shell = make_shell()
    shell.env["FILLONCE_METRICS"] = "127.0.0.1:0"
    assert shell("new", "strategy", "follower").code == 0
    with shell.started("run", "--strategy", "follower:app") as process:
        pipeline = Pipeline(shell, process)
        wait_until(pipeline.ready, START_S)
        wait_until(lambda: pipeline.role("strategy.follower:app")["pid"], START_S)

        def entered(signal_id: str) -> None:
            pipeline.publish(signal_id, "--strategy", "follower")

        def exits() -> int:
            listed = shell("orders", "--json").json["orders"]
            return sum(one["strategy"] == "follower" and one["side"] == "sell" for one in listed)

        entered("first")
        wait_until(lambda: exits() == 1, START_S)
        os.kill(pipeline.role("strategy.follower:app")["pid"], signal.SIGKILL)
        entered("second")
        wait_until(lambda: exits() == 2, START_S)
        wait_until(lambda: pipeline.role("strategy.follower:app")["restarts"] == 1, START_S)
        os.kill(pipeline.redis.info("server")["process_id"], signal.SIGKILL)
        wait_until(lambda: shell.written("run").count(f"{ACCOUNT}: the gate is open") == 2, START_S)
        entered("third")
        wait_until(lambda: exits() == 3, START_S)
        figures = pipeline.role("strategy.follower:app")["figures"]
        assert (figures["quarantined"], figures["snapshots"]) == (0, 2)
        served = {one["role"]: one["figures"]["metrics"] for one in pipeline.status()["roles"] if one["role"] in ROLES}
        served["strategy.follower:app"] = figures["metrics"]
        assert served.keys() - ROLES == {"strategy.follower:app"}
        assert {fetch(address, "/healthz")[0] for address in served.values()} == {200}
        wait_until(lambda: {fetch(address, "/readyz")[0] for address in served.values()} == {200}, START_S)

        def scraped() -> dict[tuple[str, ...], float]:
            pages = [fetch(address, "/metrics")[1] for address in served.values()]
            return {name: value for page in pages for name, value in samples(page).items()}

        def orders(found: dict[tuple[str, ...], float]) -> dict[str, float]:
            return {name[-1]: value for name, value in found.items() if name[0] == "fillonce_orders"}

        wait_until(lambda: orders(scraped()) == pipeline.status()["orders"]["by_status"], START_S)
        found = scraped()
        assert found["fillonce_claim_to_socket_seconds_count", ACCOUNT, "gateway.0"] == 6
        assert found["fillonce_frame_to_commit_seconds_count", ACCOUNT, "ledger.0"] > 0
        assert found["fillonce_reconcile_age_seconds", ACCOUNT, "resolver.0"] >= 0
        assert found["fillonce_stream_age_seconds", ACCOUNT, "resolver.0"] >= 0
        assert found["fillonce_figure", ACCOUNT, "strategy.follower:app", "handled"] > 0
        shown = {one["budget"]: one["limit"] for one in pipeline.status()["budgets"]}
        left = {name[3]: value for name, value in found.items() if name[0] == "fillonce_rate_budget_left"}
        assert left.keys() == shown.keys() >= {"orders/10s", "orders/1d"}
        assert all(0 < left[name] <= limit for name, limit in shown.items())
        assert any(name[0] == "faststream_received_processed_messages_total" for name in found)
        pipeline.redis.close()
        process.terminate()
        assert process.wait(30) == 0


def test_a_role_by_name_joins_a_pipeline_that_runs(pipeline):
    """`run gateway --index 5` works beside the others in a process of its own, and leaves no stale beat behind."""
    with pipeline.shell.started("--settings", "fillonce.toml", "run", "gateway", "--index", "5") as role:
        wait_until(lambda: pipeline.role("gateway.5")["pid"] == role.pid, START_S)
        role.terminate()
        assert role.wait(30) == 0
    assert pipeline.role("gateway.5")["pid"] == 0


def test_sigterm_drains_and_hands_the_lease_back(pipeline):
    """After SIGTERM the exit code is 0, nothing of it runs any more, and the lease is free for the next leader."""
    order = pipeline.publish("last")
    wait_until(lambda: pipeline.state(order) == "filled")
    pids = [role["pid"] for role in pipeline.status()["roles"]]
    pids.append(pipeline.redis.info("server")["process_id"])
    pipeline.process.terminate()
    assert pipeline.process.wait(30) == 0
    assert all(process_ended(pid) for pid in pids)
    assert pipeline.shell.written("run").count("is down") == len(ROLES)
    with EmbeddedServer(pipeline.shell.folder / "data") as server, Redis.from_url(server.url) as redis:
        assert redis.hget(KEYS.control, "ledger_until") == b"0"
        assert redis.hlen(KEYS.roles) == 0
        assert redis.xpending(KEYS.intents, "gateways")["pending"] == 0


def test_ctrl_c_during_the_start_stops_everything(make_shell):
    """SIGINT before the roles are up ends with 130, no trace, no process and a directory that is free again."""
    shell = make_shell()
    with shell.started("run", "--json") as process:
        wait_until(lambda: "the embedded server is up" in shell.written("run"), START_S)
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130
    said = (shell.folder / "run.out").read_text()
    assert json.loads(said)["signal"] == signal.SIGINT
    assert all(line.startswith("{") for line in (shell.folder / "run.err").read_text().splitlines())
    with EmbeddedServer(shell.folder / "data"):
        pass


def _title(process: Path) -> bytes:
    try:
        return (process / "cmdline").read_bytes()
    except OSError:
        return b""  # it ended meanwhile
