"""What `/metrics` says, as Prometheus families. Pure; `account` and `role` label everything."""

from collections.abc import Iterator, Mapping
from typing import Any

from msgspec import Struct
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
    UntypedMetricFamily,
)

from consumers.health import Health, Surroundings
from streams.histogram import Histogram
from streams.measures import Measures

LABELS = ("account", "role")


class Told(Struct, frozen=True, kw_only=True):
    """What one role of one account says when it is asked.

    Attributes:
        account: its name.
        role: its name, `gateway.0`.
        health: of its loop.
        around: None when the server gave no answer.
        figures: what it counted since its start, as `status` shows it; whatever a role counts later is shown too.
        state: of the account, as `status --json` has it; of the one role that speaks for its account.
    """

    account: str
    role: str
    health: Health
    around: Surroundings | None
    figures: Mapping[str, Any]
    state: Mapping[str, Any] | None = None


def families(told: Told) -> Iterator[Metric]:
    """Families of one role of one account."""
    labels = (told.account, told.role)
    yield _gauge("fillonce_loop_age_seconds", "Since the role's loop last went round.", labels,
                 told.health.loop_age_ms / 1000)  # fmt: skip
    yield _gauge("fillonce_server_up", "1 while Redis answers.", labels, int(told.around is not None))
    if told.around is not None:
        yield _gauge("fillonce_gate_open", "1 while the account may trade.", labels, int(not told.around.shut))
        yield _by("fillonce_lag_entries", "Entries the role has still to read.", "stream", labels, told.around.lag)
        yield _by("fillonce_pending_entries", "Entries delivered and not acknowledged.", "stream", labels,
                  told.around.pending)  # fmt: skip
    counted = UntypedMetricFamily("fillonce_figure", "What the role counted since its start.", labels=(*LABELS, "name"))
    for name, value in told.figures.items():
        if isinstance(value, int | float):
            counted.add_metric((*labels, name), value)
    yield counted
    if told.state is not None:
        yield from _state(labels, told.state)


def measured(account: str, role: str, measures: Measures) -> Iterator[Metric]:
    """Families of what a process measured; `account` is empty where it serves several."""
    labels = (account, role)
    for name, histogram in measures.times.items():
        family = HistogramMetricFamily(f"fillonce_{name}_seconds", f"From {name.replace('_', ' ')}.", labels=LABELS)
        family.add_metric(labels, buckets(histogram), histogram.sum_ms / 1000)
        yield family
    for name, said, counts in (
        ("duplicates", "What was known before and changed nothing.", measures.duplicates),
        ("conflicts", "What contradicts something known under the same identity.", measures.conflicts),
    ):
        yield _by(f"fillonce_{name}", said, "source", labels, counts, CounterMetricFamily)
    hits = {name: one.hits for name, one in measures.caches.items()}
    misses = {name: one.misses for name, one in measures.caches.items()}
    yield _by("fillonce_cache_hits", "Answers of a cache.", "cache", labels, hits, CounterMetricFamily)
    yield _by("fillonce_cache_misses", "Questions a cache had no answer to.", "cache", labels, misses,
              CounterMetricFamily)  # fmt: skip


def buckets(histogram: Histogram) -> list[tuple[str, float]]:
    """Cumulative counts by upper bound in seconds, as Prometheus wants them."""
    total, found = 0, []
    for bound_ms, count in zip((*histogram.bounds_ms, None), histogram.counts, strict=True):
        total += count
        found.append(("+Inf" if bound_ms is None else str(bound_ms / 1000), float(total)))
    return found


def _state(labels: tuple[str, str], state: Mapping[str, Any]) -> Iterator[Metric]:
    """Families of an account as a whole."""
    orders, parked, reconciled = state["orders"], state["parked"], state["reconciled"]
    yield _by("fillonce_orders", "Live orders.", "status", labels, orders["by_status"])
    yield _gauge("fillonce_oldest_unknown_seconds", "How long the oldest order in doubt has been; 0 for none.", labels,
                 (orders["oldest_unknown_ms"] or 0) / 1000)  # fmt: skip
    yield _gauge("fillonce_parked_executions", "Executions that wait for their order.", labels, parked["executions"])
    yield _gauge("fillonce_parked_oldest_seconds", "How long the oldest of them has waited.", labels,
                 (parked["oldest_ms"] or 0) / 1000)  # fmt: skip
    yield _gauge("fillonce_quarantined_entries", "Entries in quarantine.", labels, state["quarantined"]["count"])
    yield _gauge("fillonce_switches", "Halts and reductions in force.", labels, len(state["switches"]))
    budgets = GaugeMetricFamily(
        "fillonce_rate_budget_left", "What is left of a request budget in its window.",
        labels=(*LABELS, "counted_by", "budget"),
    )  # fmt: skip
    for one in state["budgets"]:
        budgets.add_metric((*labels, one["counted_by"], one["budget"]), one["left"])
    yield budgets
    age_ms = state["stream_watermark_age_ms"]
    if age_ms is not None:
        yield _gauge("fillonce_stream_age_seconds", "Since the private stream was known to be complete.", labels,
                     age_ms / 1000)  # fmt: skip
    if reconciled is not None:
        yield _gauge("fillonce_reconcile_age_seconds", "Since the venue's books were last compared.", labels,
                     reconciled["age_ms"] / 1000)  # fmt: skip
        yield _gauge("fillonce_reconcile_left", "Differences that wait for a person.", labels, reconciled["left"])


def _gauge(name: str, said: str, labels: tuple[str, str], value: float) -> Metric:
    family = GaugeMetricFamily(name, said, labels=LABELS)
    family.add_metric(labels, value)
    return family


def _by(  # noqa: PLR0917 - a table's row
    name: str, said: str, label: str, labels: tuple[str, str], values: Mapping[str, float],
    kind: type[GaugeMetricFamily] | type[CounterMetricFamily] = GaugeMetricFamily,
) -> Metric:  # fmt: skip
    family = kind(name, said, labels=(*LABELS, label))
    for one, value in values.items():
        family.add_metric((*labels, one), value)
    return family
