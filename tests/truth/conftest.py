"""Accounts to be broken: on spot, and with margin."""

import secrets
from collections.abc import AsyncIterator, Iterator
from decimal import Decimal

import pytest

from adapters.simulated import settings as simulated
from adapters.simulated.faults import OFF
from adapters.simulated.liquidity import Liquidity
from adapters.simulated.process import SimulatedVenue
from adapters.simulated.symbols import Symbol
from tests.pipeline import PRICE, Pipeline, pipeline, venue_process

__all__ = ["pipeline", "venue_process"]

MARGIN_ACCOUNTS = 250


@pytest.fixture(scope="session")
def margin_process() -> Iterator[SimulatedVenue]:
    """A venue of perpetuals, with an account and a symbol for each test."""
    numbers = range(MARGIN_ACCOUNTS)
    symbols = tuple(Symbol(f"C{n}USDT", f"C{n}", "USDT", Decimal("0.01"), Decimal("0.001"), PRICE) for n in numbers)
    accounts = tuple(
        simulated.AccountSettings(f"a{n}", secrets.token_hex(32), secrets.token_hex(32), {"USDT": Decimal(1_000_000)})
        for n in numbers
    )
    told = simulated.Settings(
        control_token=secrets.token_urlsafe(32), accounts=accounts, symbols=symbols, liquidity=Liquidity(on=False),
        product="usdm",
    )  # fmt: skip
    with SimulatedVenue(told, seed=12) as process:
        yield process


@pytest.fixture(scope="session")
def margin_numbers() -> Iterator[int]:
    """Numbers of accounts that no test has had."""
    return iter(range(MARGIN_ACCOUNTS))


@pytest.fixture
async def margin(
    redis_url: str, margin_process: SimulatedVenue, margin_numbers: Iterator[int]
) -> AsyncIterator[Pipeline]:
    """A margin account with an open gate, and no role running yet."""
    async with margin_process.control() as control:
        await control.set_faults(OFF)
        async with Pipeline(redis_url, margin_process, control, next(margin_numbers), "binance-usdm") as made:
            await made.register()
            await made.open_gate()
            yield made
