"""Reconciliation against the real server and the simulated venue: an account is broken, found out, and put right."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from adapters.venue import CouldNotAsk, Window
from consumers import patrol as patrols
from consumers.findings import Finding
from consumers.patrol import Depth, Patrol, Report
from streams import codec, events
from streams.clock import SystemClock
from streams.evidence import append
from streams.policy import Policies
from streams.record import NEW_STATE
from streams.schemas import Absent, Command, Evidence, Order, Place
from streams.verify import verify
from tests.pipeline import THROTTLED, Pipeline, Proxy, identities

FIVE = Decimal(5)


async def _settled(pipeline: Pipeline, patrol: Patrol) -> Report:
    """Look until nothing confirmed is left to be seen that was not seen before; the last report."""
    reports: list[Report] = []

    async def stands() -> bool:
        reports.append(await patrol.once("full", "command"))
        return bool(reports[-1].findings) and all(one.confirmed for one in reports[-1].findings)

    await pipeline.until(stands)
    return reports[-1]


async def _clean(pipeline: Pipeline, patrol: Patrol) -> None:
    """Look until both sides are equal."""

    async def equal() -> bool:
        return not (await patrol.once("full", "command")).findings

    await pipeline.until(equal)


async def _resting(pipeline: Pipeline, **changes: Any) -> str:
    """An order that rests at the venue and is known here."""
    [name] = await pipeline.place(pipeline.terms(**changes))
    await pipeline.status(name, "open")
    return name


async def _strange(pipeline: Pipeline, name: str, quantity: Decimal = Decimal(1)) -> None:
    """An order that somebody else places under the account's key."""
    terms = Place(**{**msgspec.structs.asdict(pipeline.terms()), "quantity": quantity})
    order = Order(client_order_id=name, terms=terms, status="created", state=NEW_STATE, digest="")
    venue = await pipeline.venue()
    now_ms = pipeline.server_clock.now_ms()
    await venue.submit(order, Window(now_ms, now_ms + 5_000))


async def _opened(pipeline: Pipeline, **settings: Any) -> Patrol:
    """A patrol that has recorded what the account held before its first fill."""
    await pipeline.ledger()
    patrol = await pipeline.patrol(**settings)
    assert (await patrol.once("full", "start")).opened
    await pipeline.until(pipeline.store.holdings)
    return patrol


async def test_equal_sides_give_no_finding_and_write_nothing_but_the_report(pipeline: Pipeline) -> None:
    """Orders resting, orders filled, fees in the base asset: the account is explained to the last digit."""
    patrol = await _opened(pipeline)
    await pipeline.listener()
    await pipeline.gateway()
    await _resting(pipeline, price=Decimal(90))
    name = await _resting(pipeline)
    await pipeline.house("SELL", "0.4")
    await pipeline.status(name, "partially_filled")
    await pipeline.quiet()
    before = await pipeline.redis.xlen(pipeline.keys.evidence)
    for depth in ("light", "full"):
        report = await patrol.once(depth, "command")
        assert (report.findings, report.done) == ([], {})
    assert await pipeline.redis.xlen(pipeline.keys.evidence) == before


async def test_an_execution_that_nobody_heard_is_fetched_and_counted_once(pipeline: Pipeline) -> None:
    """A stale fill: the stream was down; a second run changes nothing."""
    patrol = await _opened(pipeline)
    await pipeline.gateway()
    name = await _resting(pipeline)
    await pipeline.house("SELL", "0.4")
    report = await patrol.once("full", "command")
    assert [(one.kind, one.subject, one.action) for one in report.findings] == [("stale_fill", name, "apply")]
    await pipeline.status(name, "partially_filled")
    await _clean(pipeline, patrol)
    assert (await pipeline.order(name)).state.filled == Decimal("0.4")
    assert [fact.quantity for _, fact in await pipeline.applied()] == [Decimal("0.4")]
    assert (await verify(pipeline.redis, pipeline.keys)).good


async def test_an_order_that_ended_unheard_ends_here(pipeline: Pipeline) -> None:
    """Status drift: it was cancelled at the venue by somebody else while nobody listened."""
    patrol = await _opened(pipeline)
    await pipeline.gateway()
    name = await _resting(pipeline)
    venue = await pipeline.venue()
    now_ms = pipeline.server_clock.now_ms()
    await venue.cancel(await pipeline.order(name), Window(now_ms, now_ms + 5_000))
    report = await patrol.once("light", "command")
    assert report.depth == "full"
    assert [(one.kind, one.action) for one in report.findings] == [("status_drift", "apply")]
    await pipeline.status(name, "cancelled")
    await _clean(pipeline, patrol)


