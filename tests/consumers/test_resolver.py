"""The resolver against the real server and the simulated venue: nothing waits without an owner, nothing is guessed."""

import asyncio
from decimal import Decimal
from typing import Any, cast

import pytest

from adapters.venue import Rows, Venue
from consumers.folding import Rules
from streams import events
from streams.clock import SystemClock
from streams.keys import GATEWAYS
from streams.producer import FIRST_LOOK_MS
from streams.reader import Reader
from streams.schemas import Cancel, Order
from tests.flow import soon
from tests.pipeline import CLOCK_MS, LAG_MS, LIFETIME_MS, THROTTLED, Pipeline, Proxy, identities

WINDOW_MS = 300


class Stopped(SystemClock):
    """A clock that stands still until it is moved."""

    at_ms = 1

    def monotonic_ms(self) -> int:
        """As far as it was moved."""
        return self.at_ms


async def _unknown(pipeline: Pipeline, proxy: Proxy, **changes: Any) -> str:
    """An order whose request was answered with a 503 and never reached the venue."""
    proxy.orders_down = True
    await pipeline.gateway(venue=await pipeline.venue(rest_url=proxy.url), window_ms=WINDOW_MS)
    [name] = await pipeline.place(pipeline.terms(**changes))
    await pipeline.status(name, "unknown")
    return name


async def test_an_order_lost_before_the_venue_is_proven_absent_and_sent_once_more(pipeline: Pipeline) -> None:
    """R2: after the horizon, with every look-up answered; then there is exactly one."""
    async with Proxy(pipeline.process.rest_url) as proxy:
        await pipeline.ledger()
        name = await _unknown(pipeline, proxy)
        first = (await pipeline.order(name)).token
        proxy.orders_down = False
        resolver = await pipeline.resolver()
        order = await pipeline.status(name, "open")
        assert order.token != first
        assert resolver.absent == 1
        assert identities(await pipeline.venue_orders()) == [name]


async def test_before_the_horizon_absence_is_never_written(pipeline: Pipeline) -> None:
    """R2: however often the venue says that there is no such order."""
    async with Proxy(pipeline.process.rest_url) as proxy:
        await pipeline.ledger()
        name = await _unknown(pipeline, proxy)
        resolver = await pipeline.resolver(venue=await pipeline.venue(lag_ms=600_000))
        await pipeline.until(lambda: resolver.asked >= 5)
        assert resolver.absent == 0
        assert (await pipeline.order(name)).status == "unknown"


async def test_a_venue_that_answers_5xx_to_look_ups_leaves_the_order_unknown(pipeline: Pipeline) -> None:
    """Could not ask is never evidence; when it can be asked, the order is found where it was all the time."""
    async with Proxy(pipeline.process.rest_url) as proxy:
        await pipeline.ledger()
        name = await _unknown(pipeline, proxy)
        proxy.lookups_down = True
        resolver = await pipeline.resolver(venue=await pipeline.venue(rest_url=proxy.url))
        await pipeline.until(lambda: resolver.could_not_ask >= 5)
        horizon_ms = (await pipeline.order(name)).send_by_ms + LIFETIME_MS + LAG_MS + CLOCK_MS
        await pipeline.until(lambda: pipeline.server_clock.now_ms() > horizon_ms)
        asked = resolver.could_not_ask
        await pipeline.until(lambda: resolver.could_not_ask >= asked + 2)
        assert resolver.absent == 0
        assert (await pipeline.order(name)).status == "unknown"
        proxy.lookups_down = proxy.orders_down = False
        await pipeline.status(name, "open")


async def test_a_venue_that_wants_to_be_left_alone_is_not_asked_before(pipeline: Pipeline) -> None:
    """What is due is swept as ever; of nothing the venue is asked until its time is over."""
    async with Proxy(pipeline.process.rest_url) as proxy:
        await pipeline.ledger()
        name = await _unknown(pipeline, proxy)
        proxy.lookups_down, proxy.orders_down, proxy.down = True, False, THROTTLED
        resolver = await pipeline.resolver(venue=await pipeline.venue(rest_url=proxy.url), start=False)
        resolver._clock = clock = Stopped()

        async def due() -> None:
            await pipeline.redis.zadd(pipeline.keys.live, {name: 0})
            await resolver.sweep()

        await due()
        assert (resolver.asked, resolver.could_not_ask) == (1, 1)
        for _ in range(3):
            await due()
        assert resolver.asked == 1
        clock.at_ms += 1_000
        await due()
        assert resolver.asked == 2


