"""Another server under the same address: a promoted replica or an older copy that lost writes, and a plain restart.

Every trace is played at the real servers, the simulated venue and the roles themselves. Afterwards there is one order
at the venue per intent, every execution was counted once, the position is the venue's, and the journal folds to the
state that is stored.
"""

import asyncio
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from redis.asyncio import Redis

from adapters.binance.decode import decode
from adapters.simulated.faults import OFF
from adapters.simulated.process import SimulatedVenue
from consumers.folding import Rules
from consumers.gateway import Gateway
from consumers.ledger import Ledger, LedgerSettings
from consumers.registration import Registration
from consumers.resolver import Resolver
from streams import events
from streams.clock import SystemClock
from streams.errors import HistoryChanged
from streams.plans import CommitPlan, Halted
from streams.producer import IntentProducer
from streams.schemas import Cancel, Place
from streams.scripts import Scripts
from streams.server import EmbeddedServer
from streams.store import accounts
from streams.verify import verify
from tests import pipeline as parts
from tests.failover import Pair, Way, replicated
from tests.flow import Bench, execution, place
from tests.pipeline import Pipeline, Proxy, identities, venue_process

__all__ = ["venue_process"]

pytestmark = pytest.mark.slow
WINDOW_MS = 300
HALF = Decimal("0.5")


class Impatient(SystemClock):
    """A clock that remembers how long it was to wait, and does not."""

    def __init__(self) -> None:
        self.waits_ms: list[float] = []

    async def sleep_ms(self, duration_ms: float) -> None:
        """Take a note."""
        self.waits_ms.append(duration_ms)


class Setup:
    """A pipeline whose server can be replaced by its replica."""

    def __init__(self, pair: Pair, pipeline: Pipeline) -> None:
        self.pair, self.pipeline = pair, pipeline

    async def fail_over(self) -> None:
        """Promote the replica and lead everybody there; the gate is shut."""
        await self.promote()
        await refused(self.pipeline)

    async def promote(self) -> None:
        """Promote the replica and lead everybody there."""
        await self.pair.promote()
        await hang_up(self.pipeline)

    async def trade_again(self) -> Resolver:
        """Start the resolver, whose reconciler opens the gate."""
        resolver = await self.pipeline.resolver(window_ms=WINDOW_MS)
        await self.pipeline.until(lambda: is_open(self.pipeline))
        return resolver


@pytest.fixture
async def setup(tmp_path: Path, venue_process: SimulatedVenue) -> AsyncIterator[Setup]:
    """An account on a primary with a replica, its gate open."""
    async with replicated(tmp_path) as pair, opened(pair.address.url, venue_process) as pipeline:
        yield Setup(pair, pipeline)


@asynccontextmanager
async def opened(url: str, process: SimulatedVenue) -> AsyncIterator[Pipeline]:
    """An account with an open gate on the server behind `url`."""
    async with process.control() as control:
        await control.set_faults(OFF)
        async with Pipeline(url, process, control, next(parts._numbers)) as pipeline:
            await pipeline.register()
            await pipeline.open_gate()
            yield pipeline


async def hang_up(pipeline: Pipeline) -> None:
    """Close the test's own idle connections, which lead to the server that was."""
    await pipeline.redis.connection_pool.disconnect()


async def refused(pipeline: Pipeline) -> None:
    """R5: claim and commit are refused until the reconciler has opened the gate, and nothing is written."""
    bench = Bench(pipeline.redis, pipeline.account)
    before = await _of_orders(pipeline)
    item = bench.claim_item("1-1", pipeline.terms())
    with pytest.raises(HistoryChanged):
        await bench.scripts.claim([item], "gateway.9", WINDOW_MS, 1_000)
    with pytest.raises(HistoryChanged):
        await bench.scripts.commit(CommitPlan(keys=(), orders=(), positions=(), entries=()), 1, 1_000)
    assert await _of_orders(pipeline) == before


async def _of_orders(pipeline: Pipeline) -> list[events.AnyChange]:
    """The journal without what a listener that runs beside the test says of its stream."""
    return [
        change for change in await pipeline.journal() if not isinstance(change, events.StreamLost | events.StreamWhole)
    ]


