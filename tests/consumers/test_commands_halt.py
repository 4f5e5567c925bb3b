"""`fillonce halt` and `resume`: claims stop and go on, with who, when and why in the journal."""

from pathlib import Path

import pytest
from redis.asyncio import Redis

from consumers.commands.connecting import person
from streams.events import Switched
from streams.keys import GATEWAYS, AccountKeys
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
    told = [(one.to, one.reason, one.who) for one in await bench.journal() if isinstance(one, Switched)]
    assert told == [("halted", "test", person()), ("trading", "done", person())]


async def test_a_switch_that_may_not_be_kept_is_turned_all_the_same_and_hides_no_other(
    redis: Redis, account: str, tmp_path: Path, shell: Shell
) -> None:
    """A replica that is missing is when one halts everything; each account is named, and the exit code is 1."""
    other = f"{account}x"
    benches = [await Bench(redis, one).open() for one in (account, other)]
    lines = (tmp_path / "fillonce.toml").read_text()
    (tmp_path / "fillonce.toml").write_text(
        f"""{lines}
        durability = "replica"
        [accounts."{other}"]
        symbols = ["BTC/USDT"]
        venue = "binance"
        """
    )
    said = shell("halt", "--all", "--reason", "test", "--no-wait", "--json")
    assert said.code == 1
    assert f"{account}: the switch is turned, but " in said.err
    rows = {one["account"]: one for one in said.json["accounts"]}
    assert "error" in rows[account]
    assert "error" not in rows[other]
    for bench in benches:
        assert await redis.hexists(bench.keys.control, "halt:global")


@pytest.mark.parametrize("command", ["halt", "resume", "cancel-all"])
async def test_an_account_that_nobody_knows_is_bad_usage_and_gets_no_keys(
    redis: Redis, account: str, shell: Shell, command: str
) -> None:
    """One that is registered and not in these settings is known."""
    said = shell(command, "--account", f"{account}.mian", "--reason", "test")
    assert said.code == 2
    assert f"No account {account}.mian; there are: " in said.err
    assert not await redis.exists(AccountKeys(f"{account}.mian").control)


@pytest.mark.parametrize("command", ["halt", "cancel-all"])
async def test_a_symbol_that_the_account_does_not_trade_is_bad_usage(
    redis: Redis, account: str, shell: Shell, command: str
) -> None:
    """A switch on `BTCUSDT` would stop nothing of `BTC/USDT`."""
    bench = await Bench(redis, account).open()
    said = shell(command, "--symbol", "BTCUSDT", "--reason", "test")
    assert said.code == 2
    assert f"{account} does not trade BTCUSDT; it trades BTC/USDT, ETH/USDT" in said.err
    assert not await redis.hexists(bench.keys.control, "halt:symbol:BTCUSDT")


@pytest.mark.parametrize("command", ["halt", "resume", "cancel-all"])
def test_without_a_reason_it_is_bad_usage(shell: Shell, command: str) -> None:
    """Nobody should have to guess later."""
    said = shell(command)
    assert said.code == 2
    assert "--reason" in said.err


async def test_every_scope_has_a_switch_of_its_own(redis: Redis, account: str, shell: Shell) -> None:
    """Resuming one leaves the others on, and shows them."""
    await Bench(redis, account).open()
    assert shell("halt", "--strategy", 'odd "one"', "--reason", "a", "--level", "reducing").code == 0
    assert shell("halt", "--symbol", "BTC/USDT", "--reason", "b").code == 0
    assert shell("halt", "--all", "--reason", "c", "--json").json["accounts"]
    switches = shell("status", "--json", "--account", account).json["accounts"][0]["switches"]
    assert switches == {'reduce:strategy:odd "one"': "a", "halt:symbol:BTC/USDT": "b", "halt:global": "c"}
    said = shell("resume", "--symbol", "BTC/USDT", "--reason", "done")
    assert "still on: halt:global (c)" in said.out
    assert shell("halt", "--all", "--symbol", "BTC/USDT", "--reason", "d").code == 2
    told = [(one.to, one.scope) for one in await Bench(redis, account).journal() if isinstance(one, Switched)]
    assert told == [
        ("reducing", 'strategy:odd "one"'), ("halted", "symbol:BTC/USDT"), ("halted", "global"),
        ("trading", "symbol:BTC/USDT"),
    ]  # fmt: skip


async def test_a_halt_waits_for_windows_that_are_open_and_for_nothing_else(
    redis: Redis, account: str, shell: Shell
) -> None:
    """The end of a claim's window is what it waits for; with nothing out it returns at once."""
    bench = await Bench(redis, account).open()
    assert shell("halt", "--reason", "idle", "--json").json["waited_ms"] == 0
    shell("resume", "--reason", "go on")
    await bench.claimed(place(account))
    assert 0 < shell("halt", "--reason", "busy", "--json").json["waited_ms"] <= 100
