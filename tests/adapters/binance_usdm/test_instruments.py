"""USDⓈ-M's instruments: perpetuals with the steps the venue wrote."""

import json
from decimal import Decimal
from typing import Any

import pytest

from adapters.binance_usdm.instruments import instruments
from streams.errors import BadPayload

PERPETUAL: dict[str, Any] = {
    "symbol": "BTCUSDT",
    "contractType": "PERPETUAL",
    "baseAsset": "BTC",
    "quoteAsset": "USDT",
    "marginAsset": "USDT",
    "filters": [
        {"filterType": "PRICE_FILTER", "tickSize": "0.10", "minPrice": "1"},
        {"filterType": "LOT_SIZE", "stepSize": "0.001", "minQty": "0.001", "maxQty": "1000"},
        {"filterType": "MARKET_LOT_SIZE", "stepSize": "0.01", "minQty": "0.01", "maxQty": "120"},
        {"filterType": "MIN_NOTIONAL", "notional": "100"},
        {"filterType": "PERCENT_PRICE", "multiplierUp": "1.05"},
    ],
}


def _info(*symbols: object) -> bytes:
    return json.dumps({"symbols": symbols}).encode()


def test_a_perpetual_has_its_unified_symbol_and_its_grid() -> None:
    """Exactly as the venue wrote them."""
    (one,) = instruments(_info(PERPETUAL))
    assert (one.symbol, one.venue_symbol, one.base, one.quote) == ("BTC/USDT:USDT", "BTCUSDT", "BTC", "USDT")
    assert (one.tick, one.lot, one.market_lot) == (Decimal("0.1"), Decimal("0.001"), Decimal("0.01"))
    assert (one.quantity_min, one.quantity_max, one.notional_min) == (Decimal("0.001"), Decimal(1_000), Decimal(100))


def test_a_perpetual_on_a_stock_is_one() -> None:
    """The venue has a word of its own for those on stocks and metals."""
    (one,) = instruments(_info({**PERPETUAL, "contractType": "TRADIFI_PERPETUAL", "symbol": "X", "baseAsset": "XAU"}))
    assert one.symbol == "XAU/USDT:USDT"


@pytest.mark.parametrize(
    "changes",
    [
        {"contractType": "CURRENT_QUARTER", "symbol": "BTCUSDT_261225"},
        {"marginAsset": "BTC"},
        {"baseAsset": "币安"},
        {"contractType": ""},
    ],
)
def test_what_has_no_unified_spelling_is_left_out(changes: dict[str, str]) -> None:
    """Contracts with a date above all."""
    assert [one.symbol for one in instruments(_info({**PERPETUAL, **changes}, PERPETUAL))] == ["BTC/USDT:USDT"]


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b"<html>", b'{"symbols":[{}]}', b"[" * 100_000])
def test_what_is_no_exchange_info_is_refused(body: bytes) -> None:
    """With a sentence."""
    with pytest.raises(BadPayload):
        instruments(body)
