"""How long until an account that lost everything is right again: orders, executions, positions, from the venue's words.

The venue is another process, next door, and holds Binance's request weight of a minute; what an order's send window
would make the gate wait for is left out. So the goals here are times, not ratios: they are what a person waits for, and
a real venue adds its distance to each question.
"""

import asyncio
import secrets
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from decimal import Decimal
from typing import Final

import msgspec
from msgspec import Struct
from redis.asyncio import Redis

from adapters import registry
from adapters.credentials import Credentials
from adapters.simulated.limits import Limits
from adapters.simulated.liquidity import Liquidity
from adapters.simulated.process import SimulatedVenue, local_settings
from adapters.simulated.symbols import Symbol
from adapters.venue import Venue, Window
from benchmarks.figures import Row, quantile, spread, times
from benchmarks.ground import Tell, client, served
from consumers.findings import Terms
from consumers.folding import Rules
from consumers.ledger import Ledger, LedgerSettings
from consumers.patrol import Patrol, PatrolSettings
from consumers.reconciler import Reconciler
from consumers.repair import Repair
from consumers.survey import Survey
from streams.clock import SystemClock
from streams.instrument import tabulate
from streams.keys import LEDGERS, AccountKeys
from streams.reader import Reader
from streams.record import NEW_STATE
from streams.schemas import AccountInfo, Order, Place, from_ms
from streams.server_clock import ServerClock
from streams.store import Store, register

WEIGHT_OF_A_MINUTE: Final = 6_000  # of Binance spot
PRICE: Final = Decimal(100)
SYMBOLS: Final = 5
UNDER_WAY: Final = 32
POLL_S: Final = 0.002
WAIT_MAX_S: Final = 120
WINDOW_MS: Final = 60_000


class Effort(Struct, frozen=True):
    """How much is measured: rounds, orders of a round over all symbols, questions about one order."""

    rounds: int
    orders: int
    questions: int


FULL = Effort(rounds=5, orders=1_000, questions=50)
QUICK = Effort(rounds=3, orders=300, questions=20)
TINY = Effort(rounds=1, orders=10, questions=2)


async def measure(effort: Effort, tell: Tell) -> list[Row]:
    """Measure, each round on a venue and an account of its own."""
    rounds: dict[str, list[float]] = defaultdict(list)
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(served("always"))
        redis = await stack.enter_async_context(client(server.url, "bench-recovery", single=False))
        reading = await stack.enter_async_context(client(server.url, "bench-reader"))
        for number in range(effort.rounds):
            tell(f"round {number + 1} of {effort.rounds}")
            async with _lost_account(redis, reading, effort.orders, number) as account:
                await account.measure(effort.questions, rounds)
    count = f"{effort.orders:,}"
    return [
        _ms("look-up by client order id, p50", rounds["look-up"], 100),
        _ms(f"{count} open orders without a record adopted", rounds["adopt"], 10_000),
        times(
            f"{count} open orders adopted / the same questions alone", rounds["adopt"], rounds["ask"], better="less",
            note="what our side adds",
        ),
        _ms(f"{count} open orders compared", rounds["orders"], 500),
        _ms(f"{count} executions that nobody heard applied", rounds["fills"], 5_000),
        _ms("positions compared after them", rounds["positions"], 2_000),
    ]  # fmt: skip


def _ms(name: str, rounds: Sequence[float], limit: float) -> Row:
    return Row(name=name, unit="ms", spread=spread(rounds), limit=limit, note="a time, not a ratio")


@asynccontextmanager
async def _lost_account(redis: Redis, reading: Redis, orders: int, number: int) -> AsyncIterator["_Account"]:
    """An account with open orders at a venue of its own, of which this server knows nothing."""
    symbols = tuple(
        Symbol(f"R{n}USDT", f"R{n}", "USDT", Decimal("0.01"), Decimal("0.001"), PRICE, max_open_orders=orders)
        for n in range(SYMBOLS)
    )
    told = msgspec.structs.replace(
        local_settings(["main"], {"USDT": Decimal(100_000_000)}), symbols=symbols, liquidity=Liquidity(on=False),
        limits=Limits(weight_1m=WEIGHT_OF_A_MINUTE),
    )  # fmt: skip
    clock = ServerClock(SystemClock())
    await clock.measure(redis)
    async with SimulatedVenue(told) as process:
        held = process.settings.accounts[0]
        where = registry.VenueSettings(
            venue="binance", credentials=Credentials(held.api_key, held.secret), rest_url=process.rest_url,
            ws_url=process.ws_url,
        )  # fmt: skip
        venue = await registry.open_venue(where, clock.now_ms)
        # The venue is next door and shows everything at once.
        venue.facts = msgspec.structs.replace(venue.facts, lookup_lag_ms=0, request_lifetime_ms=0, clock_bound_ms=0)
        try:
            account = _Account(redis, reading, venue, process, clock=clock, name=f"binance.recovery{number}")
            await account.place(orders)
            yield account
        finally:
            await venue.close()


