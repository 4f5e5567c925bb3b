"""Whatever dies, at whatever point: what is traded is counted once, and the journal gives the same state."""

from collections.abc import AsyncIterator, Sequence

import pytest
import pytest_asyncio

from streams.script_loader import NAMES
from tests.crash.lane import Lane
from tests.crash.points import Passes, Strike, Target, plan, sample

# The first test waits for the recording, which takes half a minute when other processes want the cores too.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(180), pytest.mark.asyncio(loop_scope="module")]
SEED = 7
KILLS, FAILOVERS, TURNS = 12, 3, 3
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
    await struck(lane, chosen(passes, KILLS, ("role", "server", "cut"))[number])


@pytest.mark.parametrize("number", range(FAILOVERS))
async def test_a_replica_that_lost_what_came_before_a_crash_point_goes_on_to_the_same_agreement(
    lane: Lane, passes: Passes, number: int
) -> None:
    """Cut off before the point and promoted at it: one order per intent, executions once, one hash."""
    await struck(lane, chosen(passes, FAILOVERS, ("history",))[number])


def chosen(passes: Passes, count: int, strikes: tuple[Strike, ...]) -> list[list[Target]]:
    """So many seeded choices, each with others that may take its turn: a rare point may not come by again."""
    # A new account for every death would take too long here; `make crash` has them.
    targets = [one for one in plan(passes, SEED) if one.profile != "start" and one.strike in strikes]
    return [sample(targets, count * TURNS, SEED)[number::count] for number in range(count)]


async def struck(lane: Lane, targets: Sequence[Target]) -> None:
    """Strike the first of them that is reached; nothing may be found after any of them."""
    for target in targets:
        [outcome] = await lane.strike(target)
        assert not outcome.trouble, f"{target}: {outcome.trouble}"
        if outcome.fired:
            return
    pytest.fail("none of the chosen points was reached")
