"""What scripts are given and what they answer, as types. Pure.

A plan is what a script will be asked to do, decided before; a verdict is what it did. `streams.scripts` turns
one into arguments and answers into the other.
"""

from collections.abc import Sequence

from msgspec import Struct

from streams.schemas import CommandKind, Order, Place


class PublishItem(Struct, frozen=True, gc=False):
    """One intent of a publish call; a cancel has no terms.

    Attributes:
        data: the intent, encoded; of a place it is the terms of its record.
        client_order_id: of the order it is about.
        terms: the place itself.
        fingerprint: of the terms.
        digest: of the record they make.
        valid_until: in ms, as text.
    """

    data: str
    client_order_id: str
    terms: Place | None = None
    fingerprint: str = ""
    digest: str = ""
    valid_until: str = ""


class Published(Struct, frozen=True, gc=False):
    """An order now, born with this digest (or a cancel, queued)."""

    entry: str
    digest: str = ""


class Known(Struct, frozen=True, gc=False):
    """Was an order already; here it is as it stands."""

    order: Order


class Conflict(Struct, frozen=True, gc=False):
    """The identity is taken by other content."""

    stored: str


class Spent(Struct, frozen=True):
    """Was an order so long ago that its record is forgotten; it is never sent again."""


PublishVerdict = Published | Known | Conflict | Spent


class ClaimItem(Struct, frozen=True, kw_only=True):
    """One entry of `intents` to be claimed.

    Terms and amounts are written twice: as the journal tells them, and as the record of a claimed order keeps them
    (`streams.record.claimed_terms`).
    """

    command: CommandKind
    entry: str
    token: str
    client_order_id: str
    fingerprint: str = ""
    valid_until_ms: int = 0
    terms: str = ""
    state: str = ""
    digest: str = ""
    sent: str = "{}"
    kept_terms: str = ""
    kept_sent: str = ""
    refusal: str = ""
    strategy: str = ""
    symbol: str = ""
    judged: bool = False
    reduces: bool = False
    waits: bool = False
    rate: str = ""
    revision: int = 0
    who: str = ""


class SettleItem(Struct, frozen=True, kw_only=True):
    """What came of one claim: evidence as JSON, and how many bytes of the venue's come with it.

    With `again` the entry of an amend of which nothing was sent is kept.
    """

    client_order_id: str
    entry: str
    token: str
    command: CommandKind
    evidence: str
    size: int
    again: bool = False


class Claimed(Struct, frozen=True):
    """Send it, until `send_by_ms`."""

    order: Order
    opened_at_ms: int
    send_by_ms: int


class Busy(Struct, frozen=True):
    """Another claim of it is open."""


class Done(Struct, frozen=True):
    """Nothing is to be sent; the entry is acknowledged."""

    status: str


class Halted(Struct, frozen=True):
    """A halt is on it; the entry waits."""


class Stale(Struct, frozen=True):
    """The exposure it was judged by is another one now: judge it again."""


class Reducing(Struct, frozen=True):
    """Only what reduces the position may go out: judge it."""


class Gap(Struct, frozen=True):
    """New exposure waits: what was judged and does not reduce stays pending, anything else is to be judged."""


ClaimVerdict = Claimed | Busy | Halted | Stale | Reducing | Gap | Conflict | Done


class Mapping(Struct, frozen=True, array_like=True, gc=False):
    """A venue order id that a commit learns, and the parked set that it folded."""

    venue_order_key: int
    parked_key: int
    parked_digest: str


class OrderPlan(Struct, frozen=True, kw_only=True, array_like=True, gc=False):
    """One order of a commit; numbers name keys of the plan, from 1. All but `change` are the places of the script."""

    key: int
    client_order_id: str
    status: str
    token: str
    digest: str
    new_status: str
    new_state: str
    new_digest: str
    next_look_ms: int
    executions: tuple[str, ...] = ()
    mappings: tuple[Mapping, ...] = ()
    position: int = 0
    cancel_requested: bool = False
    relied: tuple[str, ...] = ()
    amend_told: bool = False
    revision: int = 0
    change: str = ""


class PositionPlan(Struct, frozen=True, array_like=True, gc=False):
    """One position of a commit."""

    key: int
    digest: str
    new_state: str
    new_digest: str


class EntryPlan(Struct, frozen=True, array_like=True, gc=False):
    """One entry of `evidence` and what proves that it may be acknowledged."""

    entry: str
    order: int
    execution: str = ""


class AskPlan(Struct, frozen=True, gc=False):
    """An order that is not written, only asked whether its record has all of these executions."""

    key: int
    executions: Sequence[str]


class CommitPlan(Struct, frozen=True, kw_only=True):
    """A folded batch; orders that are asked are numbered behind those that are written."""

    keys: Sequence[str]
    orders: Sequence[OrderPlan]
    positions: Sequence[PositionPlan]
    entries: Sequence[EntryPlan]
    passed: Sequence[str] = ()
    asked: Sequence[AskPlan] = ()


class ParkPlan(Struct, frozen=True, kw_only=True):
    """Executions of one order that is not known here, and corrections of them; each is (name, fact, change).

    `adjustment` names what it would have been booked as, were it no order of ours at all.
    """

    entry: str
    parked_key: str
    venue_order_key: str
    order_key: str | None
    executions: Sequence[tuple[str, str, str]]
    adjustment: str = ""


class AdjustPlan(Struct, frozen=True, kw_only=True):
    """An adjustment.

    Attributes:
        entry: of `evidence`, which says so.
        id: of the adjustment.
        amounts: of holdings, each (asset, text it was worked out from or '', new text).
        change: for the journal.
        position: key of the position it moves; empty for none.
        moved: digest the position was worked out from, its new state, its new digest.
        parked: key where the execution that moves it would wait for its order.
        execution: id of that execution.
    """

    entry: str
    id: str
    amounts: Sequence[tuple[str, str, str]]
    change: str
    position: str = ""
    moved: tuple[str, ...] = ()
    parked: str = ""
    execution: str = ""


class Committed(Struct, frozen=True):
    """Verdict per order: 1 written, 2 before, 0 stale, 3 contradiction; and how many entries are acknowledged."""

    verdicts: Sequence[int]
    acknowledged: int


class Look(Struct, frozen=True):
    """Ask the venue about this order."""

    order: Order


class ImportItem(Struct, frozen=True, kw_only=True):
    """One order of ours that the venue lists."""

    client_order_id: str
    terms: str
    state: str
    digest: str
    valid_until_ms: int


class GateState(Struct, frozen=True):
    """Whether the account may trade.

    Attributes:
        is_open: it was reconciled for the server's present history.
        history: the server's.
        reconciled: the history the account was reconciled for last; empty for none.
        opening: name of the present opening.
        waits_for: what new exposure waits for: `ledger`, `stream`, `enable`; empty for nothing.
    """

    is_open: bool
    history: str
    reconciled: str
    opening: str
    waits_for: str = ""


class StreamState(Struct, frozen=True):
    """How the private stream stands.

    Attributes:
        state: `whole`, `lost`, or `behind` until the ledger has applied `entry`.
        entry: of `evidence`; else empty.
    """

    state: str
    entry: str


class Lease(Struct, frozen=True):
    """Who leads the account, since which epoch, for how long."""

    epoch: int
    holder: str
    left_ms: int
