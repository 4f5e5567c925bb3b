"""Amends that wait for their order, in the gateway: each sent by one request, and cancels do not wait for them."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from typing import Any

from adapters.venue import Answer, Venue, Window
from consumers.gateway import Gateway
from streams import events
from streams.keys import GATEWAYS
from streams.reader import Entry
from streams.schemas import Amend, Amending, Order
from tests.pipeline import PRICE, Pipeline, tasks_of


class Held:
    """The account at the venue, by its real class: places wait, and amends are counted.

    Attributes:
        waiting: places that wait or have waited.
        amended: amend requests that left.
    """

    def __init__(self, venue: Venue) -> None:
        self._venue, self.facts = venue, venue.facts
        self.open, self.waiting, self.amended = asyncio.Event(), 0, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._venue, name)

    async def submit(self, order: Order, window: Window) -> Answer:
        """Wait, then submit."""
        self.waiting += 1
        await self.open.wait()
        return await self._venue.submit(order, window)

    async def amend(self, order: Order, wanted: Amending, window: Window) -> Answer:
        """Amend at the venue."""
        self.amended += 1
        return await self._venue.amend(order, wanted, window)


def amend(pipeline: Pipeline, name: str, revision: int = 1) -> Amend:
    """An amend to another price."""
    return Amend(
        account=pipeline.account, client_order_id=name, revision=revision, signal_time=datetime.now(UTC),
        quantity=Decimal(1), price=PRICE - revision,
    )  # fmt: skip


async def in_flight(pipeline: Pipeline) -> tuple[Held, str]:
    """An order on its way by a gateway that takes nothing more; what is amended waits for it."""
    venue = Held(await pipeline.venue())
    other = await pipeline.gateway(1, venue=venue)
    await pipeline.ledger()
    [name] = await pipeline.place(pipeline.terms())
    await pipeline.until(lambda: venue.waiting == 1)
    other.stop()
    await pipeline.until(lambda: not any("_try_again" in repr(task) for task in tasks_of(other)))  # it reads no more
    return venue, name


def deliveries(gateway: Gateway) -> list[str]:
    """Entry ids as the gateway is given them, from now on."""
    reader, found = gateway._reader, list[str]()
    batches = reader.batches

    async def told(*, burst: bool = False, idle: bool = False) -> AsyncIterator[list[Entry]]:
        async for batch in batches(burst=burst, idle=idle):
            found.extend(entry.id for entry in batch)
            yield batch

    reader.__dict__["batches"] = told  # the real one, listened to
    return found


def claims(gateway: Gateway) -> list[tuple[str, int]]:
    """Command and revision of what the gateway claims, from now on."""
    scripts, found = gateway._claims, list[tuple[str, int]]()
    claim = scripts.claim

    async def told(items: Any, *given: Any) -> Any:
        found.extend((item.command, item.revision) for item in items)
        return await claim(items, *given)

    scripts.__dict__["claim"] = told  # the real one, listened to
    return found


async def test_an_amend_that_is_delivered_again_while_it_waits_for_room_leaves_by_one_request(
    pipeline: Pipeline,
) -> None:
    """It was busy, is to be tried again, and somebody reads the gateway's own entries anew."""
    first, name = await in_flight(pipeline)
    venue = Held(await pipeline.venue())
    gateway = await pipeline.gateway(venue=venue, in_flight_max=1, start=False)
    given, asked = deliveries(gateway), claims(gateway)
    pipeline._start(gateway)
    await pipeline.publish(amend(pipeline, name))
    await pipeline.until(lambda: ("amend", 1) in asked)
    [entry] = given
    await pipeline.place(pipeline.terms(price=PRICE - 10))
    await pipeline.until(lambda: venue.waiting == 1)  # the only room is taken
    first.open.set()
    await pipeline.status(name, "open")
    gateway._reader.forget()
    await pipeline.until(lambda: given.count(entry) == 2)
    venue.open.set()
    await pipeline.until(lambda: _revised(pipeline, name, 1))
    await pipeline.quiet()
    assert venue.amended == 1
    claimed = [one for one in await pipeline.journal() if isinstance(one, events.Claimed) and one.command == "amend"]
    assert len(claimed) == 1


async def test_of_the_amends_that_wait_only_the_newest_is_sent(pipeline: Pipeline) -> None:
    """Those before it are done by its claim, without a request."""
    first, name = await in_flight(pipeline)
    venue = Held(await pipeline.venue())
    gateway = await pipeline.gateway(venue=venue)
    asked = claims(gateway)
    for revision in (1, 2, 3):
        await pipeline.publish(amend(pipeline, name, revision))
        await pipeline.until(partial(_asked, asked, revision))
    first.open.set()
    await pipeline.until(lambda: _revised(pipeline, name, 3))
    await pipeline.quiet()
    assert await pipeline.pending(pipeline.keys.intents, GATEWAYS) == 0
    assert venue.amended == 1


async def test_a_cancel_is_claimed_while_amends_wait(pipeline: Pipeline) -> None:
    """Far fewer tries than amends: they are not all tried again before what takes exposure back."""
    _, name = await in_flight(pipeline)
    gateway = await pipeline.gateway()
    asked = claims(gateway)
    count = 60
    await pipeline.publish(*(amend(pipeline, name, revision) for revision in range(1, count + 1)))
    waited = gateway._hand._waited
    await pipeline.until(lambda: [held.step for held in waited.get(name, {}).values()] == ["waits"] * count)
    tried = len(asked)
    await pipeline.until(lambda: len(asked) >= tried + 2)
    await pipeline.publish_cancel(name)
    await pipeline.until(lambda: ("cancel", 0) in asked)
    assert {revision for _, revision in asked[tried:]} <= {0, count}


def _asked(asked: list[tuple[str, int]], revision: int) -> bool:
    return ("amend", revision) in asked


async def _revised(pipeline: Pipeline, name: str, revision: int) -> bool:
    return (await pipeline.order(name)).state.revision == revision
