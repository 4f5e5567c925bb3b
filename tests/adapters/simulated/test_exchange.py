"""The venue without sockets: money, ids, filters and refusals."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.simulated.accounts import Fees
from adapters.simulated.exchange import Exchange
from adapters.simulated.market import Quote
from adapters.simulated.matching import Side, TimeInForce
from adapters.simulated.orders import (
    OPEN,
    Cancellation,
    ExecutionType,
    OrderType,
    Placement,
    Status,
)
from adapters.simulated.refusals import Refusal
from adapters.simulated.symbols import DEFAULT_SYMBOLS

START = {"BTC": Decimal(10), "USDT": Decimal(1000000)}
D = Decimal


def fresh(**accounts: dict[str, Decimal]) -> Exchange:
    """A venue with two accounts, or with those given."""
    return Exchange(DEFAULT_SYMBOLS, accounts or {"main": START, "other": START}, Fees(D("0.001"), D("0.002")))


def limit(side: Side, quantity: str, price: str, client_id: str, tif: TimeInForce = TimeInForce.GTC) -> Placement:
    """A limit order of BTCUSDT."""
    return Placement("BTCUSDT", side, OrderType.LIMIT, D(quantity), D(price), tif, client_id)


def market(side: Side, quantity: str, client_id: str) -> Placement:
    """A market order of BTCUSDT."""
    return Placement("BTCUSDT", side, OrderType.MARKET, D(quantity), None, TimeInForce.GTC, client_id)


ACTIONS = st.lists(
    st.tuples(
        st.sampled_from(["main", "other", "house"]),
        st.sampled_from(Side),
        st.sampled_from([*OrderType, "cancel"]),
        st.integers(1, 400).map(lambda n: D(n) / 1000),
        st.integers(59990, 60010).map(D),
        st.sampled_from(TimeInForce),
    ),
    max_size=40,
)


def play(exchange: Exchange, actions: list[tuple[Any, ...]]) -> list[Any]:
    """Do everything in turn; a refusal is an answer too."""
    done: list[Any] = []
    for number, (who, side, kind, quantity, price, tif) in enumerate(actions):
        try:
            if who == "house":
                done.append(exchange.house("BTCUSDT", Quote(side, quantity, price), number))
            elif kind == "cancel":
                found = exchange.history.open_orders(who, "BTCUSDT", number)
                order_id = found[0].order_id if found else 1
                done.append(exchange.cancel(who, Cancellation("BTCUSDT", order_id, None, f"x{number}"), number))
            else:
                waits = tif if kind is OrderType.LIMIT else TimeInForce.GTC
                asked = None if kind is OrderType.MARKET else price
                placement = Placement("BTCUSDT", side, kind, quantity, asked, waits, f"c{number}")
                done.append(exchange.place(who, placement, number))
        except Refusal as refusal:
            done.append(str(refusal))
    return done


@given(ACTIONS)
def test_balances_are_the_start_plus_the_fills(actions):
    """Free and locked together are what the account began with, plus and minus its fills and commissions."""
    exchange = fresh()
    play(exchange, actions)
    for name, account in exchange.accounts.items():
        _, fills = exchange.history.everything(name)
        wanted = dict(START)
        for fill in fills:
            sign = 1 if fill.side is Side.BUY else -1
            wanted["BTC"] += sign * fill.quantity
            wanted["USDT"] -= sign * fill.quantity * fill.price
            wanted[fill.commission_asset] -= fill.commission
        assert {asset: held.free + held.locked for asset, held in account.balances.items()} == wanted


@given(ACTIONS)
def test_locked_is_exactly_what_open_orders_still_need(actions):
    """Nothing stays locked for a closed order, and nothing open is uncovered."""
    exchange = fresh()
    play(exchange, actions)
    for name, account in exchange.accounts.items():
        orders, _ = exchange.history.everything(name)
        still = [order for order in orders if order.status in OPEN]
        base = sum((order.remaining for order in still if order.side is Side.SELL), D(0))
        quote = sum((order.remaining * order.price for order in still if order.side is Side.BUY), D(0))
        assert (account.balance("BTC").locked, account.balance("USDT").locked) == (base, quote)
        assert all(held.free >= 0 and held.locked >= 0 for held in account.balances.values())


@given(ACTIONS)
def test_orders_are_the_sum_of_their_fills(actions):
    """Executed quantity and cost of every order are those of its fills; its status says as much."""
    exchange = fresh()
    play(exchange, actions)
    for name in exchange.accounts:
        orders, found = exchange.history.everything(name)
        fills = list(found)
        for order in orders:
            own = [fill for fill in fills if fill.order_id == order.order_id]
            assert order.executed == sum((fill.quantity for fill in own), D(0))
            assert order.quote_executed == sum((fill.quantity * fill.price for fill in own), D(0))
            assert (order.status is Status.FILLED) == (order.executed == order.quantity)


@given(ACTIONS)
def test_the_same_requests_give_the_same_answers(actions):
    """The venue holds no chance of its own: replayed, it says the same."""
    assert play(fresh(), actions) == play(fresh(), actions)


@given(ACTIONS)
def test_a_trade_id_names_one_trade_of_its_symbol(actions):
    """Rows that share a trade id are the two sides of one trade; execution ids are all different."""
    exchange = fresh()
    reports = [
        report
        for outcome in play(exchange, actions)
        if not isinstance(outcome, str)
        for report in (outcome if isinstance(outcome, tuple) else outcome.reports)
    ]
    assert len({report.execution_id for report in reports}) == len(reports)
    fills = [report.fill for report in reports if report.fill]
    assert len({(fill.trade_id, fill.order_id) for fill in fills}) == len(fills)
    for fill in fills:
        twins = [other for other in fills if other.trade_id == fill.trade_id]
        assert len(twins) <= 2
        assert {(twin.price, twin.quantity) for twin in twins} == {(fill.price, fill.quantity)}


def test_commission_is_taken_from_what_is_received():
    """A buy pays in base asset, a sell in quote asset, maker and taker at their own rates."""
    exchange = fresh()
    exchange.place("main", limit(Side.SELL, "1", "60000", "a"), 1)
    outcome = exchange.place("other", limit(Side.BUY, "1", "60000", "b"), 2)
    taker, maker = (report.fill for report in outcome.reports if report.fill)
    assert (taker.commission, taker.commission_asset, taker.maker) == (D("0.002"), "BTC", False)
    assert (maker.commission, maker.commission_asset, maker.maker) == (D(60), "USDT", True)
    assert exchange.accounts["other"].balance("BTC").free == D("10.998")


def test_a_self_trade_gives_both_orders_one_trade_id():
    """Self-trade prevention is NONE: one account may meet itself, and both its rows carry the same trade id."""
    exchange = fresh()
    exchange.place("main", limit(Side.SELL, "1", "60000", "a"), 1)
    outcome = exchange.place("main", limit(Side.BUY, "1", "60000", "b"), 2)
    fills = [report.fill for report in outcome.reports if report.fill]
    assert len({fill.trade_id for fill in fills}) == 1
    assert len({fill.order_id for fill in fills}) == 2
    assert [fill.order_id for fill in outcome.fills] == [outcome.order.order_id]


def test_a_client_order_id_is_unique_only_while_its_order_is_open():
    """A duplicate of an open order is refused; after it closed the same id makes a second order."""
    exchange = fresh()
    first = exchange.place("main", limit(Side.BUY, "1", "50000", "same"), 1)
    with pytest.raises(Refusal, match="-2010 Duplicate order sent"):
        exchange.place("main", limit(Side.BUY, "1", "50000", "same"), 2)
    exchange.place("other", limit(Side.BUY, "1", "50000", "same"), 2)
    exchange.cancel("main", Cancellation("BTCUSDT", None, "same", "x"), 3)
    second = exchange.place("main", limit(Side.BUY, "1", "50000", "same"), 4)
    assert second.order.order_id != first.order.order_id
    found = exchange.history.find("main", "BTCUSDT", order_id=None, client_order_id="same", now_ms=5)
    assert found.order_id == second.order.order_id


@pytest.mark.parametrize(
    ("placement", "refusal"),
    [
        (limit(Side.BUY, "1", "60000.001", "a"), "-1013 Filter failure: PRICE_FILTER"),
        (limit(Side.BUY, "1", "60000.000000001", "a"), "-1111 Parameter 'price' has too much precision"),
        (limit(Side.BUY, "1", "0", "a"), "-1013 Invalid price"),
        (limit(Side.BUY, "0.000001", "60000", "a"), "-1013 Filter failure: LOT_SIZE"),
        (limit(Side.BUY, "0.000000001", "60000", "a"), "-1111 Parameter 'quantity' has too much precision"),
        (limit(Side.BUY, "0", "60000", "a"), "-1013 Invalid quantity"),
        (limit(Side.BUY, "0.00001", "60000", "a"), "-1013 Filter failure: NOTIONAL"),
        (limit(Side.BUY, "9000", "600000", "a"), "-1013 Filter failure: NOTIONAL"),
        (market(Side.BUY, "151", "a"), "-1013 Filter failure: MARKET_LOT_SIZE"),
        (market(Side.BUY, "0.00001", "a"), "-1013 Filter failure: NOTIONAL"),
        (limit(Side.BUY, "100", "60000", "a"), "-2010 Account has insufficient balance"),
        (limit(Side.SELL, "11", "60000", "a"), "-2010 Account has insufficient balance"),
        (Placement("NOPE", Side.BUY, OrderType.MARKET, D(1), None, TimeInForce.GTC, "a"), "-1121 Invalid symbol"),
    ],
)
def test_what_the_venue_would_refuse_is_refused_with_its_words(placement, refusal):
    """Codes and sentences are Binance's, and a refused order changes nothing."""
    exchange = fresh()
    with pytest.raises(Refusal, match=refusal):
        exchange.place("main", placement, 1)
    assert exchange.accounts["main"].balance("USDT").free == START["USDT"]
    assert not list(exchange.history.everything("main")[0])


