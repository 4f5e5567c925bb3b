"""Every script in the situations that matter, each ready to be called: what `test_resends` calls twice."""

from collections.abc import Awaitable, Callable
from decimal import Decimal
from functools import partial
from typing import Any, Literal, NamedTuple

from adapters.binance.decode import STREAM_FORMAT, decode
from consumers.folding import Folded, Rules, fold_batch
from consumers.interpret import Item, interpret
from consumers.snapshot import read_snapshot
from streams import codec, events
from streams.budget import Counter, Pot, plan
from streams.evidence import append
from streams.holdings import adjusted, texts
from streams.keys import GATEWAYS
from streams.plans import AdjustPlan, Claimed, ImportItem
from streams.position import move
from streams.producer import publish_item
from streams.record import NEW_STATE_TEXT
from streams.schemas import Accepted, Adjustment, Amend, Cancel, Evidence, Execution, Order, Position
from streams.scripts import Scripts
from tests.flow import INFO, LEASE_MS, LOOK_MS, WINDOW_MS, Bench, execution, place, soon, status
from tests.support import wait_until_async

QUARANTINED = b'{"kind":"quarantined","id":"q","stream":"intents","entry":"1-1","reason":"why"}'

AMEND: dict[str, Any] = {
    "command": "amend", "revision": 1, "fingerprint": "first",
    "sent": '{"fingerprint":"first","price":"50001","quantity":"2","revision":"1"}',
}  # fmt: skip

Call = Callable[[Scripts], Awaitable[Any]]


def equal(first: Any, again: Any) -> bool:
    """Nothing differs."""
    return bool(first == again)


class Case(NamedTuple):
    """One script in one situation.

    Attributes:
        script: which one.
        prepare: makes the situation and gives the call.
        same: whether the second answer is the first one again.
        moving: keys whose times a repeat moves on, by the last part of their names.
    """

    script: str
    prepare: Callable[[Bench], Awaitable[Call]]
    same: Callable[[Any, Any], bool] = equal
    moving: frozenset[str] = frozenset()


def but_the_time(first: Any, again: Any) -> bool:
    """The server's time leads the answer; everything behind it is the same."""
    return bool(first[1:] == again[1:])


async def _publish(bench: Bench) -> Call:
    items = [publish_item(place(bench.account, signal_id), INFO) for signal_id in ("s1", "s2")]
    return lambda scripts: scripts.publish(items, "call-1", LOOK_MS)


async def _publish_known(bench: Bench) -> Call:
    terms = place(bench.account)
    await bench.publish(terms)
    return lambda scripts: scripts.publish([publish_item(terms, INFO)], "call-2", LOOK_MS)


async def _publish_conflict(bench: Bench) -> Call:
    await bench.publish(place(bench.account))
    other = publish_item(place(bench.account, price=Decimal(50_001)), INFO)
    return lambda scripts: scripts.publish([other], "call-2", LOOK_MS)


async def _publish_cancel(bench: Bench) -> Call:
    item = publish_item(Cancel(account=bench.account, strategy="test", signal_id="s1"), INFO)
    return lambda scripts: scripts.publish([item], "call-1", LOOK_MS)


def _claim_of(bench: Bench, entry: str, terms: Any, **changes: Any) -> Call:
    item = bench.claim_item(entry, terms, **{"token": "mine", **changes})
    return lambda scripts: scripts.claim([item], "gateway.0", WINDOW_MS, LOOK_MS)


async def _claim(bench: Bench) -> Call:
    await bench.publish(terms := place(bench.account))
    [entry] = await bench.read_intents()
    return _claim_of(bench, entry.id, terms)


async def _claim_bare(bench: Bench) -> Call:
    terms = place(bench.account)
    await bench.redis.xadd(bench.keys.intents, {"data": publish_item(terms, INFO).data})
    [entry] = await bench.read_intents()
    return _claim_of(bench, entry.id, terms)


async def _claim_expired(bench: Bench) -> Call:
    await bench.publish(terms := place(bench.account, signal_time=soon(-100), valid_until=soon(-1)))
    [entry] = await bench.read_intents()
    return _claim_of(bench, entry.id, terms)


async def _claim_refused(bench: Bench) -> Call:
    await bench.publish(terms := place(bench.account))
    [entry] = await bench.read_intents()
    return _claim_of(bench, entry.id, terms, refusal='"a limit forbids it"')