async def is_open(pipeline: Pipeline) -> bool:
    """Whether the gate is."""
    return (await pipeline.scripts.gate()).is_open


async def filled(pipeline: Pipeline, name: str) -> None:
    """Wait for an order's end."""
    await pipeline.status(name, "filled")


async def told(pipeline: Pipeline) -> bool:
    """Whether the venue's executions, positions and orders are ours; orders per intent are compared by name."""
    found = await pipeline.audit()
    return not found.fills_missing + found.fills_doubled + found.position_mismatches + found.unknown_left


async def consistent(pipeline: Pipeline, *names: str) -> None:
    """One venue order per intent, executions once, the venue's position, a journal that folds to what is stored."""
    await pipeline.quiet()
    await pipeline.until(lambda: told(pipeline))
    await pipeline.quiet()
    assert sorted(identities(await pipeline.venue_orders())) == sorted(names)
    applied = [(name, fact.execution_id) for name, fact in await pipeline.applied()]
    assert len(applied) == len(set(applied))
    checked = await verify(pipeline.redis, pipeline.keys)
    assert checked.good, checked.differences


async def test_a_claim_that_was_lost_after_its_order_was_filled_is_not_sent_again(setup: Setup) -> None:
    """The promoted replica has the order as created, its entry unread; the roles that sent it live through it all."""
    pipeline = setup.pipeline
    await pipeline.house("SELL", 1)
    [name] = await pipeline.place(pipeline.terms())
    await setup.pair.cut()
    gateway = await pipeline.gateway(window_ms=WINDOW_MS)
    await pipeline.ledger()
    await pipeline.listener()
    await filled(pipeline, name)
    await setup.fail_over()
    assert (await pipeline.order(name)).status == "created"
    await setup.trade_again()
    await filled(pipeline, name)
    await consistent(pipeline, name)
    assert gateway.claimed == 1
    assert len(await pipeline.applied()) == 1


async def half_filled_and_lost(setup: Setup) -> tuple[Gateway, Place, str]:
    """Send an order that the server which takes over knows nothing of: its gateway, its terms and its name."""
    pipeline = setup.pipeline
    gateway = await pipeline.gateway(window_ms=WINDOW_MS)
    await pipeline.ledger()
    await pipeline.listener()
    await setup.pair.cut()
    terms = pipeline.terms()
    [name] = await pipeline.place(terms)
    await pipeline.status(name, "open")
    await pipeline.house("SELL", HALF)
    await pipeline.status(name, "partially_filled")
    await setup.fail_over()
    return gateway, terms, name


@pytest.mark.parametrize("same_producer", [True, False])
async def test_an_intent_that_was_lost_with_its_order_is_published_again_and_not_sent_again(
    setup: Setup, same_producer: bool
) -> None:
    """The import gives it a record; the producer that remembers and one that does not are told of it."""
    pipeline = setup.pipeline
    gateway, terms, name = await half_filled_and_lost(setup)
    assert await pipeline.store.orders([name]) == [None]
    await setup.trade_again()
    producer = pipeline.producer if same_producer else IntentProducer(pipeline.redis, timeout_ms=5_000)
    await pipeline.until(lambda: producer.remembered(terms) is None)
    receipt = await producer.place(terms)
    assert receipt.duplicate
    assert receipt.client_order_id == name
    await pipeline.house("SELL", HALF)
    await filled(pipeline, name)
    await consistent(pipeline, name)
    assert gateway.claimed == 1
    assert (await pipeline.order(name)).state.filled == 1


@pytest.mark.parametrize("quantity", [Decimal(1), Decimal(2)])
async def test_an_intent_that_comes_again_before_the_gate_opens_sends_nothing_a_second_time(
    setup: Setup, quantity: Decimal
) -> None:
    """It is taken and waits; the import puts the venue's order in its place, with what was really sent."""
    pipeline = setup.pipeline
    gateway, terms, name = await half_filled_and_lost(setup)
    receipt = await IntentProducer(pipeline.redis, timeout_ms=5_000).place(replace(terms, quantity=quantity))
    assert not receipt.duplicate
    assert receipt.client_order_id == name
    assert (await pipeline.order(name)).status == "created"
    await setup.trade_again()
    await pipeline.house("SELL", HALF)
    await filled(pipeline, name)
    await consistent(pipeline, name)
    order = await pipeline.order(name)
    assert order.terms is not None
    assert order.terms.quantity == order.state.filled == 1
    assert gateway.claimed == 1


