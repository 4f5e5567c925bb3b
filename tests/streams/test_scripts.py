"""Scripts on the real server: each move is all or nothing, and a repeated call finds its stored result."""

from decimal import Decimal
from typing import Any

import msgspec
import pytest
from redis.asyncio import Redis

from adapters.binance.decode import STREAM_FORMAT
from consumers.adoption import import_item
from streams import codec
from streams.errors import HistoryChanged
from streams.events import CancelRequested, Created, Declined, Ended, Forgotten, Lapsed, Parked, Tombstone, Updated
from streams.events import Claimed as ClaimedChange
from streams.identity import client_order_id, fingerprint, wire_id
from streams.keys import GATEWAYS
from streams.plans import Busy, Claimed, Conflict, Done, Halted, Known, ParkPlan, Published
from streams.producer import publish_item
from streams.reader import Entry
from streams.schemas import Cancel, CommandKind, Execution, Order, OrderReport
from streams.scripts import Scripts
from streams.verify import verify
from tests.flow import INFO, LEASE_MS, LOOK_MS, WINDOW_MS, Bench, place, soon, status
from tests.resends import AMEND, fold_all, opened

HOUR_MS, MONTH = 3_600_000, "2026-11"


@pytest.fixture
async def bench(redis: Redis, account: str) -> Bench:
    """An account with an open gate."""
    return await Bench(redis, account).open()


async def test_publishing_the_same_intent_again_answers_with_the_order_as_it_stands(bench: Bench) -> None:
    """The second publish adds no entry and returns the stored record."""
    terms = place(bench.account)
    [first] = await bench.publish(terms)
    [second] = await bench.publish(terms)
    assert isinstance(first, Published)
    assert isinstance(second, Known)
    assert second.order.terms == terms
    assert second.order.entry == first.entry
    assert await bench.redis.xlen(bench.keys.intents) == 1
    assert len(await bench.journal()) == 1


async def test_the_same_identity_with_another_price_is_a_conflict(bench: Bench) -> None:
    """The stored fingerprint is told, nothing is written."""
    terms = place(bench.account)
    await bench.publish(terms)
    [verdict] = await bench.publish(place(bench.account, price=Decimal(50_001), signal_time=terms.signal_time))
    assert verdict == Conflict(fingerprint(terms))
    assert await bench.redis.xlen(bench.keys.intents) == 1


async def test_a_publish_call_that_is_repeated_gets_its_first_answer(bench: Bench) -> None:
    """A producer whose answer was cut off and who calls again is not told `duplicate`."""
    item = publish_item(place(bench.account), INFO)
    first = await bench.scripts.publish([item], "call-1", LOOK_MS)
    again = await bench.scripts.publish([item], "call-1", LOOK_MS)
    assert first == again


async def test_a_duplicate_too_is_told_under_the_gates_opening_alone_that_the_caller_has_passed(bench: Bench) -> None:
    """Whoever asks drops first what was read under another opening; then it is told how the order stands now."""
    item = publish_item(place(bench.account), INFO)
    await bench.scripts.publish([item], "call-1", LOOK_MS)
    await bench.redis.hset(bench.keys.control, "history", "another")
    await bench.scripts.open_gate((await bench.scripts.gate()).history)
    with pytest.raises(HistoryChanged):
        await bench.scripts.publish([item], "call-2", LOOK_MS)
    [verdict] = await bench.scripts.publish([item], "call-3", LOOK_MS)
    assert isinstance(verdict, Known)


async def test_a_duplicate_is_told_whatever_history_the_server_has(bench: Bench) -> None:
    """The record says how the order stands; its claim is what the history keeps from going out."""
    item = publish_item(place(bench.account), INFO)
    await bench.scripts.publish([item], "call-1", LOOK_MS)
    await bench.redis.hset(bench.keys.control, "history", "another")
    [verdict] = await bench.scripts.publish([item], "call-2", LOOK_MS)
    assert isinstance(verdict, Known)


