"""Ending tasks for sure, whatever swallows a cancellation, and whoever is cancelled while ending them."""

import asyncio

import pytest

from streams.tasks import end


async def deaf(times: int) -> None:
    """Swallow some cancellations, as a client library does."""
    while times:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            times -= 1
    await asyncio.Event().wait()


async def test_a_task_that_swallows_cancellations_is_ended() -> None:
    """By asking again; one that raises instead has ended as well."""
    task = asyncio.create_task(deaf(3))
    await asyncio.sleep(0)
    await end([task])
    assert task.cancelled()


async def test_who_is_cancelled_while_ending_leaves_nothing_running() -> None:
    """And is cancelled afterwards: what it held may be given back only then."""
    task = asyncio.create_task(deaf(2))
    ending = asyncio.create_task(end([task]))
    for _ in range(3):
        await asyncio.sleep(0)
    ending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await ending
    assert task.done()
