"""Specification of consumers/batching.py: which claimed commands leave by one request."""

from datetime import UTC, datetime
from decimal import Decimal
from itertools import count
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from adapters import registry
from adapters.venue import Window
from consumers.batching import Sending, groups
from streams.plans import Claimed, ClaimItem
from streams.schemas import CommandKind, Order, OrderState, Place

SPOT, MARGIN = registry.facts("binance"), registry.facts("binance-usdm")
_numbers = count()


def sending(command: CommandKind = "place", symbol: str | None = "BTC/USDT:USDT", *, reduces: bool = False) -> Sending:
    """A claimed command; without a symbol its order has no terms."""
    name = f"fo-{next(_numbers)}"
    given: dict[str, Any] = {
        "account": "a.b", "strategy": "s", "signal_id": name, "signal_time": datetime(2026, 11, 1, tzinfo=UTC),
        "side": "buy", "type": "limit", "quantity": Decimal(1), "price": Decimal(1), "symbol": symbol,
    }  # fmt: skip
    order = Order(
        client_order_id=name, terms=Place(**given) if symbol else None, status="submitting", state=OrderState(),
        digest="",
    )  # fmt: skip
    item = ClaimItem(command=command, entry=f"{name}-0", token="t", client_order_id=name, reduces=reduces)
    return Sending(item, Claimed(order, 5, 9), b"")


def test_places_go_together_as_many_as_the_venue_takes() -> None:
    """Whatever their symbols, in their order."""
    places = [sending(symbol=f"C{n}/USDT:USDT") for n in range(12)]
    assert groups(places, MARGIN) == [places[:5], places[5:10], places[10:]]


def test_cancels_go_together_by_symbol() -> None:
    """Ten at a time."""
    one, other = [sending("cancel") for _ in range(12)], [sending("cancel", "ETH/USDT:USDT") for _ in range(2)]
    mixed = [one[0], other[0], *one[1:], other[1]]
    assert groups(mixed, MARGIN) == [one[:10], other, one[10:]]


def test_everything_else_goes_alone() -> None:
    """Amends, cancels of what is not known, and all of a venue that takes one order a request."""
    alone = [sending("amend"), sending("amend"), sending("cancel", None), sending("cancel", None)]
    assert groups(alone, MARGIN) == [[one] for one in alone]
    spot = [sending(), sending(), sending("cancel"), sending("cancel")]
    assert groups(spot, SPOT) == [[one] for one in spot]
    assert groups([], MARGIN) == []


def test_what_reduces_goes_without_what_is_new() -> None:
    """Where requests are short the one goes before the other."""
    new, less = [sending() for _ in range(2)], [sending(reduces=True) for _ in range(2)]
    assert groups([new[0], less[0], new[1], less[1]], MARGIN) == [new, less]
    assert less[0].window == Window(5, 9, "reduce")


def test_a_command_may_be_sent_in_its_claims_window() -> None:
    """And in no other."""
    assert sending().window == Window(5, 9)


@given(
    st.lists(st.tuples(st.sampled_from(["place", "cancel", "amend"]), st.sampled_from(["A/U:U", "B/U:U", None]))),
    st.integers(0, 4),
    st.integers(0, 4),
)
def test_each_command_goes_once_and_commands_of_a_kind_keep_their_order(
    wanted: list[tuple[CommandKind, str | None]], places: int, cancels: int
) -> None:
    """Whatever is claimed together, and whatever the venue takes."""
    given = [sending(kind, "A/U:U" if kind == "place" else symbol) for kind, symbol in wanted]
    found = groups(given, replace(MARGIN, batch_place=places, batch_cancel=cancels))
    assert sorted(map(id, given)) == sorted(id(one) for group in found for one in group)
    for kind, most in (("place", places), ("cancel", cancels), ("amend", 1)):
        own = [group for group in found if group[0].item.command == kind]
        assert all(len(group) <= max(most, 1) for group in own)
        for symbol in ("A/U:U", "B/U:U"):
            sent = [
                one
                for group in own
                for one in group
                if one.claim.order.terms and one.claim.order.terms.symbol == symbol
            ]
            assert sent == [one for one in given if one in sent]
    for group in found:
        assert len({one.item.command for one in group}) == 1
