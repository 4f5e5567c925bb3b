"""Crash points: where a role process can die, and which deaths a run tries. Pure.

A point is one kind of call out of our process (a script, a Redis command, a venue endpoint, a websocket step) as one
role makes it at one place of our code. `before`: nothing of the call has left. `after`: the reply is here, the caller
has not seen it. `lost`: the call was delivered, its reply never reaches the caller.

Who dies at a point is the role, the server, or the server for ever: then its replica, which was cut off some time
before, takes its place with an older history.
"""

import random
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, get_args

import msgspec
from msgspec import Struct
from msgspec.structs import replace

Phase = Literal["before", "after", "lost"]
Strike = Literal["role", "server", "history", "cut"]
Profile = Literal["plain", "park", "restart", "faults", "outage", "start"]
PHASES: Sequence[Phase] = get_args(Phase)
PROFILES: Sequence[Profile] = get_args(Profile)  # the surest and cheapest first
# Scenarios that a later occurrence is looked for in; `start` costs too much for what another one passes too.
COMMON: Sequence[Profile] = ("plain", "park", "restart", "faults", "outage")
# A pool grows in the first wave and never again; these open its connections anew.
REOPENING: Sequence[Profile] = ("restart", "outage", "faults", "start", "plain", "park")
# How often a recording runs each scenario.
WAVES: Mapping[Profile, int] = {"plain": 1, "park": 1, "restart": 1, "faults": 2, "outage": 1, "start": 1}
# Scenarios that a rare call is waited for in, by turns as planned and with faults.
RARE_TRIES = 6
# Deaths that share the scenario they happen in, what follows it, and its audit.
VOLLEY_MAX = 7
LOAD = "SCRIPT LOAD"
UNNAMED = "unnamed"
# A later occurrence is looked for among the first so many of a wave; further ones are the same place again.
LATER_MAX = 12


class Point(Struct, frozen=True, order=True):
    """One place where one role leaves our process.

    Attributes:
        role: `gateway`, `ledger`, `listener` or `resolver`.
        call: script, command or endpoint.
        site: functions of ours that make it, outermost first.
    """

    role: str
    call: str
    site: str

    def __str__(self) -> str:
        return f"{self.role}: {self.call} @ {self.site}"


class Target(Struct, frozen=True, kw_only=True):
    """One death.

    Attributes:
        point: where.
        phase: on which side of the call.
        strike: who dies: the role, the server, the server for ever (`history`), or only the connection (`cut`).
        nth: at which occurrence since it was armed, from 1.
        profile: the scenario that passes the point.
        kept: the occurrence before which a replica was told the last of what it has; 0 is before the scenario.
    """

    point: Point
    phase: Phase
    strike: Strike
    nth: int
    profile: Profile
    kept: int = 0

    def __str__(self) -> str:
        kept = f" (kept until {self.kept})" if self.strike == "history" else ""
        return f"{self.point}, {self.phase}, {self.strike}{kept}, occurrence {self.nth}, {self.profile}"


Passes = Mapping[Point, Mapping[Profile, int]]


def plan(passes: Passes, seed: int) -> list[Target]:
    """Every death of a run.

    Each point gets kill -9 of the role, of the server, and of a server whose replica takes its place, on every side of
    it, at its first occurrence and, where one scenario passes it more than once, at a seeded later one; and once a lost
    answer that nobody dies of.
    """
    found: list[Target] = []
    for point in sorted(passes):
        counts = passes[point]
        dice = random.Random(f"{seed}:{point}")
        connects = point.call == "connect"
        first = next(profile for profile in (REOPENING if connects else PROFILES) if counts.get(profile))
        steady = (first, *(REOPENING[:2] if connects else COMMON))
        repeated = [one for one in PROFILES if one in steady and counts.get(one, 0) // WAVES[one] > 1]
        found.append(Target(point=point, phase="lost", strike="cut", nth=1, profile=first))
        strikes: tuple[Strike, ...] = ("role", "server", "history")
        for strike in strikes:
            for phase in PHASES:
                occurrences = [(1, first)]
                if repeated:
                    profile = dice.choice(repeated)
                    occurrences.append((dice.randint(2, min(counts[profile] // WAVES[profile], LATER_MAX)), profile))
                for nth, profile in occurrences:
                    # What a call that is yet to come would write cannot be lost.
                    kept = dice.randint(0, nth - (phase == "before")) if strike == "history" else 0
                    found.append(Target(point=point, phase=phase, strike=strike, nth=nth, profile=profile, kept=kept))
    return found


def volleys(targets: Iterable[Target]) -> list[list[Target]]:
    """Put deaths of one scenario together, each at another point; a server is gone for ever once at most."""
    full: list[list[Target]] = []
    open_ones: dict[Profile, list[Target]] = {}
    for target in targets:
        volley = open_ones.setdefault(target.profile, [])
        if any(one.point == target.point or one.strike == target.strike == "history" for one in volley):
            full.append(volley)
            volley = open_ones[target.profile] = []
        volley.append(target)
        if len(volley) == VOLLEY_MAX:
            full.append(open_ones.pop(target.profile))
    return full + [volley for volley in open_ones.values() if volley]


def tries(target: Target) -> Sequence[Target]:
    """How a death is tried: as planned, so by itself, and a few times more, also where faults make rare calls frequent.

    A script is loaded by whoever asks for it first, and that is the role that starts alone.
    """
    kept = min(target.kept, 1 if target.phase != "before" else 0)
    rare: Sequence[Profile] = ("restart",) if target.point.call == LOAD else ("faults", target.profile)
    again = [replace(target, profile=rare[number % len(rare)], nth=1, kept=kept) for number in range(RARE_TRIES)]
    return target, *again


def sample(targets: Sequence[Target], count: int, seed: int) -> list[Target]:
    """A seeded choice that takes from as many points as it can."""
    dice = random.Random(f"sample:{seed}")
    by_point: dict[Point, list[Target]] = {}
    for target in targets:
        by_point.setdefault(target.point, []).append(target)
    order = sorted(by_point)
    dice.shuffle(order)
    chosen = [dice.choice(by_point[point]) for point in order[:count]]
    taken = set(chosen)
    left = [target for target in targets if target not in taken]
    return chosen + dice.sample(left, min(len(left), count - len(chosen)))


def counted(lines: Iterable[str]) -> dict[Point, dict[Profile, int]]:
    """Sum a recording: tab separated lines of profile, role, connection, bytes, call and site."""
    passes: dict[Point, dict[Profile, int]] = {}
    for line in lines:
        profile, role, _, _, call, site = line.rstrip("\n").split("\t")
        if call == "closed":
            continue
        counts = passes.setdefault(Point(role, call, site), {})
        named = msgspec.convert(profile, Profile)
        counts[named] = counts.get(named, 0) + 1
    return passes


def sent_bytes(lines: Iterable[str]) -> list[tuple[str, int]]:
    """Client name and bytes sent, of every connection that a recording has and that its process did not close."""
    counts: dict[str, int] = {}
    for line in lines:
        _, _, connection, size, call, _ = line.split("\t")
        if call == "closed":
            counts.pop(connection, None)
        elif connection:
            counts[connection] = counts.get(connection, 0) + int(size)
    return [(connection.partition("#")[0], count) for connection, count in counts.items()]