def test_a_post_only_order_that_would_take_is_refused_and_unlocks():
    """LIMIT_MAKER gets -2010 and its funds are free again."""
    exchange = fresh()
    exchange.place("other", limit(Side.SELL, "1", "60000", "a"), 1)
    post = Placement("BTCUSDT", Side.BUY, OrderType.LIMIT_MAKER, D(1), D(60000), TimeInForce.GTC, "b")
    with pytest.raises(Refusal, match="-2010 Order would immediately match and take"):
        exchange.place("main", post, 2)
    assert exchange.accounts["main"].balance("USDT").locked == 0


def test_an_account_may_have_only_so_many_open_orders():
    """The 201st open order of a symbol fails its filter."""
    exchange = fresh()
    for number in range(200):
        exchange.place("main", limit(Side.BUY, "0.001", "50000", f"c{number}"), number)
    with pytest.raises(Refusal, match="MAX_NUM_ORDERS"):
        exchange.place("main", limit(Side.BUY, "0.001", "50000", "more"), 201)


def test_a_market_order_expires_what_the_book_cannot_give():
    """A partly filled market order ends EXPIRED with its executed quantity, and nothing stays locked."""
    exchange = fresh()
    exchange.house("BTCUSDT", Quote(Side.SELL, D("0.4"), D(60000)), 1)
    outcome = exchange.place("main", market(Side.BUY, "1", "a"), 2)
    assert [report.execution for report in outcome.reports] == [
        ExecutionType.NEW,
        ExecutionType.TRADE,
        ExecutionType.EXPIRED,
    ]
    assert (outcome.order.status, outcome.order.executed) == (Status.EXPIRED, D("0.4"))
    assert exchange.accounts["main"].balance("USDT").locked == 0
    sold = exchange.place("main", market(Side.SELL, "1", "b"), 3)
    assert (sold.order.status, sold.order.executed) == (Status.EXPIRED, D(0))
    assert exchange.accounts["main"].balance("BTC").locked == 0


@pytest.mark.parametrize("order_id", [None, 12345])
def test_a_cancel_of_what_is_not_open_is_refused(order_id):
    """-2011, whether it was never there or is already filled."""
    exchange = fresh()
    exchange.house("BTCUSDT", Quote(Side.SELL, D(1), D(60000)), 1)
    filled = exchange.place("main", market(Side.BUY, "1", "done"), 2).order
    assert filled.status is Status.FILLED
    with pytest.raises(Refusal, match="-2011 Unknown order sent"):
        exchange.cancel("main", Cancellation("BTCUSDT", order_id, "done", "x"), 3)
    with pytest.raises(Refusal, match="-2011 Unknown order sent"):
        exchange.cancel("other", Cancellation("BTCUSDT", filled.order_id, None, "x"), 3)


def test_the_house_leaves_a_book_when_it_is_cleared():
    """Only its own orders go; a client's stays."""
    exchange = fresh()
    exchange.house("BTCUSDT", Quote(Side.SELL, D(1), D(60100)), 1)
    exchange.place("main", limit(Side.SELL, "1", "60200", "a"), 2)
    exchange.clear_house("BTCUSDT")
    assert exchange.market("BTCUSDT").book.best(Side.SELL) == D(60200)
