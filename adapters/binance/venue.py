"""One account at Binance: `Venue` made of the pure parts and the two shells.

Commands never raise; look-ups raise `CouldNotAsk`, because not being able to ask proves nothing.
"""

import asyncio
import statistics
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Self

from adapters.binance import answers, lists, requests, ws_api
from adapters.binance.decode import ACCOUNT_FORMAT, ORDER_FORMAT, TRADE_FORMAT
from adapters.binance.dialogue import BinanceDialogue
from adapters.binance.payloads import RAW_BYTES_MAX
from adapters.binance.product import SPOT, Command, Product
from adapters.binance.usage import limits, usage
from adapters.budgets import cost
from adapters.ccxt_rest import CcxtRest, always
from adapters.classify import Failure, Response, classify, clean
from adapters.credentials import Credentials
from adapters.deadline import Deadline
from adapters.metered import Metered
from adapters.socket_calls import SocketCalls
from adapters.sockets import Pace
from adapters.venue import Answer, CouldNotAsk, OrderEntry, Rows, StreamEvent, VenueFacts, Window
from adapters.websocket import listen
from streams.budget import Allowance, Cost, Urgency
from streams.errors import BadIntent, BadPayload, UsageError
from streams.instrument import Instrument
from streams.schemas import Accepted, Amending, Order, Refused, Throttled

CALL_TIMEOUT_MS = 15_000  # above the ten seconds after which the venue itself gives up (-1007)
LOOKUP_WINDOW_MS = 5_000
CLOCK_SAMPLES = 5
# A list may be long: its next page waits for the venue's next minute. A question about one order is asked again.
PATIENCE_MS, QUESTION_PATIENCE_MS = 65_000, 1_000
_NOT_ZERO = {"omitZeroBalances": "true"}


