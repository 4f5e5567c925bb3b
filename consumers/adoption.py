"""A record for an order that the venue lists and nobody here remembers. Pure."""

from adapters.venue import Described
from streams import codec
from streams.plans import ImportItem
from streams.record import NEW_STATE_TEXT
from streams.schemas import VALID_FOR_DEFAULT, Place, epoch_ms, from_ms

IMPORTED = "imported"  # the strategy of an order of ours whose intent is lost
FOREIGN = "foreign"  # the strategy of an adopted order of another system


def listed_terms(listed: Described, symbol: str, account: str, strategy: str) -> Place:
    """Turn what the venue lists into terms; raises ValueError for an amount that no order of ours could have."""
    return Place(
        account=account,
        strategy=strategy,
        signal_id=listed.client_order_id,
        signal_time=from_ms(listed.created_at_ms),
        symbol=symbol,
        side=listed.side,
        type=listed.type,
        quantity=listed.quantity,
        price=listed.price,
        time_in_force=listed.time_in_force,
        post_only=listed.post_only,
        reduce_only=listed.reduce_only,
        position_side=listed.position_side,
    )


def import_item(client_order_id: str, terms: Place) -> ImportItem:
    """Make the record of an order that was never published here."""
    return ImportItem(
        client_order_id=client_order_id,
        terms=codec.encode_text(terms),
        state=NEW_STATE_TEXT,
        digest=codec.birth_digest(client_order_id, "imported", NEW_STATE_TEXT),
        valid_until_ms=epoch_ms(terms.signal_time + VALID_FOR_DEFAULT),
    )
