"""The snapshot a strategy begins with: the account as of exactly one journal entry."""

import asyncio
from decimal import Decimal
from typing import Any

import pytest
from redis.asyncio import Redis

from streams import codec, events
from streams.connection import connect
from streams.keys import AccountKeys
from streams.rebuild import Rebuilt
from streams.schemas import Position
from streams.standing import NO_ENTRY, Standing, covers, read_standing
from streams.tasks import end
from tests.flow import Bench, place


@pytest.fixture
async def bench(redis: Redis, account: str) -> Bench:
    """An account with an open gate."""
    return await Bench(redis, account).open()


async def test_an_account_without_a_journal_is_empty_at_the_beginning_of_time(redis: Redis, account: str) -> None:
    """So a strategy may be started before the pipeline."""
    found = (await read_standing(redis, AccountKeys(account), "test")).snapshot
    assert (found.entry, found.orders, found.positions) == (NO_ENTRY, (), {})


async def test_it_has_the_strategys_live_orders_and_every_position(bench: Bench) -> None:
    """Orders of others are theirs."""
    mine, other = place(bench.account, "a"), place(bench.account, "b", strategy="other")
    await bench.publish(mine, other)
    key = bench.keys.position("BTC/USDT")
    state = codec.encode_text(Position(quantity=Decimal(3)))
    await bench.redis.hset(key, mapping={"state": state, "digest": "d"})
    await bench.redis.sadd(bench.keys.positions, key)
    found = await read_standing(bench.redis, bench.keys, "test")
    [order] = found.snapshot.orders
    assert order.terms == mine
    assert found.snapshot.positions == {"BTC/USDT": Position(quantity=Decimal(3))}
    assert found.history == (await bench.scripts.gate()).history


async def test_it_is_the_fold_of_the_journal_up_to_its_entry_while_orders_are_made(
    bench: Bench, redis_url: str
) -> None:
    """Every order of the journal up to the entry is in it, and none of those after it."""

    async def publish() -> None:
        number = 0
        while True:
            number += 1
            names = [f"{number}-{one}" for one in range(3)]
            await bench.publish(*(place(bench.account, name, strategy="test" if number % 2 else "b") for name in names))

    client = connect(redis_url, name="standing")
    flood = asyncio.create_task(publish())
    try:
        found: list[Standing] = []
        while len(found) < 10 or len(found[-1].snapshot.orders) < 20:
            found.append(await read_standing(client, bench.keys, "test"))
    finally:
        await end([flood])
        await client.aclose()
    for one in found:
        rebuilt = Rebuilt(bench.keys)
        rows: Any = await bench.redis.xrange(bench.keys.events, max=one.snapshot.entry)
        for entry, fields in rows:
            rebuilt.apply(entry.decode(), events.decode(fields[b"data"]))
        expected = {
            name: order
            for key in rebuilt.hashes
            if ":order:" in key
            and (order := rebuilt.order(name := bench.keys.order_id(key))) is not None
            and order.terms is not None
            and order.terms.strategy == "test"
        }
        assert {order.client_order_id: order for order in one.snapshot.orders} == expected


def test_entries_are_compared_as_numbers() -> None:
    """As texts, the tenth of a millisecond would come before the second."""
    assert covers("5-10", "5-2")
    assert covers("5-2", "5-2")
    assert not covers("5-2", "5-10")
    assert not covers("9-0", "10-0")
    assert not covers(NO_ENTRY, "1-0")
