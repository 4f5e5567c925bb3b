"""Specification of streams/course.py: the short way ends where `lifecycle.fold` does, or says that it cannot tell."""

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from streams import codec
from streams.course import Told, advance
from streams.lifecycle import Resubmission, fold
from streams.money import ZERO
from streams.schemas import Command, Execution, Order, OrderReport, OrderState, Place, Unknown

NEVER = Resubmission(allowed=False, now_ms=1_000_000)
NOBODY: frozenset[str] = frozenset()


def order(status: str = "open", **state: Any) -> Order:
    """An order of 1 BTC that the venue knows as `v1`."""
    terms = Place(
        account="sim.main", strategy="s", signal_id="1", signal_time=datetime(2026, 1, 1, tzinfo=UTC),
        symbol="BTC/USDT", side="buy", type="limit", quantity=Decimal(1), price=Decimal(50),
    )  # fmt: skip
    known: dict[str, Any] = {"venue_order_ids": ("v1",), **state}
    return Order(client_order_id="fo-1", terms=terms, status=status, state=OrderState(**known), digest="d")  # type: ignore[arg-type]  # a status by its word


def trade(number: int, quantity: str = "0.1", **changes: Any) -> Execution:
    """One execution at 50.5, with a fee."""
    given_: dict[str, Any] = {
        "venue_symbol": "BTCUSDT", "venue_order_id": "v1", "trade_id": f"t{number}", "side": "buy",
        "quantity": Decimal(quantity), "price": Decimal("50.5"), "executed_at_ms": number, "fee": Decimal("0.001"),
        "fee_asset": "BNB",
    }  # fmt: skip
    return Execution(**{**given_, **changes})


def report(status: str, filled: str = "0", at_ms: int = 1, **changes: Any) -> OrderReport:
    """The venue's word on the order."""
    given_: dict[str, Any] = {"venue_symbol": "BTCUSDT", "venue_order_id": "v1", "filled": Decimal(filled)}
    return OrderReport(status=status, reported_at_ms=at_ms, **{**given_, **changes})  # type: ignore[arg-type]  # the words of VenueStatus


LOTS = ["0.1", "0.2", "0.25", "0.30", "0.5", "1", "1.5"]
WORDS = ["open", "partially_filled", "filled", "cancelled", "expired", "rejected"]
FACTS = st.one_of(
    st.builds(
        trade, st.integers(1, 6), st.sampled_from(LOTS), venue_order_id=st.sampled_from(["v1"] * 9 + ["v2"]),
        fee=st.sampled_from([None, Decimal(0), Decimal("0.10"), Decimal("-0.1")]),
        fee_asset=st.sampled_from([None, "BNB", "BTC"]), generation=st.sampled_from([0] * 9 + [1]),
    ),
    st.builds(
        report, st.sampled_from(WORDS[:3] * 4 + WORDS), st.sampled_from(["0", *LOTS]), st.integers(0, 4),
        venue_order_id=st.sampled_from(["v1"] * 9 + ["v2"]), reason=st.sampled_from([""] * 9 + ["why"]),
        generation=st.sampled_from([0] * 9 + [1]),
    ),
)  # fmt: skip
STATES = st.fixed_dictionaries(
    {},
    optional={
        "filled": st.sampled_from([ZERO, Decimal("0.4")]), "cost": st.just(Decimal("20.2")),
        "fees": st.sampled_from([{}, {"BNB": Decimal("0.004")}]), "reported": st.sampled_from([Decimal("0.4")]),
        "reported_at_ms": st.integers(0, 3), "ended": st.sampled_from([None, "cancelled", "filled"]),
        "reason": st.just("an old one"), "anomalies": st.sampled_from([(), ("overfill",)]),
        "venue_order_ids": st.sampled_from([("v1",), ("v1", "v2"), ()]), "closed_token": st.just("t0"),
    },
)  # fmt: skip
STATUSES = ["open", "partially_filled"] * 4 + ["submitting", "unknown", "filled", "cancelled"]


