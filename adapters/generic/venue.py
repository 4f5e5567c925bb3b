"""One account at any exchange, by ccxt's unified calls alone.

A command is accepted when an answer came, was read, and shows the venue's id of our order; whatever else happened after
its first byte is `Unknown`, because no list of codes is known here that would prove more. What ccxt refuses before it
has begun a request never left.
"""

import re
import statistics
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from typing import Self

from adapters.ccxt_unified import CcxtUnified, Performed, Written
from adapters.classify import clean
from adapters.credentials import Credentials
from adapters.deadline import Deadline
from adapters.generic.answers import (
    ALTERED,
    Row,
    at_ms,
    by_time,
    doubt,
    failed,
    last_id,
    rows_of,
    strange,
    symbol_of,
)
from adapters.generic.asking import Asking, Deed
from adapters.generic.facts import POLL_MS, facts_of
from adapters.generic.instruments import instruments
from adapters.generic.needs import PREFIX
from adapters.generic.payloads import (
    BALANCE_FORMAT,
    ORDER_FORMAT,
    TRADE_FORMAT,
    balance_row,
    order_row,
    says,
    told_name,
    trade_row,
)
from adapters.generic.poll import poll
from adapters.generic.probe import OPTIONS, proven
from adapters.venue import Answer, CouldNotAsk, Rows, StreamEvent, Window
from streams.errors import UsageError
from streams.instrument import Instrument
from streams.money import text
from streams.schemas import Accepted, Amending, NotSent, Order, Refused, Throttled

CLOCK_SAMPLES = 3


