"""A histogram that costs a binary search and an addition; whoever shows it reads it when asked. Pure."""

from bisect import bisect_left
from collections.abc import Iterable, Sequence

# From a tenth of a millisecond to the longest send window.
BOUNDS_MS: Sequence[float] = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 60_000)


class Histogram:
    """Counts times by upper bound.

    Attributes:
        bounds_ms: upper bounds, inclusive, ascending; what is above the last one is counted too.
        counts: one for each bound, and one for everything above.
        sum_ms: of everything that was added.
    """

    def __init__(self, bounds_ms: Sequence[float] = BOUNDS_MS) -> None:
        """Begin empty."""
        self.bounds_ms, self.counts, self.sum_ms = bounds_ms, [0] * (len(bounds_ms) + 1), 0.0

    def add(self, ms: float) -> None:
        """Count one time; two clocks that disagree can make it negative, which counts as none."""
        self.add_all((ms,))

    def add_all(self, times_ms: Iterable[float]) -> None:
        """Count times, as `add` does each."""
        bounds_ms, counts, sum_ms = self.bounds_ms, self.counts, self.sum_ms
        for ms in times_ms:
            if ms > 0:
                counts[bisect_left(bounds_ms, ms)] += 1
                sum_ms += ms
            else:
                counts[0] += 1
        self.sum_ms = sum_ms
