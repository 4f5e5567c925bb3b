"""Specification of consumers/ahead.py: a batch folded before the one ahead of it is answered is as folded after."""

from decimal import Decimal
from typing import Any

import pytest
from redis.asyncio import Redis

from adapters.binance.decode import STREAM_FORMAT, decode
from consumers.ahead import Ahead, Expected
from consumers.batch import read_batch
from consumers.folding import Folded, Known, Rules, fold_batch
from consumers.interpret import Item
from consumers.known import WRITTEN, KnownState
from consumers.ledger import Ledger, LedgerSettings
from consumers.snapshot import recall
from streams.clock import SystemClock
from streams.keys import LEDGERS, AccountKeys
from streams.reader import Entry, Reader
from streams.record import NEW_STATE
from streams.schemas import Accepted, Command, Execution, Order, OrderReport, Position, Unknown
from streams.verify import verify
from tests.flow import LEASE_MS, Bench, execution, place

KEYS = AccountKeys("binance.main")
RULES = Rules(resubmission_allowed=True, calm_ms=30_000)
STALE = 0


def known_order() -> Order:
    """An open order for 1 BTC that the venue knows as 7."""
    state = NEW_STATE.__class__(venue_order_ids=("7",))
    return Order(
        client_order_id="fo-1", terms=place("binance.main"), status="open", state=state, digest="d1", token="t1"
    )


def fill(trade_id: int, filled: str) -> Item:
    """The entry of an execution of 0.1 BTC and its report."""
    words: Any = {"venue_symbol": "BTCUSDT", "venue_order_id": "7", "client_order_id": "fo-1"}
    return Item(
        entry=f"{trade_id}-0",
        facts=(
            Execution(**words, trade_id=f"{trade_id}", side="buy", quantity=Decimal("0.1"), price=Decimal(50),
                      executed_at_ms=trade_id),
            OrderReport(**words, status="partially_filled", filled=Decimal(filled), reported_at_ms=trade_id),
        ),
    )  # fmt: skip


def knowing() -> KnownState:
    """A ledger's memory of that order and a flat position."""
    known = KnownState(10)
    known.ahead_ms = 0
    known.orders.put("fo-1", Known(known_order(), frozenset()))
    known.positions.put(KEYS.position("BTC/USDT"), (Position(), "p0"))
    return known


def folded(sight: KnownState | Expected, *items: Item) -> Folded:
    """A batch folded on what is known or expected."""
    snapshot = recall(items, sight, KEYS, SystemClock())
    assert snapshot is not None
    return fold_batch(items, snapshot, RULES, KEYS)


def without_time(batch: Folded) -> Any:
    """What a batch is to write, but for the change, which tells when it was folded."""
    return [(one.new_state, one.digest, one.executions, one.relied) for one in batch.commit.orders], [
        (one.digest, one.new_state, one.new_digest) for one in batch.commit.positions
    ]


def test_what_is_expected_is_what_is_known_once_it_is_written() -> None:
    """Order, executions and position alike; and nothing of it is known before."""
    known = knowing()
    first = folded(known, fill(1, "0.1"))
    expected = Expected(known, first)
    name, key = "fo-1", KEYS.position("BTC/USDT")
    assert known.order(name) == Known(known_order(), frozenset())
    told = expected.order(name), expected.position(key)
    known.confirm(first, [WRITTEN])
    assert told == (known.order(name), known.position(key))


def test_a_batch_folded_ahead_is_the_batch_folded_after() -> None:
    """A repeated execution among them: it counts once, whichever batch it comes in."""
    known = knowing()
    first = folded(known, fill(1, "0.1"))
    ahead = folded(Expected(known, first), fill(1, "0.1"), fill(2, "0.2"))
    known.confirm(first, [WRITTEN])
    assert without_time(ahead) == without_time(folded(known, fill(1, "0.1"), fill(2, "0.2")))
    assert ahead.commit.orders[0].executions == ("7:2",)


@pytest.mark.parametrize(
    "item",
    [
        Item(entry="9-0", facts=(OrderReport(venue_symbol="BTCUSDT", venue_order_id="8", status="open",
                                             filled=Decimal(0), reported_at_ms=1, client_order_id="fo-1"),)),
        Item(entry="9-0", command=Command(client_order_id="fo-2", token="t", outcome=Accepted())),
        Item(entry="9-0", command=Command(client_order_id="fo-1", token="t1", outcome=Unknown("timeout"))),
        Item(entry="9-0", facts=(OrderReport(venue_symbol="BTCUSDT", venue_order_id="8", status="open",
                                             filled=Decimal(0), reported_at_ms=1, client_order_id=None),)),
    ],
)  # fmt: skip
def test_what_has_to_be_read_or_needs_the_servers_clock_is_not_recalled(item: Item) -> None:
    """A venue order not yet mapped, an order not known, an answer that decides by the time, an order of somebody."""
    assert recall([fill(1, "0.1"), item], knowing(), KEYS, SystemClock()) is None
    assert recall([fill(1, "0.1")], KnownState(1), KEYS, SystemClock()) is None


