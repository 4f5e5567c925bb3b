"""The shared budget in one process: what it asks, keeps, gives back and learns. The clock is the test's own."""

import asyncio

import pytest
from redis.asyncio import Redis

from streams.budget import BLOCKED, Cost, Counter, Pot, Reading, Usage
from streams.clock import SystemClock
from streams.connection import connect
from streams.keys import AccountKeys, egress_rate
from streams.rate import BLOCK_EVERY_MS, UNREACHABLE_MS, Rate
from streams.script_loader import load
from streams.scripts import Scripts
from streams.store import Store
from tests.proxy import Proxy

MINUTE_MS, DAY_MS = 60_000, 86_400_000
BASE_MS = 40_000 * DAY_MS
MIDDLE_MS = 30_000
PLACE, QUERY, CANCEL = Cost("new", 1, 1), Cost("query", 20), Cost("cancel", 1)


class Watch:
    """A clock that moves when somebody sleeps."""

    def __init__(self) -> None:
        self.at_ms = 1_000_000
        self.slept: list[float] = []

    def now_ns(self) -> int:
        """Wall clock."""
        return self.at_ms * 1_000_000

    def monotonic_ms(self) -> int:
        """Monotonic."""
        return self.at_ms

    async def sleep_ms(self, duration_ms: float) -> None:
        """Move on."""
        self.slept.append(duration_ms)
        self.at_ms += int(duration_ms)


class Bench:
    """Processes of one account, some weight and some orders, in the middle of a minute of the venue's."""

    def __init__(self, redis: Redis, account: str, weight: int = 1_000, orders: int = 1_000) -> None:
        self.redis, self.keys, self.watch = redis, AccountKeys(account), Watch()
        self.store = Store(redis, self.keys)
        address = Counter("here weight/1m", weight, MINUTE_MS)
        self.pots = (
            Pot(egress_rate(account), "weight", BLOCKED.decode() + "here", (address,)),
            Pot(self.keys.rate, "orders", BLOCKED.decode(), (Counter("orders/1m", orders, MINUTE_MS),)),
        )
        self._began_ms = self.watch.at_ms

    def process(self, redis: Redis | None = None) -> Rate:
        """Another process."""
        return Rate(Scripts(redis or self.redis, self.keys), self.pots, self.watch)

    async def take(self, rate: Rate, cost: Cost, patience_ms: int = 0) -> int:
        """Take at the time of the watch."""
        return await rate.take(cost, ahead_ms=await self.ahead_ms(), patience_ms=patience_ms)

    async def ahead_ms(self) -> int:
        """From the server's clock to the watch's, from the base on."""
        return BASE_MS + MIDDLE_MS + self.watch.at_ms - self._began_ms - await self.store.now_ms()

    async def hear(self, rate: Rate, usage: Usage) -> None:
        """Hear it now."""
        now_ms = BASE_MS + MIDDLE_MS + self.watch.at_ms - self._began_ms
        await rate.heard(usage, ahead_ms=await self.ahead_ms(), began_ms=now_ms, ended_ms=now_ms)


async def test_two_processes_share_one_budget(redis: Redis, account: str) -> None:
    """What one has taken the other has not."""
    bench = Bench(redis, account, weight=100)
    one, other = bench.process(), bench.process()
    assert not await bench.take(one, Cost("query", 60))
    assert await bench.take(other, Cost("query", 60))
    assert not await bench.take(other, Cost("query", 30))


async def test_far_from_the_limit_most_requests_ask_nobody(redis: Redis, account: str) -> None:
    """A hundredth is kept, until the window nears its end."""
    bench = Bench(redis, account)
    rate = bench.process()
    for _ in range(11):
        assert not await bench.take(rate, PLACE)
        bench.watch.at_ms += 2 * BLOCK_EVERY_MS
    assert rate.asked == 2  # once for the weight, once for the orders
    bench.watch.at_ms += MINUTE_MS - MIDDLE_MS - 22 * BLOCK_EVERY_MS
    assert not await bench.take(rate, PLACE)
    assert rate.asked == 4


async def test_what_is_kept_of_one_window_is_not_used_in_the_next(redis: Redis, account: str) -> None:
    """It was counted in the one before."""
    bench = Bench(redis, account)
    rate = bench.process()
    assert not await bench.take(rate, Cost("query", 1))  # ten are kept
    bench.watch.at_ms += MINUTE_MS - MIDDLE_MS + 10
    assert not await bench.take(rate, Cost("query", 1))
    assert rate.asked == 2


async def test_requests_that_begin_together_ask_once_where_one_answer_is_enough(redis: Redis, account: str) -> None:
    """And each for itself where it is not; nobody gets more than there is."""
    bench = Bench(redis, account, weight=10_000, orders=20)
    rate = bench.process()
    assert not any(await asyncio.gather(*(bench.take(rate, Cost("new", 1)) for _ in range(50))))
    assert rate.asked == 1
    waits = await asyncio.gather(*(bench.take(rate, Cost("new", 0, 1)) for _ in range(50)))
    assert sum(not one for one in waits) == 16


async def test_a_request_that_lacks_one_budget_spends_nothing_of_the_other(redis: Redis, account: str) -> None:
    """Orders that are turned away for their count leave the weight to look-ups."""
    bench = Bench(redis, account, weight=10, orders=1)
    rate = bench.process()
    assert not await bench.take(rate, PLACE)
    assert await bench.take(rate, Cost("new", 0, 1))
    for _ in range(20):
        assert await bench.take(rate, PLACE)
    for _ in range(8):
        assert not await bench.take(rate, Cost("query", 1))
    assert await bench.take(rate, Cost("query", 1))


