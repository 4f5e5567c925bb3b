"""The producer's contract and the words every stream shares: intents, outcomes, facts, orders. Pure.

Structs are frozen. What comes from outside is strict (unknown fields are refused); amounts are decimals
written as JSON strings, times are RFC 3339 in an intent and integers with their unit elsewhere.
"""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Literal, NewType

import msgspec
from msgspec import Meta, Struct

from streams.money import CONTEXT, ZERO, in_bounds, plain

ClientOrderId = NewType("ClientOrderId", str)  # ours, made before anything is sent
VenueOrderId = NewType("VenueOrderId", str)  # the venue's, unique per symbol at best
Token = NewType("Token", str)  # of one claim, random, never used again

Side = Literal["buy", "sell"]
OrderType = Literal["limit", "market"]
TimeInForce = Literal["gtc", "ioc", "fok", "gtd"]
PositionSide = Literal["net", "long", "short"]
Rounding = Literal["down", "nearest"]

# A word of an identity: printable, and short enough for a log line.
Word = Annotated[str, Meta(min_length=1, max_length=128, pattern=r"^[!-~]([ -~]*[!-~])?(?!\n)$")]
# Who asks for something: a person's name, `strategy:NAME`, `rule:NAME`, or one of our own roles.
Who = Annotated[str, Meta(min_length=1, max_length=160, pattern=r"^[!-~]([ -~]*[!-~])?(?!\n)$")]
# `venue.name`; the pattern keeps it inside one hash tag of a key.
AccountName = Annotated[str, Meta(max_length=64, pattern=r"^[a-z0-9][a-z0-9_-]*\.[A-Za-z0-9_-]+(?!\n)$")]
Symbol = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[A-Z0-9]+/[A-Z0-9]+(:[A-Z0-9-]+)?(?!\n)$")]
Instant = Annotated[datetime, Meta(tz=True)]

VALID_FOR_DEFAULT = timedelta(hours=1)
_VALID_FOR_DEFAULT_MS = VALID_FOR_DEFAULT // timedelta(milliseconds=1)
TAGS_MAX = 16
REVISION_MAX = 999  # amends of one order


class Place(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="place", tag_field="kind", gc=False):
    """A strategy's decision to have an order at the venue.

    Attributes:
        account: `venue.name`, for example `binance.main`.
        strategy: who decided.
        signal_id: the strategy's own id of the signal; the same signal has the same id, however often it is sent.
        signal_time: when the signal was true (with a time zone), not when it was sent.
        leg: tells the orders of one signal apart.
        symbol: unified, `BTC/USDT` (spot) or `BTC/USDT:USDT` (perpetual).
        side: `buy` or `sell`.
        type: `limit` or `market`.
        quantity: in base units (contracts for derivatives), as a decimal string.
        price: of a limit order, in quote units, as a decimal string.
        time_in_force: `gtc`, `ioc`, `fok`, or `gtd` (good until `valid_until`).
        post_only: refuse rather than take liquidity.
        reduce_only: never increase the position.
        position_side: `net`, or `long`/`short` at venues with two positions a symbol.
        valid_until: after it the intent is expired, not sent; default one hour after `signal_time`.
        rounding: how to bring an amount onto the venue's grid; without it an off-grid amount is rejected.
        tags: free words for the strategy's own book-keeping; they do not affect the order.
    """

    account: AccountName
    strategy: Word
    signal_id: Word
    signal_time: Instant
    symbol: Symbol
    side: Side
    type: OrderType
    quantity: Decimal
    price: Decimal | None = None
    leg: Annotated[str, Meta(max_length=64, pattern=r"^[!-~]*(?!\n)$")] = ""
    time_in_force: TimeInForce = "gtc"
    post_only: bool = False
    reduce_only: bool = False
    position_side: PositionSide = "net"
    valid_until: Instant | None = None
    rounding: Rounding | None = None
    tags: dict[Annotated[str, Meta(max_length=64)], Annotated[str, Meta(max_length=256)]] = {}

    def __post_init__(self) -> None:
        """Refuse what could never become an order; msgspec turns the sentence into a ValidationError."""
        if not in_bounds(self.quantity):
            raise ValueError(f"quantity must be a positive decimal of ordinary size, not {self.quantity}")
        if self.price is not None and not in_bounds(self.price):
            raise ValueError(f"price must be a positive decimal of ordinary size, not {self.price}")
        if (self.type == "limit") != (self.price is not None):
            raise ValueError("a limit order needs a price" if self.type == "limit" else "a market order has no price")
        if self.type == "market" and (self.post_only or self.time_in_force in ("gtd", "fok")):
            raise ValueError("a market order cannot be post_only, fok or gtd")
        if self.post_only and self.time_in_force in ("ioc", "fok"):
            raise ValueError(f"post_only and {self.time_in_force} contradict each other")
        if len(self.tags) > TAGS_MAX:
            raise ValueError(f"at most {TAGS_MAX} tags")
        _check_times(self.signal_time, self.valid_until)
        _make_plain(self)

    @property
    def valid_until_ms(self) -> int:
        """End of validity in UTC milliseconds; from the signal, never from the time of publishing."""
        return _valid_until_ms(self.signal_time, self.valid_until)


