"""What rules watch: figures are folds of what happened, each thing once, and a rule fires when it becomes too large."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import asdict, replace

from consumers.watching import MINUTE_MS, Firing, Sample, Watched, figures, heard, judged, sampled
from streams import events
from streams.events import AnyChange, JournalEntry
from streams.rules import Action, Rule, Rules
from streams.schemas import OrderStatus

NOW = 1_700_000_000_000


def entry(at_ms: int, *changes: AnyChange) -> JournalEntry:
    """One entry of the journal."""
    return JournalEntry(v=1, script="commit", at_ms=at_ms, changes=changes)


def updated(number: int, status: OrderStatus, *anomalies: str) -> events.Updated:
    """An order that evidence moved."""
    return events.Updated(
        id=f"u{number}", client_order_id=f"fo-{number}", strategy="s", symbol="BTC/USDT", facts=(), evidence=(),
        status=status, filled="0", now_ms=0, anomalies=anomalies,
    )  # fmt: skip


def doubted(number: int) -> events.Doubted:
    """An order that became unknown."""
    return events.Doubted(id=f"doubt:{number}", client_order_id=f"fo-{number}", token="t")


def reconciled(*kinds: str, done: str = "", action: str = "person") -> events.Reconciled:
    """A reconciliation that found this."""
    told = [
        events.Found(
            id=str(number), kind=kind, subject="x", here="1", there="2", severity="critical", action=action, age_ms=0,
            done=done,
        )
        for number, kind in enumerate(kinds)
    ]  # fmt: skip
    return events.Reconciled(id="r", depth="full", because="time", findings=tuple(told))


def told(*entries: JournalEntry) -> dict[str, int]:
    """The figures after these."""
    watched = Watched()
    for one in entries:
        watched = heard(watched, one)
    return figures(watched)


def test_orders_in_doubt_are_counted_for_a_minute() -> None:
    """Those that timed out, those the venue's answer left open, and those without an intent."""
    seen = [entry(NOW, doubted(1)), entry(NOW + 1, updated(2, "unknown"))]
    assert told(*seen)["unknowns_per_minute"] == 2
    assert told(*seen, entry(NOW + MINUTE_MS, updated(3, "open")))["unknowns_per_minute"] == 1
    assert told(*seen, entry(NOW + MINUTE_MS + 1, updated(3, "open")))["unknowns_per_minute"] == 0


def test_refusals_are_counted_until_the_venue_takes_an_order() -> None:
    """What a limit of ours rejects is none of the venue's."""
    seen = [entry(NOW, updated(number, "rejected")) for number in range(3)]
    limit = events.Ended(id="e", client_order_id="fo-9", status="rejected", reason="a limit")
    assert told(*seen, entry(NOW, limit))["refusals_in_a_row"] == 3
    assert told(*seen, entry(NOW, updated(7, "cancelled")))["refusals_in_a_row"] == 3
    assert told(*seen, entry(NOW, updated(7, "open")))["refusals_in_a_row"] == 0


def test_the_last_reconciliation_says_which_positions_drift() -> None:
    """Put right they count no more; balances and orders are told by other kinds."""
    assert told(entry(NOW, reconciled("position_drift", "unexplained", "orphan")))["position_drifts"] == 2
    assert told(entry(NOW, reconciled("position_drift", done="adjust")))["position_drifts"] == 0
    assert told(entry(NOW, reconciled("unexplained")), entry(NOW, reconciled()))["position_drifts"] == 0


def test_what_a_reconciliation_leaves_to_a_person_is_told() -> None:
    """Not what was done, what the resolver is at, or what the settings say is to be left; positions have their own."""
    assert told(entry(NOW, reconciled("busted", "balance_drift", "position_drift")))["findings_left"] == 2
    assert told(entry(NOW, reconciled("busted", done="correct")))["findings_left"] == 0
    assert (
        told(entry(NOW, reconciled("ghost", action="wait"), reconciled("orphan", action="leave")))["findings_left"] == 0
    )
    assert told(entry(NOW, reconciled("busted")), entry(NOW, reconciled()))["findings_left"] == 0


def test_anomalies_are_counted_each() -> None:
    """An order may have several at once."""
    assert told(entry(NOW, updated(1, "filled", "overfilled", "double")))["anomalies_per_minute"] == 2


def test_samples_tell_what_the_journal_does_not() -> None:
    """Ages and lags; failures of a counter that begins anew are not made up."""
    first = Sample(at_ms=NOW, failed=5, since=1, waiting=3, heard_at_ms=NOW - 10, reconciled_at_ms=NOW - 20)
    watched = sampled(Watched(), first)
    assert figures(watched) | {"ledger_lag": 3, "stream_lost_ms": 10, "reconcile_age_ms": 20} == figures(watched)
    assert figures(watched)["lookup_failures_per_minute"] == 0
    watched = sampled(watched, Sample(at_ms=NOW + 1_000, failed=9, since=1))
    assert figures(watched)["lookup_failures_per_minute"] == 4
    watched = sampled(watched, Sample(at_ms=NOW + 2_000, failed=7, since=2))
    assert figures(watched)["lookup_failures_per_minute"] == 4
    assert figures(watched)["reconcile_age_ms"] == 2_000  # never, as far as this sample knows
    assert figures(sampled(watched, Sample(at_ms=NOW + 70_000, since=2)))["lookup_failures_per_minute"] == 0


def test_comparisons_that_fail_fire_long_before_the_last_one_is_old() -> None:
    """Counted since one succeeded, by whoever compares."""
    rules = Rules(reconcile_failures=Rule(above=2, action="halted"))
    watched, fired = Watched(), list[str]()
    for failures in (0, 1, 2, 3, 4, 0):
        sample = Sample(at_ms=NOW, reconciled_at_ms=NOW, reconcile_failures=failures)
        watched, firing = judged(sampled(watched, sample), rules, "sim.main")
        fired += [one.sentence for one in firing]
    assert fired == ["rule reconcile_failures: 3 is above 2"]


