"""Binance's wire formats as msgspec Structs, and the one place where its amounts become decimals. Pure.

Strict about what moves an order or a position, blind to every other field, so that a field the venue adds
changes nothing. Amounts are taken as raw JSON text, quoted or not: no float ever exists.
"""

import re
from decimal import Decimal
from functools import lru_cache
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from streams.errors import BadPayload
from streams.money import DIGITS_MAX, ZERO, plain

RAW_BYTES_MAX = 1 << 20  # a larger single payload is a mistake or an attack
FILLS_MAX = 10_000  # of one answer

# Until the year 2100 in milliseconds: a time in microseconds is refused, not taken for a far future.
Millis = Annotated[int, Meta(ge=0, le=4_102_444_800_000)]
Moment = Millis | Annotated[str, Meta(pattern=r"\A[0-9]{1,13}\Z")]  # some of its products quote their numbers
Number = Annotated[int, Meta(ge=0, le=(1 << 63) - 1)]
Text = Annotated[str, Meta(max_length=128)]
NO_TRADE = -1  # the trade id of what has none: an allocation, and every report that is no trade
ALLOCATION = "ONE_PARTY_TRADE_REPORT"  # the match type of what smart order routing gives from the venue's own account
VenueId = Number | Annotated[str, Meta(pattern=r"\A[0-9A-Za-z][0-9A-Za-z_-]{0,63}\Z")]
# Some assets and symbols have names that are not ASCII.
Asset = Annotated[str, Meta(pattern=r"\A[^\s{}:]{1,32}\Z")]
_VENUE_SYMBOL = re.compile(r"\A[^\s{}:]{1,64}\Z")
VenueSymbol = Annotated[str, Meta(pattern=_VENUE_SYMBOL.pattern)]

_ABSENT = Raw(b"null")
_NUMBER = re.compile(rb"-?[0-9]{1,40}(?:\.[0-9]{1,40})?(?:[eE][+-]?[0-9]{1,3})?")
# What venues write nearly always: within every bound, and canonical once the zeros at its end are gone.
_ORDINARY = re.compile(r"[0-9]{1,19}\.[0-9]{1,19}")
# Prices stand on a grid, quantities are round and most fees are alike: the same texts come again and again.
TEXTS_MAX = 16_384


class FillRow(Struct, frozen=True, rename="camel"):
    """One trade inside the answer to an order (`newOrderRespType=FULL`), or an allocation."""

    price: Raw
    qty: Raw
    trade_id: int | Text | None = None
    match_type: Text | None = None
    commission: Raw = _ABSENT
    commission_asset: Text | None = None


class OrderRow(Struct, frozen=True, rename="camel"):
    """An order: answer to POST, GET and DELETE, row of a list; spot, margin and USD-M."""

    symbol: VenueSymbol
    order_id: VenueId
    status: Text | None = None
    client_order_id: Text | None = None
    orig_client_order_id: Text | None = None
    side: Text | None = None
    executed_qty: Raw = _ABSENT
    cum_qty: Raw = _ABSENT
    orig_qty: Raw = _ABSENT
    price: Raw = _ABSENT
    position_side: Text | None = None  # futures alone have it
    transact_time: Moment | None = None
    update_time: Moment | None = None
    fills: Annotated[tuple[FillRow, ...], Meta(max_length=FILLS_MAX)] | None = None


class TradeRow(Struct, frozen=True, rename="camel"):
    """A row of `myTrades` (spot: `isBuyer`, `isMaker`) or `userTrades` (USD-M: `side`, `maker`)."""

    symbol: VenueSymbol
    id: VenueId
    order_id: VenueId
    price: Raw
    qty: Raw
    time: Moment
    is_buyer: bool | None = None
    is_maker: bool | None = None
    side: Text | None = None
    maker: bool | None = None
    commission: Raw = _ABSENT
    commission_asset: Text | None = None


class Frame(Struct, frozen=True):
    """A frame of a private stream: bare event, wrapped event, or an answer to a request of ours.

    The ws-api wraps into `event`, combined streams into `data`.
    """

    e: Text | UnsetType = UNSET
    event: Raw | UnsetType = UNSET
    stream: Text | UnsetType = UNSET
    data: Raw | UnsetType = UNSET
    status: int | UnsetType = UNSET
    result: Raw | UnsetType = UNSET
    error: Raw | UnsetType = UNSET
    id: int | Text | UnsetType | None = UNSET


