"""ccxt's markets into instruments. Pure.

Spot only: what a contract is worth, and what a position is, no unified call tells well enough. The venue's spelling is
ccxt's unified one, because every unified answer names its market by it.
"""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

from adapters.binance.instruments import ASSET
from streams.errors import BadPayload
from streams.instrument import Instrument
from streams.money import ZERO, plain

DECIMAL_PLACES, TICK_SIZE = 2, 4  # of ccxt's `precisionMode`; 3 is significant digits, which are no grid


def instruments(markets: Iterable[Mapping[str, Any]], precision_mode: int) -> Sequence[Instrument]:
    """Read every spot market that can be spelled; one whose limits cannot be read is left out."""
    found = []
    for market in markets:
        try:
            found.append(_instrument(market, precision_mode))
        except (BadPayload, ValueError, TypeError, AttributeError):
            continue
    return found


def _instrument(market: Mapping[str, Any], mode: int) -> Instrument:
    base, quote = market["base"], market["quote"]
    symbol = f"{base}/{quote}"
    if (
        not market.get("spot")
        or market.get("symbol") != symbol
        or not (ASSET.fullmatch(base) and ASSET.fullmatch(quote))
    ):
        raise BadPayload("no spot market with a spelling of ours")
    limits = market.get("limits") or {}
    least, most = (_read((limits.get("amount") or {}).get(name)) for name in ("min", "max"))
    precision = market.get("precision") or {}
    return Instrument(
        symbol=symbol,
        venue_symbol=symbol,
        base=base,
        quote=quote,
        tick=_step(precision.get("price"), mode),
        lot=_step(precision.get("amount"), mode),
        quantity_min=least,
        quantity_max=most,
        notional_min=_read((limits.get("cost") or {}).get("min")),
    )


def _step(told: object, mode: int) -> Decimal:
    if told is None or mode not in (DECIMAL_PLACES, TICK_SIZE):
        return ZERO
    return _read(told) if mode == TICK_SIZE else plain(Decimal(1).scaleb(-int(_read(told))))


def _read(told: object) -> Decimal:
    if told is None:
        return ZERO
    try:
        value = Decimal(str(told))
    except InvalidOperation:
        raise BadPayload("a limit is no number") from None
    if not value.is_finite() or value < 0:
        raise BadPayload("a limit is no amount")
    return plain(value)
