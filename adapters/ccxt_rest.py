"""REST through ccxt, used for what it knows best: paths, signing and connections.

This file and `ccxt_unified`, for exchanges of which nothing else is known, are the ones that touch ccxt.

Everything ccxt would decide is taken from it. Its unified methods cut amounts without a word and map errors
to classes that cannot tell "rejected" from "unknown"; so only implicit endpoints are called, with texts as
parameters, the raw response is caught by hook before anything parses it, and errors are read elsewhere.
The last check before the write runs inside the HTTP client, after the connection stands: what is refused
there has not left, and what failed before it has not left either.
"""

import asyncio
import logging
import ssl
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from functools import cache
from typing import Any, Self

import aiohttp
import certifi
from aiohttp.abc import AbstractResolver

from adapters.ccxt_class import exchange_class
from adapters.classify import Failure, Response
from adapters.credentials import Credentials

CONNECTIONS_MAX = 64
KEEPALIVE_S = 30.0
DNS_CACHE_S = 60

# ccxt logs every signed request at debug level; this logger's level keeps keys and signatures out of any log.
LOGGER = logging.getLogger("fillonce.ccxt")
LOGGER.setLevel(logging.WARNING)


def always() -> str:
    """A check that never objects."""
    return ""


class Call:
    """One call in flight, found by the hooks through the context of its task."""

    __slots__ = ("begun", "check", "judge", "response", "sent")

    def __init__(self, check: Callable[[], str], judge: Callable[[Any], str | None] | None = None) -> None:
        self.check, self.judge = check, judge
        self.begun = self.sent = False
        self.response: Response | None = None


CALL: ContextVar[Call | None] = ContextVar("fillonce_ccxt_call", default=None)
# Whether the request that this task writes is the command itself: a unified call may ask for other things first.
OWN: ContextVar[bool] = ContextVar("fillonce_ccxt_own", default=True)


class Objection(Exception):  # noqa: N818 - not an error: the last check said no
    """Raised where the write would have begun."""


class CcxtRest:
    """One exchange object of ccxt with its own connections.

    Use `open`; every instance must be closed.

    Attributes:
        keeps_pace: whether ccxt waits between requests as it thinks the venue wants it.
    """

    keeps_pace = False

    def __init__(self, exchange: Any, session: aiohttp.ClientSession, timeout_ms: int) -> None:
        self._exchange = exchange
        self._session = session
        self._timeout_ms = timeout_ms

    def __repr__(self) -> str:
        return f"CcxtRest({self._exchange.id})"

    @classmethod
    async def open(
        cls,
        exchange_id: str,
        credentials: Credentials,
        *,
        base_url: str = "",
        timeout_ms: int,
        options: Mapping[str, Any],
        resolver: AbstractResolver | None = None,
    ) -> Self:
        """Make an exchange object inside the running loop; nothing is sent yet.

        Args:
            exchange_id: ccxt's name of the venue.
            credentials: to sign with.
            base_url: scheme and host to use instead of ccxt's; empty for ccxt's own.
            timeout_ms: deadline of every call.
            options: ccxt's `options` of this venue.
            resolver: finds addresses of hosts; the machine's own without it.
        """
        # Importing it takes long, so a command that never asks a venue does not pay for it.
        made = await asyncio.to_thread(exchange_class, exchange_id)
        session = _session(timeout_ms, resolver)
        exchange = made(
            {
                "apiKey": credentials.api_key,
                "secret": credentials.secret,
                "password": credentials.passphrase,
                "enableRateLimit": cls.keeps_pace,  # ours are shared by all workers of an address and kept in Redis
                "timeout": timeout_ms,
                "session": session,
                "ssl_context": _trust(),  # else ccxt reads the certificates once more
                "asyncio_loop": asyncio.get_running_loop(),
                "options": {**options, "maxRetriesOnFailure": 0},  # above 0, ccxt sends an order again by itself
            }
        )
        cls.take_over(exchange)
        if base_url:
            exchange.urls["api"] = _move(exchange.urls["api"], base_url.rstrip("/"))
        return cls(exchange, session, timeout_ms)

    async def call(
        self, endpoint: str, params: Mapping[str, Any], check: Callable[[], str] = always
    ) -> Response | Failure:
        """Send one request, once.

        Args:
            endpoint: ccxt's implicit method, for example `private_post_order`.
            params: as they shall stand on the wire: texts, and lists of them where the endpoint takes several.
            check: asked as the last thing before the write; a non-empty answer is why nothing is sent.

        Returns:
            What came back, or why nothing did and whether a byte may have left.
        """
        call = Call(check)
        token = CALL.set(call)
        try:
            async with asyncio.timeout(self._timeout_ms / 1000):
                await getattr(self._exchange, endpoint)(dict(params))
        except Objection as objection:
            return call.response or Failure(call.sent, str(objection))
        except TimeoutError:
            return call.response or Failure(call.sent, f"no answer within {self._timeout_ms} ms")
        except Exception as error:  # noqa: BLE001 - after the first byte any failure whatever is an unknown outcome
            # ccxt's own deadline is as long, and may be the one that is seen first.
            late = isinstance(error.__cause__, TimeoutError)
            reason = f"no answer within {self._timeout_ms} ms" if late else name_of(error)
            return call.response or Failure(call.sent, reason)
        finally:
            CALL.reset(token)
        return call.response or Failure(call.sent, "ccxt returned without a response")

    @staticmethod
    def take_over(exchange: Any) -> None:
        """Replace what ccxt does with a response: caught as it came, parsed by nobody, never an exception."""
        settle_down(exchange)
        exchange.parse_json = _nothing
        exchange.handle_errors = _nothing
        exchange.handle_http_status_code = _nothing

    async def close(self) -> None:
        """Close the connections."""
        await self._exchange.close()
        await self._session.close()


