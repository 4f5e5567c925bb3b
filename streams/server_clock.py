"""An estimate of the Redis server's clock: send windows and validity are times of that clock, not of ours."""

from redis.asyncio import Redis

from streams.clock import Clock

SAMPLES = 5


class ServerClock:
    """Server time from our monotonic clock and an offset; the sample with the shortest way wins."""

    def __init__(self, clock: Clock) -> None:
        """Start with our own wall clock until `measure` has answered."""
        self._clock = clock
        self._offset_ms = clock.now_ns() // 1_000_000 - clock.monotonic_ms()

    def now_ms(self) -> int:
        """Server time in UTC ms."""
        return self._clock.monotonic_ms() + self._offset_ms

    async def measure(self, redis: Redis) -> None:
        """Ask the server a few times and keep the best offset."""
        best_ms: int | None = None
        for _ in range(SAMPLES):
            before = self._clock.monotonic_ms()
            seconds, micros = await redis.time()
            way_ms = self._clock.monotonic_ms() - before
            if best_ms is None or way_ms < best_ms:
                best_ms = way_ms
                # Half the way back is added, so the estimate errs to the late side by at most half a round trip.
                self._offset_ms = int(seconds) * 1000 + int(micros) // 1000 - before - way_ms // 2
