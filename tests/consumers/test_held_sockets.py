"""Between gateway and venue by websocket: an answer that is cut, a request that is held up, a socket that is gone."""

from collections.abc import AsyncIterator

import pytest

from adapters.simulated.process import SimulatedVenue
from adapters.venue import Answer, Venue, Window
from streams.events import Claimed
from streams.schemas import Order
from tests.pipeline import Pipeline, identities
from tests.socket_proxy import SocketProxy
from tests.support import wait_until_async

PLACE = b'"order.place"'
WINDOW_MS, REQUEST_MS = 400, 250


@pytest.fixture
async def proxy(venue_process: SimulatedVenue) -> AsyncIterator[SocketProxy]:
    """The way of the orders; ask for it before the pipeline."""
    async with SocketProxy(venue_process.ws_url) as made:
        yield made


async def _roles(pipeline: Pipeline, venue: Venue) -> None:
    await pipeline.ledger()
    await pipeline.resolver(window_ms=WINDOW_MS)
    await pipeline.listener()
    await pipeline.gateway(venue=venue, window_ms=WINDOW_MS, claim_idle_ms=WINDOW_MS + 500)


async def _claims(pipeline: Pipeline) -> list[Claimed]:
    return [one for one in await pipeline.journal() if isinstance(one, Claimed)]


async def test_an_order_whose_answer_was_cut_is_found_and_was_sent_once(proxy: SocketProxy, pipeline: Pipeline) -> None:
    """Unknown first, then open by what the venue says."""
    await _roles(pipeline, await pipeline.venue(order_url=proxy.url))
    proxy.cut_answer(PLACE)
    [name] = await pipeline.place(pipeline.terms())
    await pipeline.status(name, "open")
    assert proxy.count(PLACE) == 1
    assert identities(await pipeline.venue_orders()) == [name]
    assert len(await _claims(pipeline)) == 1
    assert not (await pipeline.audit()).defects


async def test_a_gateway_held_up_after_signing_makes_one_order(proxy: SocketProxy, pipeline: Pipeline) -> None:
    """Its request reaches the venue when the second claim was decided, and is refused as too late."""
    await _roles(pipeline, await pipeline.venue(order_url=proxy.url, request_ms=REQUEST_MS))
    held = proxy.hold(PLACE)
    [name] = await pipeline.place(pipeline.terms())
    await held.arrived.wait()
    await pipeline.status(name, "open")
    held.release()
    await pipeline.until(lambda: any(b"-1021" in one for one in proxy.answers))
    await pipeline.quiet()
    assert identities(await pipeline.venue_orders()) == [name]
    claims = await _claims(pipeline)
    assert len({one.token for one in claims}) == len(claims) == 2
    assert not (await pipeline.audit()).defects


class HeldUp:
    """An account whose first command waits, between the claim and the signature, until its window has closed."""

    def __init__(self, venue: Venue, pipeline: Pipeline) -> None:
        self.facts, self.clock_offset_ms = venue.facts, venue.clock_offset_ms
        self.windows: list[Window] = []
        self._venue, self._pipeline = venue, pipeline

    async def submit(self, order: Order, window: Window) -> Answer:
        """Wait once."""
        self.windows.append(window)
        if len(self.windows) == 1:
            await wait_until_async(lambda: self._pipeline.server_clock.now_ms() > window.send_by_ms)
        return await self._venue.submit(order, window)


async def test_a_gateway_held_up_before_signing_sends_nothing_until_it_claims_again(
    proxy: SocketProxy, pipeline: Pipeline
) -> None:
    """The window is the first claim's; what goes out in the end carries the second claim's."""
    held = HeldUp(await pipeline.venue(order_url=proxy.url), pipeline)
    await _roles(pipeline, held)  # type: ignore[arg-type]  # a gateway only submits
    [name] = await pipeline.place(pipeline.terms())
    await pipeline.status(name, "open")
    assert len(held.windows) == 2
    [sent] = [one for one in proxy.seen if PLACE in one]
    assert str(held.windows[0].opened_at_ms).encode() not in sent
    assert identities(await pipeline.venue_orders()) == [name]
    assert not (await pipeline.audit()).defects


async def test_while_the_socket_is_down_orders_go_by_rest_under_the_same_claim(
    proxy: SocketProxy, pipeline: Pipeline
) -> None:
    """One claim, one token, one order."""
    proxy.down = True
    await _roles(pipeline, await pipeline.venue(order_url=proxy.url))
    [name] = await pipeline.place(pipeline.terms())
    await pipeline.status(name, "open")
    assert proxy.seen == []
    assert identities(await pipeline.venue_orders()) == [name]
    assert len(await _claims(pipeline)) == 1
    assert not (await pipeline.audit()).defects
