"""Pure: USDⓈ-M's words: requests with position sides, rows with both, `ORDER_TRADE_UPDATE` and `TRADE_LITE`.

Names and codes are those of Binance's USDⓈ-M API documentation.
"""

from collections.abc import Iterable, Mapping
from decimal import Decimal

from adapters.simulated import amending, requests, symbols
from adapters.simulated.accounts import Account
from adapters.simulated.amending import Amended
from adapters.simulated.exchange import Exchange
from adapters.simulated.form import Form
from adapters.simulated.orders import Fill, Order, OrderType, Outcome, Placement, Report
from adapters.simulated.payloads import Payload
from adapters.simulated.refusals import Refusal
from adapters.simulated.requests import Params
from adapters.simulated.symbols import Symbol, fixed

_ZERO = fixed(Decimal(0))
_OWN = ("positionSide", "reduceOnly")
# The core's refusals in this product's own codes, by code and the beginning of the sentence.
_CODES: tuple[tuple[int, str, int, str], ...] = (
    (-2010, "Duplicate order sent", -4116, "ClientOrderId is duplicated."),
    (-2010, "Account has insufficient balance", -2019, "Margin is insufficient."),
    (
        -2010,
        "Order would immediately match",
        -5022,
        "Due to the order could not be executed as maker, the Post Only order will be rejected.",
    ),
    (-1013, "Filter failure: LOT_SIZE", -4023, "Qty not increased by step size."),
    (-1013, "Filter failure: PRICE_FILTER", -4014, "Price not increased by tick size."),
    (
        -1013,
        "Filter failure: NOTIONAL",
        -4164,
        "Order's notional must be no smaller than 5.",
    ),
)


def placement(params: Params, default_client_id: str) -> tuple[Placement, str]:
    """Read a new order: `GTX` is post-only, and an order has a position side.

    Raises:
        Refusal: with the venue's own code.
    """
    side, reduce_only = params.get("positionSide", "BOTH"), params.get("reduceOnly", "false") == "true"
    if side not in ("BOTH", "LONG", "SHORT"):
        raise Refusal(-4060, "Invalid position side.")
    if side != "BOTH" and "reduceOnly" in params:
        raise Refusal(-1106, "Parameter 'reduceonly' sent when not required.")
    rest = {name: value for name, value in params.items() if name not in _OWN}
    if (rest.get("type"), rest.get("timeInForce")) == ("LIMIT", "GTX"):
        del rest["timeInForce"]
        rest["type"] = "LIMIT_MAKER"
    rest.setdefault("newOrderRespType", "ACK")
    read, response_type = requests.placement(rest, default_client_id)
    return (
        Placement(
            read.symbol, read.side, read.type, read.quantity, read.price, read.time_in_force, read.client_order_id,
            position_side=side, reduce_only=reduce_only,
        ),
        response_type,
    )  # fmt: skip


def order_row(order: Order) -> Payload:
    """An order as every answer here prints it."""
    return {
        "orderId": order.order_id,
        "symbol": order.symbol,
        "status": order.status.value,
        "clientOrderId": order.client_order_id,
        "price": fixed(order.price),
        "avgPrice": fixed(order.quote_executed / order.executed) if order.executed else _ZERO,
        "origQty": fixed(order.quantity),
        "executedQty": fixed(order.executed),
        "cumQuote": fixed(order.quote_executed),
        "timeInForce": _force(order),
        "type": _type(order),
        "reduceOnly": order.reduce_only,
        "closePosition": False,
        "side": order.side.value,
        "positionSide": order.position_side,
        "stopPrice": _ZERO,
        "workingType": "CONTRACT_PRICE",
        "priceProtect": False,
        "origType": _type(order),
        "priceMatch": "NONE",
        "selfTradePreventionMode": "NONE",
        "goodTillDate": 0,
        "time": order.created_ms,
        "updateTime": order.updated_ms,
    }


def placed(outcome: Outcome, response_type: str) -> Payload:
    """The answer to a new order: at once as it was taken (ACK), or as it stands (RESULT); never with fills."""
    row = order_row(outcome.order)
    if response_type == "ACK":
        row |= {"status": "NEW", "executedQty": _ZERO, "cumQuote": _ZERO, "avgPrice": _ZERO}
    row["cumQty"] = row["executedQty"]
    return row


