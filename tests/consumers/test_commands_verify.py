"""`fillonce verify` of an account that is written all the time."""

from typing import Any

import pytest
from redis.asyncio import Redis

from consumers.commands import verify as command
from streams import verify as comparing
from streams.settings import AccountSettings, Settings
from tests.flow import Bench, place


async def test_an_account_that_is_written_in_every_try_is_not_said_to_differ(
    redis: Redis, redis_url: str, account: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An order is published between the two reads of each try: torn, not different; at rest it is good."""
    bench = await Bench(redis, account).open()
    stored, tries = comparing.stored, list[int]()

    async def written_before(*given: Any) -> Any:
        tries.append(1)
        await bench.publish(place(account, signal_id=f"s{len(tries)}"))
        return await stored(*given)

    monkeypatch.setattr(comparing, "stored", written_before)
    settings = Settings(
        accounts={account: AccountSettings(symbols=("BTC/USDT",), venue="binance")}, redis_url=redis_url
    )
    [row] = await command._verdicts(settings, account)
    assert len(tries) == command.TRIES
    assert (row["compared"], row["good"], row["differences"]) == (False, False, [])
    assert command._word(row) == "being written"
    monkeypatch.undo()
    [row] = await command._verdicts(settings, account)
    assert (row["compared"], row["good"], command._word(row)) == (True, True, "good")