# What each rule watches, and nothing else: what the journal told, and a sample.
SEEN: list[tuple[str, list[JournalEntry], Sample]] = [
    ("unknowns_per_minute", [entry(NOW, doubted(1))], Sample(at_ms=NOW)),
    ("refusals_in_a_row", [entry(NOW, updated(1, "rejected"))], Sample(at_ms=NOW)),
    ("position_drifts", [entry(NOW, reconciled("position_drift"))], Sample(at_ms=NOW)),
    ("findings_left", [entry(NOW, reconciled("busted"))], Sample(at_ms=NOW)),
    ("reconcile_failures", [], Sample(at_ms=NOW, reconcile_failures=1)),
    ("reconcile_age_ms", [], Sample(at_ms=NOW, reconciled_at_ms=NOW - 1)),
    ("lookup_failures_per_minute", [], Sample(at_ms=NOW, failed=1)),
    ("stream_lost_ms", [], Sample(at_ms=NOW, heard_at_ms=NOW - 1)),
    ("ledger_lag", [], Sample(at_ms=NOW, waiting=1)),
    ("anomalies_per_minute", [entry(NOW, updated(1, "filled", "overfilled"))], Sample(at_ms=NOW)),
]


def test_every_rule_is_among_those_that_are_seen_to_fire() -> None:
    """None is left out below."""
    assert {rule for rule, _, _ in SEEN} == set(Rules().by_name())


@pytest.mark.parametrize("seen", SEEN, ids=lambda one: one[0])
def test_every_rule_fires_by_what_it_watches_and_by_nothing_else(seen: tuple[str, list[JournalEntry], Sample]) -> None:
    """Whatever the others' figures are."""
    rule, entries, sample = seen
    watched = sampled(Watched(), Sample(at_ms=NOW - 1))
    for one in entries:
        watched = heard(watched, one)
    every = Rules(**dict.fromkeys(Rules().by_name(), Rule(above=0)))  # type: ignore[arg-type]  # every rule
    before = Sample(at_ms=NOW, reconciled_at_ms=NOW, heard_at_ms=NOW)
    now = replace(before, **{name: value for name, value in asdict(sample).items() if value})
    _, fired = judged(sampled(watched, now), every, "sim.main")
    assert [one.rule for one in fired] == [rule]


def test_a_rule_fires_when_its_figure_becomes_too_large_and_again_after_it_was_not() -> None:
    """Not at every look in between."""
    rules = Rules(stream_lost_ms=Rule(above=100, action="reducing"))
    watched, fired = Watched(), list[Sequence[Firing]]()
    for age in (100, 101, 5_000, 0, 101):
        watched, one = judged(sampled(watched, Sample(at_ms=NOW, heard_at_ms=NOW - age)), rules, "sim.main")
        fired.append(one)
    assert [len(one) for one in fired] == [0, 1, 0, 0, 1]
    [firing] = fired[1]
    assert (firing.action, firing.sentence) == ("reducing", "rule stream_lost_ms: 101 is above 100")


@pytest.mark.parametrize("action", ["off", "alert"])
def test_a_rule_that_is_off_never_fires(action: Action) -> None:
    """Whatever its figure."""
    rules = Rules(ledger_lag=Rule(above=0, action=action))
    _, fired = judged(sampled(Watched(), Sample(at_ms=NOW, waiting=9)), rules, "sim.main")
    assert [one.rule for one in fired] == ([] if action == "off" else ["ledger_lag"])


CHANGES = st.one_of(
    st.integers(0, 9).map(doubted),
    st.builds(updated, st.integers(0, 9), st.sampled_from(["unknown", "rejected", "open", "filled"])),
    st.lists(st.sampled_from(["position_drift", "orphan"]), max_size=3).map(lambda kinds: reconciled(*kinds)),
)
ENTRIES = st.lists(st.tuples(st.integers(0, 2 * MINUTE_MS), st.lists(CHANGES, max_size=3)), max_size=12)


@given(ENTRIES, st.integers(0, 11))
def test_an_entry_that_is_delivered_again_at_once_changes_nothing(
    seen: list[tuple[int, list[Any]]], twice: int
) -> None:
    """At least once is what a delivery promises."""
    once, again = Watched(), Watched()
    for number, (at_ms, changes) in enumerate(seen):
        one = entry(NOW + at_ms, *changes)
        once = heard(once, one)
        again = heard(again, one)
        if number == twice:
            again = heard(again, one)
    assert figures(once) == figures(again)


@given(ENTRIES)
def test_figures_are_what_a_count_by_hand_says(seen: list[tuple[int, list[Any]]]) -> None:
    """Over the last minute before the latest moment, by id."""
    watched, latest = Watched(), 0
    doubts: dict[str, int] = {}
    refused: set[str] = set()
    for at_ms, changes in seen:
        watched = heard(watched, entry(NOW + at_ms, *changes))
        latest = max(latest, NOW + at_ms)
        for change in changes:
            status = getattr(change, "status", "")
            if isinstance(change, events.Doubted) or status == "unknown":
                doubts[change.id] = NOW + at_ms
            elif status == "rejected":
                refused.add(change.client_order_id)
            elif status:
                refused.clear()
    found = figures(watched)
    assert found["unknowns_per_minute"] == sum(at_ms > latest - MINUTE_MS for at_ms in doubts.values())
    assert found["refusals_in_a_row"] == len(refused)


def test_every_rule_of_the_settings_has_a_figure() -> None:
    """A rule that is added must be watched."""
    assert set(Rules().by_name()) == set(figures(Watched()))
