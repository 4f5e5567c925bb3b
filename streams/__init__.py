"""What is true and how it is stored: words, rules, streams and scripts. Knows Redis, knows no venue.

A strategy needs no other package: it is a `Strategy`, or publishes with `IntentProducer` and reads `events`.
"""

from typing import TYPE_CHECKING, Any

from streams.blocking import BlockingIntentProducer
from streams.connection import connect
from streams.errors import BadIntent, FillonceError, IntentConflict, IntentSpent, StoreUnreachable
from streams.marks import publish_mark
from streams.notices import (
    AmendDeclined,
    Fill,
    FillTakenBack,
    HoldingsChanged,
    Mark,
    OrderChanged,
    PositionChanged,
    Snapshot,
    Tick,
)
from streams.producer import IntentProducer, Receipt
from streams.schemas import Amend, Cancel, Place

if TYPE_CHECKING:
    from streams.delivery import Patience
    from streams.strategy import Intents, Strategy

__project__ = "fillonce"

__all__ = [
    "Amend",
    "AmendDeclined",
    "BadIntent",
    "BlockingIntentProducer",
    "Cancel",
    "Fill",
    "FillTakenBack",
    "FillonceError",
    "HoldingsChanged",
    "IntentConflict",
    "IntentProducer",
    "IntentSpent",
    "Intents",
    "Mark",
    "OrderChanged",
    "Patience",
    "Place",
    "PositionChanged",
    "Receipt",
    "Snapshot",
    "StoreUnreachable",
    "Strategy",
    "Tick",
    "connect",
    "publish_mark",
]


def __getattr__(name: str) -> Any:
    """Import FastStream only for who writes a strategy: a command that publishes starts without it."""
    if name == "Patience":
        from streams.delivery import Patience

        return Patience
    if name in ("Intents", "Strategy"):
        from streams import strategy

        return getattr(strategy, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
