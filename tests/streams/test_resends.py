"""No blind re-sends: a call whose answer was lost is sent once, and repeating it finds what it did.

The answer is cut by a proxy on real sockets after the server has run the call. The server cannot tell a cut answer
from one that was read, so what stands after the first call is the state of an undisturbed run.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any, NamedTuple

import hiredis
import pytest
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError

from adapters.binance.decode import STREAM_FORMAT, decode
from consumers.folding import Folded, Rules, fold_batch
from consumers.interpret import Item, interpret
from consumers.snapshot import read_snapshot
from streams.connection import connect
from streams.errors import StoreUnreachable
from streams.keys import GATEWAYS, LEDGERS
from streams.producer import IntentProducer, publish_item
from streams.schemas import Accepted, Cancel, Order
from streams.script_loader import NAMES, load
from streams.scripts import Claimed, Known, Scripts
from streams.verify import verify
from tests.flow import INFO, LEASE_MS, LOOK_MS, WINDOW_MS, Bench, execution, place, soon, status
from tests.proxy import Proxy

QUARANTINED = b'{"kind":"quarantined","id":"q","stream":"intents","entry":"1-1","reason":"why"}'

Call = Callable[[Scripts], Awaitable[Any]]


class Case(NamedTuple):
    """One script in one situation.

    Attributes:
        script: which one.
        prepare: makes the situation and gives the call.
        same: whether the second answer is the first one again; `None` is equality.
        moving: keys whose times a repeat moves on, by the last part of their names.
    """

    script: str
    prepare: Callable[[Bench], Awaitable[Call]]
    same: Callable[[Any, Any], bool] | None = None
    moving: frozenset[str] = frozenset()


def but_the_time(first: Any, again: Any) -> bool:
    """The server's time leads the answer; everything behind it is the same."""
    return bool(first[1:] == again[1:])


async def _publish(bench: Bench) -> Call:
    items = [publish_item(place(bench.account, signal_id), INFO) for signal_id in ("s1", "s2")]
    return lambda scripts: scripts.publish(items, "call-1", LOOK_MS)


async def _publish_known(bench: Bench) -> Call:
    terms = place(bench.account)
    await bench.publish(terms)
    return lambda scripts: scripts.publish([publish_item(terms, INFO)], "call-2", LOOK_MS)


async def _publish_conflict(bench: Bench) -> Call:
    await bench.publish(place(bench.account))
    other = publish_item(place(bench.account, price=Decimal(50_001)), INFO)
    return lambda scripts: scripts.publish([other], "call-2", LOOK_MS)


async def _publish_cancel(bench: Bench) -> Call:
    item = publish_item(Cancel(account=bench.account, strategy="test", signal_id="s1"), INFO)
    return lambda scripts: scripts.publish([item], "call-1", LOOK_MS)


def _claim_of(bench: Bench, entry: str, terms: Any, **changes: Any) -> Call:
    item = bench.claim_item(entry, terms, **{"token": "mine", **changes})
    return lambda scripts: scripts.claim([item], "gateway.0", WINDOW_MS, LOOK_MS)


async def _claim(bench: Bench) -> Call:
    await bench.publish(terms := place(bench.account))
    [entry] = await bench.read_intents()
    return _claim_of(bench, entry.id, terms)


async def _claim_bare(bench: Bench) -> Call:
    terms = place(bench.account)
    await bench.redis.xadd(bench.keys.intents, {"data": publish_item(terms, INFO).data})
    [entry] = await bench.read_intents()
    return _claim_of(bench, entry.id, terms)


async def _claim_expired(bench: Bench) -> Call:
    await bench.publish(terms := place(bench.account, signal_time=soon(-100), valid_until=soon(-1)))
    [entry] = await bench.read_intents()
    return _claim_of(bench, entry.id, terms)


async def _claim_refused(bench: Bench) -> Call:
    await bench.publish(terms := place(bench.account))
    [entry] = await bench.read_intents()
    return _claim_of(bench, entry.id, terms, refusal='"a limit forbids it"')


async def _claim_past_its_window(bench: Bench) -> Call:
    terms = place(bench.account)
    entry, claim = await bench.claimed(terms)
    await bench.redis.hset(bench.keys.order(claim.order.client_order_id), "send_by", "1")
    return _claim_of(bench, entry.id, terms)


async def _cancel_of(bench: Bench, order: Order | None = None) -> Call:
    """Claim a cancel of the order that `place` makes, whatever became of it."""
    intent = Cancel(account=bench.account, strategy="test", signal_id="s1")
    await bench.redis.xadd(bench.keys.intents, {"data": publish_item(intent, INFO).data})
    entry = (await bench.read_intents("gateway.1"))[-1]
    return _claim_of(bench, entry.id, order.terms if order else place(bench.account), command="cancel", token="cancel")


async def _cancel_created(bench: Bench) -> Call:
    await bench.publish(place(bench.account))
    return await _cancel_of(bench)


async def _cancel_in_flight(bench: Bench) -> Call:
    _, claim = await bench.claimed(place(bench.account))
    return await _cancel_of(bench, claim.order)


async def _cancel_open(bench: Bench) -> Call:
    return await _cancel_of(bench, await _opened(bench))


def _settle_of(claim: Order, entry: str, token: str, command: str = "place") -> Call:
    return lambda scripts: scripts.settle(
        client_order_id=claim.client_order_id, entry=entry, token=token, command=command, evidence=b"{}", raw=b"raw"
    )


