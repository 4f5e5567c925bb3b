"""What samples add up to: quantiles, medians over rounds with their spread, a verdict beside a goal. Pure."""

import math
import statistics
from collections.abc import Sequence
from typing import Literal

from msgspec import Struct

Verdict = Literal["met", "missed", "undecided", ""]


class Spread(Struct, frozen=True):
    """One figure over several rounds: the median round, the lowest and the highest."""

    median: float
    low: float
    high: float


class Row(Struct, frozen=True, kw_only=True):
    """One line of a report.

    Attributes:
        name: what was measured.
        unit: `ns`, `µs`, `/s`, or `times` for a ratio.
        spread: over the rounds.
        limit: the goal, an upper bound in the same unit; None where a figure is only reported.
    """

    name: str
    unit: str
    spread: Spread
    limit: float | None = None

    @property
    def verdict(self) -> Verdict:
        """`missed` only when every round missed the goal, `met` only when every round met it."""
        if self.limit is None:
            return ""
        if self.spread.low > self.limit:
            return "missed"
        return "met" if self.spread.high <= self.limit else "undecided"


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
