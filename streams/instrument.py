"""Instruments: what a venue trades, on which grid, within which limits. Pure.

An amount that is off the grid or too small is refused with the limit's name, the value and the nearest
legal one, or brought onto the grid when the intent says how. The venue never gets to truncate it.
"""

import decimal
import hashlib
import heapq
from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from decimal import Decimal
from typing import Literal, assert_never, get_args

import msgspec
from msgspec import Struct

from streams.errors import BadIntent, BadPayload
from streams.money import CONTEXT, ZERO, in_bounds, text
from streams.schemas import AccountInfo, OrderType, Place, PositionSide, Rounding, Takes, TimeInForce

Limit = Literal["tick", "lot", "quantity_min", "quantity_max", "notional_min"]

# How many known symbols an error shows beside the unknown one.
KNOWN_SHOWN_MAX = 3
# Stands in for a grid where the venue has none: finer than any venue's, and coarse enough for `CONTEXT`.
STEP_FINEST = Decimal("1E-18")
# What a venue may take, in the order a person reads it.
_WORDS: dict[str, tuple[str, ...]] = {
    "order type": get_args(OrderType),
    "time in force": get_args(TimeInForce),
    "flag": ("post_only", "reduce_only"),
    "position side": get_args(PositionSide),
}
# A product of three amounts has up to 120 digits; a rounding must not decide whether a limit is met.
_EXACT = decimal.Context(prec=160, rounding=CONTEXT.rounding, Emin=CONTEXT.Emin, Emax=CONTEXT.Emax)


