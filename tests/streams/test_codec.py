"""Specification of streams/codec.py: canonical out, strict in, and one error for whatever a producer sends."""

import hashlib
import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from streams import codec
from streams.errors import BadIntent
from streams.money import plain
from streams.schemas import Cancel, Command, Evidence, OrderState, Place, Position, Refused

AMOUNTS = st.decimals("0.00000001", "1000000000", places=8).map(plain)
# Below 0.000001 Python writes an exponent by itself.
ORDINARY = st.decimals("0.000001", "1000000000", places=6).map(plain)
WORDS = st.from_regex(r"[!-~]([ -~]{0,8}[!-~])?", fullmatch=True)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
MOMENTS = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - hypothesis adds the zone


def place(**changes: Any) -> Place:
    """A limit order."""
    terms: dict[str, Any] = {
        "account": "sim.main", "strategy": "s", "signal_id": "1", "signal_time": datetime(2026, 1, 1, tzinfo=UTC),
        "symbol": "BTC/USDT", "side": "buy", "type": "limit", "quantity": Decimal(1), "price": Decimal(5),
    }  # fmt: skip
    return Place(**{**terms, **changes})


def wire(**changes: Any) -> dict[str, Any]:
    """The same as a producer in another language would write it."""
    fields: dict[str, Any] = {
        "kind": "place", "account": "sim.main", "strategy": "s", "signal_id": "1",
        "signal_time": "2026-01-01T00:00:00Z", "symbol": "BTC/USDT", "side": "buy", "type": "limit", "quantity": "1",
        "price": "5",
    }  # fmt: skip
    return {**fields, **changes}


def dumps(fields: object) -> bytes:
    """As JSON."""
    return json.dumps(fields).encode()


INTENTS = st.one_of(
    st.builds(
        lambda signal, strategy, at, quantity, price, tags: place(
            signal_id=signal, strategy=strategy, signal_time=at, quantity=quantity, price=price, tags=tags
        ),
        WORDS, WORDS, MOMENTS, ORDINARY, ORDINARY, st.dictionaries(TEXTS, TEXTS, max_size=3),
    ),
    st.builds(lambda one: Cancel(account="sim.main", client_order_id=one), WORDS),
    st.builds(lambda one, other: Cancel(account="sim.main", strategy=one, signal_id=other), WORDS, WORDS),
)  # fmt: skip
STATES = st.builds(
    OrderState,
    venue_order_ids=st.lists(TEXTS, max_size=2).map(tuple),
    filled=AMOUNTS,
    cost=AMOUNTS,
    fees=st.dictionaries(TEXTS, AMOUNTS, max_size=4),
    reported=AMOUNTS,
    ended=st.sampled_from([None, "filled", "cancelled"]),
    reason=TEXTS,
    anomalies=st.lists(TEXTS, max_size=2).map(tuple),
)


PLACES = st.builds(
    place,
    strategy=WORDS,
    signal_id=WORDS,
    signal_time=MOMENTS,
    quantity=AMOUNTS,
    price=AMOUNTS,
    leg=st.just("") | WORDS.map(lambda word: word.replace(" ", "")),
    time_in_force=st.sampled_from(["gtc", "ioc"]),
    reduce_only=st.booleans(),
    position_side=st.sampled_from(["net", "long"]),
    valid_until=st.none() | st.just(datetime(2100, 1, 2, tzinfo=UTC)),
    rounding=st.none() | st.just("down"),
    tags=st.just({}) | st.dictionaries(TEXTS, TEXTS, max_size=3),
)


@given(PLACES)
@example(place())
@example(place(type="market", price=None))
@example(place(type="market", price=None, valid_until=datetime(2100, 1, 2, tzinfo=UTC)))
def test_terms_are_read_as_they_were_published_and_as_a_record_keeps_them(terms: Place) -> None:
    """Each value stands on a line of its own, so that a script can write the names beside them again."""
    kept = codec.encode_terms(terms)
    assert codec.decode_terms(kept.encode(), terms.account) == terms
    assert codec.decode_terms(codec.encode(terms), "another.account") == terms
    assert codec.encode_terms(codec.decode_terms(kept.encode(), terms.account)) == kept
    values = map(json.loads, kept.split("\n"))
    again = {"kind": "place", "account": terms.account, **dict(zip(codec.TERMS, values, strict=False))}
    assert codec.decode_intent(dumps(again)) == terms


