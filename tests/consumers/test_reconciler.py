"""The gate: after the server's history changed nothing trades until venue and records agree."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest

from adapters.simulated.faults import OFF
from adapters.simulated.process import SimulatedVenue
from adapters.venue import Rows, Venue
from consumers.adoption import import_item
from consumers.commands.figures import switches
from consumers.look_back import DAY_MS, LOOK_BACK_MAX_MS
from consumers.reconciler import _OF_A_SHUT_GATE, OVERLAP_MS
from consumers.witness import Witness
from streams.clock import SystemClock
from streams.keys import ACCOUNTS
from streams.producer import publish_item
from streams.schemas import Place
from streams.scripts import Scripts
from streams.server import EmbeddedServer
from tests import pipeline as parts
from tests.flow import INFO, place
from tests.pipeline import THROTTLED, Pipeline, Proxy, identities


class Impatient(SystemClock):
    """A clock that remembers how long it was to wait, and does not."""

    def __init__(self) -> None:
        self.waits_ms: list[float] = []

    async def sleep_ms(self, duration_ms: float) -> None:
        """Take a note."""
        self.waits_ms.append(duration_ms)


class Stopped(Impatient):
    """A clock that stands still until it is moved."""

    at_ms = 1

    def monotonic_ms(self) -> int:
        """As far as it was moved."""
        return self.at_ms


async def _shut(pipeline: Pipeline) -> None:
    await pipeline.redis.hset(pipeline.keys.control, "history", "another")


async def test_a_fresh_account_opens_at_once(pipeline: Pipeline) -> None:
    """Neither a journal nor an order of ours at the venue: there is nothing to wait for."""
    await pipeline.redis.delete(pipeline.keys.control, pipeline.keys.events)
    reconciler = pipeline.reconciler(await pipeline.venue(), window_ms=3_600_000)
    reconciler._clock = clock = Impatient()
    assert await reconciler.ensure_open()
    assert clock.waits_ms == []


async def test_an_account_of_which_only_its_stream_was_told_is_fresh(pipeline: Pipeline) -> None:
    """A listener starts as soon as the resolver does, and says at once that it hears nothing yet."""
    await pipeline.redis.delete(pipeline.keys.control, pipeline.keys.events)
    reconciler = pipeline.reconciler(await pipeline.venue(), window_ms=3_600_000)
    reconciler._clock = clock = Impatient()
    await reconciler._scripts.stream("lost", "listener.0", "", reason="the listener has started")
    assert await pipeline.redis.xlen(pipeline.keys.events) == 1
    assert await reconciler.ensure_open()
    assert clock.waits_ms == []


async def test_an_intent_that_waits_for_the_first_opening_does_not_make_the_account_an_old_one(
    pipeline: Pipeline,
) -> None:
    """A strategy may be quicker than the resolver; nothing can have been sent before."""
    await pipeline.redis.delete(pipeline.keys.control, pipeline.keys.events)
    [name] = await pipeline.place(pipeline.terms())
    reconciler = pipeline.reconciler(await pipeline.venue(), window_ms=3_600_000)
    reconciler._clock = clock = Impatient()
    assert await reconciler.ensure_open()
    assert clock.waits_ms == []
    assert (await pipeline.order(name)).status == "created"


async def test_an_account_that_was_open_a_moment_ago_is_no_fresh_one_when_its_server_has_nothing(
    pipeline: Pipeline,
) -> None:
    """An empty server took the place of the one that granted claims; they may still be on their way."""
    reconciler = pipeline.reconciler(await pipeline.venue(), window_ms=86_400_000)
    assert await reconciler.ensure_open()
    await pipeline.redis.delete(pipeline.keys.control, pipeline.keys.events)
    reconciler._clock = clock = Impatient()
    assert await reconciler.ensure_open()
    assert sum(clock.waits_ms) > 0


async def _switches(pipeline: Pipeline) -> dict[str, str]:
    control: Any = await pipeline.redis.hgetall(pipeline.keys.control)
    return switches(control)


async def test_a_halt_outlives_the_server_that_lost_it_and_the_process_that_saw_it(
    pipeline: Pipeline, tmp_path: Path
) -> None:
    """Both at once: it was kept on this machine's disk, in every scope and level, with its reason."""
    witness = tmp_path / "halts" / "a.json"
    await pipeline.scripts.halt("halt", "by hand", "test", "symbol:BTC/USDT")
    await pipeline.scripts.halt("reduce", "too far", "test")
    assert await pipeline.reconciler(await pipeline.venue(), witness=Witness(witness)).ensure_open()
    await pipeline.redis.delete(pipeline.keys.control, pipeline.keys.events)
    restarted = pipeline.reconciler(await pipeline.venue(), witness=Witness(witness))
    restarted._clock = Impatient()
    assert await restarted.ensure_open()
    kept = await _switches(pipeline)
    assert kept == {"halt:symbol:BTC/USDT": "by hand", "reduce": "too far"}


