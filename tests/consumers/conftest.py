"""The pipeline's fixtures for the tests of this folder, and those of commands that need no role."""

import orjson
import pytest

from tests.commands import Shell
from tests.flow import Bench
from tests.pipeline import pipeline, venue_process

__all__ = ["bench", "pipeline", "shell", "venue_process"]


@pytest.fixture
async def bench(redis, account):
    """An account whose gate is open, without any role."""
    return await Bench(redis, account).open()


@pytest.fixture
def shell(tmp_path, redis_url, account):
    """A shell whose settings name the server and the account."""
    env = {
        "FILLONCE_REDIS_URL": redis_url,
        "FILLONCE_ACCOUNTS": orjson.dumps({account: {"symbols": ["BTC/USDT"], "venue": "binance"}}).decode(),
    }
    return Shell(tmp_path, env)
