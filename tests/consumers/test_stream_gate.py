"""From the loss of the private stream until what was missed is applied: new exposure waits, the rest goes on."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from adapters.simulated.process import SimulatedVenue
from consumers.commands.figures import read_figures
from consumers.gateway import Gateway
from consumers.listener import Listener
from streams import events
from streams.connection import connect
from tests.pipeline import Pipeline, Proxy
from tests.socket_proxy import SocketProxy


@pytest.fixture
async def stream(venue_process: SimulatedVenue) -> AsyncIterator[SocketProxy]:
    """The way of the private stream; ask for it before the pipeline."""
    async with SocketProxy(venue_process.ws_url) as made:
        yield made


async def _listening(pipeline: Pipeline, stream: SocketProxy, lease_ms: int = 5_000) -> tuple[Listener, Gateway]:
    await pipeline.ledger()
    listener = await pipeline.listener(venue=await pipeline.venue(ws_url=stream.url), lease_ms=lease_ms)
    await pipeline.until(lambda: listener.whole)
    return listener, await pipeline.gateway()


async def _reason(pipeline: Pipeline) -> str:
    reason: str = (await read_figures(pipeline.redis, pipeline.account))["stream"]["reason"]
    return reason


async def _lose(pipeline: Pipeline, stream: SocketProxy, listener: Listener) -> None:
    stream.down = True
    stream.cut()
    await pipeline.until(lambda: not listener.current)
    await pipeline.until(lambda: _reason(pipeline))


async def test_a_lost_stream_holds_new_exposure_and_lets_cancels_and_reduces_go(
    stream: SocketProxy, pipeline: Pipeline
) -> None:
    """What is held is neither refused nor forgotten: it goes out when the stream is whole again."""
    listener, gateway = await _listening(pipeline, stream)
    await pipeline.house("SELL", 2)
    [bought] = await pipeline.place(pipeline.terms(quantity=Decimal(2)))
    [resting] = await pipeline.place(pipeline.terms(price=Decimal(90)))
    await pipeline.status(bought, "filled")
    await pipeline.status(resting, "open")
    await pipeline.until(pipeline.store.positions)
    await _lose(pipeline, stream, listener)
    [held] = await pipeline.place(pipeline.terms(price=Decimal(91)))
    [oversized] = await pipeline.place(pipeline.terms(side="sell", quantity=Decimal(3), price=Decimal(110)))
    [reducing] = await pipeline.place(pipeline.terms(side="sell", quantity=Decimal("1.5"), price=Decimal(111)))
    await pipeline.publish_cancel(resting)
    await pipeline.status(reducing, "open")
    await pipeline.status(resting, "cancelled")
    await pipeline.until(lambda: gateway.held.waiting >= 2)
    assert {(await pipeline.order(one)).status for one in (held, oversized)} == {"created"}
    stream.down = False
    await pipeline.status(held, "open")
    await pipeline.status(oversized, "open")
    assert await _reason(pipeline) == ""
    await pipeline.agreed()


async def test_nothing_goes_out_before_the_ledger_has_applied_the_backfill(
    stream: SocketProxy, pipeline: Pipeline
) -> None:
    """Fetched is not applied: what the order would be judged by is still the state before the gap."""
    await pipeline.ledger()
    gateway = await pipeline.gateway()
    [resting] = await pipeline.place(pipeline.terms())
    await pipeline.status(resting, "open")
    listener = await pipeline.listener(venue=await pipeline.venue(ws_url=stream.url))
    await pipeline.until(lambda: listener.whole)
    await _lose(pipeline, stream, listener)
    for role in [one for one in pipeline._tasks if type(one).__name__ == "Ledger"]:
        await pipeline.kill(role)
    await pipeline.house("SELL", 1)
    stream.down = False
    await pipeline.until(lambda: listener.current)
    [held] = await pipeline.place(pipeline.terms(price=Decimal(90)))
    await pipeline.until(lambda: gateway.held.waiting)
    assert not listener.whole
    assert (await pipeline.order(held)).status == "created"
    await pipeline.ledger("another")
    await pipeline.status(held, "open")
    changes = await pipeline.journal()
    filled = next(at for at, one in enumerate(changes) if isinstance(one, events.Updated) and one.status == "filled")
    again = max(at for at, one in enumerate(changes) if isinstance(one, events.StreamWhole))
    claim = next(
        at for at, one in enumerate(changes) if isinstance(one, events.Claimed) and one.client_order_id == held
    )
    assert filled < again < claim


@pytest.mark.parametrize("when", ["while it is whole", "after its backfill, before it could say so"])
async def test_a_listener_that_dies_holds_new_exposure_until_another_one_is_there(
    stream: SocketProxy, pipeline: Pipeline, when: str
) -> None:
    """It could not say so; that it says nothing any more is enough."""
    listener, gateway = await _listening(pipeline, stream, lease_ms=1_000)
    if when != "while it is whole":
        hold = stream.down
        await _lose(pipeline, stream, listener)
        stream.down = hold
        await pipeline.until(lambda: listener.current)
    await pipeline.kill(listener)
    await pipeline.until(lambda: _reason(pipeline))
    [held] = await pipeline.place(pipeline.terms())
    await pipeline.until(lambda: gateway.held.waiting)
    assert (await pipeline.order(held)).status == "created"
    await pipeline.house("SELL", 1)
    await pipeline.listener()
    await pipeline.status(held, "filled")
    await pipeline.agreed()


async def test_a_backfill_that_the_venue_refuses_holds_new_exposure(stream: SocketProxy, pipeline: Pipeline) -> None:
    """The stream is up again, and nobody knows what was missed."""
    await pipeline.ledger()
    gateway = await pipeline.gateway()
    async with Proxy(pipeline.process.rest_url) as rest:
        listener = await pipeline.listener(venue=await pipeline.venue(ws_url=stream.url, rest_url=rest.url))
        await pipeline.until(lambda: listener.whole)
        rest.lookups_down = True
        stream.cut()
        await pipeline.until(lambda: rest.refused_lookups)
        [held] = await pipeline.place(pipeline.terms())
        await pipeline.until(lambda: gateway.held.waiting)
        assert (await pipeline.order(held)).status == "created"
        rest.lookups_down = False
        await pipeline.status(held, "open")


async def test_what_waits_past_its_validity_expires(stream: SocketProxy, pipeline: Pipeline) -> None:
    """A backlog after a gap must not trade on yesterday's signals."""
    listener, gateway = await _listening(pipeline, stream)
    await _lose(pipeline, stream, listener)
    soon = datetime.now(UTC) + timedelta(seconds=1)
    [held] = await pipeline.place(pipeline.terms(valid_until=soon))
    await pipeline.until(lambda: gateway.held.waiting and datetime.now(UTC) > soon)
    stream.down = False
    await pipeline.status(held, "expired")
    await pipeline.quiet()
    assert await pipeline.venue_orders() == []


