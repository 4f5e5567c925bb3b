"""The example strategies in the demo: made for its account, and audited with everything else."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from consumers.demo.examples import build, find
from consumers.demo.plan import Script
from streams.errors import UsageError
from tests.commands import Shell

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
    """The installed program has none."""
    with pytest.raises(UsageError, match="run `fillonce demo --examples` in a checkout"):
        find("nothing_of_ours")


@pytest.mark.long
@pytest.mark.timeout(240)
def test_a_demo_in_which_they_trade_along_finds_no_defect(tmp_path):
    """Faults at the venue, a kill in the middle; every order once, every fill once."""
    said = Shell(tmp_path)("demo", "--intents", "100", "--examples", "--json", timeout_s=220)
    assert said.code == 0, said.err
    assert said.json["intents"] > 100
