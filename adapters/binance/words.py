"""Binance's words and ids, spelled as ours. Pure.

A value that is not on a list here is never guessed at: the payload is refused with a sentence.
"""

from decimal import Decimal
from typing import Final

from msgspec import Raw

from adapters.binance.facts import FACTS
from adapters.binance.payloads import ALLOCATION, NO_TRADE, amount
from streams.errors import BadPayload
from streams.identity import digits, read_wire_id, wire_id
from streams.schemas import Side, VenueStatus

TRADE_ID_MAX: Final = 64  # signs; the id becomes part of a key

STATUSES: dict[str, VenueStatus] = {
    "NEW": "open",
    "PENDING_NEW": "open",
    # USDⓈ-M's for an order that a liquidation or an auto-deleveraging works on.
    "NEW_INSURANCE": "open",
    "NEW_ADL": "open",
    "PARTIALLY_FILLED": "partially_filled",
    "FILLED": "filled",
    "CANCELED": "cancelled",
    "PENDING_CANCEL": "open",
    "REJECTED": "rejected",
    "EXPIRED": "expired",
    "EXPIRED_IN_MATCH": "expired",
}
REASONS: Final = ("REJECTED", "EXPIRED_IN_MATCH")  # words for a status that say why, too
SIDES: dict[str, Side] = {"BUY": "buy", "SELL": "sell"}
# Of a name at the venue that has a generation; both products have one rule.
REPLACED_LENGTH: Final = len(wire_id(FACTS.id_rule.prefix + "0" * digits(FACTS.id_rule), 1, FACTS.id_rule))


def named(original: str | None, current: str | None) -> tuple[str | None, int]:
    """Read the order's own name: after a cancel the venue puts the cancel's id where the order's was.

    Returns:
        The identity it belongs to, and its generation.
    """
    name = original if original and original != "null" else current or None
    if name is None or len(name) != REPLACED_LENGTH:
        return name, 0
    return read_wire_id(name, FACTS.id_rule)


def status_of(word: str) -> VenueStatus:
    """Read a status; raises BadPayload."""
    status = STATUSES.get(word)
    if status is None:
        raise BadPayload(f"status {word[:48]!r} is not on the list of known ones")
    return status


def side_of(word: str | None) -> Side:
    """Read a side; raises BadPayload."""
    side = SIDES.get(word or "")
    if side is None:
        raise BadPayload(f"side {str(word)[:48]!r} is neither BUY nor SELL")
    return side


def trade_id_of(value: int | str | None) -> str:
    """Read a trade id; raises BadPayload."""
    shown = "" if value is None else str(value)
    if not shown or len(shown) > TRADE_ID_MAX or not shown.isascii() or not shown.isalnum():
        raise BadPayload(f"a trade without a trade id: {shown[:48]!r}")
    return shown


def positive(raw: Raw | str | None, name: str) -> Decimal:
    """Read an amount of a trade, which is never zero; raises BadPayload."""
    value = amount(raw, name)
    if not value:
        raise BadPayload(f"{name} of a trade is zero")
    return value


def nameless(trade_id: int | str | None, match_type: object) -> bool:
    """Say whether what was filled has no trade id, as allocations have none."""
    return trade_id is None or (trade_id == NO_TRADE and match_type == ALLOCATION)
