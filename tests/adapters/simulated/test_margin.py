"""Positions of the simulated margin account: average cost, and profit paid out when they shrink."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from adapters.simulated.margin import Position, replayed

TRADES = st.lists(
    st.tuples(st.decimals("-9", "9", places=3).filter(bool), st.decimals("1", "99", places=2)), max_size=12
)


def test_what_is_closed_pays_its_profit_and_what_goes_through_nought_begins_anew() -> None:
    """Long 2 at 110 on average, sold 3 at 120: 20 are paid, and 1 is short at 120."""
    position = replayed([(Decimal(1), Decimal(100)), (Decimal(1), Decimal(120)), (Decimal(-3), Decimal(120))])
    assert position == Position(Decimal(-1), Decimal(-120), Decimal(20))
    assert position.entry_price == Decimal(120)


def test_a_short_position_earns_when_the_price_falls() -> None:
    """Half of it bought back at 90."""
    assert replayed([(Decimal(-2), Decimal(100)), (Decimal(1), Decimal(90))]).realized == Decimal(10)


@given(TRADES)
def test_profit_and_cost_are_the_cash_that_moved(trades: list[tuple[Decimal, Decimal]]) -> None:
    """Whatever the order: to the rounding of each payment."""
    position = replayed(trades)
    assert position.amount == sum((signed for signed, _ in trades), Decimal(0))
    cash = -sum((signed * price for signed, price in trades), Decimal(0))
    assert abs(position.realized - position.cost - cash) <= len(trades) * Decimal("0.00000001")
