"""Specification of streams/record.py: the hash in Redis as one value."""

from datetime import UTC, datetime
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from streams import codec
from streams.record import FIELDS, NEW_STATE, NEW_STATE_TEXT, to_order, to_position
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
    assert to_order("fo-1", values(order)) == order


def test_no_hash_is_no_order() -> None:
    """HMGET of a key that does not exist answers with nothing but None."""
    assert to_order("fo-1", [None] * len(FIELDS)) is None


def test_a_record_as_publish_makes_it_has_the_defaults() -> None:
    """Fields the claim has not written yet are empty, not missing."""
    fields: dict[str, bytes] = {
        "terms": codec.encode(TERMS), "status": b"created", "state": NEW_STATE_TEXT.encode(), "digest": b"d",
        "fingerprint": b"f", "entry": b"1-1", "valid_until": b"7",
    }  # fmt: skip
    order = to_order("fo-1", [fields.get(name) for name in FIELDS])
    assert order == Order(
        client_order_id="fo-1", terms=TERMS, status="created", state=NEW_STATE, digest="d", fingerprint="f",
        entry="1-1", valid_until_ms=7,
    )  # fmt: skip


def test_a_tombstone_has_no_terms_and_a_wish_to_cancel() -> None:
    """It is what a cancel leaves for a place that has not come."""
    fields = {"status": b"cancelled", "state": b"{}", "digest": b"d", "fingerprint": b"", "cancel": b"1"}
    order = to_order("fo-1", [fields.get(name) for name in FIELDS])
    assert order is not None
    assert (order.terms, order.cancel_requested, order.quantity, order.live) == (None, True, Decimal(0), False)


def test_no_position_is_a_flat_one_without_a_digest() -> None:
    """The empty digest is what the commit script compares with."""
    assert to_position([None, None]) == (Position(), "")


def test_a_position_is_read_with_its_digest() -> None:
    """As the commit wrote them."""
    held = Position(quantity=Decimal("-0.5"), entry_cost=Decimal(-25), fees={"BNB": Decimal("0.1")})
    assert to_position([codec.encode(held), b"abc"]) == (held, "abc")
