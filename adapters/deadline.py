"""The last check before a command is written (R1): whether its send window is still open."""

from collections.abc import Callable

from adapters.venue import Window


class Deadline:
    """Asked as the last statement before the write, by whatever way the command goes.

    Attributes:
        sent_at_ms: the window's clock when it was open last; 0 where nothing was written.
    """

    def __init__(self, window: Window, now_ms: Callable[[], int]) -> None:
        """Of one command; `now_ms` estimates the window's clock (UTC ms)."""
        self.sent_at_ms = 0
        self._window, self._now_ms = window, now_ms

    def left_ms(self) -> int:
        """How long it is still open, never below 0."""
        return max(0, self._window.send_by_ms - self._now_ms())

    def __call__(self) -> str:
        """Say why nothing may be sent; empty when it may."""
        now_ms = self._now_ms()
        if now_ms >= self._window.send_by_ms:
            return f"the send window closed {now_ms - self._window.send_by_ms} ms ago"
        self.sent_at_ms = now_ms
        return ""
