"""The websocket API and the user data stream over raw sockets."""

import asyncio
import json
from decimal import Decimal

import aiohttp
import msgspec
import pytest
import websockets

from adapters.simulated.faults import Faults
from adapters.simulated.process import SimulatedVenue
from adapters.simulated.venue import Answer
from adapters.simulated.ws_api import frame

BTC = "BTC/USDT"


async def ask(socket, method, params=None, request_id="1"):
    """One request and its answer; events in between are passed over."""
    await socket.send(json.dumps({"id": request_id, "method": method, "params": params or {}}))
    while True:
        answer = json.loads(await socket.recv())
        if answer.get("id") == request_id:
            return answer


@pytest.mark.usefixtures("control")
async def test_ping_time_and_unknown_methods(process):
    """What needs no key is answered without one; what does not exist is an error frame."""
    async with websockets.connect(process.ws_url) as socket:
        answer = await ask(socket, "ping", request_id=7)
        assert (answer["id"], answer["status"], answer["result"]) == (7, 200, {})
        assert answer["rateLimits"][0]["rateLimitType"] == "REQUEST_WEIGHT"
        assert (await ask(socket, "time"))["result"]["serverTime"] > 0
        assert (await ask(socket, "nothing"))["error"]["code"] == -1020
        await socket.send("{")
        assert json.loads(await socket.recv())["error"]["code"] == -1135


@pytest.mark.usefixtures("control")
async def test_a_subscription_needs_a_true_signature(process, account, sign):
    """Wrong key, wrong signature and a second subscription get the venue's codes."""
    async with websockets.connect(process.ws_url) as socket:
        method = "userDataStream.subscribe.signature"
        assert (await ask(socket, method, {**sign(account), "signature": "00"}))["error"]["code"] == -1022
        assert (await ask(socket, method, {**sign(account), "apiKey": "nobody"}))["status"] == 401
        assert (await ask(socket, method, sign(account, timestamp=1)))["error"]["code"] == -1021
        assert (await ask(socket, method, sign(account)))["result"] == {"subscriptionId": 0}
        assert (await ask(socket, method, sign(account)))["error"]["code"] == -2035


async def test_reports_follow_an_order_through_its_life(stream, exchange, control, client_id):
    """NEW, TRADE as maker, CANCELED with the ids swapped: `c` is the cancel request, `C` the order."""
    await exchange.create_order(BTC, "limit", "buy", "1", "60000", {"clientOrderId": client_id})
    await control.house_order("BTCUSDT", "SELL", Decimal("0.4"), price=Decimal(60000))
    await exchange.cancel_order(None, BTC, {"clientOrderId": client_id, "newClientOrderId": "cancel-1"})
    new, trade, cancel = await stream.until(client_id, "CANCELED")
    assert (new["x"], new["X"], new["c"], new["C"], new["t"], new["N"], new["w"]) == (
        "NEW", "NEW", client_id, "", -1, None, True,
    )  # fmt: skip
    assert (trade["x"], trade["X"], trade["l"], trade["z"], trade["L"], trade["m"]) == (
        "TRADE", "PARTIALLY_FILLED", "0.40000000", "0.40000000", "60000.00000000", True,
    )  # fmt: skip
    assert (trade["n"], trade["N"], trade["Y"]) == ("0.00040000", "BTC", "24000.00000000")
    assert (cancel["X"], cancel["c"], cancel["C"], cancel["t"], cancel["w"]) == (
        "CANCELED", "cancel-1", client_id, -1, False,
    )  # fmt: skip
    balances = await stream.next("outboundAccountPosition")
    assert {row["a"] for row in balances["B"]} == {"BTC", "USDT"}


async def test_an_order_that_may_not_wait_reports_expired(stream, exchange, client_id):
    """IOC without a counterparty is NEW and then EXPIRED."""
    params = {"clientOrderId": client_id, "timeInForce": "IOC"}
    await exchange.create_order(BTC, "limit", "buy", "1", "50000", params)
    assert [event["x"] for event in await stream.until(client_id, "EXPIRED")] == ["NEW", "EXPIRED"]


