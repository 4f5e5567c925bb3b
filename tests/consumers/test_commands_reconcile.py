"""`fillonce reconcile` as a person calls it: against a venue and a pipeline that run."""

from collections.abc import Iterator
from decimal import Decimal

import pytest

from adapters.simulated.process import SimulatedVenue
from tests.commands import Shell, words
from tests.consumers.running import ACCOUNT, running, simulated

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def venue() -> Iterator[SimulatedVenue]:
    """A venue with one account."""
    with simulated() as process:
        yield process


@pytest.fixture(scope="module")
def shell(venue: SimulatedVenue, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    """A folder with settings, a pipeline running on them."""
    with running(venue, tmp_path_factory.mktemp("reconcile"), ["BTC/USDT"], "reconcile.absence_gap_ms = 50") as made:
        yield made


async def test_before_and_after(shell: Shell, venue: SimulatedVenue) -> None:
    """A withdrawal that nobody told of is found, proposed, booked when told to, and gone."""
    agreed = shell("reconcile")
    assert (agreed.code, agreed.out) == (0, f"{ACCOUNT}: the venue's books and ours agree.\n")
    async with venue.control() as control:
        await control.transfer(ACCOUNT, "USDT", Decimal(-500), told=False)
    before = shell("reconcile", "--json")
    assert before.code == 1
    [told] = before.json["accounts"]
    [finding] = told["findings"]
    assert (finding["kind"], finding["subject"], finding["here"], finding["there"], finding["action"]) == (
        "balance_drift", "USDT", "1000000", "999500", "adjust",
    )  # fmt: skip
    assert told["left"] == [finding["id"]]
    assert "adjust: proposed" in words(shell("reconcile", "--mode", "report").out)
    done = shell("reconcile", "--mode", "auto")
    assert done.code == 0, done
    assert "adjust: done" in words(done.out)
    assert shell("reconcile", "--json").json["accounts"][0]["findings"] == []


def test_asking_needs_somebody_who_answers(shell: Shell) -> None:
    """`approve` without a terminal is bad usage."""
    said = shell("reconcile", "--mode", "approve")
    assert said.code == 2
    assert "terminal" in said.err
    assert shell("reconcile", "--account", "binance.other").code == 2
