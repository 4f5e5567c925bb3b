"""Retention: a record leaves by a journaled script, its identity stays spent."""

import pytest
from redis.asyncio import Redis

from adapters.binance.decode import STREAM_FORMAT, decode
from consumers.folding import Rules
from consumers.ledger import Ledger, LedgerSettings
from consumers.retention import Retention
from streams.errors import IntentSpent
from streams.identity import client_order_id
from streams.keys import LEDGERS
from streams.plans import Claimed, Done
from streams.producer import IntentProducer, publish_item
from streams.schemas import Place
from streams.store import register
from streams.verify import verify
from tests.flow import INFO, INSTRUMENTS, LEASE_MS, Bench, execution, place


@pytest.fixture
async def bench(redis: Redis, account: str) -> Bench:
    """An account with an open gate."""
    return await Bench(redis, account).open()


async def _fold(bench: Bench) -> None:
    settings = LedgerSettings(holder="test", lease_ms=LEASE_MS, rules=Rules(True, 30_000))
    ledger = Ledger(
        redis=bench.redis, reader=bench.ledger_reader(), keys=bench.keys, decode=decode, settings=settings,
        clock=bench.clock,
    )  # fmt: skip
    await ledger.run(burst=True)


async def _filled(bench: Bench) -> Place:
    terms = place(bench.account)
    await bench.claimed(terms)
    identity = client_order_id(terms, INFO.id_rule)
    await bench.say(execution(11, 1, identity, l="1.0", z="1.0", X="FILLED"), form=STREAM_FORMAT)
    await _fold(bench)
    assert (await bench.order(identity)).status == "filled"
    return terms


async def test_an_order_is_kept_until_its_retention_has_passed(bench: Bench) -> None:
    """A retention that is not over removes nothing."""
    await _filled(bench)
    retention = Retention(bench.redis, bench.keys, retention_ms=3_600_000)
    await retention.forget_old()
    assert retention.forgotten == 0


async def test_an_intent_that_comes_again_after_its_record_left_is_refused_and_not_sent(bench: Bench) -> None:
    """Published or added bare, with the old content or with new: the identity is spent for ever."""
    terms = await _filled(bench)
    await Retention(bench.redis, bench.keys, retention_ms=0).forget_old()
    assert await bench.store.orders([client_order_id(terms, INFO.id_rule)]) == [None]
    producer = IntentProducer(bench.redis)
    for again in (terms, place(bench.account, side="sell")):
        with pytest.raises(IntentSpent, match="long ago"):
            await producer.place(again)
    await bench.redis.xadd(bench.keys.intents, {"data": publish_item(terms, INFO).data})
    [entry] = await bench.read_intents("gateway.1")
    assert await bench.claim(entry, terms) == Done("spent")


async def test_other_intents_go_on_after_a_record_left(bench: Bench) -> None:
    """A producer and a gateway that do not know of the new month read it and call again."""
    await _filled(bench)
    await Retention(bench.redis, bench.keys, retention_ms=0).forget_old()
    fresh = place(bench.account, signal_id="s2")
    assert not (await IntentProducer(bench.redis).place(fresh)).duplicate
    [entry] = await bench.read_intents("gateway.1")
    assert isinstance(await bench.claim(entry, fresh), Claimed)


async def test_an_execution_of_a_forgotten_order_waits_in_sight(bench: Bench) -> None:
    """No record, so it is parked, not counted a second time."""
    terms = await _filled(bench)
    await Retention(bench.redis, bench.keys, retention_ms=0).forget_old()
    before = await bench.store.positions()
    await bench.say(execution(11, 1, client_order_id(terms, INFO.id_rule)), form=STREAM_FORMAT)
    await _fold(bench)
    assert await bench.store.positions() == before
    assert [row[1] for row in await bench.store.parked()] == [1]
    assert await bench.pending(bench.keys.evidence, LEDGERS) == 0


async def test_the_journal_without_the_record_is_still_the_state(bench: Bench) -> None:
    """Folding the journal forgets what was forgotten."""
    await _filled(bench)
    await Retention(bench.redis, bench.keys, retention_ms=0).forget_old()
    assert (await verify(bench.redis, bench.keys)).good


async def _unlist(bench: Bench) -> None:
    """Take the symbol of the tests out of what is registered, as a delisting does."""
    left = [one for one in INSTRUMENTS.by_symbol.values() if one.symbol != "BTC/USDT"]
    await register(bench.redis, bench.account, INFO, left, "without")


async def test_an_order_of_a_symbol_that_is_not_registered_any_more_leaves_with_all_its_keys(bench: Bench) -> None:
    """The stored state stays the fold of the journal, and what comes late is dealt with."""
    terms = await _filled(bench)
    await _unlist(bench)
    await Retention(bench.redis, bench.keys, retention_ms=0).forget_old()
    assert await bench.store.orders([client_order_id(terms, INFO.id_rule)]) == [None]
    assert [key async for key in bench.redis.scan_iter(match=f"{bench.keys.venue_order('*', '*')}")] == []
    assert (await verify(bench.redis, bench.keys)).good
    await bench.say(execution(11, 2, client_order_id(terms, INFO.id_rule)), form=STREAM_FORMAT)
    await _fold(bench)
    assert await bench.pending(bench.keys.evidence, LEDGERS) == 0


@pytest.mark.parametrize("named", [True, False])
async def test_an_execution_whose_mapping_outlived_its_order_is_parked(bench: Bench, *, named: bool) -> None:
    """A mapping that leads nowhere makes no order known: the entry does not stay pending for ever."""
    terms = await _filled(bench)
    identity = client_order_id(terms, INFO.id_rule)
    await Retention(bench.redis, bench.keys, retention_ms=0).forget_old()
    await bench.redis.set(bench.keys.venue_order("BTCUSDT", "11"), identity)
    await bench.say(execution(11, 2, identity if named else "of-another-system"), form=STREAM_FORMAT)
    await _fold(bench)
    assert [row[1] for row in await bench.store.parked()] == [1]
    assert await bench.pending(bench.keys.evidence, LEDGERS) == 0


async def test_an_execution_that_waited_too_long_for_its_order_goes_to_quarantine(bench: Bench) -> None:
    """It is shown there with its bytes and the reason, once; the journal still gives the state."""
    await bench.say(execution(77, 1, "of-another-system"), form=STREAM_FORMAT)
    await _fold(bench)
    patient = Retention(bench.redis, bench.keys, retention_ms=1, parked_max_ms=3_600_000)
    await patient.round()
    assert patient.lapsed == 0
    strict = Retention(bench.redis, bench.keys, retention_ms=1, parked_max_ms=0)
    await strict.round()
    await strict.round()
    assert strict.lapsed == 1
    assert await bench.store.parked() == []
    assert await bench.redis.xlen(bench.keys.quarantine) == 1
    assert (await verify(bench.redis, bench.keys)).good
