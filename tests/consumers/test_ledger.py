"""The ledger on the real server: evidence in, commits out, and what happens when two of them meet."""

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import msgspec
import orjson
import pytest
from redis.asyncio import Redis

from adapters.binance.decode import STREAM_FORMAT, TRADE_FORMAT, decode
from consumers.folding import Rules, fold_batch
from consumers.interpret import Item, interpret
from consumers.ledger import Ledger, LedgerSettings
from consumers.snapshot import read_snapshot
from streams import codec, events
from streams.connection import connect
from streams.errors import HistoryChanged, LeaseLost
from streams.evidence import append
from streams.keys import LEDGERS
from streams.plans import Claimed
from streams.reader import Entry, Reader
from streams.schemas import Absent, Correction, Evidence, Execution, NotSent, Refused, Throttled, Unknown
from streams.scripts import PARKED_MAX
from streams.verify import verify
from tests.flow import LEASE_MS, Bench, execution, place, soon, status
from tests.pipeline import trade
from tests.support import wait_until_async

RULES = Rules(resubmission_allowed=True, calm_ms=30_000)


class Desk(Bench):
    """A bench with ledgers."""

    def __init__(self, redis: Redis, account: str, url: str) -> None:
        super().__init__(redis, account)
        self.url, self.clients = url, list[Redis]()

    def ledger(self, holder: str = "a", *, lease_ms: int = LEASE_MS, rules: Rules = RULES) -> Ledger:
        """A ledger that does nothing yet."""
        return Ledger(
            redis=self._client(holder), reader=self.evidence_reader(holder), keys=self.keys, decode=decode,
            settings=LedgerSettings(holder=holder, lease_ms=lease_ms, rules=rules), clock=self.clock,
        )  # fmt: skip

    def evidence_reader(self, holder: str) -> Reader:
        """A reader as ledgers have it: all under one consumer name."""
        return Reader(
            self._client(holder + "-reader"), self.keys.evidence, LEDGERS, "ledger", count=100, claim_idle_ms=60_000,
            clock=self.clock,
        )  # fmt: skip

    async def settle_everything(self) -> Ledger:
        """Let a ledger fold all there is, and end."""
        ledger = self.ledger("once")
        await ledger.run(burst=True)
        return ledger

    async def read_evidence(self) -> list[Entry]:
        """Everything new in `evidence`."""
        return [entry async for batch in self.ledger_reader().batches(burst=True) for entry in batch]

    async def lead(self, holder: str = "a") -> int:
        """Take the lease by hand; its epoch."""
        lease = await self.scripts.lease("take", holder, LEASE_MS)
        assert lease.holder == holder
        return lease.epoch

    async def quarantined(self) -> list[dict[bytes, bytes]]:
        """What stands in quarantine."""
        rows: Any = await self.redis.xrange(self.keys.quarantine)
        return [fields for _, fields in rows]

    def _client(self, name: str) -> Redis:
        self.clients.append(connect(self.url, name=name))
        return self.clients[-1]


@pytest.fixture
async def desk(redis: Redis, redis_url: str, account: str) -> AsyncIterator[Desk]:
    """An account with an open gate."""
    made = Desk(redis, account, redis_url)
    await made.open()
    yield made
    for client in made.clients:
        await client.aclose()


async def _claimed(desk: Desk) -> Claimed:
    _, claim = await desk.claimed(place(desk.account))
    return claim


def _items(entries: list[Entry]) -> list[Item]:
    found = [interpret(entry, decode) for entry in entries]
    return [one for one in found if isinstance(one, Item)]


async def test_an_execution_moves_order_and_position_once_however_often_it_is_said(desk: Desk) -> None:
    """Twice in one batch, and once more in the next."""
    name = (await _claimed(desk)).order.client_order_id
    for _ in range(2):
        await desk.say(execution(7, 1, name), form=STREAM_FORMAT)
    await desk.settle_everything()
    await desk.say(execution(7, 1, name), form=STREAM_FORMAT)
    ledger = await desk.settle_everything()
    assert (await desk.order(name)).state.filled == Decimal("0.4")
    assert (await desk.store.positions())["BTC/USDT"].quantity == Decimal("0.4")
    assert ledger.applied == 0
    assert await desk.pending(desk.keys.evidence, LEDGERS) == 0


