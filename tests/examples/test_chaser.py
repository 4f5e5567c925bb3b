"""The chaser in the whole pipeline: it follows the mark until the parent has traded, and never beyond."""

from decimal import Decimal
from typing import Any

import pytest

from examples.strategies.chaser import chaser
from streams import Strategy

pytestmark = pytest.mark.timeout(120)
NAME = "chaser-p"


def parent(fillonce) -> Strategy:
    """A new object, as a new process has it."""
    return chaser(parent="p", account=fillonce.account, side="buy", quantity=Decimal(1))


def resting(fillonce) -> list[Any]:
    """Leg, price and quantity of what rests."""
    found = [order.terms for order in fillonce.orders(NAME) if order.status in {"open", "partially_filled"}]
    return [(terms.leg, terms.price, terms.quantity) for terms in found]


def traded(fillonce) -> Decimal:
    """Of all legs together."""
    return sum((order.state.filled for order in fillonce.orders(NAME)), Decimal(0))


@pytest.mark.fillonce(faults={"accept_then_drop": 0.3, "duplicated_execution": 0.5, "execution_before_answer": 0.3})
def test_it_follows_the_market_for_what_is_left_also_across_a_kill(fillonce):
    """A part trades at the first price, a part while it is dead, the rest after it came back: exactly the parent."""
    fillonce.run(first := parent(fillonce))
    fillonce.mark(60_000)
    fillonce.until(lambda: resting(fillonce) == [("0", 60_000, 1)])
    fillonce.mark(60_010)  # too near to follow
    fillonce.house("SELL", "0.3", price=60_000)
    fillonce.until(lambda: traded(fillonce) == Decimal("0.3"))
    fillonce.mark(61_000)
    fillonce.until(lambda: resting(fillonce) == [("1", 61_000, Decimal("0.7"))])
    fillonce.stop(first, kill=True)
    fillonce.house("SELL", "0.2", price=61_000)
    fillonce.mark(62_000)
    fillonce.run(second := parent(fillonce))
    fillonce.mark(62_001)
    fillonce.until(lambda: resting(fillonce) == [("2", 62_001, Decimal("0.5"))])
    fillonce.house("SELL", "0.9", price=62_000)
    fillonce.until(lambda: traded(fillonce) == 1)
    fillonce.settled()
    assert (resting(fillonce), len(fillonce.venue_orders())) == ([], 3)
    # A parent that has traded whole does not begin again.
    fillonce.stop(second)
    fillonce.run(parent(fillonce))
    fillonce.mark(63_000)
    fillonce.settled()
    assert len(fillonce.orders(NAME)) == 3
