"""Specification of streams/events.py: every change survives the journal, and foreign entries are refused."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams import codec, events
from streams.events import AnyChange, JournalEntry
from streams.schemas import Absent, Command, Execution, OrderReport, Place, Refused

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
AMOUNTS = st.decimals("0.00000001", "1000000000", places=8)
TERMS = Place(
    account="sim.main", strategy="s", signal_id="1", signal_time=datetime(2026, 1, 1, tzinfo=UTC), symbol="BTC/USDT",
    side="buy", type="limit", quantity=Decimal(1), price=Decimal(5), tags={"a": "ü"},
)  # fmt: skip
EXECUTIONS = st.builds(
    Execution, venue_symbol=TEXTS, venue_order_id=TEXTS, trade_id=TEXTS, side=st.sampled_from(["buy", "sell"]),
    quantity=AMOUNTS, price=AMOUNTS, executed_at_ms=st.integers(0, 2**50), fee=st.none() | AMOUNTS,
    fee_asset=st.none() | TEXTS, client_order_id=st.none() | TEXTS, maker=st.none() | st.booleans(),
)  # fmt: skip
REPORTS = st.builds(
    OrderReport, venue_symbol=TEXTS, venue_order_id=TEXTS, status=st.sampled_from(["open", "filled", "expired"]),
    filled=AMOUNTS, reported_at_ms=st.integers(0, 2**50), client_order_id=st.none() | TEXTS, reason=TEXTS,
)  # fmt: skip
COMMANDS = st.builds(
    Command, client_order_id=TEXTS, token=TEXTS, kind=st.sampled_from(["place", "cancel", "amend"]),
    outcome=st.sampled_from([Refused("-1", "why"), Absent(7)]),
)  # fmt: skip
STATUSES = st.sampled_from(["created", "open", "filled", "cancelled"])
CHANGES = st.one_of(
    st.builds(events.Created, id=TEXTS, client_order_id=TEXTS, terms=st.just(TERMS), fingerprint=TEXTS,
              valid_until_ms=st.integers(0, 2**50), entry=TEXTS),
    st.builds(events.Claimed, id=TEXTS, client_order_id=TEXTS, token=TEXTS, gateway=TEXTS,
              command=st.sampled_from(["place", "cancel", "amend"]), send_by_ms=st.integers(0, 2**50),
              sent=st.dictionaries(TEXTS, TEXTS, max_size=2)),
    st.builds(events.Ended, id=TEXTS, client_order_id=TEXTS, status=STATUSES, reason=TEXTS),
    st.builds(events.CancelRequested, id=TEXTS, client_order_id=TEXTS, entry=TEXTS, who=TEXTS),
    st.builds(events.Declined, id=TEXTS, client_order_id=TEXTS, revision=st.integers(1, 999), fingerprint=TEXTS,
              reason=TEXTS),
    st.builds(events.Tombstone, id=TEXTS, client_order_id=TEXTS, entry=TEXTS, who=TEXTS),
    st.builds(events.Doubted, id=TEXTS, client_order_id=TEXTS, token=TEXTS, cause=TEXTS),
    st.builds(events.Queued, id=TEXTS, client_order_id=TEXTS, entry=TEXTS),
    st.builds(events.Updated, id=TEXTS, client_order_id=TEXTS, strategy=TEXTS, symbol=TEXTS,
              facts=st.lists(EXECUTIONS | REPORTS | COMMANDS, max_size=4).map(tuple),
              evidence=st.lists(TEXTS, max_size=2).map(tuple), status=STATUSES, filled=AMOUNTS.map(str),
              now_ms=st.integers(0, 2**50), position=TEXTS, position_quantity=TEXTS,
              anomalies=st.lists(TEXTS, max_size=2).map(tuple)),
    st.builds(events.Parked, id=TEXTS, execution=EXECUTIONS, evidence=TEXTS),
    st.builds(events.Passed, id=TEXTS, evidence=TEXTS, reason=TEXTS),
    st.builds(events.Quarantined, id=TEXTS, stream=TEXTS, entry=TEXTS, reason=TEXTS),
    st.builds(events.Opened, id=TEXTS, history=TEXTS),
    st.builds(events.Enabled, id=TEXTS),
    st.builds(events.Clearing, id=TEXTS, reason=TEXTS, who=TEXTS, scope=TEXTS),
    st.builds(events.StreamLost, id=TEXTS, connection=TEXTS, reason=TEXTS),
    st.builds(events.StreamWhole, id=TEXTS, connection=TEXTS),
)  # fmt: skip


@given(st.lists(CHANGES, max_size=3).map(tuple), st.integers(0, 2**50))
def test_an_entry_is_read_back_as_it_was_written(changes: tuple[AnyChange, ...], at_ms: int) -> None:
    """Every kind of change, with every amount to the digit it was written with."""
    entry = JournalEntry(v=events.FORMAT_VERSION, script="commit", at_ms=at_ms, changes=changes)
    data = codec.encode(entry)
    assert events.decode(data) == entry
    assert codec.encode(events.decode(data)) == data


def test_every_kind_of_change_has_a_word_of_its_own_and_an_event_id() -> None:
    """A reader tells changes apart by `kind` alone."""
    kinds = get_args(AnyChange)
    tags = [msgspec.inspect.type_info(kind).tag for kind in kinds]  # type: ignore[attr-defined]  # all are tagged Structs
    assert len(set(tags)) == len(kinds)
    assert all("id" in kind.__struct_fields__ for kind in kinds)


@pytest.mark.parametrize(
    "data",
    [b"", b"[]", b"{}", b'{"v":1,"script":"x","at_ms":1,"changes":[{"kind":"never","id":"1"}]}',
     b'{"v":1,"script":"x","at_ms":1,"changes":[{"kind":"tombstone","client_order_id":"c"}]}',
     b'{"v":"1","script":"x","at_ms":1,"changes":[]}'],
)  # fmt: skip
def test_what_is_not_an_entry_is_refused(data: bytes) -> None:
    """Nothing is read half."""
    with pytest.raises(msgspec.DecodeError):
        events.decode(data)


def test_an_entry_of_another_version_is_refused() -> None:
    """What a later version means by the same words is not known here."""
    with pytest.raises(msgspec.ValidationError):
        events.decode(b'{"v":%d,"script":"x","at_ms":1,"changes":[]}' % (events.FORMAT_VERSION + 1))
