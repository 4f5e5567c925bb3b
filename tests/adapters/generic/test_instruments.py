"""ccxt's markets into instruments."""

from decimal import Decimal
from typing import Any

import pytest

from adapters.generic.instruments import DECIMAL_PLACES, TICK_SIZE, instruments
from streams.money import ZERO

MARKET: dict[str, Any] = {
    "symbol": "BTC/USDT", "base": "BTC", "quote": "USDT", "spot": True,
    "precision": {"amount": "0.0001", "price": "0.1"},
    "limits": {"amount": {"min": "0.001", "max": "9000"}, "cost": {"min": "5"}},
}  # fmt: skip


def test_a_market_has_its_grid_and_its_limits() -> None:
    """Exactly as told; its spelling is the unified one, by which every answer names it."""
    [one] = instruments([MARKET], TICK_SIZE)
    assert (one.symbol, one.venue_symbol, one.base, one.quote) == ("BTC/USDT", "BTC/USDT", "BTC", "USDT")
    assert (one.tick, one.lot) == (Decimal("0.1"), Decimal("0.0001"))
    assert (one.quantity_min, one.quantity_max, one.notional_min) == (Decimal("0.001"), Decimal(9000), Decimal(5))


def test_decimal_places_are_a_grid_too() -> None:
    """Significant digits are none."""
    told = {**MARKET, "precision": {"amount": "4", "price": "0"}}
    assert [(one.tick, one.lot) for one in instruments([told], DECIMAL_PLACES)] == [(Decimal(1), Decimal("0.0001"))]
    assert [(one.tick, one.lot) for one in instruments([told], 3)] == [(Decimal(0), Decimal(0))]


@pytest.mark.parametrize(
    "changes",
    [
        {"spot": False}, {"symbol": "BTC/USDT:USDT"}, {"base": "btc", "symbol": "btc/USDT"}, {"base": None},
        {"limits": {"amount": {"min": "few"}}}, {"precision": {"amount": "-1"}}, {"limits": {"amount": {"min": "nan"}}},
    ],
)  # fmt: skip
def test_what_is_no_spot_market_of_ours_is_left_out(changes: dict[str, Any]) -> None:
    """The others stay."""
    assert len(instruments([MARKET, {**MARKET, **changes}], TICK_SIZE)) == 1


def test_limits_that_are_not_told_are_none() -> None:
    """Zero is none."""
    [one] = instruments([{**MARKET, "precision": {}, "limits": None}], TICK_SIZE)
    assert (one.tick, one.lot, one.quantity_min, one.quantity_max, one.notional_min) == (ZERO,) * 5