async def test_a_script_the_server_forgot_is_loaded_again(bench: Bench) -> None:
    """SCRIPT FLUSH between two calls goes unnoticed."""
    await bench.redis.script_flush()
    [verdict] = await bench.publish(place(bench.account))
    assert isinstance(verdict, Published)


async def test_an_intent_is_taken_and_not_claimed_when_the_history_changed(bench: Bench) -> None:
    """It waits for the gate: the claim is refused as one, and goes out when the gate is open."""
    terms = place(bench.account)
    await bench.redis.hset(bench.keys.control, "history", "another")
    [verdict] = await bench.publish(terms)
    assert isinstance(verdict, Published)
    [entry] = await bench.read_intents()
    with pytest.raises(HistoryChanged):
        await bench.claim(entry, terms)
    assert (await bench.order(client_order_id(terms, INFO.id_rule))).status == "created"
    bench.scripts.passage.enter((await bench.scripts.open_gate((await bench.scripts.gate()).history)).opening)
    assert isinstance(await bench.claim(entry, terms), Claimed)
    assert (await verify(bench.redis, bench.keys)).good


@pytest.mark.parametrize("shut", [True, False])
async def test_what_is_published_while_the_gate_is_shut_gives_way_to_the_order_the_venue_lists(
    bench: Bench, shut: bool
) -> None:
    """Its own record may be lost, and with it what was sent; one from before the gate was shut is that record."""
    terms, sent = place(bench.account), place(bench.account, quantity=Decimal(3))
    name = client_order_id(terms, INFO.id_rule)
    if shut:
        await bench.redis.hset(bench.keys.control, "history", "another")
    await bench.publish(terms)
    await bench.redis.hset(bench.keys.control, "history", "another")
    answers = await bench.scripts.import_orders([import_item(name, sent)], (await bench.scripts.gate()).history)
    assert answers == ["imported" if shut else "lost"]
    order = await bench.order(name)
    assert order.terms == (sent if shut else terms)
    assert (order.status, order.fingerprint == "") == ("unknown", shut)
    await bench.open()
    [entry] = await bench.read_intents()
    with pytest.raises(HistoryChanged):
        await bench.claim(entry, terms)
    assert await bench.claim(entry, terms) == Done("unknown")
    assert await bench.pending(bench.keys.intents, GATEWAYS) == 0
    assert (await verify(bench.redis, bench.keys)).good


async def test_a_claim_fixes_the_window_and_returns_the_stored_terms(bench: Bench) -> None:
    """`send_by` is the window from the server's clock, and the order is `submitting` before anything is sent."""
    terms = place(bench.account)
    _, claim = await bench.claimed(terms)
    assert claim.send_by_ms == claim.opened_at_ms + WINDOW_MS
    assert claim.order.status == "submitting"
    assert claim.order.terms == terms
    assert [type(change) for change in await bench.journal()] == [Created, ClaimedChange]


async def test_a_claim_ends_with_the_validity_of_the_signal(bench: Bench) -> None:
    """`send_by` is never later than `valid_until`."""
    terms = place(bench.account, valid_until=soon(2))
    _, claim = await bench.claimed(terms)
    assert claim.send_by_ms == terms.valid_until_ms


async def test_an_expired_intent_is_never_claimed(bench: Bench) -> None:
    """It ends as `expired`, acknowledged, and nothing is to be sent."""
    terms = place(bench.account, signal_time=soon(-100), valid_until=soon(-1))
    await bench.publish(terms)
    [entry] = await bench.read_intents()
    assert await bench.claim(entry, terms) == Done("expired")
    assert await bench.pending(bench.keys.intents, GATEWAYS) == 0


async def test_two_gateways_cannot_claim_one_entry(bench: Bench) -> None:
    """The second finds it busy and leaves the entry pending."""
    terms = place(bench.account)
    entry, _ = await bench.claimed(terms)
    assert await bench.claim(entry, terms) == Busy()
    assert await bench.pending(bench.keys.intents, GATEWAYS) == 1


