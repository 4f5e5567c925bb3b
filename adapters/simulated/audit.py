"""The control surface under /sim: what really happened, and what should happen next. Guarded by a bearer token.

It is no part of the venue's protocol; a strategy or gateway that needs it is wrong.
"""

import hmac
from decimal import Decimal
from typing import Annotated, Literal

import msgspec
import orjson
from aiohttp import web
from aiohttp.typedefs import Handler

from adapters.simulated.faults import Faults
from adapters.simulated.liquidity import Liquidity
from adapters.simulated.market import Quote
from adapters.simulated.matching import Side, TimeInForce
from adapters.simulated.orders import Fill, Order
from adapters.simulated.refusals import Refusal
from adapters.simulated.usdm_exchange import UsdmExchange
from adapters.simulated.venue import Venue


class Cut(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which streams to end (None: all) and how: cut the connection, or end the subscription and keep it open.

    For `down_ms` afterwards no stream of theirs begins.
    """

    account: str | None = None
    how: Literal["abort", "terminate"] = "abort"
    down_ms: Annotated[int, msgspec.Meta(ge=0, le=600_000)] = 0


class Clock(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How far the venue's clock is ahead of the machine's, in milliseconds."""

    offset_ms: Annotated[int, msgspec.Meta(ge=-86_400_000, le=86_400_000)]


class HouseOrder(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An order of the house, for tests that need one trade and no other. No price takes whatever there is."""

    symbol: str
    side: Side
    quantity: Decimal
    price: Decimal | None = None
    time_in_force: TimeInForce = TimeInForce.GTC


class Transfer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A deposit (positive) or a withdrawal of an account; `told` says it on the account's private stream, too."""

    account: str
    asset: str
    delta: Decimal
    told: bool = True


class Moved(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Funding that an account pays (negative) or is paid."""

    account: str
    asset: str
    delta: Decimal


class Liquidation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The venue closes a position at a price; `told` says it on the account's private stream, too."""

    account: str
    symbol: str
    price: Decimal
    position_side: str = "BOTH"
    told: bool = True


class Bust(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The venue takes a trade back; with `hide_ms` it only lists it so much later."""

    account: str
    symbol: str
    trade_id: int
    hide_ms: int | None = None


class Audit:
    """The handlers of one venue's control surface."""

    def __init__(self, venue: Venue) -> None:
        self._venue = venue
        self._token = venue.settings.control_token.encode()

    def routes(self) -> list[web.RouteDef]:
        """Every path of this side."""
        return [
            web.get("/sim/books", self._books),
            web.get("/sim/faults", self._faults),
            web.post("/sim/faults", self._set_faults),
            web.post("/sim/cut", self._cut),
            web.post("/sim/clock", self._clock),
            web.post("/sim/liquidity", self._liquidity),
            web.post("/sim/house", self._house),
            web.post("/sim/transfer", self._transfer),
            web.post("/sim/funding", self._funding),
            web.post("/sim/liquidation", self._liquidation),
            web.post("/sim/bust", self._bust),
        ]

    @web.middleware
    async def guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Let nobody under /sim who does not know the token; say what is wrong with a document."""
        if not request.path.startswith("/sim/"):
            return await handler(request)
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme != "Bearer" or not hmac.compare_digest(token.encode(), self._token):
            return _json({"error": "send the control token as a bearer token"}, 401)
        try:
            return await handler(request)
        except (msgspec.MsgspecError, Refusal) as error:
            return _json({"error": str(error)}, 400)

    async def _books(self, request: web.Request) -> web.StreamResponse:
        wanted = request.query.get("account")
        accounts = self._venue.exchange.accounts
        return _json({"accounts": {name: self._book(name) for name in accounts if wanted in {None, name}}})

    async def _faults(self, _: web.Request) -> web.StreamResponse:
        dice = self._venue.dice
        hidden, refused = self._venue.exchange.history.hidden, self._venue.meter.refused
        counts = dice.counts() | {"lookups_hidden": hidden, "refused_for_rate": refused}
        return _json({"faults": msgspec.to_builtins(dice.faults), "counts": counts})

    async def _set_faults(self, request: web.Request) -> web.StreamResponse:
        self._venue.dice.faults = msgspec.json.decode(await request.read(), type=Faults)
        return await self._faults(request)

    async def _cut(self, request: web.Request) -> web.StreamResponse:
        cut = msgspec.json.decode(await request.read() or b"{}", type=Cut)
        hub = self._venue.hub
        hub.close_for(cut.account, cut.down_ms)
        return _json({"cut": hub.cut(cut.account) if cut.how == "abort" else hub.terminate(cut.account)})

    async def _clock(self, request: web.Request) -> web.StreamResponse:
        self._venue.clock_offset_ms = msgspec.json.decode(await request.read(), type=Clock).offset_ms
        return _json({"now_ms": self._venue.now_ms()})

    async def _liquidity(self, request: web.Request) -> web.StreamResponse:
        self._venue.set_liquidity(msgspec.json.decode(await request.read(), type=Liquidity))
        return _json(msgspec.to_builtins(self._venue.liquidity))

    async def _house(self, request: web.Request) -> web.StreamResponse:
        order = msgspec.json.decode(await request.read(), type=HouseOrder)
        quote = Quote(order.side, order.quantity, order.price, order.time_in_force)
        venue = self._venue
        reports = venue.exchange.house(order.symbol, quote, venue.now_ms(), venue.dice.lag_ms())
        venue.hub.publish(reports)
        return _json({"reports": len(reports)})

    async def _transfer(self, request: web.Request) -> web.StreamResponse:
        moved = msgspec.json.decode(await request.read(), type=Transfer)
        venue = self._venue
        account = venue.exchange.accounts[moved.account]
        account.receive(moved.asset, moved.delta)
        if moved.told:
            why = "DEPOSIT" if moved.delta > 0 else "WITHDRAW"
            venue.hub.tell(moved.account, venue.form.moved(moved.asset, moved.delta, why, venue.now_ms()))
        return _json({"free": _plain(account.balance(moved.asset).free)})

    async def _funding(self, request: web.Request) -> web.StreamResponse:
        moved, venue = msgspec.json.decode(await request.read(), type=Moved), self._venue
        venue.exchange.accounts[moved.account].receive(moved.asset, moved.delta)
        venue.hub.tell(moved.account, venue.form.moved(moved.asset, moved.delta, "FUNDING_FEE", venue.now_ms()))
        return _json({})

    async def _liquidation(self, request: web.Request) -> web.StreamResponse:
        asked, venue = msgspec.json.decode(await request.read(), type=Liquidation), self._venue
        if not isinstance(venue.exchange, UsdmExchange):
            raise Refusal(-1102, "Only a margin account can be liquidated.")
        report = venue.exchange.liquidate(
            asked.account, asked.symbol, asked.position_side, asked.price, venue.now_ms()
        )  # fmt: skip
        if asked.told:
            venue.hub.publish([report])
        return _json({"order_id": report.order.order_id})

    async def _bust(self, request: web.Request) -> web.StreamResponse:
        asked, venue = msgspec.json.decode(await request.read(), type=Bust), self._venue
        now_ms = venue.now_ms()
        if asked.hide_ms is None:
            venue.exchange.bust(asked.account, asked.symbol, asked.trade_id, now_ms)
        else:
            venue.exchange.history.hide(asked.account, asked.symbol, asked.trade_id, now_ms + asked.hide_ms)
        return _json({})

    def _book(self, name: str) -> dict[str, object]:
        account = self._venue.exchange.accounts[name]
        orders, fills = self._venue.exchange.history.everything(name)
        positions: dict[str, Decimal] = {}
        for (symbol, _), held in account.positions.items():
            base = self._venue.exchange.market(symbol).rules.base_asset
            positions[base] = positions.get(base, Decimal(0)) + held.amount
        return {
            "positions": {asset: _plain(amount) for asset, amount in positions.items()},
            "initial": {asset: _plain(amount) for asset, amount in account.initial.items()},
            "balances": {
                asset: {"free": _plain(held.free), "locked": _plain(held.locked)}
                for asset, held in account.balances.items()
            },
            "orders": [_order(order) for order in orders],
            "trades": [_trade(fill) for fill in fills],
        }


def _order(order: Order) -> dict[str, object]:
    return {
        "symbol": order.symbol,
        "order_id": order.order_id,
        "client_order_id": order.client_order_id,
        "side": order.side.value,
        "type": order.type.value,
        "time_in_force": order.time_in_force.value,
        "price": _plain(order.price),
        "quantity": _plain(order.quantity),
        "executed": _plain(order.executed),
        "quote_executed": _plain(order.quote_executed),
        "status": order.status.value,
        "created_ms": order.created_ms,
        "updated_ms": order.updated_ms,
    }


def _trade(fill: Fill) -> dict[str, object]:
    return {
        "symbol": fill.symbol,
        "trade_id": fill.trade_id,
        "order_id": fill.order_id,
        "client_order_id": fill.client_order_id,
        "side": fill.side.value,
        "price": _plain(fill.price),
        "quantity": _plain(fill.quantity),
        "quote_quantity": _plain(fill.price * fill.quantity),
        "commission": _plain(fill.commission),
        "commission_asset": fill.commission_asset,
        "maker": fill.maker,
        "time_ms": fill.time_ms,
    }


def _plain(amount: Decimal) -> str:
    return f"{amount.normalize():f}"


def _json(payload: object, status: int = 200) -> web.Response:
    return web.Response(status=status, body=orjson.dumps(payload), content_type="application/json")