async def test_a_halt_that_a_person_took_back_stays_so(pipeline: Pipeline, tmp_path: Path) -> None:
    """The last that was seen counts."""
    witness = tmp_path / "a.json"
    first = pipeline.reconciler(await pipeline.venue(), witness=Witness(witness))
    await pipeline.scripts.halt("halt", "by hand", "test")
    assert await first.ensure_open()
    await pipeline.scripts.halt("resume", "looked at it", "test")
    assert await first.ensure_open()
    await pipeline.redis.delete(pipeline.keys.control, pipeline.keys.events)
    restarted = pipeline.reconciler(await pipeline.venue(), witness=Witness(witness))
    restarted._clock = Impatient()
    assert await restarted.ensure_open()
    assert await _switches(pipeline) == {}


async def test_an_open_gate_stays_open_without_a_question(pipeline: Pipeline) -> None:
    """Nothing is written either."""
    before = await pipeline.redis.xlen(pipeline.keys.events)
    assert await pipeline.reconciler(await pipeline.venue(secret="f" * 64)).ensure_open()
    assert await pipeline.redis.xlen(pipeline.keys.events) == before


class Asked:
    """A venue, and from when it was asked for orders."""

    def __init__(self, venue: Any) -> None:
        self._venue, self.since_ms = venue, list[int]()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._venue, name)

    async def orders_since(self, symbol: str, since_ms: int) -> Rows:
        """Take a note, and ask."""
        self.since_ms.append(since_ms)
        return cast("Rows", await self._venue.orders_since(symbol, since_ms))


async def _grown_old(pipeline: Pipeline, age_ms: int) -> int:
    """Let everything in the journal have happened that long ago; when the newest of it did that an open gate needs."""
    rows: Any = await pipeline.redis.xrange(pipeline.keys.events)
    await pipeline.redis.delete(pipeline.keys.events)
    told = [msgspec.json.decode(fields[b"data"]) for _, fields in rows]
    for one in told:
        one["at_ms"] -= age_ms
        await pipeline.redis.xadd(pipeline.keys.events, {"data": msgspec.json.encode(one)})
    return max(int(one["at_ms"]) for one in told if one["script"] not in _OF_A_SHUT_GATE)


async def _keep(scripts: Scripts, _: str) -> None:
    await scripts.stream("keep", "listener.0", "c1", lease_ms=5_000, entry="stored")


async def _halted(scripts: Scripts, _: str) -> None:
    await scripts.halt("halt", "an operator is quick", "test")


async def _half_imported(scripts: Scripts, name: str) -> None:
    terms = Place(
        account="sim.any", strategy="s", signal_id="1", signal_time=datetime.now(UTC), symbol="BTC/USDT", side="buy",
        type="market", quantity=Decimal(1),
    )  # fmt: skip
    gate = await scripts.gate()
    assert await scripts.import_orders([import_item(name, terms)], gate.history) == ["imported"]


async def _published(scripts: Scripts, _: str) -> None:
    await scripts.publish([publish_item(place("sim.any"), INFO)], "early", 15_000)


