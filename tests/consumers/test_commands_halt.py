"""`fillonce halt` and `resume`: claims stop and go on, with who, when and why in the journal."""

from pathlib import Path

import pytest
from redis.asyncio import Redis

from streams.events import Switched
from streams.keys import GATEWAYS
from streams.plans import Claimed, Halted
from tests.commands import Shell
from tests.flow import Bench, place


@pytest.fixture
def shell(redis_url: str, account: str, tmp_path: Path) -> Shell:
    """A folder whose settings name the account, with a short send window."""
    (tmp_path / "fillonce.toml").write_text(
        f"""
        redis_url = "{redis_url}"
        [accounts."{account}"]
        symbols = ["BTC/USDT"]
        venue = "binance"
        send_window_ms = 100
        """
    )
    return Shell(tmp_path)


async def test_a_halted_account_claims_nothing_until_it_is_resumed(redis: Redis, account: str, shell: Shell) -> None:
    """The entry stays pending meanwhile and is claimed afterwards."""
    bench = await Bench(redis, account).open()
    terms = place(account)
    await bench.publish(terms)
    [entry] = await bench.read_intents()
    assert shell("halt", "--reason", "test").code == 0
    assert shell("status", "--json").json["accounts"][0]["halted"] == "test"
    assert await bench.claim(entry, terms) == Halted()
    assert await bench.pending(bench.keys.intents, GATEWAYS) == 1
    assert shell("resume", "--reason", "done", "--json").json["trading"] == "trading"
    assert isinstance(await bench.claim(entry, terms), Claimed)
    told = [(one.to, one.reason) for one in await bench.journal() if isinstance(one, Switched)]
    assert told == [("halted", "test"), ("trading", "done")]


async def test_a_halt_without_a_reason_is_bad_usage(shell: Shell) -> None:
    """Nobody should have to guess later."""
    said = shell("halt")
    assert said.code == 2
    assert "--reason" in said.err
