"""Specification of streams/legs.py: an order that was replaced at the venue is one order, whatever is said when."""

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from streams.legs import DOUBLE, executed_before, successor, untold
from streams.lifecycle import Resubmission, fold, missing
from streams.schemas import (
    TERMINAL,
    Absent,
    Accepted,
    Amending,
    Command,
    Duplicate,
    Execution,
    NotSent,
    Order,
    OrderReport,
    Outcome,
    Refused,
    Throttled,
    Unknown,
)
from tests.streams.test_lifecycle import order

NEVER = Resubmission(allowed=False, now_ms=0)
LOT = Decimal("0.1")
CLAIM = "a1"
TO_TWO = Amending(revision=1, quantity=Decimal(2), price=Decimal(60))
CLOSING: list[Outcome] = [Refused("-2011", "Unknown order sent."), NotSent("late"), Throttled(5), Absent(1)]


def resting(amend: Amending | None = TO_TWO, **changes: Any) -> Order:
    """One that the venue has as `v0`, with an amend under way."""
    return replace(fold(order(), report("open", at_ms=1), NEVER), amend=amend, token="a1", **changes)


def trade(number: int, leg: int = 0, quantity: Decimal = LOT) -> Execution:
    """One execution of a leg."""
    return Execution(
        venue_symbol="BTCUSDT", venue_order_id=f"v{leg}", trade_id=f"t{leg}.{number}", side="buy", quantity=quantity,
        price=Decimal(50), executed_at_ms=number, client_order_id="fo-1", generation=leg,
    )  # fmt: skip


def report(status: Any, filled: Decimal = Decimal(0), leg: int = 0, at_ms: int = 5, **changes: Any) -> OrderReport:
    """What the venue says of a leg."""
    return OrderReport(
        venue_symbol="BTCUSDT", venue_order_id=f"v{leg}", status=status, filled=filled, reported_at_ms=at_ms,
        client_order_id="fo-1", generation=leg, **changes,
    )  # fmt: skip


def says(outcome: Outcome, claim: str = CLAIM) -> Command:
    """What became of the amend."""
    return Command(client_order_id="fo-1", token=claim, outcome=outcome, kind="amend")


def folded(start: Order, said: Iterable[Any]) -> Order:
    """The order after all of it."""
    for one in said:
        start = fold(start, one, NEVER)
    return start


def test_a_replaced_order_is_not_ended_by_the_end_of_what_was_replaced() -> None:
    """Its cancel comes first, the new one after it, and it is the same order with the new terms."""
    between = fold(resting(), report("cancelled", LOT, at_ms=6), NEVER)
    assert (between.status, between.state.ended, between.live) == ("open", None, True)
    after = folded(between, [trade(1), report("open", leg=1)])
    assert (after.status, after.quantity, after.price) == ("partially_filled", Decimal(2), Decimal(60))
    assert (after.amend, after.generation, after.state.revision) == (None, 1, 1)
    assert after.state.venue_order_ids == ("v0", "v1")
    assert after.state.anomalies == ()


def test_what_both_orders_executed_is_one_sum() -> None:
    """Cumulative across the replacement; a figure of one leg is no figure of the order."""
    said = [trade(1), report("cancelled", LOT), trade(1, 1), trade(2, 1), report("filled", 2 * LOT, 1)]
    after = folded(resting(replace_quantity(3 * LOT)), said)
    assert (after.status, after.state.filled, after.state.reported) == ("filled", 3 * LOT, 3 * LOT)
    assert not missing(after)


def replace_quantity(quantity: Decimal) -> Amending:
    """The amend, to another quantity."""
    return Amending(revision=1, quantity=quantity, price=Decimal(60))


@given(st.data(), st.integers(0, 4), st.integers(0, 4), st.sampled_from(["open", "cancelled", "expired"]))
def test_in_whatever_order_two_legs_are_told_the_order_is_the_same(
    data: st.DataObject, before: int, after: int, end: str
) -> None:
    """Executions and reports of both, shuffled: one sum, one status, and nothing that must not happen."""
    said = [trade(n) for n in range(before)] + [trade(n, 1) for n in range(after)]
    told = [report("cancelled", before * LOT), report("open", leg=1, at_ms=6), report(end, after * LOT, 1, at_ms=7)]
    last = folded(resting(), data.draw(st.permutations([*said, *told])))
    live = "partially_filled" if before + after else "open"
    assert (last.status, last.state.anomalies) == (live if end == "open" else end, ())
    assert (last.state.filled, last.state.reported) == ((before + after) * LOT,) * 2
    assert (last.amend, last.quantity, untold(last.state), missing(last)) == (None, Decimal(2), (), False)