def test_what_most_orders_leave_out_is_not_kept() -> None:
    """A record is mostly terms, and there are millions of them."""
    assert codec.encode_terms(place()) == '"s"\n"1"\n"2026-01-01T00:00:00Z"\n"BTC/USDT"\n"buy"\n"limit"\n"1"\n"5"'


@given(INTENTS)
def test_an_intent_is_read_back_as_it_was_written(intent: Place | Cancel) -> None:
    """And what is read back is written with the same bytes."""
    data = codec.encode(intent)
    assert codec.decode_intent(data) == intent
    assert codec.encode(codec.decode_intent(data)) == data
    assert codec.encode_text(intent).encode() == data
    assert codec.encode_intent(intent).encode() == data


@given(STATES)
def test_a_state_is_read_back_as_it_was_written(state: OrderState) -> None:
    """Decimals, however small, keep every digit."""
    assert codec.decode_state(codec.encode(state)) == state


@given(STATES, st.randoms(use_true_random=False))
def test_equal_states_have_equal_bytes(state: OrderState, dice: Any) -> None:
    """The order in which fees were first seen does not show; nor do zeros a computation left."""
    items = list(state.fees.items())
    dice.shuffle(items)
    other = OrderState(
        venue_order_ids=state.venue_order_ids, filled=plain(state.filled * Decimal("1.000")),
        cost=plain(state.cost + Decimal("0.00")), fees={name: plain(one * Decimal("1.0")) for name, one in items},
        reported=plain(state.reported), ended=state.ended, reason=state.reason, anomalies=state.anomalies,
    )  # fmt: skip
    assert other == state
    assert codec.encode(other) == codec.encode(state)


@given(st.builds(Position, quantity=AMOUNTS, entry_cost=AMOUNTS, realized=AMOUNTS))
def test_a_position_is_read_back_as_it_was_written(position: Position) -> None:
    """As a state is."""
    assert codec.decode_position(codec.encode(position)) == position


def test_a_flat_position_and_a_new_state_are_written_as_nothing() -> None:
    """Defaults are left out, so that a field added later does not change old digests."""
    assert codec.encode(Position()) == b"{}"
    assert codec.encode(OrderState()) == b"{}"


def test_equal_amounts_of_an_intent_have_equal_bytes() -> None:
    """The module promises one text for a decimal."""
    assert codec.encode(place(quantity=Decimal("1.00"))) == codec.encode(place(quantity=Decimal(1)))


@pytest.mark.parametrize("amount", [Decimal(100).normalize(), Decimal("0.0000001"), Decimal("1E-10"), Decimal("2E3")])
def test_every_legal_amount_of_a_python_producer_is_read_back(amount: Decimal) -> None:
    """What `publish` stores must be what the gateway can read, at any legal size."""
    for intent in (place(quantity=amount), place(price=amount)):
        assert codec.decode_intent(codec.encode(intent)) == intent


@given(st.binary(max_size=200))
@example(b"")
@example(b"\xff\xfe")
@example(b"null")
@example(b'{"kind":"place"}')
def test_garbage_is_a_bad_intent_and_nothing_else(data: bytes) -> None:
    """Whatever bytes come by XADD, one error leaves the decoder, and it is a sentence."""
    with pytest.raises(BadIntent, match=r"\.$"):
        codec.decode_intent(data)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@given(st.sampled_from([*wire(), "leg", "tags", "valid_until", "rounding", "more"]), JSON)
@example("quantity", 1)
@example("signal_time", "0001-01-01T00:00:00+23:59")
@example("valid_until", "9999-12-31T23:59:59-23:59")
@example("price", "9" * 5_000)
@example("quantity", "1e999999999999999999999")
@example("signal_id", "\ud800")
def test_a_field_of_another_kind_is_a_bad_intent_or_an_intent(field: str, value: object) -> None:
    """Nothing but `BadIntent` leaves the decoder; what passes has a digestible validity."""
    try:
        intent = codec.decode_intent(dumps(wire(**{field: value})))
    except BadIntent:
        return
    assert isinstance(intent, Place)
    assert isinstance(intent.valid_until_ms, int)


