"""Binance's `exchangeInfo` into instruments: steps and limits as the decimals the venue wrote. Pure.

Spot and USDⓈ-M print the same but for where the smallest notional stands, and which symbols have a unified spelling.
"""

import re
from collections.abc import Sequence
from decimal import Decimal

import msgspec
from msgspec import Raw, Struct

from adapters.binance.payloads import amount_or_none
from streams.errors import BadPayload
from streams.instrument import Instrument
from streams.money import ZERO

ASSET = re.compile(r"[A-Z0-9]{1,32}")
_ABSENT = Raw(b"null")


class Filter(Struct, frozen=True, rename="camel"):
    """One filter of a symbol."""

    filter_type: str
    tick_size: Raw = _ABSENT
    step_size: Raw = _ABSENT
    min_qty: Raw = _ABSENT
    max_qty: Raw = _ABSENT
    min_notional: Raw = _ABSENT  # of spot
    notional: Raw = _ABSENT  # of USDⓈ-M


class Listed(Struct, frozen=True, rename="camel"):
    """One symbol as the venue lists it."""

    symbol: str
    base_asset: str
    quote_asset: str
    margin_asset: str = ""  # of USDⓈ-M, as the next one
    contract_type: str = ""
    filters: tuple[Filter, ...] = ()

    @property
    def spelled(self) -> bool:
        """Whether its assets can be spelled as ours are."""
        return ASSET.fullmatch(self.base_asset) is not None and ASSET.fullmatch(self.quote_asset) is not None


class _ExchangeInfo(Struct, frozen=True):
    symbols: tuple[Listed, ...]


def instruments(raw: bytes) -> Sequence[Instrument]:
    """Read every spot symbol, halted ones too: positions in them have to be named.

    Args:
        raw: the body of `GET /api/v3/exchangeInfo`.

    Returns:
        Instruments in the venue's order; symbols that have no unified spelling are left out.

    Raises:
        BadPayload: it is not an exchangeInfo.
    """
    return [instrument(entry, _notional(entry)) for entry in listed(raw) if entry.spelled]


def listed(raw: bytes) -> Sequence[Listed]:
    """Read what an exchangeInfo of either product lists; raises BadPayload."""
    try:
        return _DECODER.decode(raw).symbols
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise BadPayload(f"exchangeInfo cannot be read: {str(error)[:200]}") from None


def instrument(entry: Listed, notional_min: Decimal, settled_in: str = "") -> Instrument:
    """Make an instrument of a listed symbol; `settled_in` is what a derivative is settled in."""
    rules = {rule.filter_type: rule for rule in entry.filters}
    price, lot, market = (rules.get(name, _NONE) for name in ("PRICE_FILTER", "LOT_SIZE", "MARKET_LOT_SIZE"))
    step, market_step = read(lot.step_size, "stepSize"), read(market.step_size, "stepSize")
    return Instrument(
        symbol=f"{entry.base_asset}/{entry.quote_asset}" + (f":{settled_in}" if settled_in else ""),
        venue_symbol=entry.symbol,
        base=entry.base_asset,
        quote=entry.quote_asset,
        tick=read(price.tick_size, "tickSize"),
        lot=step,
        quantity_min=read(lot.min_qty, "minQty"),
        quantity_max=read(lot.max_qty, "maxQty"),
        market_lot=ZERO if market_step == step else market_step,
        notional_min=notional_min,
    )


def _notional(entry: Listed) -> Decimal:
    rules = {rule.filter_type: rule for rule in entry.filters}
    return read(rules.get("NOTIONAL", rules.get("MIN_NOTIONAL", _NONE)).min_notional, "minNotional")


def read(raw: Raw, name: str) -> Decimal:
    """Read a limit; zero where there is none. Raises BadPayload."""
    return amount_or_none(raw, name) or ZERO


_NONE = Filter("")
_DECODER = msgspec.json.Decoder(_ExchangeInfo)
