"""A private stream for exchanges of which none is known: the account is asked again and again.

Everything is yielded as frames, raw, only where it is news; what is told twice folds into nothing. Whatever cannot be
asked ends the connection: what was missed until the next one is fetched like after any gap.
"""

import asyncio
import secrets
import time
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from typing import Protocol

from adapters.generic.answers import Row, at_ms
from adapters.generic.payloads import ORDER_FORMAT, TRADE_FORMAT, order_row, trade_row
from adapters.venue import CouldNotAsk, Frame, Lost, StreamEvent, Subscribed

PAUSE_MS_MAX = 30_000
# A trade may show up at the exchange's list so much later than its own time.
OVERLAP_MS = 60_000


class Asked(Protocol):
    """What is asked of an account; everything raises CouldNotAsk."""

    async def ping(self) -> None:
        """Ask for something that only this account is told."""
        ...

    async def resting(self, symbol: str) -> Sequence[Row]:
        """Open orders."""
        ...

    async def one(self, symbol: str, venue_order_id: str) -> Row | None:
        """One order; None when the exchange does not know it."""
        ...

    async def traded(self, symbol: str, since_ms: int) -> Sequence[Row]:
        """Own trades since a moment of the exchange's clock."""
        ...


class Seen:
    """What was told of one symbol. Pure.

    Attributes:
        since_ms: from when on trades are asked for.
    """

    def __init__(self, since_ms: int) -> None:
        self.since_ms = since_ms
        self._resting: dict[str, bytes] = {}
        self._trades: dict[bytes, int] = {}

    def orders(self, rows: Mapping[str, bytes]) -> tuple[list[bytes], list[str]]:
        """Take the open orders by id; give those that are news, and the ids of those that rest no more."""
        news = [raw for name, raw in rows.items() if self._resting.get(name) != raw]
        gone = [name for name in self._resting if name not in rows]
        self._resting = dict(rows)
        return news, gone

    def trades(self, rows: Sequence[tuple[int, bytes]]) -> list[bytes]:
        """Take trades by time; give those that are news."""
        news = [raw for _, raw in rows if raw not in self._trades]
        self._trades.update((raw, at_ms) for at_ms, raw in rows)
        newest = max((at_ms for at_ms, _ in rows), default=0)
        self.since_ms = max(self.since_ms, newest - OVERLAP_MS)
        self._trades = {raw: at_ms for raw, at_ms in self._trades.items() if at_ms >= self.since_ms}
        return news


async def poll(
    asked: Asked, exchange_id: str, symbols: Callable[[], Sequence[str]], now_ms: Callable[[], int],
    pause_ms: Callable[[], int],
) -> AsyncGenerator[StreamEvent, None]:  # fmt: skip
    """Ask for ever.

    Args:
        asked: the account.
        exchange_id: ccxt's name of the exchange.
        symbols: which markets are asked for, at that moment.
        now_ms: the exchange's clock.
        pause_ms: between two rounds; after a failure it doubles, up to half a minute.
    """
    failures = 0
    while True:
        connection, subscribed = f"poll-{secrets.token_hex(4)}", False
        seen: dict[str, Seen] = {}
        try:
            await asked.ping()
            while True:
                news = [
                    (form, raw)
                    for symbol in symbols()
                    for form, raw in await _news(
                        asked, exchange_id, symbol, seen.setdefault(symbol, Seen(now_ms() - OVERLAP_MS))
                    )
                ]
                if not subscribed:
                    # Only after a whole round: nobody may rely on an exchange that answers some of the questions.
                    yield Subscribed(connection)
                    subscribed, failures = True, 0
                for form, raw in news:
                    yield Frame(form, raw, time.time_ns(), connection)
                await asyncio.sleep(pause_ms() / 1000)
        except CouldNotAsk as error:
            failures += 1
            if subscribed:
                yield Lost(connection, str(error))
        await asyncio.sleep(min(pause_ms() * 2**failures, PAUSE_MS_MAX) / 1000)


async def _news(asked: Asked, exchange_id: str, symbol: str, seen: Seen) -> list[tuple[str, bytes]]:
    resting = await asked.resting(symbol)
    news, gone = seen.orders({str(row.get("id")): order_row(exchange_id, row) for row in resting})
    ended = [await asked.one(symbol, name) for name in gone]
    news += [order_row(exchange_id, row) for row in ended if row is not None]
    # Trades after the orders: whatever a statement of an order counts is then among them, or comes with the next round.
    rows = await asked.traded(symbol, seen.since_ms)
    trades = seen.trades([(at_ms(row), trade_row(exchange_id, row)) for row in rows])
    return [*((ORDER_FORMAT, raw) for raw in news), *((TRADE_FORMAT, raw) for raw in trades)]
