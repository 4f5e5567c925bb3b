"""An account's start: reconciled, applied, within its limits, heard; only then does new exposure go out."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumers.commands.figures import read_figures
from consumers.reconciler import StartSettings
from consumers.starting import beyond, overdue
from streams import events
from streams.limits import Limits
from streams.producer import publish_item
from streams.schemas import Position
from tests.pipeline import THROTTLED, Pipeline, Proxy

NONE = StartSettings(limits=Limits(), deadline_ms=300_000)


async def _shut(pipeline: Pipeline) -> None:
    """As after a restart of the server."""
    await pipeline.redis.hset(pipeline.keys.control, "history", "another")


async def _starting(pipeline: Pipeline) -> str:
    told: str = (await read_figures(pipeline.redis, pipeline.account))["gate"]["starting"]
    return told


def holding(quantity: int) -> Position:
    """A position."""
    return Position(quantity=Decimal(quantity), entry_cost=Decimal(0), realized=Decimal(0), fees={})


@given(st.integers(-20, 20), st.integers(1, 20))
def test_a_position_is_beyond_its_limit_on_either_side(held: int, most: int) -> None:
    """The sentence says both."""
    said = beyond({"BTC/USDT": holding(held)}, Limits(position_max={"*": Decimal(most)}))
    assert bool(said) == (abs(held) > most)
    assert not said or (f"is {most} " in said and f"is {held};" in said)


def test_each_side_of_a_symbol_is_held_against_the_symbols_limit() -> None:
    """Venues with two sides have two positions."""
    limits = Limits(position_max={"BTC/USDT:USDT": Decimal(1)})
    assert "BTC/USDT:USDT is 1" in beyond({"BTC/USDT:USDT:short": holding(2)}, limits)
    assert beyond({"ETH/USDT:USDT": holding(2)}, limits) == ""


def test_a_start_past_its_deadline_says_for_how_long() -> None:
    """The reason stays; until then nothing is added to it."""
    assert overdue("why", 1_000, 1_000) == "why"
    assert overdue("why", 4_500, 1_000) == "overdue since 3 s: why"


async def test_new_exposure_goes_out_after_every_step_in_their_order(pipeline: Pipeline) -> None:
    """Gate, ledger, stream: each missing one holds it, and `status` says which."""
    gateway = await pipeline.gateway()
    [first] = await pipeline.place(pipeline.terms())
    await pipeline.until(lambda: gateway.claimed)
    await _shut(pipeline)
    resolver = await pipeline.resolver(guarded=NONE)
    await pipeline.until(lambda: _starting(pipeline))
    [held] = await pipeline.place(pipeline.terms(price=Decimal(90)))
    await pipeline.until(lambda: gateway.held.waiting)
    assert "ledger" in str(resolver.figures()["starting"])
    await pipeline.ledger()
    await pipeline.status(first, "open")
    await pipeline.until(lambda: "stream" in str(resolver.figures().get("starting")))
    assert (await pipeline.order(held)).status == "created"
    await pipeline.listener()
    await pipeline.status(held, "open")
    await pipeline.until(lambda: "starting" not in resolver.figures())
    kinds = [type(one) for one in await pipeline.journal()]
    assert kinds.index(events.StreamWhole) < kinds.index(events.Enabled)


async def test_a_position_beyond_its_limit_holds_the_start_until_it_is_reduced(pipeline: Pipeline) -> None:
    """What reduces it goes out meanwhile; an account must not be locked in."""
    await pipeline.ledger()
    await pipeline.listener()
    gateway = await pipeline.gateway()
    await pipeline.house("SELL", 3)
    [bought] = await pipeline.place(pipeline.terms(quantity=Decimal(3)))
    await pipeline.status(bought, "filled")
    await _shut(pipeline)
    resolver = await pipeline.resolver(
        guarded=StartSettings(limits=Limits(position_max={"*": Decimal(2)}), deadline_ms=1)
    )
    await pipeline.until(lambda: "position_max" in str(resolver.figures().get("starting")))
    await pipeline.until(lambda: "overdue" in str(resolver.figures().get("starting")))
    [held] = await pipeline.place(pipeline.terms(price=Decimal(90)))
    await pipeline.until(lambda: gateway.held.waiting)
    await pipeline.house("BUY", 2, 99)
    [reducing] = await pipeline.place(pipeline.terms(side="sell", quantity=Decimal(2), price=Decimal(99)))
    await pipeline.status(reducing, "filled")
    await pipeline.status(held, "open")


async def test_a_start_that_was_interrupted_is_gone_on_with(pipeline: Pipeline) -> None:
    """The resolver died between the gate and the last step; nothing went out meanwhile."""
    await pipeline.ledger()
    gateway = await pipeline.gateway()
    await _shut(pipeline)
    resolver = await pipeline.resolver(guarded=NONE)
    await pipeline.until(lambda: _starting(pipeline))
    await pipeline.kill(resolver)
    await pipeline.listener()
    [held] = await pipeline.place(pipeline.terms())
    await pipeline.until(lambda: gateway.held.waiting)
    assert "no resolver runs" in await _starting(pipeline)
    await pipeline.resolver(guarded=NONE)
    await pipeline.status(held, "open")


@pytest.mark.parametrize(("down", "reason"), [(b"", "503"), (THROTTLED, "asks to wait 1000 ms")])
async def test_a_venue_that_does_not_answer_keeps_the_account_blocked_and_nothing_is_cancelled(
    pipeline: Pipeline, down: bytes, reason: str
) -> None:
    """Down, or no budget left: it is asked again; intents are taken and wait, and trade when it is back."""
    await pipeline.ledger()
    await pipeline.gateway()
    [resting] = await pipeline.place(pipeline.terms(price=Decimal(90)))
    await pipeline.status(resting, "open")
    await _shut(pipeline)
    async with Proxy(pipeline.process.rest_url) as proxy:
        proxy.lookups_down, proxy.down = True, down or proxy.down
        resolver = await pipeline.resolver(venue=await pipeline.venue(rest_url=proxy.url), guarded=NONE)
        await pipeline.until(lambda: reason in str(resolver.figures().get("shut")))
        item = publish_item(pipeline.terms(), pipeline.info)
        await pipeline.redis.xadd(pipeline.keys.intents, {"data": item.data})
        [published] = await pipeline.place(pipeline.terms())
        assert {one["status"] for one in await pipeline.venue_orders()} == {"NEW"}
        proxy.lookups_down = False
        await pipeline.listener()
        await pipeline.status(item.client_order_id, "open")
        await pipeline.status(published, "open")
    assert len(await pipeline.venue_orders()) == 3


@pytest.mark.parametrize("guarded", [NONE, None])
async def test_an_account_without_anything_to_wait_for_starts_at_once(
    pipeline: Pipeline, guarded: StartSettings | None
) -> None:
    """A fresh one, with everybody there."""
    await pipeline.redis.delete(pipeline.keys.control, pipeline.keys.events)
    await pipeline.ledger()
    await pipeline.listener()
    await pipeline.resolver(guarded=guarded)
    await pipeline.gateway()
    [name] = await pipeline.place(pipeline.terms())
    await pipeline.status(name, "open")
