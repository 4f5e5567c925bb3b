"""The journal's entries about one order, oldest first, with the evidence each of them names.

The journal is read backwards from its end to the order's beginning, so that a recent order is found at once.
"""

from collections.abc import Callable, Sequence
from typing import Any, cast

from msgspec import Struct
from msgspec.structs import replace
from redis.asyncio import Redis

from streams import codec, events
from streams.keys import AccountKeys
from streams.schemas import Order

PAGE = 1_000
_BEGINNINGS = (events.Created, events.Imported, events.Tombstone)


class Piece(Struct, frozen=True, kw_only=True):
    """One entry of `evidence`, or the intent of an order.

    Attributes:
        entry: its id.
        source: how we came to it; `intent`, or `trimmed` where it is not there any more.
        received_at_ns: wall clock of the process that received it; 0 for an intent.
        format: how the bytes are to be decoded; empty when there are none.
        raw: the bytes.
        finding: of the reconciliation that wrote it; empty for every other source.
    """

    entry: str
    source: str
    received_at_ns: int = 0
    format: str = ""
    raw: bytes = b""
    finding: str = ""


class Step(Struct, frozen=True):
    """One change of one order.

    Attributes:
        entry: of `events`.
        at_ms: the server's clock.
        change: what was done.
        pieces: the evidence that caused it.
    """

    entry: str
    at_ms: int
    change: events.AnyChange
    pieces: Sequence[Piece]


async def trace(
    redis: Redis, keys: AccountKeys, client_order_id: str, order: Order | None, read: Callable[[int], None]
) -> list[Step]:
    """Read everything the journal says of one order.

    Args:
        redis: a client.
        keys: of the account.
        client_order_id: which order.
        order: its record, whose venue order ids lead to what was parked for it; None when it is forgotten.
        read: told how many entries were read, again and again.
    """
    venue_order_ids = frozenset(order.state.venue_order_ids if order else ())
    needles = [name.encode() for name in (client_order_id, *venue_order_ids)]
    steps: list[Step] = []
    end = "+"
    while rows := cast("Any", await redis.xrevrange(keys.events, max=end, count=PAGE)):
        read(len(rows))
        for name, fields in rows:
            data = fields[b"data"]
            if not any(needle in data for needle in needles):
                continue
            entry = events.decode(data)
            for change in reversed(entry.changes):
                change = _own(change, client_order_id)  # noqa: PLW2901 - of a report only what concerns it
                if not _about(change, client_order_id, venue_order_ids):
                    continue
                steps.append(Step(name.decode(), entry.at_ms, change, await _pieces(redis, keys, change)))
                if isinstance(change, _BEGINNINGS):
                    return steps[::-1]
        end = f"({rows[-1][0].decode()}"
    return steps[::-1]


def _about(change: events.AnyChange, client_order_id: str, venue_order_ids: frozenset[str]) -> bool:
    match change:
        case events.Parked(execution=one):
            return one.client_order_id == client_order_id or one.venue_order_id in venue_order_ids
        case events.Reconciled(findings=findings):
            return bool(findings)
        case events.Lapsed(venue_order=name):
            return name.rpartition(":")[2] in venue_order_ids
        case _:
            return getattr(change, "client_order_id", None) == client_order_id


def _own(change: events.AnyChange, client_order_id: str) -> events.AnyChange:
    """Leave of a reconciliation's report what it found of this order and did about it."""
    if not isinstance(change, events.Reconciled):
        return change
    return replace(change, findings=tuple(one for one in change.findings if one.subject == client_order_id))


async def _pieces(redis: Redis, keys: AccountKeys, change: events.AnyChange) -> list[Piece]:
    match change:
        case (
            events.Created(entry=name)
            | events.Queued(entry=name)
            | events.Claimed(entry=name)
            | events.CancelRequested(entry=name)
            | events.Tombstone(entry=name)
            | events.Declined(entry=name)
        ) if name:
            rows: Any = await redis.xrange(keys.intents, name, name)
            return [Piece(entry=name, source="intent", raw=rows[0][1][b"data"])] if rows else [_trimmed(name)]
        case events.Updated(evidence=names):
            wanted: Sequence[str] = tuple(dict.fromkeys(names))
        case events.Parked(evidence=name):
            wanted = (name,)
        case _:
            return []
    pipe = redis.pipeline(transaction=False)
    for name in wanted:
        pipe.xrange(keys.evidence, name, name)
    return [_piece(name, rows) for name, rows in zip(wanted, await pipe.execute(), strict=True)]


def _piece(name: str, rows: Any) -> Piece:
    if not rows:
        return _trimmed(name)
    said, raw = codec.decode_evidence(rows[0][1][b"data"]), rows[0][1].get(b"raw", b"")
    return Piece(
        entry=name, source=said.source, received_at_ns=said.received_at_ns, format=said.format, raw=raw,
        finding=said.finding,
    )  # fmt: skip


def _trimmed(name: str) -> Piece:
    return Piece(entry=name, source="trimmed")
