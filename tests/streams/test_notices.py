"""Specification of streams/notices.py: what a journal entry tells a strategy."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from streams import events
from streams.events import AnyChange, JournalEntry
from streams.notices import AmendDeclined, Fill, OrderChanged, PositionChanged, concerns, learnt, tell, unknown
from streams.schemas import Absent, Accepted, Command, Execution, NotSent, OrderReport, Place, Refused

TERMS = Place(
    account="sim.main", strategy="maker", signal_id="s1", leg="a", signal_time=datetime(2026, 1, 1, tzinfo=UTC),
    symbol="BTC/USDT", side="buy", type="limit", quantity=Decimal(2), price=Decimal(5),
)  # fmt: skip
KNOWN = {"c1": TERMS}
CLAIMED = events.Claimed(id="i", client_order_id="c1", token="t", gateway="g", command="place", send_by_ms=1)


def execution(trade_id: str, quantity: str = "1") -> Execution:
    """One trade of the order."""
    return Execution(
        venue_symbol="BTCUSDT", venue_order_id="7", trade_id=trade_id, side="buy", quantity=Decimal(quantity),
        price=Decimal(5), executed_at_ms=9,
    )  # fmt: skip


def updated(*facts: Any, id: str = "d1", quantity: str = "1", **changes: Any) -> events.Updated:  # noqa: A002 - the field
    """A commit of one order."""
    given: dict[str, Any] = {
        "id": id, "client_order_id": "c1", "strategy": "maker", "symbol": "BTC/USDT", "facts": facts, "evidence": (),
        "status": "partially_filled", "filled": "1", "now_ms": 3, "position": "BTC/USDT",
        "position_quantity": quantity,
    }  # fmt: skip
    return events.Updated(**{**given, **changes})


def entry(*changes: AnyChange) -> JournalEntry:
    """One call's entry."""
    return JournalEntry(v=1, script="commit", at_ms=11, changes=changes)


def test_an_execution_is_told_as_a_fill_with_the_identity_of_its_intent() -> None:
    """Then the order as it stands, then the position."""
    fill, order, position = tell("sim.main", entry(updated(execution("t1"))), KNOWN)
    assert fill == Fill(
        event_id="d1:7:t1", account="sim.main", at_ms=11, client_order_id="c1", strategy="maker", signal_id="s1",
        leg="a", symbol="BTC/USDT", trade_id="t1", side="buy", quantity=Decimal(1), price=Decimal(5),
        executed_at_ms=9, status="partially_filled", filled=Decimal(1),
    )  # fmt: skip
    assert isinstance(order, OrderChanged)
    assert (order.event_id, order.status, order.filled, order.quantity) == (
        "d1", "partially_filled", Decimal(1), Decimal(2),
    )  # fmt: skip
    assert isinstance(position, PositionChanged)
    assert (position.symbol, position.quantity, position.strategy) == ("BTC/USDT", Decimal(1), "maker")


def test_every_execution_of_an_entry_has_an_event_id_of_its_own() -> None:
    """Two trades in one frame are two fills."""
    told = tell("sim.main", entry(updated(execution("t1"), execution("t2"))), KNOWN)
    assert [one.event_id for one in told if isinstance(one, Fill)] == ["d1:7:t1", "d1:7:t2"]


def test_a_position_is_told_once_an_entry_as_it_stands_after_it() -> None:
    """Two orders of one symbol in one call moved it: no handler sees it in between."""
    told = tell("sim.main", entry(updated(execution("t1")), updated(execution("t2"), id="d2", quantity="2")), KNOWN)
    assert [one.quantity for one in told if isinstance(one, PositionChanged)] == [Decimal(2)]


def test_a_position_with_two_sides_says_which(account: str) -> None:
    """As the ledger named it."""
    told = tell(account, entry(updated(execution("t"), symbol="A/B:B", position="A/B:B:short")), KNOWN)
    assert [one.position_side for one in told if isinstance(one, PositionChanged)] == ["short"]


@pytest.mark.parametrize(
    ("change", "status"),
    [
        (events.Imported(id="i", client_order_id="c1", terms=TERMS, valid_until_ms=1), "unknown"),
        (events.Created(id="i", client_order_id="c1", terms=TERMS, fingerprint="f", valid_until_ms=1), "created"),
        (CLAIMED, "submitting"),
        (events.Doubted(id="i", client_order_id="c1", token="t"), "unknown"),
        (events.Ended(id="i", client_order_id="c1", status="expired", reason="too late"), "expired"),
    ],
)  # fmt: skip
def test_what_the_scripts_decide_is_told_as_a_change_of_the_order(change: AnyChange, status: str) -> None:
    """With the identity of its intent, which the change itself does not have."""
    [order] = tell("sim.main", entry(change), KNOWN)
    assert isinstance(order, OrderChanged)
    assert (order.status, order.strategy, order.signal_id, order.filled) == (status, "maker", "s1", Decimal(0))


