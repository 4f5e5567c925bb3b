"""An order's record: the hash in Redis, as one value and back. Pure.

Fields written by the claim (and by publish, sweep): terms, status, fingerprint, entry, token, send_by,
valid_until, cancel, sent, refusal, and of amends amend, revision, revised. Fields written by the commit: status,
state, digest, and one field per applied execution, named by its execution id; it removes `amend` once it is told
whether that took effect.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal

import msgspec

from streams import codec
from streams.schemas import Amending, Order, OrderState, Place, Position

# The order in which every script returns a record (lua/include/record.lua).
FIELDS = (
    "terms",
    "status",
    "state",
    "digest",
    "fingerprint",
    "entry",
    "token",
    "send_by",
    "valid_until",
    "cancel",
    "sent",
    "refusal",
    "amend",
)

NEW_STATE = OrderState()
NEW_STATE_TEXT = codec.encode_text(NEW_STATE)
_NEW_STATE_BYTES = NEW_STATE_TEXT.encode()

_texts = msgspec.json.Decoder(dict[str, str])
_text = msgspec.json.Decoder(str)


def to_order(client_order_id: str, values: Sequence[bytes | None], same: Place | None = None) -> Order | None:
    """Read a record.

    Args:
        client_order_id: whose record it is.
        values: the fields of `FIELDS`, as Redis returned them.
        same: the terms where the script left them out, because they are what it was asked about.

    Returns:
        The order, or None when there is no record.
    """
    terms, status, state, digest, fingerprint, entry, token, send_by, valid_until, cancel, sent, refusal, amend = values
    if status is None:
        return None
    return Order(
        client_order_id=client_order_id,
        terms=codec.decode_terms(terms) if terms else same if terms == b"" else None,
        status=status.decode(),  # type: ignore[arg-type]  # only scripts write it, from OrderStatus
        state=codec.decode_state(state) if state and state != _NEW_STATE_BYTES else NEW_STATE,
        digest=_str(digest),
        fingerprint=_str(fingerprint),
        entry=_str(entry),
        token=_str(token),
        send_by_ms=int(send_by or 0),
        valid_until_ms=int(valid_until or 0),
        cancel_requested=cancel is not None,
        sent=_texts.decode(sent) if sent else {},
        refusal=_text.decode(refusal) if refusal else "",
        amend=to_amending(_texts.decode(amend)) if amend else None,
    )


def to_amending(sent: Mapping[str, str]) -> Amending:
    """Read what a claim sent of an amend."""
    return Amending(revision=int(sent["revision"]), quantity=Decimal(sent["quantity"]), price=Decimal(sent["price"]))


def to_position(values: Sequence[bytes | None]) -> tuple[Position, str]:
    """Read a position's `state` and `digest`; an absent one is flat and has an empty digest."""
    state, digest = values
    return (codec.decode_position(state) if state else Position()), _str(digest)


def _str(value: bytes | None) -> str:
    return value.decode() if value else ""
