"""What is declared of an exchange of which nothing is known but that ccxt speaks to it. Pure.

Nothing here is read from a venue's pages, so every value is the cautious one: late requests act, a second order under
one id is taken, look-ups lag and forget. An order that cannot be found then ends as `rejected` (lost) and is never sent
again. The settings of an account may know better of lag and lifetime. A list that may have been cut is no answer. What
the exchange counts is not known, so there is no budget that processes share: each keeps the pace that ccxt knows of.
"""

import string

from adapters.declared import ExecutionIdentity, LookUp, Ordering
from adapters.venue import VenueFacts
from streams.schemas import IdRule

LAG_MS = 30_000
POLL_MS = 2_000  # how often the account is asked, as there is no private stream

# Letters and digits, no more than 18 of them, no `t` in front: what every exchange takes that was looked at. Small
# letters only, because not each of them tells cases apart. 16 signs hold 82 bits.
ID_RULE = IdRule(charset=string.digits + string.ascii_lowercase, length_max=18, prefix="fo")


def facts_of(exchange_id: str) -> VenueFacts:
    """Declare the exchange that ccxt calls `exchange_id`."""
    return VenueFacts(
        name=f"ccxt-{exchange_id}",
        id_rule=ID_RULE,
        late_send="accepted",
        duplicates="never",
        window_ms_max=60_000,
        request_lifetime_ms=30_000,
        lookup_lag_ms=LAG_MS,
        clock_bound_ms=5_000,
        types=frozenset({"limit", "market"}),
        # ccxt passes over a time in force or a flag that an exchange does not have, and nobody would know.
        times_in_force=frozenset({"gtc"}),
        flags=frozenset(),
        position_sides=frozenset({"net"}),
        look_ups=(
            LookUp(shows="order by client id", lag_ms=LAG_MS, remembers_ms=0),
            LookUp(shows="open orders", lag_ms=LAG_MS, remembers_ms=0),
            LookUp(shows="orders since", lag_ms=LAG_MS, remembers_ms=0),
            LookUp(shows="executions since", lag_ms=LAG_MS, remembers_ms=0),
        ),
        executions=ExecutionIdentity(field="trade id", unique_within="symbol"),
        ordering=Ordering(frames="none", by="the last time that ccxt reads in them"),
        weights={},
        budgets=(),
        polls_ms=POLL_MS,
    )
