"""The private stream's state on the real server: who may say what of it, and what a claim makes of that."""

import pytest
from redis.asyncio import Redis

from streams import events
from streams.keys import GATEWAYS, LEDGERS
from streams.plans import Claimed, Done, Gap, Halted, StreamState
from streams.scripts import Scripts
from tests.flow import Bench, place

LEASE_MS = 60_000
WHOLE, LOST = StreamState("whole", ""), StreamState("lost", "")


@pytest.fixture
async def bench(redis: Redis, account: str) -> Bench:
    """An account with an open gate, whose stream was lost before anybody heard it."""
    bench = await Bench(redis, account).open()
    await bench.scripts.stream("lost", "listener.0", "", reason="starts")
    return bench


async def whole(bench: Bench, connection: str = "c1", listener: str = "listener.0") -> StreamState:
    """Say that the stream is whole."""
    return await bench.scripts.stream("whole", listener, connection, lease_ms=LEASE_MS)


async def keep(bench: Bench, lease_ms: int = LEASE_MS) -> StreamState:
    """Say that it still is."""
    return await bench.scripts.stream("keep", "listener.0", "c1", lease_ms=lease_ms)


async def told(bench: Bench) -> list[tuple[str, str]]:
    """What the journal says of the stream."""
    return [
        ("lost", one.reason) if isinstance(one, events.StreamLost) else ("whole", one.connection)
        for one in await bench.journal()
        if isinstance(one, events.StreamLost | events.StreamWhole)
    ]


async def verdict(bench: Bench) -> object:
    """What a claim of a new order is answered."""
    terms = place(bench.account)
    await bench.publish(terms)
    [entry] = await bench.read_intents()
    return await bench.claim(entry, terms)


async def test_new_exposure_waits_while_the_stream_is_lost_and_stays_pending(bench: Bench) -> None:
    """Not refused: the same entry is claimed when the stream is whole."""
    terms = place(bench.account)
    await bench.publish(terms)
    [entry] = await bench.read_intents()
    assert await bench.claim(entry, terms) == Gap()
    assert await whole(bench) == WHOLE
    assert isinstance(await bench.claim(entry, terms), Claimed)


async def test_an_account_that_nobody_ever_listened_to_is_not_held(redis: Redis, account: str) -> None:
    """Whoever runs without a listener knows it."""
    assert isinstance(await verdict(await Bench(redis, account).open()), Claimed)


async def test_what_reduces_goes_out_and_what_a_limit_would_refuse_waits(bench: Bench) -> None:
    """The limit may be held against orders that ended unheard."""
    terms = place(bench.account)
    await bench.publish(terms)
    [entry] = await bench.read_intents()
    assert await bench.claim(entry, terms, judged=True, refusal='"a limit"') == Gap()
    assert isinstance(await bench.claim(entry, terms, judged=True, reduces=True), Claimed)


async def test_a_refusal_by_the_book_of_a_lost_stream_waits_under_a_halt_too(bench: Bench) -> None:
    """Under a halt nobody looks whether the book is still the account's, so it ends no order."""
    terms = place(bench.account)
    await bench.publish(terms)
    [entry] = await bench.read_intents()
    await bench.scripts.halt("halt", "the stream is lost", "rule")
    assert await bench.claim(entry, terms, judged=True, refusal='"a limit"') == Halted()
    assert await bench.pending(bench.keys.intents, GATEWAYS) == 1
    assert await bench.claim(entry, terms, refusal='"no such symbol"') == Done("rejected")


async def test_a_listener_that_died_stops_vouching_by_itself(bench: Bench) -> None:
    """Its last word counts for the lease, by the server's clock; whoever comes back to it late has lost the stream."""
    await whole(bench)
    await bench.redis.hset(bench.keys.control, "stream_until", str(await bench.store.now_ms()))
    assert await verdict(bench) == Gap()
    assert await keep(bench) == LOST
    assert await told(bench) == [("lost", "starts"), ("whole", "c1"), ("lost", "nobody vouched for it in time")]
    assert await keep(bench) == LOST
    assert await whole(bench) == WHOLE


