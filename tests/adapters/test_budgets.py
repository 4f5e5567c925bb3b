"""From declared facts to what is counted, and by whom."""

from adapters import registry
from adapters.budgets import cost, pots
from streams.budget import Cost
from streams.keys import AccountKeys, egress_rate

SPOT, USDM = registry.facts("binance"), registry.facts("binance-usdm")
URL = "https://api.binance.com"


def test_weight_is_counted_by_address_and_orders_by_account() -> None:
    """The address's key is shared, and tells the venue's hosts apart."""
    by_of = {pot.of: pot for pot in pots(SPOT, "binance.main", "north", URL)}
    assert by_of["weight"].key == egress_rate("north") == "fillonce:{egress.north}:rate"
    assert [one.name for one in by_of["weight"].counters] == ["api.binance.com weight/1m"]
    assert by_of["orders"].key == AccountKeys("binance.main").rate
    assert [(one.name, one.limit) for one in by_of["orders"].counters] == [("orders/10s", 100), ("orders/1d", 200_000)]


def test_two_accounts_behind_one_address_share_its_weight_alone() -> None:
    """Not with another address, not with another host."""
    one, other = (pots(SPOT, name, "north", URL) for name in ("binance.a", "binance.b"))
    assert {pot.of for pot in one if pot in other} == {"weight"}
    assert not {pot.key for pot in one} & {pot.key for pot in pots(SPOT, "binance.c", "south", URL)}
    usdm = pots(USDM, "binance-usdm.a", "north", "https://fapi.binance.com")
    assert not {x.name for pot in one for x in pot.counters} & {x.name for pot in usdm if pot.of == "weight"
                                                               for x in pot.counters}  # fmt: skip


def test_without_an_egress_nothing_is_counted() -> None:
    """A venue of one's own may have no limits."""
    assert not pots(SPOT, "binance.main", "", URL)


def test_a_request_costs_what_is_declared() -> None:
    """A new order costs no weight at USDⓈ-M, but its place in the counts."""
    assert cost(SPOT, "orders since", "query") == Cost("query", 20, 0)
    assert cost(USDM, "place", "new", orders=1) == Cost("new", 0, 1)
