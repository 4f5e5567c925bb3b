"""Figures: quantiles, spreads, verdicts, ratios; pure."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.figures import Row, quantile, ratios, spread, times

SAMPLES = st.lists(st.integers(0, 10**12), min_size=1, max_size=50)


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


def test_where_more_is_better_a_goal_is_a_lower_bound():
    """The same rounds beside the same number: met where more is wanted, missed where less is."""
    rounds = [5, 6, 7]
    assert times("one", rounds, [1, 1, 1], better="more", limit=5).verdict == "met"
    assert times("one", rounds, [1, 1, 1], better="more", limit=6).verdict == "undecided"
    assert times("one", rounds, [1, 1, 1], better="more", limit=8).verdict == "missed"
    assert times("one", rounds, [1, 1, 1], better="less", limit=4).verdict == "missed"