async def test_the_stream_is_whole_only_when_the_ledger_has_applied_what_was_fetched(bench: Bench) -> None:
    """Up to the entry that was the newest when it was first said; later ones do not matter."""
    await bench.redis.xadd(bench.keys.evidence, {"data": "{}"}, id="5-1")
    assert await whole(bench) == StreamState("behind", "5-1")
    await bench.redis.xgroup_create(bench.keys.evidence, LEDGERS, id="0")
    assert await whole(bench) == StreamState("behind", "5-1")
    await bench.redis.xreadgroup(LEDGERS, "ledger", {bench.keys.evidence: ">"})
    assert (await whole(bench)).state == "behind"
    await bench.redis.xadd(bench.keys.evidence, {"data": "{}"}, id="5-2")
    await bench.redis.xack(bench.keys.evidence, LEDGERS, "5-1")
    assert await whole(bench) == StreamState("behind", "5-2")
    assert await bench.scripts.stream("whole", "listener.0", "c1", lease_ms=LEASE_MS, entry="5-1") == WHOLE


async def test_a_connection_that_was_told_to_be_lost_is_never_whole_again(bench: Bench) -> None:
    """Its last word may arrive after the one that ended it."""
    await whole(bench)
    await bench.scripts.stream("lost", "listener.0", "c1", reason="cut")
    assert await whole(bench) == LOST
    assert await whole(bench, "c2") == WHOLE
    await bench.scripts.stream("lost", "listener.0", "c2", reason="cut")
    await bench.scripts.stream("lost", "listener.0", "c3", reason="refused")
    assert await whole(bench, "c3") == LOST
    assert [reason for kind, reason in await told(bench) if kind == "lost"] == ["starts", "cut", "cut"]


async def test_one_listeners_loss_is_none_while_another_one_vouches(bench: Bench) -> None:
    """Both hear the same; when the one who vouches has lost it, the other one fetches what may be missing."""
    await whole(bench)
    assert await bench.scripts.stream("lost", "listener.1", "d1", reason="cut") == WHOLE
    assert await keep(bench) == WHOLE
    assert await bench.scripts.stream("lost", "listener.0", "c1", reason="cut") == LOST
    assert await bench.scripts.stream("keep", "listener.1", "d2", lease_ms=LEASE_MS) == LOST
    assert await whole(bench, "d2", "listener.1") == WHOLE


async def test_the_watermark_moves_only_while_somebody_vouches(bench: Bench) -> None:
    """It says how far everything is stored."""
    await bench.scripts.stream("keep", "listener.0", "c1", lease_ms=LEASE_MS, entry="stored")
    assert await bench.redis.hget(bench.keys.control, "stream_watermark") is None
    await whole(bench)
    await keep(bench)
    assert await bench.redis.hget(bench.keys.control, "stream_watermark") is None
    await bench.scripts.stream("keep", "listener.0", "c1", lease_ms=LEASE_MS, entry="stored")
    assert await bench.redis.hget(bench.keys.control, "stream_watermark") is not None


async def test_a_loss_is_told_whatever_became_of_the_server(bench: Bench) -> None:
    """Like a halt, it needs no history."""
    await whole(bench)
    await bench.redis.hset(bench.keys.control, "history", "another")
    other = Scripts(bench.redis, bench.keys)
    assert await other.stream("lost", "listener.0", "c1", reason="cut") == LOST


async def test_new_exposure_is_enabled_after_what_was_reconciled_is_applied_and_the_stream_is_whole(
    bench: Bench,
) -> None:
    """In this order; without the last call nothing goes out."""
    await bench.redis.hdel(bench.keys.control, "history")
    await bench.redis.xadd(bench.keys.evidence, {"data": "{}"}, id="5-1")
    scripts = Scripts(bench.redis, bench.keys)
    gate = await scripts.open_gate((await scripts.gate()).history, guarded=True)
    assert (gate.is_open, gate.waits_for) == (True, "ledger")
    await bench.redis.xgroup_create(bench.keys.evidence, LEDGERS, id="0")
    await bench.redis.xreadgroup(LEDGERS, "ledger", {bench.keys.evidence: ">"})
    await bench.redis.xack(bench.keys.evidence, LEDGERS, "5-1")
    assert (await scripts.enable(gate.opening)).waits_for == "stream"
    await whole(bench)
    bench.scripts = scripts
    assert (await scripts.gate()).waits_for == "enable"
    terms = place(bench.account)
    await bench.publish(terms)
    [entry] = await bench.read_intents()
    assert await bench.claim(entry, terms) == Gap()
    assert (await scripts.enable("another opening")).waits_for == "enable"
    assert (await scripts.enable(gate.opening)).waits_for == ""
    assert isinstance(await bench.claim(entry, terms), Claimed)
    assert sum(isinstance(one, events.Enabled) for one in await bench.journal()) == 1
