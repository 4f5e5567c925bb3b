"""Local memory is bound to the server's history: when that is another, every process forgets all it remembered (R5)."""

from typing import Any

import pytest
from redis.asyncio import Redis

from adapters.binance.decode import STREAM_FORMAT, decode
from consumers.folding import Rules
from consumers.ledger import Ledger, LedgerSettings
from streams.errors import StoreError
from streams.producer import IntentProducer, publish_item
from tests.flow import LEASE_MS, Bench, execution, place
from tests.pipeline import Pipeline


@pytest.fixture
async def bench(redis: Redis, account: str) -> Bench:
    """An account with an open gate."""
    return await Bench(redis, account).open()


async def test_a_gateway_forgets_the_orders_it_knew(pipeline: Pipeline) -> None:
    """It meets the change at its next claim; nothing is served from before."""
    data = publish_item(pipeline.terms(), pipeline.info).data
    for _ in range(2):  # the second copy finds the first one's order, and is remembered
        await pipeline.redis.xadd(pipeline.keys.intents, {"data": data})
    gateway = await pipeline.gateway()
    await pipeline.until(lambda: len(gateway.known) == 1)
    await pipeline.redis.hset(pipeline.keys.control, "history", "another")
    other = publish_item(pipeline.terms(), pipeline.info)
    await pipeline.redis.xadd(pipeline.keys.intents, {"data": other.data})
    await pipeline.until(lambda: gateway.known.counters.drops == 1)
    assert len(gateway.known) == 0


async def test_a_ledger_forgets_payloads_orders_and_positions(bench: Bench) -> None:
    """It stands by, and reads all of it when it leads again."""
    _, claim = await bench.claimed(place(bench.account))
    name, ledger = claim.order.client_order_id, _ledger(bench)
    await bench.say(execution(7, 1, name), form=STREAM_FORMAT)
    await ledger.run(burst=True)
    assert (len(ledger.memory.cache), len(ledger.known.orders), len(ledger.known.positions)) == (1, 1, 1)
    await bench.say(execution(7, 2, name, z="0.8"), form=STREAM_FORMAT)
    history: Any = await bench.redis.hget(bench.keys.control, "history")
    assert await ledger._take_lease()
    await bench.redis.hset(bench.keys.control, "history", "another")
    assert not await ledger._lead(burst=True)
    assert (len(ledger.memory.cache), len(ledger.known.orders), len(ledger.known.positions)) == (0, 0, 0)
    assert ledger.memory.cache.counters.drops == ledger.known.counters.drops == 1
    await bench.redis.hset(bench.keys.control, "history", history)
    await ledger.run(burst=True)
    assert str((await bench.order(name)).state.filled) == "0.8"


async def test_a_producer_forgets_its_answers(bench: Bench) -> None:
    """Its next call meets a gate that was opened anew, and then a server that was left: no older answer is kept."""
    producer, terms = IntentProducer(bench.redis, timeout_ms=5_000), place(bench.account)
    await producer.place(terms)
    left: Any = await bench.redis.hgetall(bench.keys.control)
    await bench.redis.hdel(bench.keys.control, "history")
    await bench.open()
    await producer.place(place(bench.account, "elsewhere"))
    assert producer.remembered(terms) is None
    assert (len(producer.answers), producer.answers.counters.drops) == (1, 1)
    await bench.redis.hset(bench.keys.control, mapping=left)
    producer._timeout_ms = 200
    with pytest.raises(StoreError):
        await producer.place(place(bench.account, "next"))
    assert (len(producer.answers), producer.answers.counters.drops) == (0, 2)


def _ledger(bench: Bench) -> Ledger:
    rules = Rules(resubmission_allowed=True, calm_ms=30_000)
    return Ledger(
        redis=bench.redis, reader=bench.ledger_reader(), keys=bench.keys, decode=decode,
        settings=LedgerSettings(holder="test", lease_ms=LEASE_MS, rules=rules), clock=bench.clock,
    )  # fmt: skip
