"""Two accounts behind one address at a venue that allows little weight: who still gets through when it runs out."""

import time
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any
from uuid import uuid4

import msgspec
import pytest
from redis.asyncio import Redis

from adapters import registry
from adapters.budgets import pots
from adapters.credentials import Credentials
from adapters.simulated import venue as simulated
from adapters.simulated.faults import OFF
from adapters.simulated.limits import Limits
from adapters.simulated.process import local_settings
from adapters.simulated.server import Server
from adapters.venue import CouldNotAsk, Venue, Window
from streams.clock import SystemClock
from streams.keys import AccountKeys
from streams.rate import Rate
from streams.schemas import Accepted, Order, Throttled
from streams.scripts import Scripts

BALANCES = {"BTC": Decimal(1_000), "USDT": Decimal(1_000_000)}
WEIGHT = 200


def now_ms() -> int:
    """The machine's clock, which is the server's."""
    return time.time_ns() // 1_000_000


def soon() -> Window:
    """A window that opens now."""
    return Window(now_ms(), now_ms() + 5_000)


async def ask_for_ever(venue: Venue, order: Order) -> None:
    """Ask the same question again and again."""
    while True:
        await venue.find(order)


@pytest.fixture
async def counting() -> AsyncIterator[tuple[simulated.Venue, str]]:
    """The venue, which is asked what it refused, and where it is."""
    told = msgspec.structs.replace(local_settings(["one", "other"], BALANCES), limits=Limits(weight_1m=WEIGHT))
    venue = simulated.Venue(told, 1, OFF)
    server = Server(venue)
    yield venue, f"127.0.0.1:{await server.start(0)}"
    await server.close()


@pytest.fixture(params=["rest", "ws"])
async def accounts(
    counting: tuple[simulated.Venue, str], redis: Redis, request: pytest.FixtureRequest
) -> AsyncIterator[list[Venue]]:
    """Two accounts as two processes open them."""
    venue, where = counting
    facts, egress, opened = registry.facts("binance"), uuid4().hex[:12], []
    for held in venue.settings.accounts:
        name = f"sim.{held.name}{uuid4().hex[:8]}"
        found = pots(facts, name, egress, f"http://{where}")
        settings = registry.VenueSettings(
            venue="binance", credentials=Credentials(held.api_key, held.secret), rest_url=f"http://{where}",
            ws_url=f"ws://{where}/ws-api/v3", order_entry=request.param,
            allowance=Rate(Scripts(redis, AccountKeys(name)), found, SystemClock()),
        )  # fmt: skip
        opened.append(await registry.open_venue(settings, now_ms))
    await opened[0].instruments()  # tells everybody what the venue allows
    yield opened
    for one in opened:
        await one.close()


async def test_questions_of_one_account_leave_the_cancels_of_the_other_their_way(
    accounts: list[Venue], counting: tuple[simulated.Venue, str], make_order: Any
) -> None:
    """New orders stop before questions, both before cancels, and the venue never says that it was too much."""
    one, other = accounts
    resting = make_order()
    assert (await other.submit(resting, soon())).outcome == Accepted()
    with pytest.raises(CouldNotAsk, match="budget"):
        await ask_for_ever(one, make_order())
    # A process may use up what it has kept, here since before it knew of the limit.
    placed = [(await other.submit(make_order(), soon())).outcome for _ in range(80)]
    assert isinstance(placed[-1], Throttled)
    assert (await other.cancel(resting, soon())).outcome == Accepted()
    assert counting[0].meter.refused == 0
