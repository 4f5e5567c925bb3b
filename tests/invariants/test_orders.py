"""What always holds about orders: one intent, at most one order, in every way it can be sent again."""

import asyncio
from decimal import Decimal
from typing import Any

import pytest

from streams import codec, events
from streams.errors import IntentConflict
from streams.evidence import append
from streams.keys import GATEWAYS
from streams.producer import IntentProducer, publish_item
from streams.schemas import Absent, Command, Evidence, NotSent, Refused
from tests.flow import execution, soon, status
from tests.pipeline import Pipeline, Proxy, identities


async def test_duplicate_signals_of_several_producers_make_one_order_each(pipeline: Pipeline) -> None:
    """Invariant 1: four producers publish the same twenty signals, while three gateways compete for them."""
    await pipeline.all_roles(gateways=3)
    intents = [pipeline.terms() for _ in range(20)]
    producers = [IntentProducer(pipeline.redis, timeout_ms=10_000) for _ in range(4)]
    await asyncio.gather(*(producer.publish([one]) for one in intents for producer in producers))
    await pipeline.quiet()
    found = identities(await pipeline.venue_orders())
    assert len(found) == len(set(found)) == len(intents)


async def test_redelivered_and_copied_entries_make_no_second_order(pipeline: Pipeline) -> None:
    """Invariant 1: every entry twice by bare XADD, and the whole group set back to the first entry."""
    await pipeline.all_roles()
    intents = [pipeline.terms() for _ in range(10)]
    for one in (*intents, *intents):
        await pipeline.redis.xadd(pipeline.keys.intents, {"data": publish_item(one, pipeline.info).data})
    await pipeline.quiet()
    await pipeline.redis.xgroup_setid(pipeline.keys.intents, GATEWAYS, "0")
    await pipeline.quiet()
    found = identities(await pipeline.venue_orders())
    assert len(found) == len(set(found)) == len(intents)


async def test_gateways_that_die_one_after_the_other_make_no_second_order(pipeline: Pipeline) -> None:
    """Invariant 1: each is cancelled with its requests out, between claim and settle; the next one takes over."""
    async with Proxy(pipeline.process.rest_url) as proxy:
        slow = await pipeline.venue(rest_url=proxy.url)
        await pipeline.ledger()
        await pipeline.resolver(window_ms=300)
        names: list[str] = []
        for index in range(3):
            proxy.hold.clear()
            wanted = proxy.held + 3
            gateway = await pipeline.gateway(index, venue=slow, window_ms=300, claim_idle_ms=400)
            names += await pipeline.place(*(pipeline.terms() for _ in range(3)))
            await _held(pipeline, proxy, wanted)
            await pipeline.kill(gateway)
            proxy.hold.set()
        await pipeline.gateway(9, claim_idle_ms=400)
        await pipeline.quiet()
    found = identities(await pipeline.venue_orders())
    assert sorted(found) == sorted(names)


async def test_an_order_the_venue_ended_never_becomes_live_again(pipeline: Pipeline) -> None:
    """Invariant 5: reports of an earlier life, refusals and absence change nothing; a late fill counts."""
    await pipeline.ledger()
    await pipeline.gateway()
    [name] = await pipeline.place(pipeline.terms())
    order = await pipeline.status(name, "open")
    number = int(order.state.venue_order_ids[0])
    say = _Words(pipeline)
    await say.frame(status(number, name, "CANCELED"))
    await pipeline.status(name, "cancelled")
    await say.frame(status(number, name, "NEW", E=1, T=1))
    await say.frame(status(number, name, "NEW", E=2_000_000_000_000, T=2_000_000_000_000))
    for outcome in (Refused("-2010", "x"), NotSent("late"), Absent(1)):
        await say.outcome(name, order.token, outcome)
    await say.frame(execution(number, 5, name))
    await pipeline.quiet()
    after = await pipeline.order(name)
    assert after.status == "cancelled"
    assert after.state.filled == Decimal("0.4")
    assert "late_fill" in after.state.anomalies
    assert (await pipeline.store.positions())[pipeline.symbol].quantity == Decimal("0.4")


async def test_the_same_identity_answers_the_same_or_is_refused(pipeline: Pipeline) -> None:
    """Invariant 8: equal content gets the first answer, other content a conflict, a bare one quarantine and event."""
    terms = pipeline.terms()
    first = await pipeline.producer.place(terms)
    again = await pipeline.producer.place(terms)
    assert (again.client_order_id, again.duplicate) == (first.client_order_id, True)
    other = pipeline.terms(signal_id=terms.signal_id, signal_time=terms.signal_time, quantity=Decimal(2))
    with pytest.raises(IntentConflict):
        await pipeline.producer.place(other)
    await pipeline.redis.xadd(pipeline.keys.intents, {"data": codec.encode(other)})
    gateway = await pipeline.gateway()
    await pipeline.until(lambda: gateway.quarantined == 1 and gateway.claimed == 1)
    rows: Any = await pipeline.redis.xrange(pipeline.keys.quarantine)
    assert [fields[b"raw"] for _, fields in rows] == [codec.encode(other)]
    assert any(isinstance(one, events.Quarantined) for one in await pipeline.journal())
    await pipeline.until(pipeline.venue_orders)
    [at_venue] = await pipeline.venue_orders()
    assert at_venue["quantity"] == "1"


async def test_a_backlog_after_an_outage_expires_instead_of_trading(pipeline: Pipeline) -> None:
    """Invariant 11: signals whose time passed while nobody was there, published or by bare XADD, are not sent."""
    stale = {"signal_time": soon(-7_200), "valid_until": soon(-3_600)}
    names = await pipeline.place(*(pipeline.terms(**stale) for _ in range(5)))
    bare = [pipeline.terms(signal_time=soon(-7_200)) for _ in range(5)]  # valid for an hour from the signal
    for one in bare:
        await pipeline.redis.xadd(pipeline.keys.intents, {"data": publish_item(one, pipeline.info).data})
    [fresh] = await pipeline.place(pipeline.terms())
    await pipeline.all_roles()
    await pipeline.status(fresh, "open")
    for name in (*names, *(publish_item(one, pipeline.info).client_order_id for one in bare)):
        await pipeline.status(name, "expired")
    await pipeline.quiet()
    assert identities(await pipeline.venue_orders()) == [fresh]


async def _held(pipeline: Pipeline, proxy: Proxy, count: int) -> None:
    await pipeline.until(lambda: proxy.held >= count)


class _Words:
    """Evidence written by hand, as if the venue had said it."""

    def __init__(self, pipeline: Pipeline) -> None:
        self.pipeline = pipeline

    async def frame(self, raw: dict[str, Any]) -> None:
        """A frame of the private stream, of the test's own symbol."""
        raw["event"]["s"] = self.pipeline.venue_symbol
        await self._write(codec.encode(raw), format="binance.stream")

    async def outcome(self, name: str, token: str, outcome: Any) -> None:
        """What came of a claim."""
        await self._write(b"", command=Command(client_order_id=name, token=token, outcome=outcome))

    async def _write(self, raw: bytes, **fields: Any) -> None:
        said = Evidence(source="stream", received_at_ns=1, **fields)
        await append(self.pipeline.redis, self.pipeline.keys, [(said, raw)])
