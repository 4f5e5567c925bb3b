"""The producer on the real server: receipts, conflicts, and one sentence whenever Redis cannot be asked."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from redis.asyncio import Redis
from redis.exceptions import OutOfMemoryError

from streams.codec import encode_text
from streams.connection import connect
from streams.errors import BadIntent, IntentConflict, StoreError, StoreUnreachable
from streams.events import Created
from streams.identity import client_order_id
from streams.instrument import tabulate
from streams.keys import GATEWAYS
from streams.producer import IntentProducer, Receipt, publish_item
from streams.schemas import Amend, Cancel, Intent, Takes
from streams.scripts import BATCH_MAX
from streams.server import EmbeddedServer
from streams.store import register
from tests.flow import INFO, INSTRUMENTS, Bench, place, soon
from tests.support import wait_until_async

TIMEOUT_MS = 2_000


@pytest.fixture
async def bench(redis: Redis, account: str) -> Bench:
    """An account with an open gate."""
    return await Bench(redis, account).open()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[EmbeddedServer]:
    """A server of this test's own, that may be stopped."""
    with EmbeddedServer(tmp_path / "data") as started:
        yield started


@pytest.fixture
async def client(server: EmbeddedServer) -> AsyncIterator[Redis]:
    """A client of that server."""
    made = connect(server.url, name="producer", timeout_ms=5_000, single=False)
    yield made
    await made.aclose()


