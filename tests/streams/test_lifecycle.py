"""Specification of streams/lifecycle.py: whatever the order of what is said, an order ends where the venue ended it."""

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from streams.lifecycle import MOVES, Resubmission, fold, missing
from streams.record import NEW_STATE
from streams.schemas import (
    TERMINAL,
    Absent,
    Accepted,
    Command,
    Duplicate,
    Execution,
    NotSent,
    Order,
    OrderReport,
    Outcome,
    Place,
    Refused,
    Throttled,
    Unknown,
)

Said = Execution | OrderReport | Command
NOW_MS = 1_000_000
NEVER = Resubmission(allowed=False, now_ms=NOW_MS)
AGAIN = Resubmission(allowed=True, now_ms=NOW_MS)
LOT = Decimal("0.1")
CLAIM = "t1"
ENDED_SHORT = ("cancelled", "rejected", "expired")
NEGATIVE: list[Outcome] = [Refused("-2010", "no funds"), NotSent("no line"), Throttled(50), Absent(1)]
SAYINGS: list[Outcome] = [*NEGATIVE, Accepted(), Duplicate("-2010"), Unknown("timeout")]


def order(status: str = "submitting", quantity: Decimal = Decimal(1), **changes: Any) -> Order:
    """An order of 1 BTC, claimed under the token `t1`."""
    terms = Place(
        account="sim.main", strategy="s", signal_id="1", signal_time=datetime(2026, 1, 1, tzinfo=UTC),
        symbol="BTC/USDT", side="buy", type="limit", quantity=quantity, price=Decimal(50),
    )  # fmt: skip
    given_: dict[str, Any] = {
        "client_order_id": "fo-1", "terms": terms, "status": status, "state": NEW_STATE, "digest": "d", "token": "t1",
        "valid_until_ms": 2 * NOW_MS,
    }  # fmt: skip
    return Order(**{**given_, **changes})


def trade(number: int, quantity: Decimal = LOT, venue_order_id: str = "v1", **changes: Any) -> Execution:
    """One execution at 50."""
    given_: dict[str, Any] = {
        "venue_symbol": "BTCUSDT", "venue_order_id": venue_order_id, "trade_id": f"t{number}", "side": "buy",
        "quantity": quantity, "price": Decimal(50), "executed_at_ms": number,
    }  # fmt: skip
    return Execution(**{**given_, **changes})


def report(status: str, filled: Decimal = Decimal(0), at_ms: int = 1, **changes: Any) -> OrderReport:
    """The venue's word on the order."""
    given_: dict[str, Any] = {"venue_symbol": "BTCUSDT", "venue_order_id": "v1"}
    return OrderReport(status=status, filled=filled, reported_at_ms=at_ms, **{**given_, **changes})  # type: ignore[arg-type]  # the words of VenueStatus


def says(outcome: Outcome, token: str = CLAIM, kind: str = "place") -> Command:
    """What became of a claim."""
    return Command(client_order_id="fo-1", token=token, outcome=outcome, kind=kind)  # type: ignore[arg-type]  # place or cancel


def folded(start: Order, said: Sequence[Said], again: Resubmission = NEVER) -> Order:
    """Fold all of it."""
    for one in said:
        start = fold(start, one, again)
    return start


class Life(NamedTuple):
    """What an honest venue says of one order, in its own order, and how the order ends."""

    quantity: Decimal
    executions: list[Execution]
    reports: list[OrderReport]
    status: str

    @property
    def traded(self) -> Decimal:
        """Sum of the executions."""
        return sum((one.quantity for one in self.executions), Decimal(0))


@st.composite
def lives(draw: st.DrawFn) -> Life:
    """Draw an honest life: reports in the venue's time, cumulative figures that add up."""
    lots = draw(st.lists(st.integers(1, 5), max_size=4))
    rest = draw(st.integers(0, 3)) if lots else draw(st.integers(1, 3))
    quantity, executions, reports, done = (sum(lots) + rest) * LOT, [], [report("open")], Decimal(0)
    for number, size in enumerate(lots, start=1):
        done += size * LOT
        executions.append(trade(number, size * LOT))
        reports.append(report("filled" if done == quantity else "partially_filled", done, 1 + number))
    status = "filled" if not rest else "partially_filled" if lots else "open"
    if rest:
        end = draw(st.sampled_from([None, "cancelled", "expired", *([] if lots else ["rejected"])]))
        if end is not None:
            reports.append(report(end, done, 10))
            status = end
    return Life(quantity, executions, reports, status)


HONEST: list[Command] = [
    *(says(outcome) for outcome in (Accepted(), Duplicate("-2010"), Unknown("timeout"))),
    *(says(outcome, "t0") for outcome in SAYINGS),
    *(says(outcome, "t1", "cancel") for outcome in SAYINGS),
]


