"""What is asked of Binance: amounts as recorded, our id always, the window as claimed."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from adapters.binance import requests
from adapters.venue import Window
from streams.errors import BadIntent


@pytest.mark.parametrize(
    ("terms", "expected"),
    [
        ({}, {"type": "LIMIT", "timeInForce": "GTC", "price": "20000", "quantity": "0.01"}),
        ({"time_in_force": "ioc"}, {"type": "LIMIT", "timeInForce": "IOC"}),
        ({"time_in_force": "fok", "side": "sell"}, {"type": "LIMIT", "timeInForce": "FOK", "side": "SELL"}),
        ({"post_only": True}, {"type": "LIMIT_MAKER", "timeInForce": None}),
        ({"type": "market"}, {"type": "MARKET", "price": None, "timeInForce": None}),
        ({"type": "market", "time_in_force": "ioc"}, {"type": "MARKET", "timeInForce": None}),
        ({"quantity": Decimal("1.00000999")}, {"quantity": "1.00000999"}),
        ({"quantity": Decimal("1E+3")}, {"quantity": "1000"}),
        ({"sent": {"quantity": "0.5", "price": "7.10"}}, {"quantity": "0.5", "price": "7.1"}),
    ],
)
def test_an_order_is_said_in_the_venues_words(make_order: Any, terms: Any, expected: dict[str, str | None]) -> None:
    """Type, time in force and amounts; nothing is rounded, and FULL answers are asked for."""
    order = make_order(**terms)
    params = requests.place(order)
    assert {name: params.get(name) for name in expected} == expected
    assert params["newClientOrderId"] == order.client_order_id
    assert params["newOrderRespType"] == "FULL"
    assert params["symbol"] == "BTCUSDT"


@pytest.mark.parametrize(
    "terms",
    [{"time_in_force": "gtd"}, {"reduce_only": True}, {"position_side": "long"}, {"symbol": "BTC/USDT:USDT"}],
)
def test_what_spot_cannot_say_is_refused_before_it_is_sent(make_order: Any, terms: Any) -> None:
    """A flag is never dropped in silence."""
    with pytest.raises(BadIntent):
        requests.place(make_order(**terms))


def test_a_tombstone_cannot_be_asked_for(make_order: Any) -> None:
    """Without terms there is no symbol."""
    with pytest.raises(BadIntent, match="tombstone"):
        requests.name(replace(make_order(), terms=None), requests.venue_symbol)


@given(quantity=st.decimals(min_value="0.00000001", max_value="99999999", places=8))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_quantity_is_sent_as_it_is(make_order: Any, quantity: Decimal) -> None:
    """The text on the wire equals the record, without exponent."""
    text = requests.place(make_order(quantity=quantity))["quantity"]
    assert Decimal(text) == quantity
    assert set(text) <= set("0123456789.")


@given(opened=st.integers(0, 2**41), length=st.integers(-10, 200_000), offset=st.integers(-5_000, 5_000))
def test_a_window_never_ends_later_than_claimed(opened: int, length: int, offset: int) -> None:
    """The venue's `timestamp` is the claim's, shifted by the clock offset; its length is cut at the venue's maximum."""
    params = requests.within(Window(opened, opened + length), offset)
    assert int(params["timestamp"]) == opened + offset
    assert 0 <= int(params["recvWindow"]) <= 60_000
    assert int(params["recvWindow"]) <= max(length, 0)