@contextmanager
def paused(pid: int) -> Iterator[None]:
    """A process that stands still."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


async def test_a_new_intent_is_answered_with_its_order(bench: Bench) -> None:
    """The receipt has the identity and the order as created."""
    terms = place(bench.account)
    receipt = await IntentProducer(bench.redis).place(terms)
    assert receipt.client_order_id == client_order_id(terms, INFO.id_rule)
    assert not receipt.duplicate
    assert receipt.order == await bench.order(receipt.client_order_id)


async def test_a_duplicate_is_answered_with_the_order_as_it_stands(bench: Bench) -> None:
    """Also from another producer, and after the order moved on."""
    terms = place(bench.account)
    await IntentProducer(bench.redis).place(terms)
    [entry] = await bench.read_intents()
    await bench.claim(entry, terms)
    receipt = await IntentProducer(bench.redis).place(terms)
    assert receipt.duplicate
    assert receipt.order is not None
    assert receipt.order.status == "submitting"


async def test_an_old_answer_is_not_given_from_memory_however_often_others_are_published(bench: Bench) -> None:
    """The order as it stood within the last second, or as it stands."""
    producer, terms = IntentProducer(bench.redis), place(bench.account)
    await producer.place(terms)
    [entry] = await bench.read_intents()
    await bench.claim(entry, terms)
    confirmed = 0

    async def forgotten() -> bool:
        nonlocal confirmed
        confirmed += 1
        await producer.place(place(bench.account, f"other{confirmed}"))
        return producer.remembered(terms) is None

    await wait_until_async(forgotten, poll_s=0.1)
    again = await producer.place(terms)
    assert again.order is not None
    assert again.order.status == "submitting"


async def test_other_content_under_a_used_identity_is_refused(bench: Bench) -> None:
    """The error says both fingerprints and what to do."""
    terms = place(bench.account)
    other = place(bench.account, quantity=Decimal(2), signal_time=terms.signal_time)
    producer = IntentProducer(bench.redis)
    await producer.place(terms)
    with pytest.raises(IntentConflict, match="use a new signal id for a new decision") as refused:
        await producer.place(other)
    stored, given = (publish_item(one, INFO).fingerprint for one in (terms, other))
    assert (refused.value.stored, refused.value.given) == (stored, given)
    assert stored in str(refused.value)
    assert given in str(refused.value)


async def test_a_conflict_does_not_hide_the_others_of_its_batch(bench: Bench) -> None:
    """It is returned in its place, and the rest become orders."""
    terms = place(bench.account)
    producer = IntentProducer(bench.redis)
    await producer.place(terms)
    other = place(bench.account, quantity=Decimal(2), signal_time=terms.signal_time)
    found = await producer.publish([place(bench.account, "a"), other, place(bench.account, "b")])
    assert [type(one) for one in found] == [Receipt, IntentConflict, Receipt]


def amend(bench: Bench, **changes: Any) -> Amend:
    """Of the order that `place` makes, on the grid."""
    given: dict[str, Any] = {
        "account": bench.account, "strategy": "test", "signal_id": "s1", "revision": 1, "signal_time": soon(0),
        "quantity": Decimal(2), "price": Decimal(50_001),
    }  # fmt: skip
    return Amend(**{**given, **changes})


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"price": Decimal("50000.001")}, "price 50000.001 is off the tick of 0.01 for BTC/USDT"),
        ({"quantity": Decimal("0.000001")}, "off the lot of 0.00001"),
        ({"quantity": Decimal("0.00002")}, "below the minimum of 5"),
    ],
    ids=str,
)
async def test_an_amend_that_no_order_of_its_symbol_may_have_is_refused_before_it_is_written(
    bench: Bench, changes: dict[str, Any], sentence: str
) -> None:
    """By name or by identity, alone or among others; the order stays as it is."""
    producer = IntentProducer(bench.redis)
    receipt = await producer.place(place(bench.account))
    by_name = amend(bench, strategy=None, signal_id=None, client_order_id=receipt.client_order_id, **changes)
    for one in (amend(bench, **changes), by_name):
        with pytest.raises(BadIntent, match=sentence):
            await producer.amend(one)
    assert await bench.redis.xlen(bench.keys.intents) == 1
    found = await producer.publish([amend(bench), by_name, place(bench.account, "other")])
    assert [type(one) for one in found] == [Receipt, BadIntent, Receipt]
    assert await bench.redis.xlen(bench.keys.intents) == 3


async def test_an_amend_of_an_order_that_is_not_known_is_left_to_the_gateways(bench: Bench) -> None:
    """Its place may be on its way; so is one that says how to round."""
    producer = IntentProducer(bench.redis)
    await producer.amend(amend(bench, price=Decimal("50000.001")))
    await producer.place(place(bench.account))
    await producer.amend(amend(bench, price=Decimal("50000.001"), rounding="down"))
    assert await bench.redis.xlen(bench.keys.intents) == 3


TAKES = Takes(
    types=frozenset({"limit", "market"}), times_in_force=frozenset({"gtc"}), flags=frozenset({"post_only"}),
    position_sides=frozenset({"net"}),
)  # fmt: skip


async def tell(bench: Bench, **changes: Any) -> None:
    """Register the account with what its venue takes, and with another grid."""
    table = [replace(one, **changes) for one in INSTRUMENTS.by_symbol.values()]
    await register(bench.redis, bench.account, replace(INFO, takes=TAKES), table, tabulate(table).version)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"quantity": Decimal("0.000000001")}, "is off the lot of"),
        ({"price": Decimal("100.0000001")}, "is off the tick of"),
        ({"time_in_force": "fok"}, "takes no time in force fok; it takes gtc"),
        ({"reduce_only": True}, "takes no flag reduce_only; it takes post_only"),
        ({"position_side": "long"}, "takes no position side long"),
    ],
    ids=lambda one: str(one)[:30],
)
async def test_what_could_never_go_out_is_refused_without_hiding_the_others(
    bench: Bench, changes: dict[str, Any], sentence: str
) -> None:
    """In its place among the receipts, and nothing of it is written; the first call too, which knows no grid yet."""
    await tell(bench)
    producer = IntentProducer(bench.redis)
    for number in range(2):
        bad = place(bench.account, f"bad{number}", **changes)
        found = await producer.publish([place(bench.account, f"a{number}"), bad, place(bench.account, f"b{number}")])
        assert [type(one) for one in found] == [Receipt, BadIntent, Receipt]
        assert sentence in str(found[1])
    assert await bench.redis.xlen(bench.keys.intents) == 4
    assert await bench.redis.exists(bench.keys.order(client_order_id(bad, INFO.id_rule))) == 0


async def test_a_kind_of_order_that_the_venue_does_not_take_is_refused_without_asking_the_server(
    tmp_path: Path, account: str
) -> None:
    """The server is away by then; what a grid may have changed about, it must be asked."""
    with EmbeddedServer(tmp_path / "server") as own:
        redis = connect(own.url, name="producer", single=False)
        bench = await Bench(redis, account).open()
        await tell(bench)
        producer = IntentProducer(redis, timeout_ms=TIMEOUT_MS)
        await producer.place(place(account))
    for changes in ({"reduce_only": True}, {"time_in_force": "fok"}, {"position_side": "long"}):
        with pytest.raises(BadIntent, match="takes no"):
            await producer.place(place(account, "s2", **changes))
    with pytest.raises(StoreUnreachable):
        await producer.place(place(account, "s2", price=Decimal("100.0000001")))
    await redis.aclose()


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"side": "BUY"}, "Invalid enum value 'BUY'"),
        ({"signal_id": 7}, "Expected `str`, got `int`"),
        ({"signal_id": "x" * 129}, "length <= 128"),
        ({"signal_id": "ü"}, "matching regex"),
        ({"signal_id": "\ud800"}, "surrogates"),
        ({"leg": "a b"}, "matching regex"),
        ({"reduce_only": 1}, "Expected `bool`, got `int`"),
        ({"tags": {"n": 1}}, "Expected `str`, got `int`"),
        ({"tags": {"n": object()}}, "object is unsupported"),
        ({"tags": {f"{n:02}".ljust(64, "😀"): "😀" * 256 for n in range(16)}}, "at most 16384 bytes"),
    ],
    ids=lambda one: str(one)[:30],
)
async def test_what_no_reader_could_decode_is_refused_without_hiding_the_others(
    bench: Bench, changes: dict[str, Any], sentence: str
) -> None:
    """A Struct may hold it; in an account it would stand in the way of every reader of its records and its journal."""
    producer = IntentProducer(bench.redis)
    for number in range(2):
        bad = place(bench.account, **{"signal_id": f"bad{number}", **changes})
        found = await producer.publish([place(bench.account, f"a{number}"), bad, place(bench.account, f"b{number}")])
        assert [type(one) for one in found] == [Receipt, BadIntent, Receipt]
        assert sentence in str(found[1])
    with pytest.raises(BadIntent):
        await producer.place(bad)
    assert await bench.redis.xlen(bench.keys.intents) == 4


async def test_a_cancel_or_an_amend_of_nobodys_order_is_refused_without_hiding_the_others(bench: Bench) -> None:
    """An id that is not ours, and a revision that is no number."""
    stranger: dict[str, Any] = {"strategy": None, "signal_id": None, "client_order_id": "web_1"}
    producer = IntentProducer(bench.redis)
    wish = Cancel(account=bench.account, client_order_id="web_1")
    bad: list[Intent] = [wish, amend(bench, **stranger), amend(bench, revision="1")]
    for number, one in enumerate(bad):
        found = await producer.publish([one, place(bench.account, f"a{number}")])
        assert [type(one) for one in found] == [BadIntent, Receipt]
    with pytest.raises(BadIntent, match="is not an order of fillonce"):
        await producer.cancel(wish)


async def test_a_grid_that_became_finer_is_read_again_before_anything_is_refused(bench: Bench) -> None:
    """A producer may live for weeks; the venue's grid need not."""
    producer = IntentProducer(bench.redis)
    await producer.place(place(bench.account, "first"))
    fine = {"quantity": Decimal("1.000000001")}
    with pytest.raises(BadIntent, match="off the lot"):
        await producer.place(place(bench.account, "fine", **fine))
    await tell(bench, lot=Decimal("0.000000001"))
    assert not (await producer.place(place(bench.account, "fine", **fine))).duplicate