async def test_an_intent_of_a_blocked_account_waits_and_goes_out_when_the_gate_opens(setup: Setup) -> None:
    """What expires meanwhile is expired, not sent."""
    pipeline = setup.pipeline
    gateway = await pipeline.gateway(window_ms=WINDOW_MS)
    await pipeline.ledger()
    await pipeline.listener()
    await setup.fail_over()
    now = datetime.now(UTC)
    late = pipeline.terms(signal_time=now - timedelta(hours=1), valid_until=now - timedelta(minutes=1))
    waits, expires = await pipeline.place(pipeline.terms(), late)
    await setup.trade_again()
    await pipeline.status(waits, "open")
    await pipeline.status(expires, "expired")
    await consistent(pipeline, waits)
    assert gateway.claimed == 1


async def test_an_intent_that_was_lost_before_it_was_sent_is_sent_when_it_is_published_again(setup: Setup) -> None:
    """The producer's memory of it ends within its bound, so it cannot stay lost."""
    pipeline = setup.pipeline
    await setup.pair.cut()
    terms = pipeline.terms()
    [name] = await pipeline.place(terms)
    await setup.fail_over()
    await setup.trade_again()
    await pipeline.gateway(window_ms=WINDOW_MS)
    await pipeline.ledger()
    await pipeline.listener()
    await pipeline.until(lambda: pipeline.producer.remembered(terms) is None)
    assert not (await pipeline.producer.place(terms)).duplicate
    await pipeline.status(name, "open")
    await consistent(pipeline, name)


async def test_a_lost_settle_leaves_a_claim_that_the_venue_is_asked_about(setup: Setup) -> None:
    """The claim survived, its answer did not: the order is looked up, not sent again."""
    pipeline = setup.pipeline
    async with Proxy(pipeline.process.rest_url) as proxy:
        proxy.hold.clear()
        venue = await pipeline.venue(rest_url=proxy.url)
        gateway = await pipeline.gateway(venue=venue, window_ms=5_000)
        await pipeline.ledger()
        await pipeline.listener()
        [name] = await pipeline.place(pipeline.terms())
        await pipeline.until(lambda: proxy.held == 1)
        await setup.pair.cut()
        proxy.hold.set()
        await pipeline.status(name, "open")
        await setup.fail_over()
        assert (await pipeline.order(name)).status == "submitting"
        await setup.trade_again()
        await pipeline.status(name, "open")
        await consistent(pipeline, name)
        assert gateway.claimed == 1
        assert len(proxy.orders()) == 1


async def test_an_answer_that_comes_after_the_failover_is_evidence_on_the_new_server(setup: Setup) -> None:
    """The request is on its way while the server is replaced; its claim was lost, its order is found by the import."""
    pipeline = setup.pipeline
    async with Proxy(pipeline.process.rest_url) as proxy:
        proxy.hold.clear()
        await pipeline.house("SELL", 1)
        [name] = await pipeline.place(pipeline.terms())
        await setup.pair.cut()
        gateway = await pipeline.gateway(venue=await pipeline.venue(rest_url=proxy.url), window_ms=5_000)
        await pipeline.ledger()
        await pipeline.until(lambda: proxy.held == 1)
        await setup.fail_over()
        proxy.hold.set()
        await pipeline.until(lambda: gateway.in_flight == 0)
        assert await pipeline.redis.xlen(pipeline.keys.evidence) == 1
        await setup.trade_again()
        await filled(pipeline, name)
        await consistent(pipeline, name)
        assert len(proxy.orders()) == 1


