"""`ccxt:gate` at a small exchange of this machine that speaks Gate's protocol: another one than Binance's in every way.

Names have `t-` in front there, a cancel needs the exchange's own id, and ended orders stand in a list of their own.
"""

import time
from collections.abc import AsyncIterator
from contextlib import aclosing
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from aiohttp import web

from adapters import registry
from adapters.credentials import Credentials
from adapters.generic.facts import ID_RULE
from adapters.generic.venue import CcxtVenue
from adapters.venue import Frame, Rows, Subscribed, Window
from streams.identity import client_order_id
from streams.schemas import Accepted, Execution, Fact, NotSent, Order, OrderReport, Unknown

PAIR = {
    "id": "BTC_USDT", "base": "BTC", "quote": "USDT", "fee": "0.2", "min_quote_amount": "3", "amount_precision": 6,
    "precision": 1, "trade_status": "tradable",
}  # fmt: skip


def now_ms() -> int:
    """The machine's clock."""
    return time.time_ns() // 1_000_000


class Gate:
    """The exchange: what it was asked, its orders and trades, and how it misbehaves when it is told to."""

    def __init__(self) -> None:
        self.orders: list[dict[str, Any]] = []
        self.trades: list[dict[str, Any]] = []
        self.asked: list[str] = []
        self.drop = False
        self.url = ""

    def routes(self) -> list[web.RouteDef]:
        """Every path it answers."""
        base = "/api/v4"
        return [
            web.get(f"{base}/spot/currency_pairs", self._say([PAIR])),
            web.get(f"{base}/spot/accounts", self._say([{"currency": "BTC", "available": "1.5", "locked": "0.5"}])),
            web.get(f"{base}/spot/time", self._time),
            web.post(f"{base}/spot/orders", self._place),
            web.get(f"{base}/spot/orders", self._ended),
            web.get(f"{base}/spot/open_orders", self._resting),
            web.get(f"{base}/spot/orders/{{name}}", self._one),
            web.delete(f"{base}/spot/orders/{{name}}", self._cancel),
            web.get(f"{base}/spot/my_trades", self._my_trades),
            web.get("/{anything:.*}", self._say([])),
        ]

    def fill(self, order: dict[str, Any], amount: str, price: str) -> None:
        """Execute a part of an order."""
        left = Decimal(order["left"]) - Decimal(amount)
        order |= {"left": str(left), "status": "open" if left else "closed", "update_time_ms": now_ms()}
        order["filled_total"] = str((Decimal(order["amount"]) - left) * Decimal(price))
        self.trades.append({
            "id": str(9_000 + len(self.trades)), "create_time_ms": f"{now_ms()}.5", "currency_pair": "BTC_USDT",
            "order_id": order["id"], "side": order["side"], "role": "maker", "amount": amount, "price": price,
            "fee": "0.0001", "fee_currency": "BTC",
        })  # fmt: skip

    def _say(self, what: Any) -> Any:
        async def answer(_: web.Request) -> web.Response:
            return web.json_response(what)

        return answer

    async def _time(self, _: web.Request) -> web.Response:
        return web.json_response({"server_time": now_ms()})

    async def _place(self, request: web.Request) -> web.StreamResponse:
        asked = msgspec.json.decode(await request.read())
        self.asked.append(f"POST {asked['text']}")
        self.orders.append({
            **asked, "id": str(77_000 + len(self.orders)), "status": "open", "left": asked["amount"],
            "create_time_ms": now_ms(), "update_time_ms": now_ms(), "filled_total": "0", "fee": "0",
        })  # fmt: skip
        if self.drop and request.transport is not None:
            request.transport.close()
        return web.json_response(self.orders[-1], status=201)

    def _named(self, name: str) -> dict[str, Any] | None:
        return next((one for one in self.orders if name in (one["id"], one["text"])), None)

    async def _one(self, request: web.Request) -> web.Response:
        self.asked.append(f"GET {request.match_info['name']}")
        found = self._named(request.match_info["name"])
        return self._missing() if found is None else web.json_response(found)

    async def _cancel(self, request: web.Request) -> web.Response:
        self.asked.append(f"DELETE {request.match_info['name']}")
        found = self._named(request.match_info["name"])
        if found is None or found["status"] != "open":
            return self._missing()
        found |= {"status": "cancelled", "update_time_ms": now_ms()}
        return web.json_response(found)

    async def _resting(self, _: web.Request) -> web.Response:
        rows = [one for one in self.orders if one["status"] == "open"]
        return web.json_response([{"currency_pair": "BTC_USDT", "total": len(rows), "orders": rows}])

    async def _ended(self, request: web.Request) -> web.Response:
        since_ms = int(request.query.get("from", "0")) * 1_000
        return web.json_response(
            [one for one in self.orders if one["status"] != "open" and one["create_time_ms"] >= since_ms]
        )

    async def _my_trades(self, request: web.Request) -> web.Response:
        wanted = request.query.get("order_id")
        return web.json_response([one for one in self.trades if wanted in (None, one["order_id"])])

    def _missing(self) -> web.Response:
        return web.json_response({"label": "ORDER_NOT_FOUND", "message": "Order not found"}, status=404)


@pytest.fixture
async def gate() -> AsyncIterator[Gate]:
    """The exchange on a free port."""
    made = Gate()
    app = web.Application()
    app.add_routes(made.routes())
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield made
    await runner.cleanup()


