"""An open loop: things begin when they are due, whether or not those before them have ended."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

T = TypeVar("T")


async def pace(rate: float, things: Sequence[T], begin: Callable[[T], Awaitable[None]], after_s: float = 0) -> None:
    """Begin one thing after the other.

    Args:
        rate: of them a second.
        things: what to begin.
        begin: begins and ends one.
        after_s: wait before the first, so that paces beside each other do not begin together.
    """
    first_ns = time.perf_counter_ns() + int(after_s * 1e9)
    tasks: list[asyncio.Future[None]] = []
    for number, thing in enumerate(things):
        wait_s = (first_ns + number * 1e9 / rate - time.perf_counter_ns()) / 1e9
        await asyncio.sleep(max(wait_s, 0))
        tasks.append(asyncio.ensure_future(begin(thing)))
    await asyncio.gather(*tasks)