async def test_lost_commits_and_fills_are_applied_once_from_what_the_venue_tells(setup: Setup) -> None:
    """The order survived open; its executions, heard and counted before, are asked for again and counted again."""
    pipeline = setup.pipeline
    await pipeline.gateway(window_ms=WINDOW_MS)
    ledger = await pipeline.ledger()
    await pipeline.listener()
    [name] = await pipeline.place(pipeline.terms())
    await pipeline.status(name, "open")
    await setup.pair.cut()
    for _ in range(2):
        await pipeline.house("SELL", HALF)
    await filled(pipeline, name)
    applied = ledger.applied
    await setup.fail_over()
    assert (await pipeline.order(name)).state.filled == 0
    await setup.trade_again()
    await filled(pipeline, name)
    await consistent(pipeline, name)
    assert ledger.applied == 2 * applied == 4
    [position] = (await pipeline.store.positions()).values()
    assert position.quantity + position.fees[pipeline.base] == 1


async def test_a_ledger_that_slept_through_the_failover_does_not_trust_its_memory(setup: Setup) -> None:
    """R4: it never heard of the change and remembers the payload; the record does not have it, so it is applied."""
    await remembered_and_lost(setup.pipeline, setup.pair.cut, setup.promote)


async def test_a_ledger_that_slept_through_a_restored_file_does_not_trust_its_memory(
    tmp_path: Path,
    venue_process: SimulatedVenue,
) -> None:
    """R4: the same, where an older copy of the append-only file takes the server's place."""
    server, restored = EmbeddedServer(tmp_path / "data"), EmbeddedServer(tmp_path / "old")
    async with server, Way(server) as address, opened(address.url, venue_process) as pipeline:

        async def copy() -> None:
            shutil.copytree(server.data_dir / "appendonlydir", restored.data_dir / "appendonlydir")

        async def restore() -> None:
            await server.stop()
            await restored.start()
            address.move(restored)
            await hang_up(pipeline)

        try:
            await remembered_and_lost(pipeline, copy, restore)
        finally:
            await restored.stop()


async def remembered_and_lost(
    pipeline: Pipeline, keep: Callable[[], Awaitable[None]], lose: Callable[[], Awaitable[None]]
) -> None:
    """A ledger applies an execution after `keep`; `lose` puts another server there; the execution comes again."""
    bench = await Bench(pipeline.redis, pipeline.account + "s").open()
    ledger, terms = ledger_of(pipeline, bench, "sleeper"), place(bench.account)
    _, claim = await bench.claimed(terms)
    name = claim.order.client_order_id
    await bench.say(execution(7, 1, name), form="binance.stream")
    assert await ledger._take_lease()
    batch = [one async for page in ledger._reader.batches(burst=True) for one in page]
    await keep()
    await ledger.handle(batch)
    assert (await bench.order(name)).state.filled == Decimal("0.4")
    assert len(ledger.memory.cache) == 1
    await lose()
    await bench.open()
    assert (await bench.order(name)).state.filled == 0
    await ledger.handle(batch)
    assert (await bench.order(name)).state.filled == Decimal("0.4")
    await ledger.handle(batch)
    assert (await bench.order(name)).state.filled == Decimal("0.4")
    assert ledger.memory.cache.counters.hits >= 1
    assert sum(isinstance(one, events.Updated) for one in await bench.journal()) == 1
    assert await bench.pending(bench.keys.evidence, "ledgers") == 0
    assert (await verify(bench.redis, bench.keys)).good


