"""Waiting for an order by its receipt, on the real server: woken by the journal, answered by the record."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest
from redis.asyncio import Redis

from streams import BlockingIntentProducer, IntentProducer
from streams.connection import connect
from streams.schemas import Cancel, Order
from tests.flow import Bench, place
from tests.support import wait_until_async


@pytest.fixture
async def bench(redis: Redis, account: str) -> Bench:
    """An account with an open gate."""
    return await Bench(redis, account).open()


@pytest.fixture
async def client(redis_url: str) -> AsyncIterator[Redis]:
    """A producer's own client; a single connection, which a reader that blocks would hold."""
    made = connect(redis_url, name="watched")
    yield made
    await made.aclose()


async def following(bench: Bench) -> bool:
    """Whether somebody waits at the end of the journal."""
    return any(
        one["name"] == "watched" and one["cmd"] == "xread" and "b" in one["flags"]
        for one in await bench.redis.client_list()
    )


async def claim(bench: Bench) -> None:
    """Move the order on."""
    [entry] = await bench.read_intents()
    await bench.claim(entry, place(bench.account))


async def test_a_receipt_waits_until_the_order_stands_as_asked(bench: Bench, client: Redis) -> None:
    """The journal wakes it; the answer is the record."""
    terms = place(bench.account)
    receipt = await IntentProducer(client).place(terms)
    waiting = asyncio.create_task(receipt.wait(until="submitting", timeout=10))
    await wait_until_async(lambda: following(bench))
    assert not waiting.done()
    [entry] = await bench.read_intents()
    await bench.claim(entry, terms)
    order = await waiting
    assert order == await bench.order(receipt.client_order_id)
    assert order.status == "submitting"
    await wait_until_async(lambda: _nobody(bench))


async def _nobody(bench: Bench) -> bool:
    return not await following(bench)


async def test_what_has_happened_already_is_not_waited_for(bench: Bench, client: Redis) -> None:
    """Also for the receipt of a duplicate."""
    producer = IntentProducer(client)
    await producer.place(place(bench.account))
    receipt = await producer.place(place(bench.account))
    assert (await receipt.wait(until="created", timeout=10)).status == "created"


async def test_an_order_that_ended_otherwise_ends_the_wait(bench: Bench, client: Redis) -> None:
    """Nothing else will come: the caller looks at its status."""
    terms = place(bench.account)
    receipt = await IntentProducer(client).place(terms)
    waiting = asyncio.create_task(receipt.wait(until="filled", timeout=10))
    await wait_until_async(lambda: following(bench))
    [entry] = await bench.read_intents()
    await bench.claim(entry, terms, refusal='"off the grid"')
    order = await waiting
    assert (order.status, order.reason) == ("rejected", "off the grid")


async def test_a_wait_that_is_over_says_how_the_order_stands(bench: Bench, client: Redis) -> None:
    """It goes on all the same."""
    receipt = await IntentProducer(client).place(place(bench.account))
    with pytest.raises(TimeoutError, match=r"is created after 0\.2 s, not ended; it goes on all the same"):
        await receipt.wait(timeout=0.2)


async def test_many_wait_by_one_connection(bench: Bench, client: Redis) -> None:
    """Each for its own order."""
    producer = IntentProducer(client)
    intents = [place(bench.account, name) for name in ("a", "b", "c")]
    receipts = [await producer.place(one) for one in intents]
    waiting = [asyncio.create_task(one.wait(until="submitting", timeout=10)) for one in receipts]
    await wait_until_async(lambda: following(bench))
    for entry, terms in zip(await bench.read_intents(), intents, strict=True):
        await bench.claim(entry, terms)
    found: list[Order] = await asyncio.gather(*waiting)
    assert [one.client_order_id for one in found] == [one.client_order_id for one in receipts]


async def test_a_wait_outlives_a_lost_connection(bench: Bench, client: Redis) -> None:
    """What happened in between is found in the record."""
    terms = place(bench.account)
    receipt = await IntentProducer(client).place(terms)
    waiting = asyncio.create_task(receipt.wait(until="submitting", timeout=10))
    await wait_until_async(lambda: following(bench))
    for one in await bench.redis.client_list():
        if one["name"] == "watched":
            await bench.redis.client_kill_filter(_id=one["id"])
    [entry] = await bench.read_intents()
    await bench.claim(entry, terms)
    assert (await waiting).status == "submitting"


@pytest.fixture
def producer(redis_url: str) -> Iterator[BlockingIntentProducer]:
    """The twin without `await`."""
    with BlockingIntentProducer(redis_url) as made:
        yield made


async def test_a_script_publishes_waits_and_cancels_without_a_loop(
    bench: Bench, producer: BlockingIntentProducer
) -> None:
    """From a thread that has none, as in a notebook."""
    terms = place(bench.account)
    receipt = await asyncio.to_thread(producer.place, terms)
    again = await asyncio.to_thread(producer.publish, [terms])
    assert (receipt.duplicate, getattr(again[0], "duplicate", None)) == (False, True)
    order = await asyncio.to_thread(producer.wait, receipt, until="created", timeout=10)
    assert order.terms == terms
    cancel = Cancel(account=bench.account, client_order_id=receipt.client_order_id)
    assert (await asyncio.to_thread(producer.cancel, cancel)).order is None
    producer.close()
    producer.close()


async def test_a_notebook_publishes_and_waits_on_the_loop_that_runs_it(
    bench: Bench, producer: BlockingIntentProducer
) -> None:
    """A cell runs inside a loop, so nothing here may start another one on its thread or need this one to go round."""
    terms = place(bench.account)
    assert asyncio.get_running_loop().is_running()
    receipt = producer.place(terms)
    assert not receipt.duplicate
    assert producer.place(terms).duplicate
    assert producer.wait(receipt, until="created", timeout=10).terms == terms
    with pytest.raises(TimeoutError):
        producer.wait(receipt, until="ended", timeout=0.01)