async def test_a_repeated_claim_call_gets_the_same_claim(bench: Bench) -> None:
    """A gateway whose answer was cut off calls again with its token and holds the claim."""
    terms = place(bench.account)
    await bench.publish(terms)
    [entry] = await bench.read_intents()
    first = await bench.claim(entry, terms, token="mine")
    again = await bench.claim(entry, terms, token="mine")
    assert isinstance(again, Claimed)
    assert again.send_by_ms == first.send_by_ms
    assert len(await bench.journal()) == 2


async def test_a_bare_entry_becomes_an_order_at_its_claim_and_its_copy_is_acknowledged(bench: Bench) -> None:
    """Two XADDs of one intent make one order; the copy is a duplicate without a claim."""
    terms = place(bench.account)
    for _ in range(2):
        await bench.redis.xadd(bench.keys.intents, {"data": publish_item(terms, INFO).data})
    first, copy = await bench.read_intents()
    assert isinstance(await bench.claim(first, terms), Claimed)
    assert await bench.claim(copy, terms) == Done("submitting")
    assert await bench.pending(bench.keys.intents, GATEWAYS) == 1


async def test_a_bare_copy_with_other_content_is_a_conflict_and_stays_pending(bench: Bench) -> None:
    """The gateway quarantines it; the claim changes nothing."""
    terms = place(bench.account)
    await bench.publish(terms)
    other = place(bench.account, side="sell", signal_time=terms.signal_time)
    await bench.redis.xadd(bench.keys.intents, {"data": publish_item(other, INFO).data})
    first, second = await bench.read_intents()
    await bench.claim(first, terms)
    assert await bench.claim(second, other) == Conflict(fingerprint(terms))


async def test_a_window_that_passed_makes_the_order_unknown(bench: Bench) -> None:
    """A redelivered entry past its window is never sent again by its claim."""
    terms = place(bench.account)
    entry, claim = await bench.claimed(terms)
    key = bench.keys.order(claim.order.client_order_id)
    await bench.redis.hset(key, "send_by", "1")
    assert await bench.claim(entry, terms) == Done("unknown")
    assert (await bench.order(claim.order.client_order_id)).status == "unknown"


async def test_settling_appends_once_and_acknowledges(bench: Bench) -> None:
    """The repeated call finds the stored evidence id."""
    entry, claim = await bench.claimed(place(bench.account))
    for _ in range(2):
        assert await bench.scripts.settle(
            client_order_id=claim.order.client_order_id, entry=entry.id, token=claim.order.token, command="place",
            evidence=b"{}", raw=b"raw",
        )  # fmt: skip
    assert await bench.redis.xlen(bench.keys.evidence) == 1
    assert await bench.pending(bench.keys.intents, GATEWAYS) == 0


@pytest.mark.parametrize("command", ["place", "cancel", "amend"])
async def test_what_is_said_of_the_next_claim_is_kept_too(bench: Bench, command: CommandKind) -> None:
    """That the claim before was settled says nothing of this one, whichever of the order's commands it is."""
    order, entry = await opened(bench), "9-9"
    key, name = bench.keys.order(order.client_order_id), order.client_order_id
    if command == "place":
        entry = order.entry
        await bench.redis.hset(key, "status", "created")  # as the ledger does when nothing was sent
    before = await bench.redis.xlen(bench.keys.evidence)
    for number, token in enumerate(("first", "second"), 1):
        changes = {**AMEND, "token": token} if command == "amend" else {"command": command, "token": token}
        verdict = await bench.claim(Entry(entry, {}, redelivered=False), place(bench.account), **changes)
        assert isinstance(verdict, Claimed), verdict
        for _ in range(2):
            assert await bench.scripts.settle(
                client_order_id=name, entry=entry, token=token, command=command, evidence=b"{}", raw=b"",
                again=command == "amend",
            )  # fmt: skip
        assert await bench.redis.xlen(bench.keys.evidence) == before + number
        # As the ledger does when nothing was sent, and time when a window closes.
        await bench.redis.hset(key, mapping={"status": "created"} if command == "place" else {"cancel_by": "1"})
        await bench.redis.hdel(key, "amend")


