"""The example strategies in the demo: made for its account, and audited with everything else."""

import sys
import tomllib
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from consumers.demo.examples import build, find
from consumers.demo.plan import Script
from consumers.starters import EXAMPLES, TESTS
from streams.errors import UsageError
from tests.commands import Shell

ROOT = Path(__file__).parents[3]
SCRIPT = Script(
    name="taker", account="binance.main", seed=1, signals=10, started_at=datetime(2026, 1, 1, tzinfo=UTC),
    prices={"BTC/USDT": Decimal("60000.50"), "ETH/USDT": Decimal(3000)}, pause_ms=20,
)  # fmt: skip


def test_every_life_has_new_objects_of_the_same_strategies():
    """So that only what the journal kept goes on."""
    first, second = build(SCRIPT), build(SCRIPT)
    names = ["market_maker", "grid", "twap-demo", "chaser-demo"]
    assert [one.name for one in first] == [one.name for one in second] == names
    assert not set(map(id, first)) & set(map(id, second))


def test_an_example_that_is_not_installed_is_said_in_one_sentence():
    """With what to do about it."""
    with pytest.raises(UsageError, match=r"^nothing_of_ours\.py is not part of this installation; install the whole"):
        find("nothing_of_ours")


def test_an_installation_has_every_example_that_a_checkout_has():
    """Those that the demo runs and a strategy may start from, beside the packages of the wheel."""
    built = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    given = built["shared-data"]
    here = [*(ROOT / EXAMPLES).glob("*.py"), *(ROOT / TESTS).glob("test_*.py")]
    kept = {str(one.relative_to(ROOT)) for one in here if one.name != "test_webhook.py"}  # needs a checkout's helpers
    assert given == {name: f"share/fillonce/{name}" for name in kept}


def test_an_example_is_found_where_an_installation_puts_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Away from any checkout."""
    placed = tmp_path / "share" / "fillonce" / EXAMPLES / "mine.py"
    placed.parent.mkdir(parents=True)
    placed.write_text("def mine():\n    return 7\n")
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    assert find("mine")() == 7


@pytest.mark.long
@pytest.mark.timeout(240)
def test_a_demo_in_which_they_trade_along_finds_no_defect(tmp_path):
    """Faults at the venue, a kill in the middle; every order once, every fill once."""
    said = Shell(tmp_path)("demo", "--intents", "100", "--examples", "--json", timeout_s=220)
    assert said.code == 0, said.err
    assert said.json["intents"] > 100
