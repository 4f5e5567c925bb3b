"""The proof, before the first order, that our client order id goes out and can be asked for: on an echo of our own.

ccxt drops the id at some exchanges without a word, and at others asks for order `None` when it is given one. So an
exchange object with a made-up key and a made-up market is pointed at a server of our own, which keeps what it is sent
and knows nothing. Nothing of it can leave this machine: no name is resolved.
"""

import asyncio
import re
import socket
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Self

import aiohttp.abc
from aiohttp import web
from msgspec import Struct

from adapters.ccxt_unified import CcxtUnified
from adapters.credentials import Credentials
from adapters.generic.needs import PREFIX, missing
from adapters.generic.payloads import says
from streams.errors import UsageError

SYMBOL, QUANTITY, PRICE = "BTC/USDT", "0.12345678", "23456.78"
NAME = "foprobe0123456789a"
VENUE_ID = "7734567890123456"
DEADLINE_MS = 5_000
# Hints that several exchanges of ccxt understand and the others pass over: spot alone, nothing that needs more rights.
OPTIONS: Mapping[str, Any] = {
    "defaultType": "spot", "fetchMarkets": {"types": ["spot"]}, "fetchCurrencies": False, "fetchMargins": False,
}  # fmt: skip
# Some ask for the kind of account before they place the first order.
_YES = {"code": "200000", "retCode": 0, "success": True, "data": {}, "result": {}}
# Looks like a key to those who decode it.
_NOBODY = Credentials("k" * 32, "c2VjcmV0" * 8, "passphrase")
# What is left where ccxt had no id to write.
_NOTHING = re.compile(r"(?<![A-Za-z])(?:None|null|undefined)(?![A-Za-z])")
_MARKET: dict[str, Any] = {
    "id": "BTCUSDT", "symbol": SYMBOL, "base": "BTC", "quote": "USDT", "baseId": "BTC", "quoteId": "USDT",
    "active": True, "type": "spot", "spot": True, "margin": False, "swap": False, "future": False, "option": False,
    "contract": False, "precision": {"amount": "0.00000001", "price": "0.01"},
    "limits": {"amount": {"min": "0.00000001", "max": None}, "price": {"min": None, "max": None},
               "cost": {"min": None, "max": None}},
    "info": {"orderTypes": ["LIMIT", "MARKET"]},
}  # fmt: skip


class Proven(Struct, frozen=True):
    """What the probe found.

    Attributes:
        lacks: why the exchange cannot be traded at; empty when it can.
        cancels_by_name: whether an order can be cancelled by our id alone.
    """

    lacks: str
    cancels_by_name: bool = False


class Request(Struct, frozen=True):
    """What the echo was sent: address and body, and everything with the headers."""

    said: str
    whole: str


class Nowhere(aiohttp.abc.AbstractResolver):
    """Resolves nothing: whatever address of ccxt's was overlooked leads nowhere."""

    async def resolve(self, host: str, port: int = 0, family: Any = socket.AF_INET) -> Any:
        """Refuse; raises OSError."""
        raise OSError(f"{host}:{port} is not asked in a probe ({family})")

    async def close(self) -> None:
        """Nothing is held."""


class Echo:
    """Keeps every request, and answers what several exchanges take for a yes with nothing in it."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.url = ""
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_route("*", "/{anything:.*}", self._keep)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{port}"
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _keep(self, request: web.Request) -> web.Response:
        body = (await request.read()).decode("utf-8", "replace")
        said = f"{request.raw_path}\n{body}"
        headers = "\n".join(f"{name}: {value}" for name, value in request.headers.items())
        self.requests.append(Request(said, f"{said}\n{headers}"))
        return web.json_response(_YES)


def judge_place(requests: list[Request], *amounts: str) -> str:
    """Say what a new order's requests lack; empty when one of them has our id, and the amounts as they are."""
    own = [one for one in requests if NAME in one.whole]
    if not own:
        return "our client order id does not stand in the request that places an order"
    if not any(all(says(one.said, amount) for amount in amounts) for one in own):
        return "the amounts of an order do not stand in its request as they were given"
    return ""


def names_it(requests: list[Request], name: str = NAME) -> bool:
    """Whether a request asks for, or cancels, the order of this id, and for none that is called None."""
    own = [one for one in requests if name in one.whole]
    return bool(own) and not any(_NOTHING.search(one.said) for one in own)


async def probe(exchange_id: str) -> Proven:
    """Try an exchange of ccxt on this machine.

    Raises:
        OSError: no port of this machine can be had.
    """
    async with Echo() as echo:
        rest = await CcxtUnified.open(
            exchange_id, _NOBODY, base_url=echo.url, timeout_ms=DEADLINE_MS, options=OPTIONS,
            resolver=Nowhere(),
        )  # fmt: skip
        try:
            rest.exchange.enableRateLimit = False
            return await _try(rest, echo)
        finally:
            await rest.close()


async def _try(rest: CcxtUnified, echo: Echo) -> Proven:
    if lacking := missing(rest.exchange.has, rest.exchange.requiredCredentials):
        return Proven(lacking)
    known = await rest.perform(_learn_market)
    if known.failure is not None:
        return Proven("ccxt does not take a market that is made up, so it cannot be tried without the exchange")

    async def asked(deed: Callable[[Any], Awaitable[Any]]) -> list[Request]:
        echo.requests.clear()
        await rest.perform(deed)
        return list(echo.requests)

    params = {"clientOrderId": NAME}
    placed = await asked(lambda x: x.create_order(SYMBOL, "limit", "buy", QUANTITY, PRICE, params))
    sold = await asked(lambda x: x.create_order(SYMBOL, "market", "sell", QUANTITY, None, params))
    lacks = [judge_place(placed, QUANTITY, PRICE) or judge_place(sold, QUANTITY)]
    if not names_it(await asked(lambda x: x.fetch_order(None, SYMBOL, params))):
        lacks.append("an order cannot be looked up by our client order id")
    if not names_it(await asked(lambda x: x.cancel_order(VENUE_ID, SYMBOL)), VENUE_ID):
        lacks.append("an order cannot be cancelled by the exchange's id of it")
    by_name = names_it(await asked(lambda x: x.cancel_order(None, SYMBOL, params)))
    return Proven(", and ".join(one for one in lacks if one), by_name)


async def _learn_market(exchange: Any) -> None:
    exchange.set_markets([exchange.safe_market_structure(_MARKET)])


async def proven(exchange_id: str) -> Proven:
    """Try an exchange and refuse one that cannot be traded at.

    Raises:
        UsageError: what is missing, in one sentence.
    """
    try:
        found = await probe(exchange_id)
    except OSError as error:
        raise UsageError(f"{PREFIX}{exchange_id} cannot be tried on this machine ({type(error).__name__}).") from error
    if found.lacks:
        raise UsageError(
            f"{PREFIX}{exchange_id} cannot be traded at: {found.lacks}; choose another exchange, or write a module for "
            "this one (docs/adding-a-venue.md)."
        )
    return found


def check(exchange_id: str) -> None:
    """Do the same from where no loop runs; raises as `proven`."""
    asyncio.run(proven(exchange_id))