async def test_a_claim_that_a_version_before_settled_is_settled(bench: Bench) -> None:
    """Its record names the token and the evidence; those of another token say nothing of this claim."""
    entry, claim = await bench.claimed(place(bench.account))
    order, lengths = claim.order, []
    for token in (order.token, "another"):
        await bench.redis.hset(bench.keys.order(order.client_order_id), "settled", f"{token} 1-1")
        assert await bench.scripts.settle(
            client_order_id=order.client_order_id, entry=entry.id, token=order.token, command="place", evidence=b"{}",
            raw=b"",
        )  # fmt: skip
        lengths.append(await bench.redis.xlen(bench.keys.evidence))
    assert lengths == [0, 1]


async def test_a_claim_keeps_terms_short_and_amounts_only_where_others_are_sent(bench: Bench) -> None:
    """The order reads the same either way; what the claim before kept is gone."""
    terms = place(bench.account, quantity=Decimal("1.05"), tags={"why": "a, b\n"})
    await bench.publish(terms)
    [entry] = await bench.read_intents()
    for quantity, kept in (("1.05", False), ("1", True), ("1.05", False)):
        sent = {"price": "50000", "quantity": quantity}
        verdict = await bench.claim(entry, terms, sent=codec.encode_text(sent))
        assert isinstance(verdict, Claimed)
        assert (verdict.order.terms, verdict.order.sent) == (terms, sent)
        key = bench.keys.order(verdict.order.client_order_id)
        assert bool(await bench.redis.hexists(key, "sent")) is kept
        assert len(await bench.redis.hget(key, "terms") or b"") < len(codec.encode(terms)) / 2
        assert (await verify(bench.redis, bench.keys)).good
        await bench.redis.hset(key, "status", "created")  # as the ledger does when nothing was sent


async def test_a_record_of_the_version_before_is_read_and_verified_as_ever(bench: Bench) -> None:
    """Terms as they were published, amounts as they were sent, and the claim's token before its evidence."""
    terms = place(bench.account)
    sent = codec.encode_text({"price": "50000", "quantity": "1"})
    await bench.publish(terms)
    [entry] = await bench.read_intents()
    verdict = await bench.claim(entry, terms, sent=sent)
    assert isinstance(verdict, Claimed)
    before, name = await verify(bench.redis, bench.keys), verdict.order.client_order_id
    old: dict[Any, Any] = {
        "terms": codec.encode_text(terms), "sent": sent, "settled": f"{verdict.order.token} 1-1"
    }  # fmt: skip
    await bench.redis.hset(bench.keys.order(name), mapping=old)
    assert await bench.order(name) == verdict.order
    assert before.good
    assert await verify(bench.redis, bench.keys) == before
    [again] = await bench.publish(terms)
    assert again == Known(verdict.order)


async def test_settling_a_claim_that_is_not_the_records_leaves_the_entry_pending(bench: Bench) -> None:
    """The evidence is kept all the same."""
    entry, claim = await bench.claimed(place(bench.account))
    assert not await bench.scripts.settle(
        client_order_id=claim.order.client_order_id, entry=entry.id, token="another", command="place", evidence=b"{}",
        raw=b"",
    )  # fmt: skip
    assert await bench.redis.xlen(bench.keys.evidence) == 1
    assert await bench.pending(bench.keys.intents, GATEWAYS) == 1