async def test_an_execution_that_is_said_again_is_counted_by_who_says_it(desk: Desk) -> None:
    """In one batch, in the same bytes, in other words, and to a ledger that did not apply it itself."""
    name = (await _claimed(desk)).order.client_order_id
    backfill = Evidence(source="backfill", format=TRADE_FORMAT, received_at_ns=1)
    for _ in range(2):
        await desk.say(execution(7, 1, name), form=STREAM_FORMAT)
    first = await desk.settle_everything()
    assert (first.applied, first.duplicates) == (1, {"stream": 1})
    await desk.say(execution(7, 1, name), form=STREAM_FORMAT)
    await append(desk.redis, desk.keys, [(backfill, orjson.dumps(trade(7, 1)))])
    await first.run(burst=True)
    assert first.duplicates == {"stream": 2, "backfill": 1}
    await append(desk.redis, desk.keys, [(backfill, orjson.dumps(trade(7, 1)))])
    assert (await desk.settle_everything()).duplicates == {"backfill": 1}


async def test_executions_before_their_order_is_known_wait_and_are_counted_when_it_is(desk: Desk) -> None:
    """A row without our name is parked; the report that names the order takes it in."""
    name = (await _claimed(desk)).order.client_order_id
    await desk.say(trade(7, 1), form=TRADE_FORMAT)
    ledger = await desk.settle_everything()
    assert ledger.parked == 1
    assert await desk.store.parked() != []
    await desk.say(status(7, name), form=STREAM_FORMAT)
    await desk.settle_everything()
    assert (await desk.order(name)).state.filled == Decimal("0.4")
    assert await desk.store.parked() == []


@pytest.mark.parametrize("before", [["trade", "bust"], ["bust", "trade"], ["bust"], ["trade"]], ids="+".join)
async def test_a_correction_before_its_order_is_known_waits_and_counts_when_it_is(
    desk: Desk, before: list[str]
) -> None:
    """Whatever else came before it or comes after it: the execution was taken back, and nothing of it counts."""
    name = (await _claimed(desk)).order.client_order_id
    row = orjson.dumps(trade(7, 1))
    [gone] = [fact for fact in decode(TRADE_FORMAT, row) if isinstance(fact, Execution)]
    told = Correction(id="b", execution=gone, corrected_at_ms=2, reason="not listed any more")
    said = {
        "trade": (Evidence(source="backfill", format=TRADE_FORMAT, received_at_ns=1), row),
        "bust": (Evidence(source="reconcile", received_at_ns=1, finding="f", fact=told), b""),
    }
    for one in before:
        await append(desk.redis, desk.keys, [said[one]])
        await desk.settle_everything()
    assert [waiting for _, waiting, _ in await desk.store.parked()] == [len(before)]
    assert (await verify(desk.redis, desk.keys)).good
    await desk.say(status(7, name), form=STREAM_FORMAT)
    await desk.settle_everything()
    assert await desk.store.parked() == []
    for one in ("trade", "bust"):
        await append(desk.redis, desk.keys, [said[one]])
        await desk.settle_everything()
    order = await desk.order(name)
    assert (order.state.filled, order.state.busted) == (Decimal(0), Decimal("0.4"))
    assert (await desk.store.positions())["BTC/USDT"].quantity == 0
    assert (await verify(desk.redis, desk.keys)).good
    assert await desk.pending(desk.keys.evidence, LEDGERS) == 0