async def test_a_lease_epoch_that_repeats_lets_no_stale_commit_through(setup: Setup) -> None:
    """R9: two ledgers hold the same epoch; what one folded from the lost state is refused by the digest."""
    bench = await Bench(setup.pipeline.redis, setup.pipeline.account + "e").open()
    _, claim = await bench.claimed(place(bench.account))
    name = claim.order.client_order_id
    await setup.pair.cut()
    old = ledger_of(setup.pipeline, bench, "old")
    plans = spied(old)
    assert await old._take_lease()
    await bench.say(execution(7, 1, name), form="binance.stream")
    await old.handle([one async for page in old._reader.batches(burst=True) for one in page])
    await bench.say(execution(7, 2, name, z="0.8"), form="binance.stream")
    await old.handle([one async for page in old._reader.batches(burst=True) for one in page])
    assert (await bench.order(name)).state.filled == Decimal("0.8")
    await setup.promote()
    await bench.open()
    new = ledger_of(setup.pipeline, bench, "new")
    assert await new._take_lease()
    assert new._epoch == old._epoch
    await bench.say(execution(7, 3, name), form="binance.stream")
    await new.handle([one async for page in new._reader.batches(burst=True) for one in page])
    digest = (await bench.order(name)).digest
    for plan in plans:
        done = await bench.scripts.commit(plan, old._epoch, 3_000)
        assert list(done.verdicts) == [0]
        assert done.acknowledged == 0
    order = await bench.order(name)
    assert (order.digest, order.state.filled) == (digest, Decimal("0.4"))
    assert (await verify(bench.redis, bench.keys)).good


async def test_an_entry_id_that_repeats_is_another_entry(setup: Setup) -> None:
    """The gateway still waits for the answer of an entry whose id another intent gets on the new server."""
    pipeline = setup.pipeline
    async with Proxy(pipeline.process.rest_url) as proxy:
        proxy.hold.clear()
        await setup.pair.cut()
        venue = await pipeline.venue(rest_url=proxy.url)
        gateway = await pipeline.gateway(venue=venue, window_ms=WINDOW_MS, claim_idle_ms=200)
        await pipeline.ledger()
        first = pipeline.terms()
        [one] = await pipeline.place(first)
        await pipeline.until(lambda: proxy.held == 1)
        entry = (await pipeline.order(one)).entry
        await setup.fail_over()
        await setup.trade_again()
        second = Bench(pipeline.redis, pipeline.account).claim_item("-", pipeline.terms())
        await pipeline.redis.xadd(pipeline.keys.intents, {"data": second.terms}, id=entry)
        proxy.hold.set()
        await pipeline.until(lambda: gateway.claimed == 2)
        await pipeline.status(second.client_order_id, "open")
        await pipeline.until(lambda: pipeline.producer.remembered(first) is None)
        assert not (await pipeline.producer.place(first)).duplicate
        await pipeline.status(one, "open")
        await consistent(pipeline, one, second.client_order_id)


async def test_a_halt_that_a_worker_has_seen_survives_the_server_that_lost_it(setup: Setup) -> None:
    """R6: it is asserted again before the gate opens; nothing is sent until a person resumes."""
    pipeline = setup.pipeline
    resolver = await pipeline.resolver(window_ms=WINDOW_MS)
    gateway = await pipeline.gateway(window_ms=WINDOW_MS)
    await pipeline.ledger()
    await setup.pair.cut()
    await pipeline.scripts.halt("halt", "by hand", "test")
    [before] = await pipeline.place(pipeline.terms())
    await pipeline.until(lambda: gateway.halted)
    asked = asyncio.Event()
    check = resolver._reconciler.ensure_open

    async def seen() -> bool:
        opened_now = await check()
        asked.set()
        return opened_now

    resolver._reconciler.ensure_open = seen  # type: ignore[method-assign]  # the next look at the gate, seen from here
    await asked.wait()
    await setup.promote()
    await pipeline.until(lambda: is_open(pipeline))
    bench = Bench(pipeline.redis, pipeline.account)
    verdict = await bench.scripts.claim([bench.claim_item("1-1", pipeline.terms())], "gateway.9", WINDOW_MS, 1_000)
    assert verdict == [Halted()]
    assert before not in identities(await pipeline.venue_orders())


async def test_a_cancel_that_was_lost_is_cancelled_at_the_venue_and_here(setup: Setup) -> None:
    """The order survived open, the venue's word that it is cancelled did not."""
    pipeline = setup.pipeline
    await pipeline.gateway(window_ms=WINDOW_MS)
    await pipeline.ledger()
    await pipeline.listener()
    terms = pipeline.terms()
    [name] = await pipeline.place(terms)
    await pipeline.status(name, "open")
    await setup.pair.cut()
    await pipeline.publish(cancel_of(terms))
    await pipeline.status(name, "cancelled")
    await setup.fail_over()
    assert (await pipeline.order(name)).status == "open"
    await setup.trade_again()
    await pipeline.status(name, "cancelled")
    await consistent(pipeline, name)


