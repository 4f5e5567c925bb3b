"""An exchange that only ccxt knows, through all roles: here ccxt's own Binance, simulated."""

from collections.abc import AsyncIterator
from decimal import Decimal
from itertools import count
from typing import Any

import pytest

from adapters.generic.venue import CcxtVenue
from adapters.simulated.faults import OFF, Faults
from adapters.simulated.process import SimulatedVenue
from consumers.listener import Listener
from streams import codec
from streams.schemas import Unknown
from tests.pipeline import ACCOUNTS_MAX, Pipeline, Proxy

_numbers = count(ACCOUNTS_MAX - 1, -1)  # accounts that no other test of this process gets to
WINDOW_MS = 1_000


@pytest.fixture
async def generic(redis_url: str, venue_process: SimulatedVenue) -> AsyncIterator[Pipeline]:
    """An account at `ccxt:binance` with an open gate, and no role running yet."""
    async with venue_process.control() as control:
        await control.set_faults(OFF)
        async with Pipeline(redis_url, venue_process, control, next(_numbers), "ccxt:binance") as made:
            await made.register()
            await made.open_gate()
            yield made
        await control.set_faults(OFF)


async def roles(made: Pipeline, rest_url: str = "") -> Listener:
    """Start everything on one venue, which is asked every 50 ms; the listener."""
    venue = await made.venue(rest_url=rest_url)
    assert isinstance(venue, CcxtVenue)
    venue.poll_ms = 50
    await made.ledger()
    await made.resolver(venue=venue)
    listener = await made.listener(venue=venue)
    await made.gateway(venue=venue, window_ms=WINDOW_MS)
    return listener


async def test_orders_rest_fill_and_are_cancelled(generic: Pipeline) -> None:
    """Each fill counts once, though look-ups and every round of asking tell of it."""
    await roles(generic)
    resting, partly, filled = await generic.place(
        generic.terms(price=Decimal(90)), generic.terms(quantity=Decimal(3)), generic.terms(price=Decimal(101))
    )
    for name in (resting, partly, filled):
        await generic.status(name, "open")
    await generic.house("SELL", 2)
    await generic.status(filled, "filled")
    await generic.status(partly, "partially_filled")
    for name in (resting, partly):
        await generic.publish_cancel(name)
        await generic.status(name, "cancelled")
    await generic.quiet()
    applied = await generic.applied()
    assert sorted((name, fact.quantity) for name, fact in applied) == sorted(
        [(filled, Decimal(1)), (partly, Decimal(1))]
    )
    books = {one["client_order_id"]: (one["status"], Decimal(one["executed"])) for one in await generic.venue_orders()}
    assert books == {
        resting: ("CANCELED", Decimal(0)), partly: ("CANCELED", Decimal(1)), filled: ("FILLED", Decimal(1)),
    }  # fmt: skip
    assert (await generic.store.positions())[generic.symbol].quantity == Decimal("1.998")  # two, and the fee in base


@pytest.mark.parametrize("fault", [Faults(accept_then_drop=1.0), Faults(cut_body=1.0)], ids=["dropped", "cut"])
async def test_an_order_whose_answer_is_lost_is_unknown_then_found(generic: Pipeline, fault: Faults) -> None:
    """By our own id; one order at the exchange."""
    await roles(generic)
    await generic.control.set_faults(fault)
    [name] = await generic.place(generic.terms())
    await generic.status(name, "unknown", "open")
    await generic.control.set_faults(OFF)
    await generic.status(name, "open")
    rows: Any = await generic.redis.xrange(generic.keys.evidence)
    told = [command for _, fields in rows if (command := codec.decode_evidence(fields[b"data"]).command) is not None]
    assert [type(one.outcome) for one in told] == [Unknown]
    await generic.publish_cancel(name)
    await generic.status(name, "cancelled")
    assert [one["client_order_id"] for one in await generic.venue_orders()] == [name]


async def test_an_order_that_is_nowhere_ends_as_lost_and_is_not_sent_again(generic: Pipeline) -> None:
    """Late requests act and duplicates are taken, so nobody dares."""
    async with Proxy(generic.process.rest_url) as proxy:
        await roles(generic, proxy.url)
        proxy.orders_down = True
        [name] = await generic.place(generic.terms())
        await generic.status(name, "unknown")
        proxy.orders_down = False
        order = await generic.status(name, "rejected", "open")
        assert (order.status, order.state.reason) == ("rejected", "lost")
        await generic.quiet()
        assert proxy.orders() == []
    assert await generic.venue_orders() == []


async def test_an_exchange_that_cannot_be_asked_is_a_gap(generic: Pipeline) -> None:
    """Nobody vouches for what was not asked; what happened meanwhile is fetched."""
    async with Proxy(generic.process.rest_url) as proxy:
        listener = await roles(generic, proxy.url)
        [name] = await generic.place(generic.terms())
        await generic.status(name, "open")
        await generic.until(lambda: listener.whole)
        proxy.lookups_down = True
        await generic.until(lambda: listener.gaps == 1)
        assert not listener.whole
        await generic.house("SELL", 1)
        proxy.lookups_down = False
        await generic.until(lambda: listener.whole)
        assert (await generic.status(name, "filled")).state.filled == 1
        assert listener.gaps == 1
