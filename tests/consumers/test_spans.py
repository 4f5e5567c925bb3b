"""Spans of an order's life, from entries of the journal alone."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from consumers.spans import Span, Spans, root_id, trace_id
from streams import events
from streams.schemas import Execution, OrderReport, Place

NAME = "fo-1"
TERMS = Place(
    account="sim.a", strategy="s", signal_id="one", signal_time=datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC),
    symbol="BTC/USDT", side="buy", type="limit", quantity=Decimal(1), price=Decimal(100),
)  # fmt: skip
CREATED = events.Created(id="c", client_order_id=NAME, terms=TERMS, fingerprint="f", valid_until_ms=9_000)
CLAIMED = events.Claimed(id="k", client_order_id=NAME, token="t", gateway="g", command="place", send_by_ms=5_000)
OPEN = OrderReport(venue_symbol="BTCUSDT", venue_order_id="7", status="open", filled=Decimal(0), reported_at_ms=1)


def execution(trade_id: str, at_ms: int) -> Execution:
    """Half of the order."""
    return Execution(
        venue_symbol="BTCUSDT", venue_order_id="7", trade_id=trade_id, side="buy", quantity=Decimal("0.5"),
        price=Decimal(100), executed_at_ms=at_ms,
    )  # fmt: skip


def updated(name: str, status: Any, *trade_ids: str, at_ms: int = 1_300) -> events.Updated:
    """What evidence did: executions, or a report."""
    facts = tuple(execution(one, at_ms) for one in trade_ids) or (OPEN,)
    return events.Updated(
        id=name, client_order_id=NAME, strategy="s", symbol="BTC/USDT", facts=facts, evidence=("1-0",), status=status,
        filled="0", now_ms=1,
    )  # fmt: skip


def spans(*told: tuple[int, events.AnyChange], begun: bool = True) -> list[Span]:
    """Spans of a journal."""
    maker = Spans("sim.a")
    first: list[tuple[int, events.AnyChange]] = [(1_100, CREATED), (1_200, CLAIMED)] if begun else []
    entries = [events.JournalEntry(v=1, script="x", at_ms=at_ms, changes=(one,)) for at_ms, one in (*first, *told)]
    return [span for entry in entries for span in maker.of(entry)]


def test_an_order_is_one_trace_from_its_signal_to_its_end():
    """Each step begins where the last one ended; a fill begins when the venue says it was; all hang on the root."""
    found = spans((1_250, updated("u1", "open")), (1_400, updated("u2", "filled", "1", "2")))
    assert [(one.name, one.start_ms, one.end_ms) for one in found] == [
        ("publish", 1_000, 1_100), ("claim", 1_100, 1_200), ("venue", 1_200, 1_250), ("fill", 1_300, 1_400),
        ("fill", 1_300, 1_400), ("order", 1_000, 1_400),
    ]  # fmt: skip
    assert {one.trace_id for one in found} == {trace_id("sim.a", NAME)}
    assert {one.parent_id for one in found[:-1]} == {root_id("sim.a", NAME)} == {found[-1].span_id}
    assert len({one.span_id for one in found}) == len(found)
    assert (found[-1].parent_id, found[-1].attributes["fillonce.signal_id"], found[-1].failed) == (0, "one", "")


def test_an_order_that_came_to_nothing_says_why():
    """Before it was sent, or by the venue."""
    ended = events.Ended(id="e", client_order_id=NAME, status="expired", reason="too late")
    assert spans((1_300, ended))[-1].failed == "too late"
    assert spans((1_300, updated("u", "rejected")))[-1].failed == "rejected"


def test_a_late_fill_is_told_and_ends_nothing_twice():
    """It belongs to the same trace."""
    found = spans((1_300, updated("u1", "cancelled")), (1_400, updated("u2", "cancelled", "1")))
    assert [one.name for one in found] == ["publish", "claim", "venue", "order", "fill"]


def test_an_order_that_began_before_is_left_out():
    """Half a story would have wrong times."""
    assert spans((1_300, updated("u", "filled", "1")), (1_400, CLAIMED), begun=False) == []


def test_no_span_ends_before_it_begins():
    """The venue's clock may be ahead of the server's."""
    found = spans((1_250, updated("u", "filled", "1", at_ms=9_999)))
    assert all(one.start_ms <= one.end_ms for one in found)