async def _settle(bench: Bench) -> Call:
    entry, claim = await bench.claimed(place(bench.account))
    return _settle_of(claim.order, entry.id, claim.order.token)


async def _settle_cancel(bench: Bench) -> Call:
    order = await _opened(bench)
    await (await _cancel_of(bench, order))(bench.scripts)
    rows: Any = await bench.redis.xrevrange(bench.keys.intents, count=1)
    return _settle_of(order, rows[0][0].decode(), "cancel", "cancel")


async def _settle_stray(bench: Bench) -> Call:
    entry, claim = await bench.claimed(place(bench.account))
    return _settle_of(claim.order, entry.id, "another")


async def _settle_under_another_history(bench: Bench) -> Call:
    entry, claim = await bench.claimed(place(bench.account))
    await bench.redis.hset(bench.keys.control, "history", "another")
    return _settle_of(claim.order, entry.id, claim.order.token)


async def _commit(bench: Bench) -> Call:
    _, claim = await bench.claimed(place(bench.account))
    name = claim.order.client_order_id
    await bench.say(status(7, name), form=STREAM_FORMAT)
    await bench.say(execution(7, 1, name), form=STREAM_FORMAT)
    folded, epoch = await _folded(bench)
    return lambda scripts: scripts.commit(folded.commit, epoch, LEASE_MS)


async def _commit_passed(bench: Bench) -> Call:
    await bench.say(status(7, "of-another-system"), form=STREAM_FORMAT)
    folded, epoch = await _folded(bench)
    return lambda scripts: scripts.commit(folded.commit, epoch, LEASE_MS)


def written_before(first: Any, again: Any) -> bool:
    """The contract's own words: 2 is `was written by this very commit before`."""
    return bool(again == [[verdict and 2 for verdict in first[0]], first[1]])


async def _park(bench: Bench) -> Call:
    await bench.say(execution(7, 1, "web_of_another"), form=STREAM_FORMAT)
    folded, epoch = await _folded(bench)
    [plan] = folded.parks
    return lambda scripts: scripts.park(plan, epoch, LEASE_MS)


async def _quarantine(bench: Bench) -> Call:
    await bench.redis.xadd(bench.keys.intents, {"data": b"\xff not json"})
    [entry] = await bench.read_intents()
    return lambda scripts: scripts.quarantine(
        stream=bench.keys.intents, group=GATEWAYS, entry=entry.id, reason=b'"why"', raw=b"\xff", change=QUARANTINED
    )


def dealt_with_before(first: Any, again: Any) -> bool:
    """A quarantined entry is pending no more, and that is what the second call is told."""
    return bool(first[0] == b"quarantined" and again == [b"gone", b""])


def _sweep_of(order: str) -> Call:
    return lambda scripts: scripts.sweep([order], 30_000, 100, 5_000)


async def _sweep_lost_entry(bench: Bench) -> Call:
    [published] = await bench.publish(place(bench.account))
    await bench.read_intents()
    await bench.redis.xack(bench.keys.intents, GATEWAYS, published.entry)
    rows: Any = await bench.redis.zrange(bench.keys.live, 0, -1)
    return _sweep_of(rows[0].decode())


async def _sweep_past_its_window(bench: Bench) -> Call:
    _, claim = await bench.claimed(place(bench.account))
    await bench.redis.hset(bench.keys.order(claim.order.client_order_id), "send_by", "1")
    return _sweep_of(claim.order.client_order_id)


async def _sweep_open(bench: Bench) -> Call:
    return _sweep_of((await _opened(bench)).client_order_id)


async def _sweep_cancel_again(bench: Bench) -> Call:
    name = (await _opened(bench)).client_order_id
    await bench.redis.hset(bench.keys.order(name), "cancel", "1")
    await bench.redis.zadd(bench.keys.live, {name: 0})
    return _sweep_of(name)


async def _take(_: Bench) -> Call:
    return lambda scripts: scripts.lease("take", "ledger-a", 60_000)


async def _release(bench: Bench) -> Call:
    await bench.scripts.lease("take", "ledger-a", 60_000)
    return lambda scripts: scripts.lease("release", "ledger-a", 60_000)


async def _gate(bench: Bench) -> Call:
    await bench.redis.hdel(bench.keys.control, "history")
    _, history, _ = await bench.scripts.gate()
    return lambda scripts: scripts.gate(history)


async def _folded(bench: Bench) -> tuple[Folded, int]:
    """What a ledger would commit of all evidence so far, and its epoch."""
    lease = await bench.scripts.lease("take", "ledger", 60_000)
    entries = [entry async for batch in bench.ledger_reader().batches(burst=True) for entry in batch]
    items = [item for item in (interpret(entry, decode) for entry in entries) if isinstance(item, Item)]
    assert len(items) == len(entries)
    snapshot = await read_snapshot(bench.redis, bench.keys, items)
    return fold_batch(items, snapshot, Rules(resubmission_allowed=True, calm_ms=30_000), bench.keys), lease.epoch


async def _opened(bench: Bench) -> Order:
    """An order that rests at the venue."""
    entry, claim = await bench.claimed(place(bench.account))
    await bench.say(status(7, claim.order.client_order_id), form=STREAM_FORMAT)
    await bench.say(outcome=Accepted("7"), order=claim.order)
    folded, epoch = await _folded(bench)
    await bench.scripts.commit(folded.commit, epoch, 60_000)
    await bench.redis.xack(bench.keys.intents, GATEWAYS, entry.id)
    order = await bench.order(claim.order.client_order_id)
    assert order.status == "open"
    return order