async def test_a_registration_that_was_lost_is_put_back_before_the_gate_opens(
    tmp_path: Path,
    venue_process: SimulatedVenue,
) -> None:
    """An account that began after the replica was cut off: nobody there knows it or what it trades, yet it goes on."""
    async with replicated(tmp_path) as pair:
        await pair.cut()
        async with opened(pair.address.url, venue_process) as pipeline:
            venue = await pipeline.venue()
            registration = Registration(pipeline.redis, pipeline.account, "binance", venue, [pipeline.symbol])
            await registration.load()
            terms = pipeline.terms()
            [name] = await pipeline.place(terms)
            gateway = await pipeline.gateway(window_ms=WINDOW_MS)
            await pipeline.ledger()
            await pipeline.listener()
            await pipeline.status(name, "open")
            await Setup(pair, pipeline).promote()
            assert pipeline.account not in await accounts(pipeline.redis)
            await pipeline.resolver(window_ms=WINDOW_MS, registration=registration)
            await pipeline.until(lambda: is_open(pipeline))
            again = (await accounts(pipeline.redis))[pipeline.account]
            assert (again.venue, again.id_rule) == (pipeline.info.venue, pipeline.info.id_rule)
            producer = IntentProducer(pipeline.redis, timeout_ms=5_000)
            assert (await producer.place(terms)).duplicate
            await pipeline.status(name, "open")
            await consistent(pipeline, name)
            assert gateway.claimed == 1


async def test_an_older_append_only_file_that_was_restored_trades_after_the_import(
    tmp_path: Path,
    venue_process: SimulatedVenue,
) -> None:
    """A copy of the data directory from before the order was sent and filled takes the server's place."""
    server = EmbeddedServer(tmp_path / "data")
    await server.start()
    async with Way(server) as address, opened(address.url, venue_process) as pipeline:
        [name] = await pipeline.place(pipeline.terms())
        shutil.copytree(server.data_dir / "appendonlydir", tmp_path / "old" / "appendonlydir")
        gateway = await pipeline.gateway(window_ms=WINDOW_MS)
        await pipeline.ledger()
        await pipeline.listener()
        await pipeline.house("SELL", 1)
        await filled(pipeline, name)
        await server.stop()
        async with EmbeddedServer(tmp_path / "old") as restored:
            address.move(restored)
            await hang_up(pipeline)
            await refused(pipeline)
            assert (await pipeline.order(name)).status == "created"
            await pipeline.resolver(window_ms=WINDOW_MS)
            await filled(pipeline, name)
            await consistent(pipeline, name)
            assert gateway.claimed == 1
            for role in list(pipeline._tasks):
                await pipeline.kill(role)


async def test_a_copy_that_had_been_up_for_long_waits_for_the_windows_of_the_server_it_replaces(
    tmp_path: Path,
    venue_process: SimulatedVenue,
) -> None:
    """Its own start says nothing about claims that the other server granted until a moment ago."""
    server = EmbeddedServer(tmp_path / "data")
    async with server, Way(server) as address, opened(address.url, venue_process) as pipeline:
        reconciler = pipeline.reconciler(await pipeline.venue(), window_ms=1)
        shutil.copytree(server.data_dir / "appendonlydir", tmp_path / "old" / "appendonlydir")
        async with EmbeddedServer(tmp_path / "old") as standby:
            await pipeline.until(lambda: _aged(standby))
            assert await reconciler.ensure_open()
            reconciler._clock = clock = Impatient()
            address.move(standby)
            await hang_up(pipeline)
            assert await reconciler.ensure_open()
            # request lifetime, look-up lag and clock bound of the tests' venue: 251 ms, less than its uptime
            assert sum(clock.waits_ms) > 0


