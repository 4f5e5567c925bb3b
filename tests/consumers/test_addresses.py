"""Specification of consumers/addresses.py: nothing is live by omission, and what is given stands."""

from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from adapters.simulated.process import SimulatedVenue, local_settings
from consumers.addresses import addresses
from consumers.keyring import variables
from consumers.roles import Task, Workshop
from streams.errors import UsageError
from streams.settings import AccountSettings, Settings

OWN = {"rest_url": "http://127.0.0.1:1", "stream_url": "ws://127.0.0.1:1/x"}


def account(**changes: Any) -> AccountSettings:
    """An account's settings."""
    return AccountSettings(symbols=("BTC/USDT",), **changes)


@pytest.mark.parametrize(
    ("name", "environment", "host"),
    [
        ("binance.main", "testnet", "testnet.binance.vision"),
        ("binance.main", "demo", "demo-api.binance.com"),
        ("binance-usdm.main", "testnet", "testnet.binancefuture.com"),
        ("binance-usdm.main", "demo", "demo-fapi.binance.com"),
    ],
)
def test_one_setting_chooses_where_an_account_trades(name: str, environment: str, host: str) -> None:
    """Every address of it, and none of another."""
    found = addresses(name, account(environment=environment))
    assert found.rest_url == f"https://{host}"
    assert all(one and "//api." not in one and "fapi.binance.com" not in one.replace("demo-fapi", "") for one in (
        found.rest_url, found.ws_url, found.order_url))  # fmt: skip


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({}, "Where is binance"),
        ({"rest_url": OWN["rest_url"]}, "Where is binance"),
        ({"environment": "live"}, "allow_live"),
    ],
)
def test_live_is_nobodys_default(given: dict[str, Any], says: str) -> None:
    """One sentence that says what to set."""
    with pytest.raises(UsageError, match=says):
        addresses("binance.main", account(**given))
    assert addresses("binance.main", account(environment="live", allow_live=True)).rest_url == "https://api.binance.com"


def test_addresses_of_ones_own_stand() -> None:
    """For a simulator, or behind a proxy."""
    assert addresses("binance.main", account(**OWN)).rest_url == OWN["rest_url"]
    mixed = addresses("binance.main", account(environment="testnet", rest_url=OWN["rest_url"]))
    assert (mixed.rest_url, mixed.ws_url) == (OWN["rest_url"], "wss://ws-api.testnet.binance.vision/ws-api/v3")


@pytest.mark.parametrize("may", [True, False])
async def test_a_key_that_may_withdraw_is_refused(redis_url: str, *, may: bool) -> None:
    """Where the venue tells; nothing is traded with it."""
    told = local_settings(["binance.main"], {"USDT": Decimal(1)})
    held = replace(told.accounts[0], may_withdraw=may)
    with SimulatedVenue(replace(told, accounts=(held,))) as venue:
        reached = account(rest_url=venue.rest_url, stream_url=venue.ws_url)
        settings = Settings(redis_url=redis_url, accounts={"binance.main": reached})
        key, secret = variables("binance.main")
        shop = Workshop(
            Task(role="gateway", account="binance.main"), settings, {key: held.api_key, secret: held.secret}
        )
        try:
            if may:
                with pytest.raises(UsageError, match="may withdraw"):
                    await shop.venue()
            else:
                assert await (await shop.venue()).may_withdraw() is False
        finally:
            await shop.close()
