"""One listening venue: the three sides on one port, and the house's clock."""

import asyncio
from contextlib import suppress

from aiohttp import web

from adapters.simulated.audit import Audit
from adapters.simulated.countdown import Countdown
from adapters.simulated.listen_keys import ListenKeys
from adapters.simulated.rest import Rest
from adapters.simulated.venue import Venue
from adapters.simulated.ws_api import WsApi

LOOPBACK = "127.0.0.1"
_MAX_BODY_BYTES = 65_536
_SHUTDOWN_S = 0.5


class Server:
    """Serves a venue until it is closed, on loopback unless told otherwise."""

    def __init__(self, venue: Venue) -> None:
        self._venue = venue
        audit = Audit(venue)
        self._app = web.Application(client_max_size=_MAX_BODY_BYTES, middlewares=[audit.guard])
        sides = [Rest(venue).routes(), WsApi(venue).routes(), audit.routes()]
        if venue.settings.product == "usdm":
            sides += [ListenKeys(venue).routes(), Countdown(venue).routes()]
        for routes in sides:
            self._app.add_routes(routes)
        self._runner = web.AppRunner(self._app, access_log=None, shutdown_timeout=_SHUTDOWN_S)
        self._house: asyncio.Task[None] | None = None

    async def start(self, port: int, host: str = LOOPBACK) -> int:
        """Listen; returns the port, which is a free one when 0 was asked for."""
        await self._runner.setup()
        site = web.TCPSite(self._runner, host, port)
        await site.start()
        self._house = asyncio.create_task(self._quote())
        return int(self._runner.addresses[0][1])

    async def close(self) -> None:
        """Cut all streams and stop listening."""
        if self._house is not None:
            self._house.cancel()
            with suppress(asyncio.CancelledError):
                await self._house
        for session in list(self._venue.hub.sessions):
            session.abort()
        await self._runner.cleanup()

    async def _quote(self) -> None:
        while True:
            if self._venue.liquidity.on:
                self._venue.quote()
            await asyncio.sleep(self._venue.liquidity.interval_ms / 1000)