async def test_orders_can_be_placed_and_cancelled_on_the_socket(stream, account, sign, client_id):
    """Placing, asking and cancelling work on the connection that carries the events."""
    order = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "1"}
    params = sign(account, **order, price="50000", newClientOrderId=client_id, newOrderRespType="RESULT")
    placed = await ask(stream.socket, "order.place", params)
    assert (placed["status"], placed["result"]["clientOrderId"]) == (200, client_id)
    again = await ask(stream.socket, "order.place", params)
    assert (again["status"], again["error"]["code"]) == (400, -2010)
    by_client_id = {"symbol": "BTCUSDT", "origClientOrderId": client_id}
    found = await ask(stream.socket, "order.status", sign(account, **by_client_id))
    assert found["result"]["status"] == "NEW"
    gone = await ask(stream.socket, "order.cancel", sign(account, **by_client_id))
    assert gone["result"]["status"] == "CANCELED"


async def test_a_dropped_order_on_the_socket_takes_the_connection_with_it(stream, control, account, sign, client_id):
    """The order is there, the socket is gone without a closing handshake."""
    await control.set_faults(Faults(accept_then_drop=1.0))
    order = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "1"}
    with pytest.raises(websockets.ConnectionClosedError):
        await ask(stream.socket, "order.place", sign(account, **order, price="50000", newClientOrderId=client_id))
    books = await control.books("main")
    assert client_id in {each["client_order_id"] for each in books["accounts"]["main"]["orders"]}


async def test_an_unsubscribed_stream_says_so(stream):
    """The last event is eventStreamTerminated; the connection stays, and a second unsubscribe is refused."""
    await stream.socket.send(json.dumps({"id": "u", "method": "userDataStream.unsubscribe"}))
    assert (await stream.next("eventStreamTerminated"))["E"] > 0
    assert (await ask(stream.socket, "userDataStream.unsubscribe", request_id="v"))["error"]["code"] == -2036


async def test_a_terminated_stream_keeps_its_connection_and_loses_its_events(stream, exchange, control, client_id):
    """After eventStreamTerminated the socket still answers, but no report comes."""
    assert await control.cut_streams("main", how="terminate") == 1
    await stream.next("eventStreamTerminated")
    await exchange.create_order(BTC, "limit", "buy", "1", "50000", {"clientOrderId": client_id})
    await stream.socket.send(json.dumps({"id": "p", "method": "ping"}))
    assert json.loads(await stream.socket.recv())["id"] == "p"


async def test_a_cut_stream_is_gone_and_nothing_is_replayed(stream, resubscribe, exchange, control, client_id):
    """Events of the gap are lost for good: a new subscription begins with what comes next."""
    assert await control.cut_streams() == 1
    with pytest.raises(websockets.ConnectionClosedError):
        await stream.next()
    await exchange.create_order(BTC, "limit", "buy", "1", "50000", {"clientOrderId": client_id})
    async with resubscribe(0) as again:
        await exchange.cancel_order(None, BTC, {"clientOrderId": client_id})
        assert (await again.next())["x"] == "CANCELED"


async def test_accounts_hear_only_their_own_orders(stream, resubscribe, exchange, other, client_id):
    """Both sides of a trade hear of their own order and of no other."""
    async with resubscribe(1) as others:
        await exchange.create_order(BTC, "limit", "sell", "1", "60000", {"clientOrderId": client_id})
        await other.create_order(BTC, "limit", "buy", "1", "60000", {"clientOrderId": "o" + client_id})
        assert {event["c"] for event in await stream.until(client_id, "TRADE")} == {client_id}
        assert {event["c"] for event in await others.until("o" + client_id, "TRADE")} == {"o" + client_id}


