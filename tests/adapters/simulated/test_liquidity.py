"""The house: always a book, on the grid, the same for the same seed."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from adapters.simulated.exchange import Exchange
from adapters.simulated.liquidity import House, Liquidity
from adapters.simulated.matching import Level, Side, TimeInForce
from adapters.simulated.orders import OrderType, Placement
from adapters.simulated.symbols import DEFAULT_SYMBOLS

RULES = DEFAULT_SYMBOLS[0]
START = {"main": {"BTC": Decimal(100), "USDT": Decimal(10_000_000)}}


def books(seed: int, ticks: int) -> list[tuple[tuple[Level, ...], tuple[Level, ...]]]:
    """The depth of the book after each of some ticks."""
    exchange, house = Exchange(DEFAULT_SYMBOLS, START), House(seed, RULES)
    found = []
    for tick in range(ticks):
        house.quote(exchange, Liquidity(), tick, 0)
        book = exchange.market("BTCUSDT").book
        found.append((book.depth(Side.BUY, 10), book.depth(Side.SELL, 10)))
    return found


@given(st.integers(0, 2**32), st.integers(1, 15))
def test_there_is_always_a_book_on_both_sides_and_on_the_grid(seed, ticks):
    """Five levels a side, prices in ticks, quantities in steps, never crossed, within a fifth of the beginning."""
    for bids, asks in books(seed, ticks):
        assert len(bids) == len(asks) == 5
        assert bids[0].price < asks[0].price
        for level in (*bids, *asks):
            assert level.price % RULES.tick_size == 0
            assert level.quantity % RULES.step_size == 0
            assert abs(level.price / RULES.reference_price - 1) < Decimal("0.21")


@given(st.integers(0, 2**32))
def test_the_same_seed_walks_the_same_way(seed):
    """Prices and quantities repeat, and another seed goes elsewhere."""
    assert books(seed, 3) == books(seed, 3)
    assert books(seed, 3) != books(seed + 1, 3)


def test_a_resting_order_in_reach_is_taken_in_parts_and_then_whole():
    """With nibbling, the first fill is a part; when the market moves through, the rest is filled."""
    exchange, house = Exchange(DEFAULT_SYMBOLS, START), House(1, RULES)
    price = RULES.reference_price
    placement = Placement("BTCUSDT", Side.BUY, OrderType.LIMIT, Decimal(3), price, TimeInForce.GTC, "a")
    exchange.place("main", placement, 0)
    reports = [
        report
        for tick in range(300)
        for report in house.quote(exchange, Liquidity(nibble=1.0, step_share=Decimal("0.002")), tick, 0)
    ]
    assert Decimal(0) < reports[0].order.executed < 3
    assert reports[-1].order.executed == 3


def test_an_order_out_of_reach_is_left_alone():
    """Nobody sells to a bid two percent below the market."""
    exchange, house = Exchange(DEFAULT_SYMBOLS, START), House(1, RULES)
    placement = Placement("BTCUSDT", Side.BUY, OrderType.LIMIT, Decimal(1), Decimal(58000), TimeInForce.GTC, "a")
    exchange.place("main", placement, 0)
    assert not [report for tick in range(20) for report in house.quote(exchange, Liquidity(nibble=1.0), tick, 0)]