async def test_a_server_that_serves_again_after_another_one_did_is_reconciled(setup: Setup) -> None:
    """The address flaps back: the first server never noticed, and what it lacks must not be sent again."""
    pipeline, pair = setup.pipeline, setup.pair
    reconciler = pipeline.reconciler(await pipeline.venue(), window_ms=1)
    assert await reconciler.ensure_open()
    await pair.cut()
    await pair.after.execute_command("REPLICAOF", "NO", "ONE")
    pair.address.move(pair.replica)
    await hang_up(pipeline)
    reconciler._clock = Impatient()
    assert await reconciler.ensure_open()
    gateway = await pipeline.gateway()
    await pipeline.ledger()
    terms = pipeline.terms()
    [name] = await pipeline.place(terms)
    await pipeline.status(name, "open")
    pair.address.move(pair.primary)
    await hang_up(pipeline)
    assert await pipeline.store.orders([name]) == [None]
    assert await reconciler.ensure_open()
    await pipeline.until(lambda: pipeline.producer.remembered(terms) is None)
    assert (await pipeline.producer.place(terms)).duplicate
    assert gateway.claimed == 1


async def test_a_restart_where_nothing_was_lost_passes_the_gate(
    tmp_path: Path,
    venue_process: SimulatedVenue,
) -> None:
    """Another run id, the same data: known orders go on, positions stand, nothing is sent again."""
    server = EmbeddedServer(tmp_path / "data")
    async with server, Way(server) as address, opened(address.url, venue_process) as pipeline:
        await pipeline.gateway(window_ms=WINDOW_MS)
        await pipeline.ledger()
        await pipeline.listener()
        await pipeline.house("SELL", HALF)
        [name] = await pipeline.place(pipeline.terms())
        await pipeline.status(name, "partially_filled")
        before = await pipeline.journal()
        server.kill()
        await server.wait()
        await server.start()
        await hang_up(pipeline)
        await refused(pipeline)
        await pipeline.resolver(window_ms=WINDOW_MS)
        await pipeline.until(lambda: is_open(pipeline))
        await consistent(pipeline, name)
        assert (await pipeline.journal())[: len(before)] == before
        assert len(await pipeline.applied()) == 1
        for role in list(pipeline._tasks):
            await pipeline.kill(role)


async def test_a_restart_where_nothing_was_lost_passes_the_gate_within_a_second(
    tmp_path: Path,
    venue_process: SimulatedVenue,
) -> None:
    """R6: with the longest window of a real account; the clock only takes notes."""
    server = EmbeddedServer(tmp_path / "data")
    async with server, opened(server.url, venue_process) as pipeline:
        await pipeline.place(pipeline.terms())
        reconciler = pipeline.reconciler(await pipeline.venue(), window_ms=5_000)
        assert await reconciler.ensure_open()
        await server.stop()
        await server.start()
        reconciler._clock = clock = Impatient()
        await hang_up(pipeline)
        assert await reconciler.ensure_open()
        assert sum(clock.waits_ms) < 1_000


async def test_a_restart_under_weaker_durability_waits_for_the_windows(
    tmp_path: Path,
    venue_process: SimulatedVenue,
) -> None:
    """What memory kept says nothing of the claims that were sent and are gone."""
    server = EmbeddedServer(tmp_path / "data")
    async with server, opened(server.url, venue_process) as pipeline:
        await pipeline.place(pipeline.terms())
        reconciler = pipeline.reconciler(await pipeline.venue(), window_ms=5_000, durability="memory")
        assert await reconciler.ensure_open()
        await server.stop()
        await server.start()
        reconciler._clock = clock = Impatient()
        await hang_up(pipeline)
        assert await reconciler.ensure_open()
        assert sum(clock.waits_ms) > 3_000


async def test_a_restart_with_an_older_journal_waits_for_the_windows(
    tmp_path: Path,
    venue_process: SimulatedVenue,
) -> None:
    """The disk that every claim was written to is not the one that came back."""
    server = EmbeddedServer(tmp_path / "data")
    async with server, opened(server.url, venue_process) as pipeline:
        shutil.copytree(server.data_dir / "appendonlydir", tmp_path / "old")
        await pipeline.place(pipeline.terms())
        reconciler = pipeline.reconciler(await pipeline.venue(), window_ms=5_000)
        assert await reconciler.ensure_open()
        await server.stop()
        shutil.rmtree(server.data_dir / "appendonlydir")
        shutil.move(tmp_path / "old", server.data_dir / "appendonlydir")
        await server.start()
        reconciler._clock = clock = Impatient()
        await hang_up(pipeline)
        assert await reconciler.ensure_open()
        assert sum(clock.waits_ms) > 3_000