def cancelled(outcome: Outcome) -> Payload:
    """The answer to a cancel: the order under its own id."""
    row = order_row(outcome.order)
    row["cumQty"] = row["executedQty"]
    return row


def amended(exchange: Exchange, account: str, params: Params, made_id: str, now_ms: int, lag_ms: int) -> Amended:  # noqa: PLR0917 - one request and what it is read with
    """Amend an order in place; raises Refusal."""
    outcome = amending.modify(exchange, account, params, made_id, now_ms, lag_ms)
    return Amended(200, cancelled(outcome), outcome.reports)


def trade_row(fill: Fill) -> Payload:
    """A fill as `GET /fapi/v1/userTrades` prints it."""
    return {
        "buyer": fill.side.value == "BUY",
        "commission": fixed(fill.commission),
        "commissionAsset": fill.commission_asset,
        "id": fill.trade_id,
        "maker": fill.maker,
        "orderId": fill.order_id,
        "price": fixed(fill.price),
        "qty": fixed(fill.quantity),
        "quoteQty": fixed(fill.price * fill.quantity),
        "realizedPnl": _ZERO,
        "side": fill.side.value,
        "positionSide": "BOTH",
        "symbol": fill.symbol,
        "time": fill.time_ms,
    }


def reports(report: Report, event_ms: int) -> Iterable[Payload]:
    """A trade is told twice: by `TRADE_LITE` at once, and by `ORDER_TRADE_UPDATE`."""
    order, fill = report.order, report.fill
    if fill is not None:
        yield {
            "e": "TRADE_LITE", "E": event_ms, "T": report.time_ms, "s": order.symbol, "q": fixed(order.quantity),
            "p": fixed(order.price), "m": fill.maker, "c": order.client_order_id, "S": order.side.value,
            "L": fixed(fill.price), "l": fixed(fill.quantity), "t": fill.trade_id, "i": order.order_id,
        }  # fmt: skip
    told: Payload = {
        "s": order.symbol, "c": order.client_order_id, "S": order.side.value, "o": _type(order), "f": _force(order),
        "q": fixed(order.quantity), "p": fixed(order.price), "ap": _ZERO, "sp": _ZERO, "x": report.execution.value,
        "X": order.status.value, "i": order.order_id, "l": fixed(fill.quantity) if fill else _ZERO,
        "z": fixed(order.executed), "L": fixed(fill.price) if fill else _ZERO, "T": report.time_ms,
        "t": fill.trade_id if fill else 0, "b": _ZERO, "a": _ZERO, "m": fill.maker if fill else False,
        "R": order.reduce_only, "wt": "CONTRACT_PRICE", "ot": _type(order), "ps": order.position_side, "cp": False,
        "rp": _ZERO, "pP": False, "si": 0, "ss": 0, "V": "NONE", "pm": "NONE", "gtd": 0,
    }  # fmt: skip
    if fill is not None:
        told |= {"n": fixed(fill.commission), "N": fill.commission_asset}
    yield {"e": "ORDER_TRADE_UPDATE", "E": event_ms, "T": report.time_ms, "o": told}


def account_update(account: Account, assets: Iterable[str], event_ms: int) -> Payload:
    """`ACCOUNT_UPDATE` after an order: wallet balances and the positions of the account."""
    return {
        "e": "ACCOUNT_UPDATE", "E": event_ms, "T": account.updated_ms,
        "a": {
            "m": "ORDER",
            "B": [
                {"a": asset, "wb": fixed(held.free + held.locked), "cw": fixed(held.free + held.locked), "bc": _ZERO}
                for asset in assets
                if (held := account.balance(asset)).free
            ],
            "P": [
                {
                    "s": symbol, "pa": fixed(held.amount), "ep": fixed(held.entry_price), "cr": fixed(held.realized),
                    "up": _ZERO, "mt": "cross", "ps": side,
                }
                for (symbol, side), held in account.positions.items()
            ],
        },
    }  # fmt: skip


