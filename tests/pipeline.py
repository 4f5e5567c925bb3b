"""The whole pipeline in one test: real server, real simulated venue, roles as tasks of the test's loop.

A folder that wants it imports `pipeline` and `venue_process` in its ``conftest.py``. Every test has an account, a
symbol and a book at the venue that no other test has, so nothing is left over and nothing needs a reset but the venue's
faults. Liquidity comes from `Pipeline.house`, so a test knows every trade that happens.
"""

import asyncio
import contextlib
import itertools
import re
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Literal, Self
from uuid import uuid4

import msgspec
import pytest
from redis.asyncio import Redis

from adapters import registry
from adapters.credentials import Credentials
from adapters.simulated import settings as simulated
from adapters.simulated.control import Control
from adapters.simulated.faults import OFF
from adapters.simulated.liquidity import Liquidity
from adapters.simulated.process import SimulatedVenue
from adapters.simulated.symbols import Symbol
from adapters.venue import CouldNotAsk, Venue
from consumers.amends import Amends
from consumers.demo.audit import Audit, Local, audit, read_books
from consumers.durability import Durability, Level
from consumers.findings import Terms
from consumers.folding import Rules
from consumers.gateway import Gateway, GatewaySettings
from consumers.judge import Judge
from consumers.ledger import Ledger, LedgerSettings
from consumers.listener import Listener, ListenerSettings
from consumers.lookup import resubmission_allowed
from consumers.patrol import Patrol, PatrolSettings
from consumers.reconciler import Reconciler, StartSettings
from consumers.registration import Registration
from consumers.repair import Repair
from consumers.resolver import Resolver, ResolverSettings
from consumers.survey import Survey
from consumers.witness import Witness
from streams import events
from streams.clock import SystemClock
from streams.connection import connect
from streams.instrument import Instruments, tabulate
from streams.keys import GATEWAYS, LEDGERS, AccountKeys
from streams.limits import Limits
from streams.policy import Kind, Mode, Policies
from streams.producer import IntentProducer, Receipt
from streams.reader import Reader
from streams.schemas import AccountInfo, Cancel, Execution, Intent, Order, Place
from streams.scripts import Scripts
from streams.server_clock import ServerClock
from streams.store import Store, register
from tests.support import wait_until_async

ACCOUNTS_MAX = 250
PRICE = Decimal(100)
WINDOW_MS, REQUEST_MS = 5_000, 3_000
CANCEL_AGAIN_S = 0.5
# The simulated venue is next door: what it declares for the real one would make a test wait for 16 seconds.
LIFETIME_MS, LAG_MS, CLOCK_MS = 100, 100, 50

_numbers = itertools.count()


@pytest.fixture(scope="session")
def venue_process() -> Iterator[SimulatedVenue]:
    """One venue for all tests, with an account and a symbol for each of them and no house that quotes by itself."""
    numbers = range(ACCOUNTS_MAX)
    symbols = tuple(Symbol(f"C{n}USDT", f"C{n}", "USDT", Decimal("0.01"), Decimal("0.00001"), PRICE) for n in numbers)
    accounts = tuple(
        simulated.AccountSettings(
            f"a{n}", secrets.token_hex(32), secrets.token_hex(32), {f"C{n}": Decimal(1_000), "USDT": Decimal(1_000_000)}
        )
        for n in numbers
    )
    told = simulated.Settings(
        control_token=secrets.token_urlsafe(32), accounts=accounts, symbols=symbols, liquidity=Liquidity(on=False)
    )
    with SimulatedVenue(told, seed=11) as process:
        yield process


@pytest.fixture
async def pipeline(redis_url: str, venue_process: SimulatedVenue) -> AsyncIterator["Pipeline"]:
    """An account with an open gate, and no role running yet."""
    async with venue_process.control() as control:
        await control.set_faults(OFF)
        async with Pipeline(redis_url, venue_process, control, next(_numbers)) as made:
            await made.register()
            await made.open_gate()
            yield made
        await control.set_faults(OFF)