async def test_what_it_writes_says_that_it_came_from_a_reconciliation(pipeline: Pipeline) -> None:
    """The evidence names the finding, and the finding's id is the same in every process."""
    patrol, other = await _opened(pipeline), await pipeline.patrol()
    await pipeline.gateway()
    await _resting(pipeline)
    await pipeline.house("SELL", "0.4")
    [finding] = (await other.once("full", "command", lambda _: False)).findings
    await patrol.once("full", "command")
    rows: Any = await pipeline.redis.xrange(pipeline.keys.evidence)
    said = [codec.decode_evidence(fields[b"data"]) for _, fields in rows]
    assert {one.finding for one in said if one.source == "reconcile" and not one.adjustment} == {finding.id}


async def test_an_order_of_ours_without_a_record_is_adopted_with_its_fills(pipeline: Pipeline) -> None:
    """An orphan under our prefix; the intent that made it, published again, is not sent a second time."""
    patrol = await _opened(pipeline)
    gateway = await pipeline.gateway()
    terms = pipeline.terms()
    [name] = await pipeline.place(terms)
    await pipeline.status(name, "open")
    await pipeline.house("SELL", "0.4")
    await pipeline.redis.delete(pipeline.keys.order(name))
    await pipeline.redis.zrem(pipeline.keys.live, name)
    report = await patrol.once("full", "command")
    assert [(one.kind, one.action) for one in report.findings] == [("orphan", "adopt")]
    await pipeline.status(name, "partially_filled")
    await _clean(pipeline, patrol)
    await pipeline.place(terms)
    await pipeline.quiet()
    assert gateway.claimed == 1
    assert identities(await pipeline.venue_orders()) == [name]


async def test_an_orphan_of_ours_is_cancelled_where_the_policy_says_so(pipeline: Pipeline) -> None:
    """By an intent, like every cancel: it has a claim, a window and evidence."""
    patrol = await _opened(pipeline, policies=Policies(by={pipeline.symbol: "cancel"}))
    await pipeline.gateway()
    name = await _resting(pipeline)
    await pipeline.redis.delete(pipeline.keys.order(name))
    await pipeline.redis.zrem(pipeline.keys.live, name)
    await pipeline.resolver()
    await patrol.once("full", "command")
    await pipeline.status(name, "cancelled")
    assert [one["status"] for one in await pipeline.venue_orders()] == ["CANCELED"]


@pytest.mark.parametrize(
    ("policy", "status", "severity"), [("leave", "NEW", "info"), ("cancel", "CANCELED", "warning")]
)
async def test_a_foreign_order_is_left_alone_unless_the_policy_says_otherwise(
    pipeline: Pipeline, policy: Any, status: str, severity: str
) -> None:
    """Told from ours by its id; a person's order is nobody's business by default."""
    patrol = await _opened(pipeline, policies=Policies(foreign=policy))
    await _strange(pipeline, "manual-1")
    [finding] = (await patrol.once("full", "command")).findings
    assert (finding.kind, finding.action, finding.severity) == ("orphan", policy, severity)
    assert [one["status"] for one in await pipeline.venue_orders()] == [status]


async def test_a_foreign_order_that_is_adopted_counts_from_then_on(pipeline: Pipeline) -> None:
    """Its fills move the position of a strategy of that name."""
    patrol = await _opened(pipeline, policies=Policies(foreign="adopt"))
    await pipeline.listener()
    await _strange(pipeline, "manual-1")
    await patrol.once("full", "command")
    await pipeline.status("manual-1", "open")
    await pipeline.house("SELL", 1)
    await pipeline.status("manual-1", "filled")
    assert (await pipeline.order("manual-1")).terms.strategy == "foreign"  # type: ignore[union-attr]  # adopted with terms
    await _clean(pipeline, patrol)


async def test_an_order_that_only_we_ended_lives_again_by_the_venues_word(pipeline: Pipeline) -> None:
    """A zombie: taken for lost, and there all the time; it is flagged, because it should not happen."""
    patrol = await _opened(pipeline)
    name = await _lost_but_there(pipeline)
    [finding] = (await patrol.once("full", "command")).findings
    assert (finding.kind, finding.action) == ("zombie", "apply")
    order = await pipeline.status(name, "open")
    assert order.state.anomalies == ("revived:cancelled",)
    await _clean(pipeline, patrol)


