"""Specification of consumers/lookup.py: what proves that an order is not there, and what does not (R2)."""

from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from adapters.binance.facts import FACTS
from adapters.binance_usdm.facts import FACTS as USDM
from adapters.declared import DAY_MS
from adapters.generic.facts import facts_of
from adapters.venue import VenueFacts
from consumers.lookup import Asked, for_a_person_ms, horizon_ms, resubmission_allowed, verdict

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


@pytest.mark.parametrize(("facts", "kept_ms"), [(FACTS, 90 * DAY_MS), (USDM, 3 * DAY_MS)], ids=["spot", "usdm"])
def test_absence_is_proven_only_while_the_venue_would_remember_the_order(facts: VenueFacts, kept_ms: int) -> None:
    """One that ended unfilled at the moment of its claim is forgotten first; afterwards only a person can tell."""
    send_by = 10 * DAY_MS
    forgotten = send_by - facts.window_ms_max + kept_ms
    asked = Asked(begun_at_ms=forgotten - 1, by_client_id=True, open_orders=True, closed_orders=True)
    assert verdict(asked, send_by, facts) == "absent"
    assert verdict(replace(asked, begun_at_ms=forgotten), send_by, facts) == "unknown"


def test_where_no_memory_is_known_an_order_that_is_not_found_is_lost() -> None:
    """It is never sent again there, so that is all that follows."""
    facts = facts_of("okx")
    asked = Asked(begun_at_ms=2**60, by_client_id=True, open_orders=True, closed_orders=True)
    assert verdict(asked, 0, facts) == "absent"
    assert not resubmission_allowed(facts)


@pytest.mark.parametrize("facts", [FACTS, USDM, facts_of("okx")], ids=["spot", "usdm", "by ccxt"])
def test_a_person_is_asked_no_sooner_than_look_ups_can_prove_nothing(facts: VenueFacts) -> None:
    """Where the venue forgets, from that very moment on; where it forgets nothing, after a day without an answer."""
    send_by_ms = 10**12
    at_ms = for_a_person_ms(send_by_ms, facts)

    def proven(begun_at_ms: int) -> bool:
        asked = Asked(begun_at_ms=begun_at_ms, by_client_id=True, open_orders=True, closed_orders=True)
        return verdict(asked, send_by_ms, facts) == "absent"

    assert proven(at_ms - 1)
    assert proven(at_ms) == (facts.name not in (FACTS.name, USDM.name))
    assert at_ms - send_by_ms >= DAY_MS
