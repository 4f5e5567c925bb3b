"""`fillonce venues` shows what each venue declares, and the README shows the same."""

from pathlib import Path

import pytest

from adapters import declared, registry
from tests.commands import Shell, words

README = Path(__file__).parents[2] / "README.md"


@pytest.fixture
def shell(tmp_path):
    """A shell in an empty directory."""
    return Shell(tmp_path)


def test_every_venue_is_shown_with_all_that_it_declares(shell):
    """A column a venue, in words for people."""
    said = shell("venues")
    assert said.code == 0
    shown = words(said.out)
    for name in registry.names():
        assert name in shown
    assert "refused while the first is open" in shown
    assert "request weights" in shown


def test_one_venue_is_a_document(shell):
    """With every fact by its name."""
    said = shell("venues", "binance", "--json")
    assert said.code == 0
    (one,) = said.json["venues"]
    assert (one["name"], one["duplicates"], one["late_send"]) == ("binance", "while_open", "refused")
    assert {"look_ups", "executions", "ordering", "weights", "budgets", "id_rule"} <= one.keys()


def test_any_exchange_of_ccxt_is_a_venue(shell):
    """With the cautious facts, and without a private stream; a slip of the pen is bad usage."""
    assert "ccxt:<id>" in words(shell("venues").out)
    shown = words(shell("venues", "ccxt:okx").out)
    assert "none; the account is asked every 2 s" in shown
    assert "a late request is accepted" in shown
    said = shell("venues", "ccxt:okxx")
    assert said.code == 2
    assert "ccxt:okx" in said.err


def test_a_venue_that_is_not_there_is_bad_usage(shell):
    """With the ones that are."""
    said = shell("venues", "nowhere")
    assert said.code == 2
    assert "binance" in said.err


def test_the_readme_holds_the_table_as_it_is_generated(shell):
    """A fact that changes must be told: `fillonce venues --markdown` prints what belongs there."""
    generated = declared.markdown({name: registry.facts(name) for name in registry.names()})
    assert generated in README.read_text()
    said = shell("venues", "--markdown")
    assert said.out == generated