async def test_what_was_taken_in_vain_is_given_back(redis: Redis, account: str) -> None:
    """The count of orders was granted, the weight was not."""
    bench = Bench(redis, account, weight=10, orders=2)
    rate = bench.process()
    assert not await bench.take(rate, Cost("query", 9))
    for _ in range(5):
        assert await bench.take(rate, PLACE)
    assert not await bench.take(rate, Cost("new", 0, 1))


async def test_who_has_patience_waits_and_whoever_has_less_than_it_takes_is_told_so_at_once(
    redis: Redis, account: str
) -> None:
    """The wait is as long as the script said."""
    bench = Bench(redis, account, weight=100)
    rate = bench.process()
    assert not await bench.take(rate, Cost("query", 90))
    wait_ms = await bench.take(rate, QUERY, patience_ms=1_000)
    assert (bench.watch.slept, rate.turned_away) == ([], 1)
    assert 1_000 < wait_ms <= MINUTE_MS
    patient = Rate(Scripts(redis, bench.keys), bench.pots, SystemClock())
    await patient.heard(Usage(block_ms=30), ahead_ms=await bench.ahead_ms(), began_ms=0, ended_ms=0)
    assert await patient.take(CANCEL, ahead_ms=await bench.ahead_ms(), patience_ms=60_000) == 0


async def test_it_knows_for_how_long_no_new_order_finds_budget(redis: Redis, account: str) -> None:
    """Until the next window, whatever place in the queue the one that was turned away was given."""
    bench = Bench(redis, account, orders=1)
    rate = bench.process()
    assert rate.shut_ms() == 0
    assert not await bench.take(rate, PLACE)
    for _ in range(5):
        wait_ms = await bench.take(rate, PLACE)
    assert wait_ms > rate.shut_ms() > MIDDLE_MS
    bench.watch.at_ms += MINUTE_MS
    assert rate.shut_ms() == 0


async def test_a_block_that_one_met_keeps_all_of_the_address_away(redis: Redis, account: str) -> None:
    """What was kept is worth nothing then; orders alone are nothing without weight."""
    bench = Bench(redis, account)
    one, other = bench.process(), bench.process()
    assert not await bench.take(one, CANCEL)
    await bench.hear(one, Usage(block_ms=60_000))
    for rate in (one, other):
        assert 50_000 < await bench.take(rate, CANCEL) <= 60_000


async def test_what_is_kept_is_not_used_long_into_a_block_that_another_process_met(redis: Redis, account: str) -> None:
    """A second at most, and then nothing of it is lost."""
    bench = Bench(redis, account)
    one, other = bench.process(), bench.process()
    assert not await bench.take(one, CANCEL)
    await bench.hear(other, Usage(block_ms=60_000))
    assert not await bench.take(one, CANCEL)
    bench.watch.at_ms += BLOCK_EVERY_MS
    for _ in range(30):
        assert await bench.take(one, CANCEL) > 50_000
    await redis.hdel(bench.pots[0].key, bench.pots[0].blocked)
    assert not await bench.take(one, CANCEL)
    assert one.asked == 1


async def test_a_count_of_the_venue_is_told_with_the_next_question(redis: Redis, account: str) -> None:
    """Somebody else uses the address."""
    bench = Bench(redis, account, weight=100)
    one, other = bench.process(), bench.process()
    await bench.hear(one, Usage((Reading("weight", MINUTE_MS, 79),)))
    assert not await bench.take(one, Cost("new", 1))
    assert await bench.take(other, Cost("new", 1))


async def test_another_limit_and_a_refusal_are_told_at_once(redis: Redis, account: str) -> None:
    """Others ask before this process does."""
    bench = Bench(redis, account, weight=100)
    one, other = bench.process(), bench.process()
    await bench.hear(one, Usage((Reading("weight", MINUTE_MS, limit=1_000),)))
    assert not await bench.take(other, Cost("query", 500))
    await bench.hear(one, Usage((Reading("orders", MINUTE_MS, 1_000, 1_000),), over=True))
    assert await bench.take(other, PLACE)


async def test_a_reading_of_what_nobody_counts_changes_nothing(redis: Redis, account: str) -> None:
    """A venue may count in more ways than it declares."""
    bench = Bench(redis, account)
    rate = bench.process()
    await bench.hear(rate, Usage((Reading("weight", 1_000, 10**6, 1),)))
    assert not await bench.take(rate, PLACE)


@pytest.mark.parametrize(("cost", "wait_ms"), [(PLACE, 0), (CANCEL, 0), (QUERY, UNREACHABLE_MS)])
async def test_without_a_server_commands_go_on_and_questions_wait(
    redis: Redis, account: str, tmp_path: object, cost: Cost, wait_ms: int
) -> None:
    """A command was claimed a moment ago; a question can be asked later."""
    away = connect(f"unix://{tmp_path}/nobody.sock", name="test", single=False)
    rate = Bench(redis, account).process(away)
    assert await rate.take(cost, ahead_ms=0) == wait_ms
    await rate.heard(Usage(block_ms=1), ahead_ms=0, began_ms=1, ended_ms=2)
    await away.aclose()


async def test_who_asks_at_the_same_moment_waits_for_one_answer_that_does_not_come_and_not_for_two(
    redis: Redis, redis_url: str, account: str
) -> None:
    """A send window is only so long: the commands go on together."""
    await redis.script_load(load("rate").text)
    sha = load("rate").sha.encode()
    async with Proxy.redis(redis_url) as proxy:
        proxy.hold(sha)
        slow = connect(proxy.url, name="test", single=False, timeout_ms=300)
        rate = Bench(redis, account).process(slow)
        assert await asyncio.gather(*(rate.take(CANCEL, ahead_ms=0) for _ in range(3))) == [0, 0, 0]
        assert len([one for one in proxy.seen if sha in one]) == 1
        await slow.aclose()
