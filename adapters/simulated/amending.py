"""Pure: how a product amends an order. Spot replaces it by another one, USDⓈ-M changes it where it rests.

Rules are those of `POST /api/v3/order/cancelReplace` and `PUT /fapi/v1/order` of Binance's API documentation.
"""

from collections.abc import Callable, Mapping
from decimal import Decimal

import msgspec

from adapters.simulated import payloads, refusals, requests, symbols
from adapters.simulated.exchange import Exchange
from adapters.simulated.orders import Cancellation, Outcome, Placement, Report, Status
from adapters.simulated.payloads import Payload
from adapters.simulated.refusals import Refusal
from adapters.simulated.requests import Params

_CANCELS = {
    "cancelOrigClientOrderId": "origClientOrderId", "cancelOrderId": "orderId",
    "cancelNewClientOrderId": "newClientOrderId",
}  # fmt: skip
_RESTRICTIONS = {"ONLY_NEW": Status.NEW, "ONLY_PARTIALLY_FILLED": Status.PARTIALLY_FILLED}
_MODIFY = frozenset({"symbol", "side", "quantity", "price", "orderId", "origClientOrderId"})


class Wanted(msgspec.Struct, frozen=True):
    """A cancel-replace: what is cancelled, under which condition, and what is placed."""

    cancel: Cancellation
    restriction: str
    stops: bool
    place: Placement
    response_type: str


class Amended(msgspec.Struct, frozen=True):
    """What an amend did: the answer's status and body, and every report it caused."""

    status: int
    body: Payload
    reports: tuple[Report, ...] = ()


def replace(exchange: Exchange, account: str, params: Params, made_id: str, now_ms: int, lag_ms: int) -> Amended:  # noqa: PLR0917 - one request and what it is read with
    """Cancel an order and place another.

    Raises:
        Refusal: before anything was tried.
    """
    wanted = _read(params, made_id)
    exchange.check(account, wanted.place)
    cancelled = _try(lambda: _cancel(exchange, account, wanted, now_ms))
    if isinstance(cancelled, Refusal) and wanted.stops:
        return _told(cancelled, None)
    placed = _try(lambda: exchange.place(account, wanted.place, now_ms, lag_ms))
    return _told(cancelled, placed, wanted.response_type)


def modify(exchange: Exchange, account: str, params: Params, made_id: str, now_ms: int, lag_ms: int) -> Outcome:  # noqa: PLR0917 - as of `replace`
    """Change quantity and price of a resting order; it goes to the end of its new price's queue.

    Raises:
        Refusal: the order is as it was.
    """
    symbol, quantity, price = requests.required(params, "symbol"), *_amounts(params)
    requests.known(params, _MODIFY)
    market = exchange.market(symbol)
    order_id, client_id = requests.either_id(params)
    order = exchange.history.open_order(account, symbol, order_id, client_id)
    if order is None:
        raise refusals.no_such_order()
    if (quantity, price) == (order.quantity, order.price):
        raise Refusal(-5027, "No need to modify the order.")
    symbols.check_price(market.rules, price)
    symbols.check_quantity(market.rules, quantity, market=False)
    wanted = msgspec.structs.replace(order, quantity=quantity, price=price, updated_ms=now_ms)
    if quantity <= order.executed or exchange.would_take(wanted):
        return exchange.cancel(account, Cancellation(symbol, order.order_id, None, made_id), now_ms)
    return exchange.change(wanted, now_ms, lag_ms)


def _read(params: Params, made_id: str) -> Wanted:
    mode = requests.required(params, "cancelReplaceMode")
    if mode not in ("STOP_ON_FAILURE", "ALLOW_FAILURE"):
        raise refusals.mandatory("cancelReplaceMode")
    restriction = params.get("cancelRestrictions", "")
    if restriction and restriction not in _RESTRICTIONS:
        raise refusals.mandatory("cancelRestrictions")
    own = {*_CANCELS, "cancelReplaceMode", "cancelRestrictions"}
    cancel: Mapping[str, str] = {
        "symbol": params.get("symbol", ""),
        **{name: params[given] for given, name in _CANCELS.items() if given in params},
    }
    place, response_type = requests.placement({k: v for k, v in params.items() if k not in own}, made_id)
    cancellation = requests.cancellation(cancel, f"c{made_id}"[:36])
    return Wanted(cancellation, restriction, mode == "STOP_ON_FAILURE", place, response_type)


def _cancel(exchange: Exchange, account: str, wanted: Wanted, now_ms: int) -> Outcome:
    cancel = wanted.cancel
    order = exchange.history.open_order(account, cancel.symbol, cancel.order_id, cancel.client_order_id)
    if order is not None and wanted.restriction and order.status is not _RESTRICTIONS[wanted.restriction]:
        raise Refusal(-2011, "Order was not canceled due to cancel restrictions.")
    return exchange.cancel(account, cancel, now_ms)


def _try(step: Callable[[], Outcome]) -> Outcome | Refusal:
    try:
        return step()
    except Refusal as refusal:
        return refusal


def _told(cancelled: Outcome | Refusal, placed: Outcome | Refusal | None, response_type: str = "") -> Amended:
    body: Payload = {
        "cancelResult": "FAILURE" if isinstance(cancelled, Refusal) else "SUCCESS",
        "newOrderResult": "NOT_ATTEMPTED"
        if placed is None
        else "FAILURE"
        if isinstance(placed, Refusal)
        else "SUCCESS",
        "cancelResponse": _error(cancelled) if isinstance(cancelled, Refusal) else payloads.cancelled(cancelled),
        "newOrderResponse": _error(placed)
        if isinstance(placed, Refusal)
        else placed and payloads.placed(placed, response_type),
    }
    reports = tuple(
        report for one in (cancelled, placed) if isinstance(one, Outcome) for report in one.reports
    )  # fmt: skip
    if isinstance(cancelled, Outcome) and isinstance(placed, Outcome):
        return Amended(200, body, reports)
    if isinstance(cancelled, Refusal) and not isinstance(placed, Outcome):
        return Amended(400, {"code": -2022, "msg": "Order cancel-replace failed.", "data": body}, reports)
    return Amended(409, {"code": -2021, "msg": "Order cancel-replace partially failed.", "data": body}, reports)


def _error(refusal: Refusal) -> Payload:
    return {"code": refusal.code, "msg": refusal.msg}


def _amounts(params: Params) -> tuple[Decimal, Decimal]:
    return requests.amount(params, "quantity"), requests.amount(params, "price")