@pytest.mark.parametrize("field", ["quantity", "price"])
@pytest.mark.parametrize("value", [1, 1.5, 0.1, 1e3])
def test_an_amount_that_is_a_json_number_is_refused(field: str, value: float) -> None:
    """It would have been a float somewhere on its way."""
    with pytest.raises(BadIntent, match=field):
        codec.decode_intent(dumps(wire(**{field: value})))


def test_a_number_is_refused_however_its_field_is_spelled_or_repeated() -> None:
    """JSON escapes in a key and a second value do not get past."""
    for other in (b'"\\u0071uantity":2', b'"quantity":2'):
        data = dumps(wire())
        for spelled in (data[:-1] + b"," + other + b"}", b"{" + other + b"," + data[1:]):
            with pytest.raises(BadIntent):
                codec.decode_intent(spelled)


@pytest.mark.parametrize(
    "text", ["NaN", "sNaN", "Infinity", "-1", "+1", " 1", "1_0", "0x1", "1,5", "٣", "", "0", "1\n"]
)
def test_an_amount_that_is_no_plain_positive_decimal_is_refused(text: str) -> None:
    """Python reads some of them as numbers; a venue would not."""
    with pytest.raises(BadIntent):
        codec.decode_intent(dumps(wire(quantity=text)))


def test_an_intent_beyond_the_size_limit_is_refused_before_it_is_parsed() -> None:
    """The sentence says both sizes."""
    data = b" " * codec.INTENT_BYTES_MAX + b"{}"
    with pytest.raises(BadIntent, match=f"{codec.INTENT_BYTES_MAX} bytes, this one has {len(data)}"):
        codec.decode_intent(data)


@pytest.mark.parametrize("opening", [b"[", b'{"a":', b'{"kind":"place","tags":{"a":['])
def test_deep_nesting_is_a_bad_intent(opening: bytes) -> None:
    """A stack of brackets does not become a crash."""
    with pytest.raises(BadIntent):
        codec.decode_intent(opening * (codec.INTENT_BYTES_MAX // len(opening)))


def test_text_that_is_not_utf8_is_a_bad_intent() -> None:
    """Also inside an otherwise good intent."""
    with pytest.raises(BadIntent):
        codec.decode_intent(dumps(wire(signal_id="MARK")).replace(b"MARK", b"\xff\xff"))


def test_evidence_is_read_back_as_it_was_written() -> None:
    """With the command it answers."""
    said = Evidence(
        source="answer", received_at_ns=7, format="binance.order",
        command=Command(client_order_id="fo-1", token="t", outcome=Refused("-1", "why")),
    )  # fmt: skip
    assert codec.decode_evidence(codec.encode(said)) == said


@given(st.text(max_size=5), st.text(max_size=5), st.sampled_from(["open", "filled"]))
def test_a_digest_covers_the_way_there(state: str, other: str, status: str) -> None:
    """The same state reached over another one has another digest."""
    first, second = codec.chain("", status, state), codec.chain("", status, other)
    assert (first == second) == (state == other)
    assert (codec.chain(first, status, state) == codec.chain(second, status, state)) == (state == other)


def test_the_birth_digest_is_that_of_a_created_record() -> None:
    """`publish` in Python and `claim` of a bare entry agree on it."""
    assert codec.birth_digest("fo-1", "print", "{}") == codec.chain("fo-1 print", "created", "{}")
    assert len(codec.birth_digest("fo-1", "print", "{}")) == 32


@given(st.lists(st.binary(min_size=1, max_size=8), unique=True, max_size=5), st.randoms(use_true_random=False))
def test_the_digest_of_a_parked_set_does_not_depend_on_its_order(ids: list[bytes], dice: Any) -> None:
    """Redis returns fields in any order, and the commit script sorts digests, which every locale sorts alike."""
    shuffled = list(ids)
    dice.shuffle(shuffled)
    assert codec.parked_digest(shuffled) == codec.parked_digest(ids)
    digests = sorted(hashlib.sha1(one, usedforsecurity=False).hexdigest() for one in ids)
    assert codec.parked_digest(ids) == hashlib.sha1(" ".join(digests).encode(), usedforsecurity=False).hexdigest()