async def test_a_correction_that_no_order_claims_lapses_into_sight(desk: Desk) -> None:
    """Never dropped: with the executions of strangers it ends in quarantine, its words kept."""
    [gone] = [fact for fact in decode(TRADE_FORMAT, orjson.dumps(trade(7, 1))) if isinstance(fact, Execution)]
    told = Correction(id="b", execution=gone, corrected_at_ms=2)
    await append(desk.redis, desk.keys, [(Evidence(source="reconcile", received_at_ns=1, fact=told), b"")])
    await desk.settle_everything()
    [(venue_order, _, _)] = await desk.store.parked()
    assert await desk.scripts.lapse(venue_order, 0) == 0
    [kept] = await desk.quarantined()
    assert msgspec.json.decode(kept[b"raw"], type=Correction) == told
    assert (await verify(desk.redis, desk.keys)).good


@pytest.mark.parametrize("backwards", [False, True])
async def test_a_trade_and_the_report_that_names_its_order_may_share_a_batch(desk: Desk, backwards: bool) -> None:
    """In either order, nothing stays parked and nothing is counted twice."""
    name = (await _claimed(desk)).order.client_order_id
    said = [(trade(7, 1), TRADE_FORMAT), (status(7, name), STREAM_FORMAT)]
    for raw, form in reversed(said) if backwards else said:
        await desk.say(raw, form=form)
    await desk.settle_everything()
    assert (await desk.order(name)).state.filled == Decimal("0.4")
    assert await desk.store.parked() == []
    assert await desk.pending(desk.keys.evidence, LEDGERS) == 0


async def test_what_cannot_be_decoded_is_quarantined_with_its_bytes_and_the_rest_goes_on(desk: Desk) -> None:
    """Broken evidence, a broken payload, an unknown format and an entry without data."""
    name = (await _claimed(desk)).order.client_order_id
    await desk.redis.xadd(desk.keys.evidence, {"data": b"\xff"})
    await desk.redis.xadd(desk.keys.evidence, {"other": "field"})
    await desk.say({"event": {"e": "executionReport"}}, form=STREAM_FORMAT)
    await desk.say({"a": 1}, form="nobody.knows")
    await desk.say(execution(7, 1, name), form=STREAM_FORMAT)
    ledger = await desk.settle_everything()
    assert ledger.quarantined == 4
    assert {row[b"raw"] for row in await desk.quarantined()} == {
        b"\xff", b"", b'{"event":{"e":"executionReport"}}', b'{"a":1}',
    }  # fmt: skip
    kinds = [type(change) for change in await desk.journal()]
    assert kinds.count(events.Quarantined) == 4
    assert (await desk.order(name)).state.filled == Decimal("0.4")


async def test_more_parked_executions_than_one_order_may_have_go_to_quarantine(desk: Desk) -> None:
    """None is dropped: what waits and what is quarantined add up."""
    for trade_id in range(PARKED_MAX + 3):
        await desk.say(trade(7, trade_id + 1), form=TRADE_FORMAT)
    await desk.settle_everything()
    [(_, parked, _)] = await desk.store.parked()
    assert (parked, len(await desk.quarantined())) == (PARKED_MAX, 3)


async def test_of_two_ledgers_with_one_snapshot_one_commits_and_the_other_is_stale(desk: Desk) -> None:
    """R9: the loser writes nothing and acknowledges nothing; folded again, both executions count once."""
    name = (await _claimed(desk)).order.client_order_id
    for trade_id in (1, 2):
        await desk.say(execution(7, trade_id, name), form=STREAM_FORMAT)
    items, epoch = _items(await desk.read_evidence()), await desk.lead()
    folded = [
        fold_batch([one], await read_snapshot(desk.redis, desk.keys, [one]), RULES, desk.keys).commit for one in items
    ]
    first, second = [await desk.scripts.commit(plan, epoch, LEASE_MS) for plan in folded]
    assert (list(first.verdicts), first.acknowledged) == ([1], 1)
    assert (list(second.verdicts), second.acknowledged) == ([0], 0)
    assert (await desk.order(name)).state.filled == Decimal("0.4")
    assert await desk.pending(desk.keys.evidence, LEDGERS) == 1
    await desk.scripts.lease("release", "a", LEASE_MS)
    await desk.settle_everything()
    assert (await desk.order(name)).state.filled == Decimal("0.8")
    assert (await desk.store.positions())["BTC/USDT"].quantity == Decimal("0.8")