async def test_settling_after_the_history_changed_keeps_the_evidence_and_the_entry(bench: Bench) -> None:
    """What the venue said is never lost, whatever became of the server."""
    entry, claim = await bench.claimed(place(bench.account))
    await bench.redis.hset(bench.keys.control, "history", "another")
    assert not await bench.scripts.settle(
        client_order_id=claim.order.client_order_id, entry=entry.id, token=claim.order.token, command="place",
        evidence=b"{}", raw=b"",
    )  # fmt: skip
    assert await bench.redis.xlen(bench.keys.evidence) == 1
    assert await bench.pending(bench.keys.intents, GATEWAYS) == 1


async def _cancel(bench: Bench, intent: Cancel) -> object:
    await bench.redis.xadd(bench.keys.intents, {"data": publish_item(intent, INFO).data})
    [entry] = await bench.read_intents("gateway.1")
    item = bench.claim_item(entry.id, place(bench.account), command="cancel", token="cancel-1")
    [verdict] = await bench.scripts.claim([item], "gateway.0", WINDOW_MS, LOOK_MS)
    return verdict


async def test_a_cancel_before_the_claim_ends_the_order_unsent(bench: Bench) -> None:
    """The place's own entry is then acknowledged without a claim."""
    terms = place(bench.account)
    await bench.publish(terms)
    [entry] = await bench.read_intents()
    verdict = await _cancel(bench, Cancel(account=bench.account, strategy="test", signal_id="s1"))
    assert verdict == Done("cancelled")
    assert await bench.claim(entry, terms) == Done("cancelled")
    assert [type(change) for change in await bench.journal()] == [Created, CancelRequested, Ended]


async def test_a_cancel_of_an_unknown_identity_keeps_a_late_place_from_trading(bench: Bench) -> None:
    """It leaves a tombstone; the place that comes later is acknowledged as cancelled."""
    terms = place(bench.account)
    assert await _cancel(bench, Cancel(account=bench.account, strategy="test", signal_id="s1")) == Done("cancelled")
    await bench.redis.xadd(bench.keys.intents, {"data": publish_item(terms, INFO).data})
    [entry] = await bench.read_intents()
    assert await bench.claim(entry, terms) == Done("cancelled")
    assert [type(change) for change in await bench.journal()] == [Tombstone]


async def test_a_cancel_of_an_order_in_flight_waits_for_its_outcome(bench: Bench) -> None:
    """It is remembered on the order; the claim of the place stands."""
    _, claim = await bench.claimed(place(bench.account))
    verdict = await _cancel(bench, Cancel(account=bench.account, strategy="test", signal_id="s1"))
    assert verdict == Done("submitting")
    assert (await bench.order(claim.order.client_order_id)).cancel_requested


async def test_an_order_whose_entry_was_lost_is_queued_again_by_the_sweep(bench: Bench) -> None:
    """The new entry is the old intent, and the record says that it now speaks for the order."""
    terms = place(bench.account)
    [published] = await bench.publish(terms)
    await bench.read_intents()
    await bench.redis.xack(bench.keys.intents, GATEWAYS, published.entry)
    identity = client_order_id(terms, INFO.id_rule)
    await bench.sweep(identity)
    [entry] = await bench.read_intents("gateway.1")
    assert (await bench.order(identity)).entry == entry.id
    assert isinstance(await bench.claim(entry, terms), Claimed)


async def test_an_order_whose_entry_waits_is_left_alone_by_the_sweep(bench: Bench) -> None:
    """Neither an undelivered nor a pending entry is queued a second time."""
    terms = place(bench.account)
    await bench.publish(terms)
    identity = client_order_id(terms, INFO.id_rule)
    await bench.sweep(identity)
    await bench.read_intents()
    await bench.sweep(identity)
    assert await bench.redis.xlen(bench.keys.intents) == 1