@pytest.mark.parametrize("first", [_keep, _halted, _half_imported, _published])
async def test_what_is_written_while_the_gate_is_shut_does_not_hide_how_much_was_lost(
    pipeline: Pipeline, first: Callable[[Scripts, str], Awaitable[None]]
) -> None:
    """R6: orders are asked for since the last write that shows what survived, not since somebody else's word."""
    scripts = Scripts(pipeline.redis, pipeline.keys)
    await scripts.stream("whole", "listener.0", "c1", lease_ms=1)
    await pipeline.place(pipeline.terms())
    last_ms = await _grown_old(pipeline, 3_600_000)
    await _shut(pipeline)
    await first(scripts, "fo-half")
    venue = Asked(await pipeline.venue())
    reconciler = pipeline.reconciler(venue)
    reconciler._clock = Impatient()
    assert await reconciler.ensure_open()
    assert set(venue.since_ms) == {last_ms - OVERLAP_MS}


async def test_an_opening_that_was_left_does_not_hide_how_much_was_lost_either(pipeline: Pipeline) -> None:
    """It is shut by an entry of this moment, on a server that knows nothing of what was traded elsewhere."""
    await pipeline.place(pipeline.terms())
    last_ms = await _grown_old(pipeline, 3_600_000)
    scripts = Scripts(pipeline.redis, pipeline.keys)
    await scripts.shut_gate((await scripts.gate()).opening)
    venue = Asked(await pipeline.venue())
    reconciler = pipeline.reconciler(venue)
    reconciler._clock = Impatient()
    assert await reconciler.ensure_open()
    assert set(venue.since_ms) == {last_ms - OVERLAP_MS}


async def test_an_account_that_rested_for_long_is_asked_for_what_the_venue_still_lists(pipeline: Pipeline) -> None:
    """A question about older orders has no answer, and the gate would stay shut for ever."""
    await pipeline.place(pipeline.terms())
    await _grown_old(pipeline, 400 * DAY_MS)
    await _shut(pipeline)
    venue = Asked(await pipeline.venue())
    reconciler = pipeline.reconciler(venue)
    reconciler._clock = Impatient()
    assert await reconciler.ensure_open()
    [since_ms] = set(venue.since_ms)
    now_ms = pipeline.server_clock.now_ms()
    assert 0 <= since_ms - (now_ms - LOOK_BACK_MAX_MS) + 60_000 < 120_000


async def test_it_waits_until_no_lost_claim_can_be_sent_any_more(pipeline: Pipeline) -> None:
    """R6: the longest window, the request's life, the look-up lag and the clocks, from the server's start."""
    await _shut(pipeline)
    day_ms = 86_400_000  # the server has run for as long as the tests before this one
    reconciler = pipeline.reconciler(await pipeline.venue(), window_ms=day_ms)
    reconciler._clock = clock = Impatient()
    assert await reconciler.ensure_open()
    assert len(clock.waits_ms) == 1
    assert day_ms / 2 < clock.waits_ms[0] <= day_ms + 250


async def test_a_defect_keeps_the_gate_shut_with_its_name_and_ends_nobody(pipeline: Pipeline) -> None:
    """It is tried again, ever more seldom, as when the venue does not answer."""

    class Defective(Asked):
        async def orders_since(self, symbol: str, since_ms: int) -> Rows:
            """Whatever nobody thought of."""
            raise KeyError(symbol, since_ms)

    await _shut(pipeline)
    reconciler = pipeline.reconciler(cast("Venue", Defective(await pipeline.venue())))
    assert not await reconciler.ensure_open()
    assert reconciler.shut is not None
    assert (reconciler.shut.reason, reconciler.shut.by_venue) == ("KeyError", True)