async def test_a_zombie_is_cancelled_where_its_strategys_policy_says_so(pipeline: Pipeline) -> None:
    """It lives again first, so that its cancel is an ordinary one."""
    patrol = await _opened(pipeline, policies=Policies(by={"test": "cancel"}))
    name = await _lost_but_there(pipeline)
    await patrol.once("full", "command")
    await pipeline.status(name, "cancelled")
    await pipeline.until(lambda: _statuses(pipeline, ["CANCELED"]))


async def _statuses(pipeline: Pipeline, wanted: list[str]) -> bool:
    return [one["status"] for one in await pipeline.venue_orders()] == wanted


async def _lost_but_there(pipeline: Pipeline) -> str:
    """An order at the venue that was declared lost here: its answer was held back, and absence was written."""
    async with Proxy(pipeline.process.rest_url) as proxy:
        proxy.hold.clear()
        gateway = await pipeline.gateway(venue=await pipeline.venue(rest_url=proxy.url))
        [name] = await pipeline.place(pipeline.terms())
        await pipeline.until(lambda: proxy.held)
        order = await pipeline.order(name)
        await pipeline.publish_cancel(name)
        await pipeline.until(lambda: _cancel_asked(pipeline, name))
        command = Command(client_order_id=name, token=order.token, outcome=Absent(1))
        await append(
            pipeline.redis, pipeline.keys, [(Evidence(source="lookup", received_at_ns=1, command=command), b"")]
        )
        await pipeline.status(name, "cancelled")
        await pipeline.kill(gateway)
    await pipeline.redis.delete(pipeline.keys.intents)
    await _strange(pipeline, name)
    await pipeline.gateway(1)
    return name


async def _cancel_asked(pipeline: Pipeline, name: str) -> bool:
    return (await pipeline.order(name)).cancel_requested


async def test_a_second_order_under_one_id_is_found_and_halts_the_account(pipeline: Pipeline) -> None:
    """The anomaly `double`: the venue forgets an id when its order ends, and takes it again."""
    patrol = await _opened(pipeline)
    await pipeline.gateway()
    name = await _resting(pipeline)
    await pipeline.house("SELL", 1)
    await pipeline.until(lambda: _statuses(pipeline, ["FILLED"]))
    await _strange(pipeline, name)
    kinds = {one.kind for one in (await patrol.once("full", "command")).findings}
    assert "double" in kinds
    await pipeline.until(lambda: pipeline.redis.hexists(pipeline.keys.control, "halt"))
    assert "double" in (await pipeline.order(name)).state.anomalies
    [second] = (await patrol.once("light", "command")).findings
    assert (second.kind, second.subject, second.action) == ("double", name, "cancel")
    assert [one["status"] for one in await pipeline.venue_orders()] == ["FILLED", "CANCELED"]
    await _clean(pipeline, patrol)
    assert (await pipeline.order(name)).state.filled == 1


async def test_an_order_the_venue_denies_is_told_after_two_looks_and_left_to_a_person(pipeline: Pipeline) -> None:
    """A ghost: absence counts when two looks, far enough apart, agree; it is never made up for."""
    patrol = await _opened(pipeline, gap_ms=60_000)
    await pipeline.gateway()
    name = await _resting(pipeline)
    ghost = msgspec.structs.replace(await pipeline.order(name), client_order_id="fo-" + "0" * 22)
    await _copy_record(pipeline, name, ghost.client_order_id)
    first = await patrol.once("full", "command")
    assert [(one.kind, one.subject, one.confirmed) for one in first.findings] == [
        ("ghost", ghost.client_order_id, False)
    ]
    patrol._seen = {key: seen - 60_000 for key, seen in patrol._seen.items()}
    second = await patrol.once("full", "command")
    assert [(one.confirmed, one.action, one.severity) for one in second.left] == [(True, "person", "critical")]
    assert (await pipeline.order(ghost.client_order_id)).status == "open"


async def _copy_record(pipeline: Pipeline, name: str, other: str) -> None:
    """A record of an order that never was, as lost bytes or a strange hand would leave it."""
    await pipeline.redis.copy(pipeline.keys.order(name), pipeline.keys.order(other))
    await pipeline.redis.zadd(pipeline.keys.live, {other: 1e15})