async def test_an_order_without_its_claim_makes_a_restart_wait(
    tmp_path: Path,
    venue_process: SimulatedVenue,
) -> None:
    """The journal is whole and yet the venue knows more: others may be on their way there too."""
    server = EmbeddedServer(tmp_path / "data")
    async with server, opened(server.url, venue_process) as pipeline:
        await pipeline.gateway()
        await pipeline.ledger()
        [name] = await pipeline.place(pipeline.terms())
        await pipeline.status(name, "open")
        for role in list(pipeline._tasks):
            await pipeline.kill(role)
        reconciler = pipeline.reconciler(await pipeline.venue(), window_ms=5_000)
        assert await reconciler.ensure_open()
        await pipeline.redis.delete(pipeline.keys.order(name))
        await server.stop()
        await server.start()
        reconciler._clock = clock = Impatient()
        await hang_up(pipeline)
        assert await reconciler.ensure_open()
        assert reconciler.imported == 1
        assert sum(clock.waits_ms) > 3_000


async def test_whoever_comes_back_to_a_server_it_has_left_sends_nothing_there(setup: Setup) -> None:
    """The producer and the gateway notice by themselves, and shut the gate for all the others."""
    pipeline, pair = setup.pipeline, setup.pair
    bench, other = Bench(pipeline.redis, pipeline.account), Bench(pipeline.redis, pipeline.account)
    await bench.publish(pipeline.terms())
    await pair.cut()
    await pair.after.execute_command("REPLICAOF", "NO", "ONE")
    pair.address.move(pair.replica)
    await hang_up(pipeline)
    await pipeline.open_gate()
    with pytest.raises(HistoryChanged, match="opened anew"):
        await bench.publish(pipeline.terms())
    await bench.publish(terms := pipeline.terms())
    pair.address.move(pair.primary)
    await hang_up(pipeline)
    assert await is_open(pipeline)
    with pytest.raises(HistoryChanged, match="answers again"):
        await bench.publish(terms)
    assert not await is_open(pipeline)
    with pytest.raises(HistoryChanged):
        await other.scripts.claim([other.claim_item("1-1", terms)], "gateway.9", WINDOW_MS, 1_000)
    await pipeline.open_gate()
    with pytest.raises(HistoryChanged, match="opened anew"):
        await bench.publish(terms)
    await bench.publish(terms)
    assert (await verify(pipeline.redis, pipeline.keys)).good


def cancel_of(terms: Place) -> Cancel:
    """A cancel of a place."""
    return Cancel(account=terms.account, strategy=terms.strategy, signal_id=terms.signal_id)


def ledger_of(pipeline: Pipeline, bench: Bench, holder: str) -> Any:
    """A ledger of another account than the pipeline's, driven by hand."""
    settings = LedgerSettings(holder=holder, lease_ms=3_000, rules=Rules(resubmission_allowed=True, calm_ms=1_000))
    return Ledger(
        redis=pipeline.redis, reader=bench.ledger_reader(), keys=bench.keys, decode=decode, settings=settings,
        clock=bench.clock,
    )  # fmt: skip


def spied(ledger: Any) -> list[CommitPlan]:
    """Every plan that the ledger commits from now on."""
    plans: list[CommitPlan] = []

    class Spy(Scripts):
        async def commit(self, plan: CommitPlan, epoch: int, lease_ms: int) -> Any:
            plans.append(plan)
            return await super().commit(plan, epoch, lease_ms)

    ledger._scripts = Spy(ledger._redis, ledger._keys)
    return plans


async def _aged(server: EmbeddedServer) -> bool:
    async with Redis.from_url(server.url) as redis:
        return int((await redis.info("server"))["uptime_in_seconds"]) >= 1
