"""The four boundaries that move value: submit, fill, cancel, replayed updates. The second copy does nothing."""

import asyncio
from typing import Any

import msgspec
import pytest

from consumers import preflight
from streams import codec
from streams.clock import SystemClock
from streams.keys import GATEWAYS, LEDGERS
from streams.producer import IntentProducer, publish_item
from streams.replay import replay
from streams.schemas import Cancel, Order, Place
from streams.verify import verify
from tests.flow import INFO
from tests.pipeline import Pipeline, identities
from tests.proxy import Proxy
from tests.races.repeating import RepeatingVenue

CANCEL = b"DELETE /api/v3/order"


async def test_the_second_copy_of_a_submission_does_nothing(pipeline: Pipeline) -> None:
    """Submit: published, bare, redelivered and replayed after the order closed, when the venue would take it again."""
    await pipeline.all_roles()
    await pipeline.house("SELL", 5)
    terms = pipeline.terms()
    [name] = await pipeline.place(terms)
    await pipeline.status(name, "filled")
    await pipeline.quiet()
    before = (await verify(pipeline.redis, pipeline.keys)).stored
    await IntentProducer(pipeline.redis).publish([terms])
    await _bare(pipeline, terms)
    await pipeline.redis.xgroup_setid(pipeline.keys.intents, GATEWAYS, "0")
    await pipeline.agreed()
    assert identities(await pipeline.venue_orders()) == [name]
    assert (await verify(pipeline.redis, pipeline.keys)).stored == before


async def test_our_record_is_the_outbound_ledger_where_the_venue_takes_every_repeat(pipeline: Pipeline) -> None:
    """Submit: three gateways, copies of every kind, and a venue that refuses none of them: it is asked once each."""
    venue = RepeatingVenue(pipeline.venue_symbol)
    given: Any = venue
    for index in range(3):
        await pipeline.gateway(index, venue=given, claim_idle_ms=100)
    await pipeline.ledger()
    await pipeline.resolver(venue=given)
    intents = [pipeline.terms() for _ in range(10)]
    producers = [IntentProducer(pipeline.redis, timeout_ms=10_000) for _ in range(3)]
    await asyncio.gather(*(one.publish(intents) for one in producers), *(_bare(pipeline, one) for one in intents))
    await pipeline.quiet()
    await pipeline.redis.xgroup_setid(pipeline.keys.intents, GATEWAYS, "0")
    await pipeline.quiet()
    assert sorted(venue.sent) == sorted(publish_item(one, pipeline.info).client_order_id for one in intents)
    assert (await pipeline.store.positions())[pipeline.symbol].quantity == len(intents)


async def test_that_venue_does_take_a_repeat(pipeline: Pipeline) -> None:
    """So the test above would see one: the same order handed to it twice is two orders."""
    venue = RepeatingVenue(pipeline.venue_symbol)
    [name] = await pipeline.place(pipeline.terms())
    order = await pipeline.order(name)
    for _ in range(2):
        await venue.submit(order, None)  # type: ignore[arg-type]  # it does not look at the window
    assert venue.sent == [name, name]


async def test_the_second_copy_of_a_fill_does_nothing(pipeline: Pipeline) -> None:
    """Fill: every stored payload that carries one comes again, twice; position, records and journal stay."""
    await pipeline.house("SELL", "0.4")
    await pipeline.all_roles()
    [name] = await pipeline.place(pipeline.terms())
    await pipeline.status(name, "partially_filled")
    await pipeline.house("SELL", "0.6")
    await pipeline.status(name, "filled")
    await pipeline.agreed()
    before = await _state(pipeline)
    copies = await _evidence(pipeline, [b'"t":', b'"tradeId":', b'"fills"'])
    assert copies
    await _say(pipeline, copies * 2)
    assert await _state(pipeline) == before
    assert not (await pipeline.audit()).defects


async def test_updates_that_are_replayed_do_nothing(pipeline: Pipeline) -> None:
    """Callbacks: everything the venue ever said, again, in its order and backwards; nothing is written but that."""
    await pipeline.house("SELL", "1.4")
    await pipeline.all_roles()
    names = await pipeline.place(*(pipeline.terms() for _ in range(3)))
    await pipeline.until(lambda: _none_waits(pipeline, names))
    await pipeline.publish(*(Cancel(account=pipeline.account, client_order_id=name) for name in names))
    for name in names:
        await pipeline.status(name, "filled", "cancelled")
    await pipeline.agreed()
    before = await _state(pipeline)
    copies = await _evidence(pipeline, [b""])
    await _say(pipeline, copies)
    await _say(pipeline, copies[::-1])
    assert await _state(pipeline) == before
    found = await replay(pipeline.redis, pipeline.keys, ("intents", "evidence"), "-", "+", SystemClock())
    assert (found.changes, found.duplicates) == (0, found.read)
    assert await _state(pipeline) == before