@pytest.fixture
async def venue(gate: Gate) -> AsyncIterator[CcxtVenue]:
    """The account there."""
    where = registry.VenueSettings(venue="ccxt:gate", credentials=Credentials("key", "secret"), rest_url=gate.url)
    made = await registry.open_venue(where, now_ms)
    assert isinstance(made, CcxtVenue)
    yield made
    await made.close()


@pytest.fixture
def order(make_order: Any) -> Order:
    """A limit buy of 0.01 at 20000."""
    made: Order = make_order()
    assert made.terms is not None
    return msgspec.structs.replace(made, client_order_id=client_order_id(made.terms, ID_RULE))


def window() -> Window:
    """One that is open."""
    return Window(now_ms(), now_ms() + 5_000)


def facts(rows: Rows) -> list[Fact]:
    """What rows say."""
    return [fact for raw in rows.rows for fact in registry.decoder("ccxt:gate")(rows.format, raw)]


async def test_an_order_is_placed_filled_in_part_and_cancelled(venue: CcxtVenue, gate: Gate, order: Order) -> None:
    """Under our own name all the way; what is cancelled keeps what was filled."""
    placed = await venue.submit(order, window())
    assert placed.outcome == Accepted()
    [row] = gate.orders
    assert (row["text"], row["amount"], row["price"]) == (f"t-{order.client_order_id}", "0.01", "20000")
    [told] = facts(Rows(placed.format, [placed.raw]))
    assert isinstance(told, OrderReport)
    assert (told.client_order_id, told.venue_order_id, told.status) == (order.client_order_id, "77000", "open")
    gate.fill(row, "0.004", "20000")
    assert [
        fact.client_order_id for fact in facts(await venue.open_orders("BTC/USDT")) if isinstance(fact, OrderReport)
    ]
    cancelled = await venue.cancel(order, window())
    assert cancelled.outcome == Accepted()
    [told] = facts(Rows(cancelled.format, [cancelled.raw]))
    assert isinstance(told, OrderReport)
    assert (told.client_order_id, told.status, told.filled) == (order.client_order_id, "cancelled", Decimal("0.004"))
    [fill] = facts(await venue.trades_of("BTC/USDT", "77000"))
    assert isinstance(fill, Execution)
    assert (fill.quantity, fill.price, fill.fee, fill.fee_asset, fill.maker) == (
        Decimal("0.004"), Decimal(20_000), Decimal("0.0001"), "BTC", True,
    )  # fmt: skip
    assert facts(await venue.trades_since("BTC/USDT", now_ms() - 60_000)) == [fill]


async def test_a_cancel_asks_for_the_exchanges_id_first(venue: CcxtVenue, gate: Gate, order: Order) -> None:
    """By our name; an order that is not there yet is not cancelled, and nothing was sent."""
    early = await venue.cancel(order, window())
    assert isinstance(early.outcome, NotSent)
    await venue.submit(order, window())
    gate.asked.clear()
    assert (await venue.cancel(order, window())).outcome == Accepted()
    name = f"t-{order.client_order_id}"
    assert gate.asked == [f"GET {name}", "DELETE 77000", f"GET {name}"]


async def test_an_order_whose_answer_is_lost_is_found_by_its_name(venue: CcxtVenue, gate: Gate, order: Order) -> None:
    """And in the list of all orders, once, whether it rests or has ended."""
    assert (await venue.find(order)).rows == ()
    gate.drop = True
    assert isinstance((await venue.submit(order, window())).outcome, Unknown)
    assert gate.asked.count(f"POST t-{order.client_order_id}") == 1
    [told] = facts(await venue.find(order))
    assert isinstance(told, OrderReport)
    assert (told.client_order_id, told.status) == (order.client_order_id, "open")
    for status in ("open", "closed"):
        [listed] = facts(await venue.orders_since("BTC/USDT", now_ms() - 60_000))
        assert isinstance(listed, OrderReport)
        assert listed.client_order_id == order.client_order_id
        assert (listed.status == "filled") == (status == "closed")
        if status == "open":
            gate.fill(gate.orders[0], "0.01", "20000")


async def test_what_happens_is_told_as_frames(venue: CcxtVenue, gate: Gate, order: Order) -> None:
    """An execution, and the end of an order that rested, each once."""
    venue.poll_ms = 20
    await venue.submit(order, window())
    seen: list[Fact] = []
    async with aclosing(venue.stream()) as events:
        assert isinstance(await anext(events), Subscribed)
        while not seen:
            seen += _frame(await anext(events))
        gate.fill(gate.orders[0], "0.01", "20000")
        while len(seen) < 3:
            seen += _frame(await anext(events))
    assert [type(fact) for fact in seen] == [OrderReport, OrderReport, Execution]
    assert [fact.status for fact in seen if isinstance(fact, OrderReport)] == ["open", "filled"]


async def test_the_account_and_its_markets_are_read(venue: CcxtVenue) -> None:
    """Free and locked together; the grid as the exchange writes it."""
    rows = await venue.balances()
    assert registry.plug("ccxt:gate").holdings(rows.format, rows.rows[0]) == {"BTC": Decimal(2)}
    [one] = await venue.instruments()
    assert (one.symbol, one.tick, one.lot, one.notional_min) == (
        "BTC/USDT", Decimal("0.1"), Decimal("0.000001"), Decimal(3),
    )  # fmt: skip
    assert venue.clock_offset_ms in range(-1_000, 1_000)


def _frame(event: object) -> list[Fact]:
    assert isinstance(event, Frame)
    return facts(Rows(event.format, [event.raw]))
