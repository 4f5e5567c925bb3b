"""Specification of streams/position.py: signed sums, average cost, and money that neither appears nor vanishes."""

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from typing import NamedTuple

from hypothesis import given
from hypothesis import strategies as st

from streams import codec
from streams.money import ZERO
from streams.position import move, run, settled, step
from streams.schemas import Execution, Place, Position


class Fill(NamedTuple):
    """Side, lots and price in ticks, and a fee."""

    side: str
    quantity: Decimal
    price: Decimal
    fee: Decimal | None = None
    fee_asset: str | None = None


def terms(symbol: str = "BTC/USDT") -> Place:
    """Terms of the order whose fills are counted; only the symbol matters."""
    return Place(
        account="sim.main", strategy="s", signal_id="1", signal_time=datetime(2026, 1, 1, tzinfo=UTC), symbol=symbol,
        side="buy", type="market", quantity=Decimal(1),
    )  # fmt: skip


def moved(fills: Sequence[Fill], symbol: str = "BTC/USDT", start: Position | None = None) -> Position:
    """Add fills one by one."""
    position = start or Position()
    for execution in executions(fills):
        position = move(position, terms(symbol), execution)
    return position


def executions(fills: Sequence[Fill]) -> list[Execution]:
    """What the venue says of each fill."""
    return [
        Execution(
            venue_symbol="BTCUSDT", venue_order_id="v", trade_id=str(number), side=fill.side,  # type: ignore[arg-type]  # buy or sell
            quantity=fill.quantity, price=fill.price, executed_at_ms=number, fee=fill.fee, fee_asset=fill.fee_asset,
        )
        for number, fill in enumerate(fills)
    ]  # fmt: skip


def signed(fill: Fill) -> Decimal:
    """Quantity with the sign of the side."""
    return fill.quantity if fill.side == "buy" else -fill.quantity


LOTS = st.integers(1, 10_000).map(lambda lots: lots * Decimal("0.00001"))
PRICES = st.integers(1, 10_000_000).map(lambda ticks: ticks * Decimal("0.01"))
SIDES = st.sampled_from(["buy", "sell"])
FEES = st.one_of(
    st.just((None, None)),
    st.tuples(st.integers(-5, 5).map(lambda lots: lots * Decimal("0.000001")), st.sampled_from(["BTC", "USDT", "BNB"])),
)
FILLS = st.builds(lambda s, q, p, fee: Fill(s, q, p, *fee), SIDES, LOTS, PRICES, FEES)
PLAIN_FILLS = st.tuples(SIDES, LOTS, PRICES).map(lambda drawn: Fill(*drawn))


def model(fills: Sequence[Fill]) -> tuple[Fraction, Fraction, Fraction]:
    """Average cost in exact fractions: quantity, entry cost, realized."""
    held = cost = realized = Fraction(0)
    for fill in fills:
        rest, price = Fraction(signed(fill)), Fraction(fill.price)
        if held and (held > 0) != (rest > 0):
            closed = max(-abs(held), min(abs(held), abs(rest))) * (1 if rest > 0 else -1)
            average = cost / held
            realized += -closed * (price - average)
            held, cost, rest = held + closed, cost + closed * average, rest - closed
        held, cost = held + rest, cost + rest * price
    return held, cost, realized


@given(st.lists(FILLS, max_size=12))
def test_quantity_is_the_signed_sum_less_the_fees_taken_in_the_base_asset(fills: list[Fill]) -> None:
    """Exactly, through any number of flips."""
    expected = sum((signed(one) - (one.fee if one.fee and one.fee_asset == "BTC" else 0) for one in fills), ZERO)
    assert moved(fills).quantity == expected


@given(st.lists(FILLS, max_size=12))
def test_fees_are_kept_by_asset(fills: list[Fill]) -> None:
    """Also those in the base asset, which the quantity lost."""
    expected: dict[str, Decimal] = {}
    for one in fills:
        if one.fee and one.fee_asset:
            expected[one.fee_asset] = expected.get(one.fee_asset, ZERO) + one.fee
    assert moved(fills).fees == expected


