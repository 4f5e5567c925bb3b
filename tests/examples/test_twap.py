"""The TWAP in the whole pipeline: all of the parent and never more, across restarts."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from examples.strategies.twap import twap
from streams import Strategy

PARENT = Decimal("0.1")


def parent(start: datetime, every_ms: int = 300) -> Strategy:
    """Seven slices, which do not divide the parent evenly; a new object, as a new process has it."""
    every = timedelta(milliseconds=every_ms)
    return twap(parent="p", start=start, side="buy", quantity=PARENT, slices=7, every=every)


@pytest.mark.fillonce(faults={"accept_then_drop": 0.3, "duplicated_execution": 0.5})
def test_the_slices_add_up_to_the_parent_whatever_dies_in_between(fillonce):
    """Killed twice: slices that came due meanwhile follow, known ones are not sent again."""
    fillonce.house("SELL", 10, price=60_000)
    start = datetime.now(UTC)
    for number in (1, 3):
        fillonce.run(running := parent(start))
        fillonce.until(lambda number=number: len(fillonce.orders("twap-p")) >= number)
        fillonce.stop(running, kill=True)
    fillonce.run(parent(start))
    fillonce.until(lambda: len(fillonce.orders("twap-p")) == 7)
    fillonce.settled()
    assert {order.status for order in fillonce.orders("twap-p")} == {"filled"}
    assert sum(order.state.filled for order in fillonce.orders("twap-p")) == PARENT
    assert len(fillonce.venue_orders()) == 7


def test_a_parent_of_yesterday_is_not_sent_today(fillonce):
    """Its slices expire: a backlog must not trade on old decisions."""
    fillonce.house("SELL", 10, price=60_000)
    fillonce.run(parent(datetime.now(UTC) - timedelta(days=1)))
    fillonce.until(lambda: [order.status for order in fillonce.orders("twap-p")] == ["expired"] * 7)
    assert fillonce.venue_orders() == []


def test_slices_that_came_due_while_it_was_down_do_not_wait_for_the_next_one(fillonce):
    """However long the period is: what is due is sent when it runs again, and no more than that."""
    fillonce.house("SELL", 10, price=60_000)
    fillonce.run(parent(datetime.now(UTC) - timedelta(minutes=25), every_ms=600_000))
    fillonce.until(lambda: [order.status for order in fillonce.orders("twap-p")] == ["filled"] * 3)
    fillonce.settled()
    assert len(fillonce.venue_orders()) == 3


def test_a_parent_that_the_venue_could_never_take_is_not_passed_over_in_silence(fillonce, caplog):
    """Its tick is dropped with the reason, again and again."""
    app = twap(
        parent="p", start=datetime.now(UTC), side="buy", quantity=PARENT, slices=7, every=timedelta(seconds=1),
        symbol="NO/SUCH",
    )  # fmt: skip
    fillonce.run(app)
    fillonce.until(lambda: "unknown symbol NO/SUCH" in caplog.text)
    assert fillonce.orders("twap-p") == []
