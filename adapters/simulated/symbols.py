"""Pure: trading rules of a symbol and the filters that enforce them (filters page of Binance's spot API docs)."""

from decimal import Decimal

import msgspec

from adapters.simulated import refusals

_PRECISION = 8


class Symbol(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A symbol's rules. Prices in quote asset per base asset, quantities in base asset, notionals in quote asset."""

    symbol: str
    base_asset: str
    quote_asset: str
    tick_size: Decimal
    step_size: Decimal
    reference_price: Decimal
    min_price: Decimal = Decimal("0.01")
    max_price: Decimal = Decimal(1000000)
    min_quantity: Decimal = Decimal("0.00001")
    max_quantity: Decimal = Decimal(9000)
    market_max_quantity: Decimal = Decimal(150)
    min_notional: Decimal = Decimal(5)
    max_notional: Decimal = Decimal(9000000)
    max_open_orders: int = 200


DEFAULT_SYMBOLS: tuple[Symbol, ...] = (
    Symbol("BTCUSDT", "BTC", "USDT", Decimal("0.01"), Decimal("0.00001"), Decimal(60000)),
    Symbol(
        "ETHUSDT",
        "ETH",
        "USDT",
        Decimal("0.01"),
        Decimal("0.0001"),
        Decimal(2500),
        min_quantity=Decimal("0.0001"),
        market_max_quantity=Decimal(3000),
    ),
)


def check_price(symbol: Symbol, price: Decimal) -> None:
    """Refuse a price the symbol does not know.

    Raises:
        Refusal: -1111, -1013 "Invalid price." or PRICE_FILTER.
    """
    if _decimals(price) > _PRECISION:
        raise refusals.too_precise("price")
    if price <= 0:
        raise refusals.Refusal(-1013, "Invalid price.")
    if not symbol.min_price <= price <= symbol.max_price or price % symbol.tick_size:
        raise refusals.filter_failure("PRICE_FILTER")


def check_quantity(symbol: Symbol, quantity: Decimal, *, market: bool) -> None:
    """Refuse a quantity the symbol does not know.

    Raises:
        Refusal: -1111, -1013 "Invalid quantity.", LOT_SIZE or MARKET_LOT_SIZE.
    """
    if _decimals(quantity) > _PRECISION:
        raise refusals.too_precise("quantity")
    if quantity <= 0:
        raise refusals.Refusal(-1013, "Invalid quantity.")
    if not symbol.min_quantity <= quantity <= symbol.max_quantity or quantity % symbol.step_size:
        raise refusals.filter_failure("LOT_SIZE")
    if market and quantity > symbol.market_max_quantity:
        raise refusals.filter_failure("MARKET_LOT_SIZE")


def check_notional(symbol: Symbol, price: Decimal, quantity: Decimal, *, market: bool) -> None:
    """Refuse an order that is worth too little or, when it has a price of its own, too much.

    Raises:
        Refusal: NOTIONAL.
    """
    notional = price * quantity
    if notional < symbol.min_notional or (not market and notional > symbol.max_notional):
        raise refusals.filter_failure("NOTIONAL")


def describe(symbol: Symbol) -> dict[str, object]:
    """The symbol as `GET /api/v3/exchangeInfo` prints it."""
    return {
        "symbol": symbol.symbol,
        "status": "TRADING",
        "baseAsset": symbol.base_asset,
        "baseAssetPrecision": _PRECISION,
        "quoteAsset": symbol.quote_asset,
        "quotePrecision": _PRECISION,
        "quoteAssetPrecision": _PRECISION,
        "baseCommissionPrecision": _PRECISION,
        "quoteCommissionPrecision": _PRECISION,
        "orderTypes": ["LIMIT", "LIMIT_MAKER", "MARKET"],
        "icebergAllowed": False,
        "ocoAllowed": False,
        "otoAllowed": False,
        "quoteOrderQtyMarketAllowed": False,
        "allowTrailingStop": False,
        "cancelReplaceAllowed": False,
        "amendAllowed": False,
        "isSpotTradingAllowed": True,
        "isMarginTradingAllowed": False,
        "filters": filters(symbol),
        "permissions": [],
        "permissionSets": [["SPOT"]],
        "defaultSelfTradePreventionMode": "NONE",
        "allowedSelfTradePreventionModes": ["NONE"],
    }


def fixed(amount: Decimal) -> str:
    """A number as Binance prints it: eight decimals, never an exponent."""
    return f"{amount:.8f}"


def filters(symbol: Symbol) -> list[dict[str, object]]:
    """The symbol's filters as `exchangeInfo` prints them."""
    return [
        {
            "filterType": "PRICE_FILTER",
            "minPrice": fixed(symbol.min_price),
            "maxPrice": fixed(symbol.max_price),
            "tickSize": fixed(symbol.tick_size),
        },
        {
            "filterType": "LOT_SIZE",
            "minQty": fixed(symbol.min_quantity),
            "maxQty": fixed(symbol.max_quantity),
            "stepSize": fixed(symbol.step_size),
        },
        {
            "filterType": "MARKET_LOT_SIZE",
            "minQty": fixed(Decimal(0)),
            "maxQty": fixed(symbol.market_max_quantity),
            "stepSize": fixed(Decimal(0)),
        },
        {
            "filterType": "NOTIONAL",
            "minNotional": fixed(symbol.min_notional),
            "applyMinToMarket": True,
            "maxNotional": fixed(symbol.max_notional),
            "applyMaxToMarket": False,
            "avgPriceMins": 5,
        },
        {"filterType": "MAX_NUM_ORDERS", "maxNumOrders": symbol.max_open_orders},
    ]


def _decimals(amount: Decimal) -> int:
    exponent = amount.normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else _PRECISION + 1
