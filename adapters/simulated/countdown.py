"""The dead-man timer: an account's orders of one symbol are cancelled unless it speaks again in time.

Path, parameters and answer are those of `POST /fapi/v1/countdownCancelAll` in Binance's USDⓈ-M API documentation.
"""

import asyncio

import orjson
from aiohttp import web

from adapters.simulated import requests
from adapters.simulated.orders import Cancellation
from adapters.simulated.refusals import Refusal, mandatory
from adapters.simulated.venue import Answer, Caller, Venue, refused


class Countdown:
    """The handler of one venue, and the timers that run."""

    def __init__(self, venue: Venue) -> None:
        self._venue = venue
        self._timers: dict[tuple[str, str], asyncio.TimerHandle] = {}

    def routes(self) -> list[web.RouteDef]:
        """The one path of this side."""
        return [web.post(f"{self._venue.form.rest_path}/countdownCancelAll", self._set)]

    async def _set(self, request: web.Request) -> web.StreamResponse:
        try:
            caller = await self._authenticate(request)
            symbol, after_ms = caller.params.get("symbol"), requests.number(caller.params, "countdownTime")
            if not symbol or after_ms is None:
                raise mandatory("countdownTime" if symbol else "symbol")
            self._venue.exchange.market(symbol)
        except Refusal as refusal:
            return _response(refused(refusal))
        if (before := self._timers.pop((caller.account, symbol), None)) is not None:
            before.cancel()
        if after_ms:
            loop = asyncio.get_running_loop()
            self._timers[caller.account, symbol] = loop.call_later(after_ms / 1000, self._fire, caller.account, symbol)
        return _response(Answer(200, orjson.dumps({"symbol": symbol, "countdownTime": str(after_ms)})))

    async def _authenticate(self, request: web.Request) -> Caller:
        account = self._venue.key(request.headers.get("X-MBX-APIKEY"))
        _, _, query = request.raw_path.partition("?")
        params, text, signature = requests.parse(query, (await request.read()).decode("utf-8", "replace"))
        return self._venue.authenticate(account, params, text, signature)

    def _fire(self, account: str, symbol: str) -> None:
        self._timers.pop((account, symbol), None)
        now_ms, exchange = self._venue.now_ms(), self._venue.exchange
        for order in exchange.history.open_orders(account, symbol, now_ms):
            request = Cancellation(symbol, order.order_id, None, f"countdown-{order.order_id}")
            self._venue.hub.publish(exchange.cancel(account, request, now_ms).reports)


def _response(answer: Answer) -> web.Response:
    return web.Response(status=answer.status, body=answer.body, content_type="application/json")