async def _claim_past_its_window(bench: Bench) -> Call:
    claim = await _past_its_window(bench)
    assert claim.terms is not None
    return _claim_of(bench, claim.entry, claim.terms)


async def _cancel_of(bench: Bench, order: Order | None = None) -> Call:
    """Claim a cancel of the order that `place` makes, whatever became of it."""
    intent = Cancel(account=bench.account, strategy="test", signal_id="s1")
    item = publish_item(intent, INFO)
    await bench.redis.xadd(bench.keys.intents, {"data": item.data})
    entry = (await bench.read_intents("gateway.1"))[-1]
    terms = order.terms if order else place(bench.account)
    digest = codec.birth_digest(item.client_order_id, "", NEW_STATE_TEXT)
    return _claim_of(bench, entry.id, terms, command="cancel", token="cancel", digest=digest, who='"me"')


async def _cancel_created(bench: Bench) -> Call:
    await bench.publish(place(bench.account))
    return await _cancel_of(bench)


async def _cancel_in_flight(bench: Bench) -> Call:
    _, claim = await bench.claimed(place(bench.account))
    return await _cancel_of(bench, claim.order)


async def _cancel_open(bench: Bench) -> Call:
    return await _cancel_of(bench, await opened(bench))


async def _amend_of(bench: Bench, order: Order, **changes: Any) -> Call:
    """Claim the first amend of an order that rests."""
    intent = Amend(
        account=bench.account, client_order_id=order.client_order_id, revision=1, signal_time=soon(0),
        quantity=Decimal(2), price=Decimal(50_001),
    )  # fmt: skip
    await bench.redis.xadd(bench.keys.intents, {"data": codec.encode(intent)})
    entry = (await bench.read_intents("gateway.1"))[-1]
    return _claim_of(bench, entry.id, order.terms, **{**AMEND, **changes})


async def _amend_open(bench: Bench) -> Call:
    return await _amend_of(bench, await opened(bench))


async def _amend_in_flight(bench: Bench) -> Call:
    _, claim = await bench.claimed(place(bench.account))
    return await _amend_of(bench, claim.order)


async def _amend_ended(bench: Bench) -> Call:
    order = await opened(bench)
    await (await _cancel_of(bench, order))(bench.scripts)
    return await _amend_of(bench, order)


async def _amend_beside_another(bench: Bench) -> Call:
    order = await opened(bench)
    await (await _amend_of(bench, order))(bench.scripts)
    return await _amend_of(bench, order, token="second", revision=2)


async def _settle_amend(bench: Bench, *, again: bool) -> Call:
    order = await opened(bench)
    await (await _amend_of(bench, order))(bench.scripts)
    rows: Any = await bench.redis.xrevrange(bench.keys.intents, count=1)
    return _settle_of(order, rows[0][0].decode(), "mine", "amend", again=again)


def _settle_of(claim: Order, entry: str, token: str, command: str = "place", *, again: bool = False) -> Call:
    return lambda scripts: scripts.settle(
        client_order_id=claim.client_order_id, entry=entry, token=token, command=command, evidence=b"{}", raw=b"raw",
        again=again,
    )  # fmt: skip


async def _settle(bench: Bench) -> Call:
    entry, claim = await bench.claimed(place(bench.account))
    return _settle_of(claim.order, entry.id, claim.order.token)


async def _settle_cancel(bench: Bench) -> Call:
    order = await opened(bench)
    await (await _cancel_of(bench, order))(bench.scripts)
    rows: Any = await bench.redis.xrevrange(bench.keys.intents, count=1)
    return _settle_of(order, rows[0][0].decode(), "cancel", "cancel")


async def _settle_stray(bench: Bench) -> Call:
    entry, claim = await bench.claimed(place(bench.account))
    return _settle_of(claim.order, entry.id, "another")


async def _settle_under_another_history(bench: Bench) -> Call:
    entry, claim = await bench.claimed(place(bench.account))
    await bench.redis.hset(bench.keys.control, "history", "another")
    return _settle_of(claim.order, entry.id, claim.order.token)


async def _commit(bench: Bench) -> Call:
    _, claim = await bench.claimed(place(bench.account))
    name = claim.order.client_order_id
    await bench.say(status(7, name), form=STREAM_FORMAT)
    await bench.say(execution(7, 1, name), form=STREAM_FORMAT)
    folded, epoch = await fold_all(bench)
    return lambda scripts: scripts.commit(folded.commit, epoch, LEASE_MS)


