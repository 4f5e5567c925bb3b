"""The gateway against the real server and the simulated venue: claimed once, sent within its window, settled."""

import asyncio
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from adapters.simulated.faults import Faults
from adapters.venue import Answer, Venue, Window
from consumers.held import Held
from streams import codec, events
from streams.connection import connect
from streams.keys import GATEWAYS
from streams.producer import publish_item
from streams.schemas import Cancel, NotSent, Order
from streams.script_loader import load
from streams.scripts import Scripts
from tests.flow import soon
from tests.pipeline import Pipeline, Proxy, identities
from tests.proxy import Proxy as RedisProxy


class Gate:
    """The account at the venue, with a gate before every submission: the real class stands behind it.

    Attributes:
        waiting: submissions that wait or have waited.
        answers: what the real class answered.
        urgencies: of what came to the gate, by client order id.
    """

    def __init__(self, venue: Venue) -> None:
        self._venue, self.facts = venue, venue.facts
        self.open, self.waiting, self.answers = asyncio.Event(), 0, list[Answer]()
        self.urgencies: dict[str, str] = {}
        self.before: Callable[[], None] = lambda: None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._venue, name)

    async def submit(self, order: Order, window: Window) -> Answer:
        """Wait at the gate, then submit; the window is the one of the claim, however long that took."""
        self.urgencies[order.client_order_id] = window.urgency
        self.waiting += 1
        await self.open.wait()
        self.before()
        self.answers.append(await self._venue.submit(order, window))
        return self.answers[-1]


async def test_an_order_goes_from_the_signal_to_the_books_and_back(pipeline: Pipeline) -> None:
    """Placed, filled, counted, every entry acknowledged, and the audit finds nothing."""
    await pipeline.all_roles()
    await pipeline.house("SELL", 2)
    [name] = await pipeline.place(pipeline.terms())
    order = await pipeline.status(name, "filled")
    assert order.state.filled == 1
    await pipeline.quiet()
    assert not (await pipeline.audit()).defects


async def test_copies_of_an_intent_are_acknowledged_without_a_claim(pipeline: Pipeline) -> None:
    """Bare XADDs of the same intent beside a publish: one order at the venue."""
    terms = pipeline.terms()
    data = publish_item(terms, pipeline.info).data
    for _ in range(3):
        await pipeline.redis.xadd(pipeline.keys.intents, {"data": data})
    [name] = await pipeline.place(terms)
    gateway, _ = await pipeline.gateway(), await pipeline.ledger()
    await pipeline.status(name, "open")
    await pipeline.until(lambda: _acknowledged(pipeline))
    assert identities(await pipeline.venue_orders()) == [name]
    assert (gateway.claimed, gateway.duplicates) == (1, 3)


async def test_what_is_not_an_intent_of_this_account_is_quarantined_with_its_bytes(pipeline: Pipeline) -> None:
    """Bytes, another account, an unknown symbol, no data at all: each with a reason, nothing sent, an event each."""
    strangers = [
        b"\xff not json",
        codec.encode(pipeline.terms(account="sim.other")),
        codec.encode(pipeline.terms(symbol="XRP/USDT")),
    ]
    for data in strangers:
        await pipeline.redis.xadd(pipeline.keys.intents, {"data": data})
    await pipeline.redis.xadd(pipeline.keys.intents, {"other": "field"})
    gateway = await pipeline.gateway()
    await pipeline.until(lambda: gateway.quarantined == 4)
    rows: Any = await pipeline.redis.xrange(pipeline.keys.quarantine)
    assert [fields[b"raw"] for _, fields in rows] == [*strangers, b""]
    assert [type(one) for one in await pipeline.journal()].count(events.Quarantined) == 4
    assert await pipeline.pending(pipeline.keys.intents, GATEWAYS) == 0
    assert await pipeline.venue_orders() == []


