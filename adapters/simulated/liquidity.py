"""Pure: the house. Quotes around a seeded random walk, so that market orders find a book and limit orders fill."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Annotated

import msgspec

from adapters.simulated.exchange import Exchange
from adapters.simulated.faults import Rate, roll
from adapters.simulated.market import Quote
from adapters.simulated.matching import Book, Side, TimeInForce
from adapters.simulated.orders import Report
from adapters.simulated.symbols import Symbol

_NEAR = Decimal("0.01")
_RANGE = Decimal("0.2")


class Liquidity(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the house quotes.

    Every `interval_ms` it takes its quotes off the book, moves its reference price by up to `step_share` of it, takes
    with chance `nibble` a part of the best resting client order of a side within 1 % of the reference, and puts up
    `levels` quotes on each side, `gap_share` of the price apart, each worth about `level_notional` in quote asset.
    """

    on: bool = True
    interval_ms: Annotated[int, msgspec.Meta(ge=5, le=600_000)] = 100
    levels: Annotated[int, msgspec.Meta(ge=1, le=50)] = 5
    gap_share: Decimal = Decimal("0.0002")
    step_share: Decimal = Decimal("0.0005")
    level_notional: Decimal = Decimal(20000)
    nibble: Rate = 0.5


class House:
    """The house's reference price of one symbol; the same seed and settings give the same walk."""

    def __init__(self, seed: int, rules: Symbol) -> None:
        self.reference = rules.reference_price
        self._rules = rules
        self._seed = seed
        self._number = 0

    def quote(self, exchange: Exchange, liquidity: Liquidity, now_ms: int, lag_ms: int) -> list[Report]:
        """Renew all quotes of the symbol. Returns the clients' reports."""
        symbol = self._rules.symbol
        exchange.clear_house(symbol)
        self._walk(liquidity)
        reports: list[Report] = []
        for side in Side:
            bite = self._nibble(exchange.market(symbol).book, side, liquidity)
            if bite is not None:
                reports += exchange.house(symbol, bite, now_ms, lag_ms)
        for quote in self._quotes(liquidity):
            reports += exchange.house(symbol, quote, now_ms, lag_ms)
        return reports

    def _walk(self, liquidity: Liquidity) -> None:
        rules = self._rules
        move = rules.reference_price * liquidity.step_share * self._even(-1, 1)
        low, high = rules.reference_price * (1 - _RANGE), rules.reference_price * (1 + _RANGE)
        self.reference = min(max(self.reference + _down(move, rules.tick_size), low), high)

    def _nibble(self, book: Book, side: Side, liquidity: Liquidity) -> Quote | None:
        queue = book.queue(side)
        if not queue or self._roll() >= liquidity.nibble:
            return None
        best = queue[0]
        if abs(best.price - self.reference) > self.reference * _NEAR:
            return None
        quantity = _down(best.remaining * self._even(0, 1), self._rules.step_size)
        taker = Side.SELL if side is Side.BUY else Side.BUY
        return Quote(taker, max(quantity, self._rules.step_size), best.price, TimeInForce.IOC)

    def _quotes(self, liquidity: Liquidity) -> Iterator[Quote]:
        rules = self._rules
        gap = max(_down(self.reference * liquidity.gap_share, rules.tick_size), rules.tick_size)
        for level in range(1, liquidity.levels + 1):
            for side, sign in ((Side.BUY, -1), (Side.SELL, 1)):
                notional = liquidity.level_notional * self._even(Decimal("0.5"), Decimal("1.5"))
                quantity = max(_down(notional / self.reference, rules.step_size), rules.step_size)
                yield Quote(side, quantity, self.reference + sign * level * gap)

    def _even(self, low: Decimal | int, high: Decimal | int) -> Decimal:
        return low + (high - low) * Decimal(int(self._roll() * 10000)) / 10000

    def _roll(self) -> float:
        self._number += 1
        return roll(self._seed, f"house:{self._rules.symbol}", self._number)


def _down(amount: Decimal, unit: Decimal) -> Decimal:
    return amount // unit * unit
