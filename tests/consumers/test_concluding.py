"""Specification of consumers/concluding.py: what the venue's lists make of what was counted here."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from consumers.concluding import corrections, counted, difference
from consumers.findings import Finding, Here, There
from consumers.survey import Look
from streams import events
from streams.corrections import Move
from streams.instrument import Instrument, tabulate
from streams.money import text
from streams.position import move
from streams.schemas import Execution, Position

ONE = Execution(
    venue_symbol="BTCUSDT", venue_order_id="7", trade_id="1", side="buy", quantity=Decimal(1), price=Decimal(100),
    executed_at_ms=1,
)  # fmt: skip
TWO = replace(ONE, trade_id="2")


def updated(*facts: Execution, moves: tuple[Move, ...] = ()) -> events.Updated:
    """The journal's word of executions."""
    return events.Updated(
        id="u", client_order_id="fo-1", strategy="s", symbol="BTC/USDT", facts=facts, evidence=(), status="open",
        filled="0", now_ms=1, moves=moves,
    )  # fmt: skip


def test_what_counts_is_what_was_applied_and_not_taken_back() -> None:
    """What is only inferred has no name at the venue."""
    guess = replace(ONE, trade_id="inferred-1")
    changes: list[events.AnyChange] = [
        updated(ONE, TWO),
        updated(moves=(Move(guess), Move(TWO, back=True))),
        events.CancelRequested(id="c", client_order_id="fo-1"),
    ]
    assert counted(changes) == {"7:1": ONE}


def test_what_is_not_listed_any_more_is_taken_back_and_what_is_listed_otherwise_is_told_anew() -> None:
    """Ids follow from the executions alone, so a second run says the same."""
    now = replace(TWO, price=Decimal(99), maker=True, executed_at_ms=5)
    ours = {one.execution_id: one for one in (ONE, TWO)}
    first, second = (corrections(ours, {now.execution_id: now}, at_ms) for at_ms in (10, 20))
    assert [(one.id.partition(":")[0], one.execution, one.instead) for one in first] == [
        ("bust", ONE, None), ("anew", TWO, now),
    ]  # fmt: skip
    assert [one.id for one in first] == [one.id for one in second]


def test_what_only_says_less_or_more_beside_the_amounts_is_the_same_execution() -> None:
    """A list names no client order id, a stream no maker flag: money is what counts."""
    listed = replace(ONE, client_order_id="fo-1", maker=False, executed_at_ms=9)
    assert corrections({"7:1": ONE}, {"7:1": listed}, 10) == []


SYMBOL = "BTC/USDT:USDT"
BTC = Instrument(
    symbol=SYMBOL,
    venue_symbol="BTCUSDT",
    base="BTC",
    quote="USDT",
    tick=Decimal("0.1"),
    lot=Decimal("0.001"),
    quantity_min=Decimal("0.001"),
    notional_min=Decimal(5),
)
AMOUNTS = st.integers(-5_000, 5_000).map(lambda lots: Decimal(lots) / 1000)
PRICES = st.integers(1, 10**6).map(lambda ticks: Decimal(ticks) / 10)


def _booked(held: Position, quantity: Decimal, entered_at: Decimal) -> Position:
    """Our position after the difference between both sides was booked."""
    stated = {SYMBOL: (quantity, entered_at)} if quantity else {}
    look = Look(
        here=Here(orders={}, positions={SYMBOL: held}), there=There(asked_at_ms=1, positions=stated),
        instruments=tabulate([BTC]),
    )  # fmt: skip
    finding = Finding(
        id="f", kind="position_drift", subject=SYMBOL, here=text(held.quantity), there=text(quantity),
        severity="critical", action="adjust", first_seen_ms=1, age_ms=0, confirmed=True,
    )  # fmt: skip
    execution = difference(finding, look).execution
    assert execution is not None
    return move(held, BTC, execution)


@pytest.mark.parametrize(
    ("ours", "stated", "after", "realized"),
    [
        (("0", "0"), ("3", "50"), "150", "0"),  # a position that nobody here made
        (("1", "100"), ("3", "80"), "240", "0"),  # two more at 70
        (("1", "100"), ("0.4", "80"), "40", "0"),  # less: what that brought, the wallet tells
        (("1", "100"), ("0", "0"), "0", "0"),
        (("1", "100"), ("-2", "80"), "-160", "-20"),  # turned round: what is held was entered there
        (("-1", "-100"), ("-3", "120"), "-360", "0"),
        (("1", "100"), ("1.5", "60"), "130", "0"),  # no price of what is new gives its average: it was entered at 60
    ],
)
def test_a_position_that_drifted_ends_as_the_venue_says_it_was_entered(
    ours: tuple[str, str], stated: tuple[str, str], after: str, realized: str
) -> None:
    """Quantity and cost here, quantity and average there; the price of the moment has nothing to do with it."""
    quantity, entered_at = map(Decimal, stated)
    booked = _booked(Position(quantity=Decimal(ours[0]), entry_cost=Decimal(ours[1])), quantity, entered_at)
    assert (booked.quantity, booked.entry_cost, booked.realized) == (quantity, Decimal(after), Decimal(realized))


@given(AMOUNTS, PRICES, AMOUNTS.filter(bool), PRICES)
def test_a_difference_that_is_booked_leaves_the_venues_quantity_and_no_profit_of_what_is_still_held(
    held: Decimal, bought_at: Decimal, stated: Decimal, entered_at: Decimal
) -> None:
    """Whatever both sides have had."""
    ours = Position(quantity=held, entry_cost=held * bought_at)
    if held == stated:
        return
    booked = _booked(ours, stated, entered_at)
    assert booked.quantity == stated
    if held * stated >= 0:
        assert abs(booked.realized) < Decimal("1e-15")
    if held * stated < 0 or not held:
        assert booked.entry_cost == stated * entered_at
