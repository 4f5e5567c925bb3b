"""From what a venue declares to what is counted in Redis, and to what one request costs. Pure."""

from collections.abc import Sequence
from urllib.parse import urlsplit

from adapters.declared import CountedBy
from adapters.venue import VenueFacts
from streams.budget import BLOCKED, Cost, Counter, Of, Pot, Urgency, name_of
from streams.keys import AccountKeys, egress_rate


def cost(facts: VenueFacts, purpose: str, urgency: Urgency, orders: int = 0) -> Cost:
    """Price a request by its purpose, one of `VenueFacts.weights`; `orders` is what it adds to the order counts."""
    return Cost(urgency, facts.weights[purpose], orders)


def pots(facts: VenueFacts, account: str, egress: str, rest_url: str) -> Sequence[Pot]:
    """Say under which keys a venue's budgets are counted.

    Args:
        facts: of the venue.
        account: whose requests these are.
        egress: name of the address they go out by; empty where nothing is counted.
        rest_url: where they go: a venue counts at each of its hosts by itself.

    Returns:
        One for everything that is used together and counted by the same.
    """
    if not egress:
        return ()
    scope = urlsplit(rest_url).netloc
    found: dict[tuple[Of, CountedBy], Pot] = {}
    for one in facts.budgets:
        by_address = one.counted_by == "ip"
        # What is counted by symbol is counted by account here: too much of it, never too little.
        key = egress_rate(egress) if by_address else AccountKeys(account).rate
        told = scope if by_address else ""
        counter = Counter(name_of(one.of, one.interval_ms, told), one.limit, one.interval_ms)
        known = found.get((one.of, one.counted_by))
        counters = (*(known.counters if known else ()), counter)
        found[one.of, one.counted_by] = Pot(key, one.of, BLOCKED.decode() + told, counters)
    return tuple(found.values())