async def test_two_orders_that_move_one_position_cannot_both_commit_from_one_snapshot(desk: Desk) -> None:
    """R9: the position's digest is compared too, so no fill of it is overwritten."""
    names = []
    for number in range(2):
        terms = place(desk.account, f"s{number}")
        await desk.publish(terms)
        [entry] = await desk.read_intents(f"gateway.{number}")
        names.append((await desk.claim(entry, terms)).order.client_order_id)
        await desk.say(execution(7 + number, 1, names[-1]), form=STREAM_FORMAT)
    items, epoch = _items(await desk.read_evidence()), await desk.lead()
    plans = [
        fold_batch([one], await read_snapshot(desk.redis, desk.keys, [one]), RULES, desk.keys).commit for one in items
    ]
    verdicts = [list((await desk.scripts.commit(plan, epoch, LEASE_MS)).verdicts) for plan in plans]
    assert verdicts == [[1], [0]]
    assert (await desk.store.positions())["BTC/USDT"].quantity == Decimal("0.4")
    await desk.scripts.lease("release", "a", LEASE_MS)
    await desk.settle_everything()
    assert (await desk.store.positions())["BTC/USDT"].quantity == Decimal("0.8")


async def test_a_commit_that_is_repeated_writes_nothing_again(desk: Desk) -> None:
    """The answer to the first was lost on its way: the second is told `written before`."""
    name = (await _claimed(desk)).order.client_order_id
    await desk.say(execution(7, 1, name), form=STREAM_FORMAT)
    items, epoch = _items(await desk.read_evidence()), await desk.lead()
    plan = fold_batch(items, await read_snapshot(desk.redis, desk.keys, items), RULES, desk.keys).commit
    await desk.scripts.commit(plan, epoch, LEASE_MS)
    before = await desk.redis.xlen(desk.keys.events)
    again = await desk.scripts.commit(plan, epoch, LEASE_MS)
    assert list(again.verdicts) == [2]
    assert await desk.redis.xlen(desk.keys.events) == before
    assert (await desk.store.positions())["BTC/USDT"].quantity == Decimal("0.4")


async def test_parking_after_the_order_became_known_is_refused(desk: Desk) -> None:
    """R9: the ledger that decided to park before the mapping was committed folds the execution instead."""
    name = (await _claimed(desk)).order.client_order_id
    await desk.say(trade(7, 1), form=TRADE_FORMAT)
    items, epoch = _items(await desk.read_evidence()), await desk.lead()
    [park] = fold_batch(items, await read_snapshot(desk.redis, desk.keys, items), RULES, desk.keys).parks
    await desk.say(status(7, name), form=STREAM_FORMAT)
    mapping = _items(await desk.read_evidence())
    plan = fold_batch(mapping, await read_snapshot(desk.redis, desk.keys, mapping), RULES, desk.keys).commit
    await desk.scripts.commit(plan, epoch, LEASE_MS)
    assert await desk.scripts.park(park, epoch, LEASE_MS) == "known"
    assert await desk.pending(desk.keys.evidence, LEDGERS) == 1
    await desk.scripts.lease("release", "a", LEASE_MS)
    await desk.settle_everything()
    assert (await desk.order(name)).state.filled == Decimal("0.4")


async def test_a_mapping_folded_before_something_was_parked_is_stale(desk: Desk) -> None:
    """R9: otherwise what was parked in between would wait for ever."""
    name = (await _claimed(desk)).order.client_order_id
    await desk.say(status(7, name), form=STREAM_FORMAT)
    mapping, epoch = _items(await desk.read_evidence()), await desk.lead()
    plan = fold_batch(mapping, await read_snapshot(desk.redis, desk.keys, mapping), RULES, desk.keys).commit
    await desk.say(trade(7, 1), form=TRADE_FORMAT)
    items = _items(await desk.read_evidence())
    [park] = fold_batch(items, await read_snapshot(desk.redis, desk.keys, items), RULES, desk.keys).parks
    assert await desk.scripts.park(park, epoch, LEASE_MS) == "parked"
    assert list((await desk.scripts.commit(plan, epoch, LEASE_MS)).verdicts) == [0]
    await desk.scripts.lease("release", "a", LEASE_MS)
    await desk.settle_everything()
    assert (await desk.order(name)).state.filled == Decimal("0.4")
    assert await desk.store.parked() == []


