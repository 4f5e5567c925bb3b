"""When a loop last went round: what tells a process that works or waits from one that hangs."""

from streams.clock import Clock


class Pulse:
    """Beaten by a loop wherever it goes round, also where it waits for somebody else."""

    def __init__(self, clock: Clock) -> None:
        """Begin with a beat."""
        self._clock, self._beat_ms = clock, clock.monotonic_ms()

    def beat(self) -> None:
        """Say that the loop goes round."""
        self._beat_ms = self._clock.monotonic_ms()

    def age_ms(self) -> int:
        """Since the last beat."""
        return self._clock.monotonic_ms() - self._beat_ms
