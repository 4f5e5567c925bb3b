"""Which claimed commands leave by one request. Pure.

Only what was claimed together does: nothing waits for company. Commands keep their order, within a request as between
them.
"""

from collections.abc import Sequence

from msgspec import Struct

from adapters.venue import VenueFacts, Window
from streams.plans import Claimed, ClaimItem


class Sending(Struct, frozen=True):
    """A claimed command and the bytes of its intent."""

    item: ClaimItem
    claim: Claimed
    data: bytes

    @property
    def window(self) -> Window:
        """When it may be sent."""
        return Window(self.claim.opened_at_ms, self.claim.send_by_ms, "reduce" if self.item.reduces else "new")


def groups(sendings: Sequence[Sending], facts: VenueFacts) -> list[list[Sending]]:
    """Put together what the venue takes in one request: places, or cancels of one symbol; anything else goes alone."""
    found: list[list[Sending]] = []
    filling: dict[tuple[str, str, int], list[Sending]] = {}
    for one in sendings:
        kind, most = _kind(one, facts)
        group = filling.get(kind)
        if group is None or len(group) >= most:
            group = filling[kind] = []
            found.append(group)
        group.append(one)
    return found


def _kind(one: Sending, facts: VenueFacts) -> tuple[tuple[str, str, int], int]:
    """What it can share a request with, and how many may."""
    terms = one.claim.order.terms
    if one.item.command == "place":
        # What reduces goes before what is new, also where requests are short.
        return ("place", one.window.urgency, one.claim.send_by_ms), facts.batch_place
    if one.item.command == "cancel" and terms is not None:
        return ("cancel", terms.symbol, one.claim.send_by_ms), facts.batch_cancel
    return (one.item.command, one.item.entry, 0), 1
