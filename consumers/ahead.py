"""Folding a batch before the one ahead of it is answered: what is known once that one is written. Pure.

Nothing of it is remembered: when the answer is another, the batch is folded again; the script would refuse it anyway.
"""

from typing import NamedTuple

from consumers.folding import Folded, Known
from consumers.known import KnownState
from streams.schemas import Position


class Ahead(NamedTuple):
    """A batch folded before the commit it builds on was answered.

    Attributes:
        folded: what is to be committed.
        base: the batch under way, every order of which must have been written.
    """

    folded: Folded
    base: Folded


class Expected:
    """What will be known once a commit that is under way is written. Nothing of it is remembered before it is.

    Attributes:
        ahead_ms: as `KnownState`.
        orders: of that commit.
    """

    def __init__(self, known: KnownState, folded: Folded) -> None:
        """Look at what is known through a commit under way."""
        self.ahead_ms = known.ahead_ms
        self._known, self._folded, self.orders = known, folded, known.after(folded)

    def order(self, client_order_id: str) -> Known | None:
        """An order as it will be, if it is known."""
        return self.orders.get(client_order_id) or self._known.order(client_order_id)

    def position(self, key: str) -> tuple[Position, str] | None:
        """A position as it will be, if it is known."""
        return self._folded.positions.get(key) or self._known.position(key)
