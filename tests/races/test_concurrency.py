"""Several of everything at once, and some of them stopped where it hurts: one order each, every execution once."""

import asyncio
import os
import signal
from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Literal

import pytest
from redis.asyncio import Redis

from adapters.binance.decode import STREAM_FORMAT, TRADE_FORMAT, decode
from consumers.adoption import import_item
from consumers.folding import Rules
from consumers.ledger import Ledger, LedgerSettings
from streams import events, standing
from streams.identity import wire_id
from streams.keys import GATEWAYS, LEDGERS, AccountKeys
from streams.plans import Busy, Claimed, Done
from streams.producer import publish_item
from streams.schemas import Absent, Cancel, Refused, Unknown
from streams.verify import verify
from tests.flow import INFO, LEASE_MS, LOOK_MS, Bench, execution, place, status
from tests.pipeline import Pipeline, identities, trade
from tests.races.processes import process, stands_still, started
from tests.races.worker import Told
from tests.support import wait_until_async

PROCESSES, SIGNALS = 4, 25
WINDOW_MS = 400
RULES = Rules(resubmission_allowed=True, calm_ms=30_000)


@pytest.fixture
async def bench(redis: Redis, account: str) -> Bench:
    """An account with an open gate."""
    return await Bench(redis, account).open()


async def test_processes_that_publish_the_same_signals_make_one_order_each(pipeline: Pipeline) -> None:
    """Four processes begin at once with the same signals; three gateways compete for what they publish."""
    await pipeline.all_roles(gateways=3)
    intents = tuple(pipeline.terms() for _ in range(SIGNALS))
    told = [
        Told(role="producer", redis_url=pipeline.url, account=pipeline.account, name=f"producer.{index}",
             intents=intents[index:] + intents[:index])
        for index in range(PROCESSES)
    ]  # fmt: skip
    workers = [await started(one) for one in told]
    for worker in workers:
        assert worker.stdin is not None
        worker.stdin.write(b"go\n")
    assert [await worker.wait() for worker in workers] == [0] * PROCESSES
    await pipeline.quiet()
    names = [publish_item(one, pipeline.info).client_order_id for one in intents]
    assert sorted(identities(await pipeline.venue_orders())) == sorted(names)
    assert (await verify(pipeline.redis, pipeline.keys)).good


@pytest.mark.parametrize("point", ["signing", "write"])
async def test_a_gateway_that_stood_still_past_its_window_makes_no_second_order(
    pipeline: Pipeline, point: Literal["signing", "write"]
) -> None:
    """Stopped after its claim or after its last check; resubmitted and filled by then; woken, it sends in vain."""
    await pipeline.house("SELL", 5)
    book = next(one for one in pipeline.process.settings.accounts if one.name == pipeline.book)
    told = Told(
        role="gateway", redis_url=pipeline.url, account=pipeline.account, name="gateway.stopped", stop=point,
        rest_url=pipeline.process.rest_url, ws_url=pipeline.process.ws_url, api_key=book.api_key, secret=book.secret,
        window_ms=WINDOW_MS,
    )  # fmt: skip
    async with process(told) as worker:
        [name] = await pipeline.place(pipeline.terms())
        await pipeline.until(lambda: stands_still(worker))
        await pipeline.ledger()
        await pipeline.resolver(window_ms=WINDOW_MS)
        gateway = await pipeline.gateway(1, window_ms=WINDOW_MS, claim_idle_ms=WINDOW_MS + 100)
        await pipeline.status(name, "filled")
        assert gateway.claimed == 1
        said = await pipeline.redis.xlen(pipeline.keys.evidence)
        os.kill(worker.pid, signal.SIGCONT)
        await pipeline.until(lambda: _more_said(pipeline, said))
        await pipeline.agreed()
        assert identities(await pipeline.venue_orders()) == [name]
        claims = [one for one in await pipeline.journal() if isinstance(one, events.Claimed)]
        assert [one.gateway for one in claims] == ["gateway.stopped", "gateway.1"]
        assert not (await pipeline.audit()).defects


