"""The journal's words: one entry of `events` per script call, holding every change that call made. Pure.

State is the fold of these entries. A change carries what is needed to make it again (decoded facts, never
only a result) and the digest of the order after it, which is also its event id: it stays the same when a
server that lost a suffix gives the entry another stream id.
"""

from typing import Literal

import msgspec
from msgspec import Struct

from streams.corrections import Move
from streams.schemas import (
    Adjustment,
    Command,
    CommandKind,
    Correction,
    Execution,
    Inferred,
    OrderReport,
    OrderStatus,
    Place,
)


class Change(Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="kind"):
    """What every change has: its event id."""

    id: str


class Created(Change, frozen=True, kw_only=True, omit_defaults=True, tag="created"):
    """An intent became an order."""

    client_order_id: str
    terms: Place
    fingerprint: str
    valid_until_ms: int
    entry: str = ""


class Imported(Change, frozen=True, kw_only=True, omit_defaults=True, tag="imported"):
    """The venue lists an order of ours that has no record: the server's history lost it, or it was before ours.

    Attributes:
        cause: `history`, or the finding of the reconciliation that made the record.
    """

    client_order_id: str
    terms: Place
    valid_until_ms: int
    cause: str = ""


class Claimed(Change, frozen=True, kw_only=True, omit_defaults=True, tag="claimed"):
    """A gateway took an order (or its cancel, or an amend) for sending, until `send_by_ms` on the server's clock.

    Attributes:
        sent: the amounts; of an amend its revision and fingerprint, too.
        entry: of `intents` that asks for the cancel or the amend; that of a place is the order's own.
    """

    client_order_id: str
    token: str
    gateway: str
    command: CommandKind
    send_by_ms: int
    sent: dict[str, str] = {}
    entry: str = ""


class Ended(Change, frozen=True, kw_only=True, omit_defaults=True, tag="ended"):
    """An order ended before anything of it was sent."""

    client_order_id: str
    status: OrderStatus
    reason: str


class CancelRequested(Change, frozen=True, kw_only=True, omit_defaults=True, tag="cancel_requested"):
    """A cancel waits for the order's outcome, or is on its way.

    Attributes:
        entry: of `intents` that asks for it.
        who: asked, where the intent names somebody.
    """

    client_order_id: str
    entry: str = ""
    who: str = ""


class Declined(Change, frozen=True, kw_only=True, omit_defaults=True, tag="declined"):
    """An amend came to nothing before anything of it was sent; the order is as it was.

    Attributes:
        entry: of `intents` that asked for it.
    """

    client_order_id: str
    revision: int
    fingerprint: str
    reason: str
    entry: str = ""


class Tombstone(Change, frozen=True, kw_only=True, omit_defaults=True, tag="tombstone"):
    """A cancel came for an identity not known here, so that a late place will not trade.

    Attributes:
        entry: of `intents` that asks for it.
        who: asked, where the intent names somebody.
    """

    client_order_id: str
    entry: str = ""
    who: str = ""


class Doubted(Change, frozen=True, kw_only=True, omit_defaults=True, tag="doubted"):
    """A send window closed without an answer: the order is `unknown` now.

    Attributes:
        cause: why else nobody can tell what became of the claim: `history`, or the finding of a reconciliation.
    """

    client_order_id: str
    token: str
    cause: str = ""


class Queued(Change, frozen=True, kw_only=True, omit_defaults=True, tag="queued"):
    """An order still to be sent got a new entry.

    Attributes:
        lost: the entry it had, which nobody has any more.
    """

    client_order_id: str
    entry: str
    lost: str = ""


class Updated(Change, frozen=True, kw_only=True, omit_defaults=True, tag="updated", gc=False):
    """Evidence moved an order.

    Attributes:
        facts: what was applied, in order.
        evidence: the entries they came from.
        status: the order's status after it.
        filled: sum of its executions after it, canonical text.
        position: key of the position it moved, if it did.
        quantity: of the whole order, canonical text, once an amend took effect.
        position_quantity: that position's quantity after the whole call, canonical text.
        now_ms: the time the fold used for what depends on it.
        resubmission_allowed: whether it took a lost place for one that may be sent again.
        moves: what counts and what counts no more, where that is not simply every execution among the facts.
    """

    client_order_id: str
    strategy: str
    symbol: str
    facts: tuple[Execution | OrderReport | Command | Inferred | Correction, ...]
    evidence: tuple[str, ...]
    status: OrderStatus
    filled: str
    now_ms: int
    resubmission_allowed: bool = True
    quantity: str = ""
    position: str = ""
    position_quantity: str = ""
    anomalies: tuple[str, ...] = ()
    moves: tuple[Move, ...] = ()


class Parked(Change, frozen=True, kw_only=True, omit_defaults=True, tag="parked"):
    """An execution, or a correction of one, waits for its order to become known.

    Attributes:
        execution: that waits, or that the correction takes back.
        correction: that waits; None where the execution itself does.
    """

    execution: Execution
    evidence: str
    correction: Correction | None = None


class Lapsed(Change, frozen=True, kw_only=True, omit_defaults=True, tag="lapsed"):
    """A parked execution waited too long for its order and went to quarantine.

    Attributes:
        venue_order: venue symbol and venue order id, with a colon between.
        execution_id: of the execution; of a correction its mark.
        since_ms: for how long one of that order has waited, server's clock.
    """

    venue_order: str
    execution_id: str
    since_ms: int = 0