@given(st.permutations([report("cancelled", LOT), trade(1), says(Accepted()), says(Unknown("timeout"))]))
def test_while_nobody_can_tell_of_the_amend_the_order_is_not_ended(said: list[Any]) -> None:
    """The end of the old one proves nothing: the new one may be on the book."""
    after = folded(resting(), said)
    assert after.status == "partially_filled"
    assert after.amend == TO_TWO
    assert after.state.filled == after.state.reported == LOT


@pytest.mark.parametrize("outcome", CLOSING)
@pytest.mark.parametrize("told_first", [True, False])
def test_an_amend_without_effect_leaves_the_order_as_the_venue_has_it(outcome: Outcome, *, told_first: bool) -> None:
    """With its old one gone it ended; with its old one there it rests on the old terms."""
    gone = [report("cancelled", LOT), says(outcome)]
    after = folded(resting(), gone if told_first else gone[::-1])
    assert (after.status, after.amend, after.quantity) == ("cancelled", None, Decimal(1))
    assert after.state.anomalies == ()
    rests = fold(resting(), says(outcome), NEVER)
    assert (rests.status, rests.amend, rests.state.closed_token) == ("open", None, "a1")


@pytest.mark.parametrize("outcome", [Accepted(), Unknown("timeout"), Duplicate("-2010")])
def test_an_answer_that_shows_nothing_leaves_the_doubt(outcome: Outcome) -> None:
    """A look-up decides."""
    assert fold(resting(), says(outcome), NEVER) == resting()


def test_only_the_claim_it_speaks_of_is_closed() -> None:
    """An answer to an earlier amend says nothing of this one."""
    assert fold(resting(), says(Absent(1), "a0"), NEVER) == resting()


def test_an_order_that_was_filled_before_it_could_be_replaced_is_filled() -> None:
    """The amend crossed the fill; nothing is left to tell of it."""
    after = folded(resting(), [trade(1, quantity=Decimal(1)), report("filled", Decimal(1))])
    assert (after.status, after.amend, after.quantity) == ("filled", None, Decimal(1))


def test_a_larger_quantity_may_be_in_force_before_anybody_says_so() -> None:
    """Executions up to it neither fill the order nor are too many."""
    half = fold(resting(), trade(1, quantity=Decimal(1)), NEVER)
    assert (half.status, half.amend) == ("partially_filled", TO_TWO)
    more = fold(half, trade(2, quantity=LOT), NEVER)
    assert (more.status, more.state.anomalies) == ("partially_filled", ())


def test_an_amend_in_place_is_shown_by_the_terms_of_the_order_itself() -> None:
    """The same order at the venue, with what was asked for; older reports show nothing."""
    old = report("open", at_ms=0, quantity=Decimal(2), price=Decimal(60))
    assert fold(resting(), old, NEVER).amend == TO_TWO
    as_it_was = report("open", quantity=Decimal(1), price=Decimal(50))
    assert fold(resting(), as_it_was, NEVER).amend == TO_TWO
    after = fold(resting(), report("open", quantity=Decimal(2), price=Decimal(60)), NEVER)
    assert (after.amend, after.quantity, after.price, after.state.revision) == (None, Decimal(2), Decimal(60), 1)
    assert (after.generation, after.state.legs) == (0, ())


def test_a_replacement_whose_claim_is_lost_is_ours_by_its_name_alone() -> None:
    """After an older history: the terms are the venue's, and what the others executed is added."""
    lost = resting(amend=None)
    said = [trade(1), report("cancelled", LOT), report("open", leg=1, quantity=Decimal("0.7"), price=Decimal(60))]
    after = folded(lost, said)
    assert (after.status, after.quantity, after.price) == ("partially_filled", Decimal("0.8"), Decimal(60))
    assert DOUBLE not in after.state.anomalies
    assert after.state.anomalies == ("revived:cancelled",)


