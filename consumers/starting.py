"""What an account waits for at its start, after the gate was opened: the steps in order, as sentences. Pure."""

from collections.abc import Mapping

from streams.limits import Limits, limit_of
from streams.money import text
from streams.schemas import Position

WAITS = {
    "ledger": "the ledger has not yet applied what the venue told",
    "stream": "the private stream is not heard, or what was missed of it is not yet applied",
}


def beyond(positions: Mapping[str, Position], limits: Limits) -> str:
    """Say which position is larger than its limit; empty when none is.

    Args:
        positions: by symbol, with a side behind a colon where there are two.
        limits: of the account.
    """
    for key, position in sorted(positions.items()):
        symbol = key.removesuffix(":long").removesuffix(":short")
        most, held = limit_of(limits.position_max, symbol), abs(position.quantity)
        if most is not None and held > most:
            return (
                f"position_max of {symbol} is {text(most)} and the position is {text(position.quantity)}; "
                "reduce it, or raise the limit"
            )
    return ""


def overdue(reason: str, waited_ms: int, deadline_ms: int) -> str:
    """Put the deadline before a reason, once it has passed."""
    return f"overdue since {(waited_ms - deadline_ms) // 1000} s: {reason}" if waited_ms > deadline_ms else reason
