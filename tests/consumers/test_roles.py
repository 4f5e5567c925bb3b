"""What runs beside a role: a step that fails is told and repeated."""

import asyncio

import pytest

from consumers.roles import Task, Workshop
from streams.settings import AccountSettings, Settings


@pytest.mark.parametrize("error", [KeyError("a field that is not there"), OSError("away")])
async def test_a_background_step_that_fails_is_logged_and_made_again(
    caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    """Also after an error that nobody foresaw: a loop that ends would end for the life of the process."""
    settings = Settings(accounts={"binance.main": AccountSettings(symbols=("BTC/USDT",))})
    shop = Workshop(Task(role="ledger", account="binance.main"), settings, {})
    made, twice = [0], asyncio.Event()

    async def step() -> None:
        made[0] += 1
        if made[0] > 1:
            twice.set()
        raise error

    with caplog.at_level("INFO"):
        loop = asyncio.ensure_future(shop.every(1, step)())
        done, _ = await asyncio.wait([loop, asyncio.ensure_future(twice.wait())], return_when="FIRST_COMPLETED")
        assert loop not in done
        loop.cancel()
    assert "again" in caplog.text
    assert isinstance(error, OSError) or "a field that is not there" in caplog.text
