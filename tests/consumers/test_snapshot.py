"""Reading what a batch touches, from the real server."""

from typing import Any

import orjson
import pytest
from redis.asyncio import Redis

from adapters.binance.decode import STREAM_FORMAT, TRADE_FORMAT, decode
from consumers.interpret import Item, interpret
from consumers.snapshot import read_snapshot
from streams import codec
from streams.identity import client_order_id
from streams.reader import Entry
from streams.schemas import Evidence, Position
from tests.flow import INFO, Bench, execution, place, status
from tests.pipeline import trade


@pytest.fixture
async def bench(redis: Redis, account: str) -> Bench:
    """An account with an open gate."""
    return await Bench(redis, account).open()


def item(raw: dict[str, Any], form: str = STREAM_FORMAT, entry: str = "1-1") -> Item:
    """What one payload says."""
    data = codec.encode(Evidence(source="stream", format=form, received_at_ns=1))
    said = interpret(Entry(entry, {b"data": data, b"raw": orjson.dumps(raw)}, redelivered=False), decode)
    assert isinstance(said, Item)
    return said


async def test_a_batch_about_nothing_known_reads_nothing(bench: Bench) -> None:
    """Only the server's clock."""
    snapshot = await read_snapshot(bench.redis, bench.keys, [item(execution(7, 1, "fo-nobody"))])
    assert (snapshot.orders, snapshot.owners, snapshot.parked, snapshot.positions) == ({}, {}, {}, {})
    assert abs(snapshot.now_ms - await bench.store.now_ms()) < 1_000


async def test_an_order_is_read_by_the_name_the_payload_gives_with_what_it_touches(bench: Bench) -> None:
    """Its record, its position, and what is parked for the venue order it is about to learn."""
    terms = place(bench.account)
    await bench.publish(terms)
    name = client_order_id(terms, INFO.id_rule)
    parked = item(execution(7, 5, name)).facts[0]
    await bench.redis.hset(bench.keys.parked("BTCUSDT", "7"), "7:5", codec.encode_text(parked))
    snapshot = await read_snapshot(bench.redis, bench.keys, [item(execution(7, 6, name))])
    assert snapshot.orders[name].order == await bench.order(name)
    assert snapshot.parked == {("BTCUSDT", "7"): {"7:5": parked}}
    assert snapshot.positions == {bench.keys.position("BTC/USDT"): (Position(), "")}


async def test_executions_the_record_has_are_marked_as_seen(bench: Bench) -> None:
    """And only those; the digest, not a cache, tells."""
    terms = place(bench.account)
    await bench.publish(terms)
    name = client_order_id(terms, INFO.id_rule)
    await bench.redis.hset(bench.keys.order(name), "7:1", "1")
    items = [item(execution(7, 1, name)), item(execution(7, 2, name), entry="1-2")]
    snapshot = await read_snapshot(bench.redis, bench.keys, items)
    assert snapshot.orders[name].seen == {"7:1"}


async def test_a_payload_without_our_name_finds_its_order_by_the_venues(bench: Bench) -> None:
    """Through the mapping, and the executions it repeats are seen."""
    terms = place(bench.account)
    await bench.publish(terms)
    name = client_order_id(terms, INFO.id_rule)
    await bench.redis.set(bench.keys.venue_order("BTCUSDT", "7"), name)
    await bench.redis.hset(bench.keys.order(name), "7:1", "1")
    snapshot = await read_snapshot(bench.redis, bench.keys, [item(trade(7, 1), TRADE_FORMAT)])
    assert snapshot.owners == {("BTCUSDT", "7"): name}
    assert snapshot.orders[name].seen == {"7:1"}


async def test_an_order_named_by_one_payload_and_mapped_by_another_is_read_once_for_both(bench: Bench) -> None:
    """The executions of both are marked."""
    terms = place(bench.account)
    await bench.publish(terms)
    name = client_order_id(terms, INFO.id_rule)
    await bench.redis.set(bench.keys.venue_order("BTCUSDT", "7"), name)
    await bench.redis.hset(bench.keys.order(name), mapping={"7:1": "1", "7:2": "1"})
    items = [item(execution(7, 1, name)), item(trade(7, 2), TRADE_FORMAT, "1-2"), item(status(7, name), entry="1-3")]
    snapshot = await read_snapshot(bench.redis, bench.keys, items)
    assert set(snapshot.orders) == {name}
    assert snapshot.orders[name].seen == {"7:1", "7:2"}


async def test_a_mapping_to_a_record_that_is_gone_owns_nothing(bench: Bench) -> None:
    """The execution is then parked, not applied to nobody."""
    await bench.redis.set(bench.keys.venue_order("BTCUSDT", "7"), "fo-gone")
    snapshot = await read_snapshot(bench.redis, bench.keys, [item(trade(7, 1), TRADE_FORMAT)])
    assert snapshot.orders == {}
    assert snapshot.positions == {}
