"""`fillonce bench`: a report whose shape can be relied upon; what it measured is nobody's business here."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.figures import Row, quantile, ratios, spread
from tests.commands import Shell, words

SAMPLES = st.lists(st.integers(0, 10**12), min_size=1, max_size=50)


@pytest.fixture
def shell(tmp_path):
    """A shell in an empty directory."""
    return Shell(tmp_path)


@pytest.mark.slow
def test_a_quick_look_at_duplicates_reports_every_figure_its_goals_and_the_machine(shell):
    """One JSON document; exit code 1 exactly when a goal was missed in every round; rounds in order, machine named."""
    said = shell("bench", "--only", "dedup", "--quick", "--json")
    report = said.json
    assert said.code == (0 if report["ok"] else 1)
    assert said.err == "measuring dedup\n"
    rows = {row["name"]: row for row in report["rows"]["dedup"]}
    assert {name: row["goal"] for name, row in rows.items() if row["goal"] is not None} == {
        "local hit p99": 5_000,
        "duplicate p50 / empty p50": 1.3,
    }
    assert {"duplicate p99", "empty script p99", "open loop 10,000/s, 4 connections, p99"} <= set(rows)
    assert all(0 < row["low"] <= row["median"] <= row["high"] for row in rows.values())
    assert report["missed"] == [f"dedup: {name}" for name, row in rows.items() if row["verdict"] == "missed"]
    assert report["machine"].keys() >= {"processor", "cores", "python", "redis-py", "server"}


@pytest.mark.parametrize("only", ["speed", "dedup,speed", ","])
def test_a_benchmark_that_does_not_exist_is_refused_by_name(shell, only):
    """Exit code 2 and the names there are."""
    said = shell("bench", "--only", only)
    assert said.code == 2
    assert words(said.err) == f"--only takes ledger, dedup, publish, listener, not {only!r}."


@given(SAMPLES, st.floats(0.01, 1))
def test_a_quantile_is_the_smallest_sample_that_enough_samples_do_not_exceed(samples, share):
    """At least that share lies at or below it; below it lies less."""
    found = quantile(samples, share)
    assert found in samples
    assert sum(one <= found for one in samples) >= share * len(samples)
    assert sum(one < found for one in samples) < share * len(samples)


def test_no_samples_have_no_quantile():
    """An empty round is an error, not a zero."""
    with pytest.raises(ValueError, match="no samples"):
        quantile([], 0.5)


@given(SAMPLES, st.integers(0, 10**12))
def test_a_goal_is_missed_only_when_every_round_missed_it(rounds, limit):
    """Met when every round met it, otherwise undecided; without a goal there is no verdict."""
    row = Row(name="one", unit="ns", spread=spread(rounds), limit=limit)
    hits = [one <= limit for one in rounds]
    assert row.verdict == ("met" if all(hits) else "undecided" if any(hits) else "missed")
    assert Row(name="one", unit="ns", spread=spread(rounds)).verdict == ""


@given(st.lists(st.tuples(st.integers(1, 10**9), st.integers(1, 10**9)), max_size=20))
def test_ratios_compare_the_two_halves_of_the_same_round(pairs):
    """Round by round, in order; a round without its other half is refused."""
    measured, beside = [one for one, _ in pairs], [other for _, other in pairs]
    assert ratios(measured, beside) == [one / other for one, other in pairs]
    with pytest.raises(ValueError, match="zip"):
        ratios([*measured, 1], beside)
