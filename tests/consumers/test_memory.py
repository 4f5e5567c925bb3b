"""The ledger's memory of payloads: a copy costs no read, and what the server lost is applied all the same."""

from typing import Any

import pytest
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


def _ledger(bench: Bench) -> Ledger:
    rules = Rules(resubmission_allowed=True, calm_ms=30_000)
    return Ledger(
        redis=bench.redis, reader=bench.ledger_reader(), keys=bench.keys, decode=decode,
        settings=LedgerSettings(holder="test", lease_ms=LEASE_MS, rules=rules), clock=bench.clock,
    )  # fmt: skip


async def _again(ledger: Ledger, bench: Bench) -> Ledger:
    """A ledger that reads on with the memory of another."""
    later = _ledger(bench)
    later.memory = ledger.memory
    await later.run(burst=True)
    return later


async def test_a_copy_of_an_applied_payload_is_acknowledged_from_memory(bench: Bench) -> None:
    """It is not decoded again, changes nothing, and the script proves it by the record."""
    terms = place(bench.account)
    await bench.claimed(terms)
    said = execution(11, 1, client_order_id(terms, INFO.id_rule))
    await bench.say(said, form=STREAM_FORMAT)
    ledger = _ledger(bench)
    await ledger.run(burst=True)
    journal = await bench.journal()
    await bench.say(said, form=STREAM_FORMAT)
    later = await _again(ledger, bench)
    assert (later.memory.cache.counters.hits, later.applied) == (1, 0)
    assert await bench.journal() == journal
    assert await bench.pending(bench.keys.evidence, LEDGERS) == 0


async def test_an_execution_the_server_lost_is_applied_when_it_comes_again(bench: Bench) -> None:
    """The server is put back to before the commit: memory says `seen`, the record does not, so it is folded."""
    terms = place(bench.account)
    _, claim = await bench.claimed(terms)
    identity = claim.order.client_order_id
    before: dict[str, Any] = {
        key: await bench.redis.dump(key) for key in (bench.keys.order(identity), bench.keys.events)
    }
    said = execution(11, 1, identity)
    await bench.say(said, form=STREAM_FORMAT)
    ledger = _ledger(bench)
    await ledger.run(burst=True)
    for key, value in before.items():
        await bench.redis.restore(key, 0, value, replace=True)
    position = bench.keys.position("BTC/USDT")
    await bench.redis.delete(position, bench.keys.positions, bench.keys.venue_order("BTCUSDT", "11"))
    await bench.say(said, form=STREAM_FORMAT)
    later = await _again(ledger, bench)
    assert later.memory.cache.counters.drops == 1
    assert later.applied == 1
    assert str((await bench.order(identity)).state.filled) == "0.4"
    assert (await verify(bench.redis, bench.keys)).good
    assert await bench.pending(bench.keys.evidence, LEDGERS) == 0