class Pipeline:
    """One account: its roles, its venue's books, and what a test asks of them.

    Attributes:
        sent: names of the accounts' orders, in the order the test made them.
        book: the account's name at the venue.
    """

    def __init__(
        self, redis_url: str, process: SimulatedVenue, control: Control, number: int, product: str = "binance"
    ) -> None:
        self.product, self.plug = product, registry.plug(product)
        self.process, self.control, self.url = process, control, redis_url
        self.account, self.book = f"sim.p{uuid4().hex[:12]}", f"a{number}"
        settle = ":USDT" if product == "binance-usdm" else ""
        self.symbol, self.venue_symbol, self.base = f"C{number}/USDT{settle}", f"C{number}USDT", f"C{number}"
        self.keys, self.clock = AccountKeys(self.account), SystemClock()
        self.server_clock = ServerClock(self.clock)
        self.redis = self.client("test", single=False)
        self.store, self.scripts = Store(self.redis, self.keys), Scripts(self.redis, self.keys)
        self.producer = IntentProducer(self.redis, timeout_ms=5_000)
        self.instruments: Instruments
        self.info: AccountInfo
        self._clients: list[Redis] = []
        self._venues: list[Venue] = []
        self._tasks: dict[object, asyncio.Task[None]] = {}
        self._orders = itertools.count(1)

    async def __aenter__(self) -> Self:
        await self.server_clock.measure(self.redis)
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.gather(*(self.kill(role) for role in list(self._tasks)))
        for venue in self._venues:
            await venue.close()
        for client in (*self._clients, self.redis):
            await client.aclose()

    def client(self, name: str, *, single: bool = True) -> Redis:
        """A client as the roles have it."""
        return connect(self.url, name=f"{self.account}-{name}", single=single)

    async def register(self) -> None:
        """Register the account and its one symbol, as the resolver does."""
        venue = await self.venue()
        rows = [one for one in await venue.instruments() if one.symbol == self.symbol]
        self.instruments = tabulate(rows)
        self.info = AccountInfo(venue=self.product, id_rule=venue.facts.id_rule)
        await register(self.redis, self.account, self.info, rows, self.instruments.version)

    async def open_gate(self) -> None:
        """Declare the account reconciled; the tests of the gate do it properly."""
        await self.scripts.open_gate((await self.scripts.gate()).history)

    async def venue(
        self, *, rest_url: str = "", request_ms: int = REQUEST_MS, lag_ms: int = LAG_MS, secret: str = "",
        order_url: str = "", ws_url: str = "",
    ) -> Venue:  # fmt: skip
        """The account at the simulated venue, by the real adapter; an `order_url` sends orders by websocket."""
        told = next(one for one in self.process.settings.accounts if one.name == self.book)
        where = registry.VenueSettings(
            venue=self.product, credentials=Credentials(told.api_key, secret or told.secret),
            rest_url=rest_url or self.process.rest_url,
            ws_url=ws_url or self.process.ws_url, request_timeout_ms=request_ms,
            order_entry="ws" if order_url else "rest", order_url=order_url,
        )  # fmt: skip
        venues: list[Venue] = []

        async def opened() -> bool:
            # A deadline that suits the orders of a test may be too short for a busy machine's first connection.
            with contextlib.suppress(CouldNotAsk):
                venues.append(await registry.open_venue(where, self.server_clock.now_ms))
            return bool(venues)

        await wait_until_async(opened)
        [venue] = venues
        venue.facts = msgspec.structs.replace(
            venue.facts, request_lifetime_ms=LIFETIME_MS, lookup_lag_ms=lag_ms, clock_bound_ms=CLOCK_MS
        )
        self._venues.append(venue)
        return venue

    async def gateway(
        self, index: int = 0, *, venue: Venue | None = None, window_ms: int = WINDOW_MS, claim_idle_ms: int = 60_000,
        in_flight_max: int = 32, start: bool = True, limits: Limits | None = None,
    ) -> Gateway:  # fmt: skip
        """A gateway, running unless told otherwise."""
        name = f"gateway.{index}"
        reader = Reader(
            self._keep(self.client(f"{name}-reader")), self.keys.intents, GATEWAYS, name, count=100,
            claim_idle_ms=claim_idle_ms, clock=self.clock,
        )  # fmt: skip
        claims = self._keep(self.client(f"{name}-claims"))
        opened = venue or await self.venue()
        gateway = Gateway(
            scripts=Scripts(self._keep(self.client(name, single=False)), self.keys),
            claims=Scripts(claims, self.keys),
            durability=await Durability.open(claims, "disk", 1),
            reader=reader, keys=self.keys, venue=opened, info=self.info,
            amends=Amends(self.redis, self.keys, opened, self.plug.decode, self.clock),
            instruments=self.instruments, judge=Judge(self.redis, self.keys, limits or Limits()),
            settings=GatewaySettings(
                name=name, window_ms=window_ms, first_look_ms=15_000, in_flight_max=in_flight_max
            ),
            clock=self.clock,
        )  # fmt: skip
        return self._start(gateway) if start else gateway

    async def ledger(self, holder: str = "ledger", *, lease_ms: int = 3_000, start: bool = True) -> Ledger:
        """A ledger, running unless told otherwise."""
        reader = Reader(
            self._keep(self.client(f"{holder}-reader")), self.keys.evidence, LEDGERS, "ledger", count=100,
            claim_idle_ms=60_000, clock=self.clock,
        )  # fmt: skip
        ledger = Ledger(
            redis=self._keep(self.client(holder)), reader=reader, keys=self.keys, decode=self.plug.decode,
            settings=LedgerSettings(
                holder=holder, lease_ms=lease_ms,
                rules=Rules(resubmission_allowed(self.plug.facts), calm_ms=1_000),
            ),
            clock=self.clock,
        )  # fmt: skip
        return self._start(ledger) if start else ledger

    async def listener(
        self, *, venue: Venue | None = None, overlap_ms: int = 2_000, redis: Redis | None = None, current: bool = True,
        lease_ms: int = 5_000,
    ) -> Listener:  # fmt: skip
        """A listener whose first gap is filled, unless told not to wait for that."""
        listener = Listener(
            redis=redis or self._keep(self.client("listener", single=False)), keys=self.keys,
            venue=venue or await self.venue(), clock=self.clock,
            settings=ListenerSettings(symbols=(self.symbol,), overlap_ms=overlap_ms, lease_ms=lease_ms),
        )  # fmt: skip
        self._start(listener)
        if current:
            await wait_until_async(lambda: listener.current)
        return listener

    def reconciler(
        self, venue: Venue, *, window_ms: int = WINDOW_MS, redis: Redis | None = None, durability: Level = "disk",
        start: StartSettings | None = None, witness: Witness | None = None,
    ) -> Reconciler:  # fmt: skip
        """The gate's keeper."""
        return Reconciler(
            redis=redis or self.redis, keys=self.keys, venue=venue, describe=self.plug.describe, symbols=(self.symbol,),
            window_ms=window_ms, durability=durability, clock=self.clock, start=start, witness=witness,
        )  # fmt: skip

    async def patrol(
        self, *, venue: Venue | None = None, gap_ms: int = 1, grace_ms: int = 0, policies: Policies | None = None,
        modes: Mapping[Kind, Mode] | None = None, start: bool = False, who: str = "reconciler",
    ) -> Patrol:  # fmt: skip
        """What compares the venue with the records; without `start` it looks when the test says so."""
        asked = venue or await self.venue()
        redis = self._keep(self.client("patrol", single=False))
        terms = Terms(
            id_rule=self.info.id_rule, own_ids=asked.facts.own_ids, gap_ms=gap_ms, grace_ms=grace_ms,
            policies=policies or Policies(),
        )  # fmt: skip
        survey = Survey(
            redis=redis,
            keys=self.keys,
            venue=asked,
            decode=self.plug.decode,
            holdings=self.plug.holdings,
            positions=self.plug.positions,
            symbols=(self.symbol,),
        )
        repair = Repair(
            redis=redis,
            keys=self.keys,
            venue=asked,
            describe=self.plug.describe,
            decode=self.plug.decode,
            window_ms=WINDOW_MS,
            gap_ms=gap_ms,
            clock=self.clock,
            who=who,
        )
        settings = PatrolSettings(light_ms=100, full_ms=1_000, terms=terms, modes=modes or {})
        patrol = Patrol(
            redis=redis, keys=self.keys, survey=survey, repair=repair, settings=settings, clock=self.clock
        )  # fmt: skip
        return self._start(patrol) if start else patrol

    async def resolver(
        self, *, venue: Venue | None = None, window_ms: int = WINDOW_MS, start: bool = True,
        registration: Registration | None = None, guarded: StartSettings | None = None,
    ) -> Resolver:  # fmt: skip
        """A resolver, running unless told otherwise."""
        asked = venue or await self.venue()
        client = self._keep(self.client("resolver", single=False))
        resolver = Resolver(
            redis=client, keys=self.keys, venue=asked, decode=self.plug.decode,
            settings=ResolverSettings(calm_ms=1_000, retry_min_ms=50, retry_max_ms=200),
            reconciler=self.reconciler(asked, window_ms=window_ms, redis=client, start=guarded), clock=self.clock,
            registration=registration,
        )  # fmt: skip
        return self._start(resolver) if start else resolver

    async def all_roles(self, *, gateways: int = 2, request_ms: int = REQUEST_MS, window_ms: int = WINDOW_MS) -> None:
        """Everything `fillonce run` starts for an account."""
        venue = await self.venue(request_ms=request_ms)
        await self.ledger()
        await self.resolver(venue=venue, window_ms=window_ms)
        await self.listener(venue=venue)
        for index in range(gateways):
            await self.gateway(
                index, venue=venue, window_ms=window_ms, claim_idle_ms=window_ms + 500 if window_ms < 2_000 else 60_000
            )

    async def kill(self, role: Any) -> None:
        """End a role as a crash would: nothing is drained, nothing is given back."""
        task = self._tasks.pop(role, None)
        mine = [task] if task is not None else []
        mine += tasks_of(role)
        left = {one for one in mine if not one.done()}
        while left:
            # Again and again: on Python 3.11 a cancellation that meets a deadline of its own may be swallowed.
            for one in left:
                one.cancel()
            _, left = await asyncio.wait(left, timeout=CANCEL_AGAIN_S)

    async def drain(self, role: Any) -> None:
        """Stop a role as SIGTERM does, and wait for its end."""
        role.stop()
        await self._tasks.pop(role)

    def terms(self, **changes: Any) -> Place:
        """A limit buy of 1 at 100 that is valid for an hour, with an identity of its own."""
        given: dict[str, Any] = {
            "account": self.account, "strategy": "test", "signal_id": f"s{next(self._orders)}",
            "signal_time": datetime.now(UTC).replace(microsecond=0), "symbol": self.symbol, "side": "buy",
            "type": "limit", "quantity": Decimal(1), "price": PRICE,
        }  # fmt: skip
        if changes.get("type") == "market":
            given["price"] = None
        return Place(**{**given, **changes})

    async def place(self, *intents: Place) -> list[str]:
        """Publish places; their client order ids."""
        found = await self.producer.publish(intents)
        return [one.client_order_id for one in found if isinstance(one, Receipt)]

    async def publish(self, *intents: Intent) -> None:
        """Publish anything."""
        await self.producer.publish(intents)

    async def publish_cancel(self, client_order_id: str) -> None:
        """Publish the cancel of an order."""
        await self.producer.publish([Cancel(account=self.account, client_order_id=client_order_id)])

    async def house(
        self, side: Literal["BUY", "SELL"], quantity: Decimal | int | str, price: Decimal | int | None = PRICE
    ) -> int:
        """Let the house place an order on this test's book; how many reports we get of it."""
        given = None if price is None else Decimal(price)
        return await self.control.house_order(self.venue_symbol, side, Decimal(quantity), price=given)

    async def order(self, client_order_id: str) -> Order:
        """A record as it stands."""
        [order] = await self.store.orders([client_order_id])
        assert order is not None
        return order

    async def status(self, client_order_id: str, *wanted: str, timeout_s: float = 10.0) -> Order:
        """Wait until an order has one of these statuses."""

        async def reached() -> bool:
            [order] = await self.store.orders([client_order_id])
            return order is not None and order.status in wanted

        await wait_until_async(reached, timeout_s)
        return await self.order(client_order_id)

    async def until(self, condition: Callable[[], object | Awaitable[object]], timeout_s: float = 10.0) -> None:
        """Wait for anything."""
        await wait_until_async(condition, timeout_s)

    async def journal(self) -> list[events.AnyChange]:
        """Every change so far, in order."""
        rows: Any = await self.redis.xrange(self.keys.events)
        return [change for _, fields in rows for change in events.decode(fields[b"data"]).changes]

    async def applied(self) -> list[tuple[str, Execution]]:
        """Every execution the journal applied, with its order."""
        return [
            (change.client_order_id, fact)
            for change in await self.journal()
            if isinstance(change, events.Updated)
            for fact in change.facts
            if isinstance(fact, Execution)
        ]

    async def venue_orders(self) -> list[dict[str, Any]]:
        """The account's orders in the venue's own books."""
        books = await self.control.books(self.book)
        found: list[dict[str, Any]] = books["accounts"][self.book]["orders"]
        return found

    async def waiting(self) -> int:
        """Entries that nobody has dealt with, and orders whose executions are parked."""
        backlog = await self.store.backlog()
        parked = await self.store.parked()
        return sum(row["lag"] + row["pending"] for row in backlog.values()) + len(parked)

    async def quiet(self, timeout_s: float = 15.0) -> None:
        """Wait until nothing is on its way: what is left rests at the venue."""

        async def reached() -> bool:
            statuses = await self.store.live_statuses()
            return not await self.waiting() and not set(statuses) - {"open", "partially_filled"}

        await wait_until_async(reached, timeout_s)

    async def agreed(self, timeout_s: float = 15.0) -> None:
        """Wait until nothing is on its way, here or at the venue: the audit finds nothing."""
        await self.quiet(timeout_s)

        async def reached() -> bool:
            return not (await self.audit()).defects

        await wait_until_async(reached, timeout_s)
        await self.quiet(timeout_s)

    async def audit(self) -> Audit:
        """Compare what is stored with the venue's own books."""
        book = (await self.control.books(self.book))["accounts"][self.book]
        local = Local(
            orders=await self.store.all_orders(), positions=await self.store.positions(), changes=await self.journal(),
            waiting=await self.waiting(),
        )  # fmt: skip
        return audit(read_books(book), local)

    async def pending(self, stream: str, group: str) -> int:
        """How many entries are delivered and not acknowledged."""
        return int((await self.redis.xpending(stream, group))["pending"])

    def _keep(self, client: Redis) -> Redis:
        self._clients.append(client)
        return client

    def _start(self, role: Any) -> Any:
        self._tasks[role] = asyncio.create_task(role.run())
        return role