@st.composite
def tellings(draw: st.DrawFn, commands: Sequence[Command] = HONEST) -> tuple[Life, list[Said]]:
    """Draw a life and one way it reaches us: shuffled, reports and answers repeated, executions once."""
    life = draw(lives())
    said: list[Said] = [*life.executions, *life.reports]
    said += draw(st.lists(st.sampled_from(life.reports), max_size=4))
    said += draw(st.lists(st.sampled_from(list(commands)), max_size=4))
    return life, draw(st.permutations(said))


def check_moves(before: Order, after: Order) -> None:
    """A status change is a legal move, or the step flagged it."""
    if after.status != before.status and after.status not in MOVES[before.status]:
        flagged = set(after.state.anomalies) - set(before.state.anomalies)
        assert flagged, f"{before.status} -> {after.status} without a word"


@given(tellings())
def test_any_order_of_an_honest_telling_ends_alike(told: tuple[Life, list[Said]]) -> None:
    """Status, filled, cost and venue id are those of the life, however its parts arrive; nothing is flagged."""
    life, said = told
    end = folded(order(quantity=life.quantity), said)
    assert end.status == life.status
    assert end.state.filled == life.traded
    assert end.state.cost == life.traded * 50
    assert end.state.reported == life.traded
    assert end.state.venue_order_ids == ("v1",)
    assert end.state.anomalies == ()
    assert not missing(end)


@given(tellings())
def test_every_change_of_status_is_a_move_of_the_table(told: tuple[Life, list[Said]]) -> None:
    """Also in the middle of a telling that is out of order."""
    life, said = told
    now = order(quantity=life.quantity)
    for one in said:
        after = fold(now, one, NEVER)
        check_moves(now, after)
        now = after


@given(tellings([*HONEST, *map(says, NEGATIVE)]), st.booleans())
def test_a_wrong_no_from_a_gateway_does_not_change_the_end(told: tuple[Life, list[Said]], allowed: bool) -> None:
    """An order declared rejected, lost or unsent ends where the venue ended it all the same."""
    life, said = told
    end = folded(order(quantity=life.quantity), said, Resubmission(allowed, NOW_MS))
    assert (end.status, end.state.filled) == (life.status, life.traded)


@st.composite
def anything(draw: st.DrawFn) -> list[Said]:
    """Draw what a venue in confusion could say: executions once each, any report, any answer to any claim."""
    said: list[Said] = [trade(n, draw(st.integers(1, 6)) * LOT) for n in range(draw(st.integers(0, 4)))]
    said += draw(
        st.lists(
            st.builds(
                report,
                st.sampled_from(["open", "partially_filled", "cancelled", "rejected", "expired"]),
                st.integers(0, 12).map(lambda lots: lots * LOT),
                st.integers(0, 9),
                venue_order_id=st.sampled_from(["v1", "v1", "v2"]),
            ),
            max_size=4,
        )
    )
    said += draw(st.lists(st.builds(says, st.sampled_from(SAYINGS), st.sampled_from(["t0", "t1"])), max_size=3))
    return draw(st.permutations(said))


@given(anything())
def test_an_order_the_venue_ended_never_becomes_live_again(said: list[Said]) -> None:
    """Invariant 5: after the venue's terminal word no status is a live one, whatever comes."""
    now, over = order(), False
    for one in said:
        now = fold(now, one, AGAIN)
        over = over or now.state.ended in ENDED_SHORT
        assert not over or now.status in TERMINAL


@given(anything())
def test_filled_is_the_sum_of_the_executions_after_every_step(said: list[Said]) -> None:
    """Invariant 3: nothing but an execution moves `filled` and `cost`, and each moves them by itself."""
    now, done = order(), Decimal(0)
    for one in said:
        now = fold(now, one, AGAIN)
        done += one.quantity if isinstance(one, Execution) else 0
        assert now.state.filled == done
        assert now.state.cost == done * 50


@given(anything())
def test_unknown_is_left_only_by_the_venues_word(said: list[Said]) -> None:
    """Invariant 6: an order in doubt stays in doubt after answers that say nothing."""
    now = order("unknown")
    for one in said:
        after = fold(now, one, NEVER)
        if now.status == "unknown" and after.status != "unknown":
            silent = isinstance(one, Command) and (
                one.token != now.token or isinstance(one.outcome, Accepted | Duplicate | Unknown)
            )
            assert not silent
        now = after


@given(anything(), st.sampled_from(SAYINGS), st.sampled_from(["place", "cancel"]))
def test_an_answer_to_another_claim_changes_nothing(said: list[Said], outcome: Outcome, kind: str) -> None:
    """R3: a token that is not the record's closes nothing, at any time; a cancel's answer never does."""
    now = folded(order(), said, AGAIN)
    assert fold(now, says(outcome, "stale", kind), AGAIN) == now
    assert fold(now, says(outcome, "t1", "cancel"), AGAIN) == now


