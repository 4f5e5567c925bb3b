"""The REST side: Binance's paths, headers and signatures over the venue."""

import orjson
from aiohttp import web

from adapters.simulated import batches, lookups, requests, symbols
from adapters.simulated.matching import Side
from adapters.simulated.refusals import Refusal, mandatory
from adapters.simulated.venue import Answer, Caller, Deed, Venue, refused

_DEFAULT_DEPTH = 100


class Rest:
    """The handlers of one venue."""

    def __init__(self, venue: Venue) -> None:
        self._venue = venue

    def routes(self) -> list[web.RouteDef]:
        """Every path this side answers."""
        path = self._venue.form.rest_path
        return [
            web.get(f"{path}/ping", self._ping),
            web.get(f"{path}/time", self._time),
            web.get(f"{path}/exchangeInfo", self._exchange_info),
            web.get(f"{path}/ticker/price", self._ticker_price),
            web.get(f"{path}/depth", self._depth),
            web.post(f"{path}/order", self._place),
            web.post(f"{path}/order/test", self._test),
            web.delete(f"{path}/order", self._cancel),
            web.route(self._venue.form.amend_route[0], f"{path}/{self._venue.form.amend_route[1]}", self._amend),
            *self._batches(path),
            *(
                web.get(name if name.startswith("/") else f"{path}/{name}", self._lookup)
                for name in self._venue.form.lookups
            ),
        ]

    def _batches(self, path: str) -> list[web.RouteDef]:
        name = self._venue.form.batch
        if not name:
            return []
        return [web.post(f"{path}/{name}", self._place_many), web.delete(f"{path}/{name}", self._cancel_many)]

    async def _ping(self, request: web.Request) -> web.StreamResponse:
        return self._public(request, 1, {})

    async def _time(self, request: web.Request) -> web.StreamResponse:
        return self._public(request, 1, {"serverTime": self._venue.now_ms()})

    async def _exchange_info(self, request: web.Request) -> web.StreamResponse:
        venue = self._venue
        wanted = request.query.get("symbol")
        try:
            markets = [venue.exchange.market(wanted)] if wanted else list(venue.exchange.markets.values())
        except Refusal as refusal:
            return self._respond(request, refused(refusal), 20)
        return self._public(
            request,
            20,
            {
                "timezone": "UTC",
                "serverTime": venue.now_ms(),
                "rateLimits": venue.meter.describe(),
                "exchangeFilters": [],
                "symbols": [venue.form.describe(market.rules) for market in markets],
            },
        )

    async def _ticker_price(self, request: web.Request) -> web.StreamResponse:
        markets = self._venue.exchange.markets
        rows = [{"symbol": name, "price": symbols.fixed(market.last_price)} for name, market in markets.items()]
        wanted = request.query.get("symbol")
        if wanted is None:
            return self._public(request, 4, rows)
        if wanted not in markets:
            return self._respond(request, refused(Refusal(-1121, "Invalid symbol.")), 2)
        return self._public(request, 2, next(row for row in rows if row["symbol"] == wanted))

    async def _depth(self, request: web.Request) -> web.StreamResponse:
        try:
            symbol = request.query.get("symbol")
            if not symbol:
                raise mandatory("symbol")
            market = self._venue.exchange.market(symbol)
            limit = requests.number(request.query, "limit") or _DEFAULT_DEPTH
        except Refusal as refusal:
            return self._respond(request, refused(refusal), 5)
        sides = {"bids": Side.BUY, "asks": Side.SELL}
        rows: dict[str, object] = {
            name: [
                [symbols.fixed(level.price), symbols.fixed(level.quantity)] for level in market.book.depth(side, limit)
            ]
            for name, side in sides.items()
        }
        return self._public(request, 5, {"lastUpdateId": market.next_order_id, **rows})

    async def _place(self, request: web.Request) -> web.StreamResponse:
        return await self._order(request, "place", self._venue.form.order_weight)

    async def _cancel(self, request: web.Request) -> web.StreamResponse:
        return await self._order(request, "cancel")

    async def _amend(self, request: web.Request) -> web.StreamResponse:
        return await self._order(request, "amend", self._venue.form.order_weight)

    async def _place_many(self, request: web.Request) -> web.StreamResponse:
        return await self._order(request, "place many", batches.WEIGHT)

    async def _cancel_many(self, request: web.Request) -> web.StreamResponse:
        return await self._order(request, "cancel many")

    async def _order(self, request: web.Request, deed: Deed, weight: int = 1) -> web.StreamResponse:
        try:
            caller = await self._authenticate(request)
        except Refusal as refusal:
            return self._respond(request, refused(refusal), 1)
        if (over := self._spend(weight)) is not None:
            return over
        return self._respond(request, await self._venue.order(caller, deed), 0)

    async def _test(self, request: web.Request) -> web.StreamResponse:
        try:
            caller = await self._authenticate(request)
        except Refusal as refusal:
            return self._respond(request, refused(refusal), 1)
        return self._respond(request, self._venue.test_order(caller), 1)

    async def _lookup(self, request: web.Request) -> web.StreamResponse:
        known = self._venue.form.lookups
        path = known.get(request.path) or known[request.path.rpartition("/")[2]]
        try:
            caller = await self._authenticate(request)
        except Refusal as refusal:
            return self._respond(request, refused(refusal), 1)
        if (over := self._spend(lookups.weight(path, caller.params))) is not None:
            return over
        return self._respond(request, await self._venue.lookup(caller, path), 0)

    async def _authenticate(self, request: web.Request) -> Caller:
        account = self._venue.key(request.headers.get("X-MBX-APIKEY"))
        # The raw path: a library that tidies up the query would break what the signature covers.
        _, _, query = request.raw_path.partition("?")
        body = (await request.read()).decode("utf-8", "replace")
        params, text, signature = requests.parse(query, body)
        return self._venue.authenticate(account, params, text, signature)

    def _public(self, request: web.Request, weight: int, payload: object) -> web.StreamResponse:
        return self._respond(request, Answer(200, orjson.dumps(payload)), weight)

    def _spend(self, weight: int) -> web.StreamResponse | None:
        """Use weight before the work is done; the refusal when there is none left."""
        try:
            self._venue.meter.spend(weight, self._venue.now_ms())
        except Refusal as refusal:
            return _response(refused(refusal), self._venue.meter.weight)
        return None

    def _respond(self, request: web.Request, answer: Answer, weight: int) -> web.StreamResponse:
        if weight and (over := self._spend(weight)) is not None:
            return over
        if answer.dropped and request.transport is not None:
            request.transport.close()
        return _response(answer, self._venue.meter.weight)


def _response(answer: Answer, used_weight: int) -> web.Response:
    headers = {"x-mbx-used-weight": str(used_weight), "x-mbx-used-weight-1m": str(used_weight), **answer.headers}
    charset = "UTF-8" if answer.content_type == "application/json" else None
    return web.Response(
        status=answer.status, body=answer.body, content_type=answer.content_type, charset=charset, headers=headers
    )
