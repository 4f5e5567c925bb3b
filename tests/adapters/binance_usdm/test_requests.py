"""USDⓈ-M's order requests: the record's own amounts, post-only as GTX, and position sides."""

from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from adapters.binance.requests import name
from adapters.binance_usdm import requests
from streams.errors import BadIntent

PERPETUAL = "BTC/USDT:USDT"


def test_a_limit_order_is_said_with_the_records_amounts(make_order: Any) -> None:
    """And with our id; the answer tells the result, there is none with fills."""
    order = make_order(symbol=PERPETUAL, quantity=Decimal("0.010"), sent={"price": "20000.5", "quantity": "0.01"})
    assert requests.place(order) == {
        "symbol": "BTCUSDT", "side": "BUY", "quantity": "0.01", "newClientOrderId": order.client_order_id,
        "newOrderRespType": "RESULT", "positionSide": "BOTH", "price": "20000.5", "type": "LIMIT", "timeInForce": "GTC",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("terms", "wanted"),
    [
        ({"type": "market"}, {"type": "MARKET"}),
        ({"time_in_force": "ioc"}, {"type": "LIMIT", "timeInForce": "IOC"}),
        ({"time_in_force": "fok"}, {"type": "LIMIT", "timeInForce": "FOK"}),
        ({"post_only": True}, {"type": "LIMIT", "timeInForce": "GTX"}),
        ({"reduce_only": True}, {"positionSide": "BOTH", "reduceOnly": "true"}),
        ({"position_side": "long"}, {"positionSide": "LONG"}),
        ({"position_side": "short", "side": "sell"}, {"positionSide": "SHORT"}),
        ({"position_side": "long", "side": "sell", "reduce_only": True}, {"positionSide": "LONG"}),
        ({"position_side": "short", "side": "buy", "reduce_only": True}, {"positionSide": "SHORT"}),
    ],
)
def test_terms_become_the_venues_words(make_order: Any, terms: dict[str, Any], wanted: dict[str, str]) -> None:
    """With two positions a symbol, which one is meant says what can only reduce."""
    said = requests.place(make_order(symbol=PERPETUAL, **terms))
    assert wanted.items() <= said.items()
    if terms.get("position_side"):
        assert "reduceOnly" not in said
    if terms.get("type") == "market":
        assert not {"price", "timeInForce"} & said.keys()


@pytest.mark.parametrize(
    "terms",
    [
        {"time_in_force": "gtd"},
        {"position_side": "long", "reduce_only": True},
        {"position_side": "short", "side": "sell", "reduce_only": True},
    ],
)
def test_what_cannot_be_said_is_not_sent(make_order: Any, terms: dict[str, Any]) -> None:
    """A buy never reduces a long position: sent without the flag, it would open one."""
    with pytest.raises(BadIntent):
        requests.place(make_order(symbol=PERPETUAL, **terms))


@pytest.mark.parametrize("symbol", ["BTC/USDT", "BTC/USD:BTC", "BTC/USDT:USDT-261225"])
def test_only_perpetuals_settled_in_their_quote_are_spelled(symbol: str) -> None:
    """A spot symbol is not silently taken for the perpetual."""
    with pytest.raises(BadIntent, match="USDⓈ-M"):
        requests.venue_symbol(symbol)


def test_a_tombstone_cannot_be_said(make_order: Any) -> None:
    """Neither placed nor named."""
    stone = replace(make_order(symbol=PERPETUAL), terms=None)
    with pytest.raises(BadIntent):
        requests.place(stone)
    with pytest.raises(BadIntent):
        name(stone, requests.venue_symbol)
