"""The chaser in the whole pipeline: it follows the mark until the parent has traded, and never beyond."""

from decimal import Decimal
from typing import Any

import pytest

from examples.strategies.chaser import chaser
from streams import Strategy

NAME = "chaser-p"


def parent(fillonce) -> Strategy:
    """A new object, as a new process has it."""
    return chaser(parent="p", account=fillonce.account, side="buy", quantity=Decimal(1))


def order(fillonce) -> Any:
    """The parent, as it stands."""
    found = fillonce.orders(NAME)
    assert len(found) <= 1
    return found[0] if found else None


def rests(fillonce, price: int) -> bool:
    """Whether it rests at a price, by our record."""
    one = order(fillonce)
    return one is not None and one.status in {"open", "partially_filled"} and one.price == price and one.amend is None


@pytest.mark.fillonce(faults={"accept_then_drop": 0.2, "duplicated_execution": 0.5, "execution_before_answer": 0.3})
def test_it_follows_the_market_as_one_order_also_across_a_kill(fillonce):
    """A part trades at the first price, a part while it is dead, the rest after it came back: exactly the parent."""
    fillonce.run(first := parent(fillonce))
    fillonce.mark(60_000)
    fillonce.until(lambda: rests(fillonce, 60_000))
    fillonce.mark(60_010)  # too near to follow
    fillonce.house("SELL", "0.3", price=60_000)
    fillonce.until(lambda: order(fillonce).state.filled == Decimal("0.3"))
    fillonce.mark(61_000)
    fillonce.until(lambda: rests(fillonce, 61_000))
    fillonce.stop(first, kill=True)
    fillonce.house("SELL", "0.2", price=61_000)
    fillonce.mark(62_000)
    fillonce.run(second := parent(fillonce))
    fillonce.mark(62_001)
    fillonce.until(lambda: rests(fillonce, 62_001))
    fillonce.house("SELL", "0.9", price=62_000)
    fillonce.until(lambda: order(fillonce).status == "filled")
    fillonce.settled()
    assert order(fillonce).state.filled == 1
    # A parent that has traded whole does not begin again.
    fillonce.stop(second)
    fillonce.run(parent(fillonce))
    fillonce.mark(63_000)
    fillonce.mark(64_000)
    fillonce.settled()
    assert order(fillonce).state.filled == 1
    assert sum(Decimal(one["executed"]) for one in fillonce.venue_orders()) == 1
