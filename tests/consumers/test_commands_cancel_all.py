"""`fillonce halt --cancel-open` and `cancel-all` as a person calls them: against a venue and a pipeline that run."""

import signal
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from decimal import Decimal
from typing import Any

import pytest

from adapters import registry
from adapters.credentials import Credentials
from adapters.simulated.process import SimulatedVenue
from adapters.venue import Venue, Window
from consumers.commands.connecting import person
from streams.record import NEW_STATE
from streams.schemas import Order
from tests.commands import PROGRAM, Shell, words
from tests.consumers.running import ACCOUNT, running, simulated
from tests.flow import place
from tests.support import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def venue() -> Iterator[SimulatedVenue]:
    """A venue with one account."""
    with simulated() as process:
        yield process


@pytest.fixture(scope="module")
def shell(venue: SimulatedVenue, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    """A folder with settings, a pipeline running on them."""
    with running(
        venue, tmp_path_factory.mktemp("cancel-all"), ["BTC/USDT", "ETH/USDT"], "send_window_ms = 1000"
    ) as made:
        yield made


@pytest.fixture
async def direct(venue: SimulatedVenue) -> AsyncIterator[Venue]:
    """The account by its key, past the pipeline."""
    held = venue.settings.accounts[0]
    where = registry.VenueSettings(
        venue="binance", credentials=Credentials(held.api_key, held.secret), rest_url=venue.rest_url,
        ws_url=venue.ws_url, request_timeout_ms=5_000, order_entry="rest", order_url="",
    )  # fmt: skip
    opened = await registry.open_venue(where, lambda: time.time_ns() // 1_000_000)
    yield opened
    await opened.close()


def rest(shell: Shell, signal_id: str, symbol: str = "BTC/USDT") -> str:
    """An order that rests at the venue."""
    said = shell(
        "publish", "--account", ACCOUNT, "--strategy", "test", "--signal-id", signal_id, "--signal-time", "now",
        "--symbol", symbol, "--side", "buy", "--type", "limit", "--quantity", "0.01", "--price", "1000", "--json",
    )  # fmt: skip
    assert said.code == 0, said
    name: str = said.json["answers"][0]["client_order_id"]
    wait_until(lambda: _status(shell, name) == "open", 30)
    return name


def _status(shell: Shell, name: str) -> str:
    found = shell("orders", "--json").json["orders"]
    return next((one["status"] for one in found if one["client_order_id"] == name), "")


async def _live(venue: SimulatedVenue) -> set[str]:
    async with venue.control() as control:
        books: dict[str, Any] = await control.books(ACCOUNT)
    return {one["client_order_id"] for one in books["accounts"][ACCOUNT]["orders"] if one["status"] == "NEW"}


async def _stranger(direct: Venue, name: str) -> None:
    terms = place(ACCOUNT, quantity=Decimal("0.01"), price=Decimal(1_000))
    order = Order(client_order_id=name, terms=terms, status="created", state=NEW_STATE, digest="")
    now_ms = time.time_ns() // 1_000_000
    await direct.submit(order, Window(now_ms, now_ms + 5_000))


async def test_a_halt_leaves_nothing_of_ours_at_the_venue_when_it_is_asked_to(
    shell: Shell, venue: SimulatedVenue, direct: Venue
) -> None:
    """Orders with a record and without one; those of other systems only when that is said, too."""
    names = [rest(shell, f"a{number}") for number in range(3)]
    await _stranger(direct, "manual-1")
    said = shell("halt", "--reason", "test", "--cancel-open", "--deadline", "30", "--json")
    assert said.code == 0, said
    told = said.json["cleared"]
    assert (told["done"], told["cancelled"], told["left"]) == (True, 3, [])
    assert len(told["orphans_left"]) == 1
    assert {_status(shell, name) for name in names} == {"cancelled"}
    assert await _live(venue) == {"manual-1"}
    assert "3 left (3 open)" in said.err
    again = shell("cancel-all", "--reason", "all of it", "--foreign", "--deadline", "30")
    assert again.code == 0, again
    assert "1 cancelled, 0 left" in again.out
    assert await _live(venue) == set()
    resumed = shell("resume", "--reason", "done", "--json")
    assert isinstance(resumed.json["wrong"], list)
    journal = shell("trace", names[0]).out
    assert f"a cancel was asked for by {person()}" in words(journal)


async def test_an_order_of_ours_that_nobody_remembers_is_cancelled_too(
    shell: Shell, venue: SimulatedVenue, direct: Venue
) -> None:
    """Its record is lost; it gets one, and ends like any other."""
    name = "fo-" + "a" * 22
    await _stranger(direct, name)
    said = shell("cancel-all", "--reason", "test", "--deadline", "30")
    assert said.code == 0, said
    assert name not in await _live(venue)
    wait_until(lambda: _status(shell, name) == "cancelled", 30)


async def test_one_symbol_is_cleared_alone(shell: Shell, venue: SimulatedVenue) -> None:
    """`cancel-all` turns no switch: the next intent goes out."""
    bitcoin, ether = rest(shell, "b1"), rest(shell, "b2", "ETH/USDT")
    assert shell("cancel-all", "--reason", "test", "--symbol", "BTC/USDT", "--deadline", "30").code == 0
    assert (_status(shell, bitcoin), _status(shell, ether)) == ("cancelled", "open")
    assert await _live(venue) == {ether}
    assert _status(shell, rest(shell, "b3")) == "open"
    assert shell("cancel-all", "--reason", "test", "--deadline", "30").code == 0


def test_ctrl_c_says_how_far_it_came(shell: Shell) -> None:
    """The venue does not answer in time: the switch stays on, and that is said; no trace."""
    rest(shell, "c1")
    status = shell("status", "--json").json["accounts"][0]
    gateways = [role["pid"] for role in status["roles"] if role["role"].startswith("gateway")]
    subprocess.run(["kill", "-STOP", *map(str, gateways)], check=True)
    try:
        command = [PROGRAM, "halt", "--reason", "test", "--cancel-open", "--no-wait"]
        process = subprocess.Popen(
            command, cwd=shell.folder, env=shell.env, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
        )
        assert process.stderr is not None
        assert "1 left" in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        said = process.stderr.read()
        assert process.wait(20) == 130
        process.stderr.close()
        assert "interrupted; the switch stays on; 1 orders were left" in said
        assert "Traceback" not in said
    finally:
        subprocess.run(["kill", "-CONT", *map(str, gateways)], check=True)
    assert shell("cancel-all", "--reason", "test", "--deadline", "30").code == 0
    assert shell("resume", "--reason", "done").code == 0
