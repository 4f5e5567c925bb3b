"""Ending tasks for sure: on Python 3.11 a cancellation can be swallowed on its way through a client library."""

import asyncio
from collections.abc import Iterable
from typing import Any

AGAIN_S = 0.1


async def end(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancel tasks, again and again, until every one of them is over; their errors are theirs.

    Who is cancelled meanwhile ends them all the same, and is cancelled then: whoever ends it may be impatient, too.
    """
    left = {task for task in tasks if not task.done()}
    asked: asyncio.CancelledError | None = None
    while left:
        for task in left:
            task.cancel()
        try:
            await asyncio.wait(left, timeout=AGAIN_S)
        except asyncio.CancelledError as error:
            asked = error
        left = {task for task in left if not task.done()}
    if asked is not None:
        raise asked
