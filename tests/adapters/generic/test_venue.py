"""An account by unified calls alone, on the wire of a raw server: what is written, and what follows from what comes."""

import time
from collections.abc import AsyncIterator, Callable
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from adapters import registry
from adapters.credentials import Credentials
from adapters.generic.facts import ID_RULE
from adapters.generic.venue import CcxtVenue
from adapters.venue import CouldNotAsk, Window
from streams.errors import UsageError
from streams.identity import client_order_id
from streams.schemas import Accepted, NotSent, Order, OrderReport, OrderState, Refused, Throttled, Unknown

FILTERS = [
    {"filterType": "PRICE_FILTER", "minPrice": "0.01", "maxPrice": "1000000.00", "tickSize": "0.01"},
    {"filterType": "LOT_SIZE", "minQty": "0.00001", "maxQty": "9000.0", "stepSize": "0.00001"},
]
INFO = {
    "symbols": [
        {
            "symbol": "BTCUSDT", "status": "TRADING", "baseAsset": "BTC", "quoteAsset": "USDT", "filters": FILTERS,
            "isSpotTradingAllowed": True, "permissions": ["SPOT"], "orderTypes": ["LIMIT", "MARKET"],
        }
    ]
}  # fmt: skip
ROW: dict[str, Any] = {
    "symbol": "BTCUSDT", "orderId": 28, "status": "NEW", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC",
    "price": "20000.00", "origQty": "0.01", "executedQty": "0.00", "cummulativeQuoteQty": "0.00", "time": 1_000,
    "transactTime": 1_000, "updateTime": 1_000,
}  # fmt: skip


def now_ms() -> int:
    """The machine's clock."""
    return time.time_ns() // 1_000_000


def window() -> Window:
    """One that is open."""
    return Window(now_ms(), now_ms() + 5_000)


@pytest.fixture
def order(make_order: Any) -> Order:
    """A limit buy of 0.01 at 20000, as it is named here."""
    made: Order = make_order()
    assert made.terms is not None
    return msgspec.structs.replace(made, client_order_id=client_order_id(made.terms, ID_RULE))


async def opened(wire: Any, exchange_id: str = "binance", clock: Callable[[], int] = now_ms) -> CcxtVenue:
    """The account at the raw server."""
    wire.answer(msgspec.json.encode(INFO))
    for _ in range(3):
        wire.answer(b'{"serverTime":%d}' % now_ms())
    where = registry.VenueSettings(
        venue=f"ccxt:{exchange_id}", credentials=Credentials("the-key", "the-secret"), rest_url=wire.url,
        request_timeout_ms=10_000,
    )  # fmt: skip
    made = await registry.open_venue(where, clock)
    assert isinstance(made, CcxtVenue)
    wire.requests.clear()
    return made


@pytest.fixture
async def venue(wire: Any) -> AsyncIterator[CcxtVenue]:
    """The account, its requests so far forgotten."""
    made = await opened(wire)
    yield made
    await made.close()


def told(order: Order, **changes: Any) -> bytes:
    """What the exchange says of an order."""
    return msgspec.json.encode({**ROW, "clientOrderId": order.client_order_id, **changes})


async def test_an_order_stands_on_the_wire_as_recorded(venue: CcxtVenue, wire: Any, order: Order) -> None:
    """Our id and both amounts; the answer is kept with the venue's own words in it."""
    wire.answer(told(order))
    answer = await venue.submit(order, window())
    assert answer.outcome == Accepted()
    assert answer.sent_at_ms
    [request] = wire.requests
    assert b"newClientOrderId=" + order.client_order_id.encode() in request
    assert b"quantity=0.01&" in request
    assert b"price=20000&" in request
    [fact] = registry.decoder("ccxt:binance")(answer.format, answer.raw)
    assert isinstance(fact, OrderReport)
    assert (fact.venue_order_id, fact.client_order_id, fact.status) == ("28", order.client_order_id, "open")
    assert msgspec.json.decode(answer.raw)["order"]["info"]["orderId"] == 28


