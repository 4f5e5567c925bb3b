"""What is true and how it is stored: words, rules, streams and scripts. Knows Redis, knows no venue.

A strategy needs no other package: it publishes with `IntentProducer` and reads `events`.
"""

from streams.connection import connect
from streams.errors import BadIntent, FillonceError, IntentConflict, StoreUnreachable
from streams.producer import IntentProducer, Receipt
from streams.schemas import Cancel, Place

__project__ = "fillonce"

__all__ = [
    "BadIntent",
    "Cancel",
    "FillonceError",
    "IntentConflict",
    "IntentProducer",
    "Place",
    "Receipt",
    "StoreUnreachable",
    "connect",
]
