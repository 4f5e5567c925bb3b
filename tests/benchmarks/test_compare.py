"""A report beside one that was kept: what is called worse, and what is not compared at all."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.compare import compare, judge, load, save
from benchmarks.figures import Row, Spread, rate, spread, times
from benchmarks.suite import summed_up
from streams.errors import UsageError

SPREADS = st.lists(st.integers(1, 1_000), min_size=1, max_size=5)


@given(SPREADS, SPREADS)
def test_worse_is_only_what_lies_beyond_every_round_of_the_other(now, before):
    """Rounds that overlap are the same; what is worse this way round is better the other way, and with other taste."""
    for taste, contrary in (("less", "more"), ("more", "less")):
        first, second = _row(now, taste), _row(before, taste)
        verdict = judge(first, second)
        assert (verdict == "same") == (min(now) <= max(before) and max(now) >= min(before))
        assert {"worse": "better", "better": "worse", "same": "same"}[verdict] == judge(second, first)
        if verdict != "same":
            assert verdict != judge(_row(now, contrary), _row(before, contrary))
            assert (verdict == "worse") == ((min(now) > max(before)) == (taste == "less"))


def _row(rounds, better):
    one = spread(rounds)
    return {"low": one.low, "high": one.high, "better": better}


def test_ratios_and_sizes_are_compared_and_speeds_of_a_machine_are_not():
    """Rows are found by benchmark, name and unit; what only one report has is left out."""
    size = Row(name="size", unit="B", spread=Spread(5, 5, 5))
    now = summed_up({"one": [times("ratio", [2], [1], better="more"), rate("speed", [3]), size], "two": [size]})
    before = summed_up({"one": [times("ratio", [3], [1], better="more"), rate("speed", [9]), size]})
    assert compare(now, before) == [
        {"benchmark": "one", "name": "ratio", "before": 3, "now": 2, "verdict": "worse"},
        {"benchmark": "one", "name": "size", "before": 5, "now": 5, "verdict": "same"},
    ]


def test_a_report_that_was_kept_is_read_as_it_was(tmp_path):
    """What is compared with later is what was told."""
    report = summed_up({"one": [rate("speed", [1, 2, 3])]})
    save(tmp_path / "kept.json", report)
    assert load(tmp_path / "kept.json") == report


@pytest.mark.parametrize("field", ["median", "low", "high", "name", "unit"])
def test_a_report_without_what_is_compared_is_no_report(tmp_path, field):
    """Noticed when it is read, not after the run."""
    report = summed_up({"one": [rate("speed", [1, 2, 3])]})
    del report["rows"]["one"][0][field]
    save(tmp_path / "kept.json", report)
    with pytest.raises(UsageError, match="no report"):
        load(tmp_path / "kept.json")