async def test_what_was_an_order_on_an_older_grid_is_answered_as_it_stands(bench: Bench) -> None:
    """The same identity with the same content has the same answer, whatever the venue allows by now."""
    terms = place(bench.account)
    first = await IntentProducer(bench.redis).place(terms)
    await tell(bench, lot=Decimal(1_000))
    again = await IntentProducer(bench.redis).place(terms)
    assert (again.client_order_id, again.duplicate) == (first.client_order_id, True)


async def test_more_intents_than_a_batch_holds_are_all_published_in_order(bench: Bench) -> None:
    """One receipt each, one entry each, in the order they were given."""
    intents = [place(bench.account, f"s{number}") for number in range(2 * BATCH_MAX + 5)]
    found = await IntentProducer(bench.redis, timeout_ms=10_000).publish(intents)
    assert [one.client_order_id for one in found if isinstance(one, Receipt)] == [
        client_order_id(one, INFO.id_rule) for one in intents
    ]
    assert await bench.redis.xlen(bench.keys.intents) == len(intents)


async def test_the_same_intent_twice_in_one_call_is_one_order(bench: Bench) -> None:
    """The second is answered as the first, and there is one entry."""
    terms = place(bench.account)
    await IntentProducer(bench.redis).publish([terms, terms])
    assert await bench.redis.xlen(bench.keys.intents) == 1