async def test_a_ledger_that_stood_still_past_its_lease_counts_nothing_twice(pipeline: Pipeline) -> None:
    """Stopped before a commit; another leads by then and has counted it; woken, it writes nothing."""
    told = Told(
        role="ledger", redis_url=pipeline.url, account=pipeline.account, name="ledger.stopped", stop="commit",
        lease_ms=WINDOW_MS,
    )  # fmt: skip
    await pipeline.house("SELL", "0.5")
    async with process(told) as worker:
        await pipeline.gateway()
        [name] = await pipeline.place(pipeline.terms())
        await pipeline.until(lambda: stands_still(worker))
        ledger = await pipeline.ledger("ledger.second", lease_ms=WINDOW_MS)
        await pipeline.listener()
        await pipeline.resolver()
        await pipeline.status(name, "partially_filled")
        os.kill(worker.pid, signal.SIGCONT)
        await pipeline.house("SELL", "0.5")
        await pipeline.status(name, "filled")
        await pipeline.agreed()
        assert ledger.applied == 2
        assert (await verify(pipeline.redis, pipeline.keys)).good


async def test_parking_may_race_the_commit_that_learns_the_mapping(bench: Bench) -> None:
    """Two ledgers that both believe they lead: whoever is first, no execution stays parked and each counts once."""
    for number in range(30):
        terms = place(bench.account, f"s{number}")
        await bench.publish(terms)
        [entry] = await bench.read_intents(f"gateway.{number}")
        name = (await bench.claim(entry, terms)).order.client_order_id
        await bench.say({**trade(number, number + 1), "orderId": number + 1}, form=TRADE_FORMAT)
        await bench.say(status(number + 1, name), form=STREAM_FORMAT)
        entries = [entry async for batch in bench.ledger_reader().batches(burst=True) for entry in batch]
        ledgers = await _both_lead(bench)
        order = (0, 1) if number % 2 else (1, 0)
        await asyncio.gather(*(ledgers[one].handle([entries[one]]) for one in order))
        assert await bench.store.parked() == []
        assert (await bench.order(name)).state.filled == Decimal("0.4")
        assert await bench.pending(bench.keys.evidence, LEDGERS) == 0
    assert (await bench.store.positions())["BTC/USDT"].quantity == Decimal("0.4") * 30
    assert (await verify(bench.redis, bench.keys)).good


async def test_the_same_evidence_folded_by_two_ledgers_at_once_counts_once(bench: Bench) -> None:
    """Both read the batch, both believe they lead, both commit: what one has written is stale to the other."""
    _, claim = await bench.claimed(place(bench.account))
    name = claim.order.client_order_id
    for trade_id in range(1, 9):
        await bench.say(execution(7, trade_id, name, l="0.1", z="0.1"), form=STREAM_FORMAT)
    entries = [entry async for batch in bench.ledger_reader().batches(burst=True) for entry in batch]
    first, second = await _both_lead(bench)
    await asyncio.gather(first.handle(entries), second.handle(entries[::-1]), first.handle(entries[:3]))
    assert (await bench.order(name)).state.filled == Decimal("0.8")
    assert (await bench.store.positions())["BTC/USDT"].quantity == Decimal("0.8")
    assert await bench.pending(bench.keys.evidence, LEDGERS) == 0
    assert (await verify(bench.redis, bench.keys)).good


async def test_a_second_try_that_is_refused_for_lack_of_funds_does_not_hide_the_first(bench: Bench) -> None:
    """The first try was taken for absent and holds the funds: shown, it is open, flagged, counted and cancellable."""
    terms = place(bench.account)
    entry, first = await bench.claimed(terms)
    name = first.order.client_order_id
    await bench.say(order=first.order, outcome=Unknown("no answer"))
    await bench.say(order=first.order, outcome=Absent(1))
    await _fold(bench)
    second = await bench.claim(entry, terms)
    assert isinstance(second, Claimed)
    await bench.say(order=second.order, outcome=Refused("-2010", "insufficient balance"))
    await _fold(bench)
    assert (await bench.order(name)).status == "rejected"
    assert isinstance(await bench.claim(entry, terms), Done)
    await bench.say(execution(7, 1, name), form=STREAM_FORMAT)
    await _fold(bench)
    order = await bench.order(name)
    assert (order.status, order.state.filled) == ("partially_filled", Decimal("0.4"))
    assert order.state.anomalies == ("revived:rejected",)
    wish = Cancel(account=bench.account, client_order_id=name)
    await bench.scripts.publish([publish_item(wish, INFO)], "c", LOOK_MS)
    [asked] = await bench.read_intents()
    assert isinstance(await bench.claim(asked, terms, command="cancel"), Claimed)
    assert (await verify(bench.redis, bench.keys)).good


