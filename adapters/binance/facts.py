"""What Binance spot declares of itself. Pure.

From the venue's own pages on request security, order endpoints and filters: a request is refused with
-1021 once `timestamp + recvWindow` has passed on the venue's clock, checked again before the matching
engine; a client order id is unique among OPEN orders only, so a second market order under the id of a
filled one is accepted.
"""

import string

from adapters.venue import VenueFacts
from streams.schemas import IdRule

WINDOW_MS_MAX = 60_000  # the venue refuses a longer recvWindow with -1131
AHEAD_MS_MAX = 1_000  # how far in the future `timestamp` may lie on the venue's clock

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
    # Look-ups are answered from replicas: -2013 two seconds after an accepted order has been seen.
    lookup_lag_ms=5_000,
    clock_bound_ms=AHEAD_MS_MAX,
    types=frozenset({"limit", "market"}),
    times_in_force=frozenset({"gtc", "ioc", "fok"}),
    flags=frozenset({"post_only"}),
    position_sides=frozenset({"net"}),
    order_entry=frozenset({"rest", "ws"}),
)
