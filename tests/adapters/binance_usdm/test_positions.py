"""USDⓈ-M's statement of positions, read: both modes, nothing that is flat, nothing guessed at."""

from decimal import Decimal

import pytest

from adapters.binance.decode import decode
from adapters.binance.describe import describe
from adapters.binance_usdm.positions import positions
from streams.errors import BadPayload
from streams.schemas import Ignored

FORM = "binance.positions"


def test_open_positions_are_read_with_side_and_price() -> None:
    """A short one is negative; a flat one is left out."""
    raw = b"""[
        {"symbol":"BTCUSDT","positionSide":"SHORT","positionAmt":"-1.5","markPrice":"1","entryPrice":"60000.5"},
        {"symbol":"ETHUSDT","positionAmt":"2","entryPrice":"2500"},
        {"symbol":"BNBUSDT","positionSide":"BOTH","positionAmt":"0.000","entryPrice":"0.0"}]"""
    found = [(one.venue_symbol, one.side, one.quantity, one.price) for one in positions(FORM, raw)]
    assert found == [
        ("BTCUSDT", "short", Decimal("-1.5"), Decimal("60000.5")), ("ETHUSDT", "net", Decimal(2), Decimal(2500)),
    ]  # fmt: skip
    [fact] = decode(FORM, raw)
    assert isinstance(fact, Ignored)


@pytest.mark.parametrize(
    ("form", "raw"),
    [
        ("binance.order", b"[]"),
        (FORM, b"{}"),
        (FORM, b"["),
        (FORM, b'[{"symbol":"BTCUSDT","positionAmt":"x","entryPrice":"1"}]'),
        (FORM, b'[{"symbol":"BTCUSDT","positionAmt":"1","markPrice":"1"}]'),
        (FORM, b'[{"symbol":"BTCUSDT","positionAmt":"1","entryPrice":"1","positionSide":"UP"}]'),
    ],
)
def test_what_is_no_statement_of_positions_is_refused(form: str, raw: bytes) -> None:
    """With a sentence; nothing else is raised."""
    with pytest.raises(BadPayload):
        positions(form, raw)


def test_a_listed_order_says_its_side_its_flag_and_what_its_executions_came_to() -> None:
    """Also one that the venue made to liquidate a position."""
    raw = (
        b'{"symbol":"BTCUSDT","orderId":9,"clientOrderId":"autoclose-1","side":"SELL","type":"LIQUIDATION",'
        b'"timeInForce":"IOC","origQty":"2","price":"90","executedQty":"2","cumQuote":"180","time":5,'
        b'"positionSide":"LONG","reduceOnly":true}'
    )
    listed = describe("binance.order", raw)
    assert (listed.position_side, listed.reduce_only, listed.cost) == ("long", True, Decimal(180))
