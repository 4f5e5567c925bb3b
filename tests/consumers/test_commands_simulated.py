"""`fillonce run --simulated`: a strategy trades from an empty folder, without a key or a settings file."""

import signal
from pathlib import Path

import pytest

from tests.commands import Shell
from tests.support import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

START_S = 60.0
STRATEGY = """
from streams import Fill, Place, Strategy
from streams.schemas import from_ms

app = Strategy("turner")


@app.on(Fill)
async def turn(fill: Fill) -> Place | None:
    if fill.side == "sell":
        return None
    return Place(
        account=fill.account, strategy=app.name, signal_id=f"exit-{fill.event_id}",
        signal_time=from_ms(fill.executed_at_ms), symbol=fill.symbol, side="sell", type="market",
        quantity=fill.quantity, rounding="down",
    )
"""
BUY = (
    "publish", "--account", "binance.main", "--strategy", "turner", "--signal-id", "first", "--signal-time", "now",
    "--symbol", "BTC/USDT", "--side", "buy", "--type", "market", "--quantity", "0.001",
)  # fmt: skip


def test_a_strategy_trades_from_an_empty_folder_and_the_next_simulation_begins_anew(tmp_path: Path) -> None:
    """Bought by command, sold by the strategy; a real pipeline refuses that data, the next simulation drops it."""
    (tmp_path / "mine.py").write_text(STRATEGY)
    shell = Shell(tmp_path)
    with shell.started("run", "--simulated", "--strategy", "mine:app") as process:
        wait_until(lambda: shell(*BUY).code == 0, START_S)
        wait_until(lambda: {one["status"] for one in shell("orders", "--json").json["orders"]} == {"filled"}, START_S)
        wait_until(lambda: len(shell("orders", "--json").json["orders"]) == 2, START_S)
        refused = shell("run", "--simulated")
        assert refused.code != 0
        assert "already runs on .fillonce" in refused.err
        process.send_signal(signal.SIGTERM)
        assert process.wait(START_S) == 0
    refused = shell("run")
    assert refused.code == 2
    assert ".fillonce has orders of a simulated venue" in refused.err
    with shell.started("run", "--simulated"):
        wait_until(lambda: shell("status").code == 0, START_S)
        assert shell("orders", "--json").json["orders"] == []


def test_every_other_command_beside_a_simulation_speaks_of_the_simulated_venue(tmp_path: Path) -> None:
    """Also where the settings name a real one under the same name, whose books are another matter."""
    (tmp_path / "mine.py").write_text(STRATEGY)
    (tmp_path / "fillonce.toml").write_text(
        '[accounts."binance.main"]\nsymbols = ["BTC/USDT"]\nrest_url = "http://127.0.0.1:1"\n'
        'stream_url = "ws://127.0.0.1:1"\n'
    )
    shell = Shell(tmp_path, {"FILLONCE_KEY_BINANCE_MAIN": "real", "FILLONCE_SECRET_BINANCE_MAIN": "real"})
    with shell.started("run", "--simulated"):
        wait_until(lambda: shell(*BUY).code == 0, START_S)
        wait_until(lambda: [one["status"] for one in shell("orders", "--json").json["orders"]] == ["filled"], START_S)
        for words in (
            ("check",), ("reconcile",), ("positions",), ("verify",), ("replay",),
            ("halt", "--reason", "r", "--account", "binance.main"),
            ("cancel-all", "--reason", "r", "--account", "binance.main"),
            ("resume", "--reason", "r", "--account", "binance.main"),
        ):  # fmt: skip
            said = shell(*words)
            assert said.code == 0, (words, said)
        assert oct((tmp_path / ".fillonce" / "simulated").stat().st_mode)[-3:] == "600"
        with shell.started("run", "strategy", "--strategy", "mine:app"):
            wait_until(lambda: "strategy.mine:app" in shell("status").out, START_S)


def test_data_of_a_real_venue_is_never_emptied(tmp_path: Path) -> None:
    """The directory has no mark of a simulation."""
    kept = tmp_path / ".fillonce" / "appendonlydir"
    kept.mkdir(parents=True)
    said = Shell(tmp_path)("run", "--simulated")
    assert said.code == 2
    assert ".fillonce has orders of a real venue" in said.err
    assert kept.exists()


@pytest.mark.parametrize(
    ("lines", "sentence"),
    [
        ('redis_url = "redis://localhost"\n', "--simulated keeps its own server"),
        ('[accounts."ccxt:kraken.main"]\nsymbols = ["BTC/USD"]\nvenue = "ccxt:kraken"\n', "cannot"),
    ],
)
def test_what_cannot_be_simulated_is_said_in_a_sentence(tmp_path: Path, lines: str, sentence: str) -> None:
    """And nothing is made."""
    (tmp_path / "fillonce.toml").write_text(lines)
    said = Shell(tmp_path)("run", "--simulated")
    assert said.code == 2
    assert sentence in said.err
    assert not (tmp_path / ".fillonce").exists()