async def test_what_is_being_sent_has_used_up_its_token_though_its_batch_is_not_done(pipeline: Pipeline) -> None:
    """Redis does not answer for the entry before it; what is tried again meanwhile is another claim."""
    terms = pipeline.terms()
    first = await pipeline.gateway()
    await pipeline.place(terms)
    await pipeline.until(lambda: first.claimed)
    await pipeline.drain(first)
    other = msgspec.structs.replace(terms, quantity=terms.quantity * 2)
    await pipeline.redis.xadd(pipeline.keys.intents, {"data": codec.encode(other)})
    [name] = await pipeline.place(pipeline.terms())
    async with RedisProxy.redis(pipeline.url) as proxy, connect(proxy.url, name="held") as redis:
        held = proxy.hold(b"was used for another order")
        gateway = await pipeline.gateway(1, start=False)
        gateway._scripts = Scripts(redis, pipeline.keys)
        pipeline._start(gateway)
        await held.arrived.wait()
        assert gateway.claimed == 0  # the batch is at the entry before it
        assert list(gateway._tokens) == []
        await pipeline.until(lambda: _sent(pipeline, name))
        held.release()
        await pipeline.until(lambda: gateway.quarantined)
        await pipeline.drain(gateway)
    rows: Any = await pipeline.redis.xrange(pipeline.keys.quarantine)
    assert [fields[b"raw"] for _, fields in rows] == [codec.encode(other)]


async def _sent(pipeline: Pipeline, name: str) -> bool:
    return name in identities(await pipeline.venue_orders())


async def test_what_is_read_while_a_claim_is_out_is_claimed_after_it_by_one_call(pipeline: Pipeline) -> None:
    """Nothing of it is lost, and all goes out in the order of its signals."""
    await pipeline.redis.script_load(load("claim").text)
    async with RedisProxy.redis(pipeline.url) as proxy, connect(proxy.url, name="held") as redis:
        gateway = await pipeline.gateway(start=False)
        gateway._claims = Scripts(redis, pipeline.keys)
        await pipeline.ledger()
        terms = [pipeline.terms() for _ in range(4)]
        held = proxy.hold(terms[0].signal_id.encode())
        pipeline._start(gateway)
        names = await pipeline.place(terms[0])
        await held.arrived.wait()
        names += await pipeline.place(*terms[1:])
        await pipeline.until(lambda: _read(pipeline, 4))
        held.release()
        for name in names:
            await pipeline.status(name, "open")
        assert await _claimed_places(pipeline) == names
        assert proxy.count(load("claim").sha.encode()) == 2


async def test_what_was_read_behind_a_claim_that_meets_another_history_is_not_claimed_from_memory(
    pipeline: Pipeline,
) -> None:
    """The server that answers then never had the second intent, so no order is made of it."""
    async with RedisProxy.redis(pipeline.url) as proxy, connect(proxy.url, name="held") as redis:
        gateway = await pipeline.gateway(start=False)
        gateway._claims = Scripts(redis, pipeline.keys)
        await pipeline.ledger()
        first, second = pipeline.terms(), pipeline.terms()
        held = proxy.hold(first.signal_id.encode())
        pipeline._start(gateway)
        [name] = await pipeline.place(first)
        await held.arrived.wait()
        [lost] = await pipeline.place(second)
        await pipeline.until(lambda: _read(pipeline, 2))
        await pipeline.redis.hset(pipeline.keys.control, "gate", "another opening")
        rows: Any = await pipeline.redis.xrange(pipeline.keys.intents)
        await pipeline.redis.xdel(pipeline.keys.intents, rows[-1][0])
        await pipeline.redis.delete(pipeline.keys.order(lost))
        held.release()
        await pipeline.status(name, "open")
        await pipeline.until(lambda: gateway.quarantined)
        assert identities(await pipeline.venue_orders()) == [name]


async def _read(pipeline: Pipeline, count: int) -> bool:
    return await pipeline.pending(pipeline.keys.intents, GATEWAYS) == count


async def test_no_more_commands_are_under_way_than_allowed(pipeline: Pipeline) -> None:
    """The rest is not even claimed, so that no window runs while it waits."""
    gate = Gate(await pipeline.venue())
    gateway = await pipeline.gateway(venue=gate, in_flight_max=2)
    await pipeline.place(*(pipeline.terms() for _ in range(5)))
    await pipeline.until(lambda: gate.waiting == 2)
    assert gateway.claimed == gateway.in_flight == 2
    gate.open.set()
    await pipeline.until(lambda: gateway.claimed == 5 and not gateway.in_flight)


