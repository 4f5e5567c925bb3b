"""Whatever dies, at whatever point: what is traded is counted once, and the journal gives the same state."""

from collections.abc import AsyncIterator, Sequence

import pytest
import pytest_asyncio

from streams.script_loader import NAMES
from tests.crash.lane import Lane, Outcome
from tests.crash.points import Passes, Strike, Target, plan, sample, volleys

# The first test waits for the recording, the first of a scenario for all its deaths: each takes half a minute when
# other processes want the cores too.
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


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def deaths(lane: Lane, passes: Passes) -> "Deaths":
    """All of them, chosen and put together by scenario."""
    kills = chosen(passes, KILLS, ("role", "server", "cut"))
    return Deaths(lane, [*kills, *chosen(passes, FAILOVERS, ("history",))])


@pytest.mark.parametrize("number", range(KILLS))
async def test_a_death_at_a_crash_point_leaves_the_venues_books_and_the_journal_in_agreement(
    deaths: "Deaths", number: int
) -> None:
    """A seeded point, side and victim: after the restart every fill counts once and `verify` finds one hash."""
    assert not await deaths.trouble(number)


@pytest.mark.parametrize("number", range(FAILOVERS))
async def test_a_replica_that_lost_what_came_before_a_crash_point_goes_on_to_the_same_agreement(
    deaths: "Deaths", number: int
) -> None:
    """Cut off before the point and promoted at it: one order per intent, executions once, one hash."""
    assert not await deaths.trouble(KILLS + number)


class Deaths:
    """The chosen deaths. Those of one scenario are tried together, with the first of them that is asked for."""

    def __init__(self, lane: Lane, turns: Sequence[Sequence[Target]]) -> None:
        """Each has others that may take its turn: a rare point may not come by again."""
        self._lane, self._turns = lane, turns
        self._volleys = volleys([targets[0] for targets in turns])
        self._outcomes: dict[Target, Outcome] = {}

    async def trouble(self, number: int) -> Sequence[str]:
        """Strike the first of its targets that is reached; what was found after it."""
        for target in self._turns[number]:
            if target not in self._outcomes:
                await self._strike(target)
            if self._outcomes[target].fired or self._outcomes[target].trouble:
                return self._outcomes[target].trouble
        return ["none of the chosen points was reached"]

    async def _strike(self, target: Target) -> None:
        volley = next((one for one in self._volleys if target in one), [target])
        self._outcomes |= {one.target: one for one in await self._lane.strike(*volley)}


def chosen(passes: Passes, count: int, strikes: tuple[Strike, ...]) -> list[list[Target]]:
    """So many seeded choices, each with others that may take its turn."""
    # A new account for every death would take too long here; `make crash` has them.
    targets = [one for one in plan(passes, SEED) if one.profile != "start" and one.strike in strikes]
    return [sample(targets, count * TURNS, SEED)[number::count] for number in range(count)]
