"""`fillonce check` gives each finding a verdict and exits by the worst."""

import shutil

import orjson
import pytest

from streams.server import EmbeddedServer
from tests.commands import Shell, words

ACCOUNTS = orjson.dumps({"binance.main": {"symbols": ["BTC/USDT"], "environment": "testnet"}}).decode()
SECRET = "s3cr3t" * 6
KEYS = {"FILLONCE_KEY_BINANCE_MAIN": "k" * 32, "FILLONCE_SECRET_BINANCE_MAIN": SECRET}


@pytest.fixture
def shell(tmp_path):
    """A shell with one account and its keys, and no server."""
    return Shell(tmp_path, {"FILLONCE_ACCOUNTS": ACCOUNTS, **KEYS})


def verdicts(said) -> dict[str, str]:
    """Verdict by subject."""
    return {one["subject"]: one["verdict"] for one in said.json["checks"]}


def test_a_fit_server_and_good_settings_pass(shell, redis_url):
    """Every line is ok, or a warning, on the server of these tests; the exit code is 0; no secret is shown."""
    said = shell("check", "--json", env={"FILLONCE_REDIS_URL": redis_url})
    assert said.code == 0
    found = verdicts(said)
    assert set(found.values()) <= {"ok", "warn"}
    assert {"packages", "settings", "keys binance.main", "venue binance.main", "server", "scripts", "clock"} <= set(
        found
    )
    assert SECRET not in said.out + said.err
    shown = words(shell("check", env={"FILLONCE_REDIS_URL": redis_url}).out)
    assert "ok packages" in shown
    assert f"The server answers at {redis_url.partition('?')[0]}." in shown  # what a strategy of one's own connects to


def test_a_pipeline_that_does_not_run_yet_is_a_warning(shell):
    """Before the first `run` nothing is wrong: the server's program is looked at instead."""
    said = shell("check", "--json")
    assert said.code == 0
    assert (verdicts(said)["server"], verdicts(said)["server program"]) == ("warn", "ok")


def test_a_server_that_does_not_answer_fails(shell):
    """A server of the settings must answer."""
    said = shell("check", "--json", env={"FILLONCE_REDIS_URL": "redis://127.0.0.1:1"})
    assert (said.code, verdicts(said)["server"]) == (1, "fail")


def test_a_server_that_evicts_or_does_not_persist_fails(shell, tmp_path):
    """Eviction and a missing append-only file are each refused, and `run` refuses the same server in a sentence."""
    with EmbeddedServer(tmp_path / "s", extra={"maxmemory-policy": "allkeys-lru", "appendonly": "no"}) as server:
        env = {"FILLONCE_REDIS_URL": server.url}
        said = shell("check", "--json", env=env)
        assert said.code == 1
        assert (verdicts(said)["eviction"], verdicts(said)["durability"]) == ("fail", "fail")
        assert "maxmemory-policy is allkeys-lru" in shell("run", env=env).err
        role = shell("run", "ledger", env=env)
        assert role.code == 1
        assert "maxmemory-policy is allkeys-lru" in role.err


def test_missing_keys_and_an_unknown_venue_fail(shell):
    """Keys and venue fail each with their own line; `run` refuses the same with exit code 2."""
    env = {
        "FILLONCE_ACCOUNTS": orjson.dumps({"nowhere.main": {"symbols": ["BTC/USDT"]}}).decode(),
    }
    said = shell("check", "--json", env=env)
    assert said.code == 1
    assert (verdicts(said)["keys nowhere.main"], verdicts(said)["venue nowhere.main"]) == ("fail", "fail")
    assert shell("run", env=env).code == 2


def test_settings_that_cannot_be_used_are_a_verdict_and_exit_2(shell):
    """Broken settings are one failing line, and bad settings exit 2 as everywhere."""
    said = shell("check", "--json", env={"FILLONCE_ACCOUNTS": "{"})
    assert said.code == 2
    assert verdicts(said)["settings"] == "fail"


def test_a_package_of_somebody_else_is_found(shell, tmp_path):
    """A package `adapters` that Python finds before ours is told, not run into."""
    strange = tmp_path / "strange" / "lua"
    strange.mkdir(parents=True)
    (strange / "__init__.py").write_text("")
    said = shell("check", "--json", env={"PYTHONPATH": str(strange.parent)})
    shutil.rmtree(strange)
    assert said.code == 1
    assert verdicts(said)["packages"] == "fail"


def test_a_venue_without_client_order_ids_is_refused_by_name(shell, tmp_path):
    """A custom venue that declares room for none: `check` fails, and `run` refuses the account in a sentence."""
    (tmp_path / "nameless.py").write_text(
        "from msgspec.structs import replace\n"
        "from adapters.binance.plug import PLUG as BINANCE\n"
        "rule = replace(BINANCE.facts.id_rule, length_max=0, prefix='')\n"
        "PLUG = replace(BINANCE, facts=replace(BINANCE.facts, id_rule=rule))\n"
    )
    account = {"symbols": ["BTC/USDT"], "venue": "nameless:PLUG", "environment": "testnet"}
    env = {
        "FILLONCE_ACCOUNTS": orjson.dumps({"nameless.main": account}).decode(), "PYTHONPATH": str(tmp_path),
        "FILLONCE_KEY_NAMELESS_MAIN": "k", "FILLONCE_SECRET_NAMELESS_MAIN": "s",
    }  # fmt: skip
    said = shell("check", "--json", env=env)
    assert (said.code, verdicts(said)["identity nameless.main"]) == (1, "fail")
    for command in (("run",), ("run", "gateway")):
        refused = shell(*command, env=env)
        assert refused.code == 2
        assert refused.err == (
            "The venue of nameless.main takes no client order ids, so a lost order cannot be told from one that was "
            "never sent; trade at a venue that takes them.\n"
        )
