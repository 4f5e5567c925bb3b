"""When to try again: soon, then ever later, and not all at once."""

import math
import random
from itertools import pairwise

from adapters.sockets import Pace, Waits


def test_waits_double_from_a_tenth_of_a_second_to_five() -> None:
    """At their longest; half of each is jitter."""
    waits = Waits(Pace(), lambda _low, high: high)
    assert [waits.next_s(-math.inf) for _ in range(8)] == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0]


def test_a_connection_that_was_well_begins_anew_and_one_that_was_dropped_does_not() -> None:
    """Many connects a second end in a ban."""
    waits = Waits(Pace(steady_ms=2_000), lambda _low, high: high)
    assert [waits.next_s(stood) for stood in (-math.inf, 0.5, 1.9, 2.0, 1.0)] == [0.1, 0.2, 0.4, 0.1, 0.2]


def test_workers_that_are_cut_off_together_do_not_come_back_together() -> None:
    """A venue that restarts meets a thousand clients spread over each wait, and ever fewer of them a second."""
    clients = [Waits(Pace(), random.Random(number).uniform) for number in range(1_000)]
    moments = [0.0] * len(clients)
    rates: list[float] = []
    for attempt in range(7):
        for number, client in enumerate(clients):
            moments[number] += client.next_s(-math.inf)
        span_s = max(moments) - min(moments)
        most_in_a_tenth = max(sum(at <= one < at + 0.1 for one in moments) for at in moments[:100])
        assert span_s > 0.4 * min(0.1 * 2**attempt, 5.0)
        rates.append(most_in_a_tenth)
    assert rates[-1] < len(clients) / 10
    assert all(later <= earlier for earlier, later in pairwise(rates))
