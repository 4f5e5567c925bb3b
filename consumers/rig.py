"""The pipeline in one process, for tests of strategies: real server, real roles, a simulated venue that listens."""

import asyncio
import os
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from concurrent.futures import Future
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Literal, Self, TypeVar

import msgspec

from adapters.simulated.control import Control
from adapters.simulated.faults import Faults
from adapters.simulated.liquidity import Liquidity
from adapters.simulated.process import local_settings
from adapters.simulated.server import Server
from adapters.simulated.venue import Venue
from consumers.keyring import variables
from consumers.roles import Workshop, build
from consumers.supervise import tasks
from streams.clock import SystemClock
from streams.connection import connect
from streams.host import Host
from streams.keys import AccountKeys, strategy_group
from streams.marks import publish_mark
from streams.producer import IntentProducer, Receipt
from streams.schemas import Amend, Cancel, Order, Place
from streams.scripts import Scripts
from streams.settings import AccountSettings, Settings
from streams.store import Store
from streams.strategy import Strategy
from streams.tasks import end

T = TypeVar("T")

ACCOUNT = "binance.main"
SYMBOL = "BTC/USDT"
BALANCES = {"BTC": Decimal(1_000), "ETH": Decimal(10_000), "USDT": Decimal(100_000_000)}
WAIT_S = 20.0
LOOK_S = 0.01


