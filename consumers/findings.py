"""The words of a reconciliation: what was seen here and there, and what was found to differ. Pure."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Literal

from msgspec import Struct

from streams.policy import Kind, Policies
from streams.schemas import Execution, IdRule, Order, OrderReport, Position

Severity = Literal["info", "warning", "critical"]
# apply: what the venue said goes into `evidence`; adopt: it gets a record first; cancel: by the way every cancel goes;
# adjust: the difference is booked as a change of its own, never as a fill; wait: somebody else is at it (the resolver,
# or a look-up that has to be repeated); book: what the venue traded for us becomes a change of its own; correct: what
# the venue took back is taken back here; person: nothing that a program should decide.
Action = Literal["apply", "adopt", "cancel", "leave", "adjust", "book", "correct", "wait", "person"]

EVERY_ASSET = "*"  # in what a finding holds
VenueOrder = tuple[str, str]  # venue symbol, venue order id


class Row(Struct, frozen=True):
    """One payload of the venue, as it came; `symbol` is the unified one it was asked for."""

    symbol: str
    format: str
    raw: bytes


class There(Struct, frozen=True, kw_only=True):
    """What the venue answered in one look. What could not be asked is not in it at all.

    Attributes:
        asked_at_ms: the server's clock before the first question.
        reports: every order a list or an answer by id showed, with its row; the newest statement of each.
        executions: own trades, with their rows; empty in a light look.
        absent: client order ids that neither the open orders nor a question by id showed.
        balances: free and locked together, by asset; None when the venue was not asked.
        positions: quantity and price by position key; None where the venue keeps only holdings.
        complete: whether closed orders and trades were asked for.
    """

    asked_at_ms: int
    reports: Sequence[tuple[OrderReport, Row]] = ()
    executions: Sequence[tuple[Execution, Row]] = ()
    absent: frozenset[str] = frozenset()
    balances: Mapping[str, Decimal] | None = None
    positions: Mapping[str, tuple[Decimal, Decimal]] | None = None
    complete: bool = False


class Here(Struct, frozen=True, kw_only=True):
    """What is stored, read after the venue answered: what it showed and we do not have, was not there.

    Attributes:
        orders: every live order, and every one that the venue named.
        owners: venue order -> client order id, where a mapping exists.
        executions: (client order id, execution id) of the venue's executions that a record has.
        spent: ids of ours whose records were forgotten after their retention.
        positions: by symbol (and side).
        holdings: what the account holds beside its fills, by asset.
        opened: whether what it held before its first fill is among them.
        occasions: how often a difference was booked, by finding id; it may come again.
        booked: ids of every adjustment that is booked.
        symbols: that positions were asked for; None for all.
        bases: base asset -> symbols that are traded here.
        lots: symbol -> smallest step of a quantity.
        quiet: nothing was on its way from the venue to a record.
    """

    orders: Mapping[str, Order]
    owners: Mapping[VenueOrder, str] = {}
    executions: frozenset[tuple[str, str]] = frozenset()
    spent: frozenset[str] = frozenset()
    positions: Mapping[str, Position] = {}
    holdings: Mapping[str, Decimal] = {}
    opened: bool = False
    occasions: Mapping[str, int] = {}
    booked: frozenset[str] = frozenset()
    symbols: frozenset[str] | None = None
    bases: Mapping[str, tuple[str, ...]] = {}
    lots: Mapping[str, Decimal] = {}
    quiet: bool = True


class Terms(Struct, frozen=True, kw_only=True):
    """What a comparison must know of venue and settings.

    Attributes:
        id_rule: tells our ids from others.
        own_ids: how ids begin of orders that the venue makes itself.
        gap_ms: a difference that rests on absence counts when it was seen twice, this far apart.
        grace_ms: what the venue said more recently may still be on its way here.
        drift_ratio: share of a position below which a difference is none; one lot where that is more.
        wallet_drift: difference of a derivatives wallet below which there is none: the venue rounds each profit.
        policies: for orders at the venue that should not be there.
    """

    id_rule: IdRule
    gap_ms: int
    own_ids: tuple[str, ...] = ()
    grace_ms: int = 2_000
    drift_ratio: Decimal = Decimal("0.001")
    wallet_drift: Decimal = Decimal("0.01")
    policies: Policies = Policies()


class Draft(Struct, frozen=True, kw_only=True):
    """A finding before its times.

    Attributes:
        kind, subject, here, there, severity, action, evidence, symbol, strategy: as a finding has them.
        twice: whether it counts only when a second look sees it, too.
        held_back: whether it does not count yet, however often it was seen.
        told_at_ms: the venue's time of what it rests on, where that is recent.
        moved_by: what moves amounts once it is put right; None where nothing does.
        between: of two amounts, how far they are apart: that names the difference, as trading moves both of them.
    """

    kind: Kind
    subject: str
    here: str
    there: str
    severity: Severity
    action: Action
    evidence: tuple[str, ...] = ()
    symbol: str = ""
    strategy: str = ""
    twice: bool = False
    held_back: bool = False
    told_at_ms: int = 0
    moved_by: OrderReport | Execution | None = None
    between: str = ""


class Finding(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One difference.

    Attributes:
        id: a pure function of the facts; the same difference has the same id in every look and every process.
        kind: what sort of difference.
        subject: client order id, venue order id or asset.
        symbol: unified, where it belongs to one.
        strategy: whose order, where that is known.
        here: our side in words.
        there: the venue's side in words.
        evidence: ids of what the venue showed.
        severity: `critical` where money may move without our knowing.
        action: what is proposed.
        first_seen_ms: the server's clock of the look that saw it first.
        age_ms: since then.
        confirmed: whether it has been seen often enough to be acted upon.
        holds: what is not compared while it stands, because it would differ by it: assets (`*` for all of them) and
            positions by their keys.
    """

    id: str
    kind: Kind
    subject: str
    here: str
    there: str
    severity: Severity
    action: Action
    first_seen_ms: int
    age_ms: int
    confirmed: bool
    symbol: str = ""
    strategy: str = ""
    evidence: tuple[str, ...] = ()
    holds: tuple[str, ...] = ()


def held_words(names: Sequence[str]) -> str:
    """Write what is not compared for a person."""
    return ", ".join("every asset" if one == EVERY_ASSET else one for one in names)
