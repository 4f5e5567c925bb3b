"""One venue process for all socket tests, brought back to calm before each of them."""

import hashlib
import hmac
import json
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

import ccxt.async_support as ccxt
import pytest
import websockets

from adapters.simulated.control import Control
from adapters.simulated.faults import OFF
from adapters.simulated.liquidity import Liquidity
from adapters.simulated.process import SimulatedVenue, local_settings
from adapters.simulated.settings import AccountSettings

BALANCES = {"BTC": Decimal(1000), "ETH": Decimal(1000), "USDT": Decimal(1_000_000_000)}


class Binance(ccxt.binance):  # type: ignore[misc]  # ccxt ships without types
    """ccxt's Binance with only its base URLs changed."""

    local_base = ""

    def get_exceptions_by_url(self, url, exactOrBroad):  # noqa: N803  ccxt's own name
        """Let ccxt pick its error table as for the real host, which it recognises by the URL."""
        return super().get_exceptions_by_url(url.replace(self.local_base, "https://api.binance.com"), exactOrBroad)


class Stream:
    """A raw websocket with one subscription."""

    def __init__(self, socket: websockets.ClientConnection) -> None:
        self.socket = socket

    async def next(self, kind: str = "executionReport") -> dict[str, Any]:
        """The next event of a kind."""
        while True:
            event: dict[str, Any] = json.loads(await self.socket.recv()).get("event", {})
            if event.get("e") == kind:
                return event

    async def until(self, client_id: str, execution: str) -> list[dict[str, Any]]:
        """All execution reports up to the first of an order and execution type."""
        seen: list[dict[str, Any]] = []
        while not seen or (client_id, execution) != (seen[-1]["C"] or seen[-1]["c"], seen[-1]["x"]):
            seen.append(await self.next())
        return seen


@pytest.fixture(scope="session")
def process() -> Iterator[SimulatedVenue]:
    """The running venue."""
    with SimulatedVenue(local_settings(["main", "other"], BALANCES), seed=7) as venue:
        yield venue


@pytest.fixture
async def control(process: SimulatedVenue) -> AsyncIterator[Control]:
    """The control surface, with no fault, no clock offset and no house until a test asks for them."""
    async with process.control() as control:
        await control.set_faults(OFF)
        await control.set_clock(0)
        await control.set_liquidity(Liquidity(on=False))
        yield control


@pytest.fixture
def account(process: SimulatedVenue) -> AccountSettings:
    """The account most tests trade on."""
    return process.settings.accounts[0]


def connect_ccxt(process: SimulatedVenue, account: AccountSettings, **more: object) -> Binance:
    """A ccxt client of the venue."""
    exchange = Binance(
        {
            "apiKey": account.api_key,
            "secret": account.secret,
            "number": str,
            "enableRateLimit": False,
            "options": {"fetchMarkets": {"types": ["spot"]}, "fetchCurrencies": False, "fetchMargins": False},
            **more,
        }
    )
    exchange.has["fetchCurrencies"] = False
    exchange.local_base = process.rest_url
    exchange.urls["api"] = {
        name: process.rest_url + urlsplit(url).path if isinstance(url, str) else url
        for name, url in exchange.urls["api"].items()
    }
    return exchange


@pytest.fixture
async def exchange(process: SimulatedVenue, control: Control, account: AccountSettings) -> AsyncIterator[Binance]:
    """ccxt, with markets loaded and nothing of an earlier test open."""
    assert control is not None
    exchange = connect_ccxt(process, account)
    try:
        await exchange.load_markets()
        for order in await exchange.privateGetOpenOrders():
            await exchange.privateDeleteOrder({"symbol": order["symbol"], "orderId": order["orderId"]})
        yield exchange
    finally:
        await exchange.close()


def signed(account: AccountSettings, **params: object) -> dict[str, object]:
    """Parameters of a websocket request with key, time and signature over the sorted rest."""
    found = {"apiKey": account.api_key, "timestamp": time.time_ns() // 1_000_000, **params}
    text = "&".join(f"{name}={found[name]}" for name in sorted(found))
    return {**found, "signature": hmac.new(account.secret.encode(), text.encode(), hashlib.sha256).hexdigest()}


@pytest.fixture
def sign() -> Callable[..., dict[str, object]]:
    """How a websocket request is signed."""
    return signed


@pytest.fixture
async def other(process: SimulatedVenue, control: Control) -> AsyncIterator[Binance]:
    """Ccxt for the second account, with markets loaded."""
    assert control is not None
    exchange = connect_ccxt(process, process.settings.accounts[1])
    try:
        await exchange.load_markets()
        yield exchange
    finally:
        await exchange.close()


@asynccontextmanager
async def subscribe(process: SimulatedVenue, account: AccountSettings) -> AsyncIterator[Stream]:
    """A new connection with one subscription."""
    async with websockets.connect(process.ws_url) as socket:
        request = {"id": "s", "method": "userDataStream.subscribe.signature", "params": signed(account)}
        await socket.send(json.dumps(request))
        assert json.loads(await socket.recv())["result"] == {"subscriptionId": 0}
        yield Stream(socket)


@pytest.fixture
async def stream(process: SimulatedVenue, exchange: Binance, account: AccountSettings) -> AsyncIterator[Stream]:
    """A subscribed user data stream, of a calm venue: what `exchange` cleans up is no event of it."""
    assert exchange.markets
    async with subscribe(process, account) as found:
        yield found


@pytest.fixture
def resubscribe(process: SimulatedVenue) -> Callable[[int], AbstractAsyncContextManager[Stream]]:
    """How one more stream is opened, for the account of that number."""
    return lambda number: subscribe(process, process.settings.accounts[number])


@pytest.fixture
def client_id() -> str:
    """A client order id nobody used before."""
    return f"q{uuid.uuid4().hex[:17]}"
