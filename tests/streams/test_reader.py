"""The reader on the real server: no entry is lost, whatever becomes of connections, groups and other consumers."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest
from redis.asyncio import Redis

from streams.clock import SystemClock
from streams.connection import connect
from streams.reader import Entry, Reader
from tests.support import wait_until_async

GROUP = "group"


class Lines:
    """One stream and its readers."""

    def __init__(self, url: str, redis: Redis) -> None:
        self.redis, self.stream = redis, f"fillonce-test:{uuid4().hex}"
        self._url = url
        self._clients: list[Redis] = []

    def reader(self, consumer: str = "one", *, count: int = 10, claim_idle_ms: int = 60_000) -> Reader:
        """A reader with a connection of its own, named like its consumer."""
        client = connect(self._url, name=self.client_name(consumer))
        self._clients.append(client)
        return Reader(
            client, self.stream, GROUP, consumer, count=count, claim_idle_ms=claim_idle_ms, clock=SystemClock()
        )

    def client_name(self, consumer: str) -> str:
        """What CLIENT LIST calls a consumer's connection."""
        return f"{self.stream}-{consumer}"

    async def write(self, *numbers: int) -> list[str]:
        """Append entries; their ids."""
        ids: list[Any] = [await self.redis.xadd(self.stream, {"n": str(number)}) for number in numbers]
        return [one.decode() for one in ids]

    async def burst(self, reader: Reader) -> list[Entry]:
        """Everything there is to read."""
        return [entry for batch in await self.batches(reader) for entry in batch]

    async def batches(self, reader: Reader) -> list[list[Entry]]:
        """Everything there is to read, by batch."""
        return [batch async for batch in reader.batches(burst=True)]

    async def kill_connection(self, consumer: str) -> int:
        """CLIENT KILL one consumer's connection; how many there were."""
        clients: Any = await self.redis.client_list()
        found = [one["id"] for one in clients if one["name"] == self.client_name(consumer)]
        for one in found:
            await self.redis.client_kill_filter(_id=one)
        return len(found)

    async def blocked(self, consumer: str) -> bool:
        """Whether a consumer waits inside XREADGROUP."""
        clients: Any = await self.redis.client_list()
        return any(one["name"] == self.client_name(consumer) and "b" in one["flags"] for one in clients)

    async def close(self) -> None:
        """Give back connections."""
        for client in self._clients:
            await client.aclose()


@pytest.fixture
async def lines(redis_url: str, redis: Redis) -> AsyncIterator[Lines]:
    """A stream no other test has."""
    made = Lines(redis_url, redis)
    yield made
    await made.close()


def numbers(entries: list[Entry]) -> list[int]:
    """What entries hold."""
    return [int(entry.fields[b"n"]) for entry in entries]


async def _collect(reader: Reader, found: list[Entry], **how: Any) -> None:
    async for batch in reader.batches(**how):
        found += batch


async def test_a_new_group_begins_with_the_first_entry_there_is(lines: Lines) -> None:
    """What was written before anybody read is delivered."""
    await lines.write(1, 2, 3)
    found = await lines.burst(lines.reader())
    assert numbers(found) == [1, 2, 3]
    assert not any(entry.redelivered for entry in found)


async def test_a_burst_ends_when_nothing_is_left(lines: Lines) -> None:
    """On an empty stream at once, without a batch."""
    assert await lines.batches(lines.reader()) == []


async def test_batches_are_bounded(lines: Lines) -> None:
    """No batch has more entries than the reader's count, new or pending."""
    await lines.write(*range(25))
    reader = lines.reader(count=10)
    assert [len(batch) for batch in await lines.batches(reader)] == [10, 10, 5]
    assert [len(batch) for batch in await lines.batches(lines.reader(count=10))] == [10, 10, 5]


async def test_own_pending_entries_come_before_new_ones(lines: Lines) -> None:
    """A consumer that comes back under its name gets what it left, marked, and then what is new."""
    await lines.write(1, 2)
    await lines.burst(lines.reader())
    await lines.write(3)
    found = await lines.burst(lines.reader())
    assert numbers(found) == [1, 2, 3]
    assert [entry.redelivered for entry in found] == [True, True, False]


