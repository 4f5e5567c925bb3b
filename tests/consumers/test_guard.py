"""Rules at work on a real journal: what fires is done once, said, and outlives a restart."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from decimal import Decimal

import pytest

from adapters.simulated.faults import Faults
from consumers.clearing import Orphans
from consumers.guard import Guard
from streams import codec, events
from streams.keys import strategy_group
from streams.rules import Rule, Rules
from streams.tasks import end
from tests.pipeline import Pipeline

Start = Callable[[Rules], "asyncio.Future[Guard]"]
REFUSED = Rule(above=1, action="halted_and_cancel")


@asynccontextmanager
async def guarding(
    pipeline: Pipeline, rules: Rules, sample_s: float = 60.0,
    orphans: Callable[[str], Callable[[], Awaitable[Orphans]]] | None = None,
) -> AsyncIterator[Guard]:  # fmt: skip
    """Rules that are kept, from the moment that they are given the journal."""
    redis = pipeline.client("guard", single=False)
    guard = Guard(
        redis=redis, keys=pipeline.keys, rules=rules, clock=pipeline.clock, sample_s=sample_s, orphans=orphans
    )
    task = asyncio.create_task(guard.run(pipeline.url, 2_000))

    async def listens() -> bool:
        groups = await pipeline.redis.xinfo_groups(pipeline.keys.events)
        return any(one["name"].decode() == strategy_group("fillonce-rules") and one["consumers"] for one in groups)

    try:
        await pipeline.until(listens)
        yield guard
    finally:
        await end([task])
        await redis.aclose()


async def _switched(pipeline: Pipeline) -> list[tuple[str, str, str]]:
    return [(one.to, one.who, one.reason) for one in await pipeline.journal() if isinstance(one, events.Switched)]


async def refuse(pipeline: Pipeline, count: int) -> None:
    """The venue refuses orders: nobody has that much."""
    for _ in range(count):
        [name] = await pipeline.place(pipeline.terms(quantity=Decimal(9_000), price=Decimal(150)))
        await pipeline.status(name, "rejected")


async def test_refusals_in_a_row_halt_the_account_and_cancel_what_rests(pipeline: Pipeline) -> None:
    """Halted by the rule's name, once, and what was open is gone."""
    await pipeline.ledger()
    await pipeline.gateway()
    [resting] = await pipeline.place(pipeline.terms())
    await pipeline.status(resting, "open")
    async with guarding(pipeline, Rules(refusals_in_a_row=REFUSED)) as guard:
        await refuse(pipeline, 1)
        assert guard.fired == 0
        await refuse(pipeline, 1)
        await pipeline.status(resting, "cancelled")
    assert await _switched(pipeline) == [
        ("halted", "rule:refusals_in_a_row", "rule refusals_in_a_row: 2 is above 1")
    ]  # fmt: skip
    [told] = [one for one in await pipeline.journal() if isinstance(one, events.Clearing)]
    assert told.who == "rule:refusals_in_a_row"
    [asked] = [one for one in await pipeline.journal() if isinstance(one, events.CancelRequested)]
    assert (asked.client_order_id, asked.who) == (resting, "rule:refusals_in_a_row")


async def test_unknown_orders_leave_only_what_reduces(pipeline: Pipeline) -> None:
    """Counted where the venue's answers are lost."""
    await pipeline.ledger()
    await pipeline.gateway(venue=await pipeline.venue(request_ms=200), window_ms=500)
    await pipeline.resolver(window_ms=500)
    async with guarding(pipeline, Rules(unknowns_per_minute=Rule(above=1, action="reducing"))):
        await pipeline.control.set_faults(Faults(accept_then_drop=1.0))
        await pipeline.place(*(pipeline.terms(price=Decimal(90 - n)) for n in range(2)))
        await pipeline.until(lambda: _switched(pipeline))
    [(to, who, _)] = await _switched(pipeline)
    assert (to, who) == ("reducing", "rule:unknowns_per_minute")


async def test_what_is_sampled_fires_too_and_an_alert_changes_nothing(
    pipeline: Pipeline, caplog: pytest.LogCaptureFixture
) -> None:
    """Evidence that nobody applies."""
    await pipeline.scripts.halt("resume", "make the journal begin", "test")
    gateway = await pipeline.gateway()
    await pipeline.place(pipeline.terms())
    await pipeline.until(lambda: gateway.claimed)
    async with guarding(pipeline, Rules(ledger_lag=Rule(above=0)), sample_s=0.1) as guard:
        await pipeline.until(lambda: guard.fired)
        await pipeline.until(lambda: "rule ledger_lag" in caplog.text)
        assert guard.figures() == {"rules_fired": 1, "firing": "ledger_lag"}
        await pipeline.ledger()
        await pipeline.until(lambda: not guard.watched.firing)
        assert guard.figures() == {"rules_fired": 1}
    assert await _switched(pipeline) == []


async def test_a_reconciliation_that_fails_fires_by_the_heartbeat_that_says_so(pipeline: Pipeline) -> None:
    """Long before the last comparison is old."""
    rules = Rules(reconcile_failures=Rule(above=5, action="halted"))
    async with guarding(pipeline, rules, sample_s=0.1) as guard:
        for failures in (5, 6):
            beat = codec.encode({"started_ms": 1, "reconcile_failures": failures, "reconcile_failed": "HTTP 503"})
            await pipeline.redis.hset(pipeline.keys.roles, "resolver.0", beat.decode())
            await pipeline.until(lambda: guard.watched.sample and guard.watched.sample.reconcile_failures == failures)  # noqa: B023 - waited for within the round
        await pipeline.until(lambda: guard.fired)
    assert await _switched(pipeline) == [
        ("halted", "rule:reconcile_failures", "rule reconcile_failures: 6 is above 5")
    ]  # fmt: skip


async def test_a_persons_halt_keeps_its_reason(pipeline: Pipeline) -> None:
    """The rule would say less than the person did."""
    await pipeline.ledger()
    await pipeline.gateway()
    rules = Rules(stream_lost_ms=Rule(above=0, action="halted"))
    await pipeline.scripts.halt("halt", "by hand", "a person")
    await pipeline.scripts.stream("lost", "listener.0", "", reason="test")
    async with guarding(pipeline, rules, sample_s=0.1) as guard:
        await pipeline.until(lambda: guard.fired)
    assert [who for _, who, _ in await _switched(pipeline)] == ["a person"]


async def test_a_restart_goes_on_with_what_was_being_cancelled(pipeline: Pipeline) -> None:
    """The halt is there, the process that cancelled is not."""
    await pipeline.ledger()
    gateway = await pipeline.gateway()
    [resting] = await pipeline.place(pipeline.terms())
    await pipeline.status(resting, "open")
    rules = Rules(refusals_in_a_row=REFUSED)
    await pipeline.scripts.halt("halt", "rule refusals_in_a_row: 2 is above 1", "rule:refusals_in_a_row")
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(guarding(pipeline, rules))
        await pipeline.status(resting, "cancelled")
    assert gateway.claimed == 2


async def test_entries_that_came_while_nobody_watched_are_heard_at_the_next_start(pipeline: Pipeline) -> None:
    """The place in the journal is kept."""
    await pipeline.ledger()
    await pipeline.gateway()
    rules = Rules(refusals_in_a_row=Rule(above=1, action="halted"))
    async with guarding(pipeline, rules):
        pass
    await refuse(pipeline, 2)
    async with guarding(pipeline, rules):
        await pipeline.until(lambda: _switched(pipeline))