async def test_a_send_that_was_held_past_its_window_does_not_leave(pipeline: Pipeline) -> None:
    """R1: the last check before the write refuses it; resubmitted, it is one order."""
    gate = Gate(await pipeline.venue())
    await pipeline.gateway(venue=gate, window_ms=300)
    await pipeline.ledger()
    [name] = await pipeline.place(pipeline.terms())
    await pipeline.until(lambda: gate.waiting == 1)
    send_by_ms = (await pipeline.order(name)).send_by_ms
    await pipeline.until(lambda: pipeline.server_clock.now_ms() > send_by_ms)
    gate.open.set()
    await pipeline.status(name, "created")
    assert isinstance(gate.answers[0].outcome, NotSent)
    assert await pipeline.venue_orders() == []
    await pipeline.resolver()
    await pipeline.status(name, "open")
    assert identities(await pipeline.venue_orders()) == [name]


async def test_a_send_that_was_held_past_the_signals_validity_never_leaves(pipeline: Pipeline) -> None:
    """R1 and R8: not sent, and expired instead of being sent again."""
    gate = Gate(await pipeline.venue())
    await pipeline.gateway(venue=gate)
    await pipeline.ledger()
    terms = pipeline.terms(signal_time=soon(-10), valid_until=soon(0.4))
    [name] = await pipeline.place(terms)
    await pipeline.until(lambda: gate.waiting == 1)
    assert (await pipeline.order(name)).send_by_ms == terms.valid_until_ms
    await pipeline.until(lambda: pipeline.server_clock.now_ms() > terms.valid_until_ms)
    gate.open.set()
    await pipeline.resolver()
    await pipeline.status(name, "expired")
    assert await pipeline.venue_orders() == []


async def test_a_request_that_the_network_held_past_its_window_is_refused_by_the_venue(pipeline: Pipeline) -> None:
    """R1: the window travels with the request, fixed at the claim; the order is sent again and exists once."""
    async with Proxy(pipeline.process.rest_url) as proxy:
        await pipeline.gateway(venue=await pipeline.venue(rest_url=proxy.url), window_ms=300)
        await pipeline.ledger()
        proxy.hold.clear()
        [name] = await pipeline.place(pipeline.terms())
        await pipeline.until(lambda: proxy.held == 1)
        send_by_ms = (await pipeline.order(name)).send_by_ms
        await pipeline.until(lambda: pipeline.server_clock.now_ms() > send_by_ms)
        proxy.hold.set()
        await pipeline.status(name, "created")
        assert len(proxy.orders()) == 1
        await pipeline.resolver()
        await pipeline.status(name, "open")
        assert identities(await pipeline.venue_orders()) == [name]


async def test_a_request_still_on_its_way_when_the_order_was_resubmitted_makes_no_second_order(
    pipeline: Pipeline,
) -> None:
    """R1 and R2: its sender gave up and the order was proven absent; when it arrives at last, the venue refuses it."""
    async with Proxy(pipeline.process.rest_url) as proxy:
        slow = await pipeline.venue(rest_url=proxy.url, request_ms=200)
        gateway = await pipeline.gateway(venue=slow, window_ms=300)
        await pipeline.ledger()
        proxy.hold.clear()
        [name] = await pipeline.place(pipeline.terms())
        await pipeline.status(name, "unknown")
        await pipeline.kill(gateway)
        await pipeline.resolver(window_ms=300)
        await pipeline.gateway(1)
        await pipeline.status(name, "open")
        proxy.hold.set()
        await pipeline.until(lambda: len(proxy.orders()) == 1)
        await pipeline.quiet()
        assert identities(await pipeline.venue_orders()) == [name]


