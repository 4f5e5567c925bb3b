"""Starting tasks so that what they ask is on its way, and ending them for sure."""

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any, TypeVar

# On Python 3.11 a cancellation can be swallowed on its way through a client library.
AGAIN_S = 0.1

T = TypeVar("T")


async def begin(work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
    """Start a task that asks a server, and return once its question has left.

    The task has the first turn of the loop to itself; uvloop writes at the end of a turn, so that what was asked would
    otherwise wait for whatever the caller does next.
    """
    task = asyncio.create_task(work)
    try:
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    except BaseException:
        await end([task])
        raise
    return task


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
