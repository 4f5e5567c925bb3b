"""Cancelling everything of a scope: what is chosen, what waits for its outcome, and what is said when it fails."""

from decimal import Decimal

from msgspec.structs import replace

from adapters.simulated.faults import Faults
from consumers.adoption import import_item
from consumers.clearing import ASK_AGAIN_MS, Clearing, Left, Orphans, concerned, to_ask
from streams import events
from streams.record import NEW_STATE
from streams.schemas import Order, OrderStatus
from tests.flow import place
from tests.pipeline import Pipeline


def order(name: str, status: OrderStatus = "open", **changes: str) -> Order:
    """An order as it is read."""
    terms = place("sim.main", **changes)
    return Order(client_order_id=name, terms=terms, status=status, state=NEW_STATE, digest="d")


def test_what_was_sent_and_has_not_ended_is_cancelled_in_its_scope() -> None:
    """An intent that was not sent is the halt's matter."""
    orders = [
        order("a"), order("b", "unknown", strategy="other"), order("c", "created"), order("d", "filled"),
        order("e", "submitting", symbol="ETH/USDT"), order("f", "partially_filled"),
    ]  # fmt: skip

    def named(scope: str) -> str:
        return "".join(one.client_order_id for one in concerned(orders, scope))

    assert (named(""), named("global")) == ("abef", "abef")
    assert (named("strategy:other"), named("symbol:ETH/USDT"), named("symbol:X/Y")) == ("b", "e", "")


def test_a_cancel_is_asked_for_once_and_again_when_nobody_took_it() -> None:
    """One that is requested has its owner."""
    orders = [order("a"), order("b"), replace(order("c"), cancel_requested=True)]
    assert to_ask(orders, {}, 0) == ["a", "b"]
    assert to_ask(orders, {"a": 0.0}, ASK_AGAIN_MS - 1) == ["b"]
    assert to_ask(orders, {"a": 0.0}, ASK_AGAIN_MS) == ["a", "b"]


def test_what_is_left_is_a_sentence() -> None:
    """Counts by status; a trouble is told instead."""
    assert Left(orders=["a", "b"], by_status={"open": 1, "unknown": 1}).sentence == "2 left (1 open, 1 unknown)"
    assert Left().sentence == "nothing left"
    assert Left(trouble="why").sentence == "why"


async def test_a_halted_account_is_cleared_of_what_rests_and_of_what_is_unknown(pipeline: Pipeline) -> None:
    """Unknown ones when the venue has told what became of them; other strategies' orders stay."""
    venue = await pipeline.venue(request_ms=300)
    await pipeline.ledger()
    await pipeline.gateway(venue=venue, window_ms=1_000, claim_idle_ms=1_500)
    resting = await pipeline.place(*(pipeline.terms(price=Decimal(90 - n)) for n in range(3)))
    [other] = await pipeline.place(pipeline.terms(strategy="other", price=Decimal(80)))
    for name in (*resting, other):
        await pipeline.status(name, "open")
    await pipeline.control.set_faults(Faults(accept_then_drop=1.0))
    [unknown] = await pipeline.place(pipeline.terms(price=Decimal(70)))
    await pipeline.status(unknown, "unknown")  # nobody else is there who would hear of it, or ask
    await pipeline.resolver(venue=venue, window_ms=1_000)
    await pipeline.listener(venue=venue)
    await pipeline.scripts.halt("halt", "test", "test", "strategy:test")
    clearing, told = Clearing(pipeline.redis, pipeline.account, "strategy:test", pipeline.clock, who="me"), list[str]()
    await pipeline.control.set_faults(Faults())
    assert await clearing.run(20_000, lambda left: told.append(left.sentence))
    assert told[-1] == "nothing left"
    assert set(clearing.asked) == {*resting, unknown}
    books = {one["client_order_id"]: one["status"] for one in await pipeline.venue_orders()}
    assert books.pop(other) == "NEW"
    assert set(books.values()) == {"CANCELED"}
    told_of = [one for one in await pipeline.journal() if isinstance(one, events.CancelRequested)]
    assert {one.client_order_id: one.who for one in told_of} == dict.fromkeys(clearing.asked, "me")
    assert all(one.entry for one in told_of)


async def test_without_a_gateway_the_deadline_ends_it_and_says_what_is_left(pipeline: Pipeline) -> None:
    """Nothing was lost: the cancels wait for one."""
    await pipeline.ledger()
    gateway = await pipeline.gateway()
    [name] = await pipeline.place(pipeline.terms())
    await pipeline.status(name, "open")
    await pipeline.kill(gateway)
    clearing = Clearing(pipeline.redis, pipeline.account, "", pipeline.clock, who="me")
    assert not await clearing.run(300)
    assert (clearing.left.orders, clearing.left.by_status) == ([name], {"open": 1})
    await pipeline.gateway(1)
    await pipeline.status(name, "cancelled")


async def test_orders_without_a_record_are_looked_for_until_none_was_cancelled(pipeline: Pipeline) -> None:
    """What may not be cancelled is told and holds up nobody."""
    found = [Orphans(["1"], ["2"]), Orphans([], ["2"])]

    async def look() -> Orphans:
        return found.pop(0)

    clearing = Clearing(pipeline.redis, pipeline.account, "", pipeline.clock, who="me", orphans=look)
    assert await clearing.run(10_000)
    assert (clearing.orphans, list(clearing.left.orphans), found) == (["1"], ["2"], [])


async def test_an_orphan_that_got_a_record_while_it_was_looked_for_is_left_until_it_ended(pipeline: Pipeline) -> None:
    """The records were read before a patrol made one of it, the venue was asked after it."""
    name, terms = "fo-" + "a" * 22, pipeline.terms()

    async def look() -> Orphans:
        gate = await pipeline.scripts.gate()
        await pipeline.scripts.import_orders([import_item(name, terms)], gate.history)
        return Orphans()

    clearing = Clearing(pipeline.redis, pipeline.account, "", pipeline.clock, who="me", orphans=look)
    assert not await clearing.run(0)
    assert not await clearing.run(0)
    assert clearing.left.orders == [name]


async def test_cancels_wait_for_a_server_that_is_not_reconciled_and_that_is_said(pipeline: Pipeline) -> None:
    """Until its gate is open; the deadline is for that, too."""
    await pipeline.ledger()
    await pipeline.gateway()
    [name] = await pipeline.place(pipeline.terms())
    await pipeline.status(name, "open")
    history = await pipeline.redis.hget(pipeline.keys.control, "history")
    await pipeline.redis.hset(pipeline.keys.control, "history", "another")
    clearing = Clearing(pipeline.redis, pipeline.account, "", pipeline.clock, who="me")
    assert not await clearing.run(100)
    assert "reconciled" in clearing.left.sentence
    assert clearing.left.orders == [name]
    await pipeline.redis.hset(pipeline.keys.control, "history", history or b"")
    assert await clearing.run(10_000)