async def test_late_entry_into_the_matching_engine_is_refused_and_sent_again(pipeline: Pipeline) -> None:
    """The venue's own queue held it past its window."""
    await pipeline.control.set_faults(Faults(late_entry=1.0, late_entry_ms=500))
    await pipeline.all_roles(gateways=1, window_ms=250)
    [name] = await pipeline.place(pipeline.terms())
    await pipeline.until(lambda: _queued_again(pipeline, name))
    await pipeline.control.set_faults(Faults())
    await pipeline.status(name, "open")
    assert identities(await pipeline.venue_orders()) == [name]


async def test_a_gateway_that_dies_after_sending_leaves_an_order_that_is_found(pipeline: Pipeline) -> None:
    """Cancelled between write and settle: the redelivered entry is not sent again, the look-up tells."""
    async with Proxy(pipeline.process.rest_url) as proxy:
        gateway = await pipeline.gateway(venue=await pipeline.venue(rest_url=proxy.url), window_ms=400)
        await pipeline.ledger()
        proxy.hold.clear()
        [name] = await pipeline.place(pipeline.terms())
        await pipeline.until(lambda: proxy.held == 1)
        await pipeline.kill(gateway)
        proxy.hold.set()
        await pipeline.until(pipeline.venue_orders)
        await pipeline.gateway(claim_idle_ms=500)  # the same name: its own pending entry comes first
        await pipeline.resolver()
        await pipeline.status(name, "open")
        await pipeline.until(lambda: _acknowledged(pipeline))
        assert identities(await pipeline.venue_orders()) == [name]


async def test_a_gateway_that_dies_before_sending_leaves_an_order_that_is_sent_once(pipeline: Pipeline) -> None:
    """Claimed and never written: absent by look-up, then claimed anew by whoever is there."""
    gate = Gate(await pipeline.venue())
    gateway = await pipeline.gateway(venue=gate, window_ms=300)
    await pipeline.ledger()
    [name] = await pipeline.place(pipeline.terms())
    await pipeline.until(lambda: gate.waiting == 1)
    await pipeline.kill(gateway)
    resolver = await pipeline.resolver()
    await pipeline.gateway(1, window_ms=300, claim_idle_ms=400)
    await pipeline.status(name, "open")
    assert resolver.absent == 1
    assert identities(await pipeline.venue_orders()) == [name]


async def test_an_answer_is_settled_after_the_connection_to_redis_was_lost(pipeline: Pipeline) -> None:
    """CLIENT KILL while the request is out: the answer is settled on a new connection, once."""
    gate = Gate(await pipeline.venue())
    await pipeline.gateway(venue=gate)
    await pipeline.ledger()
    [name] = await pipeline.place(pipeline.terms())
    await pipeline.until(lambda: gate.waiting == 1)
    clients: Any = await pipeline.redis.client_list()
    for one in clients:
        if one["name"].startswith(f"{pipeline.account}-gateway.0"):
            await pipeline.redis.client_kill_filter(_id=one["id"])
    gate.open.set()
    await pipeline.status(name, "open")
    await pipeline.until(lambda: _acknowledged(pipeline))
    assert await pipeline.redis.xlen(pipeline.keys.evidence) == 1


async def test_a_stop_waits_for_the_answers_that_are_out(pipeline: Pipeline) -> None:
    """They are settled before the gateway ends, and nothing new is taken."""
    gate = Gate(await pipeline.venue())
    gateway = await pipeline.gateway(venue=gate)
    await pipeline.place(pipeline.terms())
    await pipeline.until(lambda: gate.waiting == 1)
    draining = asyncio.create_task(pipeline.drain(gateway))
    gate.open.set()
    await draining
    assert gateway.in_flight == 0
    assert await pipeline.redis.xlen(pipeline.keys.evidence) == 1
    assert await pipeline.pending(pipeline.keys.intents, GATEWAYS) == 0


async def test_while_the_gate_is_shut_nothing_is_claimed_and_afterwards_it_goes_on(pipeline: Pipeline) -> None:
    """R5: the entry it had read stays pending and is claimed when the history is confirmed again."""
    terms = pipeline.terms()
    await pipeline.place(terms)
    history = await pipeline.redis.hget(pipeline.keys.control, "history")
    assert history is not None
    await pipeline.redis.hset(pipeline.keys.control, "history", "another")
    gateway = await pipeline.gateway()
    await pipeline.until(lambda: _delivered(pipeline))
    await pipeline.redis.hset(pipeline.keys.control, "history", history)
    await pipeline.until(lambda: gateway.claimed == 1)
    await pipeline.until(lambda: _acknowledged(pipeline))
    assert len(await pipeline.venue_orders()) == 1


