"""Specification of consumers/lookup.py: what proves that an order is not there, and what does not (R2)."""

from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from adapters.binance.facts import FACTS
from consumers.lookup import Asked, horizon_ms, resubmission_allowed, verdict

MS = st.integers(0, 10_000)


@given(MS, MS, MS, MS)
def test_the_horizon_is_the_window_and_every_delay_after_it(send_by: int, lifetime: int, lag: int, bound: int) -> None:
    """A request can live on, show late, and both clocks can be off."""
    facts = replace(FACTS, request_lifetime_ms=lifetime, lookup_lag_ms=lag, clock_bound_ms=bound)
    assert horizon_ms(send_by, facts) == send_by + lifetime + lag + bound


@given(st.integers(-3, 3), st.booleans(), st.booleans(), st.booleans(), st.integers(0, 10**12))
def test_absence_is_proven_by_all_questions_begun_after_the_horizon_and_by_nothing_less(
    late: int, by_id: bool, still_open: bool, closed: bool, send_by: int
) -> None:
    """One question missing, or one millisecond too early, and the order stays unknown."""
    asked = Asked(
        begun_at_ms=horizon_ms(send_by, FACTS) + late, by_client_id=by_id, open_orders=still_open, closed_orders=closed
    )
    proven = late >= 0 and by_id and still_open and closed
    assert verdict(asked, send_by, FACTS) == ("absent" if proven else "unknown")


def test_what_was_not_asked_counts_as_not_known() -> None:
    """The defaults claim nothing."""
    assert verdict(Asked(begun_at_ms=2**60), 0, FACTS) == "unknown"


@pytest.mark.parametrize("late_send", ["refused", "accepted"])
@pytest.mark.parametrize("duplicates", ["never", "while_open", "window", "always"])
def test_a_lost_place_is_sent_again_only_where_a_second_order_cannot_come_of_it(
    late_send: Literal["refused", "accepted"], duplicates: Literal["never", "while_open", "window", "always"]
) -> None:
    """The venue refuses late requests, or duplicates for ever."""
    facts = replace(FACTS, late_send=late_send, duplicates=duplicates)
    assert resubmission_allowed(facts) == (late_send == "refused" or duplicates == "always")