_PUBLISH = """
import asyncio, sys
from streams.codec import decode_intent
from streams.connection import connect
from streams.producer import IntentProducer
async def main():
    redis = connect(sys.argv[1], name="copy")
    receipt = await IntentProducer(redis, timeout_ms=10_000).place(decode_intent(sys.argv[2].encode()))
    print(receipt.client_order_id, receipt.duplicate)
    await redis.aclose()
asyncio.run(main())
"""


async def test_one_of_several_processes_makes_the_order_and_the_others_are_told(bench: Bench, redis_url: str) -> None:
    """Four processes publish the same signal at the same time: one entry, one receipt that is no duplicate."""
    text = encode_text(place(bench.account))
    copies = [
        await asyncio.create_subprocess_exec(sys.executable, "-c", _PUBLISH, redis_url, text, stdout=subprocess.PIPE)
        for _ in range(4)
    ]
    said = [(await copy.communicate())[0].decode().split() for copy in copies]
    assert sorted(duplicate for _, duplicate in said) == ["False", "True", "True", "True"]
    assert len({identity for identity, _ in said}) == 1
    assert await bench.redis.xlen(bench.keys.intents) == 1


async def test_a_cancel_is_queued_for_the_gateways(bench: Bench) -> None:
    """Its receipt names the order and has none."""
    terms = place(bench.account)
    receipt = await IntentProducer(bench.redis).cancel(
        Cancel(account=bench.account, strategy=terms.strategy, signal_id=terms.signal_id)
    )
    assert receipt.client_order_id == client_order_id(terms, INFO.id_rule)
    assert (receipt.duplicate, receipt.order) == (False, None)
    assert await bench.redis.xlen(bench.keys.intents) == 1


async def test_a_cancel_is_queued_again_only_when_the_first_was_decided(bench: Bench) -> None:
    """While it waits or is pending the same wish is the same entry; an order may live on after one that did nothing."""
    producer, wish = IntentProducer(bench.redis), Cancel(account=bench.account, strategy="test", signal_id="s1")
    for _ in range(2):
        await producer.cancel(wish)
    [entry] = await bench.read_intents()
    await producer.cancel(wish)
    assert await bench.redis.xlen(bench.keys.intents) == 1
    await bench.redis.xack(bench.keys.intents, GATEWAYS, entry.id)
    for _ in range(2):
        await producer.cancel(wish)
    assert await bench.redis.xlen(bench.keys.intents) == 2


async def test_an_amend_that_came_before_its_place_may_be_published_again(bench: Bench) -> None:
    """The gateways dropped the first one, because there was no order yet."""
    producer, wish = IntentProducer(bench.redis), amend(bench)
    await producer.amend(wish)
    [entry] = await bench.read_intents()
    await bench.redis.xack(bench.keys.intents, GATEWAYS, entry.id)
    await producer.place(place(bench.account))
    await producer.amend(wish)
    assert await bench.redis.xlen(bench.keys.intents) == 3


async def test_an_unknown_account_is_refused_with_those_there_are(bench: Bench) -> None:
    """The sentence names a known one."""
    with pytest.raises(BadIntent, match=r"^Unknown account sim\.nobody; known: .*\.$"):
        await IntentProducer(bench.redis).place(place("sim.nobody"))