async def test_an_entry_whose_settle_was_refused_is_dealt_with_when_the_history_is_confirmed(
    pipeline: Pipeline,
) -> None:
    """Under another history nobody has acknowledged it; it does not wait for a takeover."""
    gate = Gate(await pipeline.venue())
    gateway = await pipeline.gateway(venue=gate, window_ms=5_000)
    await pipeline.ledger()
    await pipeline.place(pipeline.terms())
    await pipeline.until(lambda: gate.waiting == 1)
    history = await pipeline.redis.hget(pipeline.keys.control, "history")
    assert history is not None
    await pipeline.redis.hset(pipeline.keys.control, "history", "another")
    gate.open.set()
    await pipeline.until(lambda: gateway.in_flight == 0)
    await pipeline.redis.hset(pipeline.keys.control, "history", history)
    await pipeline.until(lambda: gateway.duplicates)
    assert gateway.claimed == 1
    assert len(await pipeline.venue_orders()) == 1


async def test_a_cancel_goes_past_orders_that_wait_to_be_sent(pipeline: Pipeline) -> None:
    """It was published behind them, and reaches the venue while none of them has been claimed."""
    gate = Gate(await pipeline.venue())
    gate.open.set()
    gateway = await pipeline.gateway(venue=gate, in_flight_max=2)
    await pipeline.ledger()
    [resting] = await pipeline.place(pipeline.terms())
    await pipeline.status(resting, "open")
    gate.open.clear()
    names = await pipeline.place(*(pipeline.terms() for _ in range(8)))
    await pipeline.until(lambda: gate.waiting == 3)
    await pipeline.publish_cancel(resting)
    await pipeline.status(resting, "cancelled")
    assert [(await pipeline.order(name)).status for name in names[2:]] == ["created"] * 6
    gate.open.set()
    for name in names:
        await pipeline.status(name, "open")
    assert gateway.claimed == 10
    assert await _claimed_places(pipeline) == [resting, *names]


async def test_a_cancel_goes_past_what_a_gateway_had_read_before_it_died(pipeline: Pipeline) -> None:
    """Its heir works through that in the stream's order, with what was published meanwhile behind it."""
    stuck = Gate(await pipeline.venue())
    stuck.open.set()
    first = await pipeline.gateway(venue=stuck)
    await pipeline.ledger()
    [resting] = await pipeline.place(pipeline.terms())
    await pipeline.status(resting, "open")
    first.held.shut_ms = lambda: 60_000
    names = await pipeline.place(*(pipeline.terms() for _ in range(4)))
    await pipeline.until(lambda: first.held.waiting >= 4)
    await pipeline.kill(first)
    gate = Gate(await pipeline.venue())
    await pipeline.gateway(venue=gate, in_flight_max=1)
    await pipeline.until(lambda: gate.waiting == 1)
    names += await pipeline.place(*(pipeline.terms() for _ in range(2)))
    await pipeline.publish_cancel(resting)
    await pipeline.status(resting, "cancelled")
    assert gate.waiting == 1
    gate.open.set()
    for name in names:
        await pipeline.status(name, "open")
    assert await _claimed_places(pipeline) == [resting, *names]


async def test_a_cancel_that_goes_past_its_own_order_keeps_it_from_being_sent(pipeline: Pipeline) -> None:
    """The order was not claimed yet: it ends here, and the venue never hears of it."""
    gate = Gate(await pipeline.venue())
    await pipeline.gateway(venue=gate, in_flight_max=1)
    await pipeline.ledger()
    [sent, wanted] = await pipeline.place(pipeline.terms(), pipeline.terms())
    await pipeline.until(lambda: gate.waiting == 1)
    await pipeline.publish_cancel(wanted)
    await pipeline.status(wanted, "cancelled")
    gate.open.set()
    await pipeline.status(sent, "open")
    await pipeline.until(lambda: _acknowledged(pipeline))
    assert identities(await pipeline.venue_orders()) == [sent]


