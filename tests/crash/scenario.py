"""What is traded while processes die: a few intents of every kind, and a few entries nobody should have written.

One wave is a dozen intents; every wave has signals of its own, so it can be repeated until a point is reached.
"""

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec
import orjson
from redis.asyncio import Redis
from redis.exceptions import RedisError

from adapters.simulated.control import Control
from adapters.simulated.faults import OFF, Faults
from streams import codec
from streams.errors import FillonceError
from streams.evidence import append
from streams.keys import AccountKeys
from streams.producer import IntentProducer
from streams.schemas import Amend, Cancel, Evidence, Intent, Place
from streams.store import Store
from tests.support import wait_until_async

SYMBOL, VENUE_SYMBOL, OTHER = "BTC/USDT", "BTCUSDT", "ETH/USDT"
LOT = Decimal("0.001")
# Far from every fault's time limit, and long enough for a server that restarts and reconciles.
PATIENCE_S = 40.0
# A look costs a few round trips, and lanes that wait must leave the cores to those that work.
LOOK_S = 0.04
UNKIND = Faults(
    accept_then_drop=0.12, late_answer=0.08, cut_body=0.1, server_error=0.14, throttled=0.04,
    execution_before_answer=0.1, late_entry=0.08, lookup_lag=1.0, duplicated_execution=0.1, reordered_execution=0.1,
    delayed_execution=0.1, stream_cut=0.08, late_answer_ms=700, lookup_lag_ms=150,
)  # fmt: skip
# Done and never answered, and not shown for a while: an execution told meanwhile has no order yet.
SILENT = msgspec.structs.replace(OFF, accept_then_drop=1.0, lookup_lag=1.0, lookup_lag_ms=150)