def wallet_moved(asset: str, delta: Decimal, why: str, event_ms: int) -> Payload:
    """`ACCOUNT_UPDATE` of a wallet that no order moved: `DEPOSIT`, `WITHDRAW`, `FUNDING_FEE`."""
    wallet = {"a": asset, "wb": fixed(delta), "cw": fixed(delta), "bc": fixed(delta)}
    return {"e": "ACCOUNT_UPDATE", "E": event_ms, "T": event_ms, "a": {"m": why, "B": [wallet], "P": []}}


def positions(account: Account, prices: Mapping[str, Decimal]) -> list[Payload]:
    """What `GET /fapi/v3/positionRisk` prints of an account: its open positions."""
    return [
        {
            "symbol": symbol, "positionSide": side, "positionAmt": fixed(held.amount),
            "entryPrice": fixed(held.entry_price), "markPrice": fixed(prices[symbol]),
        }
        for (symbol, side), held in account.positions.items()
        if held.amount
    ]  # fmt: skip


def wallets(account: Account, quotes: Mapping[str, str], prices: Mapping[str, Decimal]) -> list[Payload]:
    """What `GET /fapi/v3/balance` prints of an account: its wallets, and beside them what positions would bring.

    Args:
        account: whose.
        quotes: symbol -> the asset that its profit is paid in.
        prices: symbol -> what a position is valued at.
    """
    unrealized: dict[str, Decimal] = {}
    for (symbol, _), held in account.positions.items():
        worth = held.amount * prices[symbol] - held.cost
        unrealized[quotes[symbol]] = unrealized.get(quotes[symbol], Decimal(0)) + worth
    rows: list[Payload] = []
    for asset, balance in account.balances.items():
        wallet, free = fixed(balance.free + balance.locked), fixed(balance.free)
        rows.append({
            "accountAlias": "SgsR", "asset": asset, "balance": wallet, "crossWalletBalance": wallet,
            "crossUnPnl": fixed(unrealized.get(asset, Decimal(0))), "availableBalance": free, "maxWithdrawAmount": free,
            "marginAvailable": True, "updateTime": account.updated_ms,
        })  # fmt: skip
    return rows


def describe(symbol: Symbol) -> Payload:
    """A perpetual as `GET /fapi/v1/exchangeInfo` prints it."""
    filters = [
        {"minNotional": None, "notional": row["minNotional"], "filterType": "MIN_NOTIONAL"}
        if row["filterType"] == "NOTIONAL"
        else row
        for row in symbols.filters(symbol)
    ]
    return {
        "symbol": symbol.symbol, "pair": symbol.symbol, "contractType": "PERPETUAL", "status": "TRADING",
        "baseAsset": symbol.base_asset, "quoteAsset": symbol.quote_asset, "marginAsset": symbol.quote_asset,
        "orderTypes": ["LIMIT", "MARKET"], "timeInForce": ["GTC", "IOC", "FOK", "GTX"], "filters": filters,
    }  # fmt: skip


def refused(refusal: Refusal) -> Refusal:
    """Give a refusal of the core this product's own code and sentence."""
    for code, beginning, own, sentence in _CODES:
        if refusal.code == code and refusal.msg.startswith(beginning):
            return Refusal(own, sentence)
    return refusal


def _type(order: Order) -> str:
    return "LIMIT" if order.type is OrderType.LIMIT_MAKER else order.type.value


def _force(order: Order) -> str:
    return "GTX" if order.type is OrderType.LIMIT_MAKER else order.time_in_force.value


USDM = Form(
    rest_path="/fapi/v1",
    ws_path="/ws-fapi/v1",
    lookups={
        "order": "order",
        "openOrders": "openOrders",
        "allOrders": "allOrders",
        "userTrades": "myTrades",
        "/fapi/v3/positionRisk": "positionRisk",
        "/fapi/v3/balance": "wallets",
    },
    placement=placement,
    placed=placed,
    cancelled=cancelled,
    amend=amended,
    amend_route=("PUT", "order"),
    amend_method="order.modify",
    order_row=order_row,
    trade_row=trade_row,
    reports=reports,
    balances=account_update,
    moved=wallet_moved,
    ended="listenKeyExpired",
    wrapped=False,
    describe=describe,
    refused=refused,
    batch="batchOrders",
    order_weight=0,
)
