"""An order's record: the hash in Redis, as one value and back. Pure.

Fields written by the claim (and by publish, sweep): terms, status, fingerprint, entry, token, send_by,
valid_until, cancel, sent, refusal, and of amends amend, revision, revised. From the claim on `terms` are kept short,
and `sent` only where other amounts are sent than published (rounded ones). Fields written by the commit: status,
state, digest, and one field per applied execution, named by its execution id; it removes `amend` once it is told
whether that took effect.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal

import msgspec

from streams import codec
from streams.money import text
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


def to_order(
    account: str, client_order_id: str, values: Sequence[bytes | None], same: Place | None = None
) -> Order | None:
    """Read a record.

    Args:
        account: whose order it is.
        client_order_id: whose record it is.
        values: the fields of `FIELDS`, as Redis returned them.
        same: the terms that the script was asked about; it leaves them out where the record has them in these bytes.

    Returns:
        The order, or None when there is no record.
    """
    terms, status, state, digest, fingerprint, entry, token, send_by, valid_until, cancel, sent, refusal, amend = values
    if status is None:
        return None
    place = _terms(account, terms, same)
    return Order(
        client_order_id=client_order_id,
        terms=place,
        status=status.decode(),  # type: ignore[arg-type]  # only scripts write it, from OrderStatus
        state=codec.decode_state(state) if state and state != _NEW_STATE_BYTES else NEW_STATE,
        digest=_str(digest),
        fingerprint=_str(fingerprint),
        entry=_str(entry),
        token=_str(token),
        send_by_ms=int(send_by or 0),
        valid_until_ms=int(valid_until or 0),
        cancel_requested=cancel is not None,
        sent=_texts.decode(sent) if sent else amounts(place) if place and terms and codec.is_short(terms) else {},
        refusal=_text.decode(refusal) if refusal else "",
        amend=to_amending(_texts.decode(amend)) if amend else None,
    )


def _terms(account: str, stored: bytes | None, same: Place | None) -> Place | None:
    if stored is None:
        return None
    if same is not None and (not stored or (codec.is_short(stored) and stored == codec.encode_terms(same).encode())):
        return same  # a third of what decoding takes
    return codec.decode_terms(stored, account)


def amounts(terms: Place) -> dict[str, str]:
    """Write the amounts of an order that is sent as it was published."""
    written = {"quantity": text(terms.quantity)}
    return written if terms.price is None else written | {"price": text(terms.price)}


def claimed_terms(terms: Place, sent: Mapping[str, str]) -> tuple[str, str]:
    """Write `terms` and `sent` as a claim stores them; no `sent` where that is what the terms say."""
    return codec.encode_terms(terms), "" if sent == amounts(terms) else codec.encode_text(sent)


def written_out(account: str, fields: Mapping[str, str]) -> dict[str, str]:
    """Give the fields of a record as the journal tells them: full terms, and what was sent of them."""
    stored = fields.get("terms", "").encode()
    if not codec.is_short(stored):
        return dict(fields)
    terms = codec.decode_terms(stored, account)
    return {"sent": codec.encode_text(amounts(terms)), **fields, "terms": codec.encode_text(terms)}


def to_amending(sent: Mapping[str, str]) -> Amending:
    """Read what a claim sent of an amend."""
    return Amending(revision=int(sent["revision"]), quantity=Decimal(sent["quantity"]), price=Decimal(sent["price"]))


def to_position(values: Sequence[bytes | None]) -> tuple[Position, str]:
    """Read a position's `state` and `digest`; an absent one is flat and has an empty digest."""
    state, digest = values
    return (codec.decode_position(state) if state else Position()), _str(digest)


def _str(value: bytes | None) -> str:
    return value.decode() if value else ""