async def test_a_venue_that_wants_to_be_left_alone_is_not_asked_before(pipeline: Pipeline) -> None:
    """A ban grows with asking; the gate stays shut with the reason, and opens when the time is over."""
    await _shut(pipeline)
    async with Proxy(pipeline.process.rest_url) as proxy:
        reconciler = pipeline.reconciler(await pipeline.venue(rest_url=proxy.url), window_ms=1)
        reconciler._clock = clock = Stopped()
        proxy.lookups_down, proxy.down = True, THROTTLED
        assert not await reconciler.ensure_open()
        asked = proxy.refused_lookups
        for _ in range(3):
            assert not await reconciler.ensure_open()
            assert reconciler.shut is not None
            assert "asks to wait 1000 ms" in reconciler.shut.reason
            assert reconciler.shut.by_venue
        assert proxy.refused_lookups == asked
        clock.at_ms += 999
        assert not await reconciler.ensure_open()
        assert proxy.refused_lookups == asked
        clock.at_ms += 1
        proxy.lookups_down = False
        assert await reconciler.ensure_open()


async def test_an_order_at_the_venue_without_a_record_gets_one_before_the_gate_opens(pipeline: Pipeline) -> None:
    """R6: the intent that made it, published again, meets that record and is not sent again."""
    gateway = await pipeline.gateway()
    await pipeline.ledger()
    terms = pipeline.terms()
    [name] = await pipeline.place(terms)
    await pipeline.status(name, "open")
    await pipeline.redis.delete(pipeline.keys.order(name))
    await _shut(pipeline)
    reconciler = pipeline.reconciler(await pipeline.venue(), window_ms=1)
    reconciler._clock = Impatient()
    assert await reconciler.ensure_open()
    assert reconciler.imported == 1
    await pipeline.status(name, "open")
    await pipeline.place(terms)
    await pipeline.quiet()
    assert gateway.claimed == 1
    assert identities(await pipeline.venue_orders()) == [name]


async def test_a_venue_that_cannot_be_asked_keeps_the_gate_shut(pipeline: Pipeline) -> None:
    """And it opens when the venue answers again."""
    await pipeline.place(pipeline.terms())
    async with Proxy(pipeline.process.rest_url) as proxy:
        reconciler = pipeline.reconciler(await pipeline.venue(rest_url=proxy.url), window_ms=1)
        reconciler._clock = Impatient()
        await _shut(pipeline)
        proxy.lookups_down = True
        assert not await reconciler.ensure_open()
        assert reconciler.shut is not None
        assert "HTTP 503" in reconciler.shut.reason
        proxy.lookups_down = False
        assert await reconciler.ensure_open()


@pytest.mark.slow
async def test_after_a_restart_of_the_server_everything_goes_on_and_nothing_is_sent_twice(
    tmp_path: Path, venue_process: SimulatedVenue
) -> None:
    """R5: nothing is claimed before the gate is open; then the old order is known and the new one is sent."""
    server = EmbeddedServer(tmp_path / "data")
    await server.start()
    try:
        async with venue_process.control() as control:
            await control.set_faults(OFF)
            async with Pipeline(server.url, venue_process, control, next(parts._numbers)) as pipeline:
                await pipeline.register()
                await pipeline.open_gate()
                gateway = await pipeline.gateway(window_ms=300)
                await pipeline.ledger()
                await pipeline.listener()
                [old] = await pipeline.place(pipeline.terms())
                await pipeline.status(old, "open")
                first = server.run_id
                await server.stop()
                await server.start()
                assert server.run_id != first
                await pipeline.house("SELL", "0.5")
                terms = pipeline.terms()
                data = publish_item(terms, pipeline.info).data
                await pipeline.redis.xadd(pipeline.keys.intents, {"data": data})
                await pipeline.until(lambda: _undelivered(pipeline))
                assert gateway.claimed == 1
                assert identities(await pipeline.venue_orders()) == [old]
                await pipeline.resolver(window_ms=300)
                await pipeline.until(lambda: gateway.claimed == 2)
                await pipeline.status(old, "partially_filled")
                await pipeline.quiet()
                assert len(await pipeline.venue_orders()) == 2
                assert not (await pipeline.audit()).defects
                assert await pipeline.redis.hexists(ACCOUNTS, pipeline.account)
    finally:
        await server.stop()


async def _undelivered(pipeline: Pipeline) -> bool:
    """The gateway read the entry, and it is pending or to be read again, unclaimed."""
    backlog = (await pipeline.store.backlog())["intents"]
    return backlog["pending"] + backlog["lag"] == 1
