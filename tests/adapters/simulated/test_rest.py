"""REST as ccxt meets it: real sockets, real signatures, Binance's answers."""

import hashlib
import hmac
import time
from decimal import Decimal
from urllib.parse import urlencode

import aiohttp
import ccxt as ccxt_errors
import pytest

from adapters.simulated.faults import Faults
from adapters.simulated.liquidity import Liquidity

BTC = "BTC/USDT"


async def test_ccxt_loads_the_markets(exchange):
    """Tick, step and minimum cost arrive where ccxt looks for them."""
    market = exchange.market(BTC)
    assert (Decimal(market["precision"]["price"]), Decimal(market["precision"]["amount"])) == (
        Decimal("0.01"),
        Decimal("0.00001"),
    )
    assert Decimal(market["limits"]["cost"]["min"]) == 5
    assert market["spot"] is True
    assert market["active"] is True


async def test_a_limit_order_lives_and_is_cancelled(exchange, client_id):
    """Placed, looked up by client id, cancelled with the cancel's own id; the venue's numbers have eight decimals."""
    placed = await exchange.create_order(BTC, "limit", "buy", "0.5", "50000", {"clientOrderId": client_id})
    assert placed["clientOrderId"] == client_id
    assert placed["info"]["origQty"] == "0.50000000"
    found = await exchange.fetch_order(None, BTC, {"clientOrderId": client_id})
    assert (found["id"], found["status"]) == (placed["id"], "open")
    gone = await exchange.cancel_order(
        None, BTC, {"clientOrderId": client_id, "newClientOrderId": "x" + client_id[:20]}
    )
    assert gone["info"]["origClientOrderId"] == client_id
    assert gone["info"]["clientOrderId"] == "x" + client_id[:20]
    assert (await exchange.fetch_order(placed["id"], BTC))["status"] == "canceled"
    with pytest.raises(ccxt_errors.OrderNotFound, match="-2011"):
        await exchange.cancel_order(placed["id"], BTC)


async def test_a_market_order_fills_with_its_trades(exchange, control, client_id):
    """FULL answers carry the fills; myTrades has the same ids; commission of a buy is in the base asset."""
    await control.house_order("BTCUSDT", "SELL", Decimal("0.2"), price=Decimal(60000))
    await control.house_order("BTCUSDT", "SELL", Decimal("0.3"), price=Decimal(60001))
    placed = await exchange.create_order(BTC, "market", "buy", "0.5", None, {"clientOrderId": client_id})
    assert (placed["status"], Decimal(placed["filled"])) == ("closed", Decimal("0.5"))
    fills = placed["info"]["fills"]
    assert [(fill["price"], fill["qty"]) for fill in fills] == [
        ("60000.00000000", "0.20000000"),
        ("60001.00000000", "0.30000000"),
    ]
    assert fills[0]["commission"] == "0.00020000"
    assert fills[0]["commissionAsset"] == "BTC"
    trades = await exchange.fetch_my_trades(BTC, params={"orderId": placed["id"]})
    assert [trade["id"] for trade in trades] == [str(fill["tradeId"]) for fill in fills]
    later = await exchange.privateGetMyTrades({"symbol": "BTCUSDT", "fromId": fills[1]["tradeId"]})
    assert [trade["id"] for trade in later] == [fills[1]["tradeId"]]


@pytest.mark.parametrize(("time_in_force", "status"), [("IOC", "expired"), ("FOK", "expired"), ("GTC", "open")])
async def test_time_in_force_is_kept(exchange, client_id, time_in_force, status):
    """What finds no counterparty expires, or waits when it may."""
    params = {"clientOrderId": client_id, "timeInForce": time_in_force}
    placed = await exchange.create_order(BTC, "limit", "buy", "0.5", "50000", params)
    assert placed["status"] == status


async def test_a_post_only_order_that_would_take_is_refused(exchange, control, client_id):
    """Ccxt's postOnly becomes LIMIT_MAKER and the venue's -2010."""
    await control.house_order("BTCUSDT", "SELL", Decimal(1), price=Decimal(60000))
    params = {"clientOrderId": client_id, "postOnly": True}
    with pytest.raises(ccxt_errors.ExchangeError, match="Order would immediately match and take"):
        await exchange.create_order(BTC, "limit", "buy", "0.5", "60000", params)


