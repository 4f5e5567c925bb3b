"""Decisions of the dice: seeded, independent, and as often as the rates say."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.simulated.faults import (
    DEFAULT,
    FRAME_KINDS,
    LOOKUP_KINDS,
    OFF,
    ORDER_KINDS,
    Dice,
    Faults,
    Kind,
    choose,
    roll,
)


def rates(kinds: tuple[Kind, ...]) -> st.SearchStrategy[Faults]:
    """Faults of some kinds whose rates do not add up to more than one."""
    one = st.floats(0, 1 / len(kinds))
    return st.fixed_dictionaries({kind.value: one for kind in kinds}).map(lambda found: msgspec.convert(found, Faults))


@given(st.integers(), st.text(), st.integers())
def test_a_roll_is_in_range_and_repeats(seed, place, number):
    """The same seed, place and number give the same share of one."""
    assert 0 <= roll(seed, place, number) < 1
    assert roll(seed, place, number) == roll(seed, place, number)


@given(rates(ORDER_KINDS), st.integers(0, 2**32))
def test_the_same_seed_makes_the_same_decisions(faults, seed):
    """A run can be repeated, kind by kind and tally by tally."""
    first, second = Dice(seed, faults), Dice(seed, faults)
    assert [first.order() for _ in range(20)] == [second.order() for _ in range(20)]
    assert first.counts() == second.counts()


@given(st.integers(0, 2**32))
def test_frames_do_not_move_the_decisions_about_orders(seed):
    """Each place counts for itself: more reports change no order's fate."""
    alone, busy = Dice(seed, DEFAULT), Dice(seed, DEFAULT)
    fates = []
    for _ in range(20):
        fates.append(busy.order())
        busy.frame("main")
        busy.lookup()
    assert [alone.order() for _ in range(20)] == fates


@given(rates(FRAME_KINDS), st.floats(0, 1, exclude_max=True))
def test_a_kind_is_chosen_as_wide_as_its_rate(faults, chance):
    """Rates lie side by side on the line from 0 to 1; past their sum nothing happens."""
    chosen = choose(faults, FRAME_KINDS, chance)
    below = 0.0
    for kind in FRAME_KINDS:
        if kind is chosen:
            assert below <= chance < below + getattr(faults, kind.value)
            return
        below += getattr(faults, kind.value)
    assert chance >= below


def test_off_means_nothing_ever_happens():
    """Without rates the dice say nothing and tally nothing."""
    dice = Dice(1, OFF)
    assert {dice.order() for _ in range(1000)} | {dice.lookup() for _ in range(1000)} == {None}
    assert {dice.frame("main") for _ in range(1000)} == {None}
    assert dice.lag_ms() == 0
    assert set(dice.counts().values()) == {0}


@pytest.mark.parametrize("seed", range(20))
def test_every_kind_happens_within_two_thousand_orders_of_the_default(seed):
    """Two thousand orders with two reports each meet every kind, whatever the seed."""
    dice = Dice(seed, DEFAULT)
    for _ in range(2000):
        dice.order()
        dice.lagged(dice.lag_ms())
        dice.frame("main")
        dice.frame("main")
    assert all(dice.counts()[kind.value] for kind in Kind)


def test_a_server_error_hides_whether_the_order_was_done():
    """Every body comes with both truths."""
    dice = Dice(1, Faults(server_error=1.0))
    seen = {(broken.body, broken.done) for broken in (dice.broken() for _ in range(500))}
    assert {(body, not done) for body, done in seen} == seen
    assert {dice.broken().status for _ in range(100)} == {408, 502, 503}


@given(st.integers(1, 5000))
def test_a_cut_leaves_less_than_the_whole(length):
    """At least one byte of the body is missing."""
    assert 0 <= Dice(length, DEFAULT).cut(length) < length


def test_look_ups_are_tallied_apart():
    """A look-up's server error is no order's server error."""
    dice = Dice(1, Faults(server_error=1.0))
    happened = [kind for kind in (dice.lookup() for _ in range(200)) if kind]
    assert set(happened) <= set(LOOKUP_KINDS)
    assert dice.counts()["lookup_server_error"] == len(happened) > 0
    assert dice.counts()["server_error"] == 0


def test_rates_are_read_strictly():
    """JSON of the field names; a rate beyond one or an unknown kind is refused."""
    assert msgspec.json.decode(b'{"cut_body":0.5,"lookup_lag_ms":7}', type=Faults) == Faults(
        cut_body=0.5, lookup_lag_ms=7
    )
    for wrong in (b'{"cut_body":1.1}', b'{"cut_bodies":0.1}', b'{"late_answer_ms":-1}'):
        with pytest.raises(msgspec.ValidationError):
            msgspec.json.decode(wrong, type=Faults)
