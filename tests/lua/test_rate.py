"""Specification of lua/rate.lua: never more than the venue allows in any window of its clock.

The venue's clock is wherever a test wants it: the script adds what it is told to the server's own.
"""

from collections import Counter as Tally
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis.asyncio import Redis

from streams.budget import BLOCKED, SHARES, Counter, Grant, Pot, Told, Urgency, left, plan
from streams.keys import AccountKeys
from streams.scripts import Scripts
from streams.store import Store

MINUTE_MS, TEN_S_MS, DAY_MS = 60_000, 10_000, 86_400_000
# Far ahead, so that the windows of a test are its own, and at the beginning of one of each length.
BASE_MS = 40_000 * DAY_MS
MIDDLE_MS = 30_000


class Bench:
    """One pot of one account, asked at moments of the venue's clock."""

    def __init__(self, redis: Redis, account: str, *counters: Counter) -> None:
        self.redis, self.keys = redis, AccountKeys(account)
        self.scripts, self.store = Scripts(redis, self.keys), Store(redis, self.keys)
        self.pot = Pot(self.keys.rate, "weight", BLOCKED.decode(), counters)

    async def ask(
        self, need: int, urgency: Urgency = "new", at_ms: int = MIDDLE_MS, told: Told | None = None, block_ms: int = 0
    ) -> Grant:
        """Ask `at_ms` after the base."""
        ahead_ms = BASE_MS + at_ms - await self.store.now_ms()
        known = {one.name: told for one in self.pot.counters} if told else {}
        packed = plan(self.pot, need, urgency, known, ahead_ms=ahead_ms, block_ms=block_ms)
        return await self.scripts.spend(self.pot.key, packed)

    async def drain(self, urgency: Urgency, at_ms: int = MIDDLE_MS) -> int:
        """Take one by one until there is no more; how many there were."""
        total = 0
        while (grant := await self.ask(1, urgency, at_ms)).granted:
            total += grant.granted
        return total

    async def left(self, at_ms: int = MIDDLE_MS) -> Sequence[int]:
        """What is left of each counter."""
        stored: Any = await self.redis.hgetall(self.pot.key)
        return [one.left for one in left(stored, BASE_MS + at_ms)]


@pytest.fixture
def bench(redis: Redis, account: str) -> Bench:
    """A weight of 100 in a minute."""
    return Bench(redis, account, Counter("weight/1m", 100, MINUTE_MS))


async def test_each_urgency_stops_at_its_share_and_leaves_the_rest_to_what_is_more_urgent(bench: Bench) -> None:
    """New orders stop first, then look-ups, then what reduces; cancels go on."""
    total = 0
    for urgency in ("new", "query", "reduce", "cancel"):
        total += await bench.drain(urgency)
        assert total == SHARES[urgency]
    assert await bench.left() == [2]


async def test_what_is_turned_away_spends_nothing_and_learns_when_there_is_more(bench: Bench) -> None:
    """The next window, a guard after its beginning: earlier the venue may still count in the one before."""
    await bench.drain("cancel")
    grant = await bench.ask(1, "cancel")
    assert grant.granted == 0
    assert grant.wait_ms == pytest.approx(MINUTE_MS - MIDDLE_MS + 1_000, abs=1_000)
    assert (await bench.ask(1, "cancel", MIDDLE_MS + grant.wait_ms + 100)).granted >= 1


async def test_a_new_window_is_shut_to_what_the_old_one_has_no_room_for_until_no_request_can_be_counted_there(
    bench: Bench,
) -> None:
    """Right behind an edge the venue's clock may still be before it."""
    await bench.drain("new")
    assert (await bench.ask(1, "new", MINUTE_MS + 10)).granted == 0
    assert (await bench.ask(1, "cancel", MINUTE_MS + 10)).granted == 1
    assert (await bench.ask(1, "new", MINUTE_MS + 1_500)).granted >= 1


async def test_what_is_spent_right_before_an_edge_counts_in_the_next_window_too(bench: Bench) -> None:
    """On its way it may pass the edge."""
    assert await bench.drain("new", MINUTE_MS - 300) == SHARES["new"]
    assert await bench.left(MINUTE_MS + 2_000) == [100]  # nobody has asked in that window
    assert (await bench.ask(1, "new", MINUTE_MS + 2_000)).granted == 0
    assert await bench.left(MINUTE_MS + 2_000) == [20]
    assert (await bench.ask(1, "new", 2 * MINUTE_MS + 2_000)).granted >= 1


async def test_what_is_spent_right_behind_an_edge_counts_in_the_window_before_too(bench: Bench) -> None:
    """It may arrive before the venue's clock has passed the edge."""
    await bench.ask(70)
    assert await bench.drain("cancel", MINUTE_MS + 100) == SHARES["cancel"] - 70


async def test_more_than_is_needed_is_granted_only_far_from_the_limit(bench: Bench) -> None:
    """A hundredth to keep, or a few, until half of the room is gone."""
    assert (await bench.ask(1)).granted == 5
    await bench.ask(40)
    assert (await bench.ask(1)).granted == 1


async def test_what_is_kept_is_good_as_long_as_it_counts(bench: Bench) -> None:
    """Until a guard before the window's end; what was granted right before an edge counts in the next window too."""
    middle, late = await bench.ask(1), await bench.ask(1, at_ms=MINUTE_MS - 500)
    assert middle.good_ms == pytest.approx(MINUTE_MS - MIDDLE_MS - 1_000, abs=500)
    assert late.granted > 1
    assert late.good_ms == pytest.approx(500 + MINUTE_MS - 1_000, abs=500)


