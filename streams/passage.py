"""Which opening of the gate a process trades under, and which it has left. Pure.

A server that answers again after another one took its place still has its gate open: it does not know what was
traded elsewhere. Whoever saw the other one does, and goes through an opening that it has left never again.
"""

from collections import deque
from typing import Final, Literal

LEFT_MAX: Final = 64
"""Openings remembered; each is a restart or a failover that this process has lived through."""


class Passage:
    """Openings of one account's gate, as one process has seen them.

    Attributes:
        current: name of the opening it has passed; empty before the first.
    """

    def __init__(self) -> None:
        """Start outside."""
        self.current = ""
        self._left: deque[str] = deque(maxlen=LEFT_MAX)

    def enter(self, opening: str) -> Literal["same", "next", "left"]:
        """Pass the opening that the server has now, unless it is one that was left.

        Returns:
            `same` as before, or the first; `next`, and whatever was read under the last one is to be dropped; or one
            that was `left` for another and is to be shut.
        """
        if opening == self.current:
            return "same"
        if opening in self._left:
            return "left"
        last, self.current = self.current, opening
        if not last:
            return "same"
        self._left.append(last)
        return "next"
