"""Holdings: what an account holds beside its fills, and how an adjustment moves it. Pure."""

from collections.abc import Mapping
from decimal import Decimal

from streams.money import CONTEXT, ZERO, text
from streams.schemas import Adjustment, Execution


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