async def test_a_request_needs_room_in_every_counter_of_its_pot(redis: Redis, account: str) -> None:
    """Ten seconds are over soon, the day is not."""
    bench = Bench(redis, account, Counter("orders/10s", 10, TEN_S_MS), Counter("orders/1d", 12, DAY_MS))
    at_ms = DAY_MS // 2 + 5_000
    assert await bench.drain("new", at_ms) == 8
    assert (await bench.ask(1, "new", at_ms)).wait_ms < 2 * TEN_S_MS
    assert await bench.drain("new", at_ms + TEN_S_MS) == 1
    assert (await bench.ask(1, "new", at_ms + TEN_S_MS)).wait_ms > DAY_MS // 4


async def test_those_turned_away_are_told_to_come_back_one_window_after_the_other(redis: Redis, account: str) -> None:
    """Twice as many to each as it has room for: a flood is not tried again at once, and no window is left unused."""
    bench = Bench(redis, account, Counter("orders/10s", 10, TEN_S_MS))
    await bench.drain("new", 5_000)  # the question it ends with is the first that is turned away
    waits = [(await bench.ask(1, "new", 5_000)).wait_ms // TEN_S_MS for _ in range(47)]
    assert Tally(waits) == {0: 15, 1: 16, 2: 16}
    assert (await bench.ask(1, "reduce", 5_000)).granted == 1  # it does not queue


async def test_what_the_venue_counted_raises_what_was_used_and_never_lowers_it(bench: Bench) -> None:
    """Others may use the same address; an older count says nothing new."""
    window = (BASE_MS + MIDDLE_MS) // MINUTE_MS
    await bench.ask(0, told=Told(window, 70))
    assert await bench.left() == [30]
    await bench.ask(0, told=Told(window, 40))
    await bench.ask(0, told=Told(window - 1, 99))
    assert await bench.left() == [30]
    assert (await bench.ask(11)).granted == 0
    assert (await bench.ask(10)).granted == 10


async def test_a_limit_that_the_venue_told_stands_for_everybody(bench: Bench) -> None:
    """An account may be allowed more than what is declared, or less."""
    await bench.ask(0, told=Told(limit=1_000))
    assert (await bench.ask(700)).granted == 700
    await bench.ask(0, told=Told(limit=50))
    assert (await bench.ask(1)).granted == 0


async def test_a_block_keeps_everything_away_until_it_ends(bench: Bench) -> None:
    """Nothing of an address is answered any more, not even cancels; a shorter block does not end a longer one."""
    await bench.ask(0, block_ms=60_000)
    await bench.ask(0, block_ms=10)
    grant = await bench.ask(1, "cancel")
    assert grant.granted == 0
    assert 50_000 < grant.wait_ms <= 60_000


async def test_a_clock_that_steps_back_finds_what_was_spent(bench: Bench) -> None:
    """Two processes measure the venue's offset apart; neither opens a window again."""
    await bench.drain("cancel", MINUTE_MS + MIDDLE_MS)
    assert (await bench.ask(1, "cancel", MIDDLE_MS)).granted == 0


async def test_a_clock_that_was_set_back_by_an_hour_waits_for_one_window_and_not_for_an_hour(bench: Bench) -> None:
    """What was used still counts, in the window that is now."""
    await bench.drain("cancel", 60 * MINUTE_MS + MIDDLE_MS)
    assert (await bench.ask(1, "cancel", MIDDLE_MS)).granted == 0
    assert (await bench.ask(1, "cancel", MINUTE_MS + MIDDLE_MS)).granted


async def test_counters_of_nobody_go_away(bench: Bench, redis: Redis) -> None:
    """They are no truth: what was counted two days ago says nothing."""
    await bench.ask(1)
    assert 0 < await redis.ttl(bench.pot.key) <= 2 * DAY_MS // 1_000


@given(
    steps=st.lists(
        st.tuples(
            st.sampled_from([0, 1, 30, 400, 900, 2_500, 9_000]), st.integers(1, 4), st.integers(-400, 900),
            st.sampled_from(["cancel", "reduce", "query", "new"]), st.floats(0, 1),
        ),
        min_size=20, max_size=80,
    )
)  # fmt: skip
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_the_venue_never_counts_more_than_its_limit_whenever_requests_arrive(
    redis: Redis, account: str, steps: Sequence[tuple[int, int, int, Urgency, float]]
) -> None:
    """Each arrives up to a guard earlier or later by the venue's clock than it was paid for, or taken from the kept."""
    bench = Bench(redis, account, Counter("weight/10s", 40, TEN_S_MS), Counter("weight/1m", 120, MINUTE_MS))
    await redis.delete(bench.pot.key)
    counted: dict[int, Tally[int]] = {TEN_S_MS: Tally(), MINUTE_MS: Tally()}
    at_ms = 0
    for pause_ms, need, off_ms, urgency, share in steps:
        at_ms += pause_ms
        grant = await bench.ask(need, urgency, at_ms)
        kept = max(0, grant.granted - need)
        for interval_ms, tally in counted.items():
            tally[(at_ms + off_ms) // interval_ms] += grant.granted - kept
            tally[int(at_ms + share * max(0, grant.good_ms) + off_ms) // interval_ms] += kept
    assert max(counted[TEN_S_MS].values()) <= 40
    assert max(counted[MINUTE_MS].values()) <= 120


def test_a_stored_counter_is_read_as_the_script_writes_it() -> None:
    """Nothing is left while the address is blocked; another venue's block says nothing."""
    row = msgspec.msgpack.encode([1, 30, 0, 0, 0, 100, 0, MINUTE_MS])
    stored = {b"a weight/1m": row, b"b weight/1m": row, b"blocked:b": msgspec.msgpack.encode(2 * MINUTE_MS)}
    assert [one.left for one in left(stored, MINUTE_MS + 1)] == [70, 0]
    assert [one.left for one in left(stored, 2 * MINUTE_MS)] == [100, 100]
