"""What always holds about fills: each counted once or waiting visibly, and sums right in every state a reader sees."""

import asyncio
from decimal import Decimal
from functools import partial
from typing import Any

import msgspec

from adapters.simulated.faults import Faults
from streams import codec, events
from streams.schemas import Cancel, Execution, OrderState
from tests.pipeline import Pipeline


async def test_an_execution_that_comes_by_answer_stream_and_backfill_counts_once(pipeline: Pipeline) -> None:
    """Invariant 2: FULL answers with fills, every frame twice, and a backfill of everything on top."""
    await pipeline.control.set_faults(Faults(duplicated_execution=1.0))
    await pipeline.all_roles()
    for price in (98, 99, 100):
        await pipeline.house("SELL", 4, price)
    await pipeline.place(*(pipeline.terms(type="market") for _ in range(6)))
    await pipeline.place(*(pipeline.terms(quantity=Decimal("1.5")) for _ in range(4)))
    await pipeline.quiet()
    await pipeline.control.cut_streams(pipeline.book)
    await pipeline.listener()  # a second one: it fetches everything again
    await pipeline.agreed()
    found = await pipeline.audit()
    assert found.venue_fills == found.fills_applied >= 10


async def test_an_execution_of_no_known_order_waits_visibly(pipeline: Pipeline) -> None:
    """Invariant 2: it is parked, listed, in the journal, and moves nothing."""
    from streams.evidence import append
    from streams.schemas import Evidence
    from tests.pipeline import trade

    await pipeline.ledger()
    row = codec.encode({**trade(77, 5), "symbol": pipeline.venue_symbol})
    await append(
        pipeline.redis, pipeline.keys, [(Evidence(source="backfill", received_at_ns=1, format="binance.trade"), row)]
    )
    await pipeline.until(pipeline.store.parked)
    assert [one[:2] for one in await pipeline.store.parked()] == [(f"{pipeline.venue_symbol}:77", 1)]
    assert [type(one) for one in await pipeline.journal()].count(events.Parked) == 1
    assert await pipeline.store.positions() == {}


async def _has_applied(pipeline: Pipeline, count: int) -> bool:
    return len(await pipeline.applied()) >= count


async def test_filled_is_the_sum_of_applied_fills_in_every_state_a_reader_sees(pipeline: Pipeline) -> None:
    """Invariant 3: records and positions are read all the time while orders trade, and every reading adds up."""
    await pipeline.all_roles()
    names = await pipeline.place(*(pipeline.terms(quantity=Decimal(2)) for _ in range(8)))
    for name in names:
        await pipeline.status(name, "open")
    records: list[Any] = []
    positions: list[Decimal] = []
    trading = True

    async def watch() -> None:
        while trading:
            records.extend([await pipeline.redis.hgetall(pipeline.keys.order(name)) for name in names])
            state = await pipeline.redis.hget(pipeline.keys.position(pipeline.symbol), "state")
            positions.append(Decimal(msgspec.json.decode(state).get("quantity", "0")) if state else Decimal(0))

    watching = asyncio.create_task(watch())
    for number in range(1, 13):
        await pipeline.house("SELL", "0.5")
        await pipeline.until(partial(_has_applied, pipeline, number))
    await pipeline.publish(*(Cancel(account=pipeline.account, client_order_id=name) for name in names))
    await pipeline.quiet()
    trading = False
    await watching
    quantities = {fact.execution_id: fact.quantity for _, fact in await pipeline.applied()}
    sums = set()
    for record in records:
        state = msgspec.json.decode(record[b"state"], type=OrderState)
        applied = [quantities[field.decode()] for field in record if field.decode() in quantities]
        assert state.filled == sum(applied, Decimal(0))
        assert state.filled <= 2
        sums.add(state.filled)
    assert len(sums) > 2  # it did watch orders on their way
    told = {Decimal(0), *(Decimal(one) for one in await _told(pipeline))}
    assert set(positions) <= told
    await pipeline.agreed()


async def _told(pipeline: Pipeline) -> list[str]:
    """Every quantity the position had, as the journal tells it, checked against its own fills."""
    found, total = list[str](), Decimal(0)
    for change in await pipeline.journal():
        if isinstance(change, events.Updated) and change.position:
            for fact in change.facts:
                if isinstance(fact, Execution):
                    total += fact.quantity - (fact.fee or 0 if fact.fee_asset == pipeline.base else 0)
            found.append(change.position_quantity)
    assert Decimal(found[-1]) == total
    return found


async def test_a_payload_is_stored_before_it_counts_and_acknowledged_by_what_used_it(pipeline: Pipeline) -> None:
    """Invariant 4: every applied fact names an entry that holds the venue's bytes; nothing is left pending."""
    await pipeline.house("SELL", 3)
    await pipeline.all_roles()
    await pipeline.place(*(pipeline.terms() for _ in range(3)))
    await pipeline.quiet()
    rows: Any = await pipeline.redis.xrange(pipeline.keys.evidence)
    stored = {entry.decode(): fields for entry, fields in rows}
    updates = [one for one in await pipeline.journal() if isinstance(one, events.Updated)]
    assert updates
    for one in updates:
        assert one.evidence
        assert all(stored[entry].get(b"raw") for entry in one.evidence)
