"""The snapshot a strategy begins with: the account as of exactly one journal entry."""

import asyncio
import random
from decimal import Decimal
from typing import Any

import pytest
from redis.asyncio import Redis

from streams import codec, events
from streams.connection import connect
from streams.keys import AccountKeys
from streams.marks import publish_mark
from streams.reader import Entry
from streams.rebuild import Rebuilt
from streams.schemas import Place, Position
from streams.standing import NO_ENTRY, Standing, covers, read_standing
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


async def test_it_has_the_newest_reference_price_of_each_symbol(bench: Bench) -> None:
    """And says after which entry the next ones come; what is no price is passed over."""
    for symbol, price in (("BTC/USDT", 1), ("ETH/USDT", 7), ("BTC/USDT", 2)):
        await publish_mark(bench.redis, bench.account, symbol, Decimal(price))
    newest: Any = await bench.redis.xadd(bench.keys.marks, {"data": b"{}"})
    found = await read_standing(bench.redis, bench.keys, "test")
    assert found.snapshot.marks == {"BTC/USDT": Decimal(2), "ETH/USDT": Decimal(7)}
    assert found.mark == newest.decode()


async def test_it_is_the_fold_of_the_journal_up_to_its_entry_while_orders_are_made(
    bench: Bench, redis_url: str
) -> None:
    """Every order of the journal up to the entry is in it, and none of those after it."""

    async def publish() -> None:
        """On a loop and a connection of its own, so that it also comes between two commands of the reader."""
        own = connect(redis_url, name="flood")
        other = Bench(own, bench.account)
        waiting: list[tuple[Entry, Place]] = []
        dice = random.Random(1)
        for number in range(120):
            names = [f"{number}-{one}" for one in range(4)]
            made = [place(bench.account, name, strategy="test" if number % 3 else "b") for name in names]
            await other.publish(*made)
            if waiting:  # older orders move while they are read
                await other.claim(*waiting.pop(dice.randrange(len(waiting))))
            fresh = [entry for entry in await other.read_intents() if not entry.redelivered]
            waiting += zip(fresh, made, strict=True)
        await own.aclose()

    client = connect(redis_url, name="standing")
    flood = asyncio.create_task(asyncio.to_thread(asyncio.run, publish()))
    found: list[Standing] = []
    while not flood.done():
        found.append(await read_standing(client, bench.keys, "test"))
    await flood
    await client.aclose()
    assert len({one.snapshot.entry for one in found}) > 2
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
