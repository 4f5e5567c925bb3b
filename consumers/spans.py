"""An order's life as spans of one trace, worked out from the journal: nothing on the way of an order is timed. Pure.

The trace's id follows from the order's, so whoever knows the order finds its trace, and a program that publishes may
begin it. Its root, from the signal to the end, is told when the order ends.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Iterator, Mapping

from msgspec import Struct

from streams import events
from streams.events import JournalEntry
from streams.schemas import TERMINAL, Execution, Place, epoch_ms

ORDERS_MAX = 10_000


class Span(Struct, frozen=True, kw_only=True):
    """One span.

    Attributes:
        name: `order`, `publish`, `claim`, `venue` or `fill`.
        trace_id: 128 bits, of the order.
        span_id: 64 bits.
        parent_id: of the root; 0 for the root itself.
        start_ms: UTC.
        end_ms: never before the start; clocks of venue and server may disagree.
        attributes: what a search asks for.
        failed: why the order came to nothing; empty otherwise.
    """

    name: str
    trace_id: int
    span_id: int
    parent_id: int
    start_ms: int
    end_ms: int
    attributes: Mapping[str, str]
    failed: str = ""


class _Told(Struct):
    """What earlier entries said of an order; kept after its end, because a fill may come late."""

    terms: Place
    last_ms: int
    answered: bool = False
    ended: bool = False


class Spans:
    """Makes spans of journal entries, in their order; an order whose beginning it did not see is left out."""

    def __init__(self, account: str) -> None:
        """Begin without orders."""
        self._account = account
        self._orders: OrderedDict[str, _Told] = OrderedDict()

    def of(self, entry: JournalEntry) -> Iterator[Span]:
        """Give the spans that an entry completes."""
        for change in entry.changes:
            match change:
                case events.Created(client_order_id=name, terms=terms):
                    self._orders[name] = _Told(terms, entry.at_ms)
                    if len(self._orders) > ORDERS_MAX:
                        self._orders.popitem(last=False)
                    yield self._span("publish", name, change.id, epoch_ms(terms.signal_time), entry.at_ms)
                case events.Claimed(command="place", client_order_id=name) if name in self._orders:
                    yield self._span("claim", name, change.id, self._orders[name].last_ms, entry.at_ms)
                    self._orders[name].last_ms = entry.at_ms
                case events.Updated(client_order_id=name) if name in self._orders:
                    yield from self._updated(name, change, entry.at_ms)
                case events.Ended(client_order_id=name, status=status, reason=reason) if name in self._orders:
                    yield from self._root(name, status, reason, entry.at_ms)
                case _:
                    continue

    def _updated(self, name: str, change: events.Updated, at_ms: int) -> Iterator[Span]:
        told = self._orders[name]
        if not told.answered:
            told.answered = True
            yield self._span("venue", name, change.id, told.last_ms, at_ms)
        for fact in change.facts:
            if isinstance(fact, Execution):
                more = {"fillonce.quantity": str(fact.quantity), "fillonce.price": str(fact.price)}
                yield self._span("fill", name, f"{change.id}:{fact.execution_id}", fact.executed_at_ms, at_ms, more)
        if change.status in TERMINAL:
            yield from self._root(name, change.status, "", at_ms)

    def _root(self, name: str, status: str, reason: str, at_ms: int) -> Iterator[Span]:
        told = self._orders[name]
        if told.ended:
            return
        told.ended, terms = True, told.terms
        yield Span(
            name="order", trace_id=trace_id(self._account, name), span_id=root_id(self._account, name), parent_id=0,
            start_ms=epoch_ms(terms.signal_time), end_ms=max(at_ms, epoch_ms(terms.signal_time)),
            attributes={
                "fillonce.account": self._account, "fillonce.client_order_id": name, "fillonce.status": status,
                "fillonce.strategy": terms.strategy, "fillonce.signal_id": terms.signal_id,
                "fillonce.symbol": terms.symbol, "fillonce.side": terms.side,
            },
            failed=reason or (status if status in ("rejected", "expired") else ""),
        )  # fmt: skip

    def _span(  # noqa: PLR0917 - one row of a table
        self, kind: str, name: str, event_id: str, start_ms: int, end_ms: int, more: Mapping[str, str] | None = None
    ) -> Span:
        return Span(
            name=kind, trace_id=trace_id(self._account, name), span_id=_number(8, kind, event_id),
            parent_id=root_id(self._account, name), start_ms=min(start_ms, end_ms), end_ms=end_ms,
            attributes={"fillonce.client_order_id": name, **(more or {})},
        )  # fmt: skip


def trace_id(account: str, client_order_id: str) -> int:
    """Id of an order's trace, never 0."""
    return _number(16, "trace", account, client_order_id)


def root_id(account: str, client_order_id: str) -> int:
    """Id of its root span, never 0."""
    return _number(8, "root", account, client_order_id)


def _number(size: int, *parts: str) -> int:
    return int.from_bytes(hashlib.sha256("\0".join(parts).encode()).digest()[:size]) or 1
