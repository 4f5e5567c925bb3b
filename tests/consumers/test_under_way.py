"""Specification of consumers/under_way.py: how much may be under way, and that cancels have a room of their own."""

import asyncio

from consumers.under_way import UnderWay
from streams.clock import SystemClock
from streams.pulse import Pulse
from streams.schemas import CommandKind
from tests.support import wait_until_async


class Desk:
    """Commands under way that end when the test says so."""

    def __init__(self, most: int) -> None:
        self.under_way = UnderWay(most, Pulse(SystemClock()))
        self._doors: dict[str, asyncio.Event] = {}

    def send(self, *entries: str, command: CommandKind = "place") -> None:
        """Send some by one request."""
        door = asyncio.Event()
        self._doors |= dict.fromkeys(entries, door)

        async def wait() -> None:
            await door.wait()

        self.under_way.add(entries, command, asyncio.create_task(wait()))

    def answer(self, entry: str) -> None:
        """Let the request of an entry end."""
        self._doors[entry].set()


async def test_no_more_is_claimed_than_there_is_room_for() -> None:
    """The first that fit, in their order."""
    desk = Desk(2)
    assert desk.under_way.fits(["place", "place", "place"]) == 2
    desk.send("1-0")
    assert desk.under_way.fits(["place", "amend"]) == 1


async def test_cancels_have_room_where_orders_have_none() -> None:
    """And an order behind a cancel waits with the rest."""
    desk = Desk(1)
    desk.send("1-0")
    assert desk.under_way.fits(["place"]) == 0
    assert desk.under_way.fits(["cancel", "place", "cancel"]) == 1
    desk.send("2-0", command="cancel")
    assert desk.under_way.fits(["cancel"]) == 0


async def test_there_is_room_again_when_one_of_its_kind_has_ended() -> None:
    """The end of a cancel makes no room for an order."""
    desk = Desk(1)
    desk.send("1-0")
    desk.send("2-0", command="cancel")
    waiting = asyncio.create_task(desk.under_way.one_ended("place"))
    desk.answer("2-0")
    await wait_until_async(lambda: len(desk.under_way) == 1)
    assert not waiting.done()
    desk.answer("1-0")
    await waiting
    await wait_until_async(lambda: desk.under_way.fits(["place"]) == 1)


async def test_what_goes_by_one_request_ends_together() -> None:
    """Every entry of it was under way."""
    desk = Desk(3)
    desk.send("1-0", "2-0")
    assert len(desk.under_way) == 2
    desk.answer("1-0")
    await desk.under_way.all_ended()
    assert len(desk.under_way) == 0


async def test_an_entry_that_was_let_go_may_be_taken_up_before_its_task_ends() -> None:
    """The end of the first task leaves the second one's entry alone."""
    desk = Desk(3)
    desk.send("1-0")
    desk.under_way.drop("1-0")
    assert len(desk.under_way) == 0
    first = desk._doors["1-0"]
    desk.send("1-0")
    first.set()
    desk.send("2-0", command="cancel")
    desk.answer("2-0")
    await wait_until_async(lambda: len(desk.under_way) == 1)
    desk.answer("1-0")
    await desk.under_way.all_ended()
