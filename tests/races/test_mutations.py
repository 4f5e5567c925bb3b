"""Every rule of the protocol is needed: with it switched off a scenario goes wrong, with it the scenario is clean.

A scenario returns the defects it finds. Each runs twice: as the product is, and with one rule broken.
"""

from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any

import pytest

from adapters.binance.decode import STREAM_FORMAT, decode
from adapters.simulated.faults import OFF, Faults
from consumers.folding import fold_batch
from consumers.interpret import Item, interpret
from consumers.judge import Judge
from consumers.ledger import Ledger, LedgerSettings
from consumers.snapshot import read_snapshot
from streams.errors import StoreError
from streams.keys import GATEWAYS, LEDGERS, AccountKeys
from streams.limits import Limits
from streams.plans import Claimed
from streams.schemas import Absent, NotSent
from tests.flow import INSTRUMENTS, LEASE_MS, Bench, execution, place, status
from tests.pipeline import Pipeline, identities
from tests.proxy import Proxy
from tests.races import mutants
from tests.races.losing import keep, restore
from tests.races.mutants import HISTORY, Mutation, script
from tests.races.standstill import RULES

PLACE = b"POST /api/v3/order"
WINDOW_MS, REQUEST_MS, LAG_MS = 400, 250, 600

OnBench = Callable[[Bench], Awaitable[list[str]]]
OnPipeline = Callable[[Pipeline], Awaitable[list[str]]]


async def two_open_tokens(bench: Bench) -> list[str]:
    """R3: claimed, doubted, proven absent, claimed again; then the first gateway's `not sent` arrives."""
    terms = place(bench.account)
    entry, first = await bench.claimed(terms)
    name = first.order.client_order_id
    await bench.say(order=first.order, outcome=Absent(1))
    await _fold(bench)
    second = await bench.claim(entry, terms)
    assert isinstance(second, Claimed)
    await bench.say(order=first.order, outcome=NotSent("late"))
    await _fold(bench)
    third = await bench.claim(entry, terms)
    left = (await bench.order(name)).status
    return [f"claimed again, {left}, while {second.order.token} may be sent"] if isinstance(third, Claimed) else []


async def an_entry_of_another_claim(bench: Bench) -> list[str]:
    """R4: a claim that the server lost is settled into the history that does not have it."""
    terms = place(bench.account)
    await bench.publish(terms)
    [entry] = await bench.read_intents()
    lost = await keep(bench.redis, bench.account)
    claim = await bench.claim(entry, terms)
    await restore(bench.redis, bench.account, lost)
    await bench.scripts.settle(
        client_order_id=claim.order.client_order_id, entry=entry.id, token=claim.order.token, command="place",
        evidence=b"{}", raw=b"",
    )  # fmt: skip
    status = (await bench.order(claim.order.client_order_id)).status
    pending = await bench.pending(bench.keys.intents, GATEWAYS)
    return [] if pending else [f"acknowledged while the order is {status}"]


async def a_lost_fill_that_is_remembered(bench: Bench) -> list[str]:
    """R4: the ledger remembers an execution, the server loses it, the venue says it again."""
    _, claim = await bench.claimed(place(bench.account))
    name, ledger = claim.order.client_order_id, _ledger(bench)
    lost = await keep(bench.redis, bench.account)
    frame = execution(7, 1, name)
    await bench.say(frame, form=STREAM_FORMAT)
    await ledger.run(burst=True)
    await restore(bench.redis, bench.account, lost, but=(bench.keys.evidence, bench.keys.control))
    await bench.say(frame, form=STREAM_FORMAT)
    await ledger.run(burst=True)
    filled = (await bench.order(name)).state.filled
    waits = await bench.pending(bench.keys.evidence, LEDGERS)
    return [] if filled == Decimal("0.4") or waits else [f"filled is {filled} and nothing waits"]


async def a_claim_from_a_lost_history(bench: Bench) -> list[str]:
    """R5: claimed and sent; the server comes back without the claim, and the entry is claimed before anyone looked."""
    terms = place(bench.account)
    await bench.publish(terms)
    [entry] = await bench.read_intents()
    lost = await keep(bench.redis, bench.account)
    assert isinstance(await bench.claim(entry, terms), Claimed)
    await restore(bench.redis, bench.account, lost)
    await bench.redis.hset(bench.keys.control, "history", "of another server")
    try:
        again = await bench.claim(entry, terms)
    except StoreError:
        return []
    return ["claimed a second time"] if isinstance(again, Claimed) else []


