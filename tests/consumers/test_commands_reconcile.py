"""`fillonce reconcile` as a person calls it: against a venue and a pipeline that run."""

import os
import pty
import re
import subprocess
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson
import pytest

from adapters.simulated.process import SimulatedVenue
from tests.commands import PROGRAM, TIMEOUT_S, Said, Shell, words
from tests.consumers.running import ACCOUNT, running, simulated

DOCS = Path(__file__).parents[2] / "docs" / "reconciliation.md"
RECONCILE = ("reconcile.absence_gap_ms = 50", 'reconcile.modes.balance_drift = "approve"')
pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def venue() -> Iterator[SimulatedVenue]:
    """A venue with one account."""
    with simulated() as process:
        yield process


@pytest.fixture(scope="module")
def shell(venue: SimulatedVenue, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    """A folder with settings, a pipeline running on them."""
    with running(venue, tmp_path_factory.mktemp("reconcile"), ["BTC/USDT"], *RECONCILE) as made:
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
    documented = [timeless(orjson.loads(one)) for one in re.findall(r"```json\n(.*?)```", DOCS.read_text(), re.DOTALL)]
    assert timeless(before.json) == documented[0]
    shown = words(shell("reconcile", "--mode", "report").out)
    assert "adjust: proposed" in shown
    assert shown.endswith("1 left to decide. `--mode approve` asks about each, `--mode auto` does what is proposed.")
    done = shell("reconcile", "--mode", "auto")
    assert done.code == 0, done
    assert "adjust: done" in words(done.out)
    assert timeless(shell("reconcile", "--json").json) == documented[1]


def timeless(told: Any) -> Any:
    """A document without its times."""
    match told:
        case dict():
            return {name: timeless(one) for name, one in told.items() if not name.endswith("_ms")}
        case list():
            return [timeless(one) for one in told]
        case _:
            return told


async def test_a_kind_that_is_to_be_approved_is_asked_for_at_a_terminal(shell: Shell, venue: SimulatedVenue) -> None:
    """Once about each; a no leaves it as it is, and without a terminal nobody is asked."""
    async with venue.control() as control:
        await control.transfer(ACCOUNT, "USDT", Decimal(-30), told=False)
    assert "adjust: proposed" in words(shell("reconcile").out)
    refused = at_a_terminal(shell, "n")
    assert refused.code == 1
    assert refused.out.count("at the venue. adjust?") == 1
    assert "adjust: proposed" in words(refused.out)
    approved = at_a_terminal(shell, "y")
    assert approved.code == 0, approved
    assert "adjust: done" in words(approved.out)
    assert shell("reconcile", "--json").json["accounts"][0]["findings"] == []


def at_a_terminal(shell: Shell, answer: str) -> Said:
    """`fillonce reconcile`, asked once and answered on a terminal of its own."""
    ours, theirs = pty.openpty()
    try:
        process = subprocess.Popen(
            [PROGRAM, "reconcile"], stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=shell.folder,
            env=shell.env,
        )  # fmt: skip
        os.write(ours, f"{answer}\n".encode())
        out, err = process.communicate(timeout=TIMEOUT_S)
    finally:
        os.close(ours)
        os.close(theirs)
    return Said(process.returncode, out.decode(), err.decode())


def test_asking_needs_somebody_who_answers(shell: Shell) -> None:
    """`approve` without a terminal is bad usage."""
    said = shell("reconcile", "--mode", "approve")
    assert said.code == 2
    assert "terminal" in said.err
    assert shell("reconcile", "--account", "binance.other").code == 2
