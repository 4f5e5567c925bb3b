"""No blind re-sends: a call whose answer was lost is sent once, and repeating it finds what it did.

The answer is cut by a proxy on real sockets after the server has run the call. The server cannot tell a cut answer
from one that was read, so what stands after the first call is the state of an undisturbed run.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import hiredis
import pytest
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError

from streams.codec import decode_intent
from streams.connection import connect
from streams.errors import StoreUnreachable
from streams.identity import client_order_id
from streams.keys import AccountKeys
from streams.producer import CHUNK, IntentProducer, Receipt
from streams.schemas import Place
from streams.script_loader import NAMES, load
from streams.scripts import Scripts
from streams.verify import verify
from tests.flow import INFO, Bench, place
from tests.proxy import LOOPBACK, Proxy
from tests.resends import CASES, Case

XADD = b"\r\nXADD\r\n"


@pytest.fixture
async def proxy(redis: Redis, redis_url: str) -> AsyncIterator[Proxy]:
    """A way to the server, which knows every script already."""
    for name in NAMES:
        await redis.script_load(load(name).text)
    async with Proxy.redis(redis_url) as made:
        yield made


@asynccontextmanager
async def client(url: str, *, single: bool = True) -> AsyncIterator[Redis]:
    """A connection as every role has it."""
    made = connect(url, name="test", single=single)
    try:
        yield made
    finally:
        await made.aclose()


async def signals(redis: Redis, stream: str) -> list[str]:
    """Signal ids of the places in a stream, oldest first."""
    rows: Any = await redis.xrange(stream)
    places = [decode_intent(fields[b"data"]) for _, fields in rows]
    return [one.signal_id for one in places if isinstance(one, Place)]


def test_every_script_has_its_answer_cut() -> None:
    """No script is left out of the cases."""
    assert {case.script for case in CASES.values()} == set(NAMES)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
async def test_a_call_whose_answer_was_cut_is_sent_once_and_repeating_it_changes_nothing(
    case: Case, redis: Redis, account: str, proxy: Proxy
) -> None:
    """One error, one EVALSHA; the same call on a new connection gets the first answer and leaves all as it is."""
    bench = await Bench(redis, account).open()
    run, sha = await case.prepare(bench), load(case.script).sha.encode()
    proxy.cut_answer(sha)
    async with client(proxy.url) as first:
        with pytest.raises(StoreUnreachable):
            await run(Scripts(first, bench.keys))
    assert proxy.count(sha) == len([one for one in proxy.seen if sha in one]) == 1
    once = await _dump(redis, bench.keys, case.moving)
    async with client(proxy.url) as second:
        await run(Scripts(second, bench.keys))
    assert proxy.count(sha) == 2
    first_answer, second_answer = _parsed(proxy.swallowed[0]), _parsed(proxy.answers[-1])
    assert await _dump(redis, bench.keys, case.moving) == once
    assert case.same(first_answer, second_answer), (first_answer, second_answer)
    assert (await verify(redis, bench.keys)).good


async def test_a_client_with_its_default_retries_sends_a_command_twice(
    redis: Redis, account: str, proxy: Proxy
) -> None:
    """Why the project's connections have none: redis-py repeats an XADD that the server has already done."""
    stream = AccountKeys(account).intents
    careless = Redis(host=LOOPBACK, port=proxy.port, db=redis.connection_pool.connection_kwargs.get("db", 0))
    proxy.cut_answer(XADD)
    await careless.xadd(stream, {"data": "once"})
    await careless.aclose()
    assert await redis.xlen(stream) == proxy.count(XADD) == 2


@pytest.mark.parametrize("single", [True, False])
async def test_our_connections_send_a_command_once(redis: Redis, account: str, proxy: Proxy, *, single: bool) -> None:
    """The same XADD: one error for the caller, one entry in the stream."""
    stream = AccountKeys(account).intents
    proxy.cut_answer(XADD)
    async with client(proxy.url, single=single) as ours:
        with pytest.raises(RedisConnectionError):
            await ours.xadd(stream, {"data": "once"})
    assert await redis.xlen(stream) == proxy.count(XADD) == 1


async def test_a_command_whose_connection_was_cut_before_it_is_not_sent_again(
    redis: Redis, account: str, proxy: Proxy
) -> None:
    """The client cannot know that it never arrived, so it does not try; repeating is the caller's decision."""
    stream = AccountKeys(account).intents
    proxy.drop(XADD)
    async with client(proxy.url) as ours:
        with pytest.raises(RedisConnectionError):
            await ours.xadd(stream, {"data": "once"})
    assert await redis.xlen(stream) == proxy.count(XADD) == 0


