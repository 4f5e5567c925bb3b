"""An account is broken in each way, and in pairs; the pipeline starts, and in the end both books are equal.

Every pair runs with `make long`; without it a few do, drawn by the day's seed.
"""

import itertools
import os
import random
from collections.abc import Sequence

import pytest

from consumers.patrol import Patrol
from streams import events
from streams.policy import Kind, Policies
from streams.verify import verify
from tests.pipeline import Pipeline
from tests.truth.ways import ON_MARGIN, WAYS, Way

SEED = os.environ.get("FILLONCE_PAIRS_SEED", "1")
SAMPLED = 5
ON_ITS_WAY = ("submitting", "unknown")
_ALL = list(itertools.combinations(WAYS, 2))
_FEW = random.Random(SEED).sample(_ALL, SAMPLED)
AUTO: Sequence[Kind] = ("busted", "position_drift", "balance_drift", "unexplained")


def _named(ways: tuple[Way, ...]) -> str:
    return " and ".join(way.name for way in ways)


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.name)
async def test_one_break_is_found_and_put_right(pipeline: Pipeline, way: Way) -> None:
    """Found by its kind before anything is done; nothing is found afterwards, and a second run changes nothing."""
    await _broken(pipeline, (way,))
    if way.kind is not None:
        before = await (await _patrol(pipeline)).once("full", "command", lambda _: False)
        assert way.kind in {one.kind for one in before.findings}
    await _put_right(pipeline, (way,))
    if way.fact is not None:
        changes = [one for one in await pipeline.journal() if isinstance(one, events.Updated)]
        assert sum(isinstance(fact, way.fact) for change in changes for fact in change.facts) == 1


@pytest.mark.parametrize("ways", _FEW, ids=_named)
async def test_two_breaks_at_once_are_put_right(pipeline: Pipeline, ways: tuple[Way, ...]) -> None:
    """A few of the pairs."""
    await _broken(pipeline, ways)
    await _put_right(pipeline, ways)


@pytest.mark.long
@pytest.mark.parametrize("ways", _ALL, ids=_named)
async def test_every_two_breaks_at_once_are_put_right(pipeline: Pipeline, ways: tuple[Way, ...]) -> None:
    """All of the pairs."""
    await _broken(pipeline, ways)
    await _put_right(pipeline, ways)


@pytest.mark.parametrize("way", ON_MARGIN, ids=lambda way: way.name)
async def test_one_break_of_a_margin_account_is_found_and_put_right(margin: Pipeline, way: Way) -> None:
    """Its positions are the venue's own, and so is the wallet that they pay into."""
    await _broken(margin, (way,))
    kind = way.margin_kind or way.kind
    if kind is not None:
        before = await (await _patrol(margin)).once("full", "command", lambda _: False)
        assert kind in {one.kind for one in before.findings}
    await _put_right(margin, (way,))


@pytest.mark.long
@pytest.mark.parametrize("ways", list(itertools.combinations(ON_MARGIN, 2)), ids=_named)
async def test_every_two_breaks_of_a_margin_account_are_put_right(margin: Pipeline, ways: tuple[Way, ...]) -> None:
    """All of the pairs."""
    await _broken(margin, ways)
    await _put_right(margin, ways)


async def _broken(pipeline: Pipeline, ways: tuple[Way, ...]) -> None:
    """An account that ran, whose pipeline is gone, and that came apart since."""
    await pipeline.ledger()
    assert (await (await pipeline.patrol()).once("full", "start")).opened
    await pipeline.until(pipeline.store.holdings)
    roles = [await pipeline.gateway(), await pipeline.listener()]
    names = [await way.prepare(pipeline) for way in ways]
    await pipeline.quiet()
    for role in roles:
        await pipeline.drain(role)
    for way, name in zip(ways, names, strict=True):
        await way.break_it(pipeline, name)


async def _put_right(pipeline: Pipeline, ways: tuple[Way, ...]) -> None:
    """Start everything, and wait until the venue's books and ours are equal."""
    await pipeline.listener(current=False)
    await pipeline.resolver(window_ms=100)
    await pipeline.gateway()
    await _patrol(pipeline, start=True)
    for way in ways:
        if way.then is not None:
            await way.then(pipeline)
    looking = await _patrol(pipeline)
    doubled, strangers = sum(way.doubled for way in ways), sum(way.strangers for way in ways)

    async def equal() -> bool:
        # A stranger's order is of no intent and its execution is parked, for all to see; what it moved is booked.
        if (await pipeline.audit()).defects != doubled + 3 * strangers or await pipeline.waiting() != strangers:
            return False
        orders = await pipeline.store.all_orders()
        if not doubled and any(order.status == "created" for order in orders):
            return False  # under the halt that a double brings it waits for a person
        if any((order.cancel_requested and order.live) or order.status in ON_ITS_WAY for order in orders):
            return False  # a cancel is still on its way, or a place
        return not (await looking.once("full", "command", lambda _: False)).findings

    await pipeline.until(equal, 30)
    told = await pipeline.audit()
    assert told.intents_with_more_than_one_order == doubled + strangers
    assert (told.fills_missing, told.unknown_left, len(await pipeline.store.parked())) == (strangers,) * 3
    assert (await pipeline.scripts.gate()).is_open
    assert not any(order.state.provisional for order in await pipeline.store.all_orders())
    before = await _changes(pipeline)
    assert not (await looking.once("full", "command")).done
    assert await _changes(pipeline) == before
    assert (await verify(pipeline.redis, pipeline.keys)).good


async def _changes(pipeline: Pipeline) -> list[events.AnyChange]:
    """What the journal says of orders, positions and holdings; streams and looks come and go."""
    of_state = events.Imported | events.Updated | events.Adjusted | events.Parked | events.Ended
    return [one for one in await pipeline.journal() if isinstance(one, of_state)]


async def _patrol(pipeline: Pipeline, *, start: bool = False) -> Patrol:
    return await pipeline.patrol(policies=Policies(foreign="adopt"), modes=dict.fromkeys(AUTO, "auto"), start=start)
