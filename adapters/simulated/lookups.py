"""Pure: every signed look-up of the venue, by its path: what it weighs and what it answers.

Weights are those of Binance's spot API documentation.
"""

from collections.abc import Callable, Mapping

import msgspec

from adapters.simulated import payloads, requests, usdm
from adapters.simulated.exchange import Exchange
from adapters.simulated.form import Form
from adapters.simulated.refusals import mandatory
from adapters.simulated.requests import Params

_OWN_TRADES_WEIGHT = 20
_ONE_ORDER_TRADES_WEIGHT = 5
_ALL_SYMBOLS_WEIGHT = 80


class Asker(msgspec.Struct, frozen=True):
    """Who looks something up, and when (milliseconds of the venue's clock)."""

    account: str
    now_ms: int
    form: Form


Answer = object
_Lookup = Callable[[Exchange, Asker, Params], Answer]


def answer(path: str, exchange: Exchange, asker: Asker, params: Params) -> Answer:
    """What the venue answers, ready to be printed as JSON.

    Raises:
        Refusal: with the venue's own code.
    """
    return _LOOKUPS[path](exchange, asker, params)


def weight(path: str, params: Params) -> int:
    """What a look-up costs of the address's request weight."""
    if path == "openOrders" and "symbol" not in params:
        return _ALL_SYMBOLS_WEIGHT
    if path == "myTrades" and "orderId" in params:
        return _ONE_ORDER_TRADES_WEIGHT
    return _WEIGHTS[path]


def _order(exchange: Exchange, asker: Asker, params: Params) -> Answer:
    symbol = _symbol(exchange, params)
    order_id, client_id = requests.either_id(params)
    found = exchange.history.find(
        asker.account, symbol, order_id=order_id, client_order_id=client_id, now_ms=asker.now_ms
    )
    return asker.form.order_row(found)


def _open_orders(exchange: Exchange, asker: Asker, params: Params) -> Answer:
    symbol = _symbol(exchange, params) if "symbol" in params else None
    return [asker.form.order_row(row) for row in exchange.history.open_orders(asker.account, symbol, asker.now_ms)]


def _all_orders(exchange: Exchange, asker: Asker, params: Params) -> Answer:
    symbol = _symbol(exchange, params)
    rows = exchange.history.orders(asker.account, symbol, requests.page(params), asker.now_ms)
    return [asker.form.order_row(row) for row in rows]


def _my_trades(exchange: Exchange, asker: Asker, params: Params) -> Answer:
    symbol = _symbol(exchange, params)
    rows = exchange.history.fills(asker.account, symbol, requests.page(params), asker.now_ms)
    return [asker.form.trade_row(row) for row in rows]


def _account(exchange: Exchange, asker: Asker, params: Params) -> Answer:
    omit_zero = params.get("omitZeroBalances") == "true"
    return payloads.account_row(exchange.accounts[asker.account], exchange.fees, omit_zero=omit_zero)


def _positions(exchange: Exchange, asker: Asker, params: Params) -> Answer:
    wanted = params.get("symbol")
    prices = {name: market.last_price for name, market in exchange.markets.items()}
    rows = usdm.positions(exchange.accounts[asker.account], prices)
    return [row for row in rows if wanted in {None, row["symbol"]}]


def _wallets(exchange: Exchange, asker: Asker, _params: Params) -> Answer:
    prices = {name: market.last_price for name, market in exchange.markets.items()}
    quotes = {name: market.rules.quote_asset for name, market in exchange.markets.items()}
    return usdm.wallets(exchange.accounts[asker.account], quotes, prices)


def _restrictions(exchange: Exchange, asker: Asker, _params: Params) -> Answer:
    return {
        "ipRestrict": False, "enableReading": True, "enableSpotAndMarginTrading": True,
        "enableWithdrawals": exchange.accounts[asker.account].may_withdraw,
    }  # fmt: skip


def _symbol(exchange: Exchange, params: Params) -> str:
    symbol = params.get("symbol")
    if not symbol:
        raise mandatory("symbol")
    return exchange.market(symbol).rules.symbol


_LOOKUPS: Mapping[str, _Lookup] = {
    "order": _order,
    "openOrders": _open_orders,
    "allOrders": _all_orders,
    "myTrades": _my_trades,
    "account": _account,
    "apiRestrictions": _restrictions,
    "positionRisk": _positions,
    "wallets": _wallets,
}
_WEIGHTS = {
    "order": 4,
    "openOrders": 6,
    "allOrders": 20,
    "myTrades": _OWN_TRADES_WEIGHT,
    "account": 20,
    "positionRisk": 5,
    "wallets": 5,
    "apiRestrictions": 1,
}
