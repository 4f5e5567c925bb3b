"""What Binance spot declares of itself. Pure.

From the venue's own pages on request security, order endpoints and filters: a request is refused with
-1021 once `timestamp + recvWindow` has passed on the venue's clock, checked again before the matching
engine; a client order id is unique among OPEN orders only, so a second market order under the id of a
filled one is accepted.
"""

import string

from adapters.declared import DAY_MS, Budget, ExecutionIdentity, LookUp, Ordering
from adapters.venue import VenueFacts
from streams.schemas import IdRule

WINDOW_MS_MAX = 60_000  # the venue refuses a longer recvWindow with -1131
AHEAD_MS_MAX = 1_000  # how far in the future `timestamp` may lie on the venue's clock
LAG_MS = 5_000  # look-ups are answered from replicas: -2013 two seconds after an accepted order has been seen
KEPT_MS = 90 * DAY_MS  # an order without a fill is archived afterwards (-2026); the filled ones are kept

FACTS = VenueFacts(
    name="binance",
    # Letters and digits only, although the venue also takes . : / _ - : a digest needs no punctuation, and
    # case counts, because the venue compares ids byte by byte.
    id_rule=IdRule(
        charset=string.digits + string.ascii_uppercase + string.ascii_lowercase, length_max=36, prefix="fo-"
    ),
    late_send="refused",
    duplicates="while_open",
    window_ms_max=WINDOW_MS_MAX,
    # A request that passed the venue's window check may wait for its matching engine ("Timeout waiting for
    # response from backend server", -1007, is sent after ten seconds).
    request_lifetime_ms=10_000,
    lookup_lag_ms=LAG_MS,
    clock_bound_ms=AHEAD_MS_MAX,
    types=frozenset({"limit", "market"}),
    times_in_force=frozenset({"gtc", "ioc", "fok"}),
    flags=frozenset({"post_only"}),
    position_sides=frozenset({"net"}),
    order_entry=frozenset({"rest", "ws"}),
    amends="by replacing",
    look_ups=(
        LookUp(shows="order by client id", lag_ms=LAG_MS, remembers_ms=None, unfilled_ms=KEPT_MS),
        LookUp(shows="open orders", lag_ms=LAG_MS, remembers_ms=0),
        LookUp(shows="orders since", lag_ms=LAG_MS, remembers_ms=None, unfilled_ms=KEPT_MS),
        LookUp(shows="executions since", lag_ms=LAG_MS, remembers_ms=None),
        LookUp(shows="executions of an order", lag_ms=LAG_MS, remembers_ms=None),
    ),
    executions=ExecutionIdentity(field="trade id", unique_within="symbol"),
    ordering=Ordering(frames="none", by="transaction time"),
    # Of each endpoint's own page; a list of open orders without a symbol costs 80.
    weights={
        "place": 1,
        "cancel": 1,
        "amend": 1,
        "order": 4,
        "open orders": 6,
        "orders since": 20,
        "executions since": 20,
        "executions of an order": 5,
        "balances": 20,
        "instruments": 20,
        "clock": 1,
    },
    budgets=(
        Budget(of="weight", limit=6_000, interval_ms=60_000, counted_by="ip"),
        Budget(of="orders", limit=100, interval_ms=10_000, counted_by="uid"),
        Budget(of="orders", limit=200_000, interval_ms=DAY_MS, counted_by="uid"),
    ),
)