async def test_before_any_account_is_registered_the_sentence_says_what_to_start(client: Redis) -> None:
    """On an empty server nobody is known."""
    with pytest.raises(BadIntent, match="none yet; start `fillonce run` first"):
        await IntentProducer(client).place(place("sim.nobody"))


async def test_an_unknown_symbol_is_refused_with_what_is_traded(bench: Bench) -> None:
    """In its place among the receipts, in the first call and in later ones; nothing of it is written."""
    producer = IntentProducer(bench.redis)
    for number in range(2):
        strange = place(bench.account, f"x{number}", symbol="XRP/USDT")
        found = await producer.publish(
            [place(bench.account, f"a{number}"), strange, place(bench.account, f"b{number}")]
        )
        assert [type(answer) for answer in found] == [Receipt, BadIntent, Receipt]
        assert str(found[1]) == f"{bench.account}: unknown symbol XRP/USDT; it trades BTC/USDT, ETH/USDT."
    with pytest.raises(BadIntent, match="unknown symbol XRP/USDT"):
        await producer.place(strange)
    assert await bench.redis.xlen(bench.keys.intents) == 4


async def test_what_was_an_order_of_a_symbol_that_is_no_longer_traded_is_answered_as_it_stands(bench: Bench) -> None:
    """By a producer that knew the symbol and by one that never did; a new order of it is refused."""
    knows, terms = IntentProducer(bench.redis, remembers_max=1), place(bench.account)
    first = await knows.place(terms)
    table = [one for one in INSTRUMENTS.by_symbol.values() if one.symbol != terms.symbol]
    await register(bench.redis, bench.account, INFO, table, tabulate(table).version)
    await knows.place(place(bench.account, "other", symbol="ETH/USDT", quantity=Decimal("0.1")))
    for producer in (knows, IntentProducer(bench.redis)):
        again = await producer.place(terms)
        assert (again.client_order_id, again.duplicate) == (first.client_order_id, True)
    with pytest.raises(BadIntent, match="unknown symbol BTC/USDT; it trades ETH/USDT"):
        await IntentProducer(bench.redis).place(place(bench.account, "new"))


async def test_intents_of_two_accounts_are_two_calls(bench: Bench) -> None:
    """The sentence says how to group them."""
    with pytest.raises(BadIntent, match="group the intents by account"):
        await IntentProducer(bench.redis).publish([place(bench.account), place("sim.other")])


async def test_without_a_server_it_says_so_within_its_timeout(tmp_path: Path) -> None:
    """A socket that is not there."""
    redis = connect(f"unix://{tmp_path}/none.sock", name="producer")
    with pytest.raises(StoreUnreachable, match=r"^Redis cannot be asked \(ConnectionError\); is the server up\?$"):
        await IntentProducer(redis, timeout_ms=TIMEOUT_MS).place(place("sim.any"))
    await redis.aclose()


async def test_a_server_that_stands_still_is_given_up_within_the_timeout(
    server: EmbeddedServer, client: Redis, account: str
) -> None:
    """SIGSTOP: one sentence, and the same call after SIGCONT makes one order."""
    bench = await Bench(client, account).open()
    producer = IntentProducer(client, timeout_ms=TIMEOUT_MS)
    await producer.place(place(account, "warm"))
    terms = place(account)
    with paused(server.pid), pytest.raises(StoreUnreachable, match="publish again, it cannot become two orders"):
        await producer.place(terms)
    await producer.place(terms)
    assert await bench.redis.xlen(bench.keys.intents) == 2


async def test_a_server_that_pauses_its_writes_is_given_up_within_the_timeout(bench: Bench) -> None:
    """CLIENT PAUSE: one sentence; afterwards the same intent is one order, whichever call made it."""
    producer = IntentProducer(bench.redis, timeout_ms=TIMEOUT_MS)
    await producer.place(place(bench.account, "warm"))
    terms = place(bench.account)
    await bench.redis.client_pause(30_000, all=False)
    try:
        with pytest.raises(StoreUnreachable, match="publish again, it cannot become two orders"):
            await producer.place(terms)
    finally:
        await bench.redis.client_unpause()
    await producer.place(terms)
    assert await bench.redis.xlen(bench.keys.intents) == 2