async def _commit_passed(bench: Bench) -> Call:
    await bench.say(status(7, "of-another-system"), form=STREAM_FORMAT)
    folded, epoch = await fold_all(bench)
    return lambda scripts: scripts.commit(folded.commit, epoch, LEASE_MS)


def written_before(first: Any, again: Any) -> bool:
    """The contract's own words: 2 is `was written by this very commit before`."""
    return bool(again == [[verdict and 2 for verdict in first[0]], first[1]])


async def _park(bench: Bench) -> Call:
    await bench.say(execution(7, 1, "web_of_another"), form=STREAM_FORMAT)
    folded, epoch = await fold_all(bench)
    [plan] = folded.parks
    return lambda scripts: scripts.park(plan, epoch, LEASE_MS)


async def _quarantine(bench: Bench) -> Call:
    await bench.redis.xadd(bench.keys.intents, {"data": b"\xff not json"})
    [entry] = await bench.read_intents()
    return lambda scripts: scripts.quarantine(
        stream=bench.keys.intents, group=GATEWAYS, entry=entry.id, reason=b'"why"', raw=b"\xff", change=QUARANTINED
    )


def dealt_with_before(first: Any, again: Any) -> bool:
    """A quarantined entry is pending no more, and that is what the second call is told."""
    return bool(first[0] == b"quarantined" and again == [b"gone", b""])


def _sweep_of(order: str) -> Call:
    return lambda scripts: scripts.sweep([order], 30_000, 100, 5_000)


async def _sweep_lost_entry(bench: Bench) -> Call:
    [published] = await bench.publish(place(bench.account))
    await bench.read_intents()
    await bench.redis.xack(bench.keys.intents, GATEWAYS, published.entry)
    rows: Any = await bench.redis.zrange(bench.keys.live, 0, -1)
    return _sweep_of(rows[0].decode())


async def _sweep_past_its_window(bench: Bench) -> Call:
    return _sweep_of((await _past_its_window(bench)).client_order_id)


async def _sweep_open(bench: Bench) -> Call:
    return _sweep_of((await opened(bench)).client_order_id)


async def _sweep_cancel_again(bench: Bench) -> Call:
    name = (await opened(bench)).client_order_id
    await bench.scripts.claim(
        [bench.claim_item("1-1", place(bench.account), command="cancel", token="first")], "gateway.0", 1, LOOK_MS
    )
    await wait_until_async(lambda: _is_due(bench, name))
    return _sweep_of(name)


async def _take(_: Bench) -> Call:
    return lambda scripts: scripts.lease("take", "ledger-a", 60_000)


async def _release(bench: Bench) -> Call:
    await bench.scripts.lease("take", "ledger-a", 60_000)
    return lambda scripts: scripts.lease("release", "ledger-a", 60_000)


async def _gate(bench: Bench) -> Call:
    await bench.redis.hdel(bench.keys.control, "history")
    history = (await bench.scripts.gate()).history
    return lambda scripts: scripts.open_gate(history)


async def _shut(bench: Bench) -> Call:
    opening = (await bench.scripts.gate()).opening
    return lambda scripts: scripts.shut_gate(opening)


async def _import(bench: Bench) -> Call:
    await bench.redis.hdel(bench.keys.control, "history")
    history = (await bench.scripts.gate()).history
    item, terms = publish_item(place(bench.account), INFO), place(bench.account)
    listed = ImportItem(
        client_order_id=item.client_order_id, terms=item.data, state=NEW_STATE_TEXT,
        digest=codec.birth_digest(item.client_order_id, item.fingerprint, NEW_STATE_TEXT),
        valid_until_ms=terms.valid_until_ms,
    )  # fmt: skip
    return lambda scripts: scripts.import_orders([listed], history)


def known_now(first: Any, again: Any) -> bool:
    """What a call imported is known to the next one."""
    return bool(first == [b"imported"] and again == [b"known"])


async def _forget(bench: Bench) -> Call:
    await (await _cancel_created(bench))(bench.scripts)
    rows: Any = await bench.redis.zrange(bench.keys.ended, 0, -1)
    order = await bench.order(rows[0].decode())
    return lambda scripts: scripts.forget(order.client_order_id, order, "BTCUSDT", 0, "2026-11")


async def _lapse(bench: Bench) -> Call:
    await (await _park(bench))(bench.scripts)
    [(name, _, _)] = await bench.store.parked()
    return lambda scripts: scripts.lapse(name, 0)


