"""Orders at the venue that have no live record here, for whoever cancels a scope: found, and cancelled where they fit.

A symbol is told by the venue. A strategy is told by the record alone: a client order id is a digest, so an order of
ours without a record may be anybody's, and is named instead of cancelled.
"""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from msgspec.structs import replace

from consumers.clearing import Orphans
from streams.policy import ReconcileSettings

if TYPE_CHECKING:
    from consumers.findings import Finding
    from consumers.patrol import Patrol, Report


def policies(told: ReconcileSettings, scope: str, *, foreign: bool) -> ReconcileSettings:
    """Change how an account is reconciled so that what is found is cancelled. Pure.

    Args:
        told: by the settings.
        scope: as switches have it.
        foreign: whether orders of other systems and of people are cancelled too; none of them is a strategy's.
    """
    others = "cancel" if foreign and not scope.startswith("strategy:") else "leave"
    return replace(told, orphans=replace(told.orphans, ours="cancel", by={}, foreign=others))


def concerns(one: "Finding", scope: str) -> bool:
    """Say whether a finding is an order at the venue that belongs to a scope. Pure."""
    kind, _, name = scope.partition(":")
    second = one.kind == "double" and one.action == "cancel"
    match kind:
        case "strategy":
            return (one.kind == "zombie" or second) and one.strategy == name
        case "symbol":
            return (one.kind in ("orphan", "zombie") or second) and one.symbol == name
        case _:
            return one.kind in ("orphan", "zombie") or second


def found(report: "Report", scope: str) -> Orphans:
    """Tell what one look found of a scope, and what of it was cancelled. Pure."""
    mine = [one for one in report.findings if concerns(one, scope)]
    by_strategy = scope.startswith("strategy:")
    return Orphans(
        [one.subject for one in mine if one.id in report.done],
        [one.subject for one in mine if one.id not in report.done and one.action != "adopt"],
        [one.subject for one in report.findings if by_strategy and one.kind == "orphan" and one.action == "cancel"],
        again=any(not one.confirmed and one.action == "cancel" for one in mine),
    )


def finder(patrol: "Patrol", scope: str, because: str) -> Callable[[], Awaitable[Orphans]]:
    """Make of a patrol under `policies` what looks for orphans of a scope and cancels them."""

    def wanted(one: "Finding") -> bool:
        return one.action == "cancel" and concerns(one, scope)

    async def find() -> Orphans:
        return found(await patrol.once("light", because, wanted), scope)

    return find