async def test_a_cancel_of_what_was_taken_for_ended_is_done_once_it_is_shown_to_live(bench: Bench) -> None:
    """The wish was answered with an end that was none: it stays on the record, and the sweep asks the venue."""
    terms = place(bench.account)
    _, claimed = await bench.claimed(terms)
    name = claimed.order.client_order_id
    await bench.say(order=claimed.order, outcome=Refused("-2010", "insufficient balance"))
    await _fold(bench)
    wish = Cancel(account=bench.account, client_order_id=name)
    await bench.scripts.publish([publish_item(wish, INFO)], "c", LOOK_MS)
    *_, asked = await bench.read_intents()
    for _ in range(2):
        assert await bench.claim(asked, terms, command="cancel") == Done("rejected")
    assert len([one for one in await bench.journal() if isinstance(one, events.CancelRequested)]) == 1
    assert (await bench.order(name)).status == "rejected"
    await bench.say(execution(7, 1, name), form=STREAM_FORMAT)
    await _fold(bench)
    order = await bench.order(name)
    assert (order.status, order.cancel_requested) == ("partially_filled", True)
    await bench.sweep(name)
    *_, again = await bench.read_intents()
    assert isinstance(await bench.claim(again, terms, command="cancel"), Claimed)
    assert (await verify(bench.redis, bench.keys)).good


async def test_an_amend_that_took_effect_under_a_lost_claim_is_not_claimed_again(bench: Bench) -> None:
    """The record was imported, so it has no token; the venue's order by the amend's own name says that it went out."""
    terms = place(bench.account)
    name = publish_item(terms, INFO).client_order_id
    gate = await bench.scripts.gate()
    await bench.scripts.import_orders([import_item(name, terms)], gate.history)
    await bench.say(status(8, wire_id(name, 1, INFO.id_rule), "NEW", q="2.00000000"), form=STREAM_FORMAT)
    await _fold(bench)
    order = await bench.order(name)
    assert (order.status, order.state.revision, order.token) == ("open", 1, "")
    amend = {"command": "amend", "revision": 1, "client_order_id": name, "fingerprint": "f", "sent": "{}"}
    assert await bench.scripts.claim([bench.claim_item("1-1", terms, **amend)], "gateway.0", 5_000, LOOK_MS) == [
        Done("decided")
    ]


