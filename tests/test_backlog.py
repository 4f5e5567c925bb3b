"""A backlog of mixed evidence, drained by a real ledger at full speed and killed on the way."""

import shutil

import pytest

from benchmarks.backlog import compare
from benchmarks.backlog_entries import PER_ORDER

pytestmark = pytest.mark.slow

# `python -m benchmarks.backlog` does the same with 200,000.
ENTRIES = 20_000
KILLS = 2


@pytest.mark.timeout(180)  # it is the longest of all, and machines differ
def test_a_backlog_drained_by_a_ledger_killed_twice_ends_in_the_same_state(tmp_path):
    """Parked and named trades, repeated executions, answers, garbage and strange orders, from the same bytes with and
    without two SIGKILLs: the same state byte for byte, every order filled, nothing left, nothing quarantined twice."""  # noqa: D205, D209 - one specification
    written, whole, hurt = compare(tmp_path, ENTRIES, KILLS)
    shutil.rmtree(tmp_path)
    assert written == ENTRIES
    assert [left > 0 for left in hurt.left_at_kills] == [True] * KILLS
    assert whole.left_at_kills == ()
    for run in (whole, hurt):
        assert run.good
        assert run.left == 0
        assert run.orders == run.filled == run.position == ENTRIES // PER_ORDER
        assert run.quarantined == ENTRIES // PER_ORDER
    assert hurt.hash == whole.hash
