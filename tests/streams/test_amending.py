"""Specification of streams/amending.py: what an amend asks for is held against the order and its grid."""

from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from streams.amending import NO_PRICE, refusal
from streams.record import NEW_STATE
from streams.schemas import Amend, Amending, Order
from tests.flow import INSTRUMENTS, place, soon

BTC = INSTRUMENTS.by_symbol["BTC/USDT"]
ORDER = Order(client_order_id="fo-1", terms=place("sim.main"), status="open", state=NEW_STATE, digest="d")


def amend(**changes: Any) -> Amend:
    """An amend of the order to other amounts."""
    given: dict[str, Any] = {
        "account": "sim.main", "client_order_id": "fo-1", "revision": 2, "signal_time": soon(0),
        "quantity": Decimal(2), "price": Decimal("50000.001"),
    }  # fmt: skip
    return Amend(**{**given, **changes})


def test_amounts_off_the_grid_are_refused_and_rounded_where_that_is_asked() -> None:
    """As those of a place are."""
    assert "off the tick of 0.01" in refusal(amend(), ORDER, BTC)
    assert refusal(amend(rounding="down"), ORDER, BTC) == refusal(amend(price=Decimal(50_001)), ORDER, BTC) == ""


def test_an_order_without_a_price_has_none_to_amend() -> None:
    """A market order is at the venue for no time."""
    market = replace(ORDER, terms=place("sim.main", type="market", price=None))
    assert refusal(amend(), market, BTC) == NO_PRICE


@pytest.mark.parametrize(
    "order",
    [
        replace(ORDER, state=replace(NEW_STATE, revision=2)),
        replace(ORDER, amend=Amending(revision=3, quantity=Decimal(1), price=Decimal(1))),
        replace(ORDER, terms=None),
    ],
    ids=["in effect", "a newer one is out", "tombstone"],
)
def test_what_was_decided_before_is_not_judged_by_the_grid_of_today(order: Order) -> None:
    """Published again it is answered as it was; a tombstone has no symbol."""
    assert refusal(amend(), order, BTC) == ""
