"""Several orders in one request, through all roles: each ends as it would have by itself."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from adapters.simulated.faults import OFF, Faults
from adapters.venue import Answer, Window
from streams import codec
from streams.schemas import Cancel, Order, Unknown
from tests.pipeline import Pipeline, Proxy, identities

PLACES, CANCELS = b"POST /fapi/v1/batchOrders", b"DELETE /fapi/v1/batchOrders"
SINGLE = b"POST /fapi/v1/order"


def passed(proxy: Proxy, beginning: bytes) -> int:
    """How many requests of a kind went to the venue."""
    return len([one for one in proxy.requests if one.startswith(beginning)])


async def roles(made: Pipeline, rest_url: str = "") -> None:
    """Everything but the gateway, which is to find all intents at once."""
    venue = await made.venue(rest_url=rest_url)
    await made.ledger()
    await made.resolver(venue=venue)
    await made.listener(venue=venue)


async def test_what_is_read_together_leaves_together_and_ends_by_itself(margin: Pipeline) -> None:
    """Seven places are two requests; one of them the venue refuses."""
    async with Proxy(margin.process.rest_url) as proxy:
        await roles(margin, proxy.url)
        await margin.house("SELL", 3)
        terms = [margin.terms(price=Decimal(90 + n)) for n in range(5)]
        good = await margin.place(*terms)
        [filled, refused] = await margin.place(margin.terms(), margin.terms(post_only=True))
        await margin.gateway(venue=await margin.venue(rest_url=proxy.url))
        for name in good:
            await margin.status(name, "open")
        await margin.status(filled, "filled")
        await margin.until(lambda: passed(proxy, PLACES) == 2)
        await margin.status(refused, "rejected")
        await margin.publish(*(Cancel(account=margin.account, client_order_id=name) for name in good))
        for name in good:
            await margin.status(name, "cancelled")
        assert passed(proxy, CANCELS) >= 1
        await margin.agreed()
        assert passed(proxy, SINGLE) == 0
    assert len(set(identities(await margin.venue_orders()))) == len(await margin.venue_orders())


async def test_a_batch_whose_answer_is_lost_is_looked_up_leg_by_leg(margin: Pipeline) -> None:
    """Nothing of it is sent twice."""
    await roles(margin)
    await margin.control.set_faults(Faults(accept_then_drop=1.0))
    names = await margin.place(*(margin.terms(price=Decimal(90 + n)) for n in range(5)))
    await margin.gateway()
    for name in names:
        await margin.status(name, "unknown", "open")
    await margin.control.set_faults(OFF)
    for name in names:
        await margin.status(name, "open")
    await margin.agreed()
    assert sorted(identities(await margin.venue_orders())) == sorted(names)


async def test_a_gateway_that_dies_with_a_batch_on_its_way_leaves_orders_that_are_found(margin: Pipeline) -> None:
    """Another one takes over; the venue has each order once."""
    await roles(margin)
    await margin.control.set_faults(Faults(late_answer=1.0, late_answer_ms=2_000))
    names = await margin.place(*(margin.terms(price=Decimal(90 + n)) for n in range(5)))
    gateway = await margin.gateway(window_ms=1_000)

    async def arrived() -> bool:
        return len(await margin.venue_orders()) == len(names)

    await margin.until(arrived)
    await margin.kill(gateway)
    await margin.control.set_faults(OFF)
    await margin.gateway(1, claim_idle_ms=1_500, window_ms=1_000)
    for name in names:
        await margin.status(name, "open")
    await margin.agreed()
    assert sorted(identities(await margin.venue_orders())) == sorted(names)


async def test_an_adapter_that_answers_for_too_few_leaves_every_leg_unknown(margin: Pipeline) -> None:
    """Whose the answers are cannot be told then; the look-ups tell."""
    await roles(margin)
    venue: Any = await margin.venue()
    whole = venue.submit_many

    async def one_less(orders: Sequence[Order], windows: Sequence[Window]) -> Sequence[Answer]:
        answers: Sequence[Answer] = await whole(orders, windows)
        return answers[:-1]

    venue.submit_many = one_less
    names = await margin.place(*(margin.terms(price=Decimal(90 + n)) for n in range(3)))
    await margin.gateway(venue=venue)
    for name in names:
        await margin.status(name, "open")
    rows: Any = await margin.redis.xrange(margin.keys.evidence)
    told = [command for _, fields in rows if (command := codec.decode_evidence(fields[b"data"]).command) is not None]
    assert [type(one.outcome) for one in told] == [Unknown] * 3
    await margin.agreed()
    assert sorted(identities(await margin.venue_orders())) == sorted(names)