class TestFaults:
    """What goes wrong between an execution and its report."""

    async def trade_thrice(self, exchange, control, client_id):
        """One resting order and three trades of it, each known by its quantity."""
        await exchange.create_order(BTC, "limit", "buy", "1", "60000", {"clientOrderId": client_id})
        for quantity in ("0.1", "0.2", "0.3"):
            await control.house_order("BTCUSDT", "SELL", Decimal(quantity), price=Decimal(60000))

    async def test_a_duplicated_report_comes_twice(self, stream, exchange, control, client_id):
        """The same frame again, byte for byte."""
        await control.set_faults(Faults(duplicated_execution=1.0))
        await exchange.create_order(BTC, "limit", "buy", "1", "50000", {"clientOrderId": client_id})
        first, second = await stream.next(), await stream.next()
        assert first == second
        assert (await control.faults())["counts"]["duplicated_execution"] > 0

    async def test_a_reordered_report_comes_after_its_successor(self, stream, exchange, control, client_id):
        """Held until the next one was sent; every report still comes once."""
        await control.set_faults(Faults(reordered_execution=1.0, reorder_hold_ms=60_000))
        await self.trade_thrice(exchange, control, client_id)
        events = [await stream.next() for _ in range(4)]
        assert [event["l"][:3] for event in events] == ["0.1", "0.0", "0.3", "0.2"]

    async def test_a_held_report_comes_in_time_without_a_successor(self, stream, exchange, control, client_id):
        """The last report of an order is not lost by being held."""
        await control.set_faults(Faults(reordered_execution=1.0, reorder_hold_ms=20))
        await exchange.create_order(BTC, "limit", "buy", "1", "50000", {"clientOrderId": client_id})
        assert (await stream.next())["c"] == client_id

    async def test_a_delayed_report_comes_after_its_balances(self, stream, exchange, control, client_id):
        """The balances it changed are told first."""
        await control.set_faults(Faults(delayed_execution=1.0, delayed_execution_ms=30))
        await exchange.create_order(BTC, "limit", "buy", "1", "50000", {"clientOrderId": client_id})
        kinds = [json.loads(await stream.socket.recv())["event"]["e"] for _ in range(2)]
        assert kinds == ["outboundAccountPosition", "executionReport"]

    async def test_a_report_may_come_before_the_answer(self, stream, exchange, control, client_id):
        """The stream knows of the fill while the request still waits."""
        await control.set_faults(Faults(execution_before_answer=1.0, answer_hold_ms=5000))
        exchange.timeout = 10_000
        params = {"clientOrderId": client_id}
        placing = asyncio.create_task(exchange.create_order(BTC, "limit", "buy", "1", "50000", params))
        assert (await stream.next())["c"] == client_id
        assert not placing.done()
        placing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await placing

    async def test_a_stream_is_cut_in_the_middle_of_an_order(self, stream, exchange, control, client_id):
        """The report that cut it is lost with it."""
        await control.set_faults(Faults(stream_cut=1.0))
        await exchange.create_order(BTC, "limit", "buy", "1", "50000", {"clientOrderId": client_id})
        with pytest.raises(websockets.ConnectionClosedError):
            await stream.next()
        assert (await control.faults())["counts"]["stream_cut"] > 0


async def test_the_server_pings(process):
    """Websocket ping frames at the set interval: a silent client would notice a dead connection."""
    settings = msgspec.structs.replace(process.settings, stream_ping_ms=50)
    async with (
        SimulatedVenue(settings) as venue,
        aiohttp.ClientSession() as session,
        session.ws_connect(venue.ws_url, autoping=False) as socket,
    ):
        assert (await socket.receive()).type is aiohttp.WSMsgType.PING


@pytest.mark.parametrize("length", range(20))
def test_a_cut_body_cuts_its_frame(length):
    """Whatever is left of the body, the frame is no JSON any more."""
    whole = b'{"orderId":1,"f":[]}'
    with pytest.raises(json.JSONDecodeError):
        json.loads(frame("1", Answer(200, whole[:length]), []))
    assert json.loads(frame("1", Answer(200, whole), []))["result"] == {"orderId": 1, "f": []}
