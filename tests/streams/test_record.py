"""Specification of streams/record.py: the hash in Redis as one value."""

from datetime import UTC, datetime
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from streams import codec
from streams.record import FIELDS, NEW_STATE, NEW_STATE_TEXT, claimed_terms, to_order, to_position, written_out
from streams.schemas import Amending, Order, OrderState, Place, Position

TERMS = Place(
    account="sim.main", strategy="s", signal_id="1", signal_time=datetime(2026, 1, 1, tzinfo=UTC), symbol="BTC/USDT",
    side="buy", type="limit", quantity=Decimal(2), price=Decimal(5),
)  # fmt: skip
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
ORDERS = st.builds(
    Order,
    client_order_id=st.just("fo-1"),
    terms=st.just(TERMS),
    status=st.sampled_from(["created", "submitting", "open", "filled"]),
    state=st.builds(OrderState, filled=st.decimals("0", "2", places=4), reason=TEXTS),
    digest=TEXTS,
    fingerprint=TEXTS,
    entry=TEXTS,
    token=TEXTS,
    send_by_ms=st.integers(0, 2**45),
    valid_until_ms=st.integers(0, 2**45),
    cancel_requested=st.booleans(),
    sent=st.dictionaries(TEXTS, TEXTS, max_size=2),
    refusal=TEXTS,
    amend=st.none() | st.just(Amending(revision=3, quantity=Decimal("0.5"), price=Decimal(60))),
)


def values(order: Order) -> list[bytes | None]:
    """The fields of `FIELDS` as the scripts would have stored them."""
    stored: dict[str, bytes | None] = {
        "terms": codec.encode(order.terms), "status": order.status.encode(), "state": codec.encode(order.state),
        "digest": order.digest.encode(), "fingerprint": order.fingerprint.encode(), "entry": order.entry.encode(),
        "token": order.token.encode(), "send_by": str(order.send_by_ms).encode(),
        "valid_until": str(order.valid_until_ms).encode(), "cancel": b"1" if order.cancel_requested else None,
        "sent": codec.encode(order.sent), "refusal": codec.encode(order.refusal),
        "amend": b'{"fingerprint":"f","price":"60","quantity":"0.5","revision":"3"}' if order.amend else None,
    }  # fmt: skip
    return [stored[name] for name in FIELDS]


@given(ORDERS)
def test_a_record_is_read_as_the_order_it_is(order: Order) -> None:
    """Every field finds its place."""
    assert to_order("sim.main", "fo-1", values(order)) == order


def test_no_hash_is_no_order() -> None:
    """HMGET of a key that does not exist answers with nothing but None."""
    assert to_order("sim.main", "fo-1", [None] * len(FIELDS)) is None


def test_a_record_as_publish_makes_it_has_the_defaults() -> None:
    """Fields the claim has not written yet are empty, not missing."""
    fields: dict[str, bytes] = {
        "terms": codec.encode(TERMS), "status": b"created", "state": NEW_STATE_TEXT.encode(), "digest": b"d",
        "fingerprint": b"f", "entry": b"1-1", "valid_until": b"7",
    }  # fmt: skip
    order = to_order("sim.main", "fo-1", [fields.get(name) for name in FIELDS])
    assert order == Order(
        client_order_id="fo-1", terms=TERMS, status="created", state=NEW_STATE, digest="d", fingerprint="f",
        entry="1-1", valid_until_ms=7,
    )  # fmt: skip


def test_a_record_of_the_version_before_is_read_as_the_order_it_is() -> None:
    """These bytes were stored by it, and are kept for as long as an order is."""
    fields = {
        "terms": b'{"kind":"place","account":"sim.main","strategy":"s","signal_id":"1",'
        b'"signal_time":"2026-01-01T00:00:00Z","symbol":"BTC/USDT","side":"buy","type":"limit","quantity":"2","price":"5","leg":"","time_in_force":"gtc",'
        b'"post_only":false,"reduce_only":false,"position_side":"net","valid_until":null,"rounding":null,"tags":{}}',
        "status": b"filled", "digest": b"0e321d3361aa7f6e3ecb8b13a92ff584",
        "state": b'{"venue_order_ids":["7"],"filled":"2","cost":"10","fees":{"BNB":"4E-8"},"reported":"2",'
        b'"ended":"filled","reported_at_ms":1701000000001}',
        "fingerprint": b"dbab1be93dcc6aa372585d54f53fa8c3", "entry": b"1795484391281-1",
        "valid_until": b"1798076391000", "token": b"lJ5nNILHSmMTQf-G", "send_by": b"1795484451284",
        "sent": b'{"price":"5","quantity":"2"}',
    }  # fmt: skip
    order = to_order("sim.main", "fo-1", [fields.get(name) for name in FIELDS])
    assert order is not None
    assert (order.terms, order.sent) == (TERMS, {"price": "5", "quantity": "2"})
    kept = dict(zip(("terms", "sent"), claimed_terms(TERMS, order.sent), strict=True))
    short = fields | {name: value.encode() for name, value in kept.items()}
    assert kept["sent"] == ""
    assert to_order("sim.main", "fo-1", [short.get(name) for name in FIELDS]) == order
    told = {name: value.decode() for name, value in fields.items()}
    assert written_out("sim.main", told) == told
    assert written_out("sim.main", {**told, "terms": kept["terms"]}) == told
    del told["sent"]
    assert written_out("sim.main", {**told, "terms": kept["terms"]})["sent"] == '{"price":"5","quantity":"2"}'


def test_terms_that_were_asked_about_are_not_decoded_again() -> None:
    """A script leaves them out where they are stored as they were published; else they are compared."""
    fields: dict[str, bytes] = {"status": b"open", "digest": b"d"}
    for stored in (b"", codec.encode_terms(TERMS).encode()):
        order = to_order("sim.main", "fo-1", [{**fields, "terms": stored}.get(name) for name in FIELDS], TERMS)
        assert order is not None
        assert order.terms is TERMS
    other = codec.encode_terms(replace(TERMS, tags={"a": "b"})).encode()
    order = to_order("sim.main", "fo-1", [{**fields, "terms": other}.get(name) for name in FIELDS], TERMS)
    assert order is not None
    assert order.terms == replace(TERMS, tags={"a": "b"})


def test_a_tombstone_has_no_terms_and_a_wish_to_cancel() -> None:
    """It is what a cancel leaves for a place that has not come."""
    fields = {"status": b"cancelled", "state": b"{}", "digest": b"d", "fingerprint": b"", "cancel": b"1"}
    order = to_order("sim.main", "fo-1", [fields.get(name) for name in FIELDS])
    assert order is not None
    assert (order.terms, order.cancel_requested, order.quantity, order.live) == (None, True, Decimal(0), False)


def test_no_position_is_a_flat_one_without_a_digest() -> None:
    """The empty digest is what the commit script compares with."""
    assert to_position([None, None]) == (Position(), "")


def test_a_position_is_read_with_its_digest() -> None:
    """As the commit wrote them."""
    held = Position(quantity=Decimal("-0.5"), entry_cost=Decimal(-25), fees={"BNB": Decimal("0.1")})
    assert to_position([codec.encode(held), b"abc"]) == (held, "abc")
