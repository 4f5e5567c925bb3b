"""What samples add up to: quantiles, medians over rounds with their spread, a verdict beside a goal. Pure."""

import math
import statistics
from collections.abc import Sequence
from typing import Literal

from msgspec import Struct

Verdict = Literal["met", "missed", "undecided", ""]
Better = Literal["less", "more"]


class Spread(Struct, frozen=True):
    """One figure over several rounds: the median round, the lowest and the highest."""

    median: float
    low: float
    high: float


class Row(Struct, frozen=True, kw_only=True):
    """One line of a report.

    Attributes:
        name: what was measured.
        unit: `ns`, `µs`, `ms`, `/s`, `B`, `MB`, or `times` for a ratio.
        spread: over the rounds.
        limit: the goal in the same unit, a bound on the side of `better`; None where a figure is only reported.
        better: whether less or more of it is.
        note: what a reader must know of it.
    """

    name: str
    unit: str
    spread: Spread
    limit: float | None = None
    better: Better = "less"
    note: str = ""

    @property
    def verdict(self) -> Verdict:
        """`missed` only when every round missed the goal, `met` only when every round met it."""
        if self.limit is None:
            return ""
        met = [_within(one, self.limit, self.better) for one in (self.spread.low, self.spread.high)]
        return "met" if all(met) else "undecided" if any(met) else "missed"


def _within(value: float, limit: float, better: Better) -> bool:
    return value <= limit if better == "less" else value >= limit


def quantile(samples: Sequence[float], share: float) -> float:
    """Give the smallest sample that at least `share` of all samples do not exceed.

    Raises:
        ValueError: there are no samples.
    """
    if not samples:
        raise ValueError("no samples, no quantile")
    ordered = sorted(samples)
    return ordered[max(math.ceil(share * len(ordered)), 1) - 1]


def spread(rounds: Sequence[float]) -> Spread:
    """Sum up one figure of each round."""
    return Spread(statistics.median(rounds), min(rounds), max(rounds))


def ratios(measured: Sequence[float], beside: Sequence[float]) -> list[float]:
    """Divide round by round: what disturbed a round disturbed both of its halves."""
    return [one / other for one, other in zip(measured, beside, strict=True)]


def rate(name: str, rounds: Sequence[float], note: str = "") -> Row:
    """Report how many there were a second."""
    return Row(name=name, unit="/s", spread=spread(rounds), better="more", note=note)


def times(
    name: str, measured: Sequence[float], beside: Sequence[float], *, better: Better, limit: float | None = None,
    note: str = "",
) -> Row:  # fmt: skip
    """Report a ratio, round by round."""
    return Row(name=name, unit="times", spread=spread(ratios(measured, beside)), limit=limit, better=better, note=note)


def number(value: float) -> str:
    """Write a figure as a person reads it."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
