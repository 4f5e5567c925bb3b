"""Time as an argument: workers are given a clock, tests give their own."""

import asyncio
import time
from typing import Protocol


class Clock(Protocol):
    """What a worker may know of time."""

    def now_ns(self) -> int:
        """Wall clock, UTC nanoseconds; for what is stored."""
        ...

    def monotonic_ms(self) -> int:
        """Never steps back; for durations."""
        ...

    async def sleep_ms(self, duration_ms: float) -> None:
        """Wait."""
        ...


class SystemClock:
    """The machine's clocks."""

    def now_ns(self) -> int:
        """Wall clock, UTC nanoseconds."""
        return time.time_ns()

    def monotonic_ms(self) -> int:
        """Milliseconds since an arbitrary start."""
        return time.monotonic_ns() // 1_000_000

    async def sleep_ms(self, duration_ms: float) -> None:
        """Sleep on the event loop."""
        await asyncio.sleep(duration_ms / 1000)