_ORDERS = re.compile(rb"^(POST|DELETE) /api/v3/order[ ?]")
_LOOKUPS = re.compile(rb"^GET /api/v3/(order|openOrders|allOrders|myTrades)[ ?]")
THROTTLED = (
    b"HTTP/1.1 429 Too Many Requests\r\nContent-Type: application/json\r\nRetry-After: 1\r\nContent-Length: 44\r\n\r\n"
    b'{"code":-1003,"msg":"Too many requests now"}'
)
_DOWN = b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/html\r\nContent-Length: 17\r\n\r\n<html>down</html>"


class Proxy:
    """A way to the venue's REST side that keeps every request, holds order requests and fails look-ups when told to.

    Attributes:
        requests: what passed, byte for byte, oldest first.
        hold: order requests wait for it while it is not set.
        held: how many order requests have waited or wait.
        lookups_down: look-ups are answered with `down`.
        down: an answer, byte for byte; HTTP 503.
        orders_down: order requests are answered with HTTP 503 and never reach the venue.
        refused_lookups: how many were.
    """

    def __init__(self, upstream_url: str) -> None:
        self.requests: list[bytes] = []
        self.hold = asyncio.Event()
        self.hold.set()
        self.held = self.refused_lookups = 0
        self.lookups_down = self.orders_down = False
        self.down = _DOWN
        self._host, _, port = upstream_url.removeprefix("http://").partition(":")
        self._port = int(port)
        self._server: asyncio.Server
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        """Scheme, host and port."""
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    def orders(self) -> list[bytes]:
        """The order requests that passed."""
        return [one for one in self.requests if _ORDERS.match(one)]

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                request = await self._read(reader)
                writer.write(await self._answer(request))
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _read(self, reader: asyncio.StreamReader) -> bytes:
        head = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"(?i)\r\ncontent-length: (\d+)", head)
        return head + (await reader.readexactly(int(length[1])) if length else b"")

    async def _answer(self, request: bytes) -> bytes:
        if _LOOKUPS.match(request) and self.lookups_down:
            self.refused_lookups += 1
            return self.down
        if _ORDERS.match(request):
            if self.orders_down:
                return _DOWN
            if not self.hold.is_set():
                self.held += 1
                await self.hold.wait()
        self.requests.append(request)
        reader, writer = await asyncio.open_connection(self._host, self._port)
        try:
            head, _, body = request.partition(b"\r\n\r\n")
            lines = [line for line in head.split(b"\r\n") if not line.lower().startswith(b"connection:")]
            writer.write(b"\r\n".join([*lines, b"Connection: close"]) + b"\r\n\r\n" + body)
            return await reader.read(-1)
        finally:
            writer.close()


def tasks_of(role: object) -> list[asyncio.Task[Any]]:
    """Tasks that run a method of `role`."""
    frames = ((task, getattr(task.get_coro(), "cr_frame", None)) for task in asyncio.all_tasks())
    return [task for task, frame in frames if frame is not None and frame.f_locals.get("self") is role]


def identities(orders: Sequence[dict[str, Any]]) -> list[str]:
    """Client order ids of orders in the venue's books, oldest first."""
    return [one["client_order_id"] for one in orders]


def trade(order_id: int, trade_id: int) -> dict[str, Any]:
    """A row of the venue's trades, which names no client order id."""
    return {
        "symbol": "BTCUSDT", "id": trade_id, "orderId": order_id, "orderListId": -1, "price": "50000", "qty": "0.4",
        "quoteQty": "20000", "commission": "0", "commissionAsset": "BNB", "time": 1_700_000_000_000, "isBuyer": True,
        "isMaker": True, "isBestMatch": True,
    }  # fmt: skip
