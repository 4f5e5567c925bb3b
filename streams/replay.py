"""Stored entries once more through the live path: a proof that everything is recognised, and a way to repair.

A replayed entry is a copy at the end of its stream. Whoever reads it decides as ever: what is known changes
nothing, what was missed is applied. Intents past their validity expire; none reaches a venue twice.
"""

from collections.abc import Callable, Sequence
from typing import Any, Literal

from msgspec import Struct
from redis.asyncio import Redis

from streams import events
from streams.clock import Clock
from streams.errors import StoreUnreachable
from streams.keys import GATEWAYS, LEDGERS, AccountKeys

StreamName = Literal["intents", "evidence"]

PAGE = 500
# Copies that may wait to be read: enough to keep every worker busy, and no second backlog.
WAITING_MAX = 20_000
LOOK_MS = 50
# Nothing handled for so long: longer than a restarted worker or server needs.
STALLED_MS = 60_000


class Replayed(Struct, frozen=True, kw_only=True):
    """What came of a replay.

    Attributes:
        read: entries delivered again.
        duplicates: of them, those that changed nothing.
        changes: changes of orders or parked executions that a copy made; 0 when everything had been applied.
        changed: the first of the orders they changed.
    """

    read: int
    duplicates: int
    changes: int
    changed: tuple[str, ...] = ()


CHANGED_MAX = 20


async def replay(  # noqa: PLR0917 - what, from where to where, and how it is watched
    redis: Redis,
    keys: AccountKeys,
    streams: Sequence[StreamName],
    start: str,
    end: str,
    clock: Clock,
    show: Callable[[int, int], None] | None = None,
) -> Replayed:
    """Deliver entries again and wait until they are dealt with.

    Args:
        redis: any connection.
        keys: whose entries.
        streams: which streams; intents are read by gateways, evidence by the ledger, and both must run.
        start: first entry id, or `-`.
        end: last entry id, or `+`; what is appended meanwhile is not replayed again.
        clock: for the waits.
        show: called with entries delivered and entries in all.
    """
    journal = await _last(redis, keys.events)
    copies: set[str] = set()
    for name in streams:
        stream, group = (keys.intents, GATEWAYS) if name == "intents" else (keys.evidence, LEDGERS)
        last = await _last(redis, stream)
        until = last if end == "+" else min(end, last, key=_order)
        copies |= await _copy(redis, stream, group, (start, until), clock, show)
        await _until_read(redis, stream, group, 0, clock)
    changes = await _changes(redis, keys, journal, copies)
    return Replayed(
        read=len(copies),
        duplicates=len(copies) - len({entry for entry, _ in changes}),
        changes=len(changes),
        changed=tuple(sorted({name for _, name in changes})[:CHANGED_MAX]),
    )


async def _copy(  # noqa: PLR0917 - as above
    redis: Redis, stream: str, group: str, span: tuple[str, str], clock: Clock,
    show: Callable[[int, int], None] | None,
) -> set[str]:  # fmt: skip
    copies: set[str] = set()
    (start, end), total = span, int(await redis.xlen(stream))
    while True:
        rows: Any = await redis.xrange(stream, min=start, max=end, count=PAGE)
        if not rows:
            return copies
        pipe = redis.pipeline(transaction=False)
        for _, fields in rows:
            pipe.xadd(stream, fields)
        copies |= {entry.decode() for entry in await pipe.execute()}
        start = f"({rows[-1][0].decode()}"
        if show is not None:
            show(len(copies), total)
        await _until_read(redis, stream, group, WAITING_MAX, clock)


async def _until_read(redis: Redis, stream: str, group: str, waiting_max: int, clock: Clock) -> None:
    last, moved_at_ms = -1, clock.monotonic_ms()
    while True:
        groups: Any = await redis.xinfo_groups(stream)
        row = next((one for one in groups if one["name"] == group.encode()), None)
        waiting = int(await redis.xlen(stream)) if row is None else await _behind(redis, stream, row)
        if waiting <= waiting_max:
            return
        if waiting != last:
            last, moved_at_ms = waiting, clock.monotonic_ms()
        elif clock.monotonic_ms() - moved_at_ms >= STALLED_MS:
            raise StoreUnreachable(
                f"{waiting} entries of {stream} wait and nobody handles them; does the pipeline run, and is "
                "the account not halted? What was delivered again is handled when it goes on."
            )
        await clock.sleep_ms(LOOK_MS)


async def _behind(redis: Redis, stream: str, row: Any) -> int:
    """Count what a group has not dealt with; the server gives no lag where entries were deleted."""
    if row["lag"] is not None:
        return int(row["lag"]) + int(row["pending"])
    unread: Any = await redis.xrange(stream, min=f"({row['last-delivered-id'].decode()}", count=WAITING_MAX + 1)
    return len(unread) + int(row["pending"])


async def _changes(redis: Redis, keys: AccountKeys, since: str, copies: set[str]) -> list[tuple[str, str]]:
    """Find what the copies changed: (entry, client order id or parked execution)."""
    found: list[tuple[str, str]] = []
    start = f"({since}" if since != "0-0" else "-"
    while True:
        rows: Any = await redis.xrange(keys.events, min=start, count=PAGE)
        if not rows:
            return found
        start = f"({rows[-1][0].decode()}"
        for _, fields in rows:
            for change in events.decode(fields[b"data"]).changes:
                found += [(entry, name) for entry, name in _caused(change) if entry in copies]


def _caused(change: events.AnyChange) -> list[tuple[str, str]]:
    match change:
        case events.Updated():
            return [(entry, change.client_order_id) for entry in change.evidence]
        case events.Created():
            return [(change.entry, change.client_order_id)]
        case events.Parked():
            return [(change.evidence, change.id)]
        case _:
            return []


async def _last(redis: Redis, stream: str) -> str:
    rows: Any = await redis.xrevrange(stream, count=1)
    return rows[0][0].decode() if rows else "0-0"


def _order(entry: str) -> tuple[int, int]:
    time, _, sequence = entry.partition("-")
    return int(time), int(sequence) if sequence else 2**63