class _Account:
    """One account, before and after."""

    def __init__(
        self, redis: Redis, reading: Redis, venue: Venue, process: SimulatedVenue, *, clock: ServerClock, name: str
    ) -> None:
        self._redis, self._reading, self._venue, self._process, self._clock = redis, reading, venue, process, clock
        self._keys, self._symbols = AccountKeys(name), tuple(f"R{n}/USDT" for n in range(SYMBOLS))
        self._store, self._plug = Store(redis, self._keys), registry.plug("binance")
        self._orders: list[Order] = []

    async def place(self, orders: int) -> None:
        """Let the venue have orders under our prefix."""
        now_ms, room = self._clock.now_ms(), asyncio.Semaphore(UNDER_WAY)
        self._orders = [self._order(number, now_ms) for number in range(orders)]

        async def submit(order: Order) -> None:
            async with room:
                await self._venue.submit(order, Window(now_ms, now_ms + WINDOW_MS))

        await asyncio.gather(*(submit(order) for order in self._orders))
        rows = await self._venue.instruments()
        info = AccountInfo(venue="binance", id_rule=self._venue.facts.id_rule)
        await register(self._redis, self._keys.account, info, rows, tabulate(rows).version)

    async def measure(self, questions: int, rounds: dict[str, list[float]]) -> None:
        """Measure everything once."""
        asked = [await _timed(lambda: self._venue.find(self._orders[0])) for _ in range(questions)]
        rounds["look-up"].append(quantile(asked, 0.5))
        rounds["ask"].append(await _timed(self._ask))
        patrol, ledger = self._patrol(), self._ledger()
        running = asyncio.create_task(ledger.run())
        try:
            rounds["adopt"].append(await _timed(self._adopt))
            await patrol.once("full", "start")
            rounds["orders"].append(await _timed(lambda: patrol.once("light", "time")))
            await self._trade()
            rounds["fills"].append(await _timed(lambda: self._apply(patrol)))
            rounds["positions"].append(await _timed(lambda: self._agree(patrol)))
        finally:
            ledger.stop()
            await running

    async def _ask(self) -> None:
        for symbol in self._symbols:
            await self._venue.orders_since(symbol, self._clock.now_ms() - WINDOW_MS)
            await self._venue.trades_since(symbol, self._clock.now_ms() - WINDOW_MS)

    async def _adopt(self) -> None:
        """From a shut gate to an open one with every order open here."""
        reconciler = Reconciler(
            redis=self._redis, keys=self._keys, venue=self._venue, describe=self._plug.describe,
            symbols=self._symbols, window_ms=1, durability="disk", clock=SystemClock(),
        )  # fmt: skip
        while not await reconciler.ensure_open():
            assert reconciler.shut is not None, "the gate is shut without a reason"
            await asyncio.sleep(POLL_S)
        await self._until(lambda: self._count("open"))

    async def _trade(self) -> None:
        """Let every order execute while nobody listens."""
        each = Decimal(len(self._orders)) / SYMBOLS
        async with self._process.control() as control:
            for number in range(SYMBOLS):
                await control.house_order(f"R{number}USDT", "SELL", each, price=PRICE)

    async def _apply(self, patrol: Patrol) -> None:
        await patrol.once("full", "time")
        await self._until(lambda: self._count("filled"))

    async def _agree(self, patrol: Patrol) -> None:
        report = await patrol.once("light", "time")
        assert not report.findings, report.findings

    async def _count(self, status: str) -> bool:
        found = await self._store.orders([one.client_order_id for one in self._orders])
        return all(one is not None and one.status == status for one in found)

    async def _until(self, condition: Callable[[], Awaitable[bool]]) -> None:
        async with asyncio.timeout(WAIT_MAX_S):
            while not await condition():  # noqa: ASYNC110 - it only asks
                await asyncio.sleep(POLL_S)

    def _patrol(self) -> Patrol:
        terms = Terms(id_rule=self._venue.facts.id_rule, gap_ms=1, grace_ms=0)
        survey = Survey(
            redis=self._redis, keys=self._keys, venue=self._venue, decode=self._plug.decode,
            holdings=self._plug.holdings, positions=self._plug.positions, symbols=self._symbols,
        )  # fmt: skip
        repair = Repair(
            redis=self._redis, keys=self._keys, venue=self._venue, describe=self._plug.describe,
            decode=self._plug.decode, window_ms=WINDOW_MS, gap_ms=WINDOW_MS, clock=SystemClock(),
        )  # fmt: skip
        settings = PatrolSettings(light_ms=WINDOW_MS, full_ms=WINDOW_MS, terms=terms)
        return Patrol(
            redis=self._redis, keys=self._keys, survey=survey, repair=repair, settings=settings, clock=SystemClock()
        )

    def _ledger(self) -> Ledger:
        reader = Reader(
            self._reading, self._keys.evidence, LEDGERS, "ledger", count=128, claim_idle_ms=WINDOW_MS,
            clock=SystemClock(),
        )  # fmt: skip
        rules = Rules(resubmission_allowed=True, calm_ms=WINDOW_MS)
        return Ledger(
            redis=self._redis, reader=reader, keys=self._keys, decode=self._plug.decode,
            settings=LedgerSettings(holder="bench", lease_ms=3_000, rules=rules), clock=SystemClock(),
        )  # fmt: skip

    def _order(self, number: int, now_ms: int) -> Order:
        terms = Place(
            account=self._keys.account, strategy="bench", signal_id=f"s{number}", signal_time=from_ms(now_ms),
            symbol=self._symbols[number % SYMBOLS], side="buy", type="limit", quantity=Decimal(1), price=PRICE,
        )  # fmt: skip
        return Order(
            client_order_id=f"fo-{secrets.token_hex(11)}", terms=terms, status="created", state=NEW_STATE, digest=""
        )


async def _timed(work: Callable[[], Awaitable[object]]) -> float:
    """Run something; milliseconds."""
    began = time.perf_counter_ns()
    await work()
    return (time.perf_counter_ns() - began) / 1e6