def _make_plain(place: Place) -> None:
    """Give amounts their one canonical form: 1, 1.0 and 1.00 are one quantity, and are stored as one."""
    msgspec.structs.force_setattr(place, "quantity", plain(place.quantity))
    if place.price is not None:
        msgspec.structs.force_setattr(place, "price", plain(place.price))


class Cancel(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="cancel", tag_field="kind"):
    """A wish to end an order, named by its client order id or by the identity of the intent that made it.

    Attributes:
        who: asks for it, as the journal is to tell; it changes nothing else.
    """

    account: AccountName
    client_order_id: Annotated[str, Meta(max_length=64)] | None = None
    strategy: Word | None = None
    signal_id: Word | None = None
    leg: Annotated[str, Meta(max_length=64, pattern=r"^[!-~]*(?!\n)$")] = ""
    who: Who | None = None

    def __post_init__(self) -> None:
        """Exactly one way of naming the order."""
        _check_named("a cancel", self.client_order_id, self.strategy, self.signal_id, self.leg)


class Amend(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="amend", tag_field="kind"):
    """A wish that a resting limit order have another quantity or price; it stays the same order.

    Attributes:
        client_order_id: names the order; or `strategy`, `signal_id` and `leg` of the place that made it do.
        revision: which amend of this order it is: 1, then always higher. The newest one wins; one that was seen, or an
            older one, does nothing.
        signal_time: when the signal for it was true.
        quantity: what the order is to have in all, executions so far included.
        price: what it is to have.
        valid_until: after it the amend is dropped and the order stays as it is; default one hour after `signal_time`.
        rounding: as of a place.
    """

    account: AccountName
    revision: Annotated[int, Meta(ge=1, le=REVISION_MAX)]
    signal_time: Instant
    quantity: Decimal
    price: Decimal
    client_order_id: Annotated[str, Meta(max_length=64)] | None = None
    strategy: Word | None = None
    signal_id: Word | None = None
    leg: Annotated[str, Meta(max_length=64, pattern=r"^[!-~]*(?!\n)$")] = ""
    valid_until: Instant | None = None
    rounding: Rounding | None = None

    def __post_init__(self) -> None:
        """Refuse what could never become an order, and name exactly one."""
        for name, amount in (("quantity", self.quantity), ("price", self.price)):
            if not in_bounds(amount):
                raise ValueError(f"{name} must be a positive decimal of ordinary size, not {amount}")
        _check_named("an amend", self.client_order_id, self.strategy, self.signal_id, self.leg)
        _check_times(self.signal_time, self.valid_until)
        msgspec.structs.force_setattr(self, "quantity", plain(self.quantity))
        msgspec.structs.force_setattr(self, "price", plain(self.price))

    @property
    def valid_until_ms(self) -> int:
        """End of validity in UTC milliseconds."""
        return _valid_until_ms(self.signal_time, self.valid_until)


