"""Binance spot as a `Plug` of the registry."""

from collections.abc import Callable

from adapters.binance.decode import decode
from adapters.binance.describe import describe
from adapters.binance.facts import FACTS
from adapters.binance.holdings import holdings
from adapters.binance.recorded import sniff
from adapters.registry import Addresses, Plug, VenueSettings
from adapters.venue import Venue


async def open_binance(settings: VenueSettings, now_ms: Callable[[], int]) -> Venue:
    """Open an account at Binance spot; raises as `BinanceVenue.open`."""
    # The HTTP client and ccxt behind it are for those who trade, not for those who decode.
    from adapters.binance.venue import BinanceVenue

    return await BinanceVenue.open(
        settings.credentials, now_ms, rest_url=settings.rest_url, ws_url=settings.ws_url,
        call_timeout_ms=settings.request_timeout_ms, order_entry=settings.order_entry, order_url=settings.order_url,
        allowance=settings.allowance,
    )  # fmt: skip


# ccxt's `urls` (api, test, demo) of binance, 2026-11.
ENVIRONMENTS = {
    "live": Addresses(
        rest_url="https://api.binance.com", ws_url="wss://ws-api.binance.com:443/ws-api/v3",
        order_url="wss://ws-api.binance.com:443/ws-api/v3",
    ),
    "testnet": Addresses(
        rest_url="https://testnet.binance.vision", ws_url="wss://ws-api.testnet.binance.vision/ws-api/v3",
        order_url="wss://ws-api.testnet.binance.vision/ws-api/v3",
    ),
    "demo": Addresses(
        rest_url="https://demo-api.binance.com", ws_url="wss://demo-ws-api.binance.com/ws-api/v3",
        order_url="wss://demo-ws-api.binance.com/ws-api/v3",
    ),
}  # fmt: skip
PLUG = Plug(
    facts=FACTS, decode=decode, describe=describe, holdings=holdings, sniff=sniff, open=open_binance,
    environments=ENVIRONMENTS,
)  # fmt: skip
