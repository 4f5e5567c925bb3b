"""The order book, against a naive model that knows nothing of ladders."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.simulated.matching import (
    Accepted,
    Book,
    Cancelled,
    Event,
    Expired,
    Level,
    Rejected,
    Side,
    Submission,
    TimeInForce,
    Trade,
)

PRICES = st.integers(95, 105).map(Decimal)
QUANTITIES = st.integers(1, 9).map(Decimal)


@st.composite
def submissions(draw: st.DrawFn) -> list[Submission]:
    """A day's orders: every kind the book knows, close enough together to meet."""
    count = draw(st.integers(1, 40))
    orders = []
    for order_id in range(1, count + 1):
        kind = draw(st.sampled_from(["gtc", "gtc", "gtc", "ioc", "fok", "market", "post"]))
        orders.append(
            Submission(
                order_id,
                draw(st.sampled_from(Side)),
                draw(QUANTITIES),
                None if kind == "market" else draw(PRICES),
                {"ioc": TimeInForce.IOC, "fok": TimeInForce.FOK}.get(kind, TimeInForce.GTC),
                kind == "post",
            )
        )
    return orders


def reaches(order: Submission, price: Decimal) -> bool:
    """Whether an order may trade at a price."""
    if order.price is None:
        return True
    return price <= order.price if order.side is Side.BUY else price >= order.price


class Naive:
    """A list of resting orders, sorted again for every order."""

    def __init__(self) -> None:
        self.resting: list[tuple[Submission, Decimal]] = []

    def submit(self, order: Submission) -> list[Event]:
        """What must happen to an order."""
        sign = 1 if order.side is Side.BUY else -1
        others = [each for each in self.resting if each[0].side is not order.side and reaches(order, price_of(each))]
        others.sort(key=lambda each: (price_of(each) * sign, each[0].order_id))
        if order.post_only and others:
            return [Rejected(order.order_id)]
        if order.time_in_force is TimeInForce.FOK and sum(left for _, left in others) < order.quantity:
            return [Accepted(order.order_id), Expired(order.order_id, order.quantity)]
        events: list[Event] = [Accepted(order.order_id)]
        remaining = order.quantity
        for maker, left in others:
            taken = min(left, remaining)
            if not taken:
                break
            events.append(Trade(maker.order_id, order.order_id, order.side, price_of((maker, left)), taken))
            remaining -= taken
            place = self.resting.index((maker, left))
            self.resting[place] = (maker, left - taken)
        self.resting = [each for each in self.resting if each[1]]
        if remaining and (order.price is None or order.time_in_force is not TimeInForce.GTC):
            events.append(Expired(order.order_id, remaining))
        elif remaining:
            self.resting.append((order, remaining))
        return events


def price_of(resting: tuple[Submission, Decimal]) -> Decimal:
    """The price of a resting order."""
    price = resting[0].price
    assert price is not None
    return price


@given(submissions())
def test_the_book_agrees_with_a_naive_one_on_every_event(orders):
    """Price first, then time; trades at the resting price; what may not wait expires."""
    book, naive = Book(), Naive()
    for order in orders:
        assert list(book.submit(order)) == naive.submit(order)


@given(submissions())
def test_a_book_never_stays_crossed(orders):
    """After any order the best bid is below the best ask."""
    book = Book()
    for order in orders:
        book.submit(order)
        bid, ask = book.best(Side.BUY), book.best(Side.SELL)
        assert bid is None or ask is None or bid < ask


@given(submissions())
def test_quantity_is_conserved(orders):
    """What was submitted was traded, expired, rejected or rests, to the last unit."""
    book = Book()
    for order in orders:
        events = book.submit(order)
        traded = sum((event.quantity for event in events if isinstance(event, Trade)), Decimal(0))
        expired = sum((event.remaining for event in events if isinstance(event, Expired)), Decimal(0))
        rests = book.resting(order.order_id)
        left = rests.remaining if rests else Decimal(0)
        refused = order.quantity if isinstance(events[0], Rejected) else Decimal(0)
        assert traded + expired + left + refused == order.quantity


@given(submissions())
def test_an_order_that_may_not_wait_leaves_nothing_on_the_book(orders):
    """IOC, FOK and market orders never rest."""
    book = Book()
    for order in orders:
        book.submit(order)
        if order.price is None or order.time_in_force is not TimeInForce.GTC:
            assert book.resting(order.order_id) is None


@given(submissions())
def test_fill_or_kill_does_all_or_nothing(orders):
    """A FOK order trades its whole quantity or none of it."""
    book = Book()
    for order in orders:
        traded = sum((each.quantity for each in book.submit(order) if isinstance(each, Trade)), Decimal(0))
        if order.time_in_force is TimeInForce.FOK:
            assert traded in {Decimal(0), order.quantity}


@given(submissions())
def test_a_post_only_order_never_takes(orders):
    """A post-only order is rejected or rests whole."""
    book = Book()
    for order in orders:
        events = book.submit(order)
        if order.post_only:
            assert events in {(Rejected(order.order_id),), (Accepted(order.order_id),)}


@given(submissions(), st.lists(st.integers(1, 40)))
def test_the_same_calls_give_the_same_events(orders, cancels):
    """A book holds no chance: replayed, it says the same."""

    def run() -> list[object]:
        book = Book()
        return [book.submit(order) for order in orders] + [book.cancel(order_id) for order_id in cancels]

    assert run() == run()


def test_a_cancelled_order_is_gone():
    """Cancel answers with what was left, and only once."""
    book = Book()
    book.submit(Submission(1, Side.BUY, Decimal(3), Decimal(10)))
    book.submit(Submission(2, Side.SELL, Decimal(1), Decimal(10)))
    assert book.cancel(1) == Cancelled(1, Decimal(2))
    assert book.cancel(1) is None
    assert book.best(Side.BUY) is None


def test_an_order_id_rests_only_once():
    """Two resting orders of one id would be one order: it is refused."""
    book = Book()
    book.submit(Submission(1, Side.BUY, Decimal(3), Decimal(10)))
    with pytest.raises(ValueError, match="already on the book"):
        book.submit(Submission(1, Side.BUY, Decimal(3), Decimal(11)))


def test_depth_adds_up_what_rests_at_a_price():
    """Best price first, one row a price."""
    book = Book()
    for order_id, price in ((1, 10), (2, 11), (3, 10), (4, 9)):
        book.submit(Submission(order_id, Side.BUY, Decimal(2), Decimal(price)))
    assert book.depth(Side.BUY, 2) == (Level(Decimal(11), Decimal(2)), Level(Decimal(10), Decimal(4)))
    assert [each.order_id for each in book.queue(Side.BUY)] == [2, 1, 3, 4]
