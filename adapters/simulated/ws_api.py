"""The websocket API: signed requests as JSON frames, and the user data stream on the same connection.

Methods and frames are those of Binance's spot websocket API documentation: `{"id", "method", "params"}` in,
`{"id", "status", "result" | "error", "rateLimits"}` out, and events as `{"subscriptionId", "event"}`.
"""

import asyncio
from collections.abc import Mapping

import msgspec
import orjson
from aiohttp import WSMsgType, web

from adapters.simulated import lookups
from adapters.simulated.hub import Session
from adapters.simulated.refusals import Refusal, mandatory
from adapters.simulated.venue import Answer, Caller, Deed, Venue, refused

MAX_PENDING_REQUESTS = 64
_MAX_FRAME_BYTES = 65_536
_LOOKUP_METHODS = {
    "order.status": "order",
    "openOrders.status": "openOrders",
    "allOrders": "allOrders",
    "myTrades": "myTrades",
    "account.status": "account",
}


class Request(msgspec.Struct, frozen=True):
    """One frame of a client. Parameters may be text or numbers; both are signed as they are printed."""

    method: str
    id: str | int | None = None
    params: dict[str, str | int] = msgspec.field(default_factory=dict)


class WsApi:
    """The handler of one venue's websocket API."""

    def __init__(self, venue: Venue) -> None:
        self._venue = venue
        self._deeds: Mapping[str, Deed] = {
            "order.place": "place", "order.cancel": "cancel", venue.form.amend_method: "amend"
        }  # fmt: skip

    def routes(self) -> list[web.RouteDef]:
        """The one path of this side."""
        return [web.get(self._venue.form.ws_path, self._connect)]

    async def _connect(self, request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse(
            heartbeat=self._venue.settings.stream_ping_ms / 1000, max_msg_size=_MAX_FRAME_BYTES, compress=False
        )
        await socket.prepare(request)
        assert request.transport is not None
        session = Session(socket, request.transport)
        self._venue.hub.sessions.add(session)
        pending: set[asyncio.Task[None]] = set()
        try:
            async for message in socket:
                if message.type is WSMsgType.TEXT:
                    await self._receive(session, message.data, pending)
        finally:
            self._venue.hub.sessions.discard(session)
            await session.close()
        return socket

    async def _receive(self, session: Session, data: str, pending: set[asyncio.Task[None]]) -> None:
        try:
            request = msgspec.json.decode(data, type=Request)
        except msgspec.MsgspecError:
            self._reply(session, None, refused(Refusal(-1135, "Invalid JSON Request")))
            return
        try:
            answer = self._now(session, request)
        except Refusal as refusal:
            answer = refused(refusal)
        if answer is not None:
            self._reply(session, request.id, answer)
            return
        if len(pending) >= MAX_PENDING_REQUESTS:
            self._reply(session, request.id, refused(Refusal(-1008, "Server is currently overloaded.", 503)))
            return
        # A request that waits must not hold up the others of its connection.
        task = asyncio.create_task(self._slow(session, request))
        pending.add(task)
        task.add_done_callback(pending.discard)

    def _now(self, session: Session, request: Request) -> Answer | None:
        """Answer what needs no waiting; None for orders and look-ups."""
        venue = self._venue
        match request.method:
            case "ping":
                venue.meter.spend(1, venue.now_ms())
                return Answer(200, b"{}")
            case "time":
                venue.meter.spend(1, venue.now_ms())
                return Answer(200, orjson.dumps({"serverTime": self._venue.now_ms()}))
            case "userDataStream.subscribe.signature":
                caller = self._authenticate(request)
                venue.meter.spend(2, venue.now_ms())
                if venue.hub.is_closed(caller.account):
                    raise Refusal(-1008, "Server is currently overloaded.", 503)
                if caller.account in session.subscriptions.values():
                    raise Refusal(-2035, "User Data Stream subscription already active.")
                number = session.next_subscription_id
                session.next_subscription_id += 1
                session.subscriptions[number] = caller.account
                return Answer(200, orjson.dumps({"subscriptionId": number}))
            case "userDataStream.unsubscribe":
                self._unsubscribe(session, request)
                return Answer(200, b"{}")
            case method if method in self._deeds:
                return None
            case method if method in _LOOKUP_METHODS:
                return None
            case _:
                raise Refusal(-1020, "This operation is not supported.")

    def _unsubscribe(self, session: Session, request: Request) -> None:
        wanted = request.params.get("subscriptionId")
        if not session.subscriptions or (wanted is not None and wanted not in session.subscriptions):
            raise Refusal(-2036, "User Data Stream subscription not active.")
        for number in [each for each in session.subscriptions if wanted in {None, each}]:
            self._venue.hub.unsubscribe(session, number)

    async def _slow(self, session: Session, request: Request) -> None:
        venue = self._venue
        try:
            caller = self._authenticate(request)
            if request.method in _LOOKUP_METHODS:
                path = _LOOKUP_METHODS[request.method]
                venue.meter.spend(lookups.weight(path, caller.params), venue.now_ms())
                answer = await venue.lookup(caller, path)
            else:
                deed = self._deeds[request.method]
                venue.meter.spend(1 if deed == "cancel" else venue.form.order_weight, venue.now_ms())
                answer = await venue.order(caller, deed)
        except Refusal as refusal:
            answer = refused(refusal)
        if answer.dropped:
            session.abort()
        else:
            self._reply(session, request.id, answer)

    def _authenticate(self, request: Request) -> Caller:
        params = {name: str(value) for name, value in request.params.items()}
        if "apiKey" not in params:
            raise mandatory("apiKey")
        account = self._venue.key(params["apiKey"])
        signature = params.pop("signature", "")
        text = "&".join(f"{name}={params[name]}" for name in sorted(params))
        return self._venue.authenticate(account, params, text, signature)

    def _reply(self, session: Session, request_id: str | int | None, answer: Answer) -> None:
        session.put(frame(request_id, answer, self._venue.meter.usage()))


def frame(request_id: str | int | None, answer: Answer, usage: list[dict[str, object]]) -> bytes:
    """An answer as a frame. A body that was cut cuts the frame: what follows it is lost too."""
    part = "result" if answer.status == 200 else "error"
    head: Mapping[str, object] = {"id": request_id, "status": answer.status}
    start = orjson.dumps(head)[:-1] + f',"{part}":'.encode()
    body = answer.body
    if answer.content_type != "application/json":
        body = orjson.dumps({"code": -1001, "msg": "Internal error; unable to process your request. Please try again."})
    if not body.endswith((b"}", b"]")):
        return start + body
    return start + body + b',"rateLimits":' + orjson.dumps(usage) + b"}"
