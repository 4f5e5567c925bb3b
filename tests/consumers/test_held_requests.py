"""Between gateway and venue: an answer that is cut, and a request that arrives after its window."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from adapters.binance.venue import BinanceVenue
from adapters.simulated.process import SimulatedVenue
from adapters.venue import Venue, Window
from streams.events import Claimed
from streams.keys import GATEWAYS
from streams.schemas import Accepted, NotSent, Order, Unknown
from streams.script_loader import load
from tests.flow import soon
from tests.pipeline import Pipeline, identities
from tests.proxy import Proxy

PLACE, CANCEL, LOOKUP = b"POST /api/v3/order", b"DELETE /api/v3/order", b"GET /api/v3/order?"
TOO_LATE = b"-1021"
WINDOW_MS, REQUEST_MS = 400, 250


@pytest.fixture
async def proxy(venue_process: SimulatedVenue) -> AsyncIterator[Proxy]:
    """A way to the venue that outlives the roles which use it; ask for it before the pipeline."""
    async with Proxy.venue(venue_process.rest_url) as made:
        yield made


@pytest.fixture
async def redis_proxy(redis_url: str) -> AsyncIterator[Proxy]:
    """A way to Redis, likewise."""
    async with Proxy.redis(redis_url) as made:
        yield made


async def _order(pipeline: Pipeline, signal_id: str = "direct", window_ms: int = 5_000) -> tuple[Order, Window]:
    """An order to submit by hand, and a window from now."""
    [name] = await pipeline.place(pipeline.terms(signal_id=signal_id))
    now_ms = pipeline.server_clock.now_ms()
    return await pipeline.order(name), Window(now_ms, now_ms + window_ms)


async def _roles(pipeline: Pipeline, venue: Venue) -> None:
    """A gateway whose requests go through the proxy; everything else asks the venue itself. New exposure may go out."""
    await pipeline.ledger()
    await pipeline.resolver(window_ms=WINDOW_MS)
    listener = await pipeline.listener()
    await pipeline.until(lambda: listener.whole)
    await pipeline.gateway(venue=venue, window_ms=WINDOW_MS, claim_idle_ms=WINDOW_MS + 500)


async def test_an_order_whose_answer_was_cut_is_unknown_and_was_sent_once(proxy: Proxy, pipeline: Pipeline) -> None:
    """Nothing is sent a second time, on a new connection or on one that has served before."""
    venue = await pipeline.venue(rest_url=proxy.url)
    assert isinstance(venue, BinanceVenue)
    proxy.cut_answer(PLACE)
    answer = await venue.submit(*await _order(pipeline))
    assert isinstance(answer.outcome, Unknown)
    assert proxy.count(PLACE) == 1
    assert len(await pipeline.venue_orders()) == 1


async def test_a_cancel_whose_answer_was_cut_is_unknown_and_was_sent_once(proxy: Proxy, pipeline: Pipeline) -> None:
    """The HTTP client counts DELETE among the methods it may repeat by itself; a cancel is not one of them."""
    venue = await pipeline.venue(rest_url=proxy.url)
    order, window = await _order(pipeline)
    assert isinstance((await venue.submit(order, window)).outcome, Accepted)
    proxy.cut_answer(CANCEL)
    answer = await venue.cancel(order, window)
    assert proxy.count(CANCEL) == 1
    assert isinstance(answer.outcome, Unknown)


async def test_a_connection_that_was_cut_before_the_request_is_not_taken_for_a_refusal(
    proxy: Proxy, pipeline: Pipeline
) -> None:
    """The bytes had left as far as the client knows, so the order is unknown; the venue never had it."""
    venue = await pipeline.venue(rest_url=proxy.url)
    proxy.drop(PLACE)
    answer = await venue.submit(*await _order(pipeline))
    assert isinstance(answer.outcome, Unknown)
    assert proxy.count(PLACE) == 0
    assert await pipeline.venue_orders() == []


async def test_a_request_held_past_its_window_is_refused_by_the_venue(proxy: Proxy, pipeline: Pipeline) -> None:
    """Its client has given up by then; the venue says -1021 to nobody, and there is no order."""
    venue = await pipeline.venue(rest_url=proxy.url, request_ms=REQUEST_MS)
    order, window = await _order(pipeline, window_ms=WINDOW_MS)
    held = proxy.hold(PLACE)
    assert isinstance((await venue.submit(order, window)).outcome, Unknown)
    await pipeline.until(lambda: pipeline.server_clock.now_ms() > window.send_by_ms)
    held.release()
    await pipeline.until(lambda: any(TOO_LATE in one for one in proxy.answers))
    assert proxy.count(PLACE) == 1
    assert await pipeline.venue_orders() == []


async def test_a_window_that_closed_before_the_write_sends_nothing(proxy: Proxy, pipeline: Pipeline) -> None:
    """The last check stands before the write, so the proxy never sees the request."""
    venue = await pipeline.venue(rest_url=proxy.url)
    order, window = await _order(pipeline)
    answer = await venue.submit(order, Window(window.opened_at_ms - 1_000, window.opened_at_ms - 500))
    assert isinstance(answer.outcome, NotSent)
    assert [one for one in proxy.seen if PLACE in one] == []


async def test_the_pipeline_finds_an_order_whose_answer_was_cut(proxy: Proxy, pipeline: Pipeline) -> None:
    """Unknown first, then open by what the venue says; one request, one order."""
    await _roles(pipeline, await pipeline.venue(rest_url=proxy.url))
    proxy.cut_answer(PLACE)
    [name] = await pipeline.place(pipeline.terms())
    await pipeline.status(name, "open")
    await pipeline.until(lambda: _seen_unknown(pipeline))
    assert proxy.count(PLACE) == 1
    assert identities(await pipeline.venue_orders()) == [name]
    assert not (await pipeline.audit()).defects


async def test_an_order_whose_request_was_held_past_its_window_is_sent_again_once(
    proxy: Proxy, pipeline: Pipeline
) -> None:
    """The held request reaches the venue after the second one was decided, and is refused: one order."""
    await _roles(pipeline, await pipeline.venue(rest_url=proxy.url, request_ms=REQUEST_MS))
    held = proxy.hold(PLACE)
    [name] = await pipeline.place(pipeline.terms())
    await held.arrived.wait()
    await pipeline.status(name, "open")
    held.release()
    await pipeline.until(lambda: any(TOO_LATE in one for one in proxy.answers))
    assert proxy.count(PLACE) == 2
    await pipeline.quiet()
    assert identities(await pipeline.venue_orders()) == [name]
    claims = [one for one in await pipeline.journal() if isinstance(one, Claimed)]
    assert len({one.token for one in claims}) == len(claims) == 2
    assert not (await pipeline.audit()).defects


async def test_an_order_whose_signal_expired_while_its_request_was_held_is_not_sent_again(
    proxy: Proxy, pipeline: Pipeline
) -> None:
    """It ends as expired; the held request is refused, because its window ended with the signal."""
    await _roles(pipeline, await pipeline.venue(rest_url=proxy.url, request_ms=REQUEST_MS))
    held = proxy.hold(PLACE)
    [name] = await pipeline.place(pipeline.terms(valid_until=soon(0.3)))
    await held.arrived.wait()
    await pipeline.status(name, "expired")
    held.release()
    await pipeline.until(lambda: any(TOO_LATE in one for one in proxy.answers))
    await pipeline.quiet()
    assert proxy.count(PLACE) == 1
    assert await pipeline.venue_orders() == []
    assert not (await pipeline.audit()).defects


async def test_a_claim_whose_answer_was_cut_is_repeated_with_its_token(redis_proxy: Proxy, pipeline: Pipeline) -> None:
    """The gateway gets its first claim again and sends within the first window; nothing becomes unknown."""
    claim = load("claim").sha.encode()
    direct, pipeline.url = pipeline.url, redis_proxy.url
    await pipeline.gateway(window_ms=WINDOW_MS * 10)
    pipeline.url = direct
    redis_proxy.cut_answer(claim)
    [name] = await pipeline.place(pipeline.terms())
    await pipeline.until(lambda: redis_proxy.count(claim) == 2)
    await pipeline.until(pipeline.venue_orders, 2)
    assert identities(await pipeline.venue_orders()) == [name]
    assert len([one for one in await pipeline.journal() if isinstance(one, Claimed)]) == 1


async def test_a_settle_whose_answer_was_cut_is_repeated_and_stands_once(
    redis_proxy: Proxy, pipeline: Pipeline
) -> None:
    """The gateway settles until Redis answers: one piece of evidence, one order, nothing pending."""
    settle = load("settle").sha.encode()
    direct, pipeline.url = pipeline.url, redis_proxy.url
    await pipeline.gateway()
    pipeline.url = direct
    redis_proxy.cut_answer(settle)
    await pipeline.place(pipeline.terms())
    await pipeline.until(lambda: redis_proxy.count(settle) == 2 and len(redis_proxy.swallowed) == 1)
    await pipeline.until(lambda: _settled(pipeline))
    assert await pipeline.redis.xlen(pipeline.keys.evidence) == 1
    assert await pipeline.pending(pipeline.keys.intents, GATEWAYS) == 0


async def _settled(pipeline: Pipeline) -> bool:
    return await pipeline.redis.xlen(pipeline.keys.evidence) > 0


async def _seen_unknown(pipeline: Pipeline) -> bool:
    rows: Any = await pipeline.redis.xrange(pipeline.keys.evidence)
    return any(b'"type":"unknown"' in fields[b"data"] for _, fields in rows)
