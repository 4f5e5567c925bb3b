"""Every benchmark runs from end to end, in a size that measures nothing."""

import pytest

from benchmarks import instructions, suite
from benchmarks.figures import Row, rate, spread, times

COUNTED = ["server instructions a fill, 200 / 100 orders"] if instructions.are_countable() else []
# The ratios that have a goal, by benchmark.
GOALS = {
    "ledger": {
        f"{name}, {fsync}": (limit, "more")
        for fsync in ("everysec", "always")
        for name, limit in (("ledger / floor", 0.5), ("ledger / FastStream", 10), ("duplicates known / floor", 0.8))
    },
    "dedup": {"local hit p99": (5_000, "less"), "duplicate p50 / empty p50": (1.3, "less")},
    "publish": {f"publish / XADD, batched, {fsync}": (0.6, "more") for fsync in ("everysec", "always")},
    "latency": {"publish → venue's socket, websocket / floor, 1,000/s, p50": (1.5, "less")},
    "growth": {
        "server time a commit of a fill, 200 / 100 orders": (1.15, "less"),
        "server processor time a fill, 200 / 100 orders": (1.15, "less"),
        "process time a fill, 200 / 100 orders": (1.15, "less"),
        **dict.fromkeys(COUNTED, (1.15, "less")),
        "bytes of a terminal order": (900, "less"),
        **{f"{role} process": (250, "less") for role in ("gateway", "ledger", "listener", "resolver")},
    },
    "accounts": {},
    "listener": {},
    "recovery": {
        "look-up by client order id, p50": (100, "less"),
        "10 open orders without a record adopted": (10_000, "less"),
        "10 open orders compared": (500, "less"),
        "10 executions that nobody heard applied": (5_000, "less"),
        "positions compared after them": (2_000, "less"),
    },
    "budget": {"cancel → cancelled, under a flood, p99": (250, "less")},
}


@pytest.mark.slow
@pytest.mark.timeout(180)  # a dozen processes begin and end
@pytest.mark.parametrize("name", suite.BENCHMARKS)
def test_a_benchmark_reports_every_figure_with_its_rounds_in_order_and_its_goals(name):
    """What it measures with real servers, workers and venues is nobody's business here; that it does, is."""
    told = []
    report = suite.run([name], "tiny", lambda *at: told.append(at))
    rows = report["rows"][name]
    assert told[0] == (name, "")
    assert all(at for _, at in told[1:])
    assert all(0 < row["low"] <= row["median"] <= row["high"] for row in rows)
    assert len({row["name"] for row in rows}) == len(rows)
    assert {row["name"]: (row["goal"], row["better"]) for row in rows if row["goal"] is not None} == GOALS[name]
    assert any(row["unit"] == "times" for row in rows)
    assert report["ok"] == (report["missed"] == [])


def test_a_report_is_good_unless_a_goal_was_missed_in_every_round():
    """What is undecided is no failure; what was missed is named with its benchmark."""
    met = times("met", [2, 3], [1, 1], better="more", limit=2)
    undecided = times("undecided", [1, 3], [1, 1], better="more", limit=2)
    missed = Row(name="missed", unit="B", spread=spread([4, 5]), limit=3)
    good = suite.summed_up({"one": [met, undecided, rate("speed", [1])]})
    assert (good["ok"], good["missed"]) == (True, [])
    bad = suite.summed_up({"one": [met], "two": [missed]})
    assert (bad["ok"], bad["missed"]) == (False, ["two: missed"])
