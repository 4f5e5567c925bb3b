"""Which clock decides what: windows do not follow the wall clock, and a venue's clock far off stops trading."""

from decimal import Decimal

import pytest

from adapters.binance.venue import BinanceVenue
from streams.clock import SystemClock
from streams.schemas import Cancel
from streams.server_clock import ServerClock
from tests.pipeline import PRICE, Pipeline

HOUR_MS = 3_600_000
FAR_MS = 25_000  # above a third of the longest window


class Stepped(SystemClock):
    """The machine's clocks, with a wall clock that somebody sets."""

    def __init__(self) -> None:
        self.stepped_ms = 0

    def now_ns(self) -> int:
        """Wall clock, wherever it was set to."""
        return super().now_ns() + self.stepped_ms * 1_000_000


@pytest.fixture
def stepped(pipeline: Pipeline) -> Stepped:
    """A pipeline whose processes have this clock."""
    clock = Stepped()
    pipeline.clock, pipeline.server_clock = clock, ServerClock(clock)
    return clock


@pytest.mark.parametrize("step_ms", [HOUR_MS, -HOUR_MS])
async def test_a_wall_clock_that_is_set_in_mid_run_changes_nothing(
    pipeline: Pipeline, stepped: Stepped, step_ms: int
) -> None:
    """Orders are sent in their windows, found, executed and cancelled, as before the step."""
    await pipeline.server_clock.measure(pipeline.redis)
    await pipeline.all_roles(window_ms=1_000)
    before, resting = await pipeline.place(pipeline.terms(), pipeline.terms(price=PRICE - 1))
    await pipeline.status(before, "open")
    stepped.stepped_ms = step_ms
    [after] = await pipeline.place(pipeline.terms(price=PRICE - 2))
    await pipeline.status(after, "open")
    await pipeline.control.house_order(pipeline.venue_symbol, "SELL", Decimal(1), price=PRICE)
    await pipeline.status(before, "filled")
    for name in (resting, after):
        await pipeline.publish(Cancel(account=pipeline.account, client_order_id=name))
        await pipeline.status(name, "cancelled")
    await pipeline.quiet()
    assert not (await pipeline.audit()).defects


async def test_a_venue_whose_clock_is_far_from_ours_gets_cancels_alone_until_it_is_near(pipeline: Pipeline) -> None:
    """What would be sent waits, is sent when the clocks agree again, and nothing is lost."""
    venue = await pipeline.venue()
    assert isinstance(venue, BinanceVenue)
    await pipeline.ledger()
    await pipeline.listener()
    gateway = await pipeline.gateway(venue=venue)
    [resting] = await pipeline.place(pipeline.terms())
    await pipeline.status(resting, "open")
    try:
        await pipeline.control.set_clock(FAR_MS)
        await venue.measure_clock()
        [waiting] = await pipeline.place(pipeline.terms(price=PRICE - 1))
        await pipeline.until(lambda: gateway.held.waiting > 0)
        await pipeline.publish(Cancel(account=pipeline.account, client_order_id=resting))
        await pipeline.status(resting, "cancelled")
        assert (await pipeline.order(waiting)).status == "created"
        assert gateway.figures()["clock_off"] == 1
    finally:
        await pipeline.control.set_clock(0)
    await venue.measure_clock()
    await pipeline.status(waiting, "open")