def test_a_refusal_says_why() -> None:
    """The venue's words."""
    report = OrderReport(
        venue_symbol="X", venue_order_id="7", status="rejected", filled=Decimal(0), reported_at_ms=1, reason="no margin"
    )
    refused = Command(client_order_id="c1", token="t", outcome=Refused("-2010", "no margin"))
    [order] = tell("sim.main", entry(updated(refused, report, status="rejected", position="")), KNOWN)
    assert isinstance(order, OrderChanged)
    assert order.reason == "no margin"


def test_the_terms_to_be_read_are_those_the_entry_does_not_bring() -> None:
    """What it creates it knows; a cancel's claim and a tombstone tell nothing."""
    told = entry(
        events.Created(id="i", client_order_id="c1", terms=TERMS, fingerprint="f", valid_until_ms=1),
        events.Doubted(id="i", client_order_id="c2", token="t"),
        events.Ended(id="i", client_order_id="c3", status="expired", reason="r"),
        events.Tombstone(id="i", client_order_id="c4"),
        events.Claimed(id="i", client_order_id="c5", token="t", gateway="g", command="cancel", send_by_ms=1),
    )
    assert unknown(told, {"c3": TERMS}) == ["c2"]
    assert dict(learnt(told)) == {"c1": TERMS}


def test_a_fill_of_an_order_whose_record_is_forgotten_is_told_all_the_same() -> None:
    """Only the signal id is missing."""
    fill, *_ = tell("sim.main", entry(updated(execution("t1"))), {})
    assert isinstance(fill, Fill)
    assert (fill.strategy, fill.signal_id) == ("maker", "")


def test_a_strategy_is_told_of_its_own_orders_and_of_every_position() -> None:
    """A venue knows accounts, not strategies: another's order moves the position all the same."""
    told = tell("sim.main", entry(updated(execution("t1"))), KNOWN)
    assert [concerns(one, "maker") for one in told] == [True, True, True]
    assert [concerns(one, "other") for one in told] == [False, False, True]


def test_an_event_survives_json() -> None:
    """Amounts as text, as everywhere."""
    [fill, *_] = tell("sim.main", entry(updated(execution("t1", "0.10"))), KNOWN)
    encoded = msgspec.json.encode(fill)
    assert msgspec.json.decode(encoded, type=Fill) == fill
    assert b'"0.10"' in encoded


@pytest.mark.parametrize(
    ("change", "event_id", "reason"),
    [
        (
            events.Declined(
                id="declined:3:c1", client_order_id="c1", revision=3, fingerprint="f", reason="off the tick"
            ),
            "declined:3:c1",
            "off the tick",
        ),
        (
            updated(Command(client_order_id="c1", token="t", kind="amend", revision=3, outcome=Refused("-2", "no"))),
            "d1:amend:3",
            "-2 no",
        ),
        (
            updated(Command(client_order_id="c1", token="t", kind="amend", revision=3, outcome=Absent(1))),
            "d1:amend:3",
            "it never reached the venue",
        ),
    ],
    ids=["before it was sent", "by the venue", "lost"],
)
def test_an_amend_that_came_to_nothing_is_told_with_its_reason(change: AnyChange, event_id: str, reason: str) -> None:
    """Whoever declined it."""
    assert unknown(entry(change), {}) == ["c1"]
    [said] = [one for one in tell("sim.main", entry(change), KNOWN) if isinstance(one, AmendDeclined)]
    assert (said.event_id, said.client_order_id, said.revision, said.reason) == (event_id, "c1", 3, reason)
    assert concerns(said, "maker")
    assert not concerns(said, "other")


def test_an_amend_that_took_effect_or_is_tried_again_is_not_told_as_declined() -> None:
    """Nor is the refusal of a cancel or a place."""
    said = [
        Command(client_order_id="c1", token="t", kind="amend", revision=3, outcome=one)
        for one in (Accepted(), NotSent("x"))
    ]
    said += [
        Command(client_order_id="c1", token="t", kind=one, outcome=Refused("-2", "no")) for one in ("place", "cancel")
    ]
    assert not [one for one in tell("sim.main", entry(updated(*said)), KNOWN) if isinstance(one, AmendDeclined)]
