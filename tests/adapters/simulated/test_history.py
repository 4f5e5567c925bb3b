"""What look-ups show, and when."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.simulated.history import History, Page
from adapters.simulated.matching import Side, TimeInForce
from adapters.simulated.orders import Fill, Order, OrderType, Status
from adapters.simulated.refusals import Refusal

ONE = Decimal(1)


def order(order_id: int, created_ms: int, visible_at_ms: int = 0, client_id: str = "") -> Order:
    """An open order."""
    return Order(
        "main", "BTCUSDT", order_id, client_id or f"c{order_id}", Side.BUY, OrderType.LIMIT, TimeInForce.GTC, ONE, ONE,
        ONE - ONE, ONE - ONE, Status.NEW, created_ms, created_ms, visible_at_ms,
    )  # fmt: skip


def fill(trade_id: int, order_id: int, time_ms: int, visible_at_ms: int = 0) -> Fill:
    """A fill."""
    return Fill(
        "main", "BTCUSDT", trade_id, order_id, "c", Side.BUY, ONE, ONE, ONE, "BTC", maker=False, time_ms=time_ms,
        visible_at_ms=visible_at_ms,
    )  # fmt: skip


TIMES = st.lists(st.integers(0, 100), max_size=20).map(sorted)


@given(TIMES, st.integers(1, 30), st.integers(0, 100), st.integers(0, 100))
def test_lists_are_oldest_first_and_cut_at_the_right_end(times, limit, start_ms, end_ms):
    """From a start the first rows, without one the last, and always in order."""
    history = History()
    for number, time_ms in enumerate(times):
        history.put(order(number, time_ms))
        history.add(fill(number, number, time_ms))

    def both(page: Page) -> list[int]:
        orders = [row.order_id for row in history.orders("main", "BTCUSDT", page, 1000)]
        assert orders == [row.trade_id for row in history.fills("main", "BTCUSDT", page, 1000)]
        return orders

    assert both(Page(limit=limit)) == list(range(len(times)))[-limit:]
    wanted = [number for number, time_ms in enumerate(times) if start_ms <= time_ms <= end_ms]
    assert both(Page(start_ms=start_ms, end_ms=end_ms, limit=limit)) == wanted[:limit]
    wanted = [number for number, time_ms in enumerate(times) if time_ms <= end_ms]
    assert both(Page(end_ms=end_ms, limit=limit)) == wanted[-limit:]


@given(st.lists(st.integers(0, 20), min_size=1, max_size=10), st.integers(0, 20))
def test_nothing_shows_before_its_time_and_everything_after(visible, now_ms):
    """Orders, open orders and fills appear when their lag is over; what was held back is counted."""
    history = History()
    for number, visible_at_ms in enumerate(visible):
        history.put(order(number, 0, visible_at_ms))
        history.add(fill(number, number, 0, visible_at_ms))
    shown = [number for number, visible_at_ms in enumerate(visible) if visible_at_ms <= now_ms]
    assert [row.order_id for row in history.orders("main", "BTCUSDT", Page(), now_ms)] == shown
    assert [row.trade_id for row in history.fills("main", "BTCUSDT", Page(), now_ms)] == shown
    assert [row.order_id for row in history.open_orders("main", None, now_ms)] == shown
    assert history.hidden == 3 * (len(visible) - len(shown))
    for number in range(len(visible)):
        if number in shown:
            history.find("main", "BTCUSDT", order_id=number, client_order_id=None, now_ms=now_ms)
        else:
            with pytest.raises(Refusal, match="-2013"):
                history.find("main", "BTCUSDT", order_id=number, client_order_id=None, now_ms=now_ms)


def test_a_newer_order_of_a_client_id_that_does_not_show_yet_leaves_the_older_one():
    """A look-up by client order id may speak of the wrong order, as at the venue."""
    history = History()
    history.put(order(1, 0, 0, "same"))
    history.put(order(2, 5, 10, "same"))
    found = [
        history.find("main", "BTCUSDT", order_id=None, client_order_id="same", now_ms=now_ms).order_id
        for now_ms in (9, 10)
    ]
    assert found == [1, 2]


def test_a_cancel_must_name_one_order():
    """An order id and a client order id of different orders name none."""
    history = History()
    history.put(order(1, 0))
    assert history.open_order("main", "BTCUSDT", 1, "c1") is not None
    assert history.open_order("main", "BTCUSDT", 1, "c2") is None
    assert history.open_order("main", "BTCUSDT", None, "c2") is None
    assert history.open_order("other", "BTCUSDT", 1, None) is None


@pytest.mark.parametrize(
    ("page", "code"),
    [
        (Page(start_ms=0, end_ms=86_400_001), -1127),
        (Page(start_ms=0, from_id=1), -1128),
        (Page(end_ms=0, order_id=1), -1128),
    ],
)
def test_parameters_that_do_not_go_together_are_refused(page, code):
    """Binance's combinations for myTrades."""
    with pytest.raises(Refusal) as caught:
        History().fills("main", "BTCUSDT", page, 0)
    assert caught.value.code == code
