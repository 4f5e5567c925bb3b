"""Tasks whose question has left when they began, and that end for sure, whatever swallows a cancellation."""

import asyncio
import select
import socket
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
import uvloop

from streams.tasks import begin, end


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


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
def test_what_a_task_asks_has_left_when_it_began(run: Callable[[Coroutine[Any, Any, bytes]], bytes]) -> None:
    """Whatever its caller does next, the other side has the bytes."""
    ours, theirs = socket.socketpair()

    async def ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        writer.write(b"question")
        return await reader.read(8)

    async def asked() -> bytes:
        reader, writer = await asyncio.open_unix_connection(sock=ours)
        task = await begin(ask(reader, writer))
        arrived = theirs.recv(8) if select.select([theirs], [], [], 0)[0] else b""
        await end([task])
        writer.close()
        return arrived

    assert run(asked()) == b"question"
    theirs.close()


async def test_who_is_cancelled_while_beginning_leaves_nothing_running() -> None:
    """The task is over, too."""
    over = asyncio.Event()

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            over.set()

    beginning = asyncio.create_task(begin(work()))
    await asyncio.sleep(0)
    beginning.cancel()
    with pytest.raises(asyncio.CancelledError):
        await beginning
    assert over.is_set()
