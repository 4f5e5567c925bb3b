"""R7: `halt` while sixty-four claims run and gateways stand still around it: nothing reaches the venue afterwards."""

import asyncio
import os
import signal
from contextlib import AsyncExitStack
from typing import Any, Literal

import pytest

from consumers.commands import switching
from streams import events
from streams.settings import AccountSettings, Settings
from tests.pipeline import Pipeline, identities
from tests.races.processes import process, stands_still
from tests.races.worker import Stop, Told

CLAIMS, WINDOW_MS = 64, 1_500
# Stopped by themselves after the claim and after the last check before the socket; and two that a test stops.
GATEWAYS: tuple[Stop, ...] = ("signing", "write", "never", "never")


@pytest.mark.slow
@pytest.mark.parametrize("go_on", ["while it waits", "after it returned"])
@pytest.mark.parametrize("scope", ["", "global", "strategy:test"])
async def test_nothing_reaches_the_venue_after_a_halt_has_returned(
    pipeline: Pipeline, scope: str, go_on: Literal["while it waits", "after it returned"]
) -> None:
    """Whoever was stopped with a claim in hand and is continued sends nothing that the venue would take."""
    await pipeline.ledger()
    await pipeline.resolver(window_ms=WINDOW_MS)
    async with AsyncExitStack() as stack:
        workers = [
            await stack.enter_async_context(process(_told(pipeline, number, stop)))
            for number, stop in enumerate(GATEWAYS)
        ]
        await pipeline.place(*(pipeline.terms() for _ in range(CLAIMS)))
        await pipeline.until(lambda: _claims(pipeline))
        for worker in workers[2:]:
            os.kill(worker.pid, signal.SIGSTOP)
        await pipeline.until(lambda: all(map(stands_still, workers[2:])))
        halt = asyncio.create_task(_turned(pipeline, scope))
        await pipeline.until(lambda: _halted(pipeline))
        if go_on == "after it returned":
            await halt
        else:
            _continue(workers)
            await halt
        claimed, reached = await _claims(pipeline), sorted(identities(await pipeline.venue_orders()))
        _continue(workers)
        await pipeline.until(lambda: _told_of_all(pipeline), 20.0)
        assert await _claims(pipeline) == claimed
        assert sorted(identities(await pipeline.venue_orders())) == reached
        assert len(reached) <= claimed


def _told(pipeline: Pipeline, number: int, stop: Stop) -> Told:
    book = next(one for one in pipeline.process.settings.accounts if one.name == pipeline.book)
    return Told(
        role="gateway", redis_url=pipeline.url, account=pipeline.account, name=f"gateway.{number}", stop=stop,
        rest_url=pipeline.process.rest_url, ws_url=pipeline.process.ws_url, api_key=book.api_key, secret=book.secret,
        window_ms=WINDOW_MS,
    )  # fmt: skip


async def _turned(pipeline: Pipeline, scope: str) -> None:
    """Halt as the command does."""
    account = AccountSettings(symbols=(pipeline.symbol,), venue="binance", send_window_ms=WINDOW_MS)
    settings = Settings(redis_url=pipeline.url, accounts={pipeline.account: account})
    done: list[dict[str, object]] = []
    await switching.halt(settings, "", switching.Turn(scope, "halt", "a race"), done, wait=True, clearing=None)
    assert pipeline.account in {one["account"] for one in done}


def _continue(workers: list[asyncio.subprocess.Process]) -> None:
    for worker in workers:
        os.kill(worker.pid, signal.SIGCONT)


async def _claims(pipeline: Pipeline) -> int:
    return sum(isinstance(one, events.Claimed) for one in await pipeline.journal())


async def _halted(pipeline: Pipeline) -> bool:
    control: Any = await pipeline.redis.hgetall(pipeline.keys.control)
    return any(name.partition(b":")[0] == b"halt" for name in control)


async def _told_of_all(pipeline: Pipeline) -> bool:
    """Whether of every claim it is known what became of it."""
    return not {"submitting", "unknown"} & set(await pipeline.store.live_statuses())