async def test_a_deposit_that_the_stream_told_is_no_drift(pipeline: Pipeline) -> None:
    """It is booked as an adjustment of its own, once, never as a fill."""
    patrol = await _opened(pipeline)
    await pipeline.listener()
    held = await pipeline.store.holdings()
    await pipeline.control.transfer(pipeline.book, pipeline.base, FIVE)
    await pipeline.until(lambda: _holds(pipeline, held[pipeline.base] + FIVE))
    assert not (await patrol.once("full", "command")).findings
    [_, told] = [one for one in await pipeline.journal() if isinstance(one, events.Adjusted)]
    assert (told.adjustment.cause, told.adjustment.amounts) == ("transfer", {pipeline.base: FIVE})
    assert await pipeline.applied() == []
    assert (await verify(pipeline.redis, pipeline.keys)).good


async def test_a_drift_that_nobody_explained_is_reported_and_adjusted_only_when_told_to(pipeline: Pipeline) -> None:
    """Two looks agree; by default a person decides; the adjustment is journaled with the venue's own statement."""
    patrol = await _opened(pipeline)
    await pipeline.control.transfer(pipeline.book, pipeline.base, FIVE, told=False)
    await pipeline.control.transfer(pipeline.book, "USDT", Decimal(-7), told=False)
    report = await _settled(pipeline, patrol)
    found = {(one.kind, one.subject, one.there) for one in report.left}
    assert found == {("position_drift", pipeline.base, "1005"), ("balance_drift", "USDT", "999993")}
    assert report.done == {}
    ready = await pipeline.patrol(modes={"position_drift": "auto", "balance_drift": "auto"})
    done = await _settled(pipeline, ready)
    assert set(done.done.values()) == {"adjust"}
    await _clean(pipeline, ready)
    assert (await pipeline.store.holdings())[pipeline.base] == 1005
    assert (await verify(pipeline.redis, pipeline.keys)).good


async def test_what_a_correction_that_waits_does_not_touch_is_compared_and_booked(pipeline: Pipeline) -> None:
    """An execution is gone at the venue and a person is to decide; an asset beside it drifts, also by light looks."""
    patrol = await _opened(pipeline, modes={"balance_drift": "auto", "position_drift": "auto"})
    await pipeline.listener()
    await pipeline.gateway()
    name = await _resting(pipeline)
    await pipeline.house("SELL", "0.4")
    await pipeline.status(name, "partially_filled")
    await pipeline.quiet()
    [(_, fill)] = await pipeline.applied()
    await pipeline.control.bust(pipeline.book, pipeline.venue_symbol, int(fill.trade_id))
    await pipeline.control.transfer(pipeline.book, "XRP", FIVE, told=False)

    async def booked() -> bool:
        report = await patrol.once("light", "command")
        assert report.held == sorted({"USDT", pipeline.base})
        assert {one.kind for one in report.findings} <= {"busted", "balance_drift"}
        return (await pipeline.store.holdings()).get("XRP") == FIVE

    await pipeline.until(booked)
    [_, told] = [one for one in await pipeline.journal() if isinstance(one, events.Adjusted)]
    assert told.adjustment.amounts == {"XRP": FIVE}
    assert (await pipeline.order(name)).state.filled == Decimal("0.4")
    summary = msgspec.json.decode(await pipeline.redis.hget(pipeline.keys.control, "reconciled") or b"")
    assert summary["not_compared"] == sorted({"USDT", pipeline.base})
    last = [one for one in await pipeline.journal() if isinstance(one, events.Reconciled)][-1]
    assert {one.kind: one.holds for one in last.findings}["busted"] == tuple(sorted({"USDT", pipeline.base}))


async def test_what_only_full_looks_can_compare_is_confirmed_by_two_of_them(pipeline: Pipeline) -> None:
    """A light look does not know what a stranger's fees were paid in; it forgets nothing that a full one saw."""
    adopt = Policies(foreign="adopt")
    patrol = await _opened(pipeline, policies=adopt, modes={"orphan": "report", "balance_drift": "auto"})
    await _strange(pipeline, "manual-1")
    await pipeline.house("SELL", "0.4")
    await pipeline.control.transfer(pipeline.book, "XRP", FIVE, told=False)

    async def booked() -> bool:
        report = await patrol.once("light", "command")
        assert report.held == sorted({"USDT", pipeline.base})
        return (await pipeline.store.holdings()).get("XRP") == FIVE

    await pipeline.until(booked)


