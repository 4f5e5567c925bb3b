"""Orders known without asking: a batch costs no read, and whatever the record says otherwise is found out."""

from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace
from redis.asyncio import Redis

from adapters.binance.decode import STREAM_FORMAT, decode
from consumers.folding import Rules
from consumers.ledger import Ledger, LedgerSettings
from streams.identity import client_order_id
from streams.keys import LEDGERS
from streams.verify import verify
from tests.flow import INFO, LEASE_MS, Bench, execution, place


@pytest.fixture
async def bench(redis: Redis, account: str) -> Bench:
    """An account with an open gate."""
    return await Bench(redis, account).open()


async def _ledger(bench: Bench, *, orders_max: int = 100, remembers_max: int = 1) -> Ledger:
    """A ledger that leads."""
    ledger = Ledger(
        redis=bench.redis, reader=bench.ledger_reader(), keys=bench.keys, decode=decode,
        settings=LedgerSettings(
            holder="test", lease_ms=LEASE_MS, rules=Rules(resubmission_allowed=True, calm_ms=30_000),
            remembers_max=remembers_max, orders_max=orders_max,
        ), clock=bench.clock,
    )  # fmt: skip
    assert await ledger._take_lease()
    return ledger


async def _fold(ledger: Ledger, bench: Bench) -> None:
    """Let it handle all there is."""
    async for batch in bench.ledger_reader().batches(burst=True):
        await ledger.handle(batch)


async def _say(bench: Bench, name: str, trade_id: int, **changes: Any) -> None:
    await bench.say(execution(7, trade_id, name, **{"l": "0.1", "z": "0.1", **changes}), form=STREAM_FORMAT)


async def _good(bench: Bench, name: str, filled: str) -> None:
    assert (await bench.order(name)).state.filled == Decimal(filled)
    assert (await bench.store.positions())["BTC/USDT"].quantity == Decimal(filled)
    assert await bench.pending(bench.keys.evidence, LEDGERS) == 0
    assert (await verify(bench.redis, bench.keys)).good


async def test_an_order_that_a_commit_confirmed_is_not_read_again(bench: Bench) -> None:
    """The second fill is folded from memory: the server is asked for nothing but the commit."""
    _, claim = await bench.claimed(place(bench.account))
    name, ledger = claim.order.client_order_id, await _ledger(bench)
    await _say(bench, name, 1)
    await _fold(ledger, bench)
    await _say(bench, name, 2)
    await bench.redis.config_resetstat()
    await _fold(ledger, bench)
    stats: Any = await bench.redis.info("commandstats")
    assert "cmdstat_hgetall" not in stats
    assert stats["cmdstat_hmget"]["calls"] == 1  # the commit's own look
    assert (ledger.known.counters.hits, ledger.known.counters.misses) == (1, 1)
    await _good(bench, name, "0.2")


async def test_a_frame_about_no_order_costs_no_read(bench: Bench) -> None:
    """The venue tells balances after nearly every fill."""
    _, claim = await bench.claimed(place(bench.account))
    name, ledger = claim.order.client_order_id, await _ledger(bench)
    await _say(bench, name, 1)
    await _fold(ledger, bench)
    await _say(bench, name, 2)
    await bench.say({"event": {"e": "outboundAccountPosition", "E": 1, "u": 1, "B": []}}, form=STREAM_FORMAT)
    await bench.redis.config_resetstat()
    await _fold(ledger, bench)
    stats: Any = await bench.redis.info("commandstats")
    assert stats["cmdstat_hmget"]["calls"] == 1  # the commit's own look
    assert stats["cmdstat_time"]["calls"] == stats["cmdstat_evalsha"]["calls"]  # a script's own look at the clock
    await _good(bench, name, "0.2")


async def test_an_order_somebody_else_changed_is_read_and_folded_again(bench: Bench) -> None:
    """Another ledger commits in between: what is remembered is stale, is dropped, and nothing counts twice."""
    _, claim = await bench.claimed(place(bench.account))
    name, first = claim.order.client_order_id, await _ledger(bench)
    await _say(bench, name, 1)
    await _fold(first, bench)
    other = await _ledger(bench)
    await _say(bench, name, 2)
    await _fold(other, bench)
    await _say(bench, name, 3)
    await _fold(first, bench)
    assert first.stale == 1
    assert first.known.counters.drops == 1
    await _good(bench, name, "0.3")


async def test_an_execution_memory_does_not_name_but_the_record_has_counts_once(bench: Bench) -> None:
    """The order is remembered at its digest, an execution of it is not: the commit refuses it as new."""
    _, claim = await bench.claimed(place(bench.account))
    name, ledger = claim.order.client_order_id, await _ledger(bench)
    await _say(bench, name, 1)
    await _fold(ledger, bench)
    held = ledger.known.orders.peek(name)
    assert held is not None
    ledger.known.orders.put(name, replace(held, seen=frozenset()))
    ledger.memory.forget()
    await _say(bench, name, 1)
    await _fold(ledger, bench)
    assert (ledger.applied, ledger.stale) == (1, 1)
    await _good(bench, name, "0.1")


async def test_an_execution_that_is_remembered_but_was_lost_is_applied(bench: Bench) -> None:
    """The record has another execution of equal size at the same digest: only the execution itself proves its entry."""
    _, claim = await bench.claimed(place(bench.account))
    name, ledger = claim.order.client_order_id, await _ledger(bench)
    await _say(bench, name, 1)
    await _fold(ledger, bench)
    await bench.redis.hdel(bench.keys.order(name), "7:1")
    await bench.redis.hset(bench.keys.order(name), "7:9", "1")
    ledger.memory.forget()
    await _say(bench, name, 1)
    await _fold(ledger, bench)
    assert (await bench.order(name)).state.filled == Decimal("0.2")
    assert await bench.pending(bench.keys.evidence, LEDGERS) == 0


async def test_a_cancel_requested_meanwhile_makes_what_is_remembered_stale(bench: Bench) -> None:
    """What the gateway writes is compared like what the ledger writes."""
    _, claim = await bench.claimed(place(bench.account))
    name, ledger = claim.order.client_order_id, await _ledger(bench)
    await _say(bench, name, 1)
    await _fold(ledger, bench)
    await bench.redis.hset(bench.keys.order(name), "cancel", "1")
    await _say(bench, name, 2)
    await _fold(ledger, bench)
    assert ledger.stale == 1
    assert (await bench.order(name)).state.filled == Decimal("0.2")


async def test_memory_is_bounded_and_its_counters_are_shown(bench: Bench) -> None:
    """One order is remembered; the others are read when they come again."""
    ledger = await _ledger(bench, orders_max=1)
    for number in range(2):
        terms = place(bench.account, f"s{number}")
        await bench.publish(terms)
        name = client_order_id(terms, INFO.id_rule)
        await bench.say(execution(7 + number, 1, name, l="0.1", z="0.1"), form=STREAM_FORMAT)
        await _fold(ledger, bench)
    assert len(ledger.known.orders) == 1
    figures = ledger.figures()
    assert figures["order_evictions"] >= 1
    assert {"order_hits", "order_misses", "order_drops", "payload_hits"} <= figures.keys()
