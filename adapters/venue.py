"""The venue boundary: what a venue can be asked, what it declares, and what its answers are.

A venue never raises for an order command: whatever happens is an `Answer` with an outcome, and the third
outcome, `Unknown`, is honest. Look-ups raise `CouldNotAsk`, because not being able to ask proves nothing.
"""

from collections.abc import AsyncGenerator, Mapping, Sequence
from decimal import Decimal
from typing import Literal, Protocol

from msgspec import Struct

from adapters.declared import Budget, ExecutionIdentity, LookUp, Ordering
from streams.budget import Urgency
from streams.errors import BadPayload, FillonceError
from streams.instrument import Instrument
from streams.schemas import (
    Amending,
    Fact,
    IdRule,
    Order,
    OrderType,
    Outcome,
    PositionSide,
    Side,
    TimeInForce,
)


class CouldNotAsk(FillonceError):  # noqa: N818 - says what happened, as StoreUnreachable does
    """A look-up got no answer that means anything; it is never evidence of absence.

    Attributes:
        wait_ms: for how long the venue wants no further question; 0 where it does not say.
    """

    def __init__(self, reason: str, wait_ms: int = 0) -> None:
        """Say why, and for how long nothing is to be asked."""
        super().__init__(reason)
        self.wait_ms = wait_ms


OrderEntry = Literal["rest", "ws"]
Amends = Literal["in place", "by replacing", "no"]


class VenueFacts(Struct, frozen=True, kw_only=True):
    """What a venue declares of itself; the protocol's rules read these, never the venue's name.

    Attributes:
        name: first part of an account's name.
        id_rule: client order ids it accepts.
        late_send: whether a request that arrives after its window is refused by the venue (R1, R2).
        duplicates: while what a second order with the same client order id is refused.
        window_ms_max: longest send window a request can carry.
        request_lifetime_ms: longest time a request can still be acted upon after its window, with the venue's clock.
        lookup_lag_ms: time after which an accepted order shows at the look-up endpoints.
        clock_bound_ms: how far the venue's clock and ours may differ after the offset is taken off.
        types: order types it takes.
        times_in_force: times in force it takes.
        flags: of `post_only`, `reduce_only`.
        position_sides: position modes.
        order_entry: ways by which orders can be sent.
        amends: what becomes of a resting order that is amended: the same order with other terms; another order in its
            place, at once and only if nothing of it was executed; or nothing, so that it is cancelled and placed anew.
        look_ups: endpoints that show orders and executions, with their lag and memory.
        executions: what makes two reports the same execution.
        ordering: what the private stream promises.
        weights: what a request costs of the `weight` budgets, by what it is for.
        budgets: what the venue counts, over what time, and by whom.
        own_ids: how client order ids begin of orders that the venue makes itself, to close an account's position.
        dead_man: whether it cancels a symbol's orders by itself when it hears nothing for a while.
        polls_ms: how often the account is asked where there is no private stream; 0 where there is one.
        batch_place: how many new orders one request may have; 0 where it is always one (`Batching` has the calls).
        batch_cancel: how many orders of one symbol one request may cancel.
    """

    name: str
    id_rule: IdRule
    late_send: Literal["refused", "accepted"]
    duplicates: Literal["never", "while_open", "window", "always"]
    window_ms_max: int
    request_lifetime_ms: int
    lookup_lag_ms: int
    clock_bound_ms: int
    types: frozenset[OrderType]
    times_in_force: frozenset[TimeInForce]
    flags: frozenset[Literal["post_only", "reduce_only"]]
    position_sides: frozenset[PositionSide]
    order_entry: frozenset[OrderEntry] = frozenset({"rest"})
    amends: Amends = "no"
    look_ups: Sequence[LookUp]
    executions: ExecutionIdentity
    ordering: Ordering
    weights: Mapping[str, int]
    budgets: Sequence[Budget]
    own_ids: tuple[str, ...] = ()
    dead_man: bool = False
    polls_ms: int = 0
    batch_place: int = 0
    batch_cancel: int = 0


class Window(Struct, frozen=True):
    """A send window, fixed at the claim on the Redis server's clock (UTC ms), never at signing.

    Attributes:
        opened_at_ms: when it was claimed.
        send_by_ms: when it is too late to be sent.
        urgency: of a place or an amend, where the venue's request budget runs out; a cancel is one by itself.
    """

    opened_at_ms: int
    send_by_ms: int
    urgency: Urgency = "new"


class Rows(Struct, frozen=True):
    """Rows of a look-up, each the venue's own bytes of one object, oldest first."""

    format: str
    rows: Sequence[bytes]


class Answer(Struct, frozen=True):
    """What came of a command: our verdict, and the venue's own bytes for the evidence.

    Attributes:
        outcome: the verdict.
        format: how `raw` decodes (`binance.order`), empty when there are no bytes worth decoding.
        raw: the response body as it came, possibly cut or empty; the order's own part where it speaks of two.
        sent_at_ms: the window's clock at the last check before the write; 0 where nothing was written.
        also: what it says of the order that an amend replaced.
    """

    outcome: Outcome
    format: str = ""
    raw: bytes = b""
    sent_at_ms: int = 0
    also: Rows | None = None


