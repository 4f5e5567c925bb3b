"""The listener against the real server and the simulated venue: no frame is lost, no gap stays open."""

import asyncio
from typing import Any, Literal

import pytest

from adapters.simulated.faults import Faults
from adapters.venue import Rows
from consumers.listener import WATERMARK
from streams import codec
from streams.connection import connect
from tests.pipeline import Pipeline, Proxy, tasks_of


async def _open_order(pipeline: Pipeline) -> str:
    await pipeline.ledger()
    await pipeline.gateway()
    [name] = await pipeline.place(pipeline.terms())
    await pipeline.status(name, "open")
    return name


async def _watermark(pipeline: Pipeline) -> int:
    stored = await pipeline.redis.hget(pipeline.keys.control, WATERMARK)
    return int(stored or 0)


async def test_frames_are_stored_as_they_came_with_their_connection(pipeline: Pipeline) -> None:
    """Raw bytes, the format and which connection; the ledger makes an order's fill of them."""
    await pipeline.listener()
    name = await _open_order(pipeline)
    await pipeline.house("SELL", 1)
    await pipeline.status(name, "filled")
    rows: Any = await pipeline.redis.xrange(pipeline.keys.evidence)
    said = [(codec.decode_evidence(fields[b"data"]), fields.get(b"raw", b"")) for _, fields in rows]
    frames = [(one, raw) for one, raw in said if one.source == "stream" and b"executionReport" in raw]
    assert frames
    assert all(one.format == "binance.stream" and one.connection and name.encode() in raw for one, raw in frames)


@pytest.mark.parametrize("how", ["abort", "terminate"])
async def test_executions_during_a_gap_are_fetched_after_it(
    pipeline: Pipeline, how: Literal["abort", "terminate"]
) -> None:
    """The stream is cut, the order trades while nobody listens, and everything is there afterwards."""
    listener = await pipeline.listener()
    name = await _open_order(pipeline)
    await pipeline.control.cut_streams(pipeline.book, how)
    await pipeline.house("SELL", "0.3")
    await pipeline.house("SELL", "0.7")
    await pipeline.status(name, "filled")
    assert listener.gaps >= 1
    await pipeline.until(lambda: listener.current)
    await pipeline.agreed()


async def test_an_execution_whose_frame_went_down_with_its_connection_is_fetched(pipeline: Pipeline) -> None:
    """The frame itself is lost at the venue, as it happens."""
    listener = await pipeline.listener()
    name = await _open_order(pipeline)
    await pipeline.control.set_faults(Faults(stream_cut=1.0))
    await pipeline.house("SELL", "0.4")
    await pipeline.control.set_faults(Faults())
    await pipeline.status(name, "partially_filled")
    assert listener.backfilled >= 1


async def test_what_happened_while_no_listener_ran_is_fetched_from_the_watermark_on(pipeline: Pipeline) -> None:
    """The next start looks back to the last moment that was known to be whole."""
    listener = await pipeline.listener()
    name = await _open_order(pipeline)
    await pipeline.until(lambda: _watermark(pipeline))
    await pipeline.kill(listener)
    await pipeline.house("SELL", 1)
    await pipeline.listener()
    await pipeline.status(name, "filled")


async def test_the_watermark_stands_still_while_the_stream_is_down(pipeline: Pipeline) -> None:
    """It says how far everything is stored, and nothing is while nobody listens."""
    listener = await pipeline.listener()
    await pipeline.until(lambda: _watermark(pipeline))
    listener.current = False
    before = await _watermark(pipeline)
    start_ms = pipeline.clock.monotonic_ms()
    await pipeline.until(lambda: pipeline.clock.monotonic_ms() > start_ms + 1_300)
    assert await _watermark(pipeline) == before
    listener.current = True
    await pipeline.until(lambda: _moved(pipeline, before))


async def _moved(pipeline: Pipeline, before: int) -> bool:
    return await _watermark(pipeline) > before


async def test_frames_that_come_while_redis_is_away_are_stored_when_it_is_back(
    pipeline: Pipeline, caplog: pytest.LogCaptureFixture
) -> None:
    """Writes stand still for longer than the client waits; no execution is missing afterwards."""
    patient = connect(pipeline.url, name="listener-short", timeout_ms=100, single=False)
    listener = await pipeline.listener(redis=patient)
    name = await _open_order(pipeline)
    await pipeline.redis.client_pause(30_000, all=False)
    try:
        for quantity in ("0.1", "0.2", "0.7"):
            await pipeline.house("SELL", quantity)
        await pipeline.until(lambda: "frames wait for Redis" in caplog.text)
    finally:
        await pipeline.redis.client_unpause()
    await pipeline.status(name, "filled")
    await pipeline.agreed()
    await pipeline.drain(listener)
    await patient.aclose()


async def test_a_stop_stores_the_frames_at_hand(pipeline: Pipeline) -> None:
    """What was received is written before the listener ends."""
    listener = await pipeline.listener()
    name = await _open_order(pipeline)
    await pipeline.house("SELL", 1)
    await pipeline.until(lambda: listener.frames >= 3)
    await asyncio.wait_for(pipeline.drain(listener), 5)
    await pipeline.status(name, "filled")


async def test_a_venue_that_cannot_be_asked_leaves_the_gap_open_and_the_listener_trying(
    pipeline: Pipeline, caplog: pytest.LogCaptureFixture
) -> None:
    """`current` is said only when the gap is filled."""
    async with Proxy(pipeline.process.rest_url) as proxy:
        proxy.lookups_down = True
        listener = await pipeline.listener(venue=await pipeline.venue(rest_url=proxy.url), current=False)
        await pipeline.until(lambda: "the gap is still open" in caplog.text)
        assert not listener.current
        proxy.lookups_down = False
        await pipeline.until(lambda: listener.current)


async def test_a_cancelled_listener_leaves_no_task_behind(pipeline: Pipeline) -> None:
    """Its writers and its stream end with it; otherwise they go on with connections that were given back."""
    listener = await pipeline.listener()
    running = pipeline._tasks[listener]
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert [task for task in tasks_of(listener) if not task.cancelling()] == []


async def test_a_gap_is_filled_though_the_venue_adapter_failed_at_first(
    pipeline: Pipeline, caplog: pytest.LogCaptureFixture
) -> None:
    """An error that nobody foresaw is told, and the venue is asked again."""
    venue = await pipeline.venue()
    ask, failed = venue.orders_since, list[str]()

    async def fails_once(symbol: str, since_ms: int) -> Rows:
        if not failed:
            failed.append(symbol)
            raise KeyError("a field that is not there")
        return await ask(symbol, since_ms)

    venue.__dict__["orders_since"] = fails_once
    await pipeline.listener(venue=venue)  # waits until its gap is filled
    assert failed == [pipeline.symbol]
    assert "a field that is not there" in caplog.text