Intent = Place | Cancel | Amend


def _check_named(what: str, client_order_id: str | None, strategy: str | None, signal_id: str | None, leg: str) -> None:
    """Insist on exactly one way of naming an order."""
    by_id = client_order_id is not None
    by_identity = strategy is not None and signal_id is not None
    parts = strategy is not None or signal_id is not None or leg != ""
    if by_id == by_identity or (by_id and parts):
        raise ValueError(f"{what} names its order by client_order_id, or by strategy and signal_id (and leg)")


def _check_times(signal_time: datetime, valid_until: datetime | None) -> None:
    for name, moment in (("signal_time", signal_time), ("valid_until", valid_until)):
        if moment is not None and moment.tzinfo is None:
            raise ValueError(f"{name} needs a time zone, for example {moment.isoformat()}Z")
    if valid_until is not None and valid_until <= signal_time:
        raise ValueError("valid_until must be later than signal_time")


def _valid_until_ms(signal_time: datetime, valid_until: datetime | None) -> int:
    if valid_until is not None:
        return epoch_ms(valid_until)
    return epoch_ms(signal_time) + _VALID_FOR_DEFAULT_MS


class Accepted(Struct, frozen=True, tag="accepted", gc=False):
    """The venue has the order; its own words are in the raw payload beside this."""


class Refused(Struct, frozen=True, tag="refused", gc=False):
    """The venue's code is on its allow-list of codes that prove the command had no effect."""

    code: str
    reason: str


class Duplicate(Struct, frozen=True, tag="duplicate", gc=False):
    """The venue already knows this client order id: an earlier attempt landed, look it up."""

    code: str


class Throttled(Struct, frozen=True, tag="throttled", gc=False):
    """The venue did not process the command for its rate limit."""

    retry_after_ms: int


class NotSent(Struct, frozen=True, tag="not_sent", gc=False):
    """Nothing reached the venue: no byte left, or the venue refused the request as too late."""

    reason: str


class Unknown(Struct, frozen=True, tag="unknown", gc=False):
    """Could not tell. The order may be live."""

    reason: str


class Absent(Struct, frozen=True, tag="absent", gc=False):
    """Looked for by rule R2 and not there; `begun_at_ms` is when the first look-up began (server's clock)."""

    begun_at_ms: int


Outcome = Accepted | Refused | Duplicate | Throttled | NotSent | Unknown | Absent

Source = Literal["answer", "stream", "lookup", "backfill", "ingest", "reconcile", "person"]


CommandKind = Literal["place", "cancel", "amend"]


class Command(Struct, frozen=True, kw_only=True, omit_defaults=True, tag="command", gc=False):
    """Which claim an answer speaks of, and what it says of it; of an amend also which one of its order it is."""

    client_order_id: str
    token: str
    outcome: Outcome
    kind: CommandKind = "place"
    revision: int = 0