async def test_older_orders_that_move_while_it_is_read_are_nobodys_matter(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The journal in between tells only their end, which nothing can be folded from."""
    older = place(bench.account, "older", strategy="other")
    await bench.publish(older, place(bench.account, "mine"))
    first, moved = standing._of_strategy, list[str]()

    async def between(redis: Redis, keys: AccountKeys, found: Sequence[str], strategy: str) -> list[str]:
        mine = await first(redis, keys, found, strategy)
        if not moved:
            entry, _ = await bench.read_intents()
            name = (await bench.claim(entry, older)).order.client_order_id
            moved.append(name)
            await bench.say(execution(7, 1, name), form=STREAM_FORMAT)
            await _fold(bench)
            await bench.publish(place(bench.account, "mine too"))
        return mine

    monkeypatch.setattr(standing, "_of_strategy", between)
    found = await standing.read_standing(bench.redis, bench.keys, "test")
    assert sorted(one.terms.signal_id for one in found.snapshot.orders if one.terms) == ["mine", "mine too"]
    assert (await bench.order(*moved)).status == "partially_filled"


async def test_a_refusal_of_the_first_try_leaves_the_second_alone(bench: Bench) -> None:
    """It names its token; the second is on its way and stays so."""
    terms = place(bench.account)
    entry, first = await bench.claimed(terms)
    await bench.say(order=first.order, outcome=Absent(1))
    await _fold(bench)
    second = await bench.claim(entry, terms)
    await bench.say(order=first.order, outcome=Refused("-2010", "insufficient balance"))
    await _fold(bench)
    after = await bench.order(first.order.client_order_id)
    assert (after.status, after.token) == ("submitting", second.order.token)


async def test_both_sides_of_a_trade_with_ourselves_are_counted(pipeline: Pipeline) -> None:
    """One trade id, two of our orders: each has its execution, and the position is as before."""
    await pipeline.all_roles()
    [bought] = await pipeline.place(pipeline.terms())
    await pipeline.status(bought, "open")
    [sold] = await pipeline.place(pipeline.terms(side="sell"))
    for name in (bought, sold):
        await pipeline.status(name, "filled")
    await pipeline.agreed()
    applied = await pipeline.applied()
    assert sorted(name for name, _ in applied) == sorted([bought, sold])
    assert len({fact.trade_id for _, fact in applied}) == 1
    assert len({fact.execution_id for _, fact in applied}) == 2
    assert (await verify(pipeline.redis, pipeline.keys)).good


async def test_an_intent_added_twice_is_claimed_once_across_a_takeover(bench: Bench) -> None:
    """The copy is a duplicate, the original waits for its owner; past the window it is in doubt, never sent again."""
    terms = place(bench.account)
    for _ in range(2):
        await bench.redis.xadd(bench.keys.intents, {"data": publish_item(terms, INFO).data})
    original, copy = await bench.read_intents("gateway.0")
    item = bench.claim_item(original.id, terms)
    [first] = await bench.scripts.claim([item], "gateway.0", WINDOW_MS, LOOK_MS)
    assert isinstance(first, Claimed)
    taken: Any = await bench.redis.xautoclaim(bench.keys.intents, GATEWAYS, "gateway.1", 0)
    assert [row[0].decode() for row in taken[1]] == [original.id, copy.id]
    assert await bench.claim(original, terms) == Busy()
    assert await bench.claim(copy, terms) == Done("submitting")
    assert (await bench.order(first.order.client_order_id)).status == "submitting"
    await _until_over(bench, first)
    assert await bench.claim(original, terms) == Done("unknown")
    assert await bench.claim(copy, terms) == Done("unknown")
    assert await bench.pending(bench.keys.intents, GATEWAYS) == 0
    claims = [one for one in await bench.journal() if isinstance(one, events.Claimed)]
    assert len(claims) == 1


async def test_a_claim_repeated_after_it_was_closed_does_not_use_its_token_again(bench: Bench) -> None:
    """R3: its answer was lost, it was given up, and the gateway asks again: a no to the second must still be heard."""
    terms = place(bench.account)
    await bench.publish(terms)
    [entry] = await bench.read_intents()
    item = bench.claim_item(entry.id, terms)
    [lost] = await bench.scripts.claim([item], "gateway.0", -1, LOOK_MS)  # its answer never came
    assert isinstance(lost, Claimed)
    await bench.sweep(item.client_order_id)
    await bench.say(order=lost.order, outcome=Absent(1))
    await _fold(bench)
    assert (await bench.order(item.client_order_id)).status == "created"
    [again] = await bench.scripts.claim([item], "gateway.0", WINDOW_MS, LOOK_MS)
    if not isinstance(again, Claimed):  # then the next claim has a token of its own
        fresh = bench.claim_item(entry.id, terms)
        [again] = await bench.scripts.claim([fresh], "gateway.0", WINDOW_MS, LOOK_MS)
    assert isinstance(again, Claimed)
    await bench.say(order=again.order, outcome=Refused("-2010", "insufficient balance"))
    await _fold(bench)
    assert (await bench.order(item.client_order_id)).status == "rejected"


async def _until_over(bench: Bench, claim: Claimed) -> None:
    async def over() -> bool:
        return await bench.store.now_ms() > claim.send_by_ms

    await wait_until_async(over)


async def _fold(bench: Bench) -> None:
    await _ledger(bench, "once").run(burst=True)


async def _both_lead(bench: Bench) -> tuple[Ledger, Ledger]:
    """Two ledgers of one epoch: only the digests stand between them."""
    first, second = _ledger(bench, "a"), _ledger(bench, "a")
    assert await first._take_lease()
    assert await second._take_lease()
    assert first._epoch == second._epoch
    return first, second


def _ledger(bench: Bench, holder: str) -> Ledger:
    return Ledger(
        redis=bench.redis, reader=bench.ledger_reader(), keys=bench.keys, decode=decode,
        settings=LedgerSettings(holder=holder, lease_ms=LEASE_MS, rules=RULES), clock=bench.clock,
    )  # fmt: skip


async def _more_said(pipeline: Pipeline, said: int) -> bool:
    return await pipeline.redis.xlen(pipeline.keys.evidence) > said
