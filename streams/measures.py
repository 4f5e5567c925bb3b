"""What a role measures of itself, for whoever asks: read when asked, so it costs nothing else. Pure."""

from collections.abc import Mapping

from msgspec import Struct

from streams.cache import Counters
from streams.histogram import Histogram


class Measures(Struct, frozen=True, kw_only=True):
    """Since the start of the process.

    Attributes:
        times: by what is timed, from one thing to the other.
        duplicates: what was known before and changed nothing, by where it came from.
        conflicts: what contradicts something known under the same identity, by where it came from.
        caches: by what they hold.
    """

    times: Mapping[str, Histogram] = {}
    duplicates: Mapping[str, int] = {}
    conflicts: Mapping[str, int] = {}
    caches: Mapping[str, Counters] = {}