def test_a_frame_about_no_order_stands_in_nobodys_way() -> None:
    """Balances are told after nearly every fill; the batch is recalled and passes it on."""
    batch = folded(knowing(), fill(1, "0.1"), Item(entry="9-0", ignored="says nothing of an order"))
    assert [entry.order for entry in batch.commit.entries] == [0, 1]
    assert len(batch.commit.passed) == 1


async def _ledger(bench: Bench, count: int) -> Ledger:
    """A ledger that leads and reads `count` entries a time, ahead."""
    reader = Reader(
        bench.redis, bench.keys.evidence, LEDGERS, "ledger", count=count, claim_idle_ms=60_000, clock=bench.clock,
        ahead=True,
    )  # fmt: skip
    ledger = Ledger(
        redis=bench.redis, reader=reader, keys=bench.keys, decode=decode, clock=bench.clock,
        settings=LedgerSettings(holder="test", lease_ms=LEASE_MS, rules=RULES),
    )  # fmt: skip
    assert await ledger._take_lease()
    return ledger


async def _opened(redis: Redis, account: str) -> tuple[Bench, str]:
    bench = await Bench(redis, account).open()
    _, claim = await bench.claimed(place(account))
    return bench, claim.order.client_order_id


async def _say(bench: Bench, name: str, *trade_ids: int) -> None:
    for trade_id in trade_ids:
        raw = execution(7, trade_id, name, l="0.01", z=f"{trade_id / 100:.2f}")
        await bench.say(raw, form=STREAM_FORMAT)


async def _good(bench: Bench, name: str, filled: str) -> None:
    assert (await bench.order(name)).state.filled == Decimal(filled)
    assert (await bench.store.positions())["BTC/USDT"].quantity == Decimal(filled)
    assert await bench.pending(bench.keys.evidence, LEDGERS) == 0
    assert (await verify(bench.redis, bench.keys)).good


async def test_batches_of_one_order_that_follow_each_other_count_every_fill_once(redis: Redis, account: str) -> None:
    """Two entries a batch, every execution twice and in different batches."""
    bench, name = await _opened(redis, account)
    await _say(bench, name, *range(1, 31), *range(1, 31))
    await (await _ledger(bench, 2)).run(burst=True)
    await _good(bench, name, "0.3")


async def test_a_batch_folded_on_a_commit_that_was_refused_is_folded_again(redis: Redis, account: str) -> None:
    """What it builds on was never written: it is dropped, not sent, and the fills count once."""
    bench, name = await _opened(redis, account)
    ledger = await _ledger(bench, 100)
    await _say(bench, name, 1)
    await _handle(ledger, bench)
    await _say(bench, name, 2, 3)
    entries = await _read(bench)
    base = _folded(ledger, entries[:1])
    work = read_batch(entries[1:], ledger.memory, decode)
    snapshot = recall(work.items, Expected(ledger.known, base), bench.keys, bench.clock)
    assert snapshot is not None
    ahead = Ahead(fold_batch(work.items, snapshot, RULES, bench.keys), base)
    await ledger._apply(work, ahead)
    assert (await bench.order(name)).state.filled == Decimal("0.02")
    assert ledger.stale == 0
    await ledger.handle(entries[:1])
    await _good(bench, name, "0.03")


async def test_a_batch_folded_on_a_commit_that_was_written_is_sent_as_it_is(redis: Redis, account: str) -> None:
    """The server is asked for nothing but the two commits."""
    bench, name = await _opened(redis, account)
    ledger = await _ledger(bench, 100)
    await _say(bench, name, 1)
    await _handle(ledger, bench)
    await _say(bench, name, 2, 3)
    first, second = await _read(bench)
    await ledger.handle([first])
    base = ledger._landed
    assert base is not None
    work = read_batch([second], ledger.memory, decode)
    plan = _folded(ledger, [second])
    await ledger._apply(work, Ahead(plan, base))
    assert ledger._landed is plan
    await _good(bench, name, "0.03")


def _folded(ledger: Ledger, entries: list[Entry]) -> Folded:
    items = read_batch(entries, ledger.memory, decode).items
    snapshot = recall(items, ledger.known, ledger._keys, ledger._clock)
    assert snapshot is not None
    return fold_batch(items, snapshot, RULES, ledger._keys)


async def _read(bench: Bench) -> list[Entry]:
    return [entry async for batch in bench.ledger_reader().batches(burst=True) for entry in batch]


async def _handle(ledger: Ledger, bench: Bench) -> None:
    await ledger.handle(await _read(bench))
