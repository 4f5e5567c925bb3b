"""One account at Binance USDⓈ-M: spot's shell with other addresses, and a private stream by listen key."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from typing import Any

import msgspec
from websockets.asyncio.client import ClientConnection

from adapters.binance import answers, ws_api
from adapters.binance.decode import ORDER_FORMAT
from adapters.binance.lists import orders, trades
from adapters.binance.payloads import RAW_BYTES_MAX
from adapters.binance.product import Command, Product
from adapters.binance.requests import Params, name, wire, within
from adapters.binance.venue import PATIENCE_MS, BinanceVenue, urgency
from adapters.binance_usdm import batches, codes, requests
from adapters.binance_usdm.dialogue import UsdmDialogue, listen_key
from adapters.binance_usdm.facts import FACTS
from adapters.binance_usdm.instruments import instruments
from adapters.binance_usdm.positions import POSITIONS_FORMAT
from adapters.binance_usdm.wallets import WALLETS_FORMAT
from adapters.budgets import cost
from adapters.ccxt_rest import CcxtRest
from adapters.classify import Response, classify, clean
from adapters.credentials import Credentials
from adapters.deadline import Deadline
from adapters.socket_calls import SocketCalls
from adapters.venue import Answer, Rows, StreamEvent, Window
from adapters.websocket import listen
from streams.budget import Cost, Urgency
from streams.errors import BadIntent
from streams.schemas import Accepted, Order, Refused, Throttled
from streams.tasks import end

COUNT_DOWN_WEIGHT = 10
NO_SUCH_LISTEN_KEY = "-1125"
GONE = 4000  # a close code of our own
KEEP_KEY_MS = 30 * 60_000  # a listen key ends an hour after it was last kept alive
KEEP_AGAIN_MS = 60_000  # after an attempt that failed

USDM = Product(
    facts=FACTS,
    options={"fetchMarkets": {"types": ["linear"]}, "fetchCurrencies": False, "fetchMargins": False},
    order_url="wss://ws-fapi.binance.com/ws-fapi/v1",
    stream_url="wss://fstream.binance.com/private/ws",
    place=Command("fapiprivate_post_order", ws_api.PLACE, codes.PLACE),
    cancel=Command("fapiprivate_delete_order", ws_api.CANCEL, codes.CANCEL),
    amend=Command("fapiprivate_put_order", ws_api.MODIFY, codes.AMEND),
    order="fapiprivate_get_order",
    open_orders="fapiprivate_get_openorders",
    all_orders=orders("fapiprivate_get_allorders"),
    own_trades=trades("fapiprivate_get_usertrades"),
    balances="fapiprivatev3_get_balance",
    time="fapipublic_get_time",
    info="fapipublic_get_exchangeinfo",
    terms=requests.place,
    amended=requests.amend,
    spell=requests.venue_symbol,
    read_instruments=instruments,
)

# There is no such method by the order socket; what goes by it goes one by one.
PLACE_MANY = Command("fapiprivate_post_batchorders", "", codes.PLACE)
CANCEL_MANY = Command("fapiprivate_delete_batchorders", "", codes.CANCEL)


class BinanceUsdmVenue(BinanceVenue):
    """An account at Binance USDⓈ-M. Use `open`, and close it."""

    product = USDM
    facts = USDM.facts
    shared_url = False
    keep_key_ms, keep_again_ms = KEEP_KEY_MS, KEEP_AGAIN_MS

    def __init__(
        self, rest: CcxtRest, credentials: Credentials, ws_url: str, now_ms: Callable[[], int],
        calls: SocketCalls | None = None,
    ) -> None:  # fmt: skip
        """Put the parts together."""
        super().__init__(rest, credentials, ws_url, now_ms, calls)
        self._stream = UsdmDialogue(ws_url.rstrip("/"))
        self._socket: ClientConnection | None = None
        if calls is not None:
            self.facts = msgspec.structs.replace(self.facts, batch_place=0, batch_cancel=0)

    def __repr__(self) -> str:
        return "BinanceUsdmVenue()"

    async def submit_many(self, orders: Sequence[Order], windows: Sequence[Window]) -> Sequence[Answer]:
        """Place up to five orders by one request; one that cannot be said in the venue's terms is refused by itself."""
        return await self._many(orders, windows, self.product.terms, batches.places, PLACE_MANY)

    async def cancel_many(self, orders: Sequence[Order], windows: Sequence[Window]) -> Sequence[Answer]:
        """Cancel up to ten orders of one symbol by one request."""

        def named(order: Order) -> Params:
            return name(order, self.product.spell)

        return await self._many(orders, windows, named, batches.cancels, CANCEL_MANY)

    async def balances(self) -> Rows:
        """Every wallet: what was put in, profit paid out, commission and funding; not what open positions would bring.

        Raises:
            CouldNotAsk: no answer that means anything.
        """
        return Rows(WALLETS_FORMAT, (answers.body(await self._signed(self.product.balances, {}, "balances")),))

    async def positions(self) -> Rows:
        """Every open position, both sides of a symbol apart where the account keeps two.

        Raises:
            CouldNotAsk: no answer that means anything.
        """
        return Rows(
            POSITIONS_FORMAT, (answers.body(await self._signed("fapiprivatev3_get_positionrisk", {}, "balances")),)
        )

    async def count_down(self, symbol: str, after_ms: int) -> None:
        """Set, set again or (with 0) stop the timer after which the venue cancels a symbol's orders (weight 10).

        Raises:
            CouldNotAsk: no answer that means anything; the timer runs on as it was.
        """
        params = {"symbol": self._spell(symbol), "countdownTime": str(after_ms)}
        price, endpoint = Cost("cancel", COUNT_DOWN_WEIGHT), "fapiprivate_post_countdowncancelall"
        answers.body(
            await self.metered.ask(
                price, lambda: self._rest.call(endpoint, {**params, **self._moment()}), min(after_ms, PATIENCE_MS)
            )
        )

    async def stream(self) -> AsyncGenerator[StreamEvent, None]:
        """Private stream for ever, its listen key kept alive beside it."""
        keeper = asyncio.create_task(self._keep_key())
        try:
            async with aclosing(
                listen(self._stream, self.pace, address=self._address, stands=self._keep_socket)
            ) as events:
                async for event in events:
                    yield event
        finally:
            await end([keeper])

    async def _many(
        self, orders: Sequence[Order], windows: Sequence[Window], say: Callable[[Order], Params],
        join: Callable[[Sequence[Params]], Mapping[str, Any]], command: Command,
    ) -> Sequence[Answer]:  # fmt: skip
        answers_by: dict[int, Answer] = {}
        said: dict[int, Params] = {}
        for number, order in enumerate(orders):
            try:
                said[number] = say(order)
            except BadIntent as error:
                answers_by[number] = Answer(Refused("unsupported", clean(str(error))))
        window = batches.earliest(windows)
        check = Deadline(window, self._now_ms)
        if said:
            places = command is PLACE_MANY
            # All of them are as urgent as the least urgent one is: none of them may use what is kept for others.
            new = places and any(urgency(orders[number], windows[number]) == "new" for number in said)
            least: Urgency = "new" if new else "reduce"
            price = cost(self.facts, "batch", least, len(said)) if places else cost(self.facts, "cancel", "cancel")
            if wait_ms := await self.metered.take(price, 0 if places else check.left_ms()):
                return [answers_by.get(number, Answer(Throttled(wait_ms))) for number in range(len(orders))]
            params = {**join(list(said.values())), **within(window, self.clock_offset_ms)}
            answer = await self.metered.send(lambda: self._rest.call(command.endpoint, params, check))
            for number, part in zip(said, batches.legs(answer, [wire(orders[one]) for one in said]), strict=True):
                outcome = classify(command.table, part, wire(orders[number]))
                raw = part.body[:RAW_BYTES_MAX] if isinstance(part, Response) else b""
                form = ORDER_FORMAT if isinstance(outcome, Accepted) else ""
                answers_by[number] = Answer(outcome, form, raw, check.sent_at_ms)
        return [answers_by[number] for number in range(len(orders))]

    async def _address(self) -> str:
        # Asking again while a key lives gives the same key and another hour.
        key = listen_key(answers.body(await self._rest.call("fapiprivate_post_listenkey", {})))
        return f"{self._stream.url}/{key}"

    def _keep_socket(self, socket: ClientConnection) -> None:
        self._socket = socket

    async def _keep_key(self) -> None:
        wait_ms = self.keep_key_ms
        while True:
            await asyncio.sleep(wait_ms / 1000)
            answer = await self._rest.call("fapiprivate_put_listenkey", {})
            kept = isinstance(answer, Response) and answer.status == 200
            wait_ms = self.keep_key_ms if kept else self.keep_again_ms
            # A key may end without `listenKeyExpired`: the connection then stands, answers pings and hears nothing.
            if answers.says(answer, NO_SUCH_LISTEN_KEY) and (socket := self._socket) is not None:
                await socket.close(GONE, "the listen key is gone")