class Evidence(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """The `data` field of an entry of `evidence`; the venue's own bytes stand beside it in `raw`.

    Attributes:
        source: how we came to it.
        format: how `raw` is to be decoded, for example `binance.execution`; empty when there is no payload.
        received_at_ns: wall clock of the process that received it, UTC.
        connection: which connection a stream frame came by.
        command: the claim it answers, if it is an answer.
        finding: what a reconciliation found that made it write this; a pure function of the venue's facts and ours.
        adjustment: what it books beside all fills; the payload is what proves it.
        fact: what is concluded about an order where the venue has no payload that says it; the payload is the proof.
    """

    source: Source
    received_at_ns: int
    format: str = ""
    connection: str = ""
    command: Command | None = None
    finding: str = ""
    adjustment: "Adjustment | None" = None
    fact: "Inferred | Correction | None" = None


VenueStatus = Literal["open", "partially_filled", "filled", "cancelled", "rejected", "expired"]


def execution_id(venue_order_id: str, trade_id: str) -> str:
    """Name an execution; see `Execution.execution_id`, which costs twice as much where many are named."""
    return f"{venue_order_id}:{trade_id}"


class Execution(Struct, frozen=True, kw_only=True, omit_defaults=True, tag="execution", gc=False):
    """One trade of one order, as the venue states it.

    Attributes:
        venue_symbol: the venue's spelling.
        venue_order_id: of the order it belongs to.
        trade_id: the venue's, unique per symbol; both sides of a self-trade share it.
        client_order_id: where the payload names it.
        side: of our order.
        quantity: base units, positive.
        price: quote units.
        fee: positive is a cost, negative a rebate; None when not told.
        fee_asset: the currency of `fee`.
        maker: True when our order was resting; None when not told.
        executed_at_ms: the venue's time.
        generation: which of the venue's orders of ours it is, by its name there: 0, or the revision that replaced it.
    """

    venue_symbol: str
    venue_order_id: str
    trade_id: str
    side: Side
    quantity: Decimal
    price: Decimal
    executed_at_ms: int
    client_order_id: str | None = None
    fee: Decimal | None = None
    fee_asset: str | None = None
    maker: bool | None = None
    generation: int = 0

    @property
    def execution_id(self) -> str:
        """Identity within account and symbol: order id and trade id, because a self-trade shares the latter."""
        return execution_id(self.venue_order_id, self.trade_id)


class OrderReport(Struct, frozen=True, kw_only=True, omit_defaults=True, tag="report", gc=False):
    """The venue's statement of an order's status; its cumulative figure is a check, never a sum.

    Attributes:
        client_order_id: the identity its name at the venue belongs to.
        generation: as of an execution.
        quantity, price: of that one order at the venue, where it tells them and an amend may have changed them.
    """

    venue_symbol: str
    venue_order_id: str
    status: VenueStatus
    filled: Decimal
    reported_at_ms: int
    client_order_id: str | None = None
    reason: str = ""
    generation: int = 0
    quantity: Decimal | None = None
    price: Decimal | None = None


class Inferred(Struct, frozen=True, kw_only=True, omit_defaults=True, tag="inferred"):
    """Executions that the venue counts in an order and does not list: counted provisionally, until the real ones come.

    It says how much all executions of the order come to, not which are missing: what is counted of it follows from
    what the order has when it is applied, so it counts once in any order.

    Attributes:
        venue_symbol: the venue's spelling.
        venue_order_id: of the order.
        client_order_id: of the order.
        side: of our order.
        filled: the venue's cumulative quantity.
        cost: what that came to, in quote units.
        told_at_ms: the venue's time of its statement.
    """

    venue_symbol: str
    venue_order_id: str
    client_order_id: str
    side: Side
    filled: Decimal
    cost: Decimal
    told_at_ms: int


class Correction(Struct, frozen=True, kw_only=True, omit_defaults=True, tag="correction"):
    """An execution that the venue took back, or told anew. It has an identity of its own and counts once.

    A record remembers that it had an execution, not what that one was: what is told anew under its old trade id must
    be a correction of the very execution that was counted, as the journal has it.

    Attributes:
        id: the same for the same fact.
        execution: what is taken back, as it was told.
        instead: what stands in its place; None where nothing does.
        corrected_at_ms: the venue's time, the server's where the venue told none.
        reason: in the words of whoever said so.
        counted: whether the order had the execution; one that is taken back before it came counts for no moment.
        adds: whether it counts what stands in its place, which may have come by itself.
    """

    id: str
    execution: Execution
    instead: Execution | None = None
    corrected_at_ms: int
    reason: str = ""
    counted: bool = True
    adds: bool = True

    @property
    def venue_symbol(self) -> str:
        """The venue's spelling."""
        return self.execution.venue_symbol

    @property
    def venue_order_id(self) -> str:
        """Of the order whose execution it was."""
        return self.execution.venue_order_id

    @property
    def client_order_id(self) -> str | None:
        """Of the order, where it is named."""
        return self.execution.client_order_id

    @property
    def mark(self) -> str:
        """What the order's record remembers of it; an execution can be taken back for good only once."""
        return f"taken:{self.execution.execution_id}" if self.instead is None else f"correction:{self.id}"


Cause = Literal["opening", "transfer", "funding", "liquidation", "venue", "manual", "drift"]


class Adjustment(Struct, frozen=True, kw_only=True, omit_defaults=True, tag="adjustment"):
    """A change of what an account holds, or of a position, that no order of ours made; it is never a fill.

    Attributes:
        id: the same for the same fact, so that it counts once.
        cause: `opening` is what was held before our first fill, `transfer` a deposit, a withdrawal or the like that
            the venue told of, `funding` what a perpetual costs or pays, `liquidation` what the venue traded for us,
            `venue` anything else of its own, `manual` a person's word, `drift` a difference that a reconciliation
            found and nobody explained.
        amounts: by asset, positive is more.
        at_ms: the venue's time, the server's where the venue told none.
        execution: what the venue traded for us; it moves the position of its symbol.
        position_side: which position that is.
        reason: in the words of whoever said so.
    """

    id: str
    cause: Cause
    amounts: dict[str, Decimal] = {}
    at_ms: int
    execution: Execution | None = None
    position_side: PositionSide = "net"
    reason: str = ""


class Ignored(Struct, frozen=True, omit_defaults=True, tag="ignored", gc=False):
    """A payload that says nothing about an order: a balance, an echo, a keep-alive."""

    reason: str


OrderFact = Execution | OrderReport | Inferred | Correction
Fact = OrderFact | Adjustment | Ignored

OrderStatus = Literal[
    "created", "submitting", "unknown", "open", "partially_filled", "filled", "cancelled", "rejected", "expired"
]
TERMINAL: frozenset[str] = frozenset({"filled", "cancelled", "rejected", "expired"})


class Provisional(Struct, frozen=True, array_like=True, gc=False):
    """A quantity that was inferred, and the price it was inferred at."""

    quantity: Decimal
    price: Decimal


Ended = Literal["filled", "cancelled", "rejected", "expired"]


class Leg(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """One of the orders at the venue that were, after another, one order of ours.

    Attributes:
        generation: 0, or the revision of the amend that made it; its name at the venue ends in it.
        venue_order_id: empty while the venue has not told it.
        reported: the venue's largest cumulative figure of it.
        ended: the venue's terminal word of it.
    """

    generation: int = 0
    venue_order_id: str = ""
    reported: Decimal = ZERO
    ended: Ended | None = None


class Amending(Struct, frozen=True, kw_only=True, gc=False):
    """An amend that was claimed and of which nobody can tell yet whether it took effect.

    Attributes:
        revision: which one.
        quantity, price: what the order has when it did, executions so far included.
    """

    revision: int
    quantity: Decimal
    price: Decimal


class OrderState(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """What evidence has shown of an order; owned by the commit, stored as canonical JSON.

    Attributes:
        venue_order_ids: every id the venue gave it, oldest first.
        filled: sum of applied executions, the provisional ones too.
        cost: sum of price times quantity of applied executions, in quote units.
        fees: by asset.
        reported: the venue's largest cumulative figure; above `filled` means executions are still to come.
        ended: the venue's terminal word; an order it ended never becomes live again.
        reported_at_ms: the venue's time of its newest report.
        closed_token: the newest claim known to have had no effect.
        reason: why it was refused, expired or lost.
        anomalies: what must not happen and did.
        provisional: what of `filled` is inferred, oldest first; real executions replace it.
        busted: what the venue counted once and took back.
        revision: the newest amend that took effect.
        quantity, price: what it made of the terms; None where they are as they were sent.
        legs: its orders at the venue, oldest first, once an amend began to replace one; else empty.
    """

    venue_order_ids: tuple[str, ...] = ()
    filled: Decimal = ZERO
    cost: Decimal = ZERO
    fees: dict[str, Decimal] = {}
    reported: Decimal = ZERO
    ended: Ended | None = None
    reported_at_ms: int = 0
    closed_token: str = ""
    reason: str = ""
    anomalies: tuple[str, ...] = ()
    revision: int = 0
    quantity: Decimal | None = None
    price: Decimal | None = None
    legs: tuple[Leg, ...] = ()
    provisional: tuple[Provisional, ...] = ()
    busted: Decimal = ZERO

    @property
    def counted(self) -> Decimal:
        """What the venue's cumulative figure is held against: everything that was ever applied."""
        return CONTEXT.add(self.filled, self.busted) if self.busted else self.filled


class Order(Struct, frozen=True, kw_only=True, gc=False):
    """Our record of an intent's life, as one value.

    `status`, `token`, `send_by_ms`, `cancel_requested` belong to the claim; `state` and `digest` to the commit.
    `terms` is None only for the tombstone that a cancel of an identity not known here leaves. `amend` is an amend
    whose effect nobody can tell yet; the claim that made it is `token`.
    """

    client_order_id: str
    terms: Place | None
    status: OrderStatus
    state: OrderState
    digest: str
    fingerprint: str = ""
    entry: str = ""
    token: str = ""
    send_by_ms: int = 0
    valid_until_ms: int = 0
    cancel_requested: bool = False
    sent: dict[str, str] = {}
    refusal: str = ""
    amend: Amending | None = None

    @property
    def quantity(self) -> Decimal:
        """The quantity of the whole order: as amended, or as it was or will be sent, rounded where that was asked."""
        if self.state.quantity is not None:
            return self.state.quantity
        if "quantity" in self.sent:
            return Decimal(self.sent["quantity"])
        return self.terms.quantity if self.terms else ZERO

    @property
    def price(self) -> Decimal | None:
        """The price as amended, or as it was or will be sent; None of a market order."""
        if self.state.price is not None:
            return self.state.price
        if "price" in self.sent:
            return Decimal(self.sent["price"])
        return self.terms.price if self.terms else None

    @property
    def generation(self) -> int:
        """Which of its orders at the venue is the newest: 0, or the revision that replaced the others."""
        return self.state.legs[-1].generation if self.state.legs else 0

    @property
    def reason(self) -> str:
        """Why it ended or was refused, ours or the venue's words; empty when there is nothing to say."""
        return self.refusal or self.state.reason

    @property
    def live(self) -> bool:
        """Whether it can still trade, or executions it already had are still to come."""
        state = self.state
        return self.status not in TERMINAL or state.counted < state.reported or bool(state.provisional)


class Position(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """What the fills of one symbol (and side) add up to.

    Attributes:
        quantity: base units, negative when short.
        entry_cost: quote units paid for what is held (negative when short), by average cost.
        realized: quote units earned by closed quantity, fees not taken off.
        fees: by asset.
    """

    quantity: Decimal = ZERO
    entry_cost: Decimal = ZERO
    realized: Decimal = ZERO
    fees: dict[str, Decimal] = {}


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


def epoch_ms(moment: datetime) -> int:
    """Turn a time with a zone into whole UTC milliseconds."""
    return (moment - _EPOCH) // _MILLISECOND


def from_ms(at_ms: int) -> datetime:
    """Turn UTC milliseconds into a time with a zone."""
    return _EPOCH + timedelta(milliseconds=at_ms)


class IdRule(Struct, frozen=True, kw_only=True):
    """What a venue allows in a client order id, and the prefix that tells ours from foreign ones."""

    charset: str
    length_max: int
    prefix: str


class Takes(Struct, frozen=True, kw_only=True):
    """What kinds of orders a venue takes."""

    types: frozenset[str]
    times_in_force: frozenset[str]
    flags: frozenset[str]
    position_sides: frozenset[str]


class AccountInfo(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a producer must know of an account; kept in the registry `fillonce:accounts`.

    Attributes:
        venue: its name.
        id_rule: of client order ids.
        takes: None where a version before this one registered the account.
    """

    venue: str
    id_rule: IdRule
    takes: Takes | None = None


def json_schema() -> dict[str, object]:
    """JSON Schema of an entry of `intents`, for producers in any language."""
    return msgspec.json.schema(Intent)
