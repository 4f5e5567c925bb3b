"""Binance USDⓈ-M as a `Plug` of the registry: its payloads are of spot's formats."""

from collections.abc import Callable

from adapters.binance.decode import decode
from adapters.binance.describe import describe
from adapters.binance.recorded import sniff
from adapters.binance_usdm.facts import FACTS
from adapters.binance_usdm.positions import positions
from adapters.binance_usdm.wallets import wallets
from adapters.registry import Addresses, Plug, VenueSettings
from adapters.venue import Venue


async def open_usdm(settings: VenueSettings, now_ms: Callable[[], int]) -> Venue:
    """Open an account at Binance USDⓈ-M; raises as `BinanceVenue.open`."""
    # The HTTP client and ccxt behind it are for those who trade, not for those who decode.
    from adapters.binance_usdm.venue import BinanceUsdmVenue

    return await BinanceUsdmVenue.open(
        settings.credentials, now_ms, rest_url=settings.rest_url, ws_url=settings.ws_url,
        call_timeout_ms=settings.request_timeout_ms, order_entry=settings.order_entry, order_url=settings.order_url,
        allowance=settings.allowance,
    )  # fmt: skip


# ccxt's `urls` (api, test, demo) of binance, 2026-11. The venue retired `/ws` for private streams in April 2026 (its
# "Important WebSocket Change Notice"); they are at `/private/ws/<listenKey>`.
_TEST = {
    "ws_url": "wss://fstream.binancefuture.com/private/ws",
    "order_url": "wss://testnet.binancefuture.com/ws-fapi/v1",
}
ENVIRONMENTS = {
    "live": Addresses(
        rest_url="https://fapi.binance.com", ws_url="wss://fstream.binance.com/private/ws",
        order_url="wss://ws-fapi.binance.com/ws-fapi/v1",
    ),
    "testnet": Addresses(rest_url="https://testnet.binancefuture.com", **_TEST),
    "demo": Addresses(rest_url="https://demo-fapi.binance.com", **_TEST),
}  # fmt: skip
PLUG = Plug(
    facts=FACTS,
    decode=decode,
    describe=describe,
    holdings=wallets,
    positions=positions,
    sniff=sniff,
    open=open_usdm,
    environments=ENVIRONMENTS,
)