@given(st.permutations([report("cancelled"), report("cancelled", leg=1), report("cancelled", leg=2)]))
def test_a_newer_replacement_whose_claim_is_lost_settles_an_older_amend_that_nobody_told_of(
    said: list[OrderReport],
) -> None:
    """In whatever order the three are told, nothing is left that the order's end could wait for."""
    after = folded(resting(), said)
    assert (after.status, after.amend, after.state.revision) == ("cancelled", None, 2)


def test_what_an_older_leg_executed_may_come_to_light_after_the_newest_was_told_of() -> None:
    """Ten in all, four by a leg whose claims are lost: it is not filled before the venue says so of the newest one."""
    said = [
        report("open", leg=2, quantity=Decimal(6), price=Decimal(50)), report("cancelled", Decimal(4), leg=1),
        trade(1, 1, Decimal(4)), trade(1, 2, Decimal(2)),
    ]  # fmt: skip
    after = folded(resting(amend=None), said)
    assert (after.status, after.state.filled) == ("partially_filled", Decimal(6))
    told = report("partially_filled", Decimal(2), leg=2, at_ms=9, quantity=Decimal(6), price=Decimal(50))
    assert fold(after, told, NEVER).quantity == 10


def test_a_replacement_that_appears_after_it_was_declared_lost_is_flagged() -> None:
    """We ended the order; the venue's word corrects it."""
    gone = folded(resting(), [report("cancelled"), says(Absent(1))])
    assert gone.status == "cancelled"
    after = fold(gone, report("open", leg=1, quantity=Decimal(2), price=Decimal(60)), NEVER)
    assert (after.status, after.state.anomalies) == ("open", ("revived:cancelled",))


def test_a_second_order_under_one_name_is_double_still() -> None:
    """No amend explains two orders of one generation."""
    replaced = folded(resting(), [report("cancelled"), report("open", leg=1)])
    other = replace(report("open", leg=1), venue_order_id="v9")
    assert fold(replaced, other, NEVER).state.anomalies == (DOUBLE,)
    assert fold(resting(), replace(report("open"), venue_order_id="v9"), NEVER).state.anomalies == (DOUBLE,)


def test_a_replaced_leg_that_nobody_has_told_the_end_of_is_looked_for() -> None:
    """Its last executions may be missing."""
    after = fold(resting(), report("open", leg=1), NEVER)
    assert [leg.venue_order_id for leg in untold(after.state)] == ["v0"]
    assert missing(after)
    assert not missing(fold(after, report("cancelled"), NEVER))


def test_three_legs_are_one_order() -> None:
    """Amended twice; the last one counts."""
    once = folded(resting(), [trade(1), report("cancelled", LOT), report("open", leg=1)])
    twice = replace(once, amend=Amending(revision=4, quantity=Decimal("0.5"), price=Decimal(70)), token="a4")
    after = folded(twice, [trade(1, 1), report("cancelled", LOT, 1), trade(1, 4), report("cancelled", LOT, 4)])
    assert (after.status, after.state.filled, after.quantity) == ("cancelled", 3 * LOT, Decimal("0.5"))
    assert executed_before(after.state) == 2 * LOT
    assert after.state.anomalies == ()


def test_a_successor_has_the_amends_name_and_what_is_left() -> None:
    """What is sent, not what is kept."""
    made = successor(resting(), TO_TWO, Decimal("1.9"))
    assert (made.generation, made.quantity, made.price, made.client_order_id) == (
        1,
        Decimal("1.9"),
        Decimal(60),
        "fo-1",
    )


@given(st.permutations([report("cancelled", LOT), trade(1), report("open", leg=1), trade(1, 1), says(Unknown("t"))]))
def test_what_is_told_twice_changes_nothing_the_second_time(said: list[Any]) -> None:
    """Reports, once folded, fold into nothing."""
    after = folded(resting(), said)
    again = [one for one in said if isinstance(one, OrderReport)]
    assert folded(after, again) == after
    assert after.status not in TERMINAL
