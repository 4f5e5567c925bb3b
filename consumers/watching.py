"""What rules watch: the fold of the journal and of samples into figures, and which rules fire by them. Pure.

Everything is counted by the id of what happened, so that an entry that is delivered again changes nothing.
"""

from collections.abc import Mapping
from typing import assert_never

from msgspec import Struct
from msgspec.structs import replace

from streams import events
from streams.events import JournalEntry
from streams.rules import Action, Rules

MINUTE_MS = 60_000
KEPT_MAX = 10_000
DRIFTS = ("position_drift", "unexplained")
OTHERS = ("wait", "leave")  # actions: somebody else is at it, or nothing is to be done

Moments = Mapping[str, int]  # what happened -> when, server's clock


class Sample(Struct, frozen=True, kw_only=True):
    """How an account stands at a moment.

    Attributes:
        at_ms: the server's clock.
        waiting: entries of `evidence` that are not applied.
        failed: look-ups without an answer since `since`.
        since: the start of whoever counts them.
        reconcile_failures: comparisons of venue and records that failed since one succeeded.
        reconciled_at_ms: when venue and records were compared last; None when never.
        heard_at_ms: when the private stream was last known to be whole; None without a listener.
    """

    at_ms: int
    waiting: int = 0
    failed: int = 0
    since: int = 0
    reconcile_failures: int = 0
    reconciled_at_ms: int | None = None
    heard_at_ms: int | None = None


class Watched(Struct, frozen=True, kw_only=True):
    """What is known so far.

    Attributes:
        now_ms: the latest moment that was told of.
        began_ms: the first one.
        unknowns, anomalies, failures: of the last minute.
        refused: orders that the venue refused since it took one.
        drifts: positions that the last reconciliation could not explain.
        left: what else it found and nobody has put right.
        sample: the last one.
        firing: rules whose figure is too large.
    """

    now_ms: int = 0
    began_ms: int = 0
    unknowns: Moments = {}
    anomalies: Moments = {}
    failures: Moments = {}
    refused: frozenset[str] = frozenset()
    drifts: int = 0
    left: int = 0
    sample: Sample | None = None
    firing: frozenset[str] = frozenset()


class Firing(Struct, frozen=True, kw_only=True):
    """A rule whose figure became too large."""

    account: str
    rule: str
    action: Action
    value: int
    above: int
    at_ms: int

    @property
    def sentence(self) -> str:
        """Name, figure and bound."""
        return f"rule {self.rule}: {self.value} is above {self.above}"


def heard(watched: Watched, entry: JournalEntry) -> Watched:
    """Fold one entry of the journal."""
    now_ms = max(watched.now_ms, entry.at_ms)
    watched = replace(watched, now_ms=now_ms, began_ms=watched.began_ms or now_ms)
    for change in entry.changes:
        watched = _changed(watched, change, entry.at_ms)
    return watched


def sampled(watched: Watched, sample: Sample) -> Watched:
    """Fold one sample."""
    now_ms, before = max(watched.now_ms, sample.at_ms), watched.sample
    failures = watched.failures
    # A counter that began anew says nothing of what came before.
    if before is not None and before.since == sample.since and sample.failed > before.failed:
        added = {f"{sample.since}:{number}": sample.at_ms for number in range(before.failed, sample.failed)}
        failures = _recent({**failures, **added}, now_ms)
    return replace(watched, now_ms=now_ms, began_ms=watched.began_ms or now_ms, sample=sample, failures=failures)


def figures(watched: Watched) -> dict[str, int]:
    """Work out each rule's figure, by the rule's name."""
    now_ms, sample = watched.now_ms, watched.sample
    found = {
        "unknowns_per_minute": len(_recent(watched.unknowns, now_ms)),
        "refusals_in_a_row": len(watched.refused),
        "position_drifts": watched.drifts,
        "findings_left": watched.left,
        "lookup_failures_per_minute": len(_recent(watched.failures, now_ms)),
        "anomalies_per_minute": len(_recent(watched.anomalies, now_ms)),
        "reconcile_failures": 0,
        "reconcile_age_ms": 0,
        "stream_lost_ms": 0,
        "ledger_lag": 0,
    }
    if sample is None:
        return found
    reconciled_ms = watched.began_ms if sample.reconciled_at_ms is None else sample.reconciled_at_ms
    heard_ms = sample.at_ms if sample.heard_at_ms is None else sample.heard_at_ms
    return {
        **found,
        "reconcile_failures": sample.reconcile_failures,
        "reconcile_age_ms": max(0, sample.at_ms - reconciled_ms),
        "stream_lost_ms": max(0, sample.at_ms - heard_ms),
        "ledger_lag": sample.waiting,
    }


def judged(watched: Watched, rules: Rules, account: str) -> tuple[Watched, tuple[Firing, ...]]:
    """Say which rules fire now; one that fires already does not again before its figure was small enough."""
    found, on = figures(watched), rules.by_name()
    firing = frozenset(name for name, rule in on.items() if found[name] > rule.above)
    fired = tuple(
        Firing(
            account=account, rule=name, action=on[name].action, value=found[name], above=on[name].above,
            at_ms=watched.now_ms,
        )
        for name in sorted(firing - watched.firing)
    )  # fmt: skip
    return replace(watched, firing=firing), fired


def _changed(watched: Watched, change: events.AnyChange, at_ms: int) -> Watched:
    match change:
        case events.Doubted() | events.Imported():
            return _doubted(watched, change.id, at_ms)
        case events.Updated():
            return _updated(watched, change, at_ms)
        case events.Reconciled():
            open_ = [one for one in change.findings if not one.done and one.action not in OTHERS]
            drifts = sum(one.kind in DRIFTS for one in open_)
            return replace(watched, drifts=drifts, left=len(open_) - drifts)
        case (
            events.Created()
            | events.Claimed()
            | events.Ended()
            | events.CancelRequested()
            | events.Declined()
            | events.Tombstone()
            | events.Queued()
            | events.Parked()
            | events.Lapsed()
            | events.Passed()
            | events.Adjusted()
            | events.Quarantined()
            | events.Forgotten()
            | events.Switched()
            | events.Clearing()
            | events.Opened()
            | events.Shut()
            | events.Enabled()
            | events.StreamLost()
            | events.StreamWhole()
        ):
            return watched
        case _:
            assert_never(change)


def _updated(watched: Watched, change: events.Updated, at_ms: int) -> Watched:
    if change.anomalies:
        told = {f"{change.id}:{one}": at_ms for one in change.anomalies}
        watched = replace(watched, anomalies=_recent({**watched.anomalies, **told}, watched.now_ms))
    match change.status:
        case "unknown":
            return _doubted(watched, change.id, at_ms)
        case "rejected":
            refused = watched.refused | {change.client_order_id}
            return replace(watched, refused=refused) if len(refused) <= KEPT_MAX else watched
        case "open" | "partially_filled" | "filled":
            return replace(watched, refused=frozenset())
        case "created" | "submitting" | "cancelled" | "expired":
            return watched
        case _:
            assert_never(change.status)


def _doubted(watched: Watched, name: str, at_ms: int) -> Watched:
    return replace(watched, unknowns=_recent({**watched.unknowns, name: at_ms}, watched.now_ms))


def _recent(moments: Moments, now_ms: int) -> dict[str, int]:
    """Those of the last minute."""
    kept = {name: at_ms for name, at_ms in moments.items() if at_ms > now_ms - MINUTE_MS}
    return kept if len(kept) <= KEPT_MAX else dict(list(kept.items())[-KEPT_MAX:])