_REPORT_NAMES = {
    "symbol": "s",
    "client_order_id": "c",
    "original_client_order_id": "C",
    "side": "S",
    "execution_type": "x",
    "status": "X",
    "reject_reason": "r",
    "order_id": "i",
    "last_quantity": "l",
    "last_price": "L",
    "cumulative_quantity": "z",
    "commission": "n",
    "commission_asset": "N",
    "transacted_at_ms": "T",
    "trade_id": "t",
    "is_maker": "m",
    "position_side": "ps",
    "quantity": "q",
    "price": "p",
    "match_type": "b",
}


class ExecutionReport(Struct, frozen=True, kw_only=True, rename=_REPORT_NAMES):
    """`executionReport` of the spot private stream; the same letters serve the `o` of USD-M.

    On a cancel `c` is the id of the cancel request and `C` the order's own.
    """

    symbol: VenueSymbol
    order_id: VenueId
    side: Text
    execution_type: Text
    status: Text
    cumulative_quantity: Raw
    transacted_at_ms: Moment
    client_order_id: Text | None = None
    original_client_order_id: Text | None = None
    reject_reason: Text | None = None
    last_quantity: Raw = _ABSENT
    last_price: Raw = _ABSENT
    commission: Raw = _ABSENT
    commission_asset: Text | None = None
    trade_id: int | Text | None = None
    is_maker: bool | None = None
    position_side: Text | None = None  # USD-M only
    quantity: Raw = _ABSENT
    price: Raw = _ABSENT
    match_type: Any = None  # of spot; USD-M has an amount under its letter


# Spot frames have these, and nobody uses them.
_FRAME_NAMES = {
    **_REPORT_NAMES,
    "event_at_ms": "E",
    "order_type": "o",
    "time_in_force": "f",
    "stop_price": "P",
    "iceberg_quantity": "F",
    "order_list": "g",
    "execution_number": "I",
    "is_working": "w",
    "ignored": "M",
    "ordered_at_ms": "O",
    "cumulative_cost": "Z",
    "last_cost": "Y",
    "quote_quantity": "Q",
    "self_trade_prevention": "V",
    "working_at_ms": "W",
}


class QuotedReport(
    Struct, frozen=True, kw_only=True, rename=_FRAME_NAMES, tag_field="e", tag="executionReport", gc=False
):
    """`executionReport` with its amounts as JSON strings, as spot writes them: read whole in one pass.

    Its fields stand in the order in which the venue sends them, and those that nobody uses are named too, of any type:
    msgspec looks for each key behind the one before, and compares one that it does not know with them all.
    Its symbol is still to be held against `is_venue_symbol`, which knows it from the frame before.
    """

    event_at_ms: Any = None
    symbol: Text
    client_order_id: Text | None = None
    side: Text
    order_type: Any = None
    time_in_force: Any = None
    quantity: Any = None
    price: Any = None
    stop_price: Any = None
    iceberg_quantity: Any = None
    order_list: Any = None
    original_client_order_id: Text | None = None
    execution_type: Text
    status: Text
    reject_reason: Text | None = None
    order_id: Number
    last_quantity: str | None = None
    cumulative_quantity: str
    last_price: str | None = None
    commission: str | None = None
    commission_asset: Text | None = None
    transacted_at_ms: Millis
    trade_id: int | None = None
    execution_number: Any = None
    is_working: Any = None
    is_maker: bool | None = None
    ignored: Any = None
    ordered_at_ms: Any = None
    cumulative_cost: Any = None
    last_cost: Any = None
    quote_quantity: Any = None
    working_at_ms: Any = None
    self_trade_prevention: Any = None


class SpotFrame(Struct, frozen=True, gc=False):
    """A wrapped `executionReport`; with an `e` of its own it would be another event."""

    event: QuotedReport
    e: UnsetType = UNSET


class FuturesUpdate(Struct, frozen=True):
    """`ORDER_TRADE_UPDATE` of the USD-M private stream."""

    o: ExecutionReport


class AnswerRow(Struct, frozen=True):
    """What REST answers where there is nothing to show: an error, or that something is done."""

    code: int | Text
    msg: str


class BalanceUpdate(Struct, frozen=True, kw_only=True, rename={"asset": "a", "delta": "d", "cleared_at_ms": "T"}):
    """`balanceUpdate` of the spot private stream: a deposit, a withdrawal or a transfer."""

    asset: Asset
    delta: Raw
    cleared_at_ms: Moment