class Passed(Change, frozen=True, kw_only=True, omit_defaults=True, tag="passed"):
    """Evidence that says nothing about an order, and why."""

    evidence: str
    reason: str


class Adjusted(Change, frozen=True, kw_only=True, omit_defaults=True, tag="adjusted"):
    """What the account holds beside its fills, or a position beside all orders, became another.

    Attributes:
        id: the adjustment's.
        adjustment: what was done.
        evidence: the entry that says so.
        symbol: of the position it moved, if it did.
        position_quantity: that position's quantity after it, canonical text.
    """

    adjustment: Adjustment
    evidence: str
    symbol: str = ""
    position_quantity: str = ""


class Found(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One finding of a reconciliation, and what was done about it.

    Attributes:
        id: of the finding.
        done: the action that was taken; empty when it was only reported.
        holds: what is not compared while it stands: assets (`*` for all of them) and positions by their keys.
    """

    id: str
    kind: str
    subject: str
    here: str
    there: str
    severity: str
    action: str
    age_ms: int
    symbol: str = ""
    strategy: str = ""
    evidence: tuple[str, ...] = ()
    done: str = ""
    holds: tuple[str, ...] = ()


class Reconciled(Change, frozen=True, kw_only=True, omit_defaults=True, tag="reconciled"):
    """The venue's books and ours were compared.

    Attributes:
        depth: `light` is open orders and balances, `full` closed orders and executions too.
        because: what made it happen.
        findings: the gravest of them.
        left_out: how many more there were.
    """

    depth: Literal["light", "full"]
    because: str
    findings: tuple[Found, ...] = ()
    left_out: int = 0


class Quarantined(Change, frozen=True, kw_only=True, omit_defaults=True, tag="quarantined"):
    """An entry that could not be used; its bytes are in `quarantine`."""

    stream: str
    entry: str
    reason: str


class Forgotten(Change, frozen=True, kw_only=True, omit_defaults=True, tag="forgotten"):
    """A record was removed after its retention; its identity stays spent.

    Attributes:
        ended_ms: its last commit, server's clock.
    """

    client_order_id: str
    month: str
    ended_ms: int = 0


class Switched(Change, frozen=True, kw_only=True, omit_defaults=True, tag="switched"):
    """A switch was turned: who, and why; an empty scope is the account."""

    to: Literal["halted", "reducing", "trading"]
    reason: str
    who: str
    scope: str = ""


class Clearing(Change, frozen=True, kw_only=True, omit_defaults=True, tag="clearing"):
    """All orders of a scope are being cancelled: who, and why; an empty scope is the account."""

    reason: str
    who: str
    scope: str = ""


class Opened(Change, frozen=True, kw_only=True, omit_defaults=True, tag="opened"):
    """The account was reconciled for this history of the server; claims may go out."""

    history: str


class Shut(Change, frozen=True, kw_only=True, omit_defaults=True, tag="shut"):
    """Another server served in between: what it did is not known here, so nothing is sent until it was asked for."""

    history: str


class Enabled(Change, frozen=True, kw_only=True, omit_defaults=True, tag="enabled"):
    """The account has started in order: what was reconciled is applied, limits hold, the private stream is whole.

    Attributes:
        entry: of `evidence` until which everything had to be applied.
    """

    entry: str = ""


class StreamLost(Change, frozen=True, kw_only=True, omit_defaults=True, tag="stream_lost"):
    """Nobody hears the private stream: new exposure waits; an empty connection says that none was open."""

    connection: str
    reason: str


class StreamWhole(Change, frozen=True, kw_only=True, omit_defaults=True, tag="stream_whole"):
    """The private stream is heard by this connection, and what was missed is applied.

    Attributes:
        entry: of `evidence` until which everything had to be applied.
    """

    connection: str
    entry: str = ""


AnyChange = (
    Created
    | Imported
    | Claimed
    | Ended
    | CancelRequested
    | Declined
    | Tombstone
    | Doubted
    | Queued
    | Updated
    | Parked
    | Lapsed
    | Passed
    | Adjusted
    | Reconciled
    | Quarantined
    | Forgotten
    | Switched
    | Clearing
    | Opened
    | Shut
    | Enabled
    | StreamLost
    | StreamWhole
)


class JournalEntry(Struct, frozen=True, kw_only=True):
    """The `data` of one entry of `events`.

    Attributes:
        v: format version.
        script: which script wrote it.
        at_ms: the server's clock.
        changes: what it did, in order.
    """

    v: int
    script: str
    at_ms: int
    changes: tuple[AnyChange, ...]


FORMAT_VERSION = 1

_decoder = msgspec.json.Decoder(JournalEntry)


def decode(data: bytes) -> JournalEntry:
    """Decode one entry of `events`.

    Raises:
        msgspec.ValidationError: it is not of a version this code knows.
    """
    entry = _decoder.decode(data)
    if entry.v != FORMAT_VERSION:
        raise msgspec.ValidationError(f"an entry of version {entry.v}; this code knows {FORMAT_VERSION}")
    return entry
