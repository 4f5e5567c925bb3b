"""An execution at every step of losing the private stream and coming back: none is lost, none counts twice."""

from collections.abc import AsyncIterator, Awaitable, Callable
from decimal import Decimal

import pytest

from adapters.binance.venue import BinanceVenue
from adapters.simulated.process import SimulatedVenue
from adapters.sockets import Pace
from consumers.listener import Listener
from streams.schemas import Order
from tests.pipeline import Pipeline
from tests.proxy import Proxy
from tests.socket_proxy import SocketProxy

SUBSCRIBE, ORDERS, TRADES = b"userDataStream.subscribe", b"GET /api/v3/allOrders", b"GET /api/v3/myTrades"
STEPS = (
    "while it is live",
    "while it is down",
    "connected, before the subscription",
    "subscribed, before the acknowledgement",
    "before the orders are asked for",
    "between the orders and the trades",
    "when the backfill is done",
)

Trade = Callable[[str], Awaitable[None]]


@pytest.fixture
async def stream(venue_process: SimulatedVenue) -> AsyncIterator[SocketProxy]:
    """The way of the private stream; ask for it before the pipeline."""
    async with SocketProxy(venue_process.ws_url) as made:
        yield made


@pytest.fixture
async def rest(venue_process: SimulatedVenue) -> AsyncIterator[Proxy]:
    """The way of the backfill, likewise."""
    async with Proxy.venue(venue_process.rest_url) as made:
        yield made


async def _listen(pipeline: Pipeline, stream: SocketProxy, rest: Proxy) -> tuple[Listener, str]:
    """A resting order of seven, and nobody but the listener who could learn of its executions."""
    listener = await pipeline.listener(venue=await pipeline.venue(ws_url=stream.url, rest_url=rest.url))
    await pipeline.ledger()
    await pipeline.gateway()
    [name] = await pipeline.place(pipeline.terms(quantity=Decimal(len(STEPS))))
    await pipeline.status(name, "open")
    return listener, name


async def _lose_and_come_back(
    pipeline: Pipeline, stream: SocketProxy, rest: Proxy, listener: Listener, trade: Trade
) -> None:
    """Go through the steps, one by one; `trade` is told of each."""
    subscription, acknowledgement = stream.hold(SUBSCRIBE), stream.hold_answer(SUBSCRIBE)
    orders, trades = rest.hold(ORDERS), rest.hold(TRADES)
    await trade("while it is live")
    stream.down = True
    stream.cut()
    await pipeline.until(lambda: not listener.current)
    await trade("while it is down")
    stream.down = False
    await subscription.arrived.wait()
    await trade("connected, before the subscription")
    subscription.release()
    await acknowledgement.arrived.wait()
    await trade("subscribed, before the acknowledgement")
    acknowledgement.release()
    await orders.arrived.wait()
    await trade("before the orders are asked for")
    orders.release()
    await trades.arrived.wait()
    await trade("between the orders and the trades")
    trades.release()
    await pipeline.until(lambda: listener.current)
    await trade("when the backfill is done")


async def test_an_execution_at_each_step_counts_once(stream: SocketProxy, rest: Proxy, pipeline: Pipeline) -> None:
    """Seven steps, seven executions, an order of seven."""
    listener, name = await _listen(pipeline, stream, rest)
    seen: list[str] = []

    async def trade(step: str) -> None:
        seen.append(step)
        await pipeline.house("SELL", 1)

    await _lose_and_come_back(pipeline, stream, rest, listener, trade)
    assert tuple(seen) == STEPS
    await pipeline.status(name, "filled")
    await pipeline.agreed()
    assert len(await pipeline.applied()) == len(STEPS)


@pytest.mark.parametrize("step", STEPS)
async def test_an_execution_at_one_step_alone_is_not_lost(
    stream: SocketProxy, rest: Proxy, pipeline: Pipeline, step: str
) -> None:
    """No later report of the same order helps to find it."""
    listener, name = await _listen(pipeline, stream, rest)

    async def trade(reached: str) -> None:
        if reached == step:
            await pipeline.house("SELL", 1)

    await _lose_and_come_back(pipeline, stream, rest, listener, trade)
    await pipeline.status(name, "partially_filled")
    await pipeline.until(lambda: _filled(pipeline, name))
    assert len(await pipeline.applied()) == 1


async def test_a_stream_that_falls_silent_is_cut_and_counted_as_a_gap(
    stream: SocketProxy, rest: Proxy, pipeline: Pipeline
) -> None:
    """The connection stands and says nothing; what happened meanwhile is fetched."""
    venue = await pipeline.venue(ws_url=stream.url, rest_url=rest.url)
    assert isinstance(venue, BinanceVenue)
    venue.pace = Pace(silence_ms=300, close_ms=100)
    listener = await pipeline.listener(venue=venue)
    await pipeline.ledger()
    await pipeline.gateway()
    [name] = await pipeline.place(pipeline.terms())
    await pipeline.status(name, "open")
    gaps = listener.gaps
    stream.mute()
    await pipeline.house("SELL", 1)
    await pipeline.status(name, "filled")
    assert listener.gaps == gaps + 1
    await pipeline.until(lambda: listener.current)
    await pipeline.agreed()


async def _filled(pipeline: Pipeline, name: str) -> bool:
    order: Order = await pipeline.order(name)
    return order.state.filled == 1