async def test_a_full_server_says_that_it_is_full_and_writes_nothing(tmp_path: Path, account: str) -> None:
    """The sentence names the setting; a server without room refuses the whole call."""
    with EmbeddedServer(tmp_path / "small", extra={"maxmemory": "3mb"}) as small:
        redis = connect(small.url, name="producer", single=False)
        bench = await Bench(redis, account).open()
        producer = IntentProducer(redis, timeout_ms=TIMEOUT_MS)
        await producer.place(place(account, "warm"))

        await wait_until_async(lambda: _refused_for_memory(redis))
        # A refused write gives its own buffer back, which would be room enough for one more intent.
        await redis.config_set("maxmemory", "2mb")
        with pytest.raises(StoreUnreachable, match=r"^Redis is full: raise maxmemory or trim; nothing was written\.$"):
            await producer.place(place(account, "s2"))
        assert await redis.xlen(bench.keys.intents) == 1
        await redis.aclose()


async def test_while_the_gate_is_shut_an_intent_is_taken_and_waits(bench: Bench) -> None:
    """Whether the producer met the account before or meets it now; what it says twice is one order."""
    producer = IntentProducer(bench.redis, timeout_ms=60_000)
    await producer.place(place(bench.account, "warm"))
    await bench.redis.hset(bench.keys.control, "history", "another")
    assert not (await producer.place(place(bench.account))).duplicate
    again = await IntentProducer(bench.redis, timeout_ms=60_000).place(place(bench.account))
    assert again.duplicate
    assert (await bench.order(again.client_order_id)).status == "created"


async def test_a_server_that_was_left_takes_no_intent_even_when_its_gate_was_shut(bench: Bench) -> None:
    """What it took would be gone with it; the sentence says so when the time is up."""
    producer = IntentProducer(bench.redis, timeout_ms=60_000)
    await _come_back(bench, producer)
    taken, producer._timeout_ms = await bench.redis.xlen(bench.keys.intents), TIMEOUT_MS
    with pytest.raises(StoreError, match=r"A server that was replaced answers again|publish again"):
        await producer.place(place(bench.account))
    assert await bench.redis.xlen(bench.keys.intents) == taken
    assert not (await bench.scripts.gate()).is_open


async def test_a_cancelled_publish_stays_cancelled(bench: Bench) -> None:
    """A task that is cancelled while Redis refuses ends as cancelled, so that a shutdown ends."""
    producer = IntentProducer(bench.redis, timeout_ms=60_000)
    await _come_back(bench, producer)
    before = await _refusals(bench.redis)
    task = asyncio.create_task(producer.place(place(bench.account)))

    async def refused() -> bool:
        return await _refusals(bench.redis) > before + 1

    await wait_until_async(refused)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def _refused_for_memory(redis: Redis) -> bool:
    try:
        await redis.rpush("filler", b"x" * 50_000)
    except OutOfMemoryError:
        return True
    return False


async def _come_back(bench: Bench, producer: IntentProducer) -> None:
    """Lead a producer to a server that takes the place of this one, and back to this one."""
    await producer.place(place(bench.account, "here"))
    before: Any = await bench.redis.hgetall(bench.keys.control)
    await bench.redis.hdel(bench.keys.control, "history")
    await bench.open()
    await producer.place(place(bench.account, "elsewhere"))
    await bench.redis.hset(bench.keys.control, mapping=before)


async def _refusals(redis: Redis) -> int:
    """How often scripts refused, since the server's start."""
    stats: Any = await redis.info("commandstats")  # `errorstats` tells of no new kind once the server has seen many
    return int(stats["cmdstat_evalsha"]["failed_calls"])


async def test_orders_of_equal_content_are_told_under_event_ids_of_their_own(bench: Bench) -> None:
    """Whoever drops what it was told before would miss one of them."""
    first = place(bench.account, "s1")
    await bench.publish(first, place(bench.account, "s2", signal_time=first.signal_time))
    assert len({one.id for one in await bench.journal() if isinstance(one, Created)}) == 2