class Instrument(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One tradable symbol of a venue.

    Attributes:
        symbol: unified spelling, `BTC/USDT`.
        venue_symbol: the venue's spelling, `BTCUSDT`.
        base: asset that is bought and sold.
        quote: asset that prices are in.
        tick: price step in quote units; zero where the venue has none.
        lot: quantity step in base units (contracts for derivatives).
        quantity_min: smallest quantity of an order.
        quantity_max: largest quantity of an order; zero where the venue has none, or one beyond any order.
        market_lot: quantity step of market orders where it differs; zero otherwise.
        notional_min: smallest price times quantity, in quote units.
        contract_size: base units of one contract; 1 for spot.
    """

    symbol: str
    venue_symbol: str
    base: str
    quote: str
    tick: Decimal
    lot: Decimal
    quantity_min: Decimal
    quantity_max: Decimal = ZERO
    market_lot: Decimal = ZERO
    notional_min: Decimal = ZERO
    contract_size: Decimal = Decimal(1)

    def __post_init__(self) -> None:
        """Refuse limits that cannot be compared with; msgspec turns the sentence into a ValidationError."""
        for name in ("tick", "lot", "quantity_min", "quantity_max", "market_lot", "notional_min", "contract_size"):
            amount: Decimal = getattr(self, name)
            if amount and not in_bounds(amount):
                raise ValueError(f"{name} of {self.symbol} must be zero or a positive decimal, not {amount}")
        if not self.contract_size:
            raise ValueError(f"contract_size of {self.symbol} must not be zero")


class Legal(Struct, frozen=True):
    """An order the venue's grid and limits allow.

    Attributes:
        sent: the amounts to send in canonical text: `quantity`, and `price` of a limit order.
    """

    sent: dict[str, str]


class OffLimits(Struct, frozen=True, kw_only=True):
    """An order the venue would refuse or truncate; `sentence` tells a person.

    Attributes:
        limit: name of the limit it breaks.
        symbol: unified spelling.
        value: what breaks it: the price for `tick`, price times quantity for `notional_min`, else the quantity;
            after rounding, where the intent asks for it.
        asked: the same as the intent has it, before rounding.
        bound: the limit itself: a step, a minimum or a maximum.
        nearest: the nearest legal price for `tick`, for the others the nearest legal quantity; None if none exists.
        price: what the quantity was valued at; None for `tick` and where no price is known.
    """

    limit: Limit
    symbol: str
    value: Decimal
    asked: Decimal
    bound: Decimal
    nearest: Decimal | None
    price: Decimal | None = None

    @property
    def sentence(self) -> str:
        """Name the limit, the value and the nearest legal one."""
        what = {"tick": "price", "notional_min": "notional"}.get(self.limit, "quantity")
        rounded = "" if self.value == self.asked else f", rounded to {text(self.value)},"
        how = {"tick": "off the tick", "lot": "off the lot", "quantity_max": "above the maximum"}
        noun = "price" if self.limit == "tick" else "quantity"
        at = f" at {text(self.price)}" if self.limit == "notional_min" and self.price is not None else ""
        way_out = f"the nearest legal {noun}{at} is {text(self.nearest)}" if self.nearest else f"no {noun}{at} is legal"
        return (
            f"{what} {text(self.asked)}{rounded} is {how.get(self.limit, 'below the minimum')} of {text(self.bound)} "
            f"for {self.symbol}; {way_out}"
        )


Fit = Legal | OffLimits


class Instruments(Struct, frozen=True):
    """All instruments of an account, found by either spelling; made by `tabulate`.

    Attributes:
        version: digest of the set.
        by_symbol: unified spelling to instrument.
        by_venue_symbol: the venue's spelling to instrument.
    """

    version: str
    by_symbol: dict[str, Instrument]
    by_venue_symbol: dict[str, Instrument]

    def of(self, symbol: str) -> Instrument:
        """Find by unified spelling.

        Raises:
            BadIntent: unknown; the sentence names a few that are known.
        """
        return _look_up(self.by_symbol, symbol)

    def of_venue_symbol(self, venue_symbol: str) -> Instrument:
        """Find by the venue's spelling.

        Raises:
            BadIntent: unknown; the sentence names a few that are known.
        """
        return _look_up(self.by_venue_symbol, venue_symbol)


def fit(terms: Place, instrument: Instrument, reference_price: Decimal | None = None) -> Fit:
    """Hold an order against its instrument's grid and limits, first the price, then the quantity.

    Nothing is rounded unless `terms.rounding` says how, and the limits hold after rounding. `down` is towards
    zero for quantities and prices, buys and sells alike: a sell may then ask less than it said, by less than
    one tick. `nearest` takes the nearer step, from the middle the upper one.

    Args:
        terms: what the strategy wants.
        instrument: of the same symbol.
        reference_price: values a market order for `notional_min`; without it that limit is the venue's to check.

    Returns:
        The texts to send, or the first limit that is broken.
    """
    assert terms.symbol == instrument.symbol, f"{terms.symbol} held against {instrument.symbol}"
    if terms.price is None:
        return _fit_quantity(terms, instrument, reference_price)
    price = _onto(terms.price, instrument.tick, terms.rounding)
    if not price:
        return _off_tick(terms, instrument, terms.price, terms.price if price is None else price)
    return _fit_quantity(terms, instrument, price)


def refusal(terms: Place, info: AccountInfo, instrument: Instrument) -> str:
    """Say why an order could never go out as it is; empty when it could."""
    if _is_fine(terms, info.takes, instrument):
        return ""
    if said := unsupported(terms, info):
        return said
    fitted = fit(terms, instrument)
    return "" if isinstance(fitted, Legal) else fitted.sentence


def unsupported(terms: Place, info: AccountInfo) -> str:
    """Say which kind of order it is that the venue does not take, whatever the instrument; empty when it does."""
    takes = info.takes
    if takes is None:
        return ""
    return refuse_unsupported(terms, takes.types, takes.times_in_force, takes.flags, takes.position_sides) or ""


def _is_fine(terms: Place, takes: Takes | None, instrument: Instrument) -> bool:
    """A glance, in a tenth of the time, for the orders that most orders are; False only means to look closely."""
    quantity, price, largest = terms.quantity, terms.price, instrument.quantity_max
    return bool(
        price
        and not (terms.post_only or terms.reduce_only or terms.rounding)
        and (
            takes is None
            or (
                terms.type in takes.types
                and terms.time_in_force in takes.times_in_force
                and terms.position_side in takes.position_sides
            )
        )
        and instrument.tick
        and instrument.lot
        and not _EXACT.remainder(price, instrument.tick)
        and not _EXACT.remainder(quantity, instrument.lot)
        and quantity >= instrument.quantity_min
        and (not largest or quantity <= largest)
        and _EXACT.multiply(_EXACT.multiply(quantity, price), instrument.contract_size) >= instrument.notional_min
    )


def refuse_unsupported(
    terms: Place,
    types: AbstractSet[str],
    times_in_force: AbstractSet[str],
    flags: AbstractSet[str],
    position_sides: AbstractSet[str],
) -> str | None:
    """Say by name what a venue cannot do, given what it takes; None when it takes the order.

    Returns:
        One sentence: "binance takes no time in force gtd; it takes gtc, ioc, fok". The time in force of a market
        order means nothing and is not looked at.
    """
    wanted: list[tuple[str, str, AbstractSet[str]]] = [
        ("order type", terms.type, types),
        *([("time in force", terms.time_in_force, times_in_force)] if terms.type == "limit" else []),
        *([("flag", "post_only", flags)] if terms.post_only else []),
        *([("flag", "reduce_only", flags)] if terms.reduce_only else []),
        ("position side", terms.position_side, position_sides),
    ]
    for what, word, taken in wanted:
        if word not in taken:
            known = ", ".join(name for name in _WORDS[what] if name in taken) or "none"
            return f"{terms.account.partition('.')[0]} takes no {what} {word}; it takes {known}"
    return None


def tabulate(instruments: Iterable[Instrument]) -> Instruments:
    """Make the table of an account's instruments.

    Raises:
        BadPayload: two different instruments share a spelling, so that a fill could be counted for the wrong one.
    """
    listed = list(instruments)
    by_symbol: dict[str, Instrument] = {}
    by_venue_symbol: dict[str, Instrument] = {}
    for item in listed:
        for table, name in ((by_symbol, item.symbol), (by_venue_symbol, item.venue_symbol)):
            if table.setdefault(name, item) != item:
                raise BadPayload(f"The venue lists two different instruments as {name!r}; load one market only.")
    return Instruments(version=version(listed), by_symbol=by_symbol, by_venue_symbol=by_venue_symbol)


def version(instruments: Iterable[Instrument]) -> str:
    """Digest a set of instruments: 32 hexadecimal digits, whatever their order, repetition or spelling of amounts."""
    rows = {
        tuple(text(part) if isinstance(part, Decimal) else part for part in msgspec.structs.astuple(instrument))
        for instrument in instruments
    }
    return hashlib.sha256(b"fillonce instruments 1 " + msgspec.json.encode(sorted(rows))).hexdigest()[:32]


def _fit_quantity(terms: Place, instrument: Instrument, price: Decimal | None) -> Fit:
    """Check the quantity, valued at a price that is legal itself."""
    step = instrument.lot
    if terms.type == "market" and instrument.market_lot:
        step = instrument.market_lot
    quantity = _onto(terms.quantity, step, terms.rounding)

    def off(limit: Limit, bound: Decimal, value: Decimal, asked: Decimal = terms.quantity) -> OffLimits:
        return OffLimits(
            limit=limit,
            symbol=instrument.symbol,
            value=value,
            asked=asked,
            bound=bound,
            nearest=_nearest_quantity(terms.quantity, instrument, step, price),
            price=price,
        )

    if quantity is None:
        return off("lot", step, terms.quantity)
    # Without a minimum, one step is it: rounding down may have left nothing.
    if quantity < (smallest := instrument.quantity_min or step):
        return off("quantity_min", smallest, quantity)
    if instrument.quantity_max and quantity > instrument.quantity_max:
        return off("quantity_max", instrument.quantity_max, quantity)
    if price is not None:
        notional = _EXACT.multiply(quantity, _EXACT.multiply(price, instrument.contract_size))
        if notional < instrument.notional_min:
            return off("notional_min", instrument.notional_min, notional, notional)
    sent = {"quantity": text(quantity)}
    if terms.type == "limit" and price is not None:
        sent["price"] = text(price)
    return Legal(sent)


def _off_tick(terms: Place, instrument: Instrument, asked: Decimal, value: Decimal) -> OffLimits:
    below = _down(asked, instrument.tick)
    above = _EXACT.add(below, instrument.tick)
    near = _near(asked, instrument.tick)
    steps = [step for step in (near, below if near == above else above) if step]
    # The other neighbour may be the nearest legal one: a price below can make the order too small.
    legal = [step for step in steps if isinstance(_fit_quantity(terms, instrument, step), Legal)]
    return OffLimits(
        limit="tick",
        symbol=instrument.symbol,
        value=value,
        asked=asked,
        bound=instrument.tick,
        nearest=(legal or steps)[0],
    )


def _nearest_quantity(asked: Decimal, instrument: Instrument, lot: Decimal, price: Decimal | None) -> Decimal | None:
    """Find the nearest quantity that meets every limit at `price`."""
    step = lot or STEP_FINEST
    smallest = _EXACT.multiply(step, _steps_up(max(instrument.quantity_min, step), step))
    if price is not None:
        worth_of_step = _EXACT.multiply(step, _EXACT.multiply(price, instrument.contract_size))
        smallest = max(smallest, _EXACT.multiply(step, _steps_up(instrument.notional_min, worth_of_step)))
    wanted = max(smallest, _near(asked, step))
    if not instrument.quantity_max:
        return wanted
    largest = _down(instrument.quantity_max, step)
    return None if smallest > largest else min(wanted, largest)


def _onto(amount: Decimal, step: Decimal, rounding: Rounding | None) -> Decimal | None:
    """Bring an amount onto the grid, None when it is off and may not be rounded."""
    if not step or _down(amount, step) == amount:
        return amount
    match rounding:
        case None:
            return None
        case "down":
            return _down(amount, step)
        case "nearest":
            return _near(amount, step)
        case _:
            assert_never(rounding)


def _near(amount: Decimal, step: Decimal) -> Decimal:
    below = _down(amount, step)
    rest = _EXACT.subtract(amount, below)
    return below if _EXACT.multiply(rest, Decimal(2)) < step else _EXACT.add(below, step)


def _down(amount: Decimal, step: Decimal) -> Decimal:
    return _EXACT.multiply(_EXACT.divide_int(amount, step), step)


def _steps_up(amount: Decimal, step: Decimal) -> Decimal:
    steps = _EXACT.divide_int(amount, step)
    return steps if _EXACT.multiply(steps, step) == amount else _EXACT.add(steps, Decimal(1))


def _look_up(table: dict[str, Instrument], name: str) -> Instrument:
    found = table.get(name)
    if found is None:
        # Those that begin alike are most likely what was meant.
        alike = heapq.nsmallest(KNOWN_SHOWN_MAX, table, key=lambda other: (other[:3] != name[:3], other))
        shown = ", ".join(alike) + (", ..." if len(table) > len(alike) else "")
        raise BadIntent(f"unknown symbol {name!r}; known: {shown or 'none'}")
    return found


def some_of(symbols: Iterable[str]) -> str:
    """Name the first symbols and count the others, for a sentence about one that is not traded."""
    listed = sorted(symbols)
    return ", ".join(listed[:8]) + (f" and {len(listed) - 8} more" if len(listed) > 8 else "")
