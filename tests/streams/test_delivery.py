"""Delivery of the journal to a strategy's handlers, on the real server: in order, at least once, never stuck."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from redis.asyncio import Redis

from streams import codec, events
from streams.connection import connect
from streams.delivery import Delivery, Handler, Patience
from streams.errors import BadIntent, StoreUnreachable
from streams.keys import AccountKeys, strategy_group
from streams.notices import Journal, Notice, OrderChanged, Snapshot, Tick
from streams.schemas import Place
from streams.tasks import end
from tests.flow import Bench
from tests.support import wait_until_async


class Pauses:
    """A clock whose pauses take no time and are counted."""

    def __init__(self) -> None:
        self.pauses: list[float] = []

    def now_ns(self) -> int:
        """Never moves."""
        return 0

    def monotonic_ms(self) -> int:
        """Never moves."""
        return 0

    async def sleep_ms(self, duration_ms: float) -> None:
        """Count the pause and let others run."""
        self.pauses.append(duration_ms)
        await asyncio.sleep(0)


class Stage:
    """One account's journal, written by hand, and deliveries of it."""

    def __init__(self, redis: Redis, url: str, account: str) -> None:
        self.redis, self.url, self.account, self.keys = redis, url, account, AccountKeys(account)
        self.clock = Pauses()
        self.seen: list[Notice] = []
        self.task: asyncio.Task[None]
        self.delivery: Delivery
        self._clients: list[Redis] = []

    async def write(self, *names: str, strategy: str = "test") -> str:
        """One journal entry that creates orders; its id."""
        made = tuple(
            events.Created(id=f"e-{name}", client_order_id=f"c-{name}", terms=self.terms(name, strategy),
                           fingerprint="f", valid_until_ms=1)
            for name in names
        )  # fmt: skip
        body = codec.encode(events.JournalEntry(v=1, script="publish", at_ms=1, changes=made))
        entry: Any = await self.redis.xadd(self.keys.events, {"data": body})
        return str(entry.decode())

    def terms(self, name: str, strategy: str = "test") -> Place:
        """An intent."""
        return Place(
            account=self.account, strategy=strategy, signal_id=name, signal_time=datetime(2026, 1, 1, tzinfo=UTC),
            symbol="BTC/USDT", side="buy", type="market", quantity=Decimal(1),
        )  # fmt: skip

    def start(
        self, *handlers: Callable[[Any], Awaitable[object]], patience: Patience | None = None, snapshots: bool = False
    ) -> Delivery:
        """Deliver to `handlers`, or to `seen`."""

        def chosen(notice: Notice) -> Sequence[Handler]:
            if isinstance(notice, Journal) or (isinstance(notice, Snapshot) and not snapshots):
                return ()
            return handlers or (self.see,)

        reader, commands = connect(self.url, name="reader"), connect(self.url, name="commands", single=False)
        self._clients += [reader, commands]
        self.delivery = Delivery(
            strategy="test", account=self.account, handlers=chosen, reader=reader, commands=commands,
            clock=self.clock, patience=patience,
        )  # fmt: skip
        self.task = asyncio.create_task(self.delivery.run())
        return self.delivery

    async def see(self, notice: Notice) -> None:
        """Handle by remembering."""
        self.seen.append(notice)

    async def started(self) -> None:
        """Wait for the consumer group: what is written from now on will be delivered."""
        await wait_until_async(self._has_group)

    async def _has_group(self) -> bool:
        return bool(await self.redis.exists(self.keys.events)) and bool(await self.redis.xinfo_groups(self.keys.events))

    async def told(self, *event_ids: str) -> None:
        """Wait until exactly these were handled."""
        await wait_until_async(lambda: [one.event_id for one in self.seen] == list(event_ids))

    async def kill(self) -> None:
        """End the delivery as a crash would."""
        await end([self.task])

    async def pending(self) -> int:
        """Entries delivered and not acknowledged."""
        return int((await self.redis.xpending(self.keys.events, strategy_group("test")))["pending"])

    async def settled(self) -> None:
        """Wait until nothing is pending."""

        async def none() -> bool:
            [group] = await self.redis.xinfo_groups(self.keys.events)
            return not group["pending"] and not group["lag"]

        await wait_until_async(none)

    async def close(self) -> None:
        """Give everything back."""
        await self.kill()
        for one in self._clients:
            await one.aclose()


