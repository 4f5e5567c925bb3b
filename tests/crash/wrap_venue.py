"""Wraps what leaves for the venue: REST calls by endpoint, and the private stream's connect, send and receive."""

import asyncio
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import Any

import aiohttp
from websockets.asyncio.client import ClientConnection, connect

from adapters.ccxt_rest import CcxtRest, always
from adapters.classify import Failure, Response
from tests.crash.points import Target
from tests.crash.striker import Striker, here
from tests.crash.wrap_redis import flushed

_STRUCK: ContextVar[Target | None] = ContextVar("crash_struck", default=None)


def install(striker: Striker) -> None:
    """Put points around every call of this process to its venue."""
    _rest(striker)
    _stream(striker)


def _rest(striker: Striker) -> None:
    call, start = CcxtRest.call, aiohttp.ClientResponse.start

    async def called(
        self: CcxtRest, endpoint: str, params: Mapping[str, str], check: Callable[[], str] = always
    ) -> Response | Failure:
        target = striker.passing(endpoint, here())
        striker.strike(target, "before")
        token = _STRUCK.set(target)
        try:
            answer = await call(self, endpoint, params, check)
        finally:
            _STRUCK.reset(token)
        striker.strike(target, "after")
        if target is not None and target.phase == "lost":
            striker.strike(target, "lost")
            return Failure(True, "the answer was lost on its way")
        return answer

    async def started(self: Any, connection: Any) -> Any:
        """Stand between a written request and its answer: aiohttp begins to read here."""
        target = _STRUCK.get()
        if target is not None and target.phase == "lost" and target.strike == "role":
            for _ in range(3):  # aiohttp may write a body in a task of its own
                await asyncio.sleep(0)
            await flushed(connection.transport)
            striker.strike(target, "lost")
        return await start(self, connection)

    CcxtRest.call = called  # type: ignore[method-assign]  # what this file is for
    aiohttp.ClientResponse.start = started  # type: ignore[method-assign]  # the same


def _stream(striker: Striker) -> None:
    enter, send, receive = connect.__aenter__, ClientConnection.send, ClientConnection.recv

    async def around(name: str, connection: Any, step: Callable[[], Any]) -> Any:
        target = striker.passing(name, here())
        striker.strike(target, "before")
        answer = await step()
        striker.strike(target, "after")
        if target is not None and target.phase == "lost":
            striker.strike(target, "lost")
            (connection or answer).transport.abort()
            raise ConnectionResetError("the answer was lost on its way")
        return answer

    async def entered(self: connect) -> Any:
        return await around("stream connect", None, lambda: enter(self))

    async def sent(self: ClientConnection, *args: Any, **options: Any) -> Any:
        return await around("stream send", self, lambda: send(self, *args, **options))

    async def received(self: ClientConnection, *args: Any, **options: Any) -> Any:
        return await around("stream receive", self, lambda: receive(self, *args, **options))

    connect.__aenter__ = entered  # type: ignore[method-assign]  # what this file is for
    ClientConnection.send = sent  # type: ignore[method-assign, assignment]  # the same, with overloads
    ClientConnection.recv = received  # type: ignore[method-assign, assignment]  # the same, with overloads