class Rig:
    """One account of the pipeline on a simulated venue, and a strategy in it. Every method may be called by any thread.

    Attributes:
        account: its name.
        url: of the server.
    """

    def __init__(
        self, url: str, *, seed: int = 1, faults: Mapping[str, Any] | None = None, liquidity: bool = False
    ) -> None:
        """Bind it; `with` starts it.

        Args:
            url: of a server that may be emptied.
            seed: of the venue's decisions.
            faults: rates by name, see `adapters.simulated.faults`.
            liquidity: whether a house quotes around a price that moves; without it a test makes every trade itself.
        """
        self.account, self.url = ACCOUNT, url
        self._seed, self._faults, self._liquidity = seed, dict(faults or {}), liquidity
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="fillonce", daemon=True)
        self._strategies: dict[str, tuple[Any, asyncio.Task[None]]] = {}
        self._closers: list[Callable[[], Awaitable[object]]] = []
        self._started: list[tuple[Any, asyncio.Task[None]]] = []
        self._signals = 0

    def run(self, strategy: Strategy) -> None:
        """Start a strategy, as its process would; returns when it has its snapshot.

        Raises:
            Exception: a handler of the snapshot raised.
        """
        self._do(self._run(strategy))

    def stop(self, strategy: Strategy, *, kill: bool = False) -> None:
        """Stop a strategy; with `kill` in the middle of whatever it does, as a crash would. `run` starts it again."""
        self._do(self._stop(_place(strategy), kill=kill))

    def place(self, **terms: Any) -> Receipt:
        """Publish a place on this account; what is left out is BTC/USDT, now, and a new signal id of `test`."""
        self._signals += 1
        given: dict[str, Any] = {
            "account": self.account, "strategy": "test", "signal_id": f"s{self._signals}",
            "signal_time": datetime.now(UTC), "symbol": SYMBOL, **terms,
        }  # fmt: skip
        for name in ("quantity", "price"):
            if given.get(name) is not None:
                given[name] = Decimal(str(given[name]))
        return self._do(self._producer.place(Place(**given)))

    def amend(
        self, placed: Receipt, revision: int, quantity: Decimal | int | str, price: Decimal | int | str
    ) -> Receipt:
        """Publish an amend of an order of this account, decided now."""
        intent = Amend(
            account=self.account, client_order_id=placed.client_order_id, revision=revision,
            signal_time=datetime.now(UTC), quantity=Decimal(str(quantity)), price=Decimal(str(price)),
        )  # fmt: skip
        return self._do(self._producer.amend(intent))

    def cancel(self, placed: Receipt) -> Receipt:
        """Publish a cancel of an order of this account."""
        return self._do(self._producer.cancel(Cancel(account=self.account, client_order_id=placed.client_order_id)))

    def house(
        self, side: Literal["BUY", "SELL"], quantity: Decimal | int | str, price: Decimal | int | str | None = None,
        symbol: str = SYMBOL,
    ) -> None:  # fmt: skip
        """Let somebody else at the venue place an order: the other side of a trade."""
        given = None if price is None else Decimal(str(price))
        venue_symbol = symbol.replace("/", "")
        self._do(self._control.house_order(venue_symbol, side, Decimal(str(quantity)), price=given))

    def mark(self, price: Decimal | int | str, symbol: str = SYMBOL) -> None:
        """Publish a reference price, as a feed does."""
        self._do(publish_mark(self._redis, self.account, symbol, Decimal(str(price))))

    def faults(self, **rates: Any) -> None:
        """Replace the venue's faults; none given means none from now on."""
        self._do(self._control.set_faults(Faults(**rates)))

    def orders(self, strategy: str = "") -> list[Order]:
        """Every order of the account, or of one strategy, oldest signal first."""
        found = [one for one in self._do(self._store.all_orders()) if one.terms is not None]
        mine = [one for one in found if not strategy or (one.terms and one.terms.strategy == strategy)]
        return sorted(mine, key=lambda one: (one.valid_until_ms, one.client_order_id))

    def position(self, symbol: str = SYMBOL) -> Decimal:
        """Quantity held by fills, in base units."""
        held = self._do(self._store.positions())
        return held[symbol].quantity if symbol in held else Decimal(0)

    def venue_orders(self) -> list[dict[str, Any]]:
        """The account's orders in the venue's own books: what was really sent."""
        books = self._do(self._control.books(self.account))
        found: list[dict[str, Any]] = books["accounts"][self.account]["orders"]
        return found

    def quarantined(self) -> list[str]:
        """Why entries went to quarantine, oldest first."""
        rows: Any = self._do(self._redis.xrange(self._keys.quarantine))
        return [msgspec.json.decode(fields[b"data"], type=dict[str, str])["reason"] for _, fields in rows]

    def entries(self, stream: str) -> list[dict[bytes, bytes]]:
        """Every entry of `intents`, `evidence`, `events` or `quarantine`, as it is stored."""
        rows: Any = self._do(self._redis.xrange(getattr(self._keys, stream)))
        return [fields for _, fields in rows]

    def append(self, stream: str, **fields: Any) -> None:
        """Append an entry by bare XADD, as a program in any language does."""
        given: dict[Any, Any] = fields
        self._do(self._redis.xadd(getattr(self._keys, stream), given))

    def until(self, condition: Callable[[], object], timeout_s: float = WAIT_S) -> None:
        """Wait for a condition.

        Raises:
            AssertionError: it is still false after `timeout_s`.
        """
        deadline, never = time.monotonic() + timeout_s, threading.Event()
        while not condition():
            assert time.monotonic() < deadline, f"still false after {timeout_s:g} s"
            never.wait(LOOK_S)

    def settled(self, timeout_s: float = WAIT_S) -> None:
        """Wait until nothing is on its way: every intent, answer and fill is counted, and every strategy has heard."""
        self.until(lambda: self._do(self._quiet()), timeout_s)

    def __enter__(self) -> Self:
        self._thread.start()
        try:
            self._do(self._open())
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop everything and give it back."""
        try:
            self._do(self._close())
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()

    def _do(self, step: Coroutine[Any, Any, T] | Awaitable[T]) -> T:
        async def stepped() -> T:
            return await step

        done: Future[T] = asyncio.run_coroutine_threadsafe(stepped(), self._loop)
        return done.result()

    async def _open(self) -> None:

        self._keys = AccountKeys(self.account)
        self._redis = connect(self.url, name="fillonce-test", single=False)
        self._closers.append(self._redis.aclose)
        await self._redis.flushall()
        self._store, self._producer = Store(self._redis, self._keys), IntentProducer(self._redis, timeout_ms=5_000)
        told = msgspec.structs.replace(
            local_settings([self.account], BALANCES), liquidity=Liquidity(on=self._liquidity)
        )
        server = Server(Venue(told, self._seed, Faults(**self._faults)))
        port = await server.start(0)
        self._closers.append(server.close)
        self._control = Control(f"http://127.0.0.1:{port}", told.control_token)
        self._closers.append(self._control.close)
        await self._roles(port, told.accounts[0])

    async def _roles(self, port: int, held: Any) -> None:
        """Every role of the account, wired as its process wires it."""
        account = AccountSettings(
            symbols=("BTC/USDT", "ETH/USDT"), rest_url=f"http://127.0.0.1:{port}",
            stream_url=f"ws://127.0.0.1:{port}/ws-api/v3", send_window_ms=1_500, request_timeout_ms=1_000,
            backfill_overlap_ms=3_000, lookup_lag_ms=300, request_lifetime_ms=500, durability="memory",
        )  # fmt: skip
        settings = Settings(
            accounts={self.account: account}, redis_url=self.url, gateways=1, claim_idle_ms=5_000, calm_ms=1_000,
            lookup_retry_max_ms=500, lease_ms=1_500, log_level="error",
        )  # fmt: skip
        key, secret = variables(self.account)
        env = {**os.environ, key: held.api_key, secret: held.secret}
        for task in tasks(settings):
            shop = Workshop(task, settings, env)
            self._closers.append(shop.close)
            role = await build(shop)
            running = [asyncio.create_task(role.run())]
            running += [asyncio.ensure_future(one()) for one in shop.background]
            self._closers.append(lambda running=running: end(running))  # type: ignore[misc]
            self._started.append((role, running[0]))
        while not await self._ready():  # noqa: ASYNC110 - it is the server that knows
            await asyncio.sleep(LOOK_S)

    async def _ready(self) -> bool:

        for _, task in self._started:
            if task.done():
                task.result()
        figures = {type(role).__name__: role.figures() for role, _ in self._started}
        gate = await Scripts(self._redis, self._keys).gate()
        return (
            gate.is_open
            and not gate.waits_for
            and bool(figures["Ledger"]["leads"])
            and bool(figures["Listener"]["whole"])
        )

    async def _run(self, strategy: Strategy) -> None:

        if _place(strategy) in self._strategies:
            raise ValueError(f"{strategy.name} runs already; stop it first.")
        host = Host(strategy, self.url, [self.account], SystemClock())
        await host.broker.start()
        task = asyncio.create_task(host.run())
        self._strategies[_place(strategy)] = (host, task)
        while not host.ready(self.account):
            if task.done():
                await self._stop(_place(strategy), kill=True)
                task.result()
            await asyncio.sleep(LOOK_S)

    async def _stop(self, name: str, *, kill: bool) -> None:

        host, task = self._strategies.pop(name)
        if kill:
            await end([task])
        else:
            host.stop()
            await asyncio.wait([task])
        await host.broker.stop()
        await host.close()

    async def _quiet(self) -> bool:
        backlog = await self._store.backlog()
        groups: Any = await self._redis.xinfo_groups(self._keys.events)
        heard = not any(group["lag"] or group["pending"] for group in groups)
        waiting = sum(row["lag"] + row["pending"] for row in backlog.values()) + len(await self._store.parked())
        moving = set(await self._store.live_statuses()) - {"open", "partially_filled"}
        return heard and not waiting and not moving

    async def _close(self) -> None:
        for name in list(self._strategies):
            await self._stop(name, kill=True)
        for closer in reversed(self._closers):
            await closer()
        await self._loop.shutdown_asyncgens()
        await self._loop.shutdown_default_executor()


def _place(strategy: Strategy) -> str:
    return strategy_group(strategy.name, strategy.copy)