@pytest.mark.parametrize("outcome", NEGATIVE)
def test_a_closed_claim_is_not_closed_again(outcome: Outcome) -> None:
    """A redelivered `not sent` of a claim that was closed does not touch the order that waits for its next one."""
    waiting = folded(order(), [says(NotSent("no line"))])
    assert fold(waiting, says(outcome), AGAIN) == waiting


@pytest.mark.parametrize("outcome", SAYINGS)
@pytest.mark.parametrize("status", ["submitting", "unknown"])
def test_no_answer_undoes_what_the_venue_showed(status: str, outcome: Outcome) -> None:
    """Once a venue order id is known, an answer to the claim says nothing."""
    shown = fold(order(status), report("open"), NEVER)
    assert fold(shown, says(outcome), AGAIN) == shown


@pytest.mark.parametrize("outcome", SAYINGS)
def test_no_answer_closes_an_order_that_was_doubted_after_the_venue_named_it(outcome: Outcome) -> None:
    """R3: a venue order id forbids every negative end, also when the status says `unknown`."""
    doubted = order("unknown", state=replace(NEW_STATE, venue_order_ids=("v1",)))
    assert fold(doubted, says(outcome), AGAIN) == doubted


@pytest.mark.parametrize("outcome", [Unknown("timeout"), Duplicate("-2010")])
@pytest.mark.parametrize("status", ["submitting", "unknown"])
def test_an_answer_that_cannot_tell_makes_the_order_unknown(status: str, outcome: Outcome) -> None:
    """`Unknown` and `Duplicate` close no claim."""
    after = fold(order(status), says(outcome), AGAIN)
    assert after.status == "unknown"
    assert not after.state.closed_token


@pytest.mark.parametrize("outcome", [NotSent("no line"), Throttled(5)])
@pytest.mark.parametrize("status", ["submitting", "unknown"])
def test_what_was_not_sent_waits_for_another_claim(status: str, outcome: Outcome) -> None:
    """`NotSent` and `Throttled` close their claim, and the order is `created` again."""
    after = fold(order(status), says(outcome), NEVER)
    assert (after.status, after.state.closed_token) == ("created", "t1")


def test_a_refusal_ends_the_order_with_the_venues_words() -> None:
    """Code and text of the venue are the reason."""
    after = fold(order(), says(Refused("-2010", "no funds")), AGAIN)
    assert (after.status, after.reason, after.state.ended) == ("rejected", "-2010 no funds", None)


@pytest.mark.parametrize(
    ("changes", "allowed", "status", "reason"),
    [
        ({}, True, "created", ""),
        ({}, False, "rejected", "lost"),
        ({"cancel_requested": True}, True, "cancelled", "never reached the venue"),
        ({"cancel_requested": True}, False, "cancelled", "never reached the venue"),
        ({"valid_until_ms": NOW_MS}, True, "expired", "never reached the venue in its time"),
        ({"valid_until_ms": NOW_MS}, False, "expired", "never reached the venue in its time"),
        ({"valid_until_ms": NOW_MS + 1}, True, "created", ""),
    ],
)
def test_an_absent_order_is_sent_again_only_where_that_is_safe_and_wanted(
    changes: dict[str, Any], allowed: bool, status: str, reason: str
) -> None:
    """R2: by the venue's declaration, not after a cancel was asked for, not after its validity."""
    after = fold(order("unknown", **changes), says(Absent(1)), Resubmission(allowed, NOW_MS))
    assert (after.status, after.reason, after.state.closed_token) == (status, reason, "t1")


def test_an_execution_before_the_answer_opens_the_order() -> None:
    """The late answer then changes nothing."""
    after = fold(order(), trade(1), NEVER)
    assert after.status == "partially_filled"
    assert fold(after, says(Accepted()), NEVER) == after


def test_an_order_the_venue_calls_filled_stays_live_until_its_executions_are_here() -> None:
    """`filled` counts executions; until they have come the order is looked after."""
    told = fold(order(), report("filled", Decimal(1)), NEVER)
    assert (told.status, told.live, missing(told)) == ("open", True, True)
    half = fold(told, trade(1, Decimal("0.5")), NEVER)
    assert (half.status, half.live) == ("partially_filled", True)
    whole = fold(half, trade(2, Decimal("0.5")), NEVER)
    assert (whole.status, whole.live, missing(whole)) == ("filled", False, False)


def test_a_cancelled_order_whose_executions_are_to_come_is_live_and_cancelled() -> None:
    """The figure of the report is what is waited for, and its executions are not late."""
    told = fold(order(), report("cancelled", LOT), NEVER)
    assert (told.status, told.live) == ("cancelled", True)
    whole = fold(told, trade(1), NEVER)
    assert (whole.status, whole.live, whole.state.anomalies) == ("cancelled", False, ())


