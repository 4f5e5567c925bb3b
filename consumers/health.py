"""Whether a role is healthy and whether it is ready: what is known of it, and the sentences against it. Pure."""

from collections.abc import Mapping, Sequence

from msgspec import Struct


class Health(Struct, frozen=True, kw_only=True):
    """How one role stands, as it or the server said.

    Attributes:
        loop_age_ms: since its loop last went round.
        waits_for: what it still needs before it can do its work; empty for nothing.
    """

    loop_age_ms: int
    waits_for: str = ""


class Surroundings(Struct, frozen=True, kw_only=True):
    """What a role depends on.

    Attributes:
        shut: why the account's gate is shut; empty when it is open.
        lag: entries still to be read, by stream, of what it reads.
        pending: entries delivered and not acknowledged, likewise.
    """

    shut: str = ""
    lag: Mapping[str, int] = {}
    pending: Mapping[str, int] = {}


class Bounds(Struct, frozen=True, kw_only=True):
    """What is borne with; see the settings of the same names."""

    alive_within_ms: int
    ready_lag_max: int


def ills(health: Health, bounds: Bounds) -> Sequence[str]:
    """Why it is not healthy; a role that only waits for the server or the venue is."""
    if health.loop_age_ms <= bounds.alive_within_ms:
        return ()
    return (f"its loop went round {health.loop_age_ms} ms ago, more than {bounds.alive_within_ms}",)


def hindrances(health: Health, around: Surroundings, bounds: Bounds) -> Sequence[str]:
    """Why it is not ready to do its work at once."""
    found = [*ills(health, bounds)]
    if health.waits_for:
        found.append(health.waits_for)
    if around.shut:
        found.append(around.shut)
    for stream, lag in around.lag.items():
        if lag > bounds.ready_lag_max:
            found.append(f"{lag} entries of {stream} are still to be read, more than {bounds.ready_lag_max}")
    return tuple(found)
