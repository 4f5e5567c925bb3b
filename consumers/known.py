"""What the ledger knows without asking: orders and positions at the digests that replies have confirmed.

It saves the read before a commit and decides nothing: the commit compares every digest, and refuses an execution
that it takes for new and the record has. What is refused is forgotten here and read.
"""

from collections.abc import Mapping, Sequence

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

    def order(self, client_order_id: str) -> Known | None:
        """An order, if it is known."""
        return self.orders.get(client_order_id)

    def position(self, key: str) -> tuple[Position, str] | None:
        """A position and its digest, if it is known."""
        return self.positions.get(key)

    def after(self, folded: Folded) -> dict[str, Known]:
        """Say what will be known of the orders of a commit once it is written."""
        known, peek = dict[str, Known](), self.orders.peek
        for plan, order in zip(folded.commit.orders, folded.orders, strict=True):
            name = plan.client_order_id
            held = peek(name)
            seen = held.seen if held is not None and len(held.seen) < EXECUTIONS_MAX else _NONE
            known[name] = Known(order, seen.union(plan.executions) if plan.executions else seen)
        return known

    def confirm(self, folded: Folded, verdicts: Sequence[int], told: Mapping[str, Known] | None = None) -> None:
        """Take over what a commit has written, forget what it refused; `told` is what `after` said, if it was asked."""
        moved, confirmed = set[int](), list[tuple[str, Known]]()
        expected = self.after(folded) if told is None else told
        for plan, pair, verdict in zip(folded.commit.orders, expected.items(), verdicts, strict=True):
            if verdict == WRITTEN:
                confirmed.append(pair)
                moved.add(plan.position)  # 0 where it moved none
            elif verdict == BEFORE:
                confirmed.append(pair)
            else:
                self.orders.drop(pair[0])
        self.orders.put_all(confirmed)
        for number, (key, after) in enumerate(folded.positions.items(), start=1):
            if number in moved:
                self.positions.put(key, after)
            else:
                self.positions.drop(key)

    def forget(self) -> None:
        """Forget everything; the server's history is another, or another ledger led in between."""
        self.orders.drop_all()
        self.positions.drop_all()
        self.ahead_ms = None

    @property
    def counters(self) -> Counters:
        """Of the orders: every fill asks for its order, positions are few."""
        return self.orders.counters
