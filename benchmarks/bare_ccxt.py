"""ccxt as its users have it, with nothing of ours in between but the address."""

import asyncio
import importlib
from typing import Any

from adapters.simulated.process import SimulatedVenue

_SPOT_ALONE = {"fetchMarkets": {"types": ["spot"]}, "fetchCurrencies": False, "fetchMargins": False}


async def open_ccxt(venue: SimulatedVenue, url: str, *, timeout_ms: int) -> Any:
    """Make ccxt's client of the simulated venue's first account, markets loaded; close it.

    Args:
        venue: whose key is used.
        url: scheme and host that stand for the venue's.
        timeout_ms: of each request.
    """
    library = await asyncio.to_thread(importlib.import_module, "ccxt.async_support")
    held = venue.settings.accounts[0]
    keys = {"apiKey": held.api_key, "secret": held.secret}
    exchange = library.binance({**keys, "enableRateLimit": False, "timeout": timeout_ms, "options": _SPOT_ALONE})
    exchange.urls["api"] = {name: _moved(one, url) for name, one in exchange.urls["api"].items()}
    try:
        await exchange.load_markets()
    except BaseException:
        await exchange.close()
        raise
    return exchange


def _moved(address: Any, url: str) -> Any:
    if not isinstance(address, str):
        return address
    return f"{url}/{address.split('://', 1)[1].partition('/')[2]}"