class BinanceVenue:
    """An account at Binance, spot or by a subclass another product. Use `open`, and close it.

    Attributes:
        product: what differs between the products.
        facts: what Binance declares of itself.
        clock_offset_ms: what the venue's clock shows more than the Redis server's.
        pace: bounds of the private stream's waits.
        metered: its requests, against the shared budget.
    """

    product: Product = SPOT
    shared_url = True  # spot has orders and private stream at one address
    facts: VenueFacts = SPOT.facts

    def __init__(
        self, rest: CcxtRest, credentials: Credentials, ws_url: str, now_ms: Callable[[], int],
        calls: SocketCalls | None = None,
    ) -> None:  # fmt: skip
        """Put the parts together; `now_ms` estimates the Redis server's clock (UTC ms), `calls` is for order entry."""
        self.clock_offset_ms, self.pace = 0, Pace()
        self.metered = Metered(None, usage, now_ms, lambda: self.clock_offset_ms)
        self._rest, self._calls = rest, calls
        self._now_ms = now_ms
        self._dialogue = BinanceDialogue(ws_url, credentials, self._venue_now_ms)

    def __repr__(self) -> str:
        return "BinanceVenue()"

    @classmethod
    async def open(
        cls,
        credentials: Credentials,
        now_ms: Callable[[], int],
        *,
        rest_url: str = "",
        ws_url: str = "",
        call_timeout_ms: int = CALL_TIMEOUT_MS,
        order_entry: OrderEntry = "rest",
        order_url: str = "",
        allowance: Allowance | None = None,
    ) -> Self:
        """Connect and measure the venue's clock.

        Args:
            credentials: an HMAC key.
            now_ms: estimate of the Redis server's clock (UTC ms); send windows are times of that clock.
            rest_url: scheme and host to ask instead of the real venue.
            ws_url: whole address of the ws-api to use instead of the real one.
            call_timeout_ms: deadline of every request.
            order_entry: by which way orders are sent.
            order_url: whole address of the ws-api for orders; empty takes `ws_url`.
            allowance: asked before every request; None where nothing is counted.

        Raises:
            UsageError: the key is not of a kind that can sign here.
            CouldNotAsk: the venue's clock could not be read.
        """
        if "PRIVATE KEY" in credentials.secret:
            raise UsageError("Binance needs an HMAC API key here; make one with a secret instead of a private key.")
        rest = await CcxtRest.open(
            "binance", credentials, base_url=rest_url, timeout_ms=call_timeout_ms, options=cls.product.options
        )
        speech = ws_api.BinanceSpeech(
            order_url or (ws_url if cls.shared_url else "") or cls.product.order_url, credentials
        )
        calls = SocketCalls(speech, call_timeout_ms) if order_entry == "ws" else None
        venue = cls(rest, credentials, ws_url or cls.product.stream_url, now_ms, calls)
        venue.metered.allowance = allowance
        try:
            await venue.measure_clock()
            if calls is not None:
                await calls.open()
        except BaseException:
            await venue.close()
            raise
        return venue

    async def measure_clock(self) -> None:
        """Measure `clock_offset_ms` anew: median of five samples, each against the middle of its round trip.

        Raises:
            CouldNotAsk: the venue did not say its time.
        """
        samples = [await self._sample_clock() for _ in range(CLOCK_SAMPLES)]
        self.clock_offset_ms = round(statistics.median(samples))

    async def submit(self, order: Order, window: Window) -> Answer:
        """Place `order` within `window`; the order's fills of that moment come in the same answer."""
        try:
            params = self.product.terms(order)
        except BadIntent as error:
            return Answer(Refused("unsupported", clean(str(error))))
        price = cost(self.facts, "place", urgency(order, window), orders=1)
        return await self._command(self.product.place, params, requests.wire(order), window, price)

    async def cancel(self, order: Order, window: Window) -> Answer:
        """Cancel `order` by its name at the venue, within `window`."""
        try:
            params = requests.name(order, self.product.spell)
        except BadIntent as error:
            return Answer(Refused("unsupported", clean(str(error))))
        price = cost(self.facts, "cancel", "cancel")
        return await self._command(self.product.cancel, params, requests.wire(order), window, price)

    async def amend(self, order: Order, amend: Amending, window: Window) -> Answer:
        """Amend `order` within `window`: spot replaces it, unless an execution crosses; USDⓈ-M amends in place."""
        try:
            params = self.product.amended(order, amend)
        except BadIntent as error:
            return Answer(Refused("unsupported", clean(str(error))))
        name = params.get("newClientOrderId", requests.wire(order))
        price = cost(self.facts, "amend", urgency(order, window), orders=1)
        return await self._command(self.product.amend, params, name, window, price)

    async def find(self, order: Order) -> Rows:
        """Ask for one order by our id: one row, or none when the venue says -2013.

        Raises:
            CouldNotAsk: any other answer, or none.
        """
        try:
            params = requests.name(order, self.product.spell)
        except BadIntent as error:
            raise CouldNotAsk(clean(str(error))) from None
        answer = await self._ask(params)
        if answers.says_no_such_order(answer):
            return Rows(ORDER_FORMAT, ())
        return Rows(ORDER_FORMAT, (answers.one_order(answer),))

    async def open_orders(self, symbol: str) -> Rows:
        """All open orders of a unified symbol, oldest first.

        Raises:
            CouldNotAsk: no answer that means anything.
        """
        page = answers.orders(
            await self._signed(self.product.open_orders, {"symbol": self._spell(symbol)}, "open orders")
        )
        return Rows(ORDER_FORMAT, [raw for _, raw in page])

    async def orders_since(self, symbol: str, since_ms: int) -> Rows:
        """All orders of a symbol created since (the venue filters by creation), closed ones too, oldest first.

        Raises:
            CouldNotAsk: no answer that means anything, or more of them than one look-up may fetch.
        """
        return Rows(ORDER_FORMAT, await self._since(self.product.all_orders, symbol, since_ms, "orders since"))

    async def trades_since(self, symbol: str, since_ms: int) -> Rows:
        """All own trades of a symbol since, oldest first.

        Raises:
            CouldNotAsk: no answer that means anything, or more of them than one look-up may fetch.
        """
        return Rows(TRADE_FORMAT, await self._since(self.product.own_trades, symbol, since_ms, "executions since"))

    async def trades_of(self, symbol: str, venue_order_id: str) -> Rows:
        """All own trades of one order, oldest first.

        Raises:
            CouldNotAsk: no answer that means anything.
        """
        params = {"symbol": self._spell(symbol), "orderId": venue_order_id}
        ask = self._asking("executions of an order")
        return Rows(TRADE_FORMAT, await lists.of_order(ask, self.product.own_trades, params))

    async def balances(self) -> Rows:
        """What the account holds, free and locked, of every asset that is not zero.

        Raises:
            CouldNotAsk: no answer that means anything.
        """
        return Rows(ACCOUNT_FORMAT, (answers.body(await self._signed(self.product.balances, _NOT_ZERO, "balances")),))

    async def positions(self) -> Rows:
        """None: on spot a position is a holding."""
        return Rows("", ())

    async def count_down(self, symbol: str, after_ms: int) -> None:
        """Spot has no dead-man timer.

        Raises:
            CouldNotAsk: always.
        """
        del after_ms
        raise CouldNotAsk(f"{self.facts.name} has no timer that would cancel orders of {symbol}.")

    async def instruments(self) -> Sequence[Instrument]:
        """Load every symbol of the product.

        Raises:
            CouldNotAsk: no answer that means anything.
        """
        body = answers.body(await self._public(self.product.info, "instruments"))
        await self.metered.heard(limits(body))
        try:
            # The list has thousands of symbols: read beside the loop, not in it.
            return await asyncio.to_thread(self.product.read_instruments, body)
        except BadPayload as error:
            raise CouldNotAsk(clean(str(error))) from None

    async def may_withdraw(self) -> bool | None:
        """Whether the key could withdraw; None where the venue does not tell, as no testnet does."""
        try:
            body = answers.body(await self._signed("sapi_get_account_apirestrictions", {}, "clock"))
            return answers.may_withdraw(body)
        except CouldNotAsk:
            return None

    def stream(self) -> AsyncGenerator[StreamEvent, None]:
        """Private stream for ever."""
        return listen(self._dialogue, self.pace)

    async def close(self) -> None:
        """Give back sockets."""
        if self._calls is not None:
            await self._calls.close()
        await self._rest.close()

    async def _command(
        self, command: Command, params: requests.Params, name: str, window: Window, price: Cost
    ) -> Answer:  # fmt: skip
        check = Deadline(window, self._now_ms)
        # What must go out waits for its turn while its window is open; anything else is due again later.
        if wait_ms := await self.metered.take(price, check.left_ms() if price.urgency == "cancel" else 0):
            return Answer(Throttled(wait_ms))
        params = {**params, **requests.within(window, self.clock_offset_ms)}
        answer = await self.metered.send(lambda: self._send(command, params, check))
        outcome = classify(command.table, answer, name)
        raw, others = command.parts(answer.body[:RAW_BYTES_MAX]) if isinstance(answer, Response) else (b"", ())
        also = Rows(ORDER_FORMAT, others) if others else None
        return Answer(outcome, ORDER_FORMAT if isinstance(outcome, Accepted) else "", raw, check.sent_at_ms, also)

    async def _send(self, command: Command, params: requests.Params, check: Callable[[], str]) -> Response | Failure:
        """Send by the order socket; by REST where nothing has left by it: the same claim, the same window, once."""
        if self._calls is not None:
            answer = await self._calls.call(command.method, params, check)
            if isinstance(answer, Response) or answer.sent:
                return answer
        return await self._rest.call(command.endpoint, params, check)

    async def _ask(self, params: requests.Params) -> Response | Failure:
        """Ask for one order by the order socket; a look-up that gets no answer there is asked again by REST."""
        if (calls := self._calls) is not None:
            answer = await self.metered.ask(
                cost(self.facts, "order", "query"),
                lambda: calls.call(ws_api.STATUS, {**params, **self._moment()}, always), QUESTION_PATIENCE_MS,
            )  # fmt: skip
            if isinstance(answer, Response):
                return answer
        return await self._signed(self.product.order, params, "order", QUESTION_PATIENCE_MS)

    async def _since(self, kind: lists.Kind, symbol: str, since_ms: int, purpose: str) -> list[bytes]:
        params, start_ms = {"symbol": self._spell(symbol)}, max(since_ms + self.clock_offset_ms, 0)
        return await lists.since(self._asking(purpose), kind, params, start_ms, self._venue_now_ms())

    def _asking(self, purpose: str) -> lists.Ask:
        return lambda endpoint, params: self._signed(endpoint, params, purpose)

    async def _signed(
        self, endpoint: str, params: requests.Params, purpose: str, patience_ms: int = PATIENCE_MS
    ) -> Response | Failure:
        price = cost(self.facts, purpose, "query")
        return await self.metered.ask(
            price, lambda: self._rest.call(endpoint, {**params, **self._moment()}), patience_ms
        )  # fmt: skip

    async def _public(self, endpoint: str, purpose: str) -> Response | Failure:
        return await self.metered.ask(
            cost(self.facts, purpose, "query"), lambda: self._rest.call(endpoint, {}), PATIENCE_MS
        )

    def _moment(self) -> requests.Params:
        return {"timestamp": str(self._venue_now_ms()), "recvWindow": str(LOOKUP_WINDOW_MS)}

    async def _sample_clock(self) -> float:
        asked_ms = answered_ms = 0

        async def ask() -> Response | Failure:
            nonlocal asked_ms, answered_ms
            asked_ms = self._now_ms()  # not before: it may have waited for the request budget
            answer = await self._rest.call(self.product.time, {})
            answered_ms = self._now_ms()
            return answer

        answer = await self.metered.ask(cost(self.facts, "clock", "query"), ask, PATIENCE_MS)
        return answers.server_time_ms(answer) - (asked_ms + answered_ms) / 2

    def _venue_now_ms(self) -> int:
        return self._now_ms() + self.clock_offset_ms

    def _spell(self, symbol: str) -> str:
        try:
            return self.product.spell(symbol)
        except BadIntent as error:
            raise CouldNotAsk(str(error)) from None


def urgency(order: Order, window: Window) -> Urgency:
    """Say how urgent a place or an amend is: more than a new order where it can only make the position smaller."""
    reduces = window.urgency == "new" and order.terms is not None and order.terms.reduce_only
    return "reduce" if reduces else window.urgency