def _switch(action: Literal["halt", "resume"]) -> Callable[[Bench], Awaitable[Call]]:
    async def prepare(bench: Bench) -> Call:
        if action == "resume":
            await bench.scripts.halt("halt", "first", "a person")
        return lambda scripts: scripts.halt(action, "why", "a person")

    return prepare


async def _clear(_: Bench) -> Call:
    return lambda scripts: scripts.clear("why", "a person", "symbol:BTC/USDT", "token")


def before_the_time(first: Any, again: Any) -> bool:
    """The server's time ends the answer; everything before it is the same."""
    return bool(first[:-1] == again[:-1])


async def _past_its_window(bench: Bench) -> Order:
    """An order that was claimed, and whose window is over."""
    await bench.publish(terms := place(bench.account))
    [entry] = await bench.read_intents()
    [claim] = await bench.scripts.claim([bench.claim_item(entry.id, terms)], "gateway.0", 1, LOOK_MS)
    assert isinstance(claim, Claimed)
    await wait_until_async(lambda: _is_due(bench, claim.order.client_order_id))
    return claim.order


async def _is_due(bench: Bench, client_order_id: str) -> bool:
    return client_order_id in await bench.store.due(await bench.store.now_ms(), 1)


async def fold_all(bench: Bench) -> tuple[Folded, int]:
    """What a ledger would commit of all evidence so far, and its epoch."""
    lease = await bench.scripts.lease("take", "ledger", 60_000)
    entries = [entry async for batch in bench.ledger_reader().batches(burst=True) for entry in batch]
    items = [item for item in (interpret(entry, decode) for entry in entries) if isinstance(item, Item)]
    assert len(items) == len(entries)
    snapshot = await read_snapshot(bench.redis, bench.keys, items)
    return fold_batch(items, snapshot, Rules(resubmission_allowed=True, calm_ms=30_000), bench.keys), lease.epoch


async def opened(bench: Bench) -> Order:
    """An order that rests at the venue."""
    entry, claim = await bench.claimed(place(bench.account))
    await bench.say(status(7, claim.order.client_order_id), form=STREAM_FORMAT)
    await bench.say(outcome=Accepted(), order=claim.order)
    folded, epoch = await fold_all(bench)
    await bench.scripts.commit(folded.commit, epoch, 60_000)
    await bench.redis.xack(bench.keys.intents, GATEWAYS, entry.id)
    order = await bench.order(claim.order.client_order_id)
    assert order.status == "open"
    return order


async def _adjust(bench: Bench) -> Call:
    lease = await bench.scripts.lease("take", "ledger", LEASE_MS)
    [entry] = await append(bench.redis, bench.keys, [(Evidence(source="reconcile", received_at_ns=1), b"")])
    [[_]] = [batch async for batch in bench.ledger_reader().batches(burst=True)]
    one = Execution(
        venue_symbol="BTCUSDT", venue_order_id="1", trade_id="1", side="sell", quantity=Decimal(1), price=Decimal(9),
        executed_at_ms=1,
    )  # fmt: skip
    amounts = {"USDT": Decimal(5), "BTC": Decimal(-1)}
    adjustment = Adjustment(id="a1", cause="liquidation", amounts=amounts, at_ms=1, execution=one)
    told = events.Adjusted(id="a1", adjustment=adjustment, evidence=entry, symbol="BTC/USDT")
    change, state = codec.encode_text(told), codec.encode_text(move(Position(), told, one))
    plan = AdjustPlan(
        entry=entry, id="a1", amounts=texts(adjusted({}, adjustment)), change=change,
        position=bench.keys.position("BTC/USDT"), moved=("", state, codec.chain("", "position", state)),
        parked=bench.keys.parked("BTCUSDT", "1"), execution=one.execution_id,
    )  # fmt: skip
    return lambda scripts: scripts.adjust(plan, lease.epoch, LEASE_MS)


async def _report(_: Bench) -> Call:
    change = codec.encode_text(events.Reconciled(id="r1", depth="light", because="time"))
    return lambda scripts: scripts.report("r1", change, "{}")


def _listens(action: Literal["lost", "whole", "keep"], *, first: bool = False) -> Callable[[Bench], Awaitable[Call]]:
    async def prepare(bench: Bench) -> Call:
        if not first:
            await bench.scripts.stream("whole", "listener.0", "c1", lease_ms=60_000)
        if action == "whole":
            await bench.scripts.stream("lost", "listener.0", "c1", reason="cut")
        return lambda scripts: scripts.stream(action, "listener.0", "c2", reason="why", lease_ms=60_000)

    return prepare