async def test_trades_of_an_order_are_listed_since_it_was_made(venue: CcxtVenue, wire: Any, order: Order) -> None:
    """Where no list is of one order, a page of the newest trades may have none of it; and never is a part the whole."""
    venue._rest.exchange.has["fetchOrderTrades"] = False
    made_ms = now_ms() - 10_000
    trade = {
        "symbol": "BTCUSDT", "orderId": 28, "price": "20000.00", "qty": "0.01", "quoteQty": "200", "commission": "0",
        "commissionAsset": "BNB", "isBuyer": True, "isMaker": True,
    }  # fmt: skip
    own, other = {**trade, "id": 7, "time": made_ms + 5}, {**trade, "id": 8, "time": made_ms + 6, "orderId": 29}
    for said in (told(order, time=made_ms), msgspec.json.encode([own, other]), msgspec.json.encode([other])):
        wire.answer(said)
    [row] = (await venue.trades_of("BTC/USDT", "28")).rows
    assert msgspec.json.decode(row)["trade"]["id"] == "7"
    assert f"startTime={made_ms}".encode() in wire.requests[1]
    wire.answer(b'{"code":-2013,"msg":"Order does not exist."}', status=400)
    with pytest.raises(CouldNotAsk, match="whole"):
        await venue.trades_of("BTC/USDT", "28")


async def test_an_amount_that_ccxt_would_cut_is_not_sent(venue: CcxtVenue, wire: Any, order: Order) -> None:
    """It cuts to the market's precision without a word; here that ends the order before a byte leaves."""
    fine = msgspec.structs.replace(order, sent={"quantity": "1.00000999", "price": "20000"})
    answer = await venue.submit(fine, window())
    assert answer.outcome == Refused("unsupported", "ccxt would send the order with something else than 1.00000999")
    assert wire.requests == []


async def test_what_ccxt_refuses_itself_never_left(venue: CcxtVenue, wire: Any, order: Order) -> None:
    """A market it does not know, for example."""
    assert order.terms is not None
    strange = msgspec.structs.replace(order, terms=msgspec.structs.replace(order.terms, symbol="NO/USDT"))
    answer = await venue.submit(strange, window())
    assert isinstance(answer.outcome, Refused)
    assert "NO/USDT" in answer.outcome.reason
    assert wire.requests == []


async def test_a_closed_window_sends_nothing(venue: CcxtVenue, wire: Any, order: Order) -> None:
    """Asked last, with the connection in hand; a cancel as well."""
    closed = Window(now_ms() - 2_000, now_ms() - 1)
    assert isinstance((await venue.submit(order, closed)).outcome, NotSent)
    assert isinstance((await venue.cancel(order, closed)).outcome, NotSent)
    assert wire.requests == []


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b'{"code":-2010,"msg":"Account has insufficient balance for requested action."}', 400),
        (b'{"code":-1013,"msg":"Filter failure: LOT_SIZE"}', 400),
        (b'{"code":-2010,"msg":"Duplicate order sent."}', 400),
        (b'{"code":-1003,"msg":"Too many requests."}', 429),
        (b'{"code":-1007,"msg":"Timeout waiting for response."}', 504),
        (b"<html>busy</html>", 502),
        (b"{}", 200),
        (b"", 200),
        (b'{"symbol":"BTCUSDT","orderId":2', 200),
        (b'{"symbol":"BTCUSDT","orderId":28,"clientOrderId":"somebody-else"}', 200),
    ],
)
async def test_nothing_but_an_order_of_ours_proves_anything(
    venue: CcxtVenue, wire: Any, order: Order, body: bytes, status: int
) -> None:
    """Also where ccxt has a class for it: the class does not decide. The bytes are kept."""
    wire.answer(body, status=status)
    answer = await venue.submit(order, window())
    assert isinstance(answer.outcome, Unknown)
    assert answer.raw == body.strip()
    assert len(wire.requests) == 1