class Described(Struct, frozen=True, kw_only=True):
    """An order's own terms as the venue lists them; what an import makes a record of.

    `cost` is what its executions came to in quote units, where the venue says; `generation` as of a report.
    """

    client_order_id: str
    venue_symbol: str
    venue_order_id: str
    side: Side
    type: OrderType
    quantity: Decimal
    price: Decimal | None
    time_in_force: TimeInForce
    post_only: bool
    created_at_ms: int
    reduce_only: bool = False
    position_side: PositionSide = "net"
    cost: Decimal | None = None
    generation: int = 0


class Standing(Struct, frozen=True, kw_only=True):
    """A position as the venue states it.

    Attributes:
        venue_symbol: the venue's spelling.
        side: which of the symbol's positions.
        quantity: base units, negative when short.
        price: what it was entered at on average, as the venue has it, in quote units.
    """

    venue_symbol: str
    side: PositionSide
    quantity: Decimal
    price: Decimal


class Undescribed(BadPayload):
    """A listed order whose terms cannot be read, though its client order id can.

    Attributes:
        client_order_id: of the order.
    """

    def __init__(self, client_order_id: str, reason: str) -> None:
        """Name the order and the reason."""
        super().__init__(f"order {client_order_id}: {reason}")
        self.client_order_id = client_order_id


class Frame(Struct, frozen=True):
    """One frame of the private stream, as it came."""

    format: str
    raw: bytes
    received_at_ns: int
    connection: str


class Subscribed(Struct, frozen=True):
    """The private stream is acknowledged: frames from here on are complete until `Lost`."""

    connection: str


class Lost(Struct, frozen=True):
    """The private stream ended; what happened since then must be fetched."""

    connection: str
    reason: str


StreamEvent = Subscribed | Frame | Lost


class Venue(Protocol):
    """One account at one venue.

    Attributes:
        facts: what the venue declares of itself.
        clock_offset_ms: what the venue's clock showed more than the Redis server's when it was measured last.
    """

    facts: VenueFacts
    clock_offset_ms: int

    async def submit(self, order: Order, window: Window) -> Answer:
        """Place `order` (terms with the amounts in `sent`), within `window`."""
        ...

    async def cancel(self, order: Order, window: Window) -> Answer:
        """Cancel `order` by its name at the venue, within `window`."""
        ...

    async def amend(self, order: Order, amend: Amending, window: Window) -> Answer:
        """Amend `order` the way the venue declares, within `window`; never called where it declares none."""
        ...

    async def find(self, order: Order) -> Rows:
        """Ask for one order by its name at the venue: one row, or none when the venue says it does not exist."""
        ...

    async def open_orders(self, symbol: str) -> Rows:
        """All open orders of a unified symbol."""
        ...

    async def orders_since(self, symbol: str, since_ms: int) -> Rows:
        """All orders of a symbol, closed ones too, created or updated since."""
        ...

    async def trades_since(self, symbol: str, since_ms: int) -> Rows:
        """All own trades of a symbol since."""
        ...

    async def trades_of(self, symbol: str, venue_order_id: str) -> Rows:
        """All own trades of one order."""
        ...

    async def balances(self) -> Rows:
        """What the account holds of every asset: one row, the venue's statement; none where it is no sum of fills."""
        ...

    async def positions(self) -> Rows:
        """Every open position of the account: one row, the venue's statement; none where there are only holdings."""
        ...

    async def count_down(self, symbol: str, after_ms: int) -> None:
        """Have the venue cancel all orders of a symbol `after_ms` from now, unless this is said again; 0 stops it.

        Raises:
            CouldNotAsk: no answer that means anything, or the venue has no such timer.
        """
        ...

    async def instruments(self) -> Sequence[Instrument]:
        """Load what can be traded."""
        ...

    def stream(self) -> AsyncGenerator[StreamEvent, None]:
        """Private stream for ever: reconnects by itself, says `Subscribed` and `Lost` in between."""
        ...

    async def may_withdraw(self) -> bool | None:
        """Whether the key could take money out of the account; None where the venue does not tell."""
        ...

    async def measure_clock(self) -> None:
        """Measure how far the venue's clock is from the Redis server's; send windows are moved by it.

        Raises:
            CouldNotAsk: the venue did not tell; the last offset stays in force.
        """
        ...

    async def close(self) -> None:
        """Give back sockets."""
        ...


class Batching(Protocol):
    """A venue that takes several orders in one request, where its facts say how many.

    Every leg has an answer of its own, in the order given. The request goes out within the earliest window of its legs;
    what may have left without an answer is `Unknown` for all of them.
    """

    async def submit_many(self, orders: Sequence[Order], windows: Sequence[Window]) -> Sequence[Answer]:
        """Place these, at most `batch_place` of them."""
        ...

    async def cancel_many(self, orders: Sequence[Order], windows: Sequence[Window]) -> Sequence[Answer]:
        """Cancel these, at most `batch_cancel` of them, all of one symbol."""
        ...


def clock_is_off(venue: Venue) -> bool:
    """Say whether venue and Redis server differ by more than a third of a request's longest window: one is wrong."""
    return abs(venue.clock_offset_ms) * 3 > venue.facts.window_ms_max


class Decoder(Protocol):
    """Pure: bytes in, facts out."""

    def __call__(self, format: str, raw: bytes) -> Sequence[Fact]:  # noqa: A002 - the word of the streams
        """Decode one payload.

        Raises:
            BadPayload: it is not what `format` says.
        """
        ...