async def test_acknowledged_entries_do_not_come_again(lines: Lines) -> None:
    """Only what is still pending is delivered to the returning consumer."""
    first, _ = await lines.write(1, 2)
    await lines.burst(lines.reader())
    await lines.redis.xack(lines.stream, GROUP, first)
    assert numbers(await lines.burst(lines.reader())) == [2]


async def test_a_reader_that_forgot_reads_its_pending_entries_again(lines: Lines) -> None:
    """`forget` is for a caller that gave up a batch."""
    reader = lines.reader()
    await lines.write(1)
    await lines.burst(reader)
    assert await lines.burst(reader) == []
    reader.forget()
    assert numbers(await lines.burst(reader)) == [1]


async def test_entries_of_a_dead_consumer_are_taken_over(lines: Lines) -> None:
    """All of them, in batches, once they were idle for long enough."""
    await lines.write(*range(7))
    await lines.burst(lines.reader("dead"))
    heir = lines.reader("heir", count=3, claim_idle_ms=1)
    found: list[Entry] = []
    task = asyncio.create_task(_collect(heir, found))
    await wait_until_async(lambda: set(numbers(found)) >= set(range(7)))
    heir.stop()
    await task
    assert all(entry.redelivered for entry in found)
    assert heir.claimed >= 7


async def test_entries_of_a_living_consumer_are_left_to_it(lines: Lines) -> None:
    """Before the idle time has passed nothing is taken over."""
    await lines.write(1, 2)
    await lines.burst(lines.reader("busy"))
    assert await lines.burst(lines.reader("other")) == []


async def test_a_lost_group_is_made_again_from_the_first_entry(lines: Lines) -> None:
    """XGROUP DESTROY costs a redelivery of everything, never an entry."""
    reader = lines.reader()
    await lines.write(1, 2)
    await lines.burst(reader)
    await lines.redis.xgroup_destroy(lines.stream, GROUP)
    await lines.write(3)
    assert numbers(await lines.burst(reader)) == [1, 2, 3]
    assert reader.reconnects == 1


async def test_a_stream_that_was_deleted_is_made_again(lines: Lines) -> None:
    """DEL of the stream under a waiting reader is healed like a lost group."""
    reader, found = lines.reader(), list[Entry]()
    task = asyncio.create_task(_collect(reader, found))
    await wait_until_async(lambda: lines.blocked("one"))
    await lines.redis.delete(lines.stream)
    await lines.write(1)
    await wait_until_async(lambda: numbers(found) == [1])
    reader.stop()
    await task


async def test_no_entry_is_lost_when_the_connection_is_killed_again_and_again(lines: Lines) -> None:
    """CLIENT KILL while entries come: each is delivered, and the reader says how often it was cut off."""
    reader, found = lines.reader(), list[Entry]()
    task = asyncio.create_task(_collect(reader, found))
    for number in range(5):
        await wait_until_async(lambda: lines.blocked("one"))
        await lines.write(2 * number)
        await wait_until_async(lambda: lines.kill_connection("one"))
        await lines.write(2 * number + 1)
    await wait_until_async(lambda: set(numbers(found)) == set(range(10)))
    reader.stop()
    await task
    assert reader.reconnects >= 1


async def test_after_a_reconnect_own_pending_entries_come_again(lines: Lines) -> None:
    """A reply may have been lost on its way, so what was delivered is delivered once more."""
    reader, found = lines.reader(), list[Entry]()
    await lines.write(1)
    task = asyncio.create_task(_collect(reader, found))
    await wait_until_async(lambda: numbers(found) == [1])
    await wait_until_async(lambda: lines.blocked("one"))
    await lines.kill_connection("one")
    await wait_until_async(lambda: numbers(found) == [1, 1])
    assert found[1].redelivered
    reader.stop()
    await task


async def test_an_entry_that_was_removed_while_pending_comes_with_empty_fields(lines: Lines) -> None:
    """Its consumer learns that it is gone instead of waiting for it for ever."""
    [removed, _] = await lines.write(1, 2)
    await lines.burst(lines.reader())
    await lines.redis.xdel(lines.stream, removed)
    found = await lines.burst(lines.reader())
    assert [(entry.id == removed, dict(entry.fields)) for entry in found] == [(True, {}), (False, {b"n": b"2"})]


