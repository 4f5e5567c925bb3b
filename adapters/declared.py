"""The parts of what a venue declares, and the table people read. Pure."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

from msgspec import Struct

from streams.identity import can_amend

if TYPE_CHECKING:
    from adapters.venue import VenueFacts

CountedBy = Literal["ip", "uid", "symbol"]

DAY_MS = 86_400_000


class LookUp(Struct, frozen=True, kw_only=True):
    """One endpoint that shows orders or executions.

    Attributes:
        shows: what is asked for.
        lag_ms: time after which what was accepted shows there.
        remembers_ms: how long it shows an order after its end; 0 where only while it is open, None where for ever.
        unfilled_ms: the same for an order that ended without a fill, where it differs.
    """

    shows: Literal["order by client id", "open orders", "orders since", "executions since", "executions of an order"]
    lag_ms: int
    remembers_ms: int | None
    unfilled_ms: int | None = None


class ExecutionIdentity(Struct, frozen=True, kw_only=True):
    """What makes two reports the same execution.

    Attributes:
        field: the venue's own id; empty where it has none.
        unique_within: what it is unique in.
        fingerprint: fields whose digest stands in where there is no id.
    """

    field: str
    unique_within: Literal["symbol", "account", "venue"]
    fingerprint: tuple[str, ...] = ()


class Budget(Struct, frozen=True, kw_only=True):
    """So much of something in so much time.

    Attributes:
        of: `weight`, or `orders`.
        limit: how many.
        interval_ms: in which time.
        counted_by: whose they are.
    """

    of: Literal["weight", "orders"]
    limit: int
    interval_ms: int
    counted_by: CountedBy


class Ordering(Struct, frozen=True, kw_only=True):
    """What the private stream promises of the order of its reports.

    Attributes:
        frames: `total` in one connection, or `none`.
        by: the venue's own field that orders reports of one order.
    """

    frames: Literal["total", "none"]
    by: str


def table(facts: "VenueFacts") -> Mapping[str, str]:
    """Say what a venue declares, by subject, in words for people."""
    rule, identity = facts.id_rule, facts.executions
    late = f"window up to {_span(facts.window_ms_max)}; a late request is {facts.late_send}"
    return {
        "client order id": f"`{rule.prefix}` and {len(rule.charset)} signs, at most {rule.length_max}",
        "a second order under one id": _DUPLICATES[facts.duplicates],
        "deadline of a request": f"{late}; one in time may act for {_span(facts.request_lifetime_ms)} more",
        "clock": f"within {_span(facts.clock_bound_ms)} of ours",
        "look-ups": "; ".join(_look_up(one) for one in facts.look_ups),
        "execution": f"{identity.field} within a {identity.unique_within}"
        if identity.field
        else f"digest of {', '.join(identity.fingerprint)}",
        "private stream": (
            f"none; the account is asked every {_span(facts.polls_ms)}"
            if facts.polls_ms
            else _FRAMES[facts.ordering.frames]
        )
        + f"; reports of an order by {facts.ordering.by}",
        "order entry": _list(facts.order_entry),
        "batches": f"{facts.batch_place} places, {facts.batch_cancel} cancels of a symbol"
        if facts.batch_place
        else "none",
        "amends": _AMENDS[facts.amends] if can_amend(rule) else "not possible",
        "order types": _list(facts.types),
        "time in force": _list(facts.times_in_force),
        "flags": _list(facts.flags),
        "positions": _list(facts.position_sides),
        "request weights": ", ".join(f"{name} {weight}" for name, weight in facts.weights.items()) or "not known",
        "budgets": "; ".join(
            f"{one.limit} {one.of} in {_span(one.interval_ms)} by {one.counted_by}" for one in facts.budgets
        )
        or "not known",
    }


def markdown(venues: Mapping[str, "VenueFacts"]) -> str:
    """Write the table of the README: a row a subject, a column a venue."""
    columns = {name: table(facts) for name, facts in venues.items()}
    subjects = list(next(iter(columns.values())))
    lines = [f"| | {' | '.join(columns)} |", "|---" * (len(columns) + 1) + "|"]
    lines += [f"| {subject} | {' | '.join(column[subject] for column in columns.values())} |" for subject in subjects]
    return "\n".join(lines) + "\n"


def _look_up(one: LookUp) -> str:
    match one.remembers_ms:
        case None:
            kept = ""
        case 0:
            kept = " while open" if one.shows != "open orders" else ""
        case _:
            kept = f" for {_span(one.remembers_ms)}"
    if one.unfilled_ms is not None:
        kept += f" ({_span(one.unfilled_ms)} without a fill)"
    return f"{one.shows}{kept}, after {_span(one.lag_ms)}"


def _span(ms: int) -> str:
    for unit, size in (("d", DAY_MS), ("min", 60_000), ("s", 1_000)):
        if ms and ms % size == 0:
            return f"{ms // size} {unit}"
    return f"{ms} ms"


def _list(words: frozenset[str]) -> str:
    return ", ".join(sorted(words)) or "none"


_AMENDS = {
    "in place": "in place",
    "by replacing": "by replacing, at once where nothing was executed; else cancelled, then placed",
    "no": "cancelled, then placed",
}
_FRAMES = {"total": "frames in order", "none": "frames in no promised order"}
_DUPLICATES = {
    "never": "accepted, always",
    "while_open": "refused while the first is open, accepted after its end",
    "window": "refused for a time",
    "always": "refused for ever",
}