async def test_the_second_copy_of_a_cancel_does_nothing(pipeline: Pipeline) -> None:
    """Cancel: repeated by producers, bare and after the order is gone, the venue hears of it once."""
    async with Proxy.venue(pipeline.process.rest_url) as proxy:
        venue = await pipeline.venue(rest_url=proxy.url)
        name = await _open(pipeline, venue)
        cancel = Cancel(account=pipeline.account, client_order_id=name)
        for _ in range(3):
            await pipeline.publish(cancel)
            await pipeline.redis.xadd(pipeline.keys.intents, {"data": publish_item(cancel, INFO).data})
        await pipeline.status(name, "cancelled")
        await pipeline.quiet()
        before = await _state(pipeline)
        await pipeline.publish(cancel)
        await pipeline.redis.xadd(pipeline.keys.intents, {"data": publish_item(cancel, INFO).data})
        await pipeline.quiet()
        assert proxy.count(CANCEL) == 1
        assert await _state(pipeline) == before


async def test_a_cancel_before_the_claim_ends_an_order_that_is_never_sent(pipeline: Pipeline) -> None:
    """A gateway claims the cancel and only then finds the place: nothing reaches the venue, however often it comes."""
    gateway = await pipeline.gateway(start=False)
    terms = pipeline.terms()
    name = publish_item(terms, pipeline.info).client_order_id
    cancel = Cancel(account=pipeline.account, client_order_id=name)
    await pipeline.publish(cancel)
    await gateway.run(burst=True)
    await pipeline.place(terms)
    await _bare(pipeline, terms)
    await gateway.run(burst=True)
    assert (await pipeline.order(name)).status == "cancelled"
    assert await pipeline.venue_orders() == []


@pytest.mark.parametrize("bare", [False, True])
async def test_a_cancel_that_waits_beside_its_place_keeps_it_from_being_sent(pipeline: Pipeline, bare: bool) -> None:
    """Both were said while no gateway lived: what is no longer wanted is not sent to be cancelled, or filled, there."""
    terms = pipeline.terms()
    name = publish_item(terms, pipeline.info).client_order_id
    await _bare(pipeline, terms) if bare else await pipeline.place(terms)
    await pipeline.publish(Cancel(account=pipeline.account, client_order_id=name))
    gateway = await pipeline.gateway(start=False)
    await gateway.run(burst=True)
    await pipeline.ledger()
    await pipeline.status(name, "cancelled", "open", "filled")
    assert await pipeline.venue_orders() == []
    assert (await pipeline.order(name)).status == "cancelled"
    assert await pipeline.pending(pipeline.keys.intents, GATEWAYS) == 0


async def test_a_cancel_in_flight_waits_for_the_outcome_and_then_acts(pipeline: Pipeline) -> None:
    """The place is held on its way; the cancel neither overtakes it nor is forgotten."""
    async with Proxy.venue(pipeline.process.rest_url) as proxy:
        venue = await pipeline.venue(rest_url=proxy.url)
        held = proxy.hold(b"POST /api/v3/order")
        await pipeline.ledger()
        await pipeline.listener()
        await pipeline.resolver(venue=venue)
        await pipeline.gateway(venue=venue)
        [name] = await pipeline.place(pipeline.terms())
        await held.arrived.wait()
        cancel = Cancel(account=pipeline.account, client_order_id=name)
        await pipeline.publish(cancel, cancel)
        await pipeline.until(lambda: _cancel_noted(pipeline, name))
        assert proxy.count(CANCEL) == 0
        held.release()
        await pipeline.status(name, "cancelled")
        await pipeline.agreed()
        assert proxy.count(CANCEL) == 1
        assert [one["status"] for one in await pipeline.venue_orders()] == ["CANCELED"]


