"""An amend by cancelling and placing, broken off between the two: the look-ups find which of them there is."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from adapters.simulated.process import SimulatedVenue
from streams.schemas import Amend
from tests.pipeline import PRICE, Pipeline
from tests.proxy import Held, Proxy

PLACE = b"POST /api/v3/order"
WINDOW_MS, REQUEST_MS = 600, 400
TOO_LATE = b"-1021"
WHOLE, PART = Decimal(3), Decimal(1)


@pytest.fixture
async def proxy(venue_process: SimulatedVenue) -> AsyncIterator[Proxy]:
    """A way to the venue that outlives the roles which use it; ask for it before the pipeline."""
    async with Proxy.venue(venue_process.rest_url) as made:
        yield made


async def broken_off(pipeline: Pipeline, proxy: Proxy) -> tuple[str, Held]:
    """An order of which a part is filled, its gateway killed after the cancel; the place waits on its way."""
    venue = await pipeline.venue(rest_url=proxy.url, request_ms=REQUEST_MS)
    await pipeline.ledger()
    await pipeline.resolver(window_ms=WINDOW_MS)
    await pipeline.listener()
    gateway = await pipeline.gateway(venue=venue, window_ms=WINDOW_MS)
    [name] = await pipeline.place(pipeline.terms(quantity=WHOLE))
    await pipeline.status(name, "open")
    await pipeline.control.house_order(pipeline.venue_symbol, "SELL", PART, price=PRICE)
    await pipeline.status(name, "partially_filled")
    held = proxy.hold(PLACE)
    wish = Amend(
        account=pipeline.account, client_order_id=name, revision=1, signal_time=datetime.now(UTC), quantity=WHOLE,
        price=PRICE - 1,
    )  # fmt: skip
    await pipeline.publish(wish)
    await held.arrived.wait()
    await pipeline.kill(gateway)
    await pipeline.gateway(1, window_ms=WINDOW_MS, claim_idle_ms=WINDOW_MS + 500)  # finds the amend claimed
    return name, held


async def test_a_place_that_arrived_after_all_is_found_and_is_the_order(proxy: Proxy, pipeline: Pipeline) -> None:
    """Nobody waits for its answer; its name tells whose it is, and what the first one executed counts."""
    name, held = await broken_off(pipeline, proxy)
    held.release()
    await pipeline.until(lambda: _amended(pipeline, name))
    order = await pipeline.order(name)
    assert (order.status, order.quantity, order.price) == ("partially_filled", WHOLE, PRICE - 1)
    await pipeline.control.house_order(pipeline.venue_symbol, "SELL", WHOLE, price=PRICE - 1)
    await pipeline.status(name, "filled")
    order = await pipeline.order(name)
    assert (order.state.filled, order.state.anomalies, len(order.state.venue_order_ids)) == (WHOLE, (), 2)
    await pipeline.quiet()
    assert not (await pipeline.audit()).defects


async def test_a_place_that_never_arrived_ends_the_order_with_what_it_executed(
    proxy: Proxy, pipeline: Pipeline
) -> None:
    """Only after its window and the horizon: absent, so the cancel was its end; the late request is refused."""
    name, held = await broken_off(pipeline, proxy)
    await pipeline.until(lambda: _ended_at_the_venue(pipeline))
    order = await pipeline.order(name)
    assert (order.status, order.live) == ("partially_filled", True)  # in doubt, whatever became of the first one
    await pipeline.status(name, "cancelled")
    order = await pipeline.order(name)
    assert (order.state.filled, order.amend, order.state.revision) == (PART, None, 0)
    held.release()
    await pipeline.until(lambda: any(TOO_LATE in one for one in proxy.answers))
    assert len(await pipeline.venue_orders()) == 1
    await pipeline.quiet()
    assert not (await pipeline.audit()).defects


async def _amended(pipeline: Pipeline, name: str) -> bool:
    return (await pipeline.order(name)).state.revision == 1


async def _ended_at_the_venue(pipeline: Pipeline) -> bool:
    [order] = await pipeline.venue_orders()
    return bool(order["status"] == "CANCELED")