async def test_an_order_that_nobody_can_ask_about_keeps_no_other_from_being_asked_about(
    pipeline: Pipeline, caplog: pytest.LogCaptureFixture
) -> None:
    """A defect that meets one of them is counted and told; the resolver goes on."""

    class Defective:
        def __init__(self, venue: Any) -> None:
            self._venue = venue

        def __getattr__(self, name: str) -> Any:
            return getattr(self._venue, name)

        async def find(self, order: Order) -> Rows:
            """Fail for one of them."""
            if order.client_order_id == names[0]:
                raise KeyError(order.client_order_id)
            return cast("Rows", await self._venue.find(order))

    await pipeline.ledger()
    gateway = await pipeline.gateway()
    names = await pipeline.place(*(pipeline.terms(price=Decimal(90 - number)) for number in range(2)))
    for name in names:
        await pipeline.status(name, "open")
    await pipeline.drain(gateway)
    resolver = await pipeline.resolver(venue=cast("Venue", Defective(await pipeline.venue())))
    await pipeline.redis.zadd(pipeline.keys.live, dict.fromkeys(names, 0))
    await pipeline.until(lambda: resolver.could_not_ask >= 2)
    await pipeline.until(lambda: resolver.asked > resolver.could_not_ask)
    assert any("KeyError" in one.message for one in caplog.records)


async def test_a_venue_that_does_not_know_our_key_leaves_the_order_unknown(pipeline: Pipeline) -> None:
    """A refused look-up is no answer either."""
    async with Proxy(pipeline.process.rest_url) as proxy:
        await pipeline.ledger()
        name = await _unknown(pipeline, proxy)
        resolver = await pipeline.resolver(venue=await pipeline.venue(secret="f" * 64))
        await pipeline.until(lambda: resolver.could_not_ask >= 3)
        assert (await pipeline.order(name)).status == "unknown"


async def test_a_lost_order_past_its_validity_expires(pipeline: Pipeline) -> None:
    """It is not sent again."""
    async with Proxy(pipeline.process.rest_url) as proxy:
        await pipeline.ledger()
        name = await _unknown(pipeline, proxy, signal_time=soon(-10), valid_until=soon(0.6))
        proxy.orders_down = False
        await pipeline.resolver()
        await pipeline.status(name, "expired")
        assert await pipeline.venue_orders() == []


async def test_an_intent_that_waits_expires_when_it_is_due(pipeline: Pipeline) -> None:
    """Long before the first look at it would come, which is for entries that were lost."""
    await pipeline.gateway()
    await pipeline.resolver()
    await pipeline.scripts.halt("halt", "why", "me")
    [name] = await pipeline.place(pipeline.terms(signal_time=soon(-10), valid_until=soon(0.6)))
    order = await pipeline.status(name, "expired", timeout_s=FIRST_LOOK_MS / 2_000)
    assert order.refusal == "valid_until passed before it was sent"


async def test_a_question_that_takes_long_holds_up_nothing_else(pipeline: Pipeline) -> None:
    """A list may wait a minute for the venue's request budget; what is due meanwhile is dealt with."""
    async with Proxy(pipeline.process.rest_url) as proxy:
        await pipeline.ledger()
        name = await _unknown(pipeline, proxy)
        proxy.orders_down = False
        slow = Slow(await pipeline.venue())
        resolver = await pipeline.resolver(venue=slow)
        await pipeline.until(lambda: resolver.asked)
        await pipeline.scripts.halt("halt", "why", "me")
        [other] = await pipeline.place(pipeline.terms(signal_time=soon(-10), valid_until=soon(0.6)))
        await pipeline.status(other, "expired")
        assert (await pipeline.order(name)).status == "unknown"
        await pipeline.scripts.halt("resume", "why", "me")
        slow.answers.set()
        await pipeline.status(name, "open")


class Slow:
    """A venue that answers questions about one order when it may."""

    def __init__(self, venue: Any) -> None:
        self.answers, self._venue = asyncio.Event(), venue

    def __getattr__(self, name: str) -> Any:
        return getattr(self._venue, name)

    async def find(self, order: Order) -> Rows:
        """Wait."""
        await self.answers.wait()
        found: Rows = await self._venue.find(order)
        return found


async def test_a_lost_order_whose_cancel_was_requested_ends_cancelled(pipeline: Pipeline) -> None:
    """Proven absent, it is not sent again only to be cancelled."""
    async with Proxy(pipeline.process.rest_url) as proxy:
        await pipeline.ledger()
        name = await _unknown(pipeline, proxy)
        await pipeline.publish(Cancel(account=pipeline.account, client_order_id=name))
        await pipeline.until(lambda: _cancel_requested(pipeline, name))
        proxy.orders_down = False
        await pipeline.resolver()
        await pipeline.status(name, "cancelled")
        assert await pipeline.venue_orders() == []


