"""A strategy cannot flood: an allowance that is pure, and a producer that keeps it on the real server."""

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis.asyncio import Redis

from streams.pacing import Allowance, PacedProducer
from streams.producer import Receipt
from streams.schemas import Cancel
from tests.flow import Bench, place


class Stepping:
    """A clock that a wait moves, and nothing else."""

    def __init__(self) -> None:
        self.at_ms, self.waits = 1_000.0, list[float]()

    def now_ns(self) -> int:
        """Of no interest here."""
        return 0

    def monotonic_ms(self) -> int:
        """As far as the waits have brought it."""
        return int(self.at_ms)

    async def sleep_ms(self, duration_ms: float) -> None:
        """Move on at once."""
        self.waits.append(duration_ms)
        self.at_ms += duration_ms
        await asyncio.sleep(0)


@given(
    st.integers(1, 50),
    st.lists(st.tuples(st.integers(0, 3_000), st.integers(1, 20)), min_size=1, max_size=40),
)
def test_no_second_and_a_half_has_more_than_two_and_a_half_times_the_allowance(
    per_second: int, asked: list[tuple[int, int]]
) -> None:
    """What was saved up for a second, and what came in the time itself; whenever and however much is asked for."""
    allowance, now_ms, went = Allowance(per_second), 1.0, list[tuple[float, int]]()
    for pause_ms, wanted in asked:
        now_ms += pause_ms
        count = min(wanted, per_second)
        wait_ms = allowance.take(count, now_ms)
        assert wait_ms >= 0
        went.append((now_ms + wait_ms, count))
        now_ms += wait_ms
    for at_ms, _ in went:
        within = sum(count for other_ms, count in went if at_ms <= other_ms < at_ms + 1_500)
        assert within <= 2.5 * per_second + 1e-6


def test_what_is_within_the_allowance_never_waits() -> None:
    """As many a second as there may be, for as long as anybody likes."""
    allowance = Allowance(10)
    assert [allowance.take(1, 1_000 + 100 * number) for number in range(200)] == [0.0] * 200


@pytest.fixture
async def bench(redis: Redis, account: str) -> Bench:
    """An account with an open gate."""
    return await Bench(redis, account).open()


async def test_places_beyond_the_allowance_wait_their_turn_and_are_all_published(bench: Bench) -> None:
    """In their order, and counted; a cancel never waits."""
    clock = Stepping()
    producer = PacedProducer(bench.redis, clock, 4)
    made = [place(bench.account, f"s{number}") for number in range(10)]
    answers = await producer.publish(made)
    assert all(isinstance(one, Receipt) and not one.duplicate for one in answers)
    assert (producer.published, producer.held_back) == (10, 6)
    assert clock.waits == [1_000, 500]
    await producer.cancel(Cancel(account=bench.account, strategy="test", signal_id="s0"))
    assert (producer.published, len(clock.waits)) == (11, 2)
    rows: Any = await bench.redis.xrange(bench.keys.intents)
    assert len(rows) == 11


async def test_without_a_bound_nothing_waits(bench: Bench) -> None:
    """As in tests of strategies."""
    clock = Stepping()
    producer = PacedProducer(bench.redis, clock, 0)
    await producer.publish([place(bench.account, f"s{number}") for number in range(70)])
    assert await producer.publish([]) == []
    assert (producer.published, producer.held_back, clock.waits) == (70, 0, [])
