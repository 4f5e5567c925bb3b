"""The histogram: every time is counted once, under the first bound that holds it."""

from hypothesis import given
from hypothesis import strategies as st

from streams.histogram import BOUNDS_MS, Histogram


@given(st.lists(st.floats(min_value=-10, max_value=100_000, allow_nan=False)))
def test_every_time_is_counted_under_the_first_bound_that_holds_it(times):
    """As a count by hand says; two clocks that disagree do not make less than nothing."""
    histogram = Histogram()
    for one in times:
        histogram.add(one)
    bounds = (*BOUNDS_MS, float("inf"))
    for number, bound in enumerate(bounds):
        below = bounds[number - 1] if number else float("-inf")
        assert histogram.counts[number] == sum(below < max(one, 0.0) <= bound for one in times)
    assert histogram.sum_ms >= 0