def test_a_fill_beyond_what_the_venue_ended_with_counts_and_is_flagged() -> None:
    """A late fill always counts; the order stays ended."""
    after = folded(order(), [report("cancelled", LOT), trade(1), trade(2)])
    assert (after.status, after.state.filled, after.state.anomalies) == ("cancelled", 2 * LOT, ("late_fill",))


def test_more_than_the_quantity_counts_and_is_flagged() -> None:
    """`overfill` is said, not hidden."""
    after = folded(order(), [trade(1, Decimal("0.9")), trade(2, Decimal("0.2"))])
    assert (after.status, after.state.filled, after.state.anomalies) == ("filled", Decimal("1.1"), ("overfill",))


def test_a_second_venue_order_under_one_client_order_id_is_flagged_once_and_both_count() -> None:
    """`double`: neither is dropped."""
    after = folded(order(), [trade(1), trade(1, venue_order_id="v2"), trade(2, venue_order_id="v2")])
    assert (after.state.filled, after.state.anomalies) == (3 * LOT, ("double",))
    assert after.state.venue_order_ids == ("v1", "v2")


def test_two_ends_of_one_order_are_a_contradiction() -> None:
    """The first end stands, and it is said."""
    after = folded(order(), [report("expired", at_ms=1), report("cancelled", at_ms=2)])
    assert (after.status, after.state.anomalies) == ("expired", ("contradiction:expired/cancelled",))


def test_fees_are_summed_by_asset_and_rebates_are_taken_off() -> None:
    """A fee without an asset, or of nothing, leaves no trace."""
    fees = [("0.1", "BNB"), ("0.2", "USDT"), ("-0.05", "BNB"), ("0", "ETH"), ("1", None)]
    said = [trade(n, fee=Decimal(fee), fee_asset=asset) for n, (fee, asset) in enumerate(fees)]
    assert folded(order(), said).state.fees == {"BNB": Decimal("0.05"), "USDT": Decimal("0.2")}


@pytest.mark.parametrize("status", ENDED_SHORT)
def test_an_order_only_we_ended_is_corrected_by_a_live_one_and_flagged(status: str) -> None:
    """Invariant 5, the way back: our inference yields to the venue's word."""
    after = fold(order(status), report("open"), NEVER)
    assert (after.status, after.state.anomalies) == ("open", (f"revived:{status}",))


@pytest.mark.parametrize(
    ("said", "status"),
    [
        (report("cancelled", LOT), "cancelled"),
        (report("filled", Decimal(1)), "open"),
        (report("expired"), "expired"),
    ],
)
def test_an_order_only_we_rejected_is_flagged_when_the_venue_says_how_it_ended(said: OrderReport, status: str) -> None:
    """An order declared lost that reached the venue is an anomaly, also when it is over by now."""
    lost = fold(order("unknown"), says(Absent(1)), NEVER)
    after = fold(lost, said, NEVER)
    assert (after.status, after.state.anomalies) == (status, ("revived:rejected",))


@pytest.mark.parametrize("said", [report("open"), trade(1), report("filled", Decimal(1))])
def test_an_order_declared_unsent_that_the_venue_shows_is_flagged(said: Said) -> None:
    """`created` has no legal move to a live status: `not sent` was wrong, and that is said."""
    unsent = fold(order(), says(NotSent("no line")), NEVER)
    check_moves(unsent, fold(unsent, said, NEVER))


def test_a_rejection_after_a_fill_is_flagged() -> None:
    """A venue that rejects what it filled contradicts itself."""
    half = fold(order(), trade(1), NEVER)
    check_moves(half, fold(half, report("rejected", LOT), NEVER))


def test_a_filled_order_is_not_reopened_by_a_larger_figure() -> None:
    """Invariant 5: the missing executions are asked for while the order stays filled."""
    done = folded(order(), [report("filled", LOT, 1), trade(1)])
    assert done.status == "filled"
    after = fold(done, report("filled", 2 * LOT, 2), NEVER)
    assert (after.status, missing(after)) == ("filled", True)


def test_what_is_said_twice_changes_nothing_the_second_time() -> None:
    """A repeated report leaves an equal order, so that it makes no entry in the journal."""
    once = fold(order(), report("open", at_ms=5, reason="why"), NEVER)
    assert fold(once, report("open", at_ms=5, reason="why"), NEVER) == once


def test_the_quantity_that_was_sent_decides_what_full_is() -> None:
    """Rounded down before it was sent, an order is filled by the rounded quantity."""
    rounded = replace(order(), sent={"quantity": "0.5"})
    assert fold(rounded, trade(1, Decimal("0.5")), NEVER).status == "filled"