async def test_a_drift_of_an_account_that_never_rests_is_found_and_booked_once_by_two_who_look(
    pipeline: Pipeline,
) -> None:
    """Trading moves both amounts between any two looks; what they are apart stays, and names the change."""
    patrol = await _opened(pipeline, modes={"balance_drift": "auto"})
    other = await pipeline.patrol(modes={"balance_drift": "auto"})
    await pipeline.gateway()
    await pipeline.listener()
    name = await _resting(pipeline, quantity=Decimal(1000))
    await pipeline.control.transfer(pipeline.book, "USDT", -FIVE, told=False)

    async def booked() -> bool:
        before = (await pipeline.order(name)).state.filled
        await pipeline.house("SELL", "0.4")

        async def counted() -> bool:
            return (await pipeline.order(name)).state.filled > before

        await pipeline.until(counted)
        await pipeline.quiet()
        found = [await one.once("full", "command") for one in (patrol, other)]
        return any(one.done for one in found)

    await pipeline.until(booked)
    await _clean(pipeline, patrol)
    await _clean(pipeline, other)
    told = [one.adjustment for one in await pipeline.journal() if isinstance(one, events.Adjusted)]
    assert [one.amounts for one in told if one.cause != "opening"] == [{"USDT": -FIVE}]


async def test_what_was_done_in_vain_is_left_to_a_person(pipeline: Pipeline) -> None:
    """The venue's word is in `evidence` and changes nothing: the report says so, and so does the journal."""
    patrol = await _opened(pipeline)
    await pipeline.gateway()
    name = await _resting(pipeline)
    await pipeline.house("SELL", "0.4")
    for role in list(pipeline._tasks):
        await pipeline.kill(role)
    first = await patrol.once("full", "command")
    assert (list(first.done.values()), first.left) == (["apply"], [])

    async def told() -> bool:
        return [one.subject for one in (await patrol.once("full", "time")).left] == [name]

    await pipeline.until(told)
    last = [one for one in await pipeline.journal() if isinstance(one, events.Reconciled)][-1]
    assert [(one.subject, one.done) for one in last.findings] == [(name, "")]
    await pipeline.ledger()
    await _clean(pipeline, patrol)
    assert not patrol._tried