@pytest.mark.parametrize(
    ("status", "body", "retry_after_s", "wait_ms"),
    [
        (429, b'{"code":-1003,"msg":"Too many requests."}', 7, 7_000),
        (418, b'{"code":-1003,"msg":"Way too many requests."}', 120, 120_000),
        (429, b"<html>slow down</html>", None, 5_000),
        (400, b'{"code":-1015,"msg":"Too many new orders."}', None, 5_000),
    ],
)
async def test_who_asked_too_often_is_told_for_how_long_and_asks_nothing_meanwhile(
    wire: Any, order: Order, status: int, body: bytes, *, retry_after_s: int | None, wait_ms: int
) -> None:
    """Neither a question nor an order leaves before that; afterwards everything goes out again."""
    ahead_ms = 0
    venue = await opened(wire, clock=lambda: now_ms() + ahead_ms)
    wire.answer(body, status=status, headers=f"Retry-After: {retry_after_s}\r\n" if retry_after_s else "")
    with pytest.raises(CouldNotAsk) as asked:
        await venue.open_orders("BTC/USDT")
    assert asked.value.wait_ms == wait_ms
    with pytest.raises(CouldNotAsk) as again:
        await venue.find(order)
    assert 0 < again.value.wait_ms <= wait_ms
    assert isinstance((await venue.submit(order, window())).outcome, Throttled)
    assert len(wire.requests) == 1
    ahead_ms = wait_ms + 1
    wire.answer(b"[]")
    assert (await venue.open_orders("BTC/USDT")).rows == []
    await venue.close()


async def test_an_order_that_was_answered_too_often_keeps_the_next_one_back(
    venue: CcxtVenue, wire: Any, order: Order
) -> None:
    """Nothing proves that it was not taken, so it is unknown; what was never sent is throttled."""
    wire.answer(b'{"code":-1003,"msg":"Too many requests."}', status=429, headers="Retry-After: 30\r\n")
    assert isinstance((await venue.submit(order, window())).outcome, Unknown)
    later = (await venue.submit(order, window())).outcome
    assert isinstance(later, Throttled)
    assert 0 < later.retry_after_ms <= 30_000
    assert len(wire.requests) == 1


async def test_a_cut_connection_is_unknown_and_not_tried_again(venue: CcxtVenue, wire: Any, order: Order) -> None:
    """The order, and the cancel, which is a request that HTTP clients like to repeat."""
    wire.hang_up()
    assert isinstance((await venue.submit(order, window())).outcome, Unknown)
    wire.hang_up()
    assert isinstance((await venue.cancel(order, window())).outcome, Unknown)
    assert len(wire.requests) == 2


async def test_a_cancel_is_done_when_the_order_says_so(venue: CcxtVenue, wire: Any, order: Order) -> None:
    """Its own answer is kept out of it: ccxt calls cancelled what an exchange only promised to cancel."""
    wire.answer(told(order, status="CANCELED"))
    wire.answer(told(order, status="PARTIALLY_FILLED", executedQty="0.004"))
    answer = await venue.cancel(order, window())
    assert answer.outcome == Accepted()
    [fact] = registry.decoder("ccxt:binance")(answer.format, answer.raw)
    assert isinstance(fact, OrderReport)
    assert (fact.status, fact.filled) == ("partially_filled", Decimal("0.004"))
    assert [request.split(b" ", 1)[0] for request in wire.requests] == [b"DELETE", b"GET"]
    assert all(order.client_order_id.encode() in request for request in wire.requests)


async def test_a_known_order_is_asked_for_by_the_exchanges_id(venue: CcxtVenue, wire: Any, order: Order) -> None:
    """It is the one that everybody's look-ups know."""
    known = msgspec.structs.replace(order, state=OrderState(venue_order_ids=("28",)))
    wire.answer(told(order))
    assert len((await venue.find(known)).rows) == 1
    assert b"orderId=28" in wire.requests[0]


async def test_an_order_the_exchange_does_not_know_is_none(venue: CcxtVenue, wire: Any, order: Order) -> None:
    """Only by the exchange's own words."""
    wire.answer(b'{"code":-2013,"msg":"Order does not exist."}', status=400)
    assert (await venue.find(order)).rows == ()
    for status in (404, 500):
        wire.answer(b"not here", status=status)
        with pytest.raises(CouldNotAsk):
            await venue.find(order)


