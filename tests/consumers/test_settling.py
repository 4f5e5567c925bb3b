"""Answers are settled one by one while they are few, together while the server is busy with one."""

import asyncio
from typing import Any

from adapters.venue import Answer
from consumers.settling import Settler
from streams.clock import SystemClock
from streams.connection import connect
from streams.keys import GATEWAYS
from streams.plans import Claimed, ClaimItem
from streams.schemas import Accepted
from streams.script_loader import load
from streams.scripts import Scripts
from tests.flow import Bench, place
from tests.proxy import Proxy


async def _claimed(bench: Bench, count: int) -> list[ClaimItem]:
    """Claimed orders, as a gateway has them in hand."""
    intents = [place(bench.account, signal_id=f"s{number}") for number in range(count)]
    await bench.publish(*intents)
    items = []
    for entry, terms in zip(await bench.read_intents(), intents, strict=True):
        claim = await bench.claim(entry, terms)
        assert isinstance(claim, Claimed)
        items.append(bench.claim_item(entry.id, terms, token=claim.order.token))
    return items


async def test_answers_that_come_while_one_is_settled_are_settled_by_one_call(bench: Bench, redis_url: str) -> None:
    """The first goes alone and at once; each of the others has its evidence and its own verdict."""
    items = await _claimed(bench, 4)
    await bench.redis.hset(bench.keys.order(items[2].client_order_id), "token", "another")
    await bench.redis.script_load(load("settle").text)
    async with Proxy.redis(redis_url) as proxy, connect(proxy.url, name="settles") as redis:
        settler = Settler(Scripts(redis, bench.keys), SystemClock())
        held = proxy.hold(items[0].entry.encode())
        answers = [Answer(Accepted(), "form", f"raw {number} é".encode()) for number in range(4)]
        first = asyncio.create_task(settler.settle(items[0], answers[0]))
        await held.arrived.wait()
        others = [asyncio.create_task(settler.settle(*one)) for one in zip(items[1:], answers[1:], strict=True)]
        held.release()
        assert await asyncio.gather(first, *others) == [True, True, False, True]
        assert proxy.count(load("settle").sha.encode()) == 2
    rows: Any = await bench.redis.xrange(bench.keys.evidence)
    assert [fields[b"raw"] for _, fields in rows] == [answer.raw for answer in answers]
    assert await bench.pending(bench.keys.intents, GATEWAYS) == 1


async def test_answers_that_redis_did_not_take_are_settled_together_later(bench: Bench, redis_url: str) -> None:
    """Each of those that shared the lost call is told again, once."""
    items = await _claimed(bench, 3)
    async with Proxy.redis(redis_url) as proxy, connect(proxy.url, name="settles") as redis:
        settler = Settler(Scripts(redis, bench.keys), SystemClock())
        proxy.drop(items[1].entry.encode())
        answers = [Answer(Accepted(), "form", b"raw")] * 3
        assert await asyncio.gather(*map(settler.settle, items, answers)) == [True] * 3
    assert await bench.redis.xlen(bench.keys.evidence) == 3
    assert await bench.pending(bench.keys.intents, GATEWAYS) == 0
