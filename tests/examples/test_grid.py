"""The grid in the whole pipeline: laid once, turned at every fill, whatever happens in between."""

import pytest

from examples.strategies.grid import grid


def resting(fillonce) -> list[tuple[str, int]]:
    """Side and price of what rests, by price."""
    orders = [order.terms for order in fillonce.orders("grid") if order.status in {"open", "partially_filled"}]
    return sorted(((terms.side, int(terms.price)) for terms in orders), key=lambda one: one[1])


WHOLE = [("buy", 59_700), ("buy", 59_800), ("buy", 59_900), ("sell", 60_100), ("sell", 60_200), ("sell", 60_300)]


@pytest.mark.fillonce(faults={"accept_then_drop": 0.2, "duplicated_execution": 0.5, "execution_before_answer": 0.3})
def test_every_fill_is_turned_once_also_across_a_kill(fillonce):
    """Down two steps while it is dead, up again while it lives: the grid is whole, and each fill made one order."""
    fillonce.run(first := grid())
    fillonce.until(lambda: resting(fillonce) == WHOLE)
    fillonce.stop(first, kill=True)
    fillonce.house("SELL", "0.02", price=59_800)
    fillonce.until(lambda: resting(fillonce) == [WHOLE[0], *WHOLE[3:]])
    fillonce.run(grid())
    fillonce.until(lambda: resting(fillonce) == [
        ("buy", 59_700), ("sell", 59_900), ("sell", 60_000), *WHOLE[3:],
    ])  # fmt: skip
    fillonce.house("BUY", "0.02", price=60_000)
    fillonce.until(lambda: resting(fillonce) == WHOLE)
    fillonce.settled()
    assert len(fillonce.venue_orders()) == 6 + 2 + 2


def test_levels_that_were_not_laid_are_laid_at_the_next_start(fillonce):
    """What rests already says nothing about the others; those that are there are not laid twice."""
    fillonce.run(first := grid(levels=1))
    fillonce.until(lambda: resting(fillonce) == WHOLE[2:4])
    fillonce.stop(first, kill=True)
    fillonce.run(grid())
    fillonce.until(lambda: resting(fillonce) == WHOLE)
    fillonce.settled()
    assert len(fillonce.venue_orders()) == 6