class WalletChange(Struct, frozen=True, rename={"asset": "a", "change": "bc"}):
    """One asset of an `ACCOUNT_UPDATE`: `bc` is the change that neither profit nor commission explains."""

    asset: Asset
    change: Raw = _ABSENT


class WalletChanges(Struct, frozen=True, rename={"reason": "m", "wallets": "B"}):
    """The `a` of an `ACCOUNT_UPDATE`."""

    reason: Text
    wallets: tuple[WalletChange, ...] = ()


class AccountUpdate(Struct, frozen=True, kw_only=True, rename={"changed_at_ms": "T", "told": "a"}):
    """`ACCOUNT_UPDATE` of the USD-M private stream: wallets and positions after an order, a transfer, funding."""

    changed_at_ms: Moment
    told: WalletChanges


class Held(Struct, frozen=True):
    """One asset of `GET /api/v3/account`."""

    asset: Asset
    free: Raw
    locked: Raw


class AccountRow(Struct, frozen=True):
    """What an account holds."""

    balances: tuple[Held, ...]


def amount(raw: Raw | str | None, name: str, *, least: Decimal | None = ZERO) -> Decimal:
    """Read an amount from its JSON text.

    Args:
        raw: a JSON string or number, or the text of a JSON string; anything else is refused.
        name: of the field, for the sentence.
        least: smallest legal value; None where a negative one has a meaning (a rebate).

    Returns:
        The exact value in canonical form.

    Raises:
        BadPayload: it is no plain decimal, or not of a size and precision a venue could mean.
    """
    value = amount_or_none(raw, name, least=least)
    if value is None:
        raise BadPayload(f"{name} is missing")
    return value


def amount_or_none(raw: Raw | str | None, name: str, *, least: Decimal | None = ZERO) -> Decimal | None:
    """Read an amount that may be null or absent; otherwise as `amount`."""
    if isinstance(raw, str):
        value = ordinary(raw)
        if value is not None:
            return value
        return _unusual(raw.encode(), f'"{raw}"'.encode(), name, least)
    shown = b"null" if raw is None else bytes(raw).strip()
    if shown == b"null":
        return None
    digits = shown[1:-1] if len(shown) > 1 and shown[:1] == shown[-1:] == b'"' else shown
    return _unusual(digits, shown, name, least)


@lru_cache(TEXTS_MAX)
def is_venue_symbol(word: str) -> bool:
    """Say whether a word can be a venue's symbol, and with it a part of a key."""
    return _VENUE_SYMBOL.fullmatch(word) is not None


@lru_cache(TEXTS_MAX)
def ordinary(written: str | None) -> Decimal | None:
    """Read an amount as venues nearly always write it, canonical; None for any other text, and for none."""
    if written is None or _ORDINARY.fullmatch(written) is None:
        return None
    return Decimal(written.rstrip("0").rstrip("."))  # which is the canonical form: no exponent, no zeros at its end


def _unusual(digits: bytes, shown: bytes, name: str, least: Decimal | None) -> Decimal:
    if _NUMBER.fullmatch(digits) is None:
        raise BadPayload(f"{name} is not a plain decimal: {_short(shown)}")
    value = Decimal(digits.decode("ascii"))
    # The magnitude comes first: bringing 1E+999 to plain digits would itself fail.
    if value and value.adjusted() >= DIGITS_MAX:
        raise BadPayload(f"{name} is larger than any venue's amount: {_short(shown)}")
    short = plain(value)
    exponent = short.as_tuple().exponent
    if short != value or not isinstance(exponent, int) or exponent < -DIGITS_MAX:
        raise BadPayload(f"{name} has more digits than any venue's amount: {_short(shown)}")
    if least is not None and short < least:
        raise BadPayload(f"{name} is negative: {_short(shown)}")
    return short


def _short(shown: bytes) -> str:
    return ascii(shown[:48].decode("utf-8", "replace"))


ORDER = msgspec.json.Decoder(OrderRow)
TRADE = msgspec.json.Decoder(TradeRow)
FRAME = msgspec.json.Decoder(Frame)
SPOT_FRAME = msgspec.json.Decoder(SpotFrame)
REPORT = msgspec.json.Decoder(ExecutionReport)
TRANSFER = msgspec.json.Decoder(BalanceUpdate)
ACCOUNT = msgspec.json.Decoder(AccountRow)
ANSWER = msgspec.json.Decoder(AnswerRow)
ACCOUNT_UPDATE = msgspec.json.Decoder(AccountUpdate)
FUTURES = msgspec.json.Decoder(FuturesUpdate)
