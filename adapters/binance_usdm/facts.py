"""What Binance USDⓈ-M declares of itself. Pure.

As spot, a request is refused with -1021 (before the matching engine with -5028) once its window has passed, and a
client order id is unique among OPEN orders only; look-ups forget sooner. Weights are those of each endpoint's own page;
limits those of `exchangeInfo`, which answers correct.
"""

import string

from adapters.binance.adjustments import VENUE_MADE
from adapters.binance.facts import AHEAD_MS_MAX, LAG_MS, WINDOW_MS_MAX
from adapters.declared import DAY_MS, Budget, ExecutionIdentity, LookUp, Ordering
from adapters.venue import VenueFacts
from streams.schemas import IdRule

PLACES_MAX, CANCELS_MAX = 5, 10  # of one request
KEPT_MS, UNFILLED_MS = 90 * DAY_MS, 3 * DAY_MS

FACTS = VenueFacts(
    name="binance-usdm",
    id_rule=IdRule(
        charset=string.digits + string.ascii_uppercase + string.ascii_lowercase, length_max=36, prefix="fo-"
    ),
    late_send="refused",
    duplicates="while_open",
    window_ms_max=WINDOW_MS_MAX,
    request_lifetime_ms=10_000,
    lookup_lag_ms=LAG_MS,
    clock_bound_ms=AHEAD_MS_MAX,
    types=frozenset({"limit", "market"}),
    times_in_force=frozenset({"gtc", "ioc", "fok"}),
    flags=frozenset({"post_only", "reduce_only"}),
    position_sides=frozenset({"net", "long", "short"}),
    order_entry=frozenset({"rest", "ws"}),
    amends="in place",
    look_ups=(
        LookUp(shows="order by client id", lag_ms=LAG_MS, remembers_ms=KEPT_MS, unfilled_ms=UNFILLED_MS),
        LookUp(shows="open orders", lag_ms=LAG_MS, remembers_ms=0),
        LookUp(shows="orders since", lag_ms=LAG_MS, remembers_ms=KEPT_MS, unfilled_ms=UNFILLED_MS),
        LookUp(shows="executions since", lag_ms=LAG_MS, remembers_ms=KEPT_MS),
        LookUp(shows="executions of an order", lag_ms=LAG_MS, remembers_ms=KEPT_MS),
    ),
    executions=ExecutionIdentity(field="trade id", unique_within="symbol"),
    ordering=Ordering(frames="none", by="transaction time"),
    # A new order and an amend cost no weight, only their places in the order budgets; a batch of cancels costs what one
    # cancel does; open orders without a symbol cost 40.
    weights={
        "place": 0, "cancel": 1, "amend": 0, "batch": 5,
        "order": 1, "open orders": 1, "orders since": 5, "executions since": 5,
        "executions of an order": 5, "balances": 5, "instruments": 1, "clock": 1,
    },
    budgets=(
        Budget(of="weight", limit=2_400, interval_ms=60_000, counted_by="ip"),
        Budget(of="orders", limit=300, interval_ms=10_000, counted_by="uid"),
        Budget(of="orders", limit=1_200, interval_ms=60_000, counted_by="uid"),
    ),
    own_ids=VENUE_MADE,
    dead_man=True,
    batch_place=PLACES_MAX,
    batch_cancel=CANCELS_MAX,
)  # fmt: skip