async def test_a_cancel_that_had_no_effect_is_due_again_when_its_window_has_closed(bench: Bench) -> None:
    """The order is asked for meanwhile; who waits for the next calm look waits too long."""
    identity = (await opened(bench)).client_order_id
    item = bench.claim_item("1-1", place(bench.account), command="cancel", token="cancel")
    await bench.scripts.claim([item], "gateway.0", WINDOW_MS, LOOK_MS)
    [look] = await bench.sweep(identity)
    assert look.order.client_order_id == identity
    due_ms = await bench.redis.zscore(bench.keys.live, identity)
    stored: Any = await bench.redis.hget(bench.keys.order(identity), "cancel_by")
    assert due_ms == int(stored) + 1


async def test_a_quarantined_entry_keeps_its_bytes_and_is_acknowledged_once(bench: Bench) -> None:
    """The second call finds nothing pending and writes nothing."""
    await bench.redis.xadd(bench.keys.intents, {"data": b"\xff not json"})
    [entry] = await bench.read_intents()
    for expected in (True, False):
        done = await bench.scripts.quarantine(
            stream=bench.keys.intents, group=GATEWAYS, entry=entry.id, reason=b'"why"', raw=b"\xff not json",
            change=b'{"kind":"quarantined","id":"q","stream":"intents","entry":"1-1","reason":"why"}',
        )  # fmt: skip
        assert done is expected
    rows: Any = await bench.redis.xrange(bench.keys.quarantine)
    assert [fields[b"raw"] for _, fields in rows] == [b"\xff not json"]
    assert await bench.pending(bench.keys.intents, GATEWAYS) == 0


async def test_a_lease_is_held_by_one_and_its_epoch_grows(bench: Bench) -> None:
    """A second ledger is told who leads; after a release it leads with the next epoch."""
    first = await bench.scripts.lease("take", "a", 60_000)
    assert (await bench.scripts.lease("take", "b", 60_000)).holder == "a"
    await bench.scripts.lease("release", "a", 60_000)
    second = await bench.scripts.lease("take", "b", 60_000)
    assert (second.holder, second.epoch) == ("b", first.epoch + 1)


async def test_an_order_that_is_too_young_is_kept_although_it_is_asked_to_be_forgotten(bench: Bench) -> None:
    """The script looks at the age itself: whoever listed it may have listed it by another clock or another setting."""
    order = await _expired(bench)
    before = await _everything(bench)
    assert not await bench.scripts.forget(order.client_order_id, order, "BTCUSDT", HOUR_MS, MONTH)
    assert await _everything(bench) == before
    assert await bench.store.orders([order.client_order_id]) == [order]


async def test_an_order_is_forgotten_as_soon_as_it_is_old_enough(bench: Bench) -> None:
    """Its age counts from its end: an hour, on the server's clock."""
    order = await _expired(bench)
    await bench.redis.zincrby(bench.keys.ended, -HOUR_MS, order.client_order_id)
    assert await bench.scripts.forget(order.client_order_id, order, "BTCUSDT", HOUR_MS, MONTH)
    assert await bench.store.orders([order.client_order_id]) == [None]
    assert await bench.redis.zcard(bench.keys.ended) == 0
    assert isinstance((await bench.journal())[-1], Forgotten)


@pytest.mark.parametrize("why", ["moved", "lives again"])
async def test_an_order_that_changed_after_it_was_listed_is_kept(bench: Bench, why: str) -> None:
    """Its digest is another one, or the venue showed that it lives."""
    order = await _expired(bench)
    if why == "moved":
        await bench.redis.hset(bench.keys.order(order.client_order_id), "digest", "of a later state")
    else:
        await bench.redis.zrem(bench.keys.ended, order.client_order_id)
    before = await _everything(bench)
    assert not await bench.scripts.forget(order.client_order_id, order, "BTCUSDT", 0, MONTH)
    assert await _everything(bench) == before


async def _expired(bench: Bench) -> Order:
    """An order that just ended, unsent."""
    terms = place(bench.account, signal_time=soon(-100), valid_until=soon(-1))
    await bench.publish(terms)
    [entry] = await bench.read_intents()
    assert await bench.claim(entry, terms) == Done("expired")
    return await bench.order(client_order_id(terms, INFO.id_rule))