async def test_a_cancel_that_comes_after_the_fill_is_refused_and_the_order_is_filled(pipeline: Pipeline) -> None:
    """The cancel is on its way while the order fills: the venue's `unknown order` says nothing of the order."""
    async with Proxy.venue(pipeline.process.rest_url) as proxy:
        venue = await pipeline.venue(rest_url=proxy.url)
        name = await _open(pipeline, venue)
        held = proxy.hold(CANCEL)
        await pipeline.publish(Cancel(account=pipeline.account, client_order_id=name))
        await held.arrived.wait()
        await pipeline.house("SELL", 1)
        held.release()
        await pipeline.status(name, "filled")
        await pipeline.agreed()
        order = await pipeline.order(name)
        assert order.status == "filled"
        assert order.state.filled == 1
        assert not order.state.anomalies


async def test_a_cancel_that_meets_a_partial_fill_keeps_what_was_filled(pipeline: Pipeline) -> None:
    """Cancelled with its fills, at the venue and here."""
    async with Proxy.venue(pipeline.process.rest_url) as proxy:
        venue = await pipeline.venue(rest_url=proxy.url)
        name = await _open(pipeline, venue)
        held = proxy.hold(CANCEL)
        await pipeline.publish(Cancel(account=pipeline.account, client_order_id=name))
        await held.arrived.wait()
        await pipeline.house("SELL", "0.3")
        held.release()
        order = await pipeline.status(name, "cancelled")
        await pipeline.agreed()
        order = await pipeline.order(name)
        assert str(order.state.filled) == "0.3"


async def test_a_cancel_of_a_finished_order_leaves_it_as_it_is(pipeline: Pipeline) -> None:
    """Filled before anyone wanted it gone: the venue is not even asked."""
    async with Proxy.venue(pipeline.process.rest_url) as proxy:
        venue = await pipeline.venue(rest_url=proxy.url)
        name = await _open(pipeline, venue)
        await pipeline.house("SELL", 1)
        await pipeline.status(name, "filled")
        await pipeline.quiet()
        before = await _state(pipeline)
        for _ in range(2):
            await pipeline.publish(Cancel(account=pipeline.account, client_order_id=name))
        await pipeline.quiet()
        assert proxy.count(CANCEL) == 0
        assert await _state(pipeline) == before


def test_a_venue_without_client_order_ids_is_refused_by_name() -> None:
    """Where an order cannot carry our identity, nobody could tell whether a lost one is there."""
    rule = msgspec.structs.replace(INFO.id_rule, length_max=0, prefix="")
    found = preflight.judge_identity("nameless.main", rule)
    assert found.level == "fail"
    assert "nameless.main" in found.sentence


async def _open(pipeline: Pipeline, venue: Any) -> str:
    """All roles, with the gateway's way to the venue as given, and one open order."""
    await pipeline.ledger()
    await pipeline.listener()
    await pipeline.resolver(venue=await pipeline.venue())
    await pipeline.gateway(venue=venue)
    [name] = await pipeline.place(pipeline.terms())
    await pipeline.status(name, "open")
    await pipeline.quiet()
    return name


async def _bare(pipeline: Pipeline, terms: Place) -> None:
    await pipeline.redis.xadd(pipeline.keys.intents, {"data": publish_item(terms, pipeline.info).data})


async def _evidence(pipeline: Pipeline, marks: list[bytes]) -> list[dict[Any, Any]]:
    rows: Any = await pipeline.redis.xrange(pipeline.keys.evidence)
    return [fields for _, fields in rows if any(one in fields.get(b"raw", b"") for one in marks)]


async def _say(pipeline: Pipeline, copies: list[dict[Any, Any]]) -> None:
    for fields in copies:
        await pipeline.redis.xadd(pipeline.keys.evidence, fields)
    await pipeline.until(lambda: _read(pipeline))


async def _read(pipeline: Pipeline) -> bool:
    figures = (await pipeline.store.backlog())["evidence"]
    return not figures["lag"] and not await pipeline.pending(pipeline.keys.evidence, LEDGERS)


async def _none_waits(pipeline: Pipeline, names: list[str]) -> bool:
    orders = await pipeline.store.orders(names)
    return all(one is not None and one.status in ("open", "partially_filled", "filled") for one in orders)


async def _cancel_noted(pipeline: Pipeline, name: str) -> bool:
    order: Order = await pipeline.order(name)
    return order.cancel_requested


async def _state(pipeline: Pipeline) -> tuple[str, list[bytes]]:
    """Everything stored of orders and positions, and what the journal says moved them."""
    found = await verify(pipeline.redis, pipeline.keys)
    assert found.good
    moved = [codec.encode(one) for one in await pipeline.journal() if type(one).__name__ == "Updated"]
    return found.stored, moved
