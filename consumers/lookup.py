"""When a look-up may prove absence, and what to ask next. Pure (R2)."""

from typing import Literal

from msgspec import Struct

from adapters.venue import VenueFacts

ASKED_IN_VAIN_MS = 86_400_000


class Asked(Struct, frozen=True, kw_only=True):
    """What has been asked about an unknown order, on the server's clock.

    Attributes:
        begun_at_ms: when the first question began.
        by_client_id: the venue said it does not know the client order id.
        open_orders: the order is not among the open ones.
        closed_orders: nor among all orders since it was claimed.
    """

    begun_at_ms: int
    by_client_id: bool = False
    open_orders: bool = False
    closed_orders: bool = False


def horizon_ms(send_by_ms: int, facts: VenueFacts) -> int:
    """Give the earliest server time at which a look-up that finds nothing proves anything."""
    return send_by_ms + facts.request_lifetime_ms + facts.lookup_lag_ms + facts.clock_bound_ms


def forgets_ms(send_by_ms: int, facts: VenueFacts) -> int | None:
    """Give the server time from which on an order that ended at once, without a fill, may be forgotten; None for never.

    A venue of which no memory is known, only what is open, declares 0: there an order is lost, and nothing else, when
    it is not found (it is never sent again).
    """
    asked = [one for one in facts.look_ups if one.shows in ("order by client id", "orders since")]
    kept_ms = [one.remembers_ms if one.unfilled_ms is None else one.unfilled_ms for one in asked]
    known_ms = [one for one in kept_ms if one]
    return send_by_ms - facts.window_ms_max + min(known_ms) if known_ms else None


def for_a_person_ms(send_by_ms: int, facts: VenueFacts) -> int:
    """Give the server time from which on only a person can say what became of an order that no look-up showed.

    The venue may have forgotten it, or, where it forgets nothing, has not answered for a day.
    """
    forgets = forgets_ms(send_by_ms, facts)
    return send_by_ms + ASKED_IN_VAIN_MS if forgets is None else forgets


def verdict(asked: Asked, send_by_ms: int, facts: VenueFacts) -> Literal["absent", "unknown"]:
    """Judge look-ups that all answered and found nothing; anything less than all of them proves nothing."""
    complete = asked.by_client_id and asked.open_orders and asked.closed_orders
    late_enough = asked.begun_at_ms >= horizon_ms(send_by_ms, facts)
    forgets = forgets_ms(send_by_ms, facts)
    early_enough = forgets is None or asked.begun_at_ms < forgets
    return "absent" if complete and late_enough and early_enough else "unknown"


def resubmission_allowed(facts: VenueFacts) -> bool:
    """Say whether a lost place may be sent again: the venue refuses late requests, or duplicates for ever (R2)."""
    return facts.late_send == "refused" or facts.duplicates == "always"
