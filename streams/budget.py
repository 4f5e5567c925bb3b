"""Request budgets of a venue, shared by all processes: what is counted, what a request costs, who may use what. Pure.

A venue counts in fixed windows of its own clock, by address or by account. Of every limit a part is kept for what
matters more: cancels can still go out when nothing else can.
"""

from collections.abc import Mapping, Sequence
from typing import Literal, Protocol

import msgspec
from msgspec import Struct

Urgency = Literal["cancel", "reduce", "query", "new"]
Of = Literal["weight", "orders"]

# Percent of a limit that may be used before a request of this urgency waits. What is left above the highest is for
# what is never asked for: the subscription of the private stream and its keys. New orders leave a fifth of a limit,
# because whoever floods the venue needs that to take back what rests, to reduce, and to learn what became of the rest.
SHARES: Mapping[Urgency, int] = {"cancel": 98, "reduce": 95, "query": 90, "new": 80}
# On its way a request may pass the edge of a window, and two clocks differ.
GUARD_MS = 1_000
_SPANS = ((86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1_000, "s"), (1, "ms"))


class Cost(Struct, frozen=True):
    """What one request uses: weight of the address, places in the order counts of the account; and how urgent it is."""

    urgency: Urgency
    weight: int = 0
    orders: int = 0


class Reading(Struct, frozen=True):
    """What the venue said of one of its budgets.

    Attributes:
        of: what is counted.
        interval_ms: of the window.
        count: used so far; -1 when it did not say.
        limit: of the window; 0 when it did not say.
    """

    of: Of
    interval_ms: int
    count: int = -1
    limit: int = 0


class Usage(Struct, frozen=True):
    """What one answer said of budgets.

    Attributes:
        readings: counts and limits.
        block_ms: for how long nothing of this address is answered.
        over: the answer is a refusal because of these readings.
    """

    readings: tuple[Reading, ...] = ()
    block_ms: int = 0
    over: bool = False


class Counter(Struct, frozen=True):
    """One budget: its field in the hash, what the venue declares."""

    name: str
    limit: int
    interval_ms: int

    @property
    def guard_ms(self) -> int:
        """How near an edge of the window the venue may count a request on its other side."""
        return min(GUARD_MS, self.interval_ms // 10)


class Pot(Struct, frozen=True):
    """Budgets that a request uses together: the same thing, counted by the same.

    Attributes:
        key: of the hash.
        of: what is counted.
        blocked: field of a block.
        counters: the budgets.
    """

    key: str
    of: Of
    blocked: str
    counters: tuple[Counter, ...]

    def need(self, cost: Cost) -> int:
        """How much of these a request uses."""
        return cost.weight if self.of == "weight" else cost.orders


class Allowance(Protocol):
    """Whom a venue asks before it sends anything, and tells what the answer said."""

    async def take(self, cost: Cost, *, ahead_ms: int, patience_ms: int = 0) -> int:
        """Take what a request costs, or nothing.

        Args:
            cost: of the request.
            ahead_ms: what the venue's clock shows more than the Redis server's.
            patience_ms: longest wait for it.

        Returns:
            0 when the request may go out, else ms after which asking again may be of use.
        """
        ...

    async def heard(self, usage: Usage, *, ahead_ms: int, began_ms: int, ended_ms: int) -> None:
        """Learn from an answer; began and ended are the venue's clock before the request and after the answer."""
        ...


class Told(Struct, frozen=True):
    """What is known of one counter from answers: the window's number, what was used in it, and the limit."""

    window: int = -1
    count: int = -1
    limit: int = 0


class Grant(Struct, frozen=True):
    """What `lua/rate.lua` answered.

    Attributes:
        wait_ms: how long to wait; 0 when it was granted.
        granted: how much, at least what was needed.
        good_ms: for how long what is kept of it is good; or, to wait, after how long anybody gets more.
    """

    wait_ms: int
    granted: int
    good_ms: int


class Left(Struct, frozen=True):
    """How much of one budget is left in the present window."""

    budget: str
    left: int
    limit: int


class _Stored(Struct, frozen=True, array_like=True):
    """A counter as `lua/rate.lua` stores it."""

    window: int
    used: int
    tail: int
    before: int
    promised: int
    limit: int
    learned: int
    interval_ms: int


def name_of(of: Of, interval_ms: int, scope: str = "") -> str:
    """Name a budget for people: `orders/10s`; a scope tells addresses of several venues apart."""
    size, unit = next((size, unit) for size, unit in _SPANS if interval_ms % size == 0)
    return f"{scope} {of}/{interval_ms // size}{unit}".strip()


def learned(known: Told, reading: Reading, counter: Counter, *, began_ms: int, ended_ms: int, over: bool) -> Told:
    """Put a reading to what is known; a count near an edge may be of either window, so only a refusal is believed."""
    window = ended_ms // counter.interval_ms
    sure = (
        (began_ms - counter.guard_ms) // counter.interval_ms
        == (ended_ms + counter.guard_ms) // counter.interval_ms
        == window
    )
    limit = reading.limit or known.limit
    if reading.count < 0 or not (sure or over) or window < known.window:
        return Told(known.window, known.count, limit)
    return Told(window, max(reading.count, known.count if known.window == window else -1), limit)


def plan(
    pot: Pot, need: int, urgency: Urgency, told: Mapping[str, Told], *, ahead_ms: int, block_ms: int = 0
) -> bytes:  # fmt: skip
    """Write the plan of `lua/rate.lua`; with nothing needed it only tells."""
    counters = []
    for one in pot.counters:
        known = told.get(one.name, Told())
        counters.append({
            "name": one.name, "limit": one.limit, "interval_ms": one.interval_ms, "guard_ms": one.guard_ms,
            "count": known.count, "window": known.window, "told": known.limit,
        })  # fmt: skip
    return msgspec.msgpack.encode({
        "need": need, "share": SHARES[urgency], "queues": urgency == "new", "ahead_ms": ahead_ms,
        "blocked": pot.blocked, "block_ms": block_ms, "counters": counters,
    })  # fmt: skip


def left(stored: Mapping[bytes, bytes], now_ms: int) -> Sequence[Left]:
    """Read what is left of every budget of a hash: all of it in a window nobody has used, nothing while blocked."""
    found = []
    blocked = {
        name.decode().partition(":")[2] for name, value in stored.items()
        if name.startswith(BLOCKED) and msgspec.msgpack.decode(value, type=int) > now_ms
    }  # fmt: skip
    for name, value in sorted(stored.items()):
        if name.startswith(BLOCKED):
            continue
        one = msgspec.msgpack.decode(value, type=_Stored)
        used = one.used if one.window >= now_ms // one.interval_ms else 0
        budget = name.decode()
        shut = any(budget.startswith(scope) for scope in blocked)
        found.append(Left(budget, 0 if shut else max(0, one.limit - used), one.limit))
    return found


BLOCKED = b"blocked:"
