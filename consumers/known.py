"""What the ledger knows without asking: orders and positions at the digests that replies have confirmed.

It saves the read before a commit and decides nothing: the commit compares every digest, and refuses an execution
that it takes for new and the record has. What is refused is forgotten here and read.
"""

from collections.abc import Iterable, Sequence

from consumers.folding import Folded, Known
from streams.cache import Cache, Counters
from streams.schemas import Position

# Executions of one order that are remembered beside it; one more and they are forgotten, not the order.
EXECUTIONS_MAX = 64
POSITIONS_MAX = 1_000
WRITTEN, BEFORE = 1, 2  # verdicts of the commit
_NONE: frozenset[str] = frozenset()


class KnownState:
    """Orders and positions of one account.

    Attributes:
        orders: by client order id.
        positions: by key, with their digests.
        ahead_ms: what the server's clock is ahead of our monotonic one; None until it was asked.
    """

    def __init__(self, orders_max: int) -> None:
        """Remember at most `orders_max` orders."""
        self.orders: Cache[str, Known] = Cache(orders_max)
        self.positions: Cache[str, tuple[Position, str]] = Cache(POSITIONS_MAX)
        self.ahead_ms: int | None = None

    def confirm(self, folded: Folded, verdicts: Sequence[int]) -> None:
        """Take over what a commit has written, forget what it refused."""
        moved, orders = set(), self.orders
        for plan, order, verdict in zip(folded.commit.orders, folded.orders, verdicts, strict=True):
            name = order.client_order_id
            if verdict in {WRITTEN, BEFORE}:
                held = orders.peek(name)
                seen = held.seen if held is not None and len(held.seen) < EXECUTIONS_MAX else _NONE
                orders.put(name, Known(order, seen.union(plan.executions) if plan.executions else seen))
            else:
                orders.drop(name)
            if verdict == WRITTEN and plan.position:
                moved.add(plan.position)
        for number, (key, after) in enumerate(folded.positions.items(), start=1):
            if number in moved:
                self.positions.put(key, after)
            else:
                self.positions.drop(key)

    def drop_orders(self, names: Iterable[str]) -> None:
        """Forget orders that somebody else may have changed."""
        for name in names:
            self.orders.drop(name)

    def forget(self) -> None:
        """Forget everything; the server's history is another, or another ledger led in between."""
        self.orders.drop_all()
        self.positions.drop_all()
        self.ahead_ms = None

    @property
    def counters(self) -> Counters:
        """Of the orders: every fill asks for its order, positions are few."""
        return self.orders.counters