class CcxtVenue:
    """An account at an exchange that only ccxt knows. Use `open`, and close it.

    Attributes:
        facts: the cautious ones.
        clock_offset_ms: what the exchange's clock shows more than the Redis server's; 0 where it does not tell.
        poll_ms: between two rounds of asking in place of a private stream.
    """

    def __init__(
        self, rest: CcxtUnified, exchange_id: str, now_ms: Callable[[], int], *, cancels_by_name: bool
    ) -> None:
        """Put the parts together; `now_ms` estimates the Redis server's clock (UTC ms)."""
        self.facts, self.clock_offset_ms, self.poll_ms = facts_of(exchange_id), 0, POLL_MS
        self._rest, self._id, self._now_ms, self._cancels_by_name = rest, exchange_id, now_ms, cancels_by_name
        self._ask = Asking(rest, now_ms)

    def __repr__(self) -> str:
        return f"CcxtVenue({self._id})"

    @classmethod
    async def open(
        cls, exchange_id: str, credentials: Credentials, now_ms: Callable[[], int], *, rest_url: str = "",
        sandbox: bool = False, call_timeout_ms: int,
    ) -> Self:  # fmt: skip
        """Prove on this machine that the exchange can be traded at, then load its markets.

        Args:
            exchange_id: ccxt's name of the exchange.
            credentials: of the account.
            now_ms: estimate of the Redis server's clock (UTC ms); send windows are times of that clock.
            rest_url: scheme and host to ask instead of the real ones.
            sandbox: whether the exchange's testnet is meant.
            call_timeout_ms: deadline of every call.

        Raises:
            UsageError: it lacks something, or has no testnet.
            CouldNotAsk: the exchange did not answer.
        """
        found = await proven(exchange_id)
        rest = await CcxtUnified.open(
            exchange_id, credentials, base_url=rest_url, timeout_ms=call_timeout_ms,
            options=OPTIONS,
        )  # fmt: skip
        venue = cls(rest, exchange_id, now_ms, cancels_by_name=found.cancels_by_name)
        try:
            venue.check_key(credentials)
            if sandbox:
                rest.use_testnet()
            await venue._ask.call(lambda x: x.load_markets())
            await venue.measure_clock()
        except BaseException:
            await venue.close()
            raise
        return venue

    def check_key(self, credentials: Credentials) -> None:
        """Look whether a key is whole; raises UsageError."""
        if self._rest.exchange.requiredCredentials.get("password") and not credentials.passphrase:
            raise UsageError(
                f"{PREFIX}{self._id} needs the passphrase of its key too: set it as passphrase in credentials_file, or "
                "in FILLONCE_PASSPHRASE_ and the account's name."
            )

    async def submit(self, order: Order, window: Window) -> Answer:
        """Place `order` within `window`; its amounts must stand in the request exactly as recorded."""
        terms = order.terms
        if terms is None:
            return Answer(Refused("unsupported", "A tombstone has no terms."))
        if left_ms := self._ask.left_ms():
            return Answer(Throttled(left_ms))
        amount = text(order.quantity)
        price = text(order.price) if terms.type == "limit" and order.price is not None else None
        name, params = order.client_order_id, {"clientOrderId": order.client_order_id}
        self._ask.symbols[terms.symbol] = None

        def judge(written: Written) -> str | None:
            if name not in written.text:
                return None if written.line.startswith("GET ") else f"{ALTERED} without our client order id"
            said = f"{written.line}\n{written.body}"
            altered = [one for one in (amount, price) if one is not None and not says(said, one)]
            return f"{ALTERED} with something else than {altered[0]}" if altered else ""

        done, sent_at_ms = await self._command(
            lambda x: x.create_order(terms.symbol, terms.type, terms.side, amount, price, params), judge, window
        )
        return self._answer(done, order, sent_at_ms)

    async def cancel(self, order: Order, window: Window) -> Answer:
        """Cancel `order` within `window`, then ask for it: an answer to a cancel says less than the order itself."""
        terms = order.terms
        if terms is None:
            return Answer(Refused("unsupported", "A tombstone has no terms."))
        try:
            venue_id = await self._venue_id(order)
        except CouldNotAsk as error:
            return Answer(NotSent(clean(str(error))))
        by_name = {} if venue_id else {"clientOrderId": order.client_order_id}
        mark = re.compile(rf"(?<![\w-]){re.escape(venue_id or order.client_order_id)}(?![\w-])")

        def judge(written: Written) -> str | None:
            return "" if mark.search(written.text) else None

        done, sent_at_ms = await self._command(
            lambda x: x.cancel_order(venue_id or None, terms.symbol, by_name), judge, window
        )
        if done.failure is not None:
            return failed(done, done.failure, sent_at_ms)
        return await self._ended(order, done, sent_at_ms)

    async def amend(self, order: Order, amend: Amending, window: Window) -> Answer:
        """No order is amended here; never called, as the facts say so."""
        del order, amend, window
        return Answer(Refused("unsupported", "No order is amended at an exchange that only ccxt knows."))

    async def find(self, order: Order) -> Rows:
        """Ask for one order, by the venue's id where that is known, else by ours.

        Raises:
            CouldNotAsk: no answer that means anything, or one about another order.
        """
        terms = order.terms
        if terms is None:
            raise CouldNotAsk("A tombstone has no terms; there is nothing to ask for.")
        venue_id = last_id(order)
        if venue_id:
            row = await self._ask.one(terms.symbol, venue_id)
        else:
            row = await self._ask.order(terms.symbol, None, {"clientOrderId": order.client_order_id})
        if row is None:
            return Rows(ORDER_FORMAT, ())
        if other := strange(row, order):
            raise CouldNotAsk(f"asked for one order, told of another: {other}")
        return Rows(ORDER_FORMAT, (order_row(self._id, row, order.client_order_id),))

    async def open_orders(self, symbol: str) -> Rows:
        """All open orders of a unified symbol; raises CouldNotAsk."""
        return Rows(ORDER_FORMAT, [order_row(self._id, row) for row in by_time(await self._ask.resting(symbol))])

    async def orders_since(self, symbol: str, since_ms: int) -> Rows:
        """All orders of a symbol created since, closed ones too, as far as the exchange remembers them.

        Raises:
            CouldNotAsk: no answer that means anything, or a list that may have been cut.
        """
        start_ms, has = self._venue_ms(since_ms), self._ask.has
        # What rests is asked for first: an order that ends meanwhile is then in the later list too, or in both.
        found = {str(row.get("id")): row for row in await self._ask.resting(symbol)}
        lists = ["fetch_orders"] if has.get("fetchOrders") else ["fetch_closed_orders"]
        if not has.get("fetchOrders") and has.get("fetchCanceledOrders"):
            lists.append("fetch_canceled_orders")
        for name in lists:
            rows = await self._ask.orders(name, symbol, start_ms)
            found.update((str(row.get("id")), row) for row in rows)
        return Rows(ORDER_FORMAT, [order_row(self._id, row) for row in by_time(list(found.values()))])

    async def trades_since(self, symbol: str, since_ms: int) -> Rows:
        """All own trades of a symbol since; raises CouldNotAsk."""
        rows = await self._ask.traded(symbol, self._venue_ms(since_ms))
        return Rows(TRADE_FORMAT, [trade_row(self._id, row) for row in by_time(rows)])

    async def trades_of(self, symbol: str, venue_order_id: str) -> Rows:
        """All own trades of one order; raises CouldNotAsk."""
        if self._ask.has.get("fetchOrderTrades") is True:
            rows = rows_of(await self._ask.call(lambda x: x.fetch_order_trades(venue_order_id, symbol)))
        else:
            rows = await self._traded_by(symbol, venue_order_id)
        own = [row for row in rows if str(row.get("order")) == venue_order_id]
        return Rows(TRADE_FORMAT, [trade_row(self._id, row) for row in by_time(own)])

    async def balances(self) -> Rows:
        """What the account holds; raises CouldNotAsk."""
        return Rows(BALANCE_FORMAT, (balance_row(self._id, await self._ask.balance()),))

    async def positions(self) -> Rows:
        """None: only spot is traded."""
        return Rows("", ())

    async def count_down(self, symbol: str, after_ms: int) -> None:
        """There is no timer; raises CouldNotAsk."""
        del after_ms
        raise CouldNotAsk(f"{self.facts.name} has no timer that would cancel orders of {symbol}.")

    async def instruments(self) -> Sequence[Instrument]:
        """Load every spot market anew; raises CouldNotAsk."""
        markets = await self._ask.call(lambda x: x.load_markets(reload=True))
        return instruments(markets.values(), self._rest.exchange.precisionMode)

    def stream(self) -> AsyncGenerator[StreamEvent, None]:
        """Ask again and again, for ever, about every symbol this object was ever asked about."""
        return poll(
            self._ask,
            self._id,
            lambda: tuple(self._ask.symbols),
            lambda: self._venue_ms(self._now_ms()),
            lambda: self.poll_ms,
        )

    async def may_withdraw(self) -> bool | None:
        """No unified call tells."""
        return None

    async def measure_clock(self) -> None:
        """Measure `clock_offset_ms` anew, where the exchange tells its time; raises CouldNotAsk."""
        if not self._ask.has.get("fetchTime"):
            return
        self.clock_offset_ms = round(statistics.median([await self._sample_clock() for _ in range(CLOCK_SAMPLES)]))

    async def close(self) -> None:
        """Give back sockets."""
        await self._rest.close()

    async def _command(
        self, deed: Deed, judge: Callable[[Written], str | None], window: Window
    ) -> tuple[Performed, int]:
        check = Deadline(window, self._now_ms)
        done = await self._ask.perform(deed, check, judge)
        return done, check.sent_at_ms if done.sent else 0

    async def _ended(self, order: Order, done: Performed, sent_at_ms: int) -> Answer:
        try:
            found = await self.find(order)
        except CouldNotAsk as error:
            return doubt(done, str(error), sent_at_ms)
        if not found.rows:
            return doubt(done, "cancelled, and not shown any more", sent_at_ms)
        return Answer(Accepted(), found.format, found.rows[0], sent_at_ms)

    def _answer(self, done: Performed, order: Order, sent_at_ms: int) -> Answer:
        if done.failure is not None:
            return failed(done, done.failure, sent_at_ms)
        row = done.value
        status = done.response.status if done.response is not None else 0
        if not isinstance(row, Mapping) or not row.get("id") or not 200 <= status < 300:
            return doubt(done, f"HTTP {status} without an order", sent_at_ms)
        if not done.sent:
            return doubt(done, "ccxt says that it is placed, and no request had our client order id", sent_at_ms)
        if told_name(row) not in ("", order.client_order_id):
            return doubt(done, f"HTTP {status} with an order that is not ours", sent_at_ms)
        try:
            # Some answers to a new order hold its id and no more.
            kept = order_row(self._id, {**row, "symbol": row.get("symbol") or symbol_of(order)}, order.client_order_id)
        except CouldNotAsk as error:
            return doubt(done, str(error), sent_at_ms)
        return Answer(Accepted(), ORDER_FORMAT, kept, sent_at_ms)

    async def _venue_id(self, order: Order) -> str:
        """The exchange's id of an order, asked for where a cancel needs it and nobody told it yet.

        Raises:
            CouldNotAsk: a cancel needs it, and the exchange does not show the order.
        """
        known = last_id(order)
        if known or self._cancels_by_name:
            return known
        row = await self._ask.order(symbol_of(order), None, {"clientOrderId": order.client_order_id})
        if row is None or strange(row, order):
            raise CouldNotAsk("the exchange does not show the order yet")
        return str(row.get("id"))

    async def _traded_by(self, symbol: str, venue_order_id: str) -> list[Row]:
        """Own trades since an order was made: a page of the newest may have none of its own any more."""
        order = await self._ask.one(symbol, venue_order_id)
        made_ms = at_ms(order) if order is not None else 0
        if not made_ms:
            raise CouldNotAsk("when the order was made is not told, so its executions cannot be listed whole")
        return list(await self._ask.traded(symbol, made_ms))

    async def _sample_clock(self) -> float:
        asked_ms = self._now_ms()

        def written() -> str:
            nonlocal asked_ms
            asked_ms = self._now_ms()  # not before: ccxt keeps requests waiting for their turn
            return ""

        done = await self._rest.perform(lambda x: x.fetch_time(), written)
        if done.failure is not None or not isinstance(done.value, int | float):
            raise CouldNotAsk("the exchange's clock cannot be read")
        return done.value - (asked_ms + self._now_ms()) / 2

    def _venue_ms(self, here_ms: int) -> int:
        return max(here_ms + self.clock_offset_ms, 0)
