"""Request weight and order counts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.simulated.limits import Limits, Meter
from adapters.simulated.refusals import Refusal


@given(st.lists(st.tuples(st.integers(1, 20), st.integers(0, 30_000)), max_size=50))
def test_weight_is_used_up_within_a_minute_and_comes_back_with_the_next(steps):
    """A request is refused exactly when its minute's sum is above the limit."""
    meter, now_ms = Meter(Limits(weight_1m=60)), 0
    used: dict[int, int] = {}
    for weight, pause_ms in steps:
        now_ms += pause_ms
        used[now_ms // 60_000] = used.get(now_ms // 60_000, 0) + weight
        if used[now_ms // 60_000] <= 60:
            assert meter.spend(weight, now_ms) == used[now_ms // 60_000]
        else:
            with pytest.raises(Refusal, match="-1003") as caught:
                meter.spend(weight, now_ms)
            assert caught.value.status == 429
            assert caught.value.retry_after_s in range(1, 61)


def test_orders_are_counted_per_account():
    """The third order in ten seconds is too many of two, but not for another account and not ten seconds later."""
    meter = Meter(Limits(orders_10s=2, orders_1d=3))
    assert [meter.count_order("main", now) for now in (0, 1)] == [(1, 1), (2, 2)]
    with pytest.raises(Refusal, match="current limit is 2 orders per 10 SECOND"):
        meter.count_order("main", 2)
    assert meter.count_order("other", 2) == (1, 1)
    assert meter.count_order("main", 10_000) == (1, 3)
    with pytest.raises(Refusal, match="current limit is 3 orders per 1 DAY"):
        meter.count_order("main", 10_001)


def test_limits_are_told():
    """ExchangeInfo and the websocket print the same numbers."""
    meter = Meter(Limits(weight_1m=60))
    meter.spend(7, 0)
    assert meter.describe()[0]["limit"] == 60
    assert meter.usage()[0]["count"] == 7
