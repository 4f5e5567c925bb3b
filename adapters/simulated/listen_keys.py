"""Private streams by listen key: REST gives and keeps the key, the address of the socket holds it."""

import asyncio
import secrets

import orjson
from aiohttp import WSMsgType, web

from adapters.simulated.hub import Session
from adapters.simulated.refusals import Refusal
from adapters.simulated.venue import Answer, Venue, refused


class ListenKeys:
    """The handlers of one venue's listen keys and streams."""

    def __init__(self, venue: Venue) -> None:
        self._venue = venue
        self._accounts: dict[str, str] = {}  # by listen key
        venue.hub.ended.append(self._forget)

    def routes(self) -> list[web.RouteDef]:
        """Every path of this side."""
        path = f"{self._venue.form.rest_path}/listenKey"
        dual = f"{self._venue.form.rest_path}/positionSide/dual"
        return [
            web.post(path, self._give),
            web.put(path, self._keep),
            web.delete(path, self._delete),
            web.post(dual, self._dual),
            web.get("/private/ws/{key}", self._connect),
        ]

    async def _give(self, request: web.Request) -> web.StreamResponse:
        """Give a key, the same one while it lives."""
        try:
            account = self._venue.key(request.headers.get("X-MBX-APIKEY")).name
        except Refusal as refusal:
            return _response(refused(refusal))
        key = next((one for one, name in self._accounts.items() if name == account), None) or secrets.token_hex(32)
        self._accounts[key] = account
        return _response(Answer(200, orjson.dumps({"listenKey": key})))

    async def _keep(self, request: web.Request) -> web.StreamResponse:
        try:
            account = self._venue.key(request.headers.get("X-MBX-APIKEY")).name
        except Refusal as refusal:
            return _response(refused(refusal))
        if account not in self._accounts.values():
            return _response(refused(Refusal(-1125, "This listenKey does not exist.")))
        return _response(Answer(200, b"{}"))

    async def _delete(self, request: web.Request) -> web.StreamResponse:
        account = self._venue.key(request.headers.get("X-MBX-APIKEY")).name
        self._forget(account)
        return _response(Answer(200, b"{}"))

    async def _dual(self, request: web.Request) -> web.StreamResponse:
        """Set the position mode; for tests, so that neither time nor signature is asked for."""
        account = self._venue.key(request.headers.get("X-MBX-APIKEY")).name
        dual = (await request.post()).get("dualSidePosition") == "true"
        self._venue.exchange.accounts[account].hedged = dual
        return _response(Answer(200, b'{"code":200,"msg":"success"}'))

    async def _connect(self, request: web.Request) -> web.StreamResponse:
        account = self._accounts.get(request.match_info["key"])
        if account is None:
            return web.Response(status=401)
        if self._venue.hub.is_closed(account):
            return web.Response(status=503)
        socket = web.WebSocketResponse(heartbeat=self._venue.settings.stream_ping_ms / 1000, compress=False)
        await socket.prepare(request)
        assert request.transport is not None
        session = Session(socket, request.transport)
        session.subscriptions[0] = account
        self._venue.hub.sessions.add(session)
        try:
            async for message in socket:
                if message.type is WSMsgType.ERROR:
                    break
        finally:
            self._venue.hub.sessions.discard(session)
            await asyncio.shield(session.close())
        return socket

    def _forget(self, account: str) -> None:
        self._accounts = {key: name for key, name in self._accounts.items() if name != account}


def _response(answer: Answer) -> web.Response:
    return web.Response(status=answer.status, body=answer.body, content_type="application/json")
