"""Reading what is stored, on the real server."""

from decimal import Decimal
from typing import Any

import pytest
from redis.asyncio import Redis

from streams.keys import ACCOUNTS, GATEWAYS, AccountKeys
from streams.plans import Claimed
from streams.schemas import Position
from streams.store import Store, accounts, instruments_version, register, registered
from tests.flow import INFO, INSTRUMENTS, Bench, place


@pytest.fixture
async def bench(redis: Redis, account: str) -> Bench:
    """An account with an open gate."""
    return await Bench(redis, account).open()


async def test_orders_are_read_in_the_order_they_were_asked_for_with_none_for_those_unknown(bench: Bench) -> None:
    """One value per name."""
    first, second = place(bench.account, "a"), place(bench.account, "b")
    await bench.publish(first, second)
    names = [one.client_order_id for one in await bench.store.all_orders() if one.terms is not None]
    found = await bench.store.orders([names[1], "fo-nobody", names[0]])
    assert [one.client_order_id if one else None for one in found] == [names[1], None, names[0]]


async def test_all_orders_of_an_account_are_found_and_none_of_another(redis: Redis, account: str) -> None:
    """Also when the name of one account begins with that of another, or looks like a pattern."""
    mine, other = await Bench(redis, account).open(), await Bench(redis, account + "x").open()
    await mine.publish(*(place(account, f"s{number}") for number in range(1_200)))
    await other.publish(place(account + "x", "theirs"))
    found = await mine.store.all_orders()
    assert len(found) == 1_200
    assert {one.terms.account for one in found if one.terms} == {account}
    assert await Store(redis, AccountKeys("sim.t*")).all_orders() == []


async def test_counting_orders_by_status(bench: Bench) -> None:
    """By what they are now; the ended ones are not read."""
    await bench.publish(place(bench.account, "a"), place(bench.account, "b"))
    entry, _ = await bench.read_intents()
    [terms] = [one.terms for one in await bench.store.all_orders() if one.terms and one.terms.signal_id == "a"]
    assert isinstance(await bench.claim(entry, terms), Claimed)
    assert await bench.store.live_statuses() == {"created": 1, "submitting": 1}


async def test_positions_are_listed_by_symbol(bench: Bench) -> None:
    """From their index; an account without any has none."""
    assert await bench.store.positions() == {}
    key = bench.keys.position("BTC/USDT")
    await bench.redis.hset(key, mapping={"state": '{"quantity":"1.5"}', "digest": "d"})
    await bench.redis.sadd(bench.keys.positions, key)
    assert await bench.store.positions() == {"BTC/USDT": Position(quantity=Decimal("1.5"))}


async def test_orders_whose_next_look_has_come_are_due_and_the_others_are_not(bench: Bench) -> None:
    """The earliest first, no more than asked for."""
    await bench.redis.zadd(bench.keys.live, {"late": 100, "early": 50, "never": 10**15})
    assert await bench.store.due(1_000, 10) == ["early", "late"]
    assert await bench.store.due(1_000, 1) == ["early"]


async def test_the_backlog_counts_what_nobody_read_and_what_nobody_acknowledged(bench: Bench) -> None:
    """Before a group exists everything is lag."""
    await bench.publish(place(bench.account, "a"), place(bench.account, "b"))
    assert (await bench.store.backlog())["intents"] == {"length": 2, "lag": 2, "pending": 0}
    first, _ = await bench.read_intents()
    await bench.redis.xack(bench.keys.intents, GATEWAYS, first.id)
    await bench.publish(place(bench.account, "c"))
    assert (await bench.store.backlog())["intents"] == {"length": 3, "lag": 1, "pending": 1}
    assert (await bench.store.backlog())["evidence"] == {"length": 0, "lag": 0, "pending": 0}


async def test_parked_orders_are_listed_with_how_many_executions_wait(bench: Bench) -> None:
    """By the last part of their key."""
    key = bench.keys.parked("BTCUSDT", "7")
    await bench.redis.hset(key, mapping={"7:1": "{}", "7:2": "{}"})
    await bench.redis.zadd(bench.keys.parked_index, {key: 12})
    assert await bench.store.parked() == [("BTCUSDT:7", 2, 12)]


async def test_registering_again_replaces_what_can_be_traded(bench: Bench) -> None:
    """A symbol that is gone is gone, and the version tells."""
    [btc] = [one for one in INSTRUMENTS.by_symbol.values() if one.symbol == "BTC/USDT"]
    await register(bench.redis, bench.account, INFO, [btc], "v2")
    assert [one.symbol for one in await bench.store.instruments()] == ["BTC/USDT"]
    assert await instruments_version(bench.redis, bench.keys) == "v2"
    assert (await accounts(bench.redis))[bench.account] == INFO


async def test_an_account_that_was_never_registered_has_no_instruments(redis: Redis, account: str) -> None:
    """Neither rows nor a version."""
    keys = AccountKeys(account)
    assert await Store(redis, keys).instruments() == []
    assert await instruments_version(redis, keys) == ""
    assert not await redis.hexists(ACCOUNTS, account)


async def test_the_servers_clock_is_read_in_milliseconds(bench: Bench) -> None:
    """Close to ours, on one machine."""
    assert abs(await bench.store.now_ms() - bench.clock.now_ns() // 1_000_000) < 1_000


async def test_an_account_is_registered_when_it_and_what_it_trades_are_known(redis: Redis, account: str) -> None:
    """One without the other is not enough: an intent needs both."""
    assert not await registered(redis, account)
    await register(redis, account, INFO, list(INSTRUMENTS.by_symbol.values()), "v1")
    assert await registered(redis, account)
    await redis.delete(AccountKeys(account).instruments)
    assert not await registered(redis, account)


async def test_holdings_come_with_the_names_of_what_they_are_the_sum_of(bench: Bench) -> None:
    """In one read, so that a difference is not booked under the name of an occasion that its amounts do not know."""
    amounts = {b"USDT": b"12.5", b"BTC": b"-1"}
    names = [b":opening", b":f00:0", b":f00:1", b":liquidation:BTCUSDT:7:1"]
    rows: dict[Any, Any] = {**amounts, **dict.fromkeys(names, b"")}
    await bench.redis.hset(bench.keys.holdings, mapping=rows)
    held = await bench.store.all_holdings()
    assert held.amounts == await bench.store.holdings() == {"USDT": Decimal("12.5"), "BTC": Decimal(-1)}
    assert held.booked == {one.decode()[1:] for one in names}
    assert (held.occasions["f00"], held.occasions["liquidation:BTCUSDT:7"]) == (2, 1)