@given(st.lists(PLAIN_FILLS, max_size=12))
def test_cost_and_profit_are_those_of_average_cost(fills: list[Fill]) -> None:
    """Against exact fractions; only a division may differ, and far below any step."""
    position, (held, cost, realized) = moved(fills), model(fills)
    assert Fraction(position.quantity) == held
    assert abs(Fraction(position.entry_cost) - cost) < Fraction(1, 10**15)
    assert abs(Fraction(position.realized) - realized) < Fraction(1, 10**15)


@given(st.lists(FILLS, max_size=12))
def test_money_is_conserved(fills: list[Fill]) -> None:
    """What was earned less what is invested is the cash that moved, whatever the fees in the base asset did."""
    position = moved(fills)
    cash = -sum((signed(one) * one.price for one in fills), ZERO)
    assert abs(position.realized - position.entry_cost - cash) < Decimal("1e-15")


@given(st.lists(st.tuples(LOTS, PRICES), min_size=1, max_size=6), PRICES, st.booleans())
def test_a_round_trip_closed_at_once_earns_exactly_its_cash(
    entries: list[tuple[Decimal, Decimal]], exit_price: Decimal, long: bool
) -> None:
    """Bought in pieces, sold whole (or the other way round): flat, no cost left, and the profit to the last digit."""
    side, other = ("buy", "sell") if long else ("sell", "buy")
    whole = sum((quantity for quantity, _ in entries), ZERO)
    fills = [*(Fill(side, quantity, price) for quantity, price in entries), Fill(other, whole, exit_price)]
    cash = -sum((signed(one) * one.price for one in fills), ZERO)
    assert moved(fills) == Position(realized=cash)


@given(PLAIN_FILLS, LOTS, PRICES)
def test_a_flip_through_zero_starts_anew_at_its_own_price(first: Fill, more: Decimal, price: Decimal) -> None:
    """What is closed earns, what is opened costs the price of the flip."""
    other = "sell" if first.side == "buy" else "buy"
    position = moved([first, Fill(other, first.quantity + more, price)])
    sign = -1 if first.side == "buy" else 1
    assert position.quantity == sign * more
    assert position.entry_cost == sign * more * price
    assert position.realized == signed(first) * (price - first.price)


def test_a_round_trip_closed_in_unequal_pieces_earns_exactly_its_cash() -> None:
    """When nothing is held any more, no digit of what was paid is lost."""
    fills = [
        Fill("buy", Decimal("0.7"), Decimal(50000)), Fill("buy", Decimal(1), Decimal("50000.5")),
        Fill("sell", Decimal("0.00001"), Decimal(50001)), Fill("sell", Decimal("1.69999"), Decimal(50001)),
    ]  # fmt: skip
    assert moved(fills) == Position(realized=-sum((signed(one) * one.price for one in fills), ZERO))


def test_a_fee_in_the_base_asset_changes_what_is_held_and_not_what_was_paid() -> None:
    """Buying 1 BTC for a fee of 0.001 BTC holds 0.999."""
    position = moved([Fill("buy", Decimal(1), Decimal(100), Decimal("0.001"), "BTC")])
    assert (position.quantity, position.entry_cost) == (Decimal("0.999"), Decimal(100))


def test_a_fee_in_the_base_asset_of_a_perpetual_leaves_the_contracts_alone() -> None:
    """Contracts are not the asset: only the fees tell."""
    position = moved([Fill("buy", Decimal(1), Decimal(100), Decimal("0.001"), "BTC")], "BTC/USDT:USDT")
    assert (position.quantity, position.fees) == (Decimal(1), {"BTC": Decimal("0.001")})


@given(st.lists(FILLS, max_size=8), st.lists(FILLS, max_size=4), st.sampled_from(["BTC/USDT", "BTC/USDT:USDT"]))
def test_fills_added_in_one_go_end_where_one_after_the_other_does(
    fills: list[Fill], before: list[Fill], symbol: str
) -> None:
    """To the byte: from any position, through zero, with fees in the base asset among them."""
    start = moved(before, symbol)
    one_by_one = start
    for fill in executions(fills):
        one_by_one = step(one_by_one, terms(symbol), fill)
    assert codec.encode(settled(run(start, terms(symbol), executions(fills)))) == codec.encode(settled(one_by_one))