async def test_a_loss_that_redis_hears_late_is_that_of_the_lost_connection(
    stream: SocketProxy, pipeline: Pipeline, caplog: pytest.LogCaptureFixture
) -> None:
    """Another one is open by then, and becomes whole."""
    caplog.set_level("INFO", "fillonce.listener")
    patient = connect(pipeline.url, name="listener-short", timeout_ms=100, single=False)
    await pipeline.ledger()
    listener = await pipeline.listener(venue=await pipeline.venue(ws_url=stream.url), redis=patient)
    await pipeline.until(lambda: listener.whole)
    first = listener._connection
    await pipeline.redis.client_pause(30_000, all=False)
    try:
        stream.cut()
        await pipeline.until(lambda: "a loss is not yet told" in caplog.text)
        await pipeline.until(
            lambda: listener._connection != first
            and f"subscribed by connection {listener._connection}" in caplog.text
        )  # fmt: skip
    finally:
        await pipeline.redis.client_unpause()
    await pipeline.until(lambda: listener.whole)
    await pipeline.drain(listener)
    await patient.aclose()


async def test_a_listener_that_stops_in_order_says_so(stream: SocketProxy, pipeline: Pipeline) -> None:
    """Nobody has to wait for its lease to end."""
    listener, _ = await _listening(pipeline, stream)
    await pipeline.drain(listener)
    assert await _reason(pipeline) == "the listener was stopped"
