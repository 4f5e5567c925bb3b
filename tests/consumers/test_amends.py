"""Specification of amends: one order, whatever it was replaced by, and never more executed than was asked for."""

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from streams import AmendDeclined, OrderChanged, Strategy, codec
from streams.schemas import Amend, Order

LOW, LOWER, ONE = Decimal(20_000), Decimal(19_000), Decimal(1)


def the(fillonce: Any) -> Order:
    """The one order there is."""
    [order] = fillonce.orders()
    found: Order = order
    return found


def executed(fillonce: Any) -> Decimal:
    """What the venue executed of everything that was sent."""
    return sum((Decimal(one["executed"]) for one in fillonce.venue_orders()), Decimal(0))


def rests(fillonce: Any) -> Decimal:
    """What rests at the venue."""
    open_ones = [one for one in fillonce.venue_orders() if one["status"] in ("NEW", "PARTIALLY_FILLED")]
    assert len(open_ones) <= 1
    return sum((Decimal(one["quantity"]) - Decimal(one["executed"]) for one in open_ones), Decimal(0))


def until(fillonce: Any, condition: Callable[[Order], object]) -> Order:
    """The order, as soon as it is as wanted."""
    fillonce.until(lambda: condition(the(fillonce)))
    return the(fillonce)


def test_an_amended_order_is_the_same_order_with_other_terms(fillonce: Any) -> None:
    """Replaced at the venue under a name that begins with its own; the end of the old one is not its end."""
    placed = fillonce.place(side="buy", type="limit", quantity=1, price=LOW)
    until(fillonce, lambda order: order.status == "open")
    fillonce.amend(placed, 1, 2, LOWER)
    order = until(fillonce, lambda order: order.state.revision == 1)
    fillonce.settled()
    assert (order.status, order.quantity, order.price, order.amend) == ("open", Decimal(2), LOWER, None)
    old, new = fillonce.venue_orders()
    assert (old["status"], new["status"]) == ("CANCELED", "NEW")
    assert (old["client_order_id"], new["client_order_id"][:-2]) == (placed.client_order_id, placed.client_order_id)
    assert (Decimal(new["quantity"]), Decimal(new["price"])) == (Decimal(2), LOWER)
    fillonce.house("SELL", 2, LOWER)
    until(fillonce, lambda order: order.status == "filled")
    assert fillonce.position() == 2 - Decimal("0.002")


def test_what_was_executed_before_an_amend_is_part_of_it(fillonce: Any) -> None:
    """The quantity is that of the whole order; only what is left is placed anew."""
    placed = fillonce.place(side="buy", type="limit", quantity=1, price=LOW)
    until(fillonce, lambda order: order.status == "open")
    fillonce.house("SELL", "0.4", LOW)
    until(fillonce, lambda order: order.state.filled == Decimal("0.4"))
    fillonce.amend(placed, 1, "1.5", LOWER)
    order = until(fillonce, lambda order: order.state.revision == 1)
    assert (order.status, order.quantity) == ("partially_filled", Decimal("1.5"))
    assert rests(fillonce) == Decimal("1.1")
    fillonce.house("SELL", 2, LOWER)
    order = until(fillonce, lambda order: order.status == "filled")
    assert (order.state.filled, order.state.anomalies, executed(fillonce)) == (Decimal("1.5"), (), Decimal("1.5"))


@pytest.mark.parametrize("before", [0, 1])
def test_an_amend_that_crosses_a_fill_never_executes_more_than_was_asked_for(fillonce: Any, before: int) -> None:
    """Published at the moment of an execution that nobody here has heard of, over and over."""
    total = Decimal(3)
    placed = fillonce.place(side="buy", type="limit", quantity=total, price=LOW)
    until(fillonce, lambda order: order.status == "open")
    if before:
        fillonce.house("SELL", "0.1", LOW)
        until(fillonce, lambda order: order.state.filled)
    for revision in range(1, 6):
        price = LOW - revision
        fillonce.amend(placed, revision, total, price)
        fillonce.house("SELL", "0.2", LOWER)
        fillonce.until(lambda price=price: the(fillonce).price == price or the(fillonce).amend is None)
        fillonce.settled()
        assert executed(fillonce) + rests(fillonce) == total
    fillonce.house("SELL", 3, LOWER)
    order = until(fillonce, lambda order: order.status == "filled")
    assert (order.state.filled, executed(fillonce), order.state.anomalies) == (total, total, ())


def test_the_same_amend_again_does_nothing_and_another_under_its_revision_is_a_conflict(fillonce: Any) -> None:
    """The newest wins, an older one is done."""
    placed = fillonce.place(side="buy", type="limit", quantity=1, price=LOW)
    until(fillonce, lambda order: order.status == "open")
    fillonce.amend(placed, 2, 1, LOWER)
    until(fillonce, lambda order: order.state.revision == 2)
    intents = fillonce.entries("intents")
    fillonce.append("intents", data=intents[-1][b"data"])
    fillonce.amend(placed, 1, 1, LOW - 1)
    fillonce.amend(placed, 2, 1, LOW - 2)
    fillonce.until(fillonce.quarantined)
    fillonce.settled()
    assert the(fillonce).price == LOWER
    assert len(fillonce.venue_orders()) == 2
    assert ["was used for another order" in reason for reason in fillonce.quarantined()] == [True]


@pytest.mark.fillonce(faults={"execution_before_answer": 1.0, "answer_hold_ms": 300})
def test_an_amend_of_an_order_in_flight_waits_for_its_outcome_and_then_acts(fillonce: Any) -> None:
    """Published together; and a second amend waits for the first."""
    placed = fillonce.place(side="buy", type="limit", quantity=1, price=LOW)
    fillonce.amend(placed, 1, 1, LOWER)
    fillonce.amend(placed, 2, 2, LOWER)
    order = until(fillonce, lambda order: order.state.revision == 2)
    fillonce.settled()  # its answers are held up
    assert (order.quantity, order.price, order.state.anomalies) == (Decimal(2), LOWER, ())