async def test_a_duplicate_is_refused_while_open_and_accepted_after(exchange, client_id):
    """Binance protects open orders only: the second order of a closed one's client id is accepted."""
    arguments = (BTC, "limit", "buy", "0.5", "50000", {"clientOrderId": client_id})
    first = await exchange.create_order(*arguments)
    with pytest.raises(ccxt_errors.InvalidOrder, match="Duplicate order sent"):
        await exchange.create_order(*arguments)
    await exchange.cancel_order(first["id"], BTC)
    second = await exchange.create_order(*arguments)
    assert second["id"] != first["id"]
    assert (await exchange.fetch_order(None, BTC, {"clientOrderId": client_id}))["id"] == second["id"]


async def test_refusals_reach_ccxt_as_on_the_real_host(exchange, client_id):
    """Funds and filters map to ccxt's own classes."""
    with pytest.raises(ccxt_errors.InsufficientFunds, match="insufficient balance"):
        await exchange.create_order(BTC, "limit", "sell", "8999", "999", {"clientOrderId": client_id})
    with pytest.raises(ccxt_errors.ExchangeError, match="NOTIONAL"):
        await exchange.create_order(BTC, "limit", "buy", "0.00001", "60000", {"clientOrderId": client_id})
    with pytest.raises(ccxt_errors.OrderNotFound, match="-2013"):
        await exchange.fetch_order(None, BTC, {"clientOrderId": client_id})


async def test_lists_page_by_id_and_time(exchange, client_id):
    """AllOrders begins at an order id or a time and is oldest first; openOrders has what is open."""
    ids = []
    for number in range(3):
        params = {"clientOrderId": f"{client_id}{number}"}
        ids.append((await exchange.create_order(BTC, "limit", "buy", "0.1", "50000", params))["info"]["orderId"])
    await exchange.cancel_order(str(ids[0]), BTC)
    rows = await exchange.privateGetAllOrders({"symbol": "BTCUSDT", "orderId": ids[0], "limit": 2})
    assert [row["orderId"] for row in rows] == ids[:2]
    rows = await exchange.privateGetAllOrders({"symbol": "BTCUSDT", "limit": 2})
    assert [row["orderId"] for row in rows] == ids[1:]
    rows = await exchange.privateGetAllOrders({"symbol": "BTCUSDT", "startTime": rows[0]["time"], "limit": 1000})
    assert set(ids[1:]) <= {row["orderId"] for row in rows}
    assert [row["orderId"] for row in await exchange.privateGetOpenOrders({"symbol": "BTCUSDT"})] == ids[1:]
    with pytest.raises(ccxt_errors.ExchangeError, match="-1127"):
        await exchange.privateGetAllOrders({"symbol": "BTCUSDT", "startTime": 1, "endTime": 2 + 86_400_000})
    with pytest.raises(ccxt_errors.ExchangeError, match="-1128"):
        await exchange.privateGetMyTrades({"symbol": "BTCUSDT", "startTime": 1, "fromId": 1})


async def test_the_house_gives_market_orders_a_book(exchange, control, client_id):
    """With liquidity on, ticker, depth and market orders work at once; limit orders in reach get filled."""
    await control.set_liquidity(Liquidity(interval_ms=5, nibble=1.0))
    book = await exchange.fetch_order_book(BTC)
    while not book["bids"]:
        book = await exchange.fetch_order_book(BTC)
    placed = await exchange.create_order(BTC, "market", "sell", "0.01", None, {"clientOrderId": client_id})
    assert placed["status"] == "closed"
    price = exchange.price_to_precision(BTC, Decimal(book["bids"][0][0]))
    resting = await exchange.create_order(BTC, "limit", "buy", "0.5", price, {"clientOrderId": client_id + "r"})
    found = resting
    while Decimal(found["filled"]) == 0:
        found = await exchange.fetch_order(resting["id"], BTC)
    assert Decimal((await exchange.publicGetTickerPrice({"symbol": "BTCUSDT"}))["price"]) > 0