@pytest.mark.parametrize(
    "changes",
    [
        {"clientOrderId": "another"},
        {"clientOrderId": None, "side": "SELL"},
        {"clientOrderId": None, "origQty": "0.02"},
        {"clientOrderId": None, "price": "1.00"},
    ],
)
async def test_an_answer_about_another_order_is_none(
    venue: CcxtVenue, wire: Any, order: Order, changes: dict[str, Any]
) -> None:
    """One that names no id must have the order's own terms."""
    wire.answer(told(order, **changes))
    with pytest.raises(CouldNotAsk, match="another"):
        await venue.find(order)
    wire.answer(told(order, clientOrderId=None))
    [row] = (await venue.find(order)).rows
    [fact] = registry.decoder("ccxt:binance")("ccxt.order", row)
    assert isinstance(fact, OrderReport)
    assert fact.client_order_id == order.client_order_id


async def test_a_list_is_paged_until_nothing_new_comes(venue: CcxtVenue, wire: Any, order: Order) -> None:
    """From the newest row of the last page on; what rests stands in the list too."""
    rows = [
        {**ROW, "orderId": number, "clientOrderId": order.client_order_id, "time": 1_000 * number}
        for number in range(1, 5)
    ]
    for page in ([rows[3]], rows[:2], rows[1:3], rows[2:3]):
        wire.answer(msgspec.json.encode(page))
    found = await venue.orders_since("BTC/USDT", 0)
    names = [msgspec.json.decode(row)["order"]["id"] for row in found.rows]
    assert names == ["1", "2", "3", "4"]
    assert [b"startTime=3000" in request for request in wire.requests] == [False, False, False, True]


async def test_a_list_that_may_have_been_cut_is_no_answer(venue: CcxtVenue, wire: Any, order: Order) -> None:
    """The same newest rows whatever is asked: from earlier on, and up to where they begin."""
    assert order.terms is not None
    page = [
        {"symbol": "BTCUSDT", "id": number, "orderId": 28, "price": "20000", "qty": "0.001", "commission": "0",
         "commissionAsset": "BTC", "time": 5_000_000 + number, "isBuyer": True, "isMaker": False}
        for number in range(20)
    ]  # fmt: skip
    for _ in range(6):
        wire.answer(msgspec.json.encode(page))
    with pytest.raises(CouldNotAsk, match="newest rows alone"):
        await venue.trades_since(order.terms.symbol, 4_000_000)
    assert len(wire.requests) == 6
    assert b"endTime=5000000" in wire.requests[-1]


async def test_a_key_without_its_passphrase_is_refused(wire: Any) -> None:
    """With where to put it."""
    where = registry.VenueSettings(venue="ccxt:okx", credentials=Credentials("key", "secret"), rest_url=wire.url)
    with pytest.raises(UsageError, match="passphrase"):
        await registry.open_venue(where, now_ms)
    assert wire.requests == []


async def test_a_testnet_that_there_is_not_is_refused() -> None:
    """Gate has one, MEXC has none."""
    reached = registry.addresses(
        "ccxt:mexc", "testnet", allow_live=False, given=registry.Addresses(rest_url="", ws_url="", order_url="")
    )
    where = registry.VenueSettings(venue="ccxt:mexc", credentials=Credentials("k", "s"), rest_url=reached.rest_url)
    with pytest.raises(UsageError, match="no testnet of mexc"):
        await registry.open_venue(where, now_ms)


def test_real_money_needs_the_second_setting() -> None:
    """As everywhere; an address of one's own needs none."""
    nowhere = registry.Addresses(rest_url="", ws_url="", order_url="")
    with pytest.raises(UsageError, match="allow_live"):
        registry.addresses("ccxt:okx", "live", allow_live=False, given=nowhere)
    with pytest.raises(UsageError, match="Where is ccxt:okx"):
        registry.addresses("ccxt:okx", "", allow_live=True, given=nowhere)
    assert registry.addresses("ccxt:okx", "live", allow_live=True, given=nowhere) == nowhere
    here = registry.Addresses(rest_url="http://127.0.0.1:1", ws_url="", order_url="")
    assert registry.addresses("ccxt:okx", "", allow_live=False, given=here) == here