async def test_a_ledger_whose_lease_was_taken_writes_nothing(desk: Desk) -> None:
    """The epoch fences commit, park and quarantine; what it read stays pending."""
    name = (await _claimed(desk)).order.client_order_id
    await desk.say(execution(7, 1, name), form=STREAM_FORMAT)
    await desk.say(trade(8, 2), form=TRADE_FORMAT)
    await desk.say({"a": 1}, form="nobody.knows")
    entries, epoch = await desk.read_evidence(), await desk.lead("a")
    await desk.scripts.lease("release", "a", LEASE_MS)
    await desk.lead("b")
    ledger = desk.ledger("a")
    ledger._epoch = epoch
    for entry in entries:
        with pytest.raises(LeaseLost):
            await ledger.handle([entry])
    assert await desk.pending(desk.keys.evidence, LEDGERS) == 3
    assert await desk.quarantined() == []
    assert await desk.store.positions() == {}


async def test_while_the_gate_is_shut_the_ledger_writes_nothing(desk: Desk) -> None:
    """R5: the batch stays pending and is folded when the gate is open again."""
    name = (await _claimed(desk)).order.client_order_id
    ledger = desk.ledger()
    task = asyncio.create_task(ledger.run())
    await wait_until_async(lambda: ledger.leads)
    history = await desk.redis.hget(desk.keys.control, "history")
    await desk.redis.hset(desk.keys.control, "history", "another")
    await desk.say(execution(7, 1, name), form=STREAM_FORMAT)
    await wait_until_async(lambda: not ledger.leads)
    assert (await desk.order(name)).state.filled == 0
    assert history is not None
    await desk.redis.hset(desk.keys.control, "history", history)

    async def filled() -> bool:
        return (await desk.order(name)).state.filled == Decimal("0.4")

    await wait_until_async(filled)
    ledger.stop()
    await task


async def test_commit_and_lease_refuse_as_one_when_the_history_changed(desk: Desk) -> None:
    """R5, at the scripts themselves."""
    name = (await _claimed(desk)).order.client_order_id
    await desk.say(execution(7, 1, name), form=STREAM_FORMAT)
    items, epoch = _items(await desk.read_evidence()), await desk.lead()
    plan = fold_batch(items, await read_snapshot(desk.redis, desk.keys, items), RULES, desk.keys).commit
    await desk.redis.hset(desk.keys.control, "history", "another")
    with pytest.raises(HistoryChanged):
        await desk.scripts.commit(plan, epoch, LEASE_MS)
    with pytest.raises(HistoryChanged):
        await desk.scripts.lease("take", "a", LEASE_MS)
    assert await desk.pending(desk.keys.evidence, LEDGERS) == 1


async def test_a_second_ledger_stands_by_and_leads_when_the_first_gives_back_its_lease(desk: Desk) -> None:
    """A stop gives it back at once, long before it would have run out."""
    first, second = desk.ledger("a", lease_ms=60_000), desk.ledger("b", lease_ms=60_000)
    one = asyncio.create_task(first.run())
    await wait_until_async(lambda: first.leads)
    two = asyncio.create_task(second.run())
    first.stop()
    await one
    await wait_until_async(lambda: second.leads)
    second.stop()
    await two