async def _everything(bench: Bench) -> dict[bytes, bytes | None]:
    """Every key of the account, byte for byte."""
    keys = [key async for key in bench.redis.scan_iter(match=f"fillonce:{{{bench.account}}}:*")]
    return {key: await bench.redis.dump(key) for key in keys}


async def test_an_amend_whose_claim_is_lost_with_an_older_history_is_not_claimed_once_more(bench: Bench) -> None:
    """The name of what it made at the venue is proof enough; a newer one is another matter."""
    order = await opened(bench)
    await bench.say(status(8, wire_id(order.client_order_id, 2, INFO.id_rule)), form=STREAM_FORMAT)
    plan, epoch = await fold_all(bench)
    await bench.scripts.commit(plan.commit, epoch, 60_000)
    assert (await bench.order(order.client_order_id)).state.revision == 2
    assert order.terms is not None
    for revision in (1, 2):
        verdict = await bench.claim(Entry("9-9", {}, redelivered=False), order.terms, **{**AMEND, "revision": revision})
        assert verdict == Done("decided")
    assert (await verify(bench.redis, bench.keys)).good
    verdict = await bench.claim(Entry("9-9", {}, redelivered=False), order.terms, **{**AMEND, "revision": 3})
    assert isinstance(verdict, Claimed)


async def test_an_amend_waits_for_the_order_to_rest_and_ends_with_it(bench: Bench) -> None:
    """In flight it is busy; after the end it is declined, with the reason in the journal."""
    _, claim = await bench.claimed(place(bench.account))
    assert claim.order.terms is not None
    entry, terms = Entry("9-9", {}, redelivered=False), claim.order.terms
    assert await bench.claim(entry, terms, **AMEND) == Busy()
    await bench.claim(entry, terms, command="cancel", token="cancel")
    assert await bench.claim(entry, terms, **AMEND) == Done("decided")
    assert [one.reason for one in await bench.journal() if isinstance(one, Declined)] == ["a cancel was requested"]


async def test_an_amend_is_held_against_halts_and_its_own_time(bench: Bench) -> None:
    """Halted it waits; too late it is declined; other content under its revision is a conflict."""
    order = await opened(bench)
    entry, terms = Entry("9-9", {}, redelivered=False), order.terms
    assert terms is not None
    await bench.scripts.halt("halt", "why", "a person")
    assert await bench.claim(entry, terms, **AMEND) == Halted()
    assert await bench.claim(entry, terms, **AMEND, valid_until_ms=1) == Done("decided")
    assert await bench.claim(entry, terms, **{**AMEND, "fingerprint": "other"}) == Conflict("first")


@pytest.mark.parametrize("seconds", [5, 3_600])
async def test_an_order_is_looked_at_when_it_expires_and_no_more_often_otherwise(bench: Bench, seconds: int) -> None:
    """Published or appended, and queued again: the first look is at the end of its validity where that is sooner."""
    published, bare = (place(bench.account, name, valid_until=soon(seconds)) for name in ("published", "bare"))
    before_ms = await bench.store.now_ms()
    await bench.publish(published)
    await bench.redis.xadd(bench.keys.intents, {"data": publish_item(bare, INFO).data})
    *_, entry = await bench.read_intents()
    await bench.scripts.halt("halt", "why", "me")
    assert await bench.claim(entry, bare) == Halted()
    after_ms = await bench.store.now_ms()
    for one in (published, bare):
        due = await bench.redis.zscore(bench.keys.live, client_order_id(one, INFO.id_rule))
        assert due is not None
        assert (
            min(one.valid_until_ms + 1, before_ms + LOOK_MS) <= due <= min(one.valid_until_ms + 1, after_ms + LOOK_MS)
        )


