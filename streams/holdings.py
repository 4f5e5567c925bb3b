"""Holdings: what an account holds beside its fills, and how an adjustment moves it. Pure."""

from collections import Counter
from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from msgspec import Struct

from streams.money import CONTEXT, ZERO, text
from streams.schemas import Adjustment, Execution

OPENING: Final = "opening"  # the adjustment that says what an account held before its first fill


class Holdings(Struct, frozen=True):
    """What an account holds beside its fills, as one read saw it.

    Attributes:
        amounts: by asset.
        booked: ids of every adjustment that they are the sum of.
    """

    amounts: Mapping[str, Decimal]
    booked: frozenset[str]

    @property
    def occasions(self) -> Mapping[str, int]:
        """Count the adjustments of each kind that may come again: id without its last part."""
        return Counter(name.rpartition(":")[0] for name in self.booked)


def liquidated(execution: Execution) -> str:
    """Name the adjustment of an execution that the venue made for us, whoever tells of it."""
    return f"liquidation:{execution.venue_symbol}:{execution.execution_id}"


def adjusted(holdings: Mapping[str, Decimal], adjustment: Adjustment) -> list[tuple[str, Decimal | None, Decimal]]:
    """Work out an adjustment: (asset, amount before or None, amount after), by asset."""
    return [
        (asset, holdings.get(asset), CONTEXT.add(holdings.get(asset, ZERO), adjustment.amounts[asset]))
        for asset in sorted(adjustment.amounts)
    ]


def texts(moved: list[tuple[str, Decimal | None, Decimal]]) -> list[tuple[str, str, str]]:
    """Write what `adjusted` gives as canonical texts; an asset not held before has an empty one."""
    return [(asset, "" if before is None else text(before), text(after)) for asset, before, after in moved]
