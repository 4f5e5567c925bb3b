"""What venues declare holds together, and reads well."""

import pytest

from adapters import declared, registry
from adapters.declared import Budget, LookUp


@pytest.mark.parametrize("venue", registry.names())
def test_the_longest_lag_is_the_one_the_rules_use(venue: str) -> None:
    """Absence is judged by all look-ups together, so by the slowest of them."""
    facts = registry.facts(venue)
    assert facts.lookup_lag_ms == max(one.lag_ms for one in facts.look_ups)
    assert {one.shows for one in facts.look_ups} >= {"order by client id", "open orders", "orders since"}


@pytest.mark.parametrize("venue", registry.names())
def test_every_request_of_the_boundary_has_a_weight_and_a_budget(venue: str) -> None:
    """What is not weighed cannot be budgeted."""
    facts = registry.facts(venue)
    asked = {"place", "cancel", "order", "open orders", "orders since", "executions since", "balances", "clock"}
    assert asked <= facts.weights.keys()
    assert {"weight", "orders"} == {one.of for one in facts.budgets}
    assert max(facts.weights.values()) < min(one.limit for one in facts.budgets if one.of == "weight")


@pytest.mark.parametrize("venue", registry.names())
def test_executions_have_an_identity(venue: str) -> None:
    """An id of the venue, or the fields that stand in for it."""
    identity = registry.facts(venue).executions
    assert bool(identity.field) != bool(identity.fingerprint)


def test_the_table_has_a_row_a_subject_and_a_column_a_venue() -> None:
    """Markdown that lines up."""
    facts = registry.facts("binance")
    lines = declared.markdown({"one": facts, "two": facts}).splitlines()
    assert lines[0] == "| | one | two |"
    assert {line.count("|") for line in lines} == {4}
    assert len(lines) == len(declared.table(facts)) + 2


def test_spans_are_in_the_largest_whole_unit() -> None:
    """Exact, so that nothing is rounded away."""
    budget = Budget(of="orders", limit=1, interval_ms=declared.DAY_MS, counted_by="uid")
    assert declared._span(budget.interval_ms) == "1 d"
    assert [declared._span(ms) for ms in (60_000, 10_000, 1_500, 0)] == ["1 min", "10 s", "1500 ms", "0 ms"]
    unfilled = LookUp(shows="orders since", lag_ms=1, remembers_ms=2, unfilled_ms=3)
    assert "3 ms without a fill" in declared._look_up(unfilled)