@pytest.mark.parametrize("stale", [0, 1, 2])
async def test_a_commit_tells_of_the_orders_it_has_written_and_of_no_other(bench: Bench, stale: int) -> None:
    """One of three is stale: the journal has the changes of the two others, whole, whatever signs are in them."""
    names: list[str] = []
    for number in range(3):
        entry, claim = await bench.claimed(place(bench.account, f"s{number}"))
        await bench.redis.xack(bench.keys.intents, GATEWAYS, entry.id)
        names.append(claim.order.client_order_id)
        await bench.say(status(number + 1, names[number], "EXPIRED", r=f"zu spät ({number})"), form=STREAM_FORMAT)
    plan, epoch = await fold_all(bench)
    await bench.redis.hset(bench.keys.order(names[stale]), "cancel", "1")
    done = await bench.scripts.commit(plan.commit, epoch, 60_000)
    others = [name for name in names if name != names[stale]]
    assert done.verdicts == [int(name in others) for name in names]
    assert done.acknowledged == len(others)
    told = [one for one in await bench.journal() if isinstance(one, Updated)]
    assert [one.client_order_id for one in told] == others
    for one in told:
        [fact] = one.facts
        assert isinstance(fact, OrderReport)
        assert fact.reason == f"zu spät ({names.index(one.client_order_id)})"


async def test_executions_of_a_venue_that_writes_quotes_lapse_into_a_journal_that_can_be_read(bench: Bench) -> None:
    """A venue's ids are its own; in the journal and in quarantine they stand as they are."""
    one = Execution(
        venue_symbol="BTCUSDT", venue_order_id="7", trade_id='a"b\\n\n"ü', side="buy", quantity=Decimal(1),
        price=Decimal(1), executed_at_ms=1,
    )  # fmt: skip
    lease = await bench.scripts.lease("take", "h", LEASE_MS)
    await bench.say()
    [entry] = [entry async for batch in bench.ledger_reader().batches(burst=True) for entry in batch]
    told = codec.encode_text(Parked(id="p", execution=one, evidence=entry.id))
    plan = ParkPlan(
        entry=entry.id, parked_key=bench.keys.parked("BTCUSDT", "7"), order_key=None,
        venue_order_key=bench.keys.venue_order("BTCUSDT", "7"),
        executions=[(one.execution_id, codec.encode_text(one), told)],
    )  # fmt: skip
    assert await bench.scripts.park(plan, lease.epoch, LEASE_MS) == "parked"
    assert await bench.scripts.lapse("BTCUSDT:7", 0) == 0
    assert [change.execution_id for change in await bench.journal() if isinstance(change, Lapsed)] == [one.execution_id]
    rows: Any = await bench.redis.xrange(bench.keys.quarantine)
    [(_, fields)] = rows
    assert msgspec.json.decode(fields[b"data"])["entry"] == one.execution_id
    assert (await verify(bench.redis, bench.keys)).good


async def test_an_order_that_was_forgotten_is_not_imported_as_if_it_were_new(bench: Bench) -> None:
    """The venue may list it again; what it counted stays counted once, and no record of it comes back."""
    terms = place(bench.account, signal_time=soon(-100), valid_until=soon(-1))
    await bench.publish(terms)
    [entry] = await bench.read_intents()
    await bench.claim(entry, terms)
    name = client_order_id(terms, INFO.id_rule)
    assert await bench.scripts.forget(name, await bench.order(name), "BTCUSDT", 0, "2026-11")
    history, other = (await bench.scripts.gate()).history, place(bench.account, "other")
    items = [import_item(client_order_id(one, INFO.id_rule), one) for one in (terms, other)]
    for scripts in (bench.scripts, Scripts(bench.redis, bench.keys)):
        assert (await scripts.import_orders(items, history))[0] == "spent"
    assert not await bench.redis.exists(bench.keys.order(name))
    assert (await bench.order(items[1].client_order_id)).status == "unknown"
    assert (await verify(bench.redis, bench.keys)).good