class TestSigned:
    """What the venue checks before it looks at a request."""

    async def ask(self, process, params, *, key, secret, method="GET", tamper=""):
        """One signed request as a careful client would send it; returns status, code and headers."""
        query = urlencode({"symbol": "BTCUSDT", "timestamp": time.time_ns() // 1_000_000, **params})
        signature = hmac.new(secret.encode(), query.encode(), hashlib.sha256).hexdigest()
        url = f"{process.rest_url}/api/v3/allOrders?{query}{tamper}&signature={signature}"
        headers = {"X-MBX-APIKEY": key} if key else {}
        async with aiohttp.ClientSession() as session, session.request(method, url, headers=headers) as answer:
            body = await answer.json()
            return answer.status, body["code"] if isinstance(body, dict) else 0, answer.headers

    @pytest.mark.usefixtures("control")
    async def test_key_signature_and_time_are_checked(self, process, account):
        """Each wrong one gets its own code."""
        key, secret = account.api_key, account.secret
        now = time.time_ns() // 1_000_000
        good = await self.ask(process, {}, key=key, secret=secret)
        assert good[:2] == (200, 0)
        assert int(good[2]["x-mbx-used-weight-1m"]) > 0
        assert (await self.ask(process, {}, key="", secret=secret))[:2] == (401, -2014)
        assert (await self.ask(process, {}, key="nobody", secret=secret))[:2] == (401, -2015)
        assert (await self.ask(process, {}, key=key, secret="wrong"))[:2] == (400, -1022)
        assert (await self.ask(process, {}, key=key, secret=secret, tamper="&limit=1"))[:2] == (400, -1022)
        assert (await self.ask(process, {"timestamp": ""}, key=key, secret=secret))[:2] == (400, -1102)
        assert (await self.ask(process, {"timestamp": now + 5000}, key=key, secret=secret))[:2] == (400, -1021)
        assert (await self.ask(process, {"timestamp": now - 6000}, key=key, secret=secret))[:2] == (400, -1021)
        late = {"timestamp": now - 6000, "recvWindow": 10000}
        assert (await self.ask(process, late, key=key, secret=secret))[:2] == (200, 0)
        assert (await self.ask(process, {"recvWindow": 60001}, key=key, secret=secret))[:2] == (400, -1131)

    async def test_the_venues_clock_decides(self, process, control, account):
        """A clock ten seconds ahead makes every request too old, one behind makes it too early."""
        await control.set_clock(10_000)
        answer = await self.ask(process, {}, key=account.api_key, secret=account.secret)
        assert answer[:2] == (400, -1021)
        await control.set_clock(-10_000)
        answer = await self.ask(process, {}, key=account.api_key, secret=account.secret)
        assert answer[:2] == (400, -1021)


class TestFaults:
    """Each way an order request can go wrong, and what is true afterwards."""

    async def found(self, control, client_id):
        """The orders of a client id in the venue's own books."""
        books = await control.books("main")
        return [each for each in books["accounts"]["main"]["orders"] if each["client_order_id"] == client_id]

    async def happened(self, control, kind):
        """How often a kind happened so far."""
        return (await control.faults())["counts"][kind]

    async def place(self, exchange, client_id, **params):
        """One resting limit order."""
        params = {"clientOrderId": client_id, **params}
        return await exchange.create_order(BTC, "limit", "buy", "0.1", "50000", params)

    async def test_accept_then_drop_leaves_an_order_without_an_answer(self, exchange, control, client_id):
        """The connection closes, the order is there."""
        await control.set_faults(Faults(accept_then_drop=1.0))
        with pytest.raises(ccxt_errors.ExchangeNotAvailable):
            await self.place(exchange, client_id)
        assert len(await self.found(control, client_id)) == 1
        assert await self.happened(control, "accept_then_drop") > 0

    async def test_a_dropped_cancel_is_done_all_the_same(self, exchange, control, client_id):
        """A cancel without an answer may have cancelled; the client's library may even have sent it twice."""
        placed = await self.place(exchange, client_id)
        await control.set_faults(Faults(accept_then_drop=1.0))
        with pytest.raises(ccxt_errors.ExchangeNotAvailable):
            await exchange.cancel_order(placed["id"], BTC)
        assert (await self.found(control, client_id))[0]["status"] == "CANCELED"

    async def test_a_late_answer_comes_after_the_deadline(self, exchange, control, client_id):
        """The client gives up, the order is there."""
        await control.set_faults(Faults(late_answer=1.0, late_answer_ms=400))
        exchange.timeout = 100
        with pytest.raises(ccxt_errors.RequestTimeout):
            await self.place(exchange, client_id)
        assert len(await self.found(control, client_id)) == 1

    async def test_a_cut_body_is_a_success_nobody_can_read(self, exchange, control, client_id):
        """HTTP 200 without an order id: ccxt raises nothing and knows nothing."""
        await control.set_faults(Faults(cut_body=1.0))
        placed = await self.place(exchange, client_id)
        assert placed["id"] is None
        assert len(await self.found(control, client_id)) == 1

    async def test_a_server_error_says_nothing_about_the_order(self, exchange, control, client_id):
        """Some of the orders behind a 5xx exist, some do not, and the answers look alike."""
        await control.set_faults(Faults(server_error=1.0))
        existing = []
        for number in range(24):
            with pytest.raises(ccxt_errors.OperationFailed):
                await self.place(exchange, f"{client_id}{number}")
            existing.append(len(await self.found(control, f"{client_id}{number}")))
        assert set(existing) == {0, 1}

    async def test_a_throttled_order_does_not_exist(self, exchange, control, client_id):
        """429 with -1003 and Retry-After; nothing was accepted."""
        await control.set_faults(Faults(throttled=1.0))
        with pytest.raises(ccxt_errors.DDoSProtection, match="-1003"):
            await self.place(exchange, client_id)
        assert exchange.last_response_headers["Retry-After"] == "1"
        assert await self.found(control, client_id) == []

    async def test_a_request_that_waited_inside_is_refused_when_its_window_has_passed(
        self, exchange, control, client_id
    ):
        """The window is checked again right before the matching engine."""
        await control.set_faults(Faults(late_entry=1.0, late_entry_ms=200))
        with pytest.raises(ccxt_errors.InvalidNonce, match="-1021"):
            await self.place(exchange, client_id, recvWindow=100)
        assert await self.found(control, client_id) == []
        assert (await self.place(exchange, client_id, recvWindow=5000))["id"] is not None

    async def test_an_order_may_land_after_its_client_gave_up(self, exchange, control, client_id):
        """Within its window a request that waits inside is accepted, whoever is still listening."""
        await control.set_faults(Faults(late_entry=1.0, late_entry_ms=300))
        exchange.timeout = 100
        with pytest.raises(ccxt_errors.RequestTimeout):
            await self.place(exchange, client_id, recvWindow=5000)
        assert await self.found(control, client_id) == []
        while not await self.found(control, client_id):
            pass
        assert await self.happened(control, "late_entry") > 0

    async def test_look_ups_lag_behind(self, exchange, control, client_id):
        """Order, open orders, all orders and trades show nothing until their time has come; a cancel works at once."""
        await control.house_order("BTCUSDT", "SELL", Decimal("0.05"), price=Decimal(50000))
        await control.set_faults(Faults(lookup_lag=1.0, lookup_lag_ms=60_000))
        placed = await self.place(exchange, client_id)
        order_id = placed["info"]["orderId"]
        with pytest.raises(ccxt_errors.OrderNotFound, match="-2013"):
            await exchange.fetch_order(None, BTC, {"clientOrderId": client_id})
        for look_up in (exchange.privateGetOpenOrders, exchange.privateGetAllOrders, exchange.privateGetMyTrades):
            assert [row for row in await look_up({"symbol": "BTCUSDT"}) if row["orderId"] == order_id] == []
        await control.set_clock(61_000)
        exchange.nonce = lambda: exchange.milliseconds() + 61_000
        assert (await exchange.fetch_order(None, BTC, {"clientOrderId": client_id}))["id"] == placed["id"]
        for look_up in (exchange.privateGetOpenOrders, exchange.privateGetAllOrders, exchange.privateGetMyTrades):
            assert [row for row in await look_up({"symbol": "BTCUSDT"}) if row["orderId"] == order_id] != []

    async def test_look_ups_fail_now_and_then(self, exchange, control, client_id):
        """A signed look-up gets a server error at a tenth of the rate; it is tallied apart."""
        await self.place(exchange, client_id)
        await control.set_faults(Faults(server_error=1.0))
        failed = 0
        for _ in range(60):
            try:
                await exchange.fetch_order(None, BTC, {"clientOrderId": client_id})
            except ccxt_errors.OperationFailed:
                failed += 1
        assert failed == (await control.faults())["counts"]["lookup_server_error"]
        assert 0 < failed < 30
