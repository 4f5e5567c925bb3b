"""Whatever dies, at whatever point: what is traded is counted once, and the journal gives the same state."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from streams.script_loader import NAMES
from tests.crash.lane import Lane
from tests.crash.points import Passes, plan, sample

# The first test waits for the recording, which takes half a minute when other processes want the cores too.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(180), pytest.mark.asyncio(loop_scope="module")]
SEED = 7
KILLS, TURNS = 12, 3
# Producers and people call them, no role does.
NOT_OF_A_ROLE = {"publish", "halt", "forget", "lapse"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def lane(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Lane]:
    """One deployment for all kills; it writes down every point that it passes."""
    async with Lane(tmp_path_factory.mktemp("crash"), seed=SEED, record=True) as lane:
        yield lane


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def passes(lane: Lane) -> Passes:
    """Every point that the scenarios pass."""
    return await lane.record()


async def test_no_byte_reaches_redis_without_passing_a_crash_point(lane: Lane, passes: Passes) -> None:
    """The recording compares each connection's bytes with what the server received; every script is in it."""
    called = {point.call for point in passes}
    assert {point.role for point in passes} == {"gateway", "ledger", "listener", "resolver"}
    assert set(NAMES) - NOT_OF_A_ROLE <= called
    assert not await lane.trouble()


@pytest.mark.parametrize("number", range(KILLS))
async def test_a_death_at_a_crash_point_leaves_the_venues_books_and_the_journal_in_agreement(
    lane: Lane, passes: Passes, number: int
) -> None:
    """A seeded point, side and victim: after the restart every fill counts once and `verify` finds one hash."""
    # A new account for every death would take too long here; `make crash` has them.
    targets = [target for target in plan(passes, SEED) if target.profile != "start"]
    # A rare point (a proof of absence, say) may not come by again; another one takes its turn.
    for target in sample(targets, KILLS * TURNS, SEED)[number::KILLS]:
        outcome = await lane.strike(target)
        assert not outcome.trouble, f"{target}: {outcome.trouble}"
        if outcome.fired:
            return
    pytest.fail("none of the chosen points was reached")