async def a_claim_after_halt(bench: Bench) -> list[str]:
    """R7: the halt has returned."""
    terms = place(bench.account)
    await bench.publish(terms)
    [entry] = await bench.read_intents()
    await bench.scripts.halt("halt", "a test", "test")
    return ["claimed after the halt"] if isinstance(await bench.claim(entry, terms), Claimed) else []


async def an_entry_nobody_has(bench: Bench) -> list[str]:
    """R8: an order whose entry is gone, and one whose gateway is."""
    lost, dead = place(bench.account, "lost"), place(bench.account, "dead")
    await bench.publish(dead)
    [entry] = await bench.read_intents()
    claim = await bench.scripts.claim([bench.claim_item(entry.id, dead)], "gateway.0", -1, 0)
    await bench.publish(lost)
    names = [(await bench.store.all_orders())[number].client_order_id for number in range(2)]
    await bench.redis.xtrim(bench.keys.intents, maxlen=0, approximate=False)
    for name in names:
        await bench.sweep(name)
    statuses = {(await bench.order(name)).status for name in names}
    assert claim
    queued = await bench.redis.xlen(bench.keys.intents)
    defects = ["nobody will send it"] if "created" in statuses and not queued else []
    return [*defects, "in flight for ever"] if "submitting" in statuses else defects


async def a_commit_from_a_lost_state(bench: Bench) -> list[str]:
    """R9: folded from a state that the server lost, committed onto another with as many changes."""
    _, claim = await bench.claimed(place(bench.account))
    name = claim.order.client_order_id
    for trade_id in (1, 2):
        await bench.say(execution(7, trade_id, name, l="0.1", z="0.1"), form=STREAM_FORMAT)
        if trade_id == 1:
            await _fold(bench)
            lost = await keep(bench.redis, bench.account)
    await _fold(bench)
    await bench.say(execution(7, 3, name, l="0.1", z="0.3"), form=STREAM_FORMAT)
    items = await _items(bench)
    plan = fold_batch(items, await read_snapshot(bench.redis, bench.keys, items), RULES, bench.keys).commit
    await restore(bench.redis, bench.account, lost, but=(bench.keys.evidence, bench.keys.control))
    await bench.say(execution(7, 4, name, l="0.2", z="0.3"), form=STREAM_FORMAT)
    other = await _items(bench)
    epoch = (await bench.scripts.lease("take", "by hand", LEASE_MS)).epoch
    after = fold_batch(other, await read_snapshot(bench.redis, bench.keys, other), RULES, bench.keys).commit
    await bench.scripts.commit(after, epoch, LEASE_MS)
    await bench.scripts.commit(plan, epoch, LEASE_MS)
    return await _sums(bench, name, {1: "0.1", 2: "0.1", 3: "0.1", 4: "0.2"})


async def a_reduce_judged_before_a_late_fill(bench: Bench) -> list[str]:
    """R9: judged to close the position, which a fill that came late has closed already."""
    for name, side, number in (("bought", "buy", 1), ("sold", "sell", 2)):
        entry, claim = await bench.claimed(place(bench.account, name, side=side))
        await bench.redis.xack(bench.keys.intents, GATEWAYS, entry.id)
        order_id = claim.order.client_order_id
        await bench.say(status(number, order_id, S=side.upper()), form=STREAM_FORMAT)
        if side == "buy":
            await bench.say(execution(1, 1, order_id, l="1", z="1", X="FILLED"), form=STREAM_FORMAT)
        else:
            await bench.say(status(2, order_id, "CANCELED", S="SELL"), form=STREAM_FORMAT)
        await _fold(bench)
    terms = place(bench.account, "exit", side="sell")
    await bench.publish(terms)
    [entry] = await bench.read_intents()
    await bench.scripts.halt("reduce", "a test", "test")
    given = bench.claim_item(entry.id, terms, strategy="test", symbol="BTC/USDT")
    limits = Limits(position_max={"*": Decimal(5)})
    [item], seen = await Judge(bench.redis, bench.keys, limits).judge([given], INSTRUMENTS)
    assert item.reduces
    await bench.say(execution(2, 2, order_id, l="1", z="1", S="SELL"), form=STREAM_FORMAT)
    await _fold(bench)
    assert (await bench.store.positions())["BTC/USDT"].quantity == 0
    [verdict] = await bench.scripts.claim([item], "gateway.0", 5_000, 15_000, seen)
    return ["sold what is not there"] if isinstance(verdict, Claimed) else []


