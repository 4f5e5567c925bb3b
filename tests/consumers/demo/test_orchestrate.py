"""What the demo waits for, on a real server with no demo running."""

from typing import Any

import pytest
from redis.asyncio import Redis

from consumers.demo.orchestrate import Options, _Demo
from streams.plans import Done
from streams.store import Store
from tests.flow import Bench, place, soon

CHASER = "chaser"


@pytest.fixture
async def bench(redis: Redis, account: str) -> Bench:
    """An account whose strategy has heard everything so far."""
    made = await Bench(redis, account).open()
    await redis.xgroup_create(made.keys.events, CHASER, id="$", mkstream=True)
    return made


def _demo(bench: Bench) -> Any:
    demo = _Demo(Options(intents=100, seed=1, faults="off"), lambda _: None)
    demo.redis, demo.keys, demo.store = bench.redis, bench.keys, Store(bench.redis, bench.keys)
    return demo


async def _ended_unheard(bench: Bench) -> None:
    terms = place(bench.account, signal_time=soon(-100), valid_until=soon(-1))
    await bench.publish(terms)
    [entry] = await bench.read_intents()
    assert await bench.claim(entry, terms) == Done("expired")


async def test_what_a_strategy_has_not_heard_is_waited_for_while_it_may_react(bench: Bench) -> None:
    """It may publish an exit for it."""
    demo = _demo(bench)
    assert await demo._quiet()
    await _ended_unheard(bench)
    assert not await demo._quiet()


async def test_what_happens_after_the_strategies_have_gone_is_not_waited_for(bench: Bench) -> None:
    """Nobody reads it any more: the demo is over when every order is."""
    await _ended_unheard(bench)
    assert await _demo(bench)._ended()


async def test_an_order_that_lives_or_an_entry_that_waits_is_waited_for(bench: Bench) -> None:
    """Published and not yet read; then claimed and not yet answered."""
    demo, terms = _demo(bench), place(bench.account)
    await bench.publish(terms)
    assert not await demo._ended()
    [entry] = await bench.read_intents()
    await bench.claim(entry, terms)
    assert not await demo._quiet()
    assert not await demo._ended()
