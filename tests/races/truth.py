"""What really is of the state machine's orders, and how their venue tells of it."""

from dataclasses import dataclass, field
from decimal import Decimal

import orjson

from adapters.binance.decode import STREAM_FORMAT, TRADE_FORMAT
from streams.schemas import Place
from tests.flow import Bench, execution, status
from tests.pipeline import trade

PIECES = 10
PIECE = Decimal("0.1")


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

    @property
    def venue_id(self) -> int:
        """The venue's id of it."""
        return 100 + self.number

    @property
    def at_venue(self) -> bool:
        """Whether one of its requests arrived."""
        return any(one.reached for one in self.tokens.values())


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