async def a_claim_while_nobody_hears_the_stream(bench: Bench) -> list[str]:
    """The gate: lost, then told by a connection that was lost meanwhile, then fetched and not applied."""
    terms = place(bench.account)
    await bench.publish(terms)
    [entry] = await bench.read_intents()
    await bench.scripts.stream("whole", "listener.0", "c1", lease_ms=60_000)
    await bench.scripts.stream("lost", "listener.0", "c1", reason="cut")
    await bench.scripts.stream("whole", "listener.0", "c1", lease_ms=60_000)
    await bench.say(execution(7, 1, "fo-x"), form=STREAM_FORMAT)
    await bench.scripts.stream("whole", "listener.0", "c2", lease_ms=60_000)
    return ["claimed"] if isinstance(await bench.claim(entry, terms), Claimed) else []


ON_BENCH: dict[str, tuple[OnBench, Mutation]] = {
    "R3 token": (two_open_tokens, mutants.any_token_will_do),
    "R4 settle": (
        an_entry_of_another_claim,
        script("settle", "if known[1] ~= token then return append_once(item, raw) end", ""),
    ),
    "R4 commit": (
        a_lost_fill_that_is_remembered,
        script("commit", "if not good then ids = proven() end", ""),
    ),
    "R5 history": (a_claim_from_a_lost_history, script("claim", HISTORY, "")),
    "R7 halt": (
        a_claim_after_halt,
        script("claim", "return (found[1] or found[2] or found[3] or found[4]) and true or false", "return false"),
    ),
    "R8 sweep": (an_entry_nobody_has, mutants.sweep_nothing),
    "gate": (
        a_claim_while_nobody_hears_the_stream,
        script("claim", "local gap = (ready[2] and", "local gap = (false and"),
    ),
    "gate lost": (
        a_claim_while_nobody_hears_the_stream,
        script("stream", "if lost and connection == known[3] then return {'lost', ''} end", ""),
    ),
    "gate applied": (
        a_claim_while_nobody_hears_the_stream,
        script("stream", "if not applied_until(evidence, group, entry) then return {'behind', entry} end", ""),
    ),
    "R9 exposure": (
        a_reduce_judged_before_a_late_fill,
        script("commit", "if exposure then redis.call('HSET', control, 'exposure', exposure) end", ""),
    ),
    "R9 counter": (a_commit_from_a_lost_state, mutants.count_versions),
    "R9 nothing": (a_commit_from_a_lost_state, mutants.one_digest_for_all),
}


@pytest.mark.parametrize("rule", ON_BENCH)
@pytest.mark.parametrize("broken", [False, True], ids=["whole", "broken"])
async def test_without_the_rule_the_records_go_wrong(
    redis: Any, account: str, monkeypatch: pytest.MonkeyPatch, rule: str, broken: bool
) -> None:
    """R3, R4, R5, R7, R8, R9 and the gate: the defect shows when the rule is switched off, and only then."""
    scenario, mutation = ON_BENCH[rule]
    if broken:
        mutation(monkeypatch)
    defects = await scenario(await Bench(redis, account).open())
    assert bool(defects) is broken, defects


async def a_request_that_comes_late(pipeline: Pipeline) -> list[str]:
    """R1: the network holds a request until its order was given up, sent again and filled; then it lets it through."""
    async with Proxy.venue(pipeline.process.rest_url) as proxy:
        venue = await pipeline.venue(rest_url=proxy.url, request_ms=REQUEST_MS)
        await pipeline.house("SELL", 2)
        await pipeline.ledger()
        await pipeline.resolver(window_ms=WINDOW_MS)
        held = proxy.hold(PLACE)
        gateway = await pipeline.gateway(venue=venue, window_ms=WINDOW_MS, claim_idle_ms=WINDOW_MS + 100)
        [name] = await pipeline.place(pipeline.terms())
        await held.arrived.wait()
        await pipeline.status(name, "filled")
        answers = len(proxy.answers)
        held.release()
        await pipeline.until(lambda: len(proxy.answers) > answers)
        await pipeline.drain(gateway)
    return await _orders(pipeline, name)