@pytest.fixture
async def stage(redis: Redis, redis_url: str, account: str) -> AsyncIterator[Stage]:
    """An account whose gate is open."""
    await Bench(redis, account).open()
    made = Stage(redis, redis_url, account)
    yield made
    await made.close()


async def test_a_new_strategy_begins_after_its_snapshot(stage: Stage) -> None:
    """Yesterday's journal is not told again."""
    await stage.write("old")
    stage.start()
    await stage.started()
    await stage.write("a", "b")
    await stage.write("c")
    await stage.told("e-a", "e-b", "e-c")
    await stage.settled()
    assert not any(one.redelivered or one.in_snapshot for one in stage.seen)


async def test_the_snapshot_comes_before_everything_else(stage: Stage) -> None:
    """And names the entry it ends with."""
    entry = await stage.write("old")
    stage.start(stage.see, snapshots=True)
    await stage.started()
    await stage.write("a")
    await wait_until_async(lambda: len(stage.seen) == 2)
    first, second = stage.seen
    assert isinstance(first, Snapshot)
    assert (first.entry, second.event_id) == (entry, "e-a")


async def test_orders_of_other_strategies_are_not_told(stage: Stage) -> None:
    """Their entries are acknowledged all the same."""
    stage.start()
    await stage.started()
    await stage.write("x", strategy="other")
    await stage.write("a")
    await stage.told("e-a")
    await stage.settled()


async def test_what_a_killed_strategy_left_is_delivered_to_the_next_one_marked(stage: Stage) -> None:
    """The entry under way when it died comes again, and what came while it was down comes too."""
    reached = asyncio.Event()

    async def hang(_: Notice) -> None:
        reached.set()
        await asyncio.Event().wait()

    stage.start(hang)
    await stage.started()
    await stage.write("a")
    await reached.wait()
    await stage.kill()
    await stage.write("b")
    stage.start()
    await stage.told("e-a", "e-b")
    assert [one.redelivered for one in stage.seen] == [True, False]
    # The snapshot of this start was read after both: whoever sums from it must not add them again.
    assert [one.in_snapshot for one in stage.seen] == [True, True]
    await stage.settled()
    await stage.write("c")
    await stage.told("e-a", "e-b", "e-c")
    assert not stage.seen[-1].in_snapshot


async def test_a_handler_that_raises_is_asked_again_with_growing_pauses(stage: Stage) -> None:
    """And what comes after waits for it: the order is kept."""

    async def stumble(notice: Notice) -> None:
        stage.seen.append(notice)
        if len(stage.seen) < 4:
            raise ValueError("not yet")

    stage.start(stumble)
    await stage.started()
    await stage.write("a")
    await stage.write("b")
    await stage.told("e-a", "e-a", "e-a", "e-a", "e-b")
    assert [one.redelivered for one in stage.seen] == [False, True, True, True, False]
    assert [one for one in stage.clock.pauses if one >= 50][:3] == [50, 100, 200]
    await stage.settled()
    assert stage.delivery.figures["retried"] == 3


async def test_a_handler_that_always_raises_stops_nobody(stage: Stage) -> None:
    """Its entry goes to quarantine with the reason and the bytes; the rest of it, and the next, are delivered."""

    async def refuse(notice: Notice) -> None:
        if notice.event_id == "e-b":
            raise ValueError("never this one")
        stage.seen.append(notice)

    stage.start(refuse, patience=Patience(tries=2))
    await stage.started()
    entry = await stage.write("a", "b", "c")
    await stage.write("d")
    await stage.told("e-a", "e-c", "e-d")
    await stage.settled()
    rows: Any = await stage.redis.xrange(stage.keys.quarantine)
    [(_, kept)] = rows
    told = msgspec.json.decode(kept[b"data"], type=dict[str, str])
    assert (told["stream"], told["entry"]) == ("events", entry)
    assert told["reason"] == "strategy test: e-b: ValueError: never this one"
    assert events.decode(kept[b"raw"]).changes[1].id == "e-b"
    assert stage.delivery.figures["quarantined"] == 1


async def test_an_intent_that_is_refused_is_not_tried_again(stage: Stage) -> None:
    """It would be refused again."""

    async def wrong(notice: Notice) -> None:
        stage.seen.append(notice)
        raise BadIntent("Unknown symbol.")

    stage.start(wrong)
    await stage.started()
    await stage.write("a")
    await wait_until_async(lambda: stage.delivery.figures["quarantined"])
    await stage.told("e-a")


