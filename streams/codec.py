"""Structs to stream entries and back: canonical out, strict in. Pure.

An entry is one JSON field `data`, and `raw` beside it where a venue's bytes are kept. Canonical means: dict
keys sorted, defaults left out, decimals in their one text; equal values have equal bytes.
"""

import hashlib
import re
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any, TypeVar, get_type_hints

import msgspec
from msgspec import Meta, Struct

from streams.errors import BadIntent
from streams.schemas import (
    Amend,
    Cancel,
    Evidence,
    Intent,
    OrderState,
    OrderStatus,
    OrderType,
    Place,
    Position,
    PositionSide,
    Rounding,
    Side,
    TimeInForce,
)

# An intent is some hundred bytes; more is a mistake or an attack.
INTENT_BYTES_MAX = 16_384
# A frame of an account's whole history page stays below it.
RAW_BYTES_MAX = 4_194_304

_Amount = Annotated[str, Meta(pattern=r"^[0-9]{1,20}(\.[0-9]{1,20})?(E[+-]?[0-9]{1,2})?(?!\n)$")]


class _Amounts(Struct):
    """The two amounts as text: a JSON number would have been a float somewhere on its way."""

    quantity: _Amount | None = None
    price: _Amount | None = None


def _form(kind: type[Struct]) -> type[Struct]:
    """Types and patterns of an intent's fields, all of them written, without the rules that making one applies."""
    hints: dict[str, Any] = get_type_hints(kind, include_extras=True)
    texts: dict[Any, Any] = {Decimal: _Amount, Decimal | None: _Amount | None}
    fields = [(name, texts.get(hints[name], hints[name])) for name in kind.__struct_fields__]
    return msgspec.defstruct(
        kind.__name__, fields, tag=kind.__struct_config__.tag, tag_field="kind", kw_only=True, gc=False
    )


class _Terms(Struct, array_like=True, gc=False):
    """Terms as a record keeps them, without their names and their account; what most orders leave out stands last."""

    strategy: str
    signal_id: str
    signal_time: datetime
    symbol: str
    side: Side
    type: OrderType
    quantity: Decimal
    price: Decimal | None
    valid_until: datetime | None = None
    leg: str = ""
    time_in_force: TimeInForce = "gtc"
    post_only: bool = False
    reduce_only: bool = False
    position_side: PositionSide = "net"
    rounding: Rounding | None = None
    tags: dict[str, str] = {}


TERMS = _Terms.__struct_fields__
_LEFT_OUT = b'\n""\n"gtc"\nfalse\nfalse\n"net"\nnull\n{}\n'  # the end of terms that have nothing but defaults there

_amounts = msgspec.json.Decoder(_Amounts)
_forms: msgspec.json.Decoder[Any] = msgspec.json.Decoder(_form(Place) | _form(Cancel) | _form(Amend))
_intent = msgspec.json.Decoder(Intent)
_evidence = msgspec.json.Decoder(Evidence)
_place = msgspec.json.Decoder(Place)
_terms = msgspec.json.Decoder(_Terms)
_state = msgspec.json.Decoder(OrderState)
_position = msgspec.json.Decoder(Position)
_encoder = msgspec.json.Encoder(order="deterministic")
_sha1 = hashlib.sha1(usedforsecurity=False)  # a copy of it costs half of what a new one does

T = TypeVar("T")


def encode(value: object) -> bytes:
    """Encode a Struct canonically."""
    return _encoder.encode(value)


def encode_text(value: object) -> str:
    """Encode a Struct canonically, as text; scripts take no other kind of string in a plan."""
    return _encoder.encode(value).decode()


def encode_intent(intent: Intent) -> str:
    """Encode an intent that was made in Python, if every reader could decode it.

    Making a Struct applies its rules and looks at no type or pattern; this looks at those alone, in a third of the
    time that decoding takes.

    Raises:
        BadIntent: with one sentence that says what is wrong.
    """
    try:
        data = _encoder.encode(intent)
        if not _is_plain(intent):
            _sized(data)
            _forms.decode(data)
            _remember(intent)
    except (msgspec.MsgspecError, TypeError, ValueError, RecursionError) as error:
        raise BadIntent(f"Not an intent: {error}.") from None
    return data.decode()


_Words = tuple[object, ...]
# Words of intents that were decoded: one strategy's are mostly the same.
_words: set[_Words] = set()
_WORDS_MAX = 4_096
_BOOL = {bool}
_is_word = re.compile(r"[!-~](?:[ -~]{0,126}[!-~])?").fullmatch


def _words_of(place: Place) -> _Words:
    return (
        place.account, place.strategy, place.symbol, place.leg, place.side, place.type, place.time_in_force,
        place.position_side, place.rounding,
    )  # fmt: skip