async def an_order_that_shows_late(pipeline: Pipeline) -> list[str]:
    """R2: the answer is lost, and the venue's look-ups do not show the order yet."""
    await pipeline.control.set_faults(Faults(accept_then_drop=1.0, lookup_lag=1.0, lookup_lag_ms=LAG_MS - 100))
    await pipeline.house("SELL", 2)
    venue = await pipeline.venue(request_ms=REQUEST_MS, lag_ms=LAG_MS)
    await pipeline.ledger()
    await pipeline.resolver(venue=venue, window_ms=WINDOW_MS)
    await pipeline.gateway(venue=venue, window_ms=WINDOW_MS, claim_idle_ms=WINDOW_MS + 100)
    [name] = await pipeline.place(pipeline.terms())
    await pipeline.until(pipeline.venue_orders)
    await pipeline.control.set_faults(Faults(lookup_lag=1.0, lookup_lag_ms=LAG_MS - 100))
    await pipeline.status(name, "filled")
    await pipeline.control.set_faults(OFF)
    return await _orders(pipeline, name)


async def an_order_the_server_lost(pipeline: Pipeline) -> list[str]:
    """R6: an order is filled, the server comes back empty, and the producer publishes its signal again."""
    await pipeline.house("SELL", 2)
    first = await pipeline.gateway()
    terms = pipeline.terms()
    [name] = await pipeline.place(terms)
    await pipeline.until(pipeline.venue_orders)
    await pipeline.drain(first)
    keys = [key async for key in pipeline.redis.scan_iter(match=f"fillonce:{{{pipeline.account}}}:*")]
    await pipeline.redis.delete(*(key for key in keys if key.decode() != pipeline.keys.instruments))
    reconciler = pipeline.reconciler(await pipeline.venue(), window_ms=1)
    reconciler._wait_for_windows = _at_once  # type: ignore[method-assign]  # no window is open: the gateway is gone
    assert await reconciler.ensure_open()
    gateway = await pipeline.gateway(1)
    await pipeline.ledger()
    pipeline.producer = type(pipeline.producer)(pipeline.redis)
    await pipeline.place(terms)
    await pipeline.until(lambda: gateway.claimed or gateway.duplicates or _acknowledged(pipeline))
    await pipeline.status(name, "filled")
    return await _orders(pipeline, name)


ON_PIPELINE: dict[str, tuple[OnPipeline, Mutation]] = {
    "R1 window": (a_request_that_comes_late, mutants.sign_with_a_fresh_time),
    "R2 horizon": (an_order_that_shows_late, mutants.absence_at_once),
    "R6 import": (an_order_the_server_lost, mutants.import_nothing),
}


@pytest.mark.parametrize("rule", ON_PIPELINE)
@pytest.mark.parametrize("broken", [False, True], ids=["whole", "broken"])
async def test_without_the_rule_the_venue_gets_a_second_order(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch, rule: str, broken: bool
) -> None:
    """R1, R2, R6: two orders in the venue's own books when the rule is switched off, and only then."""
    scenario, mutation = ON_PIPELINE[rule]
    if broken:
        mutation(monkeypatch)
    defects = await scenario(pipeline)
    assert bool(defects) is broken, defects


def _ledger(bench: Bench) -> Ledger:
    settings = LedgerSettings(holder="test", lease_ms=LEASE_MS, rules=RULES)
    return Ledger(
        redis=bench.redis, reader=bench.ledger_reader(), keys=bench.keys, decode=decode, settings=settings,
        clock=bench.clock,
    )  # fmt: skip


async def _fold(bench: Bench) -> None:
    await _ledger(bench).run(burst=True)


async def _items(bench: Bench) -> list[Item]:
    entries = [entry async for batch in bench.ledger_reader().batches(burst=True) for entry in batch]
    found = [interpret(entry, decode) for entry in entries if entry.redelivered is False]
    return [one for one in found if isinstance(one, Item)]


async def _sums(bench: Bench, name: str, quantities: dict[int, str]) -> list[str]:
    """Whether `filled` and the position are the sums of the executions that the record holds."""
    fields = await bench.redis.hkeys(AccountKeys(bench.account).order(name))
    total = sum((Decimal(quantities[number]) for number in quantities if f"7:{number}".encode() in fields), Decimal(0))
    filled = (await bench.order(name)).state.filled
    position = (await bench.store.positions())["BTC/USDT"].quantity
    return [f"filled {filled}, position {position}, executions {total}"] if {filled, position} != {total} else []


async def _orders(pipeline: Pipeline, name: str) -> list[str]:
    found = identities(await pipeline.venue_orders())
    assert name in found
    return [f"{len(found)} orders at the venue"] if len(found) != 1 else []


async def _acknowledged(pipeline: Pipeline) -> bool:
    return not await pipeline.redis.exists(pipeline.keys.intents)


async def _at_once() -> None:
    pass
