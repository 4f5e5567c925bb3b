"""exchangeInfo into instruments."""

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.binance.instruments import instruments
from streams.errors import BadPayload


def _symbol(base: str = "BTC", **filters: dict[str, Any]) -> dict[str, Any]:
    listed = [{"filterType": name, **values} for name, values in filters.items()]
    return {"symbol": f"{base}USDT", "status": "BREAK", "baseAsset": base, "quoteAsset": "USDT", "filters": listed}


def _info(*symbols: dict[str, Any]) -> bytes:
    return json.dumps({"timezone": "UTC", "symbols": symbols}).encode()


def test_steps_and_limits_are_the_venues_decimals() -> None:
    """Every limit by its filter; halted symbols are listed too."""
    (found,) = instruments(
        _info(
            _symbol(
                PRICE_FILTER={"minPrice": "0.01", "maxPrice": "1000000", "tickSize": "0.01000000"},
                LOT_SIZE={"minQty": "0.00001", "maxQty": "9000.00000000", "stepSize": "0.00001000"},
                MARKET_LOT_SIZE={"minQty": "0", "maxQty": "100", "stepSize": "0.00100000"},
                NOTIONAL={"minNotional": "5.00000000", "applyMinToMarket": True},
            )
        )
    )
    assert (found.symbol, found.venue_symbol, found.base, found.quote) == ("BTC/USDT", "BTCUSDT", "BTC", "USDT")
    assert (found.tick, found.lot) == (Decimal("0.01"), Decimal("0.00001"))
    assert (found.quantity_min, found.quantity_max) == (Decimal("0.00001"), Decimal(9000))
    assert (found.market_lot, found.notional_min) == (Decimal("0.001"), Decimal(5))


@pytest.mark.parametrize("step", ["0.00000000", "0.00001000"])
def test_a_market_step_that_differs_in_nothing_is_none(step: str) -> None:
    """Zero means that the ordinary step holds."""
    (found,) = instruments(_info(_symbol(LOT_SIZE={"stepSize": "0.00001"}, MARKET_LOT_SIZE={"stepSize": step})))
    assert found.market_lot == 0


def test_the_older_filter_of_the_smallest_notional_counts_as_well() -> None:
    """MIN_NOTIONAL, where NOTIONAL is not listed."""
    (found,) = instruments(_info(_symbol(MIN_NOTIONAL={"minNotional": "10"})))
    assert found.notional_min == 10


def test_an_asset_without_a_unified_spelling_is_left_out() -> None:
    """Such a symbol could not be named in an intent."""
    assert [found.base for found in instruments(_info(_symbol("币安"), _symbol("1000SATS")))] == ["1000SATS"]


@given(st.binary(max_size=60) | st.just(b"[" * 100_000) | st.just(b'{"symbols":[{"symbol":1}]}'))
def test_anything_else_is_refused(raw: bytes) -> None:
    """Only BadPayload comes of bytes that are no exchangeInfo."""
    with pytest.raises(BadPayload):
        instruments(raw)


def test_an_impossible_step_is_refused() -> None:
    """A limit that cannot be meant is not taken for one."""
    with pytest.raises(BadPayload, match="stepSize"):
        instruments(_info(_symbol(LOT_SIZE={"stepSize": "NaN"})))