def _session(timeout_ms: int, resolver: AbstractResolver | None) -> aiohttp.ClientSession:
    trace = aiohttp.TraceConfig()
    trace.on_request_headers_sent.append(_before_write)
    trace.on_request_redirect.append(_on_redirect)
    connector = aiohttp.TCPConnector(
        ssl=_trust(),
        limit=CONNECTIONS_MAX,
        keepalive_timeout=KEEPALIVE_S,
        ttl_dns_cache=DNS_CACHE_S,
        resolver=resolver,
    )
    timeout = aiohttp.ClientTimeout(total=timeout_ms / 1000)
    return aiohttp.ClientSession(connector=connector, trace_configs=[trace], timeout=timeout)


@cache
def _trust() -> ssl.SSLContext:
    """Read the certificates of authorities once; connections share them."""
    return ssl.create_default_context(cafile=certifi.where())


async def _before_write(_session: aiohttp.ClientSession, _context: object, _params: object) -> None:
    """Ask the last check; aiohttp calls this with the connection in hand and nothing written."""
    call = CALL.get()
    if call is None:
        return
    if not OWN.get():
        if objection := call.check():
            raise Objection(objection)
        return
    if call.sent and call.check is not always:
        # The HTTP client repeats a DELETE by itself when a kept connection was cut; a command goes out once.
        raise Objection("the connection was cut, and a command is not sent twice")
    objection = call.check()
    if objection:
        raise Objection(objection)
    call.sent = True


async def _on_redirect(_session: aiohttp.ClientSession, _context: object, _params: object) -> None:
    """Refuse to carry a signed request to another address."""
    raise Objection("the venue redirected a signed request")


def settle_down(exchange: Any) -> None:
    """Have an exchange object keep amounts as texts, log nothing, and show every response before it is read."""
    exchange.number = str
    exchange.logger = LOGGER
    exchange.timeout_on_exit = 0  # the session is ours to close
    exchange.enableLastHttpResponse = exchange.enableLastJsonResponse = exchange.enableLastResponseHeaders = False
    exchange.on_rest_response = catch


def catch(
    code: int, _reason: str, _url: str, _method: str, headers: Mapping[str, str], body: str, *_request: object
) -> str:
    """Keep a response as it came, before anything reads it."""
    call = CALL.get()
    if call is not None:
        call.response = Response(code, headers, body.encode())
    return body


def _nothing(*_anything: object) -> None:
    return None


def _move(urls: Any, base_url: str) -> Any:
    """Give every address of ccxt's table our scheme and host, so that none leads elsewhere."""
    if isinstance(urls, dict):
        return {name: _move(url, base_url) for name, url in urls.items()}
    path = str(urls).split("://", 1)[-1].partition("/")[2]
    return f"{base_url}/{path}" if path else base_url


def name_of(error: BaseException) -> str:
    """Name an error by its classes alone: ccxt writes the signed address into its texts."""
    cause = error.__cause__
    return type(error).__name__ + (f" from {type(cause).__name__}" if cause is not None else "")
