"""Entries delivered again to a gateway and a ledger that run: the known changes nothing, the missed is applied."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import orjson
from redis.asyncio import Redis

from adapters.binance.decode import STREAM_FORMAT, TRADE_FORMAT
from streams import codec, events
from streams.clock import SystemClock
from streams.evidence import append
from streams.identity import client_order_id
from streams.keys import GATEWAYS, LEDGERS
from streams.producer import publish_item
from streams.replay import Replayed, StreamName, replay
from streams.schemas import Evidence
from streams.verify import verify
from tests.flow import execution
from tests.pipeline import Pipeline, identities, pipeline, trade, venue_process

__all__ = ["pipeline", "venue_process"]

BOTH: tuple[StreamName, ...] = ("intents", "evidence")


async def again(pipeline: Pipeline, *streams: StreamName, start: str = "-", end: str = "+", **more: Any) -> Replayed:
    """Replay, and wait for nothing else."""
    return await replay(pipeline.redis, pipeline.keys, streams or BOTH, start, end, SystemClock(), **more)


async def lose(redis: Redis, stream: str, group: str, fields: Any) -> str:
    """Append an entry that nobody handles: read in the group and acknowledged by hand in the same transaction."""
    [last] = [row["last-generated-id"] for row in [await redis.xinfo_stream(stream)]]
    entry = f"{int(last.split(b'-')[0]) + 1}-0"
    pipe = redis.pipeline(transaction=True)
    pipe.xadd(stream, fields, id=entry)
    pipe.xreadgroup(group, "nobody", {stream: ">"})
    pipe.xack(stream, group, entry)
    _, read, acknowledged = await pipe.execute()
    assert [row[0].decode() for row in read[0][1]] == [entry]
    assert acknowledged == 1
    return entry


async def settled(pipeline: Pipeline) -> list[str]:
    """Two orders, one filled and one open, with everything acknowledged."""
    await pipeline.ledger()
    await pipeline.listener()
    await pipeline.gateway()
    await pipeline.house("SELL", 1)
    names = await pipeline.place(pipeline.terms(), pipeline.terms(price=Decimal(50)))
    await pipeline.status(names[0], "filled")
    await pipeline.status(names[1], "open")
    await pipeline.quiet()
    return names


async def execution_of(pipeline: Pipeline, name: str, trade_id: int) -> dict[str, Any]:
    """An execution of 0.4 of an order that stands open, as `evidence` has it."""
    order = await pipeline.order(name)
    [venue_id] = order.state.venue_order_ids
    raw = execution(int(venue_id), trade_id, name, s=pipeline.venue_symbol)
    evidence = Evidence(source="stream", format=STREAM_FORMAT, received_at_ns=1)
    return {"data": codec.encode(evidence), "raw": orjson.dumps(raw)}


async def test_a_second_delivery_of_everything_changes_nothing(pipeline: Pipeline) -> None:
    """All intents and all evidence again: as many duplicates as entries, the same state, the same venue orders."""
    names = await settled(pipeline)
    before = await verify(pipeline.redis, pipeline.keys)
    stored = await pipeline.redis.xlen(pipeline.keys.intents) + await pipeline.redis.xlen(pipeline.keys.evidence)
    shown: list[tuple[int, int]] = []
    found = await again(pipeline, show=lambda done, total: shown.append((done, total)))
    assert found == Replayed(read=stored, duplicates=stored, changes=0)
    assert sorted(identities(await pipeline.venue_orders())) == sorted(names)
    after = await verify(pipeline.redis, pipeline.keys)
    assert after.good
    assert after.stored == before.stored
    assert await pipeline.waiting() == 0
    assert len(shown) == 2
    assert shown[0][0] == 2  # two intents


async def test_an_execution_that_was_missed_is_applied_once_and_reported(pipeline: Pipeline) -> None:
    """Acknowledged by hand before any ledger read it: the replay applies and names it, the next one finds nothing."""
    _, name = await settled(pipeline)
    await lose(pipeline.redis, pipeline.keys.evidence, LEDGERS, await execution_of(pipeline, name, 9_001))
    assert (await pipeline.order(name)).state.filled == 0
    first = await again(pipeline, "evidence")
    assert (first.changes, first.changed, first.duplicates) == (1, (name,), first.read - 1)
    assert (await pipeline.order(name)).state.filled == Decimal("0.4")
    second = await again(pipeline, "evidence")
    assert (second.changes, second.duplicates) == (0, second.read)
    assert second.read == 2 * first.read
    assert (await verify(pipeline.redis, pipeline.keys)).good


async def test_a_missed_intent_is_sent_once_and_one_past_its_validity_expires(pipeline: Pipeline) -> None:
    """Two intents lost on their way to the gateway: replayed twice, one order at the venue, the other one expired."""
    await settled(pipeline)
    known = identities(await pipeline.venue_orders())
    old = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=2)
    lost = [pipeline.terms(price=Decimal(60)), pipeline.terms(signal_time=old)]
    fresh, late = (client_order_id(one, pipeline.info.id_rule) for one in lost)
    for one in lost:
        data = publish_item(one, pipeline.info).data
        await lose(pipeline.redis, pipeline.keys.intents, GATEWAYS, {"data": data})
    found = await again(pipeline, "intents")
    assert (found.changes, found.changed) == (2, tuple(sorted([fresh, late])))
    await pipeline.status(fresh, "open")
    assert (await pipeline.order(late)).status == "expired"
    assert (await again(pipeline, "intents")).changes == 0
    assert sorted(identities(await pipeline.venue_orders())) == sorted([*known, fresh])


async def test_only_what_lies_between_the_two_ids_is_delivered(pipeline: Pipeline) -> None:
    """Both ends are included, an end past the last entry is the last entry, and an empty span delivers nothing."""
    await settled(pipeline)
    rows: Any = await pipeline.redis.xrange(pipeline.keys.evidence)
    ids = [entry.decode() for entry, _ in rows]
    assert (await again(pipeline, "evidence", start=ids[1], end=ids[2])).read == 2
    assert (await again(pipeline, "evidence", start=ids[-1], end="99999999999999")).read == 1 + 2
    assert (await again(pipeline, "evidence", start="99999999999999")).read == 0
    copied: Any = await pipeline.redis.xrange(pipeline.keys.evidence, min=f"({ids[-1]}")
    assert [fields for _, fields in copied[:2]] == [fields for _, fields in rows[1:3]]


async def test_a_parked_execution_delivered_again_is_parked_once(pipeline: Pipeline) -> None:
    """Nobody knows its order: the copy is recognised in the parked set and changes nothing."""
    await settled(pipeline)
    row = {**trade(999_999, 1), "symbol": pipeline.venue_symbol}
    evidence = Evidence(source="stream", format=TRADE_FORMAT, received_at_ns=1)
    start = (await append(pipeline.redis, pipeline.keys, [(evidence, orjson.dumps(row))]))[0]
    await pipeline.until(pipeline.store.parked)
    found = await again(pipeline, "evidence", start=start)
    assert found == Replayed(read=1, duplicates=1, changes=0)
    assert sum(isinstance(one, events.Parked) for one in await pipeline.journal()) == 1
