"""From an entry of `intents` to a claim. Pure: what can be decided before the claim is decided here."""

from typing import assert_never

from msgspec import Struct

from adapters.venue import VenueFacts
from streams import codec
from streams.errors import BadIntent
from streams.identity import amend_fingerprint, client_order_id
from streams.instrument import Instruments, Legal, fit, refuse_unsupported
from streams.plans import ClaimItem
from streams.producer import publish_item
from streams.reader import Entry
from streams.record import NEW_STATE_TEXT, claimed_terms
from streams.schemas import AccountInfo, Amend, Cancel, Place


class Prepared(Struct, frozen=True):
    """A claim but for its token, and the entry's bytes."""

    item: ClaimItem
    raw: bytes


class Unusable(Struct, frozen=True, kw_only=True):
    """An entry that can never become a claim; `refused` ends the order it may be published as."""

    entry: str
    reason: str
    raw: bytes
    refused: Prepared | None = None


def prepare(
    entry: Entry, account: str, info: AccountInfo, facts: VenueFacts, instruments: Instruments
) -> Prepared | Unusable:
    """Work out the claim of one entry of `intents`."""
    data = entry.fields.get(b"data")
    if data is None:
        reason = "trimmed away before it was read" if not entry.fields else "the entry has no field `data`"
        return Unusable(entry=entry.id, reason=reason, raw=b"")
    try:
        intent = codec.decode_intent(data)
    except BadIntent as error:
        return Unusable(entry=entry.id, reason=str(error), raw=data)
    if intent.account != account:
        return Unusable(entry=entry.id, reason=f"Account {intent.account} in the stream of {account}.", raw=data)
    match intent:
        case Cancel():
            return _cancel(entry.id, intent, info, data)
        case Amend():
            return _amend(entry.id, intent, info, data)
        case Place():
            return _place_or_refuse(entry.id, intent, info, facts, instruments, data)
        case _:
            assert_never(intent)


def _place_or_refuse(  # noqa: PLR0917 - one intent and what it is read with
    entry: str, intent: Place, info: AccountInfo, facts: VenueFacts, instruments: Instruments, data: bytes
) -> Prepared | Unusable:
    try:
        sent, refusal = _amounts(intent, facts, instruments)
    except BadIntent as error:
        refused = Prepared(_place(entry, intent, info, {}, str(error)), data)
        return Unusable(entry=entry, reason=str(error), raw=data, refused=refused)
    return Prepared(_place(entry, intent, info, sent, refusal), data)


def _cancel(entry: str, intent: Cancel, info: AccountInfo, data: bytes) -> Prepared | Unusable:
    try:
        identity = client_order_id(intent, info.id_rule)
    except BadIntent as error:
        return Unusable(entry=entry, reason=str(error), raw=data)
    digest = codec.birth_digest(identity, "", NEW_STATE_TEXT)
    item = ClaimItem(
        command="cancel", entry=entry, token="", client_order_id=identity, state=NEW_STATE_TEXT, digest=digest,
        who=codec.encode_text(intent.who) if intent.who else "",
    )  # fmt: skip
    return Prepared(item, data)


def _amend(entry: str, intent: Amend, info: AccountInfo, data: bytes) -> Prepared | Unusable:
    """Work out what follows from the intent alone; its amounts need the order's own terms."""
    try:
        identity = client_order_id(intent, info.id_rule)
    except BadIntent as error:
        return Unusable(entry=entry, reason=str(error), raw=data)
    item = ClaimItem(
        command="amend", entry=entry, token="", client_order_id=identity, fingerprint=amend_fingerprint(intent),
        valid_until_ms=intent.valid_until_ms, revision=intent.revision,
    )  # fmt: skip
    return Prepared(item, data)


def _place(entry: str, intent: Place, info: AccountInfo, sent: dict[str, str], refusal: str) -> ClaimItem:
    published = publish_item(intent, info)
    kept_terms, kept_sent = claimed_terms(intent, sent)
    return ClaimItem(
        command="place",
        entry=entry,
        token="",
        client_order_id=published.client_order_id,
        fingerprint=published.fingerprint,
        valid_until_ms=intent.valid_until_ms,
        terms=published.data,
        state=NEW_STATE_TEXT,
        digest=published.digest,
        sent=codec.encode_text(sent),
        kept_terms=kept_terms,
        kept_sent=kept_sent,
        refusal=codec.encode_text(refusal) if refusal else "",
        strategy=intent.strategy,
        symbol=intent.symbol,
    )


def _amounts(terms: Place, facts: VenueFacts, instruments: Instruments) -> tuple[dict[str, str], str]:
    """Amounts to send in canonical text, or the sentence that refuses them.

    Raises:
        BadIntent: the symbol is unknown here.
    """
    instrument = instruments.of(terms.symbol)
    refusal = refuse_unsupported(terms, facts.types, facts.times_in_force, facts.flags, facts.position_sides)
    if refusal:
        return {}, refusal
    fitted = fit(terms, instrument)
    return (fitted.sent, "") if isinstance(fitted, Legal) else ({}, fitted.sentence)
