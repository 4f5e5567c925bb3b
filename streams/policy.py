"""What may be done about a difference between the venue and us: the words of the settings. Pure."""

from decimal import Decimal
from typing import Annotated, Literal

from msgspec import Meta, Struct

Kind = Literal[
    "orphan",
    "zombie",
    "ghost",
    "double",
    "stale_fill",
    "busted",
    "status_drift",
    "position_drift",
    "balance_drift",
    "unexplained",
]
Policy = Literal["adopt", "cancel", "leave"]
Mode = Literal["report", "approve", "auto"]


class Policies(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is done with orders at the venue that should not be there.

    Attributes:
        ours: orders under our prefix.
        foreign: orders of other systems and of people.
        by: strategy or symbol -> policy; before the two above. Whose an order without a record was, nobody can
            tell, so a strategy's policy is for its orders that live at the venue and ended here.
    """

    ours: Policy = "adopt"
    foreign: Policy = "leave"
    by: dict[str, Policy] = {}


class ReconcileSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How one account is reconciled.

    Attributes:
        absence_gap_ms: what rests on absence counts when two looks, this far apart, agree; by default three times
            the time after which the venue shows an order.
        drift_ratio: share of a position below which a difference is none; one lot where that is more.
        modes: kind of finding -> what may be done about it without asking.
        orphans: for orders at the venue that should not be there.
    """

    absence_gap_ms: Annotated[int, Meta(ge=1, le=86_400_000)] | None = None
    drift_ratio: Decimal = Decimal("0.001")
    modes: dict[Kind, Mode] = {}
    orphans: Policies = Policies()

    def __post_init__(self) -> None:
        """Refuse a ratio that is none; msgspec turns the sentence into a ValidationError."""
        if not (self.drift_ratio.is_finite() and 0 <= self.drift_ratio < 1):
            raise ValueError(f"drift_ratio must be at least 0 and below 1, not {self.drift_ratio}")