def _is_plain(intent: Intent) -> bool:
    """A glance, for the places that most are; False only means to look closely.

    What it says nothing of, the rules that making one applies have looked at: bounds of amounts, and times.
    """
    if not isinstance(intent, Place):
        return False
    price, until = intent.price, intent.valid_until
    try:
        return (
            _words_of(intent) in _words
            and _is_word(intent.signal_id) is not None
            and type(intent.quantity) is Decimal
            and (price is None or type(price) is Decimal)
            and type(intent.signal_time) is datetime
            and intent.signal_time.tzinfo is UTC
            and (until is None or (type(until) is datetime and until.tzinfo is UTC))
            and {type(intent.post_only), type(intent.reduce_only)} == _BOOL
            and intent.tags == {}
        )
    except TypeError:  # a list where a word belongs
        return False


def _remember(intent: Intent) -> None:
    if isinstance(intent, Place):
        if len(_words) >= _WORDS_MAX:
            _words.clear()
        _words.add(_words_of(intent))


def decode_intent(data: bytes) -> Intent:
    """Decode the `data` of an entry of `intents`, strictly.

    Raises:
        BadIntent: with one sentence that says what is wrong.
    """
    _sized(data)
    try:
        intent: Intent = _intent.decode(data)
        if not isinstance(intent, Cancel):
            _amounts.decode(data)
    except (msgspec.ValidationError, msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadIntent(f"Not an intent: {error}.") from None
    return intent


def _sized(data: bytes) -> None:
    if len(data) > INTENT_BYTES_MAX:
        raise BadIntent(f"An intent has at most {INTENT_BYTES_MAX} bytes, this one has {len(data)}.")


def decode_evidence(data: bytes) -> Evidence:
    """Decode the `data` of an entry of `evidence`."""
    return _evidence.decode(data)


def decode_place(data: bytes) -> Place:
    """Decode terms as they are published and journaled."""
    return _place.decode(data)


def encode_terms(place: Place) -> str:
    """Encode terms as the record of an order that was claimed keeps them: one JSON value to a line, without names.

    That is a third of what was published, and a script makes an intent of it again without looking into the values.
    """
    written = _encoder.encode_lines(
        (
            place.strategy, place.signal_id, place.signal_time, place.symbol, place.side, place.type, place.quantity,
            place.price, place.valid_until, place.leg, place.time_in_force, place.post_only, place.reduce_only,
            place.position_side, place.rounding, place.tags,
        )
    )  # fmt: skip
    return written.removesuffix(_LEFT_OUT).removesuffix(b"\nnull").removesuffix(b"\n").decode()


def decode_terms(stored: bytes, account: str) -> Place:
    """Decode the `terms` of a record of an account: as they were published, or as the claim keeps them."""
    if not is_short(stored):
        return _place.decode(stored)
    one = _terms.decode(b"[%b]" % stored.replace(b"\n", b","))
    return Place(
        account=account, strategy=one.strategy, signal_id=one.signal_id, signal_time=one.signal_time,
        symbol=one.symbol, side=one.side, type=one.type, quantity=one.quantity, price=one.price, leg=one.leg,
        time_in_force=one.time_in_force, post_only=one.post_only, reduce_only=one.reduce_only,
        position_side=one.position_side, valid_until=one.valid_until, rounding=one.rounding, tags=one.tags,
    )  # fmt: skip


def is_short(terms: bytes) -> bool:
    """Whether the `terms` of a record are as the claim keeps them."""
    return terms.startswith(b'"')


def decode_state(data: bytes) -> OrderState:
    """Decode the `state` of an order record."""
    return _state.decode(data)


def decode_position(data: bytes) -> Position:
    """Decode the `state` of a position."""
    return _position.decode(data)


def birth_digest(client_order_id: str, fingerprint: str, state: str) -> str:
    """Digest of a record as `publish` or `claim` creates it; orders of equal content have one of their own each."""
    return chain(f"{client_order_id} {fingerprint}", "created", state)


def chain(previous: str, status: OrderStatus | str, state: str) -> str:
    """Digest of a record's next state: it covers the whole way there, not only the state (R9)."""
    digest = _sha1.copy()
    digest.update(f"{previous} {status} {state}".encode())
    return digest.hexdigest()[:32]


def parked_digest(execution_ids: list[bytes]) -> str:
    """Digest of a parked set; the commit script computes the same over the fields it finds.

    Over the digests of the ids: Lua compares texts by the locale the server was started in, which hexadecimal digits
    sort alike in.
    """
    marks = sorted(_digest(one) for one in execution_ids)
    return _digest(" ".join(marks).encode())


def _digest(data: bytes) -> str:
    return hashlib.sha1(data, usedforsecurity=False).hexdigest()
