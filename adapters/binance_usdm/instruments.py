"""USDⓈ-M's `exchangeInfo` into instruments: perpetuals alone. Pure."""

from collections.abc import Sequence
from decimal import Decimal

from adapters.binance.instruments import Listed, instrument, listed, read
from streams.instrument import Instrument
from streams.money import ZERO

_PERPETUALS = ("PERPETUAL", "TRADIFI_PERPETUAL")  # the second on stocks and metals


def instruments(raw: bytes) -> Sequence[Instrument]:
    """Read every perpetual; those with a date of delivery have no unified spelling here.

    Raises:
        BadPayload: it is not an exchangeInfo of USDⓈ-M.
    """
    return [
        instrument(entry, _notional(entry), entry.margin_asset)
        for entry in listed(raw)
        if entry.contract_type in _PERPETUALS and entry.margin_asset == entry.quote_asset and entry.spelled
    ]


def _notional(entry: Listed) -> Decimal:
    rules = [rule for rule in entry.filters if rule.filter_type == "MIN_NOTIONAL"]
    return read(rules[-1].notional, "notional") if rules else ZERO
