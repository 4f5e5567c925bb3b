"""The estimate of the server's clock, measured against the real one."""

from redis.asyncio import Redis

from streams.clock import SystemClock
from streams.server_clock import SAMPLES, ServerClock


class Steps:
    """A clock whose monotonic time is told beforehand."""

    def __init__(self, steps_ms: list[int]) -> None:
        self.steps_ms = steps_ms

    def now_ns(self) -> int:
        """A wall clock an hour wrong."""
        return 0

    def monotonic_ms(self) -> int:
        """The next step; the last one stays."""
        return self.steps_ms.pop(0) if len(self.steps_ms) > 1 else self.steps_ms[0]

    async def sleep_ms(self, duration_ms: float) -> None:
        """Nobody sleeps here."""
        raise AssertionError(duration_ms)


async def _server_ms(redis: Redis) -> int:
    seconds, micros = await redis.time()
    return int(seconds) * 1000 + int(micros) // 1000


async def test_before_it_is_measured_it_is_our_own_wall_clock() -> None:
    """A worker that could not ask yet is not at the beginning of time."""
    clock = SystemClock()
    assert abs(ServerClock(clock).now_ms() - clock.now_ns() // 1_000_000) <= 5


async def test_measured_it_agrees_with_the_server(redis: Redis) -> None:
    """Between two answers of the server, give or take the way."""
    clock = ServerClock(SystemClock())
    await clock.measure(redis)
    before = await _server_ms(redis)
    estimate = clock.now_ms()
    after = await _server_ms(redis)
    assert before - 20 <= estimate <= after + 20


async def test_the_sample_with_the_shortest_way_wins_and_half_of_its_way_is_taken_off(redis: Redis) -> None:
    """One sample of 10 ms among slow ones decides: the answer was 5 ms old when it came."""
    ways_ms = [400, 900, 10, 700, 500]
    assert len(ways_ms) == SAMPLES
    # The first step is the constructor's; every sample begins at 1,000,000 and ends after its way.
    steps = [0, *(moment for way in ways_ms for moment in (1_000_000, 1_000_000 + way)), 1_000_010]
    clock = ServerClock(Steps(steps))
    before = await _server_ms(redis)
    await clock.measure(redis)
    after = await _server_ms(redis)
    assert before + 5 <= clock.now_ms() <= after + 5
