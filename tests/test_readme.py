"""The README tells the truth: every command in it is run, its Python runs, its tables name what there is."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from adapters.simulated.process import SimulatedVenue, local_settings
from streams.server import EmbeddedServer
from streams.settings import AccountSettings, Settings
from tests.commands import Shell
from tests.support import wait_until

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
ACCOUNT = "binance.main"
pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

# `make test` is what runs this very test; its recipe is looked at instead.
NOT_RUN_AGAIN = {"make test": ["make", "-n", "test"], "make check": ["make", "-n", "check"]}


def _blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


def _commands() -> list[str]:
    return [line for block in _blocks("sh") for line in block.splitlines() if line.strip()]


@pytest.fixture(scope="module")
def venue() -> Iterator[SimulatedVenue]:
    """A simulated venue where the README names the testnet."""
    balances = {"BTC": Decimal(100), "ETH": Decimal(1_000), "USDT": Decimal(10_000_000)}
    with SimulatedVenue(local_settings([ACCOUNT], balances)) as running:
        yield running


@pytest.fixture(scope="module")
def shell(venue: SimulatedVenue, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    """A folder with the README's settings file, a pipeline running on it."""
    folder = tmp_path_factory.mktemp("readme")
    [settings] = _blocks("toml")
    here = f'rest_url = "{venue.rest_url}"\nstream_url = "{venue.ws_url}"'
    settings, found = re.subn(r'environment = "testnet"', here, settings)
    assert found == 1
    (folder / "fillonce.toml").write_text(settings)
    held = venue.settings.accounts[0]
    [export] = [line for line in _commands() if line.startswith("export ")]
    key, secret = re.findall(r"(\w+)=\.\.\.", export)
    made = Shell(folder, {key: held.api_key, secret: held.secret})
    with made.started("run") as process:
        wait_until(lambda: made("status", "--json").code == 0, 30)
        wait_until(lambda: _ready(made), 60)
        yield made
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def _ready(shell: Shell) -> bool:
    said = shell("status", "--json").json
    return all(name in json.dumps(said) for name in ("gateway.0", "gateway.1", "ledger.0", "listener.0", "resolver.0"))


@pytest.mark.parametrize("command", [line for line in _commands() if line.startswith("fillonce ")])
def test_every_command_of_the_readme_does_what_it_says(command: str, shell: Shell) -> None:
    """In the README's own order, against its own settings; `run` is the pipeline that the others find."""
    words = shlex.split(command)[1:]
    if words == ["run"]:
        assert "gateway" in shell.written("run")
        return
    if words[:2] == ["run", "strategy"]:
        with shell.started(*words):
            wait_until(lambda: f"strategy.{words[-1]}" in shell("status").out, 30)
        return
    said = shell(*words)
    assert said.code == 0, said
    if words[0] == "publish":
        wait_until(lambda: "filled" in shell("orders").out, 30)


@pytest.mark.parametrize("command", [line for line in _commands() if line.startswith("make")])
def test_every_make_target_of_the_readme_works(command: str) -> None:
    """`make demo` is run as it stands, and ends well."""
    words = NOT_RUN_AGAIN.get(command, shlex.split(command))
    env = {name: value for name, value in os.environ.items() if not name.startswith(("FILLONCE_", "MAKE", "MFLAGS"))}
    done = subprocess.run(words, cwd=ROOT, env=env, capture_output=True, text=True, timeout=170, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]


def test_every_command_of_the_readme_is_of_a_kind_that_is_run() -> None:
    """A new kind of line would be noticed."""
    assert {line.split()[0] for line in _commands()} == {"make", "export", "fillonce"}


def test_the_strategy_of_the_readme_publishes(shell: Shell) -> None:
    """The Python block runs as it stands and prints the receipt; the second time it is a duplicate or refused."""
    block = _blocks("python")[0]
    url = EmbeddedServer(shell.folder / ".fillonce").url
    program = block + f"\n\nasyncio.run(main({url!r}))\n"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("fo-")
    assert " False " in done.stdout


@pytest.mark.timeout(60)
def test_the_strategy_of_the_readme_reacts(fillonce: Any) -> None:
    """The second Python block as it stands: what it bought it offers again."""
    names: dict[str, Any] = {}
    exec(_blocks("python")[1], names)  # noqa: S102 - what a reader would type
    fillonce.run(names["app"])
    fillonce.house("SELL", 1, price=60_000)
    fillonce.place(strategy="mean_reversion", side="buy", type="limit", quantity=1, price=60_000)
    fillonce.until(lambda: any(one.terms.side == "sell" and one.status == "open" for one in fillonce.orders()))


def test_the_settings_table_names_every_setting_and_its_default() -> None:
    """A setting that is added, renamed or changed must be told."""
    table = README.partition("## Settings")[2].partition("## Where")[0]
    for field in msgspec.structs.fields(Settings):
        if field.name != "accounts":
            row = next((line for line in table.splitlines() if f"`{field.name}`" in line), None)
            assert row is not None, field.name
            assert str(field.default) in row or field.default == "", row
    told = {"lookup_lag_ms", "request_lifetime_ms"}  # for simulated venues alone
    for field in msgspec.structs.fields(AccountSettings):
        assert f".{field.name}`" in table or f"….{field.name}`" in table or field.name in told, field.name