async def _enable(bench: Bench) -> Call:
    await bench.redis.hdel(bench.keys.control, "history")
    opening = (await bench.scripts.open_gate((await bench.scripts.gate()).history, guarded=True)).opening
    await bench.scripts.stream("whole", "listener.0", "c1", lease_ms=60_000)
    return lambda scripts: scripts.enable(opening)


async def _spend(bench: Bench) -> Call:
    pot = Pot(bench.keys.rate, "orders", "blocked:", (Counter("orders/1d", 1_000, 86_400_000),))
    packed = plan(pot, 1, "new", {}, ahead_ms=0)
    return lambda scripts: scripts.spend(pot.key, packed)


def granted_both(first: Any, again: Any) -> bool:
    """A repeated call spends once more: it can only make the budget look smaller."""
    return bool(first[:2] == again[:2])


LIVE = frozenset({"live"})
CASES = {
    "publish two places": Case("publish", _publish),
    "publish a known place": Case("publish", _publish_known),
    "publish a conflict": Case("publish", _publish_conflict),
    "publish a cancel": Case("publish", _publish_cancel),
    "claim a place": Case("claim", _claim, but_the_time),
    "claim a bare entry": Case("claim", _claim_bare, but_the_time),
    "claim an expired place": Case("claim", _claim_expired, but_the_time),
    "claim a place over a limit": Case("claim", _claim_refused, but_the_time),
    "claim a place past its window": Case("claim", _claim_past_its_window, but_the_time),
    "claim a cancel of nothing known": Case("claim", _cancel_of, but_the_time),
    "claim a cancel before the place": Case("claim", _cancel_created, but_the_time),
    "claim a cancel in flight": Case("claim", _cancel_in_flight, but_the_time),
    "claim a cancel of an open order": Case("claim", _cancel_open, but_the_time),
    "claim an amend": Case("claim", _amend_open, but_the_time),
    "claim an amend in flight": Case("claim", _amend_in_flight, but_the_time),
    "claim an amend of an order that ends": Case("claim", _amend_ended, but_the_time),
    "claim an amend beside another": Case("claim", _amend_beside_another, but_the_time),
    "settle a place": Case("settle", _settle),
    "settle a cancel": Case("settle", _settle_cancel),
    "settle an amend": Case("settle", partial(_settle_amend, again=False)),
    "settle an amend that may be claimed again": Case("settle", partial(_settle_amend, again=True)),
    "settle a claim that is not the record's": Case("settle", _settle_stray),
    "settle under another history": Case("settle", _settle_under_another_history),
    "commit a fill": Case("commit", _commit, written_before),
    "commit what is nobody's": Case("commit", _commit_passed),
    "park": Case("park", _park),
    "quarantine": Case("quarantine", _quarantine, dealt_with_before),
    "sweep a lost entry": Case("sweep", _sweep_lost_entry, but_the_time, LIVE),
    "sweep past the window": Case("sweep", _sweep_past_its_window, but_the_time, LIVE),
    "sweep an open order": Case("sweep", _sweep_open, but_the_time, LIVE),
    "sweep a cancel that waits": Case("sweep", _sweep_cancel_again, but_the_time, LIVE),
    "take the lease": Case("lease", _take),
    "release the lease": Case("lease", _release),
    "import": Case("import", _import, known_now),
    "forget": Case("forget", _forget),
    "lapse": Case("lapse", _lapse),
    "adjust": Case("adjust", _adjust),
    "report": Case("report", _report),
    "halt": Case("halt", _switch("halt"), before_the_time),
    "resume": Case("halt", _switch("resume"), before_the_time),
    "cancel all": Case("halt", _clear, before_the_time),
    "open the gate": Case("gate", _gate),
    "shut the gate": Case("gate", _shut),
    "enable new exposure": Case("gate", _enable),
    "lose the stream": Case("stream", _listens("lost")),
    "lose the stream at first": Case("stream", _listens("lost", first=True)),
    "make the stream whole": Case("stream", _listens("whole")),
    "keep the stream": Case("stream", _listens("keep")),
    "spend of a budget": Case("rate", _spend, granted_both, frozenset({"rate"})),
}