def slowly(start: Order, told: Sequence[Told]) -> tuple[Order, list[object], list[str]]:
    """Fold fact by fact, as the ledger does: what is left of the order, and what changed it."""
    facts, entries = [], []
    for entry, of_entry in told:
        for fact in of_entry:
            after = fold(start, fact, NEVER)  # type: ignore[arg-type]  # only facts of orders are drawn
            if after != start:
                start = after
                facts.append(fact)
                entries.append(entry)
    return start, facts, list(dict.fromkeys(entries))


@given(
    start=st.one_of(
        st.just(order()), st.builds(lambda status, state: order(status, **state), st.sampled_from(STATUSES), STATES)
    ),
    said=st.lists(st.lists(FACTS, min_size=1, max_size=3), max_size=3),
)
def test_the_short_way_and_the_long_way_end_alike(start: Order, said: list[list[Any]]) -> None:
    """Same order to the byte, same facts kept, same entries named; or the short way leaves it to the long one."""
    told = [(f"{number}-0", facts) for number, facts in enumerate(said)]
    short = advance(start, told, NOBODY)
    if short is None:
        return
    after, facts, entries = slowly(start, told)
    assert short.order == after
    assert codec.encode(short.order.state) == codec.encode(after.state)
    assert (list(short.facts), list(short.entries)) == (facts, entries)
    assert list(short.executions.values()) == [fact for fact in facts if isinstance(fact, Execution)]


def test_two_fills_with_their_reports_go_the_short_way() -> None:
    """What nearly every batch is made of."""
    told = [
        ("1-0", (trade(1, "0.4"), report("partially_filled", "0.4", 2))),
        ("2-0", (trade(2, "0.60"), report("filled", "1.0", 3))),
    ]
    after = advance(order(), told, NOBODY)
    assert after is not None
    assert (after.order.status, str(after.order.state.filled), str(after.order.state.cost)) == ("filled", "1", "50.5")
    assert after.order.state.fees == {"BNB": Decimal("0.002")}
    assert list(after.executions) == ["v1:t1", "v1:t2"]


@pytest.mark.parametrize(
    ("start", "facts", "seen"),
    [
        (order("submitting"), [trade(1)], NOBODY),
        (order("filled", filled=Decimal(1)), [trade(1)], NOBODY),
        (order(venue_order_ids=("v1", "v2")), [trade(1)], NOBODY),
        (order(venue_order_ids=()), [trade(1)], NOBODY),
        (order(anomalies=("double",)), [trade(1)], NOBODY),
        (order(), [trade(1), trade(1)], NOBODY),
        (order(), [trade(1)], frozenset({"v1:t1"})),
        (order(), [trade(1, "1.1")], NOBODY),
        (order(), [trade(1, "1"), trade(2)], NOBODY),
        (order(), [trade(1, venue_order_id="v2")], NOBODY),
        (order(), [report("cancelled")], NOBODY),
        (order(), [report("open", reason="why")], NOBODY),
        (order(), [Command(client_order_id="fo-1", token="t1", outcome=Unknown("timeout"))], NOBODY),
    ],
)  # fmt: skip
def test_whatever_else_there_is_is_left_to_the_long_way(start: Order, facts: list[Any], seen: frozenset[str]) -> None:
    """It never guesses at what is not ordinary."""
    assert advance(start, [("1-0", facts)], seen) is None


def test_a_field_of_the_state_that_it_does_not_know_is_left_to_the_long_way() -> None:
    """Every field but those it follows must be empty, whatever is added to a state one day."""
    unusual = [
        name for name in OrderState.__struct_fields__ if advance(_with(name), [("1-0", [trade(1)])], NOBODY) is None
    ]
    assert {"anomalies", "ended", "venue_order_ids", "filled"} <= set(unusual)
    assert not {"reason", "closed_token", "reported_at_ms"} & set(unusual)


def _with(name: str) -> Order:
    start = order()
    values: dict[str, Any] = {
        "ended": "cancelled",
        "venue_order_ids": ("v1", "v2"),
        "filled": Decimal(1),
        "reason": "r",
        "cost": Decimal(1),
        "fees": {},
        "reported": Decimal(0),
        "reported_at_ms": 1,
        "closed_token": "t",
    }
    return replace(start, state=replace(start.state, **{name: values.get(name, ("something",))}))