async def test_what_waits_for_a_person_is_found_however_long_ago_it_happened(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its order has ended, and the venue is asked only for what is new: it is no drift that nobody can explain."""
    patrol = await _opened(pipeline, modes={"position_drift": "auto", "balance_drift": "auto"})
    await pipeline.gateway()
    await pipeline.listener()
    name = await _resting(pipeline)
    await pipeline.house("SELL", 1)
    await pipeline.status(name, "filled")
    await pipeline.quiet()
    [(_, fill)] = await pipeline.applied()
    await pipeline.control.bust(pipeline.book, pipeline.venue_symbol, int(fill.trade_id))
    report = await patrol.once("full", "command")
    assert {one.kind for one in report.findings} == {"busted"}
    summary = msgspec.json.decode(await pipeline.redis.hget(pipeline.keys.control, "reconciled") or b"")
    assert (summary["left"], summary["in_doubt"]) == (0, 1)
    monkeypatch.setattr(patrols, "OVERLAP_MS", -3_600_000)  # everything happened long before the last look
    monkeypatch.setattr(patrols, "FIRST_BACK_MS", 0)
    started = await pipeline.patrol()
    assert {one.kind for one in (await started.once("full", "start")).findings} == {"busted"}

    async def confirmed() -> bool:
        found = (await patrol.once("light", "command")).findings
        assert {one.kind for one in found} == {"busted"}
        return all(one.confirmed for one in found)

    await pipeline.until(confirmed)
    assert [one.subject for one in (await patrol.once("light", "command")).left] == [name]
    await patrol.once("full", "command", lambda one: one.kind == "busted")
    await _clean(pipeline, patrol)
    assert patrol._back == {}


def _lately(pipeline: Pipeline, patrol: Patrol, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Let everything have happened long before the last look; fills with each look at the far past."""
    looks: list[int] = []
    far = patrol._first_ms

    async def since_ms() -> int:
        return min([await pipeline.store.now_ms() + 60_000, *patrol._back.values()])

    async def first_ms() -> int:
        looks.append(await far())
        return looks[-1]

    monkeypatch.setattr(patrol, "_since_ms", since_ms)
    monkeypatch.setattr(patrol, "_first_ms", first_ms)
    return looks


async def test_an_execution_of_long_ago_that_was_taken_back_is_no_difference_to_be_booked(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its order is not among those asked for; before an amount is booked, they are looked for."""
    patrol = await _opened(pipeline, modes={"position_drift": "auto", "balance_drift": "auto"})
    await pipeline.gateway()
    await pipeline.listener()
    name = await _resting(pipeline)
    await pipeline.house("SELL", 1)
    await pipeline.status(name, "filled")
    await _clean(pipeline, patrol)
    [(_, fill)] = await pipeline.applied()
    _lately(pipeline, patrol, monkeypatch)
    await pipeline.control.bust(pipeline.book, pipeline.venue_symbol, int(fill.trade_id))

    async def left_to_a_person() -> bool:
        report = await patrol.once("full", "command")
        assert not report.done
        return [(one.kind, one.subject) for one in report.left] == [("busted", name)]

    await pipeline.until(left_to_a_person)
    await patrol.once("full", "command", lambda one: one.kind == "busted")
    await _clean(pipeline, patrol)
    booked = [one.adjustment.cause for one in await pipeline.journal() if isinstance(one, events.Adjusted)]
    assert booked == ["opening"]


async def test_the_far_past_is_looked_at_once_for_each_difference(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever decides may take days, and such a look costs the venue's budget."""
    patrol = await _opened(pipeline)
    looks = _lately(pipeline, patrol, monkeypatch)
    await pipeline.control.transfer(pipeline.book, "USDT", Decimal(-7), told=False)

    async def left() -> bool:
        return bool((await patrol.once("light", "command")).left)

    await pipeline.until(left)
    assert len(looks) == 1
    assert await left()
    assert len(looks) == 1
    await pipeline.control.transfer(pipeline.book, "USDT", Decimal(-7), told=False)
    await pipeline.until(lambda: _again(patrol, looks, 2))


async def _again(patrol: Patrol, looks: list[int], count: int) -> bool:
    await patrol.once("light", "command")
    return len(looks) == count


async def _holds(pipeline: Pipeline, amount: Decimal) -> bool:
    return (await pipeline.store.holdings()).get(pipeline.base) == amount


async def test_a_venue_that_cannot_be_asked_proves_nothing(pipeline: Pipeline) -> None:
    """Half a look is none: nothing is written, and the next one begins anew."""
    await pipeline.ledger()
    await pipeline.gateway()
    name = await _resting(pipeline)
    async with Proxy(pipeline.process.rest_url) as proxy:
        patrol = await pipeline.patrol(venue=await pipeline.venue(rest_url=proxy.url))
        proxy.lookups_down = True
        with pytest.raises(CouldNotAsk):
            await patrol.once("full", "command")
    assert (await pipeline.order(name)).status == "open"
    assert not [one for one in await pipeline.journal() if isinstance(one, events.Reconciled)]


async def test_the_report_stays_in_the_journal_while_it_says_something_new(pipeline: Pipeline) -> None:
    """Every look by command is kept; the hundredth look by the clock that finds the same is not."""
    patrol = await _opened(pipeline)
    await pipeline.control.transfer(pipeline.book, pipeline.base, FIVE, told=False)
    await _settled(pipeline, patrol)

    async def reports() -> list[events.Reconciled]:
        return [one for one in await pipeline.journal() if isinstance(one, events.Reconciled)]

    before = await reports()
    assert before[-1].findings[0].kind == "position_drift"
    for _ in range(3):
        await patrol.once("full", "time")
    assert await reports() == before


async def test_it_looks_at_start_by_the_clock_and_when_the_stream_came_back(pipeline: Pipeline) -> None:
    """What was executed while the stream was away is found by the look that its return makes."""
    await pipeline.ledger()
    patrol = await pipeline.patrol(start=True)
    await pipeline.until(lambda: patrol.looks >= 2)
    await pipeline.listener()
    await pipeline.until(lambda: _because(pipeline, "reconnect"))
    assert await _because(pipeline, "start")


class Leaping(SystemClock):
    """A clock that moves by what is slept, at once."""

    at_ms = 0

    def monotonic_ms(self) -> int:
        """What was slept so far."""
        return self.at_ms

    async def sleep_ms(self, duration_ms: float) -> None:
        """Move on."""
        self.at_ms += round(duration_ms)
        await super().sleep_ms(0)


@pytest.mark.parametrize(("jitter", "light_ms"), [(0.0, 80), (0.5, 100), (1.0, 120)])
async def test_light_and_full_looks_come_in_their_time_give_or_take_a_fifth(
    pipeline: Pipeline, jitter: float, light_ms: int
) -> None:
    """The first is full, and so is the first after the time of a full one."""
    patrol, clock, looks = await _opened(pipeline), Leaping(), list[tuple[str, int]]()
    once = patrol.once

    async def noted(depth: Depth, because: str, act: Callable[[Finding], bool] | None = None) -> Report:
        looks.append((depth, clock.at_ms))
        return await once(depth, because, act)

    patrol._clock, patrol._jitter = clock, lambda: jitter
    patrol.once = noted  # type: ignore[method-assign]  # the same, written down
    pipeline._start(patrol)
    await pipeline.until(lambda: len(looks) >= 12, 30)
    await pipeline.kill(patrol)
    wanted = [("full" if number in (0, 10) else "light", number * light_ms) for number in range(12)]
    assert looks[:12] == wanted


async def test_it_looks_when_the_servers_history_changed(pipeline: Pipeline) -> None:
    """Once the account is reconciled under the new one."""
    await pipeline.ledger()
    await pipeline.resolver(window_ms=100)
    patrol = await pipeline.patrol(start=True)
    await pipeline.until(lambda: patrol.looks)
    await pipeline.redis.hset(pipeline.keys.control, "history", "of a server that is gone")
    await pipeline.until(lambda: _because(pipeline, "history"), 30)
    assert (await pipeline.scripts.gate()).is_open


async def _because(pipeline: Pipeline, because: str) -> bool:
    told = [one for one in await pipeline.journal() if isinstance(one, events.Reconciled)]
    return any(one.because == because for one in told)


async def test_a_venue_that_wants_to_be_left_alone_is_not_asked_before(pipeline: Pipeline) -> None:
    """It is one failure, however often a look would have been due; then it is asked."""
    await pipeline.ledger()
    async with Proxy(pipeline.process.rest_url) as proxy:
        patrol = await pipeline.patrol(venue=await pipeline.venue(rest_url=proxy.url))
        patrol._clock = clock = Leaping()
        proxy.lookups_down, proxy.down = True, THROTTLED
        assert not await patrol._round("full", "start")
        asked = proxy.refused_lookups
        for _ in range(3):
            assert not await patrol._round("full", "time")
        assert (proxy.refused_lookups, patrol.failures) == (asked, 1)
        assert "asks to wait 1000 ms" in patrol.failed
        clock.at_ms += 1_000
        proxy.lookups_down = False
        assert await patrol._round("full", "time")


async def test_a_defect_that_meets_a_comparison_is_a_failure_and_ends_nobody(pipeline: Pipeline) -> None:
    """The resolver's other work must not end with it; the next look begins anew."""
    patrol = await _opened(pipeline)
    look = patrol._survey.look

    async def defect(since_ms: int | None) -> Any:
        raise KeyError(since_ms)

    patrol._survey.look = defect  # type: ignore[method-assign]  # stands for whatever nobody thought of
    assert not await patrol._round("full", "time")
    assert patrol.figures() == {"reconcile_failures": 1, "reconcile_failed": "KeyError"}
    patrol._survey.look = look  # type: ignore[method-assign]  # as it was
    assert await patrol._round("full", "time")
    assert patrol.figures() == {}


async def test_comparisons_that_fail_are_counted_until_one_succeeds(pipeline: Pipeline) -> None:
    """The venue does not answer; count and reason stand in the heartbeat, where a rule and `status` see them."""
    async with Proxy(pipeline.process.rest_url) as proxy:
        proxy.lookups_down = True
        patrol = await pipeline.patrol(venue=await pipeline.venue(rest_url=proxy.url))
        assert patrol.figures() == {}
        running = pipeline._start(patrol)
        await pipeline.until(lambda: patrol.failures >= 2, timeout_s=20)
        assert running.figures()["reconcile_failures"] == patrol.failures
        assert patrol.figures()["reconcile_failed"] == patrol.failed != ""
        proxy.lookups_down = False
        await pipeline.until(lambda: patrol.looks, timeout_s=20)
        await pipeline.until(lambda: patrol.figures() == {})