async def test_an_adapter_that_fails_leaves_an_unknown_order_that_is_looked_up(pipeline: Pipeline) -> None:
    """A defect before the send is not taken for a refusal: the order is proven absent and sent again."""
    gate = Gate(await pipeline.venue())

    def fail_once() -> None:
        gate.before = lambda: None
        raise ZeroDivisionError

    gate.before = fail_once
    gate.open.set()
    await pipeline.gateway(venue=gate, window_ms=300)
    await pipeline.ledger()
    [name] = await pipeline.place(pipeline.terms())
    await pipeline.status(name, "unknown")
    await pipeline.resolver()
    await pipeline.status(name, "open")
    assert identities(await pipeline.venue_orders()) == [name]


async def test_a_cancel_ends_an_open_order(pipeline: Pipeline) -> None:
    """At the venue and here."""
    await pipeline.all_roles(gateways=1)
    terms = pipeline.terms()
    [name] = await pipeline.place(terms)
    await pipeline.status(name, "open")
    await pipeline.publish(Cancel(account=pipeline.account, client_order_id=name))
    await pipeline.status(name, "cancelled")
    assert [one["status"] for one in await pipeline.venue_orders()] == ["CANCELED"]


async def test_a_cancel_of_a_finished_order_is_answered_without_asking_the_venue(pipeline: Pipeline) -> None:
    """Acknowledged, and the order stays what it is."""
    await pipeline.all_roles(gateways=1)
    await pipeline.house("SELL", 1)
    [name] = await pipeline.place(pipeline.terms())
    await pipeline.status(name, "filled")
    await pipeline.quiet()
    await pipeline.publish(Cancel(account=pipeline.account, client_order_id=name))
    await pipeline.quiet()
    assert (await pipeline.order(name)).status == "filled"


@pytest.mark.parametrize("index", [0, 1])
async def test_the_claim_says_who_took_it(pipeline: Pipeline, index: int) -> None:
    """The journal names gateway, window and the amounts to send."""
    await pipeline.gateway(index)
    await pipeline.place(pipeline.terms())
    await pipeline.until(pipeline.venue_orders)
    [claimed] = [one for one in await pipeline.journal() if isinstance(one, events.Claimed)]
    assert (claimed.gateway, claimed.command) == (f"gateway.{index}", "place")
    assert claimed.sent == {"quantity": "1", "price": "100"}


async def _claimed_places(pipeline: Pipeline) -> list[str]:
    """Orders in the order in which they were claimed."""
    found = [one for one in await pipeline.journal() if isinstance(one, events.Claimed)]
    return [one.client_order_id for one in found if one.command == "place"]


async def _acknowledged(pipeline: Pipeline) -> bool:
    return not (await pipeline.pending(pipeline.keys.intents, GATEWAYS))


async def _delivered(pipeline: Pipeline) -> bool:
    return bool(
        await pipeline.redis.exists(pipeline.keys.intents)
        and await pipeline.redis.xinfo_groups(pipeline.keys.intents)
        and await pipeline.pending(pipeline.keys.intents, GATEWAYS)
    )


async def _queued_again(pipeline: Pipeline, name: str) -> bool:
    return any(isinstance(one, events.Queued) and one.client_order_id == name for one in await pipeline.journal())


async def test_a_known_intent_is_recognised_locally_and_still_acknowledged_by_the_claim(pipeline: Pipeline) -> None:
    """Its bytes are not read again; the script alone decides, and forgets nothing that the server kept."""
    data = publish_item(pipeline.terms(), pipeline.info).data
    gateway = await pipeline.gateway(start=False)
    for _ in range(2):  # the second copy finds the first one's order, and is remembered
        await pipeline.redis.xadd(pipeline.keys.intents, {"data": data})
    await gateway.run(burst=True)
    later = await pipeline.gateway(start=False)
    later.known = gateway.known
    await pipeline.redis.xadd(pipeline.keys.intents, {"data": data})
    await later.run(burst=True)
    assert later.known.counters.hits == 1
    assert (later.claimed, later.duplicates) == (0, 1)
    assert await pipeline.pending(pipeline.keys.intents, GATEWAYS) == 0