class Desk:
    """One account's strategy, clerk and vandal.

    Attributes:
        foreign: keys of parked executions of another system's orders, which stay parked.
        histories: how often the server was replaced by one that had lost something.
    """

    def __init__(self, redis: Redis, account: str, control: Control) -> None:
        """Bind it to an account that roles already serve."""
        self.redis, self.account, self.control = redis, account, control
        self.keys = AccountKeys(account)
        self.store, self.foreign = Store(redis, self.keys), set[str]()
        self._producer = IntentProducer(redis, timeout_ms=2_000)
        self._wave = 0
        self._done: set[str] = set()
        self.histories = self._made_good = 0
        self._deeds: list[Callable[[], Awaitable[object]]] = []

    def begin(self) -> None:
        """From here on remember what was done, in case the server loses it."""
        self._deeds.clear()

    async def trade(self) -> None:
        """Publish one wave: fills, resting orders and their cancels, duplicates, refusals, an expiry, garbage."""
        self._wave += 1
        resting = [self.place(f"rest{n}", price=Decimal(20_000 + n)) for n in range(3)]
        early = self.place("early")
        wave: list[Intent] = [
            *resting,
            *(self.place(f"take{n}", side="sell" if n % 2 else "buy", symbol=(SYMBOL, OTHER)[n % 2]) for n in range(3)),
            self.place("ioc", price=Decimal(90_000), time_in_force="ioc"),
            self.place("post", price=Decimal(20_000), post_only=True),
            self.place("dust", quantity=Decimal("0.000001")),
            self.place("stale", valid_until=datetime.now(UTC) + timedelta(milliseconds=30)),
        ]
        await self.publish([self.cancel(early), *wave])
        await self._vandalise(resting[0])
        # One is amended twice and rests until `rest`; another is amended and cancelled at once.
        amends = [self.amend(resting[0], 1), self.amend(resting[1], 1), self.amend(resting[1], 2)]
        await self.publish([*amends, *wave[:4], early, *amends, self.cancel(resting[0]), self.cancel(resting[2])])

    async def park(self) -> None:
        """Tell an execution of an order whose answer is lost, before anybody can have told of the order."""
        self._wave += 1
        await self.control.set_faults(SILENT)
        before = {one["trade_id"] for one in await self._trades()}
        await self.publish([self.place("park")])
        fresh: list[dict[str, Any]] = []

        async def traded() -> bool:
            await self._make_good()
            fresh[:] = [one for one in await self._trades() if one["trade_id"] not in before]
            return bool(fresh)

        await wait_until_async(traded, PATIENCE_S, LOOK_S)
        await self._say([(_row(one), "binance.trade") for one in fresh])
        await self.control.set_faults(OFF)

    async def publish(self, intents: Sequence[Intent]) -> None:
        """Publish until Redis takes it."""
        await self._do(lambda: self._producer.publish(intents))

    async def rest(self) -> None:
        """Take back what rests, and wait until nothing is on its way."""
        await self.control.set_faults(OFF)
        await wait_until_async(self._cancelled_all, PATIENCE_S, LOOK_S)

    async def waiting(self) -> int:
        """Count entries nobody has dealt with, and parked executions that should not be."""
        backlog = await self.store.backlog()
        parked = {key for key, *_ in await self.store.parked()}
        return sum(row["lag"] + row["pending"] for row in backlog.values()) + len(parked ^ self.foreign)

    def place(self, name: str, **changes: Any) -> Place:
        """One intent of this wave; a market order unless told otherwise."""
        terms: dict[str, Any] = {
            "account": self.account, "strategy": "crash", "signal_id": f"{self._wave}-{name}",
            "signal_time": datetime.now(UTC) - timedelta(seconds=1), "symbol": SYMBOL, "side": "buy",
            "type": "limit" if "price" in changes else "market", "quantity": LOT * 5,
        }  # fmt: skip
        return Place(**{**terms, **changes})

    def cancel(self, placed: Place) -> Cancel:
        """Cancel an intent by its identity."""
        return Cancel(account=self.account, strategy=placed.strategy, signal_id=placed.signal_id)

    def amend(self, placed: Place, revision: int) -> Amend:
        """Amend an intent by its identity: more of it, a little further away."""
        assert placed.price is not None
        return Amend(
            account=self.account, strategy=placed.strategy, signal_id=placed.signal_id, revision=revision,
            signal_time=placed.signal_time, quantity=placed.quantity + LOT * revision, price=placed.price - revision,
        )  # fmt: skip

    async def _vandalise(self, known: Place) -> None:
        """Write what only a broken producer or a broken venue would."""
        other = msgspec.structs.replace(known, quantity=known.quantity * 2)
        for data in (b"{", codec.encode(other), codec.encode(known)):
            await self._do(lambda data=data: self.redis.xadd(self.keys.intents, {"data": data}))  # type: ignore[misc]  # bound now
        await self._do(lambda: self.redis.xadd(self.keys.evidence, {"data": b"nothing"}))
        number = 1_000 + self._wave
        foreign = {"symbol": VENUE_SYMBOL, "trade_id": number, "order_id": number, "price": "1", "quantity": "1",
                   "quote_quantity": "1", "commission": "0", "commission_asset": "BTC", "time_ms": 1, "side": "BUY",
                   "maker": False}  # fmt: skip
        self.foreign.add(f"{VENUE_SYMBOL}:{number}")
        await self._say([(b"{}", "binance.order"), (_row(foreign), "binance.trade")])

    async def _say(self, rows: Sequence[tuple[bytes, str]]) -> None:
        said = [(Evidence(source="backfill", format=form, received_at_ns=1), raw) for raw, form in rows]
        await self._do(lambda: append(self.redis, self.keys, said))

    async def _trades(self) -> list[dict[str, Any]]:
        books = await self.control.books(self.account)
        trades: list[dict[str, Any]] = books["accounts"][self.account]["trades"]
        return trades

    async def _cancelled_all(self) -> bool:
        """Look once: cancel what rests; True when nothing is live and nothing waits."""
        await self._make_good()
        try:
            listed: Any = await self.redis.zrange(self.keys.live, 0, -1)
            if not listed and not await self.waiting():
                return True
            for order in await self.store.orders([one.decode() for one in listed]):
                if order and order.live and not order.cancel_requested and order.client_order_id not in self._done:
                    self._done.add(order.client_order_id)
                    wish = Cancel(account=self.account, client_order_id=order.client_order_id)
                    await self.publish([wish])
        except (FillonceError, RedisError, OSError):
            pass
        return False

    async def _do(self, step: Callable[[], Awaitable[object]]) -> None:
        self._deeds.append(step)
        await self.insist(step)

    async def _make_good(self) -> None:
        """Do all of it again, in its order, on a server that may have lost it; a strategy that restarted."""
        while self._made_good != self.histories:
            self._made_good = self.histories
            self._producer = IntentProducer(self.redis, timeout_ms=2_000)
            self._done.clear()
            for step in self._deeds:
                await self.insist(step)

    async def insist(self, step: Callable[[], Awaitable[object]]) -> None:
        """Do a step that may be done twice, as soon as Redis is there."""

        async def done() -> bool:
            try:
                await step()
            except (FillonceError, RedisError, OSError):
                return False
            return True

        await wait_until_async(done, PATIENCE_S, LOOK_S)


def _row(trade: dict[str, Any]) -> bytes:
    """One row of `myTrades`, which names no client order id."""
    return orjson.dumps(
        {
            "symbol": trade["symbol"], "id": trade["trade_id"], "orderId": trade["order_id"], "orderListId": -1,
            "price": trade["price"], "qty": trade["quantity"], "quoteQty": trade["quote_quantity"],
            "commission": trade["commission"], "commissionAsset": trade["commission_asset"], "time": trade["time_ms"],
            "isBuyer": trade["side"] == "BUY", "isMaker": trade["maker"], "isBestMatch": True,
        }
    )  # fmt: skip
