"""Pure: what Binance spot prints. Amounts have eight decimals, times are milliseconds, ids are numbers."""

from collections.abc import Iterable
from decimal import Decimal

from adapters.simulated.accounts import Account, Fees
from adapters.simulated.orders import ExecutionType, Fill, Order, OrderType, Outcome, Report, Status
from adapters.simulated.symbols import fixed

_ZERO = fixed(Decimal(0))
Payload = dict[str, object]


def placed(outcome: Outcome, response_type: str) -> Payload:
    """The answer to a new order: ACK names it, RESULT adds its state, FULL adds its fills."""
    order = outcome.order
    answer: Payload = {
        "symbol": order.symbol,
        "orderId": order.order_id,
        "orderListId": -1,
        "clientOrderId": order.client_order_id,
        "transactTime": order.created_ms,
    }
    if response_type == "ACK":
        return answer
    answer |= _state(order) | {"workingTime": order.created_ms, "selfTradePreventionMode": "NONE"}
    if response_type == "FULL":
        answer["fills"] = [
            {
                "price": fixed(fill.price),
                "qty": fixed(fill.quantity),
                "commission": fixed(fill.commission),
                "commissionAsset": fill.commission_asset,
                "tradeId": fill.trade_id,
            }
            for fill in outcome.fills
        ]
    return answer


def cancelled(outcome: Outcome) -> Payload:
    """The answer to a cancel: `clientOrderId` is the cancel request's id, the order's own moves to the original."""
    order = outcome.order
    return {
        "symbol": order.symbol,
        "origClientOrderId": order.client_order_id,
        "orderId": order.order_id,
        "orderListId": -1,
        "clientOrderId": outcome.reports[0].cancel_id,
        "transactTime": order.updated_ms,
        **_state(order),
        "selfTradePreventionMode": "NONE",
    }


def order_row(order: Order) -> Payload:
    """An order as look-ups print it."""
    return {
        "symbol": order.symbol,
        "orderId": order.order_id,
        "orderListId": -1,
        "clientOrderId": order.client_order_id,
        "price": fixed(order.price),
        "origQty": fixed(order.quantity),
        "executedQty": fixed(order.executed),
        "cummulativeQuoteQty": fixed(order.quote_executed),
        "status": order.status.value,
        "timeInForce": order.time_in_force.value,
        "type": order.type.value,
        "side": order.side.value,
        "stopPrice": _ZERO,
        "icebergQty": _ZERO,
        "time": order.created_ms,
        "updateTime": order.updated_ms,
        "isWorking": True,
        "workingTime": order.created_ms,
        "origQuoteOrderQty": _ZERO,
        "selfTradePreventionMode": "NONE",
    }


def trade_row(fill: Fill) -> Payload:
    """A fill as `GET /api/v3/myTrades` prints it."""
    return {
        "symbol": fill.symbol,
        "id": fill.trade_id,
        "orderId": fill.order_id,
        "orderListId": -1,
        "price": fixed(fill.price),
        "qty": fixed(fill.quantity),
        "quoteQty": fixed(fill.price * fill.quantity),
        "commission": fixed(fill.commission),
        "commissionAsset": fill.commission_asset,
        "time": fill.time_ms,
        "isBuyer": fill.side.value == "BUY",
        "isMaker": fill.maker,
        "isBestMatch": True,
    }


def account_row(account: Account, fees: Fees, *, omit_zero: bool) -> Payload:
    """An account as `GET /api/v3/account` prints it."""
    return {
        "makerCommission": int(fees.maker * 10000),
        "takerCommission": int(fees.taker * 10000),
        "buyerCommission": 0,
        "sellerCommission": 0,
        "commissionRates": {
            "maker": fixed(fees.maker),
            "taker": fixed(fees.taker),
            "buyer": _ZERO,
            "seller": _ZERO,
        },
        "canTrade": True,
        "canWithdraw": False,
        "canDeposit": False,
        "brokered": False,
        "requireSelfTradePrevention": False,
        "preventSor": False,
        "updateTime": account.updated_ms,
        "accountType": "SPOT",
        "balances": [
            {"asset": asset, "free": fixed(balance.free), "locked": fixed(balance.locked)}
            for asset, balance in account.balances.items()
            if balance.free or balance.locked or not omit_zero
        ],
        "permissions": ["SPOT"],
        "uid": 1,
    }


def execution_report(report: Report, event_ms: int) -> Payload:
    """The user data stream's `executionReport`.

    On a cancel `c` is the cancel request's id and `C` the order's own; otherwise `c` is the order's own and `C` empty.
    """
    order, fill = report.order, report.fill
    cancel = report.execution is ExecutionType.CANCELED
    return {
        "e": "executionReport",
        "E": event_ms,
        "s": order.symbol,
        "c": report.cancel_id if cancel else order.client_order_id,
        "S": order.side.value,
        "o": order.type.value,
        "f": order.time_in_force.value,
        "q": fixed(order.quantity),
        "p": fixed(order.price),
        "P": _ZERO,
        "F": _ZERO,
        "g": -1,
        "C": order.client_order_id if cancel else "",
        "x": report.execution.value,
        "X": order.status.value,
        "r": "NONE",
        "i": order.order_id,
        "l": fixed(fill.quantity) if fill else _ZERO,
        "z": fixed(order.executed),
        "L": fixed(fill.price) if fill else _ZERO,
        "n": fixed(fill.commission) if fill else "0",
        "N": fill.commission_asset if fill else None,
        "T": report.time_ms,
        "t": fill.trade_id if fill else -1,
        "I": report.execution_id,
        "w": _on_book(report),
        "m": fill.maker if fill else False,
        "M": fill is not None,
        "O": order.created_ms,
        "Z": fixed(order.quote_executed),
        "Y": fixed(fill.price * fill.quantity) if fill else _ZERO,
        "Q": _ZERO,
        "W": order.created_ms,
        "V": "NONE",
    }


def account_position(account: Account, assets: Iterable[str], event_ms: int) -> Payload:
    """The user data stream's `outboundAccountPosition` for the assets that may have changed."""
    balances = [(asset, account.balance(asset)) for asset in assets]
    return {
        "e": "outboundAccountPosition",
        "E": event_ms,
        "u": account.updated_ms,
        "B": [{"a": asset, "f": fixed(held.free), "l": fixed(held.locked)} for asset, held in balances],
    }


def balance_update(asset: str, delta: Decimal, event_ms: int) -> Payload:
    """The user data stream's `balanceUpdate`: a deposit, a withdrawal or a transfer."""
    return {"e": "balanceUpdate", "E": event_ms, "a": asset, "d": fixed(delta), "T": event_ms}


def _state(order: Order) -> Payload:
    return {
        "price": fixed(order.price),
        "origQty": fixed(order.quantity),
        "executedQty": fixed(order.executed),
        "origQuoteOrderQty": _ZERO,
        "cummulativeQuoteQty": fixed(order.quote_executed),
        "status": order.status.value,
        "timeInForce": order.time_in_force.value,
        "type": order.type.value,
        "side": order.side.value,
    }


def _on_book(report: Report) -> bool:
    if report.order.type is OrderType.MARKET:
        return report.execution is ExecutionType.NEW
    return report.order.status in {Status.NEW, Status.PARTIALLY_FILLED}
