"""What really is of the state machine's orders, and how their venue tells of it."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal

import orjson
from msgspec.structs import replace

from adapters.binance.decode import STREAM_FORMAT, TRADE_FORMAT
from consumers.adoption import IMPORTED
from streams import codec
from streams.plans import ImportItem
from streams.record import NEW_STATE_TEXT
from streams.schemas import Accepted, NotSent, Outcome, Place, Refused, Throttled, Unknown
from tests.flow import Bench, execution, status
from tests.pipeline import trade

PIECES = 10
PIECE = Decimal("0.1")
QUEUED_MS = 1


@dataclass
class Token:
    """One claim of a place, as it really is.

    Attributes:
        open: its request may still arrive.
        closed_window: it can no longer arrive.
        reached: it became an order at the venue.
    """

    closed_window: bool
    open: bool = True
    reached: bool = False


@dataclass
class Truth:
    """One order, as it really is."""

    number: int
    terms: Place
    name: str
    tokens: dict[str, Token] = field(default_factory=dict)
    executed: int = 0
    ended: bool = False
    said: set[int] = field(default_factory=set)  # trades somebody told
    named: bool = False  # somebody told which order of ours the venue's order is
    wanted: bool = False

    def forget(self, *, wanted: bool) -> None:
        """The server lost what it was told; every window has closed since, and the venue tells what it has."""
        self.wanted, self.named = wanted, self.at_venue
        self.said = set(range(1, self.executed + 1))
        for token in self.tokens.values():
            token.open, token.closed_window = False, True

    @property
    def venue_id(self) -> int:
        """The venue's id of it."""
        return 100 + self.number

    @property
    def at_venue(self) -> bool:
        """Whether one of its requests arrived."""
        return any(one.reached for one in self.tokens.values())


def placed(truth: Truth, token: Token, outcome: int, *, reached: bool) -> tuple[Outcome, bytes]:
    """What came of a place; `reached` is believed only while its window is open and it may arrive."""
    if reached and token.open and not token.closed_window:
        token.open, token.reached = False, True
        if outcome % 3 == 2:
            return Unknown("no answer"), b""
        truth.named = True
        return Accepted(), order_row(truth)
    no: list[Outcome] = [NotSent("late"), Throttled(QUEUED_MS), Refused("-2010", "no funds"), Unknown("cut")]
    said = no[outcome % len(no)]
    if isinstance(said, Unknown):
        token.closed_window = True  # it was lost on its way
    else:
        token.open = False
    return said, b""


def cancelled(truth: Truth, outcome: int, *, reached: bool) -> tuple[Outcome, bytes]:
    """What came of a cancel of an order that is at the venue."""
    if reached and not truth.ended:
        truth.ended = True
        if outcome % 2:
            return Unknown("no answer"), b""
        truth.named = True
        return Accepted(), order_row(truth)
    return Refused("-2011", "Unknown order sent."), b""


def order_row(truth: Truth) -> bytes:
    """An order as the venue's answers state it."""
    return orjson.dumps(
        {
            "symbol": "BTCUSDT",
            "orderId": truth.venue_id,
            "clientOrderId": truth.name,
            "status": _word(truth),
            "executedQty": str(PIECE * truth.executed),
            "transactTime": _at_ms(truth),
            "side": "BUY",
        }
    )


async def say_all(bench: Bench, truth: Truth) -> None:
    """What a look-up tells: the order, and every execution of it."""
    await say_report(bench, truth)
    for trade_id in range(1, truth.executed + 1):
        await say_execution(bench, truth, trade_id, bare=True)


async def reopen(bench: Bench, truths: Iterable[Truth]) -> None:
    """The reconciler's work: records of all orders the venue has, what it tells of them, then the gate."""
    history = (await bench.scripts.gate()).history
    known = [truth for truth in truths if truth.at_venue]
    items = [
        ImportItem(
            client_order_id=truth.name,
            terms=codec.encode_text(replace(truth.terms, strategy=IMPORTED, signal_id=truth.name)),
            state=NEW_STATE_TEXT,
            digest=codec.birth_digest(truth.name, "imported", NEW_STATE_TEXT),
            valid_until_ms=truth.terms.valid_until_ms,
        )
        for truth in known
    ]
    await bench.scripts.import_orders(items, history)
    for truth in known:
        await say_all(bench, truth)
    bench.scripts.passage.enter((await bench.scripts.open_gate(history)).opening)


async def say_report(bench: Bench, truth: Truth) -> None:
    """A frame that states the order and names it ours."""
    word = _word(truth)
    frame = status(truth.venue_id, truth.name, "CANCELED" if word == "CANCELED" else "NEW")
    frame["event"] |= {"X": word, "z": str(PIECE * truth.executed), "T": _at_ms(truth), "E": _at_ms(truth)}
    truth.named = True
    await bench.say(frame, form=STREAM_FORMAT)


async def say_execution(bench: Bench, truth: Truth, trade_id: int, *, bare: bool) -> None:
    """One execution: as a frame that names the order ours, or as a bare row of the venue's trades."""
    number = truth.venue_id * 100 + trade_id
    truth.said.add(trade_id)
    if bare:
        await bench.say({**trade(truth.venue_id, number), "qty": str(PIECE), "quoteQty": "5000"}, form=TRADE_FORMAT)
        return
    truth.named = True
    word = "FILLED" if trade_id == PIECES else "PARTIALLY_FILLED"
    frame = execution(truth.venue_id, number, truth.name, l=str(PIECE), z=str(PIECE * trade_id), X=word)
    await bench.say(frame, form=STREAM_FORMAT)


def _word(truth: Truth) -> str:
    if truth.executed == PIECES:
        return "FILLED"
    if truth.ended:
        return "CANCELED"
    return "PARTIALLY_FILLED" if truth.executed else "NEW"


def _at_ms(truth: Truth) -> int:
    return 1_700_000_100_000 + truth.executed * 10 + truth.ended
