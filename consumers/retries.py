"""Entries that a gateway tries again after a while: nobody else does while they are pending there."""

import asyncio
from collections.abc import Awaitable, Callable

from streams.clock import Clock
from streams.reader import Entry
from streams.tasks import end


class Retries:
    """The entries of one gateway that are tried again."""

    def __init__(self, clock: Clock, take: Callable[[Entry], Awaitable[None]]) -> None:
        """Bind it; `take` is given an entry when its time has come."""
        self._clock, self._take = clock, take
        self._waiting: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    def __contains__(self, entry: str) -> bool:
        """Whether an entry waits here."""
        return entry in self._waiting

    def after(self, entry: str, data: bytes, wait_ms: float) -> None:
        """Take an entry again after a while; one that waits already keeps its time."""
        if entry in self._waiting:
            return

        async def again() -> None:
            await self._clock.sleep_ms(wait_ms)
            self._waiting.discard(entry)
            await self._take(Entry(entry, {b"data": data}, redelivered=True))

        self._waiting.add(entry)
        task = asyncio.create_task(again())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def end(self) -> None:
        """Give up on all of them; their entries stay pending."""
        await end(self._tasks)
