"""USDⓈ-M's `exchangeInfo` into instruments: perpetuals alone. Pure."""

from collections.abc import Sequence
from decimal import Decimal

import msgspec
from msgspec import Raw, Struct

from adapters.binance.instruments import ASSET
from adapters.binance.payloads import amount_or_none
from streams.errors import BadPayload
from streams.instrument import Instrument
from streams.money import ZERO

_ABSENT = Raw(b"null")


class _Filter(Struct, frozen=True, rename="camel"):
    filter_type: str
    tick_size: Raw = _ABSENT
    step_size: Raw = _ABSENT
    min_qty: Raw = _ABSENT
    max_qty: Raw = _ABSENT
    notional: Raw = _ABSENT


class _Symbol(Struct, frozen=True, rename="camel"):
    symbol: str
    base_asset: str
    quote_asset: str
    margin_asset: str = ""
    contract_type: str = ""
    filters: tuple[_Filter, ...] = ()


class _ExchangeInfo(Struct, frozen=True):
    symbols: tuple[_Symbol, ...]


def instruments(raw: bytes) -> Sequence[Instrument]:
    """Read every perpetual; those with a date of delivery have no unified spelling here.

    Raises:
        BadPayload: it is not an exchangeInfo of USDⓈ-M.
    """
    try:
        listed = _DECODER.decode(raw).symbols
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise BadPayload(f"exchangeInfo cannot be read: {str(error)[:200]}") from None
    return [
        _instrument(entry, {rule.filter_type: rule for rule in entry.filters})
        for entry in listed
        if entry.contract_type == "PERPETUAL"
        and entry.margin_asset == entry.quote_asset
        and ASSET.fullmatch(entry.base_asset)
        and ASSET.fullmatch(entry.quote_asset)
    ]


def _instrument(entry: _Symbol, rules: dict[str, _Filter]) -> Instrument:
    price, lot = rules.get("PRICE_FILTER", _NONE), rules.get("LOT_SIZE", _NONE)
    market, notional = rules.get("MARKET_LOT_SIZE", _NONE), rules.get("MIN_NOTIONAL", _NONE)
    step, market_step = _read(lot.step_size, "stepSize"), _read(market.step_size, "stepSize")
    return Instrument(
        symbol=f"{entry.base_asset}/{entry.quote_asset}:{entry.margin_asset}",
        venue_symbol=entry.symbol,
        base=entry.base_asset,
        quote=entry.quote_asset,
        tick=_read(price.tick_size, "tickSize"),
        lot=step,
        quantity_min=_read(lot.min_qty, "minQty"),
        quantity_max=_read(lot.max_qty, "maxQty"),
        market_lot=ZERO if market_step == step else market_step,
        notional_min=_read(notional.notional, "notional"),
    )


def _read(raw: Raw, name: str) -> Decimal:
    return amount_or_none(raw, name) or ZERO


_NONE = _Filter("")
_DECODER = msgspec.json.Decoder(_ExchangeInfo)