async def test_what_is_known_locally_and_lost_by_the_server_is_claimed_again(pipeline: Pipeline) -> None:
    """Local memory cannot keep an order from being made that the server does not have (R4)."""
    data = publish_item(pipeline.terms(), pipeline.info).data
    gateway = await pipeline.gateway(start=False)
    for _ in range(2):
        await pipeline.redis.xadd(pipeline.keys.intents, {"data": data})
    await gateway.run(burst=True)
    [key] = [key async for key in pipeline.redis.scan_iter(match=f"{pipeline.keys.order('')}*")]
    await pipeline.redis.delete(key)
    later = await pipeline.gateway(start=False)
    later.known = gateway.known
    await pipeline.redis.xadd(pipeline.keys.intents, {"data": data})
    await later.run(burst=True)
    assert (later.known.counters.hits, later.claimed) == (1, 1)


async def test_new_orders_wait_unclaimed_while_the_venue_takes_none(pipeline: Pipeline) -> None:
    """Cancels go past them; when the venue takes orders again they are claimed without being published again."""
    gateway = await pipeline.gateway()
    await pipeline.ledger()
    [resting] = await pipeline.place(pipeline.terms())
    await pipeline.status(resting, "open")
    shut = [100]
    gateway.held.shut_ms = lambda: shut[0]
    names = await pipeline.place(pipeline.terms(), pipeline.terms())
    await pipeline.until(lambda: gateway.held.waiting > len(names))  # read more than once
    await pipeline.publish_cancel(resting)
    await pipeline.status(resting, "cancelled")
    assert [(await pipeline.order(name)).status for name in names] == ["created", "created"]
    assert gateway.claimed == 2
    shut[0] = 0
    for name in names:
        await pipeline.status(name, "open")


async def test_what_makes_a_position_smaller_goes_out_while_the_venue_takes_nothing_new(pipeline: Pipeline) -> None:
    """By the position itself, where nothing is limited: less than is held, with all that is sent; the rest waits."""
    gate = Gate(await pipeline.venue())
    gate.open.set()
    gateway = await pipeline.gateway(venue=gate)
    await pipeline.ledger()
    await pipeline.listener()
    await pipeline.house("SELL", 2)
    [bought] = await pipeline.place(pipeline.terms(quantity=Decimal(2)))
    await pipeline.status(bought, "filled")
    gateway.held.shut_ms = lambda: 60_000
    [more, buys, half] = await pipeline.place(
        pipeline.terms(side="sell", quantity=Decimal(3), price=Decimal(110)),
        pipeline.terms(),
        pipeline.terms(side="sell", price=Decimal(110)),
    )
    await pipeline.status(half, "open")
    assert gate.urgencies == {bought: "new", half: "reduce"}
    assert [(await pipeline.order(name)).status for name in (more, buys)] == ["created", "created"]


async def test_what_is_behind_an_order_that_waits_waits_until_that_is_read_again(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Trading is resumed and the gateway has not noticed yet: the order published first is claimed first."""
    seen = asyncio.Event()

    async def notice(held: Held) -> None:
        await seen.wait()
        held._lanes.clear()
        held._reader.forget()
        await asyncio.Event().wait()

    monkeypatch.setattr(Held, "release", notice)
    gateway = await pipeline.gateway()
    await pipeline.ledger()
    await pipeline.scripts.halt("halt", "a test", "test")
    [first] = await pipeline.place(pipeline.terms())
    await pipeline.until(lambda: gateway.halted)
    await pipeline.redis.hdel(pipeline.keys.control, "halt")
    [second] = await pipeline.place(pipeline.terms())
    [other] = await pipeline.place(pipeline.terms(strategy="another"))
    await pipeline.status(other, "open")
    await pipeline.until(lambda: gateway.held.waiting)
    seen.set()
    await pipeline.status(second, "open")
    assert await _claimed_places(pipeline) == [other, first, second]