async def test_a_pipeline_that_is_away_is_waited_for_and_not_held_against_the_handler(stage: Stage) -> None:
    """More often than a handler may raise."""

    async def away(notice: Notice) -> None:
        stage.seen.append(notice)
        if len(stage.seen) <= 10:
            raise StoreUnreachable("Redis is away.")

    stage.start(away, patience=Patience(tries=2))
    await stage.started()
    await stage.write("a")
    await wait_until_async(lambda: stage.delivery.figures["handled"])
    await stage.settled()
    assert await stage.redis.xlen(stage.keys.quarantine) == 0


async def test_a_handler_that_hangs_counts_as_one_that_raised(stage: Stage) -> None:
    """After its time is up."""

    async def hang(notice: Notice) -> None:
        if notice.event_id == "e-a":
            await asyncio.Event().wait()
        stage.seen.append(notice)

    stage.start(hang, patience=Patience(tries=2, timeout_s=0.01))
    await stage.started()
    await stage.write("a")
    await stage.write("b")
    await stage.told("e-b")
    await wait_until_async(lambda: stage.delivery.figures["quarantined"] == 1)


async def test_each_handler_is_tried_on_its_own(stage: Stage) -> None:
    """One that succeeded is not called again because its neighbour raised."""
    calls: list[str] = []

    async def good(_: Notice) -> None:
        calls.append("good")

    async def bad(_: Notice) -> None:
        calls.append("bad")
        if calls.count("bad") < 3:
            raise ValueError("again")

    stage.start(good, bad)
    await stage.started()
    await stage.write("a")
    await stage.settled()
    await wait_until_async(lambda: stage.delivery.figures["handled"] == 2)
    assert calls == ["good", "bad", "bad", "bad"]


async def test_a_lost_connection_and_a_lost_group_cost_no_event(stage: Stage) -> None:
    """What was acknowledged with the group may come again; nothing is missing."""
    stage.start()
    await stage.started()
    await stage.write("a")
    await stage.told("e-a")
    await stage.settled()
    await stage.redis.xgroup_destroy(stage.keys.events, strategy_group("test"))
    await stage.write("b")
    await wait_until_async(lambda: "e-b" in [one.event_id for one in stage.seen])


async def test_another_history_of_the_server_brings_a_new_snapshot_before_the_next_event(stage: Stage) -> None:
    """What the strategy was told of the old one may have been lost."""
    stage.start(stage.see, snapshots=True)
    await stage.started()
    await wait_until_async(lambda: len(stage.seen) == 1)
    opened = events.Opened(id="o", history="another")
    body = codec.encode(events.JournalEntry(v=1, script="gate", at_ms=1, changes=(opened,)))
    await stage.redis.hset(stage.keys.control, "history", "another")
    await stage.redis.xadd(stage.keys.events, {"data": body})
    await stage.write("a")
    await wait_until_async(lambda: len(stage.seen) == 3)
    assert [type(one) for one in stage.seen] == [Snapshot, Snapshot, OrderChanged]


async def test_what_is_not_of_the_journal_waits_for_its_turn(stage: Stage) -> None:
    """A tick is not handled while an event is."""
    inside: list[str] = []
    go = asyncio.Event()

    async def one_at_a_time(notice: Notice) -> None:
        assert not inside
        inside.append(notice.event_id)
        stage.seen.append(notice)
        await go.wait()
        inside.clear()

    stage.start(one_at_a_time, patience=Patience(tries=1))
    await stage.started()
    await stage.write("a")
    await stage.told("e-a")
    tick = Tick(event_id="tick", account=stage.account, at_ms=1, due_ms=1, period_ms=1)
    offered = asyncio.create_task(stage.delivery.offer(tick))
    go.set()
    await offered
    await stage.told("e-a", "tick")
    assert stage.delivery.figures["dropped"] == 0


async def test_a_stop_ends_after_the_entry_under_way(stage: Stage) -> None:
    """It is acknowledged; the next is left for the next start."""
    go = asyncio.Event()

    async def slow(notice: Notice) -> None:
        stage.seen.append(notice)
        await go.wait()

    stage.start(slow)
    await stage.started()
    await stage.write("a")
    await stage.write("b")
    await stage.told("e-a")
    stage.delivery.stop()
    go.set()
    await stage.task
    assert [one.event_id for one in stage.seen] == ["e-a"]
    stage.start()
    await stage.told("e-a", "e-b")