async def test_where_a_repeat_is_not_safe_a_lost_order_is_rejected_as_lost(pipeline: Pipeline) -> None:
    """R2: the strategy decides what follows."""
    async with Proxy(pipeline.process.rest_url) as proxy:
        ledger = await pipeline.ledger(start=False)
        ledger._settings = type(ledger._settings)(
            holder="careful", lease_ms=3_000, rules=Rules(resubmission_allowed=False, calm_ms=1_000)
        )
        pipeline._start(ledger)
        name = await _unknown(pipeline, proxy)
        proxy.orders_down = False
        await pipeline.resolver()
        order = await pipeline.status(name, "rejected")
        assert order.reason == "lost"
        assert await pipeline.venue_orders() == []


async def test_an_unknown_order_that_filled_is_found_with_its_executions(pipeline: Pipeline) -> None:
    """No stream, no answer: the look-up alone tells status and fills."""
    async with Proxy(pipeline.process.rest_url) as proxy:
        await pipeline.house("SELL", 1)
        await pipeline.ledger()
        proxy.hold.clear()
        gateway = await pipeline.gateway(venue=await pipeline.venue(rest_url=proxy.url), window_ms=2_000)
        [name] = await pipeline.place(pipeline.terms())
        await pipeline.until(lambda: proxy.held == 1)
        await pipeline.kill(gateway)
        proxy.hold.set()
        await pipeline.until(pipeline.venue_orders)
        await pipeline.resolver()
        order = await pipeline.status(name, "filled")
        assert order.state.filled == 1
        assert order.state.anomalies == ()


async def test_executions_that_nobody_heard_are_fetched_for_an_order_in_good_standing(pipeline: Pipeline) -> None:
    """Without any stream an open order is looked at now and then; what it did meanwhile comes with it."""
    await pipeline.ledger()
    await pipeline.gateway()
    await pipeline.resolver()
    [name] = await pipeline.place(pipeline.terms())
    await pipeline.status(name, "open")
    await pipeline.house("SELL", "0.4")
    order = await pipeline.status(name, "partially_filled")
    assert str(order.state.filled) == "0.4"
    await pipeline.house("SELL", "0.6")
    await pipeline.status(name, "filled")


@pytest.mark.parametrize("how", ["acknowledged by hand", "deleted"])
async def test_an_order_whose_entry_was_lost_is_queued_again(pipeline: Pipeline, how: str) -> None:
    """R8: XACK by hand or XDEL of the entry; the order is sent once all the same."""
    [name] = await pipeline.place(pipeline.terms())
    entry = (await pipeline.order(name)).entry
    reader = Reader(
        pipeline.redis, pipeline.keys.intents, GATEWAYS, "careless", count=10, claim_idle_ms=60_000,
        clock=pipeline.clock,
    )  # fmt: skip
    assert len([one async for one in reader.batches(burst=True)]) == 1
    if how == "deleted":
        await pipeline.redis.xdel(pipeline.keys.intents, entry)
    else:
        await pipeline.redis.xack(pipeline.keys.intents, GATEWAYS, entry)
    await pipeline.redis.zadd(pipeline.keys.live, {name: 0})  # its first look is due
    await asyncio.gather(pipeline.ledger(), pipeline.gateway(), pipeline.resolver())
    await pipeline.status(name, "open")
    assert identities(await pipeline.venue_orders()) == [name]
    assert [type(one) for one in await pipeline.journal()].count(events.Queued) == 1


async def test_a_cancel_that_met_an_order_in_flight_acts_when_it_is_open(pipeline: Pipeline) -> None:
    """R8: the cancel waits for the outcome, then it is sent."""
    async with Proxy(pipeline.process.rest_url) as proxy:
        await pipeline.ledger()
        await pipeline.resolver()
        await pipeline.gateway(venue=await pipeline.venue(rest_url=proxy.url))
        proxy.hold.clear()
        [name] = await pipeline.place(pipeline.terms())
        await pipeline.until(lambda: proxy.held == 1)
        await pipeline.publish(Cancel(account=pipeline.account, client_order_id=name))
        await pipeline.until(lambda: _cancel_requested(pipeline, name))
        assert await pipeline.venue_orders() == []
        proxy.hold.set()
        await pipeline.status(name, "cancelled")
        assert [one["status"] for one in await pipeline.venue_orders()] == ["CANCELED"]


async def test_an_order_that_waits_for_nobody_is_not_asked_about(pipeline: Pipeline) -> None:
    """Finished orders cost no look-ups."""
    await pipeline.house("SELL", 1)
    await pipeline.ledger()
    await pipeline.gateway()
    [name] = await pipeline.place(pipeline.terms())
    await pipeline.status(name, "filled")
    resolver = await pipeline.resolver(start=False)
    assert not await resolver.sweep()
    assert resolver.asked == 0


async def _cancel_requested(pipeline: Pipeline, name: str) -> bool:
    return (await pipeline.order(name)).cancel_requested