async def test_what_a_dead_ledger_had_read_is_delivered_to_the_next_one(desk: Desk) -> None:
    """All ledgers read as one consumer, so nothing waits for an idle time."""
    name = (await _claimed(desk)).order.client_order_id
    await desk.say(execution(7, 1, name), form=STREAM_FORMAT)
    dead = desk.ledger("dead", lease_ms=500)
    await dead._take_lease()
    assert len(await desk.read_evidence()) == 1  # read, and nothing done with it
    ledger = desk.ledger("heir")
    task = asyncio.create_task(ledger.run())

    async def filled() -> bool:
        return (await desk.order(name)).state.filled == Decimal("0.4")

    await wait_until_async(filled)
    ledger.stop()
    await task


async def test_an_idle_ledger_keeps_its_lease(desk: Desk) -> None:
    """Longer than the lease lasts, with nothing to commit."""
    ledger = desk.ledger("a", lease_ms=700)
    task = asyncio.create_task(ledger.run())
    await wait_until_async(lambda: ledger.leads)
    first: Any = await desk.redis.hget(desk.keys.control, "ledger_until")

    async def renewed_past_its_first_end() -> bool:
        return await desk.store.now_ms() > int(first) + 100

    await wait_until_async(renewed_past_its_first_end)
    assert (await desk.scripts.lease("take", "b", LEASE_MS)).holder == "a"
    ledger.stop()
    await task


@pytest.mark.parametrize(
    ("outcome", "expected"),
    [
        (Refused("-2010", "no funds"), "rejected"),
        (NotSent("late"), "created"),
        (Throttled(0), "created"),
        (Unknown("timeout"), "unknown"),
        (Absent(1), "created"),
    ],
)
async def test_what_is_said_of_a_claim_closes_that_claim_only(desk: Desk, outcome: Any, expected: str) -> None:
    """R3: said of an older token it changes nothing, said of the record's token it moves the order."""
    claim = await _claimed(desk)
    await desk.say(outcome=outcome, order=claim.order, token="an-older-claim")
    await desk.settle_everything()
    assert (await desk.order(claim.order.client_order_id)).status == "submitting"
    await desk.say(outcome=outcome, order=claim.order)
    await desk.settle_everything()
    assert (await desk.order(claim.order.client_order_id)).status == expected


async def test_an_order_of_which_nothing_was_sent_is_queued_again_as_it_was_published(desk: Desk) -> None:
    """Its record keeps less than the intent had, and all that it said."""
    terms = place(desk.account, tags={"why": 'a "b"/\n'}, valid_until=soon(60), rounding="down", leg="x,y")
    entry, claim = await desk.claimed(terms)
    name = claim.order.client_order_id
    await desk.scripts.settle(
        client_order_id=name, entry=entry.id, token=claim.order.token, command="place", evidence=b"{}", raw=b""
    )
    await desk.say(outcome=NotSent("late"), order=claim.order)
    await desk.settle_everything()
    await desk.sweep(name)
    [queued] = await desk.read_intents("gateway.1")
    assert codec.decode_intent(queued.fields[b"data"]) == terms
    assert isinstance(await desk.claim(queued, terms), Claimed)
    assert (await verify(desk.redis, desk.keys)).good


async def test_a_refusal_says_nothing_once_the_venue_has_shown_the_order(desk: Desk) -> None:
    """R3: a duplicate's refusal after the order opened does not end it."""
    claim = await _claimed(desk)
    await desk.say(status(7, claim.order.client_order_id), form=STREAM_FORMAT)
    await desk.say(outcome=Refused("-2010", "no funds"), order=claim.order)
    await desk.settle_everything()
    assert (await desk.order(claim.order.client_order_id)).status == "open"


async def test_a_second_venue_order_under_one_client_order_id_is_counted_and_halts_trading(desk: Desk) -> None:
    """What must not happen is not refused when the venue says it did: both count, and nothing more is claimed."""
    name = (await _claimed(desk)).order.client_order_id
    for order_id, trade_id in ((11, 1), (12, 2)):
        await desk.say(execution(order_id, trade_id, name), form=STREAM_FORMAT)
    await desk.settle_everything()
    order = await desk.order(name)
    assert order.state.anomalies == ("double",)
    assert order.state.filled == Decimal("0.8")
    assert b"two orders" in (await desk.redis.hget(desk.keys.control, "halt") or b"")