async def test_a_removed_entry_of_a_dead_consumer_does_not_stop_the_takeover(lines: Lines) -> None:
    """What still exists is taken over."""
    [removed, _] = await lines.write(1, 2)
    await lines.burst(lines.reader("dead"))
    await lines.redis.xdel(lines.stream, removed)
    heir, found = lines.reader("heir", claim_idle_ms=1), list[Entry]()
    task = asyncio.create_task(_collect(heir, found))
    await wait_until_async(lambda: numbers(found)[:1] == [2])
    heir.stop()
    await task


async def test_an_idle_reader_yields_empty_batches_when_it_was_asked_to(lines: Lines) -> None:
    """So that a caller can do what is due while nothing comes."""
    reader = lines.reader()
    async for batch in reader.batches(idle=True):
        assert batch == []
        reader.stop()


async def test_a_stopped_reader_ends_after_the_batch_at_hand(lines: Lines) -> None:
    """What was not delivered yet stays for the next reader."""
    await lines.write(*range(6))
    reader = lines.reader(count=3)
    seen = []
    async for batch in reader.batches():
        seen += numbers(batch)
        reader.stop()
    assert seen == [0, 1, 2]
    assert numbers(await lines.burst(lines.reader("next"))) == [3, 4, 5]


async def test_a_stop_is_noticed_by_a_reader_that_waits(lines: Lines) -> None:
    """It ends within its blocking read, with nothing written to wake it."""
    reader = lines.reader()
    task = asyncio.create_task(_collect(reader, []))
    await wait_until_async(lambda: lines.blocked("one"))
    reader.stop()
    await asyncio.wait_for(task, 2)


async def test_what_overtakes_goes_past_own_pending_entries_and_the_rest_keeps_its_order(lines: Lines) -> None:
    """Between the batches of what it had read before; everything comes once."""
    await lines.write(*range(1, 7))
    await lines.burst(lines.reader())
    reader = lines.reader(count=2)
    reader.overtakes = lambda entry: entry.fields[b"n"] == b"100"
    await lines.write(7, 100)
    found = await lines.batches(reader)
    assert [numbers(batch) for batch in found] == [[1, 2], [100], [3, 4], [5, 6], [7, 100]]


async def test_while_its_caller_works_only_what_overtakes_is_yielded(lines: Lines) -> None:
    """What was read past comes when the caller goes on, before what is newer."""
    reader = lines.reader(count=2)
    reader.overtakes = lambda entry: entry.fields[b"n"] == b"100"
    await lines.write(1, 2, 3, 4, 100, 5)
    found: list[list[int]] = []
    async for batch in reader.batches():
        found.append(numbers(batch))
        reader.paused = found[-1] == [1, 2]
        if found[-1] == [100]:
            await lines.write(6)
        if found[-1][-1] == 6:
            break
    assert [number for batch in found for number in batch] == [1, 2, 100, 3, 4, 100, 5, 6]


async def test_nothing_new_is_read_past_pending_entries_where_nothing_overtakes(lines: Lines) -> None:
    """The order of a ledger's evidence is the stream's."""
    await lines.write(1, 2, 3)
    await lines.burst(lines.reader())
    await lines.write(4)
    found = await lines.batches(lines.reader(count=2))
    assert [numbers(batch) for batch in found] == [[1, 2], [3], [4]]


async def test_what_a_read_brings_that_was_under_way_when_it_was_told_to_forget_comes_in_its_turn(lines: Lines) -> None:
    """Not before what it is behind: all of it is read again, and once."""
    await lines.write(1)
    reader, found = lines.reader(), list[Entry]()
    batches = reader.batches()
    found += await anext(batches)
    coming = asyncio.ensure_future(anext(batches))
    await wait_until_async(lambda: lines.blocked("one"))
    reader.forget()
    await lines.write(2)
    found += await coming
    assert numbers(found) == [1, 1, 2]
    assert [entry.redelivered for entry in found] == [False, True, True]
    await batches.aclose()  # type: ignore[attr-defined]  # it is a generator


async def test_what_is_new_is_not_read_past_own_pending_entries_that_have_all_been_read(lines: Lines) -> None:
    """It is delivered once, although nothing overtakes anything."""
    await lines.write(1)
    await lines.burst(lines.reader())
    await lines.write(2)
    heir = lines.reader()
    heir.overtakes = lambda _: False
    assert [(number, entry.redelivered) for entry in await lines.burst(heir) for number in numbers([entry])] == [
        (1, True),
        (2, False),
    ]