def test_an_amend_whose_answer_is_lost_is_found_by_a_look_up(fillonce: Any) -> None:
    """The venue carried it out and said nothing; it is not sent again."""
    placed = fillonce.place(side="buy", type="limit", quantity=1, price=LOW)
    until(fillonce, lambda order: order.status == "open")
    fillonce.faults(accept_then_drop=1.0, stream_cut=1.0)
    fillonce.amend(placed, 1, 1, LOWER)
    fillonce.until(lambda: len(fillonce.venue_orders()) == 2)
    fillonce.faults()
    order = until(fillonce, lambda order: order.state.revision == 1)
    fillonce.settled()
    assert (order.status, order.price, rests(fillonce)) == ("open", LOWER, ONE)


def test_an_amend_that_never_arrived_leaves_the_order_as_it_was(fillonce: Any) -> None:
    """Too late at the venue's engine: a look-up after the horizon says so, and the order rests on."""
    placed = fillonce.place(side="buy", type="limit", quantity=1, price=LOW)
    until(fillonce, lambda order: order.status == "open")
    fillonce.faults(late_entry=1.0, late_entry_ms=3_000)
    fillonce.amend(placed, 1, 1, LOWER)
    until(fillonce, lambda order: order.amend is not None)
    order = until(fillonce, lambda order: order.amend is None)
    fillonce.faults()
    assert (order.status, order.price, order.state.revision) == ("open", LOW, 0)
    assert len(fillonce.venue_orders()) == 1
    fillonce.amend(placed, 2, 1, LOWER)
    until(fillonce, lambda order: order.state.revision == 2)
    fillonce.settled()


def test_a_throttled_amend_is_not_discarded(fillonce: Any) -> None:
    """It is due again later, under the same name."""
    placed = fillonce.place(side="buy", type="limit", quantity=1, price=LOW)
    until(fillonce, lambda order: order.status == "open")
    fillonce.faults(throttled=1.0)
    fillonce.amend(placed, 1, 1, LOWER)
    fillonce.until(lambda: b'"throttled"' in b"".join(one[b"data"] for one in fillonce.entries("evidence")))
    fillonce.faults()
    order = until(fillonce, lambda order: order.state.revision == 1)
    assert (order.status, order.price) == ("open", LOWER)


@pytest.mark.parametrize(
    ("quantity", "price", "why"),
    [("0.000001", LOW, "lot"), (1, LOW, "already"), (1, "20000.001", "tick")],
)
def test_an_amend_that_could_not_be_an_order_is_declined(fillonce: Any, quantity: Any, price: Any, why: str) -> None:
    """With its reason in the journal, where it came past the producer, which refuses it; the order rests on."""
    placed = fillonce.place(side="buy", type="limit", quantity=1, price=LOW)
    until(fillonce, lambda order: order.status == "open")
    intent = Amend(
        account=fillonce.account, client_order_id=placed.client_order_id, revision=1, signal_time=datetime.now(UTC),
        quantity=Decimal(quantity), price=Decimal(price),
    )  # fmt: skip
    fillonce.append("intents", data=codec.encode(intent))
    fillonce.until(lambda: any(b'"declined"' in one[b"data"] for one in fillonce.entries("events")))
    [declined] = [one[b"data"] for one in fillonce.entries("events") if b'"declined"' in one[b"data"]]
    assert why.encode() in declined
    assert (the(fillonce).status, the(fillonce).price) == ("open", LOW)


def test_a_cancel_beside_an_amend_ends_the_order_whatever_comes_first(fillonce: Any) -> None:
    """Both of its orders at the venue are gone in the end."""
    placed = fillonce.place(side="buy", type="limit", quantity=1, price=LOW)
    until(fillonce, lambda order: order.status == "open")
    fillonce.amend(placed, 1, 1, LOWER)
    fillonce.cancel(placed)
    order = until(fillonce, lambda order: order.status == "cancelled")
    fillonce.settled()
    assert (rests(fillonce), order.state.anomalies) == (Decimal(0), ())


def test_a_strategy_may_answer_with_an_amend_of_an_ended_order_and_nothing_happens(fillonce: Any) -> None:
    """Declined, in the journal, and the strategy hears why."""
    app, heard = Strategy("test"), list[AmendDeclined]()

    @app.on(AmendDeclined)
    async def hear(said: AmendDeclined) -> None:
        heard.append(said)

    fillonce.run(app)
    fillonce.house("SELL", 5, price=60_000)
    placed = fillonce.place(side="buy", type="limit", quantity=1, price=60_000)
    until(fillonce, lambda order: order.status == "filled")
    fillonce.amend(placed, 1, 2, 60_000)
    fillonce.until(lambda: heard)
    [said] = heard
    assert (said.client_order_id, said.revision, said.reason) == (placed.client_order_id, 1, "the order has ended")
    assert len(fillonce.venue_orders()) == 1


def test_a_strategy_hears_the_quantity_that_an_amend_made(fillonce: Any) -> None:
    """In the next change of its order."""
    app, heard = Strategy("test"), list[Any]()

    @app.on(OrderChanged)
    async def hear(change: OrderChanged) -> None:
        heard.append(change.quantity)

    fillonce.run(app)
    placed = fillonce.place(side="buy", type="limit", quantity=1, price=LOW)
    until(fillonce, lambda order: order.status == "open")
    fillonce.amend(placed, 1, 2, LOWER)
    fillonce.until(lambda: heard and heard[-1] == 2)
    fillonce.settled()
