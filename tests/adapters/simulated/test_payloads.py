"""What is printed, next to what Binance prints: the same fields, from payloads nobody here wrote."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from adapters.simulated import payloads
from adapters.simulated.exchange import Exchange
from adapters.simulated.market import Quote
from adapters.simulated.matching import Side, TimeInForce
from adapters.simulated.orders import Cancellation, OrderType, Placement
from adapters.simulated.symbols import DEFAULT_SYMBOLS

RECORDED = Path(__file__).parents[3].parent / "shared" / "payloads"
JKORF = "jkorf/binance"
GO = "go-binance/binance"

# Printed by Binance only for stop, trailing, pegged, routed, listed, strategy or self-trade-prevented orders.
CONDITIONAL = frozenset({
    "trailingDelta", "trailingTime", "strategyId", "strategyType", "preventedMatchId", "preventedQuantity",
    "d", "D", "j", "J", "v", "A", "B", "u", "U", "Cs", "pl", "pL", "pY", "b", "a", "k", "uS",
})  # fmt: skip
# Added by Binance after the oldest recordings were made.
ADDED = frozenset({
    "origQuoteOrderQty", "orderListId", "workingTime", "selfTradePreventionMode", "origClientOrderId", "W", "V",
})  # fmt: skip


def recorded(name: str) -> dict[str, Any]:
    """The body of a recording; skips when the recordings are not here."""
    path = RECORDED / name
    if not path.exists():
        pytest.skip("the recorded venue payloads are not beside this project, so there is nothing to compare with")
    text = path.read_text()
    if path.suffix == ".txt":
        start = text.rindex("\n= ") if "\n= " in text else 0
        text = text[min(place for place in (text.find("{", start), text.find("[", start)) if place >= 0) :]
    body = json.loads(text)
    body = body[0] if isinstance(body, list) else body
    found = body.get("event") or body.get("result") or body
    assert isinstance(found, dict)
    return found


class Trading:
    """One venue in which one of everything has happened."""

    def __init__(self) -> None:
        self.exchange = Exchange(DEFAULT_SYMBOLS, {"main": {"BTC": Decimal(10), "USDT": Decimal(1000000)}})
        self.exchange.house("BTCUSDT", Quote(Side.SELL, Decimal("0.4"), Decimal(60000)), 1)
        order = Placement("BTCUSDT", Side.BUY, OrderType.LIMIT, Decimal(1), Decimal(60000), TimeInForce.GTC, "mine")
        self.placed = self.exchange.place("main", order, 5)
        self.cancelled = self.exchange.cancel("main", Cancellation("BTCUSDT", None, "mine", "request"), 9)


TRADING = Trading()
FULL: dict[str, Any] = payloads.placed(TRADING.placed, "FULL")
ROW = payloads.order_row(TRADING.placed.order)
NEW, TRADE = (payloads.execution_report(report, 6) for report in TRADING.placed.reports)
CANCEL = payloads.execution_report(TRADING.cancelled.reports[0], 10)
CASES = [
    (FULL, f"{JKORF}/Endpoints__Spot__Trading__PlaceOrder.txt"),
    (FULL, f"{JKORF}/Socket__Spot__Trading__PlaceOrder.txt"),
    (FULL, f"{GO}/v2__order_service_test.go__L128_TestCreateOrderFull.json"),
    (payloads.cancelled(TRADING.cancelled), f"{JKORF}/Endpoints__Spot__Trading__CancelOrder.txt"),
    (payloads.cancelled(TRADING.cancelled), f"{GO}/v2__order_service_test.go__L831_TestCancelOrder.json"),
    (ROW, f"{JKORF}/Endpoints__Spot__Trading__GetOrder.txt"),
    (ROW, f"{JKORF}/Endpoints__Spot__Trading__GetOrders.txt"),
    (ROW, f"{JKORF}/Socket__Spot__Trading__GetOrder.txt"),
    (ROW, f"{GO}/v2__order_service_test.go__L591_TestGetOrder.json"),
    (payloads.trade_row(TRADING.placed.fills[0]), f"{JKORF}/Endpoints__Spot__Trading__GetUserTrades.txt"),
    (payloads.trade_row(TRADING.placed.fills[0]), f"{GO}/v2__trade_service_test.go__L18_TestListTrades.json"),
    (NEW, f"{JKORF}/Subscriptions__Spot__Account__Order.txt"),
    (NEW, f"{GO}/v2__websocket_service_test.go__L980_TestWsUserDataServeOrderUpdateWithPendingOrder.json"),
    (TRADE, f"{GO}/v2__websocket_service_test.go__L1059_TestWsUserDataServeOrderUpdateWithTradeOrder.json"),
    (CANCEL, f"{GO}/v2__websocket_service_test.go__L868_TestWsUserDataServeOrderUpdateWithExample.json"),
]


@pytest.mark.parametrize(("printed", "name"), CASES, ids=lambda value: value if isinstance(value, str) else "")
def test_the_fields_are_the_venues(printed, name):
    """Every unconditional field of the recording is printed with a value of its JSON type, and none is invented."""
    theirs = recorded(name)
    assert set(theirs) - CONDITIONAL <= set(printed)
    assert set(printed) - ADDED <= set(theirs)
    for field in set(printed) & set(theirs):
        if printed[field] is not None and theirs[field] is not None:
            assert type(printed[field]) is type(theirs[field]), field


def test_a_fill_in_an_answer_has_the_venues_fields():
    """The fills of a FULL answer, one row a trade."""
    theirs = recorded(f"{JKORF}/Endpoints__Spot__Trading__PlaceOrder.txt")["fills"][0]
    assert [list(fill) for fill in FULL["fills"]] == [list(theirs)]


def test_the_kinds_of_answer_grow():
    """ACK names the order, RESULT adds its state, FULL adds its fills."""
    ack, result = (payloads.placed(TRADING.placed, kind) for kind in ("ACK", "RESULT"))
    assert set(ack) == {"symbol", "orderId", "orderListId", "clientOrderId", "transactTime"}
    assert set(ack) < set(result) < set(FULL)
    assert set(FULL) - set(result) == {"fills"}


def test_a_cancel_swaps_the_ids():
    """`c` and `clientOrderId` are the cancel request's, `C` and `origClientOrderId` the order's."""
    answer = payloads.cancelled(TRADING.cancelled)
    assert (answer["clientOrderId"], answer["origClientOrderId"]) == ("request", "mine")
    assert (CANCEL["c"], CANCEL["C"]) == ("request", "mine")
    assert (NEW["c"], NEW["C"]) == ("mine", "")


def test_a_report_without_a_trade_has_no_trade():
    """`t` is -1 and `N` null; with a trade both are there, with its quantity, price, cost and commission."""
    assert (NEW["t"], NEW["N"], NEW["n"], NEW["l"]) == (-1, None, "0", "0.00000000")
    assert (TRADE["N"], TRADE["n"]) == ("BTC", "0.00040000")
    assert (TRADE["l"], TRADE["L"], TRADE["Y"]) == ("0.40000000", "60000.00000000", "24000.00000000")
    assert (TRADE["z"], TRADE["Z"], TRADE["X"]) == ("0.40000000", "24000.00000000", "PARTIALLY_FILLED")


def test_an_account_prints_what_it_has():
    """Eight decimals, zero balances only when they are not unwanted."""
    exchange = Exchange(DEFAULT_SYMBOLS, {"main": {"BTC": Decimal(1), "ETH": Decimal(0)}})
    account = exchange.accounts["main"]
    full: dict[str, Any] = payloads.account_row(account, exchange.fees, omit_zero=False)
    short: dict[str, Any] = payloads.account_row(account, exchange.fees, omit_zero=True)
    assert full["balances"] == [
        {"asset": "BTC", "free": "1.00000000", "locked": "0.00000000"},
        {"asset": "ETH", "free": "0.00000000", "locked": "0.00000000"},
    ]
    assert [row["asset"] for row in short["balances"]] == ["BTC"]
    assert (full["makerCommission"], full["commissionRates"]["taker"]) == (10, "0.00100000")