@pytest.mark.parametrize("single", [True, False])
async def test_a_producer_whose_answer_was_cut_gets_its_first_answer_by_itself(
    redis: Redis, account: str, proxy: Proxy, *, single: bool
) -> None:
    """It repeats the same call: not a duplicate, one entry, two EVALSHA."""
    bench, sha = await Bench(redis, account).open(), load("publish").sha.encode()
    async with client(proxy.url, single=single) as ours:
        proxy.cut_answer(sha)
        receipt = await IntentProducer(ours).place(place(account))
    assert (receipt.duplicate, proxy.count(sha)) == (False, 2)
    assert await redis.xlen(bench.keys.intents) == 1


@pytest.mark.parametrize("cut", [1, 2, 5], ids=lambda one: f"after {one}")
async def test_many_intents_of_which_some_answers_were_cut_are_published_once_each_in_order(
    redis: Redis, account: str, proxy: Proxy, *, cut: int
) -> None:
    """What was sent behind the lost answer may be done: all of it is asked for again, and none is a duplicate."""
    bench, sha = await Bench(redis, account).open(), load("publish").sha.encode()
    intents = [place(account, f"s{number}") for number in range(6 * CHUNK + 5)]
    async with client(proxy.url) as ours:
        producer = IntentProducer(ours, timeout_ms=20_000)
        await producer.place(place(account, "warm"))
        proxy.cut_answer(client_order_id(intents[cut * CHUNK], INFO.id_rule).encode())
        found = await producer.publish(intents)
    assert [one.client_order_id for one in found if isinstance(one, Receipt) and not one.duplicate] == [
        client_order_id(one, INFO.id_rule) for one in intents
    ]
    assert proxy.count(sha) > 8
    assert await signals(redis, bench.keys.intents) == ["warm", *(one.signal_id for one in intents)]
    assert (await verify(redis, bench.keys)).good


async def test_many_intents_are_published_in_order_by_a_server_that_forgot_the_script(
    redis: Redis, redis_url: str, account: str
) -> None:
    """What is sent ahead is refused; then each batch is called by itself until the server knows the script again."""
    bench = await Bench(redis, account).open()
    intents = [place(account, f"s{number}") for number in range(4 * CHUNK)]
    async with client(redis_url) as ours:
        producer = IntentProducer(ours, timeout_ms=20_000)
        await producer.place(place(account, "warm"))
        await redis.script_flush()
        found = await producer.publish(intents)
    assert all(isinstance(one, Receipt) and not one.duplicate for one in found)
    assert await signals(redis, bench.keys.intents) == ["warm", *(one.signal_id for one in intents)]


@pytest.mark.parametrize("single", [True, False])
async def test_an_answer_nobody_waits_for_is_never_taken_for_the_next_one(
    redis: Redis, account: str, proxy: Proxy, *, single: bool
) -> None:
    """A publish is given up while its request is held; the next intent on that client gets its own answer."""
    bench, sha = await Bench(redis, account).open(), load("publish").sha.encode()
    async with client(proxy.url, single=single) as ours:
        producer, held = IntentProducer(ours), proxy.hold(sha)
        given_up = asyncio.create_task(producer.place(place(account, "given up")))
        await held.arrived.wait()
        given_up.cancel()
        await asyncio.wait([given_up])
        held.release()
        await held.delivered.wait()
        receipt = await producer.place(place(account, "wanted"))
    assert receipt.order is not None
    assert receipt.order.terms is not None
    assert receipt.order.terms.signal_id == "wanted"
    assert (await bench.order(receipt.client_order_id)).entry == receipt.order.entry


def _parsed(answer: bytes) -> Any:
    reader = hiredis.Reader()
    reader.feed(answer)
    return reader.gets()


async def _dump(redis: Redis, keys: AccountKeys, moving: frozenset[str]) -> dict[str, Any]:
    """Everything stored under an account but how long leases still run and what a repeat may move on."""
    prefix = keys.intents.removesuffix("intents")
    pattern = prefix.replace("[", "\\[")
    found: dict[str, Any] = {}
    for key in sorted([one.decode() async for one in redis.scan_iter(match=f"{pattern}*", count=1_000)]):
        found[key.removeprefix(prefix)] = await _value(redis, key)
    for lease in (b"ledger_until", b"stream_until"):
        found.get("control", {}).pop(lease, None)
    return {key: value for key, value in found.items() if key not in moving}


async def _value(redis: Any, key: str) -> Any:
    match await redis.type(key):
        case b"hash":
            return await redis.hgetall(key)
        case b"zset":
            return await redis.zrange(key, 0, -1, withscores=True)
        case b"set":
            return await redis.smembers(key)
        case b"string":
            return await redis.get(key)
        case b"stream":
            return await redis.xrange(key), await _groups(redis, key)
        case kind:
            raise AssertionError(f"{key} is a {kind!r}")


async def _groups(redis: Any, key: str) -> list[Any]:
    """Who has read how far, and what is pending with whom, how often delivered."""
    found = []
    for group in await redis.xinfo_groups(key):
        rows = await redis.xpending_range(key, group["name"], min="-", max="+", count=1_000)
        pending = [(row["message_id"], row["consumer"], row["times_delivered"]) for row in rows]
        found.append((group["name"], group["last-delivered-id"], pending))
    return found
