"""Health: what is said against a role, and when nothing is."""

import pytest

from consumers.health import Bounds, Health, Surroundings, hindrances, ills

BOUNDS = Bounds(alive_within_ms=1_000, ready_lag_max=10)
WELL = Health(loop_age_ms=1_000)


def test_a_role_that_waits_is_healthy_and_not_ready():
    """A restart would not help it: the gate is shut, or the venue's stream is down."""
    assert ills(Health(loop_age_ms=10, waits_for="the stream"), BOUNDS) == ()
    assert hindrances(Health(loop_age_ms=10, waits_for="the stream"), Surroundings(), BOUNDS) == ("the stream",)
    assert hindrances(WELL, Surroundings(shut="shut"), BOUNDS) == ("shut",)


def test_a_loop_that_stands_still_is_neither():
    """The sentence says for how long."""
    hangs = Health(loop_age_ms=1_001)
    assert ills(hangs, BOUNDS) == hindrances(hangs, Surroundings(), BOUNDS)
    assert "1001 ms ago" in ills(hangs, BOUNDS)[0]


@pytest.mark.parametrize(("lag", "against"), [(10, 0), (11, 1)])
def test_a_backlog_above_the_bound_is_a_hindrance(lag, against):
    """At the bound it is not yet."""
    assert len(hindrances(WELL, Surroundings(lag={"intents": lag}), BOUNDS)) == against
