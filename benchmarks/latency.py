"""How long an order takes to the venue's socket, and an execution to the store and to a strategy, at fixed rates.

The workers are processes as an operator starts them, beside the simulated venue; the private stream is served from
here, so that its frames are due at a moment. Orders go by REST for one account and by websocket for another, each with
a gateway of its own; one tap sees the bytes of both. The floor is XADD, the wake-up of a blocked XREADGROUP in another
process and one script there, on the same server. Every path has its round in turn; at one a second they run at the same
time.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from decimal import Decimal
from itertools import cycle
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct
from redis.asyncio import Redis
from websockets.asyncio.server import ServerConnection, serve

from adapters.simulated.process import SimulatedVenue, local_settings
from benchmarks.bare_ccxt import open_ccxt
from benchmarks.child import Child
from benchmarks.figures import Row, quantile, spread, times
from benchmarks.ground import ACCOUNT, INFO, Tell, client, open_account, place, served
from benchmarks.observed import FLOOR_STREAM
from benchmarks.orders import PER_ORDER, Named, frame, submit
from benchmarks.pace import pace
from benchmarks.stream_venue import confirm
from benchmarks.tap import Tap
from benchmarks.workers import env_of, learn_limits, settings, worker
from consumers.roles import Task
from streams.identity import client_order_id
from streams.keys import AccountKeys
from streams.producer import IntentProducer
from streams.schemas import Place
from streams.server_config import Fsync

RATES: Final = (1, 100, 1_000)
SLOW: Final = 10  # up to this rate the paths do not disturb each other
FSYNC: Final[Fsync] = "always"
SOCKET_MAX: Final = 1.5
KEYS: Final = AccountKeys(ACCOUNT)
BY_SOCKET: Final = "binance.bench-socket"
BALANCES: Final = {"BTC": Decimal(1_000_000), "USDT": Decimal(10**12)}
QUANTILES: Final = (("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999))
QUIET_S: Final = 120
LOOK_S: Final = 0.005
# Producers at work at the same time, each on a connection of its own.
PRODUCERS: Final = 16
BARE: Final = "bare-"
FIRST_ORDER: Final = 10**9  # apart from the simulated venue's own


class Effort(Struct, frozen=True):
    """How much is measured: rounds of each path, and what begins in one, by rate."""

    rounds: int
    samples: dict[int, int]


FULL = Effort(rounds=5, samples={1: 12, 100: 300, 1_000: 1_000})
QUICK = Effort(rounds=5, samples={100: 20, 1_000: 100})
TINY = Effort(rounds=1, samples={1_000: 4})


class Path(NamedTuple):
    """One way from here to a far end."""

    name: str
    make: Callable[[int], list[Any]]
    begin: Callable[[Any], Awaitable[None]]


async def measure(effort: Effort, tell: Tell) -> list[Row]:
    """Measure all paths at all rates of the effort."""
    async with AsyncExitStack() as stack:
        bench = await _Bench.open(stack, effort)
        for rate, count in effort.samples.items():
            for number in range(effort.rounds + 1):
                tell(f"{rate:,} a second, round {number} of {effort.rounds}")
                await bench.round(rate, count, warm=number == 0)
        return _rows(await bench.finish(), effort)


Samples = dict[tuple[str, int], list[list[float]]]


class _Bench:
    """Everything that runs, what was begun and when.

    Attributes:
        sent: key of a thing -> when it began, monotonic ns.
        rounds: (path, rate) -> keys of each round that counts.
    """

    def __init__(
        self, *, redis: Redis, clients: Sequence[Redis], tap: Tap, exchange: Any, ends: Sequence[Child],
        orders: Sequence[Named],
    ) -> None:  # fmt: skip
        self.sent: dict[str, int] = {}
        self.rounds: dict[tuple[str, int], list[list[str]]] = defaultdict(list)
        self._redis, self._tap, self._exchange = redis, tap, exchange
        self._floor, self._ledger, self._handler = ends
        self._clients = cycle(clients)
        self._producers = cycle([IntentProducer(one, timeout_ms=QUIET_S * 1000) for one in clients])
        self._frames = ((f"{one.number * PER_ORDER + last}", frame(one, one.number * PER_ORDER + last, last=last))
                        for one in orders for last in (False, True))  # fmt: skip
        self._numbers = iter(range(1, FIRST_ORDER))
        self.socket: ServerConnection | None = None
        self._paths = (
            Path("floor", lambda count: [f"floor-{next(self._numbers)}" for _ in range(count)], self._wake),
            Path("frame", lambda count: [next(self._frames) for _ in range(count)], self._send),
            Path("publish", lambda count: [self._intent(ACCOUNT) for _ in range(count)], self._publish),
            Path("socket", lambda count: [self._intent(BY_SOCKET) for _ in range(count)], self._publish),
            Path("ccxt", lambda count: [f"{BARE}{next(self._numbers)}" for _ in range(count)], self._order),
        )

    @classmethod
    async def open(cls, stack: AsyncExitStack, effort: Effort) -> "_Bench":
        """Start servers, venue and workers, and make the orders that will be filled."""
        enter = stack.enter_async_context
        server = await enter(served(FSYNC))
        venue = await enter(SimulatedVenue(local_settings([ACCOUNT, BY_SOCKET], BALANCES)))
        redis = await enter(client(server.url, "bench-latency", single=False))
        await open_account(redis)
        await open_account(redis, BY_SOCKET)
        count = sum(effort.samples.values()) * (effort.rounds + 1)
        orders = await submit(redis, range(FIRST_ORDER, FIRST_ORDER + count // PER_ORDER + 1))
        kinds = ("floor", "ledger", "handler")
        ends = await asyncio.gather(*(enter(Child("benchmarks.observed", kind, server.url)) for kind in kinds))
        tap = await enter(Tap(int(venue.rest_url.rpartition(":")[2])))
        exchange = await open_ccxt(venue, tap.url, timeout_ms=QUIET_S * 1000)
        stack.push_async_callback(exchange.close)
        clients = [await enter(client(server.url, f"bench-producer-{one}")) for one in range(PRODUCERS)]
        bench = cls(redis=redis, clients=clients, tap=tap, exchange=exchange, ends=ends, orders=orders)
        stream = await enter(serve(bench.subscribed, "127.0.0.1", 0, compression=None))
        port = next(iter(stream.sockets)).getsockname()[1]
        stream_url = f"ws://127.0.0.1:{port}"
        by_rest = settings(server.url, rest_url=tap.url, stream_url=stream_url)
        order_url = f"ws://127.0.0.1:{tap.port}{urlsplit(venue.order_url).path}"
        by_socket = settings(server.url, BY_SOCKET, rest_url=tap.url, stream_url=stream_url, order_url=order_url)
        for chosen in (by_rest, by_socket):
            await learn_limits(chosen, env_of(chosen, venue))
        tasks = (
            (Task(role="gateway", account=ACCOUNT), by_rest), (Task(role="listener", account=ACCOUNT), by_rest),
            (Task(role="gateway", account=BY_SOCKET), by_socket),
        )  # fmt: skip
        await asyncio.gather(*(enter(worker(task, env_of(chosen, venue), redis)) for task, chosen in tasks))
        await bench.quiet(())
        return bench

    async def subscribed(self, socket: ServerConnection) -> None:
        """Take the listener's subscription and keep its socket."""
        await confirm(socket)
        self.socket = socket
        await socket.wait_closed()

    async def round(self, rate: int, count: int, *, warm: bool) -> None:
        """Give every path its turn."""
        made = [(path, path.make(count)) for path in self._paths]
        if rate <= SLOW:
            apart = 1 / rate / len(made)
            await asyncio.gather(
                *(pace(rate, things, path.begin, number * apart) for number, (path, things) in enumerate(made))
            )
            await self.quiet([_key(one) for _, things in made for one in things])
        for path, things in made:
            if rate > SLOW:
                await pace(rate, things, path.begin)
                await self.quiet([_key(one) for one in things])
            if not warm:
                self.rounds[path.name, rate].append([_key(one) for one in things])

    async def quiet(self, keys: Sequence[str]) -> None:
        """Wait until everything that was begun has reached its far end.

        Raises:
            RuntimeError: something has not.
        """
        deadline = time.monotonic() + QUIET_S
        while missing := await self._missing(keys):
            if time.monotonic() > deadline:
                raise RuntimeError(f"after {QUIET_S} s there is still no end to {missing}")
            await asyncio.sleep(LOOK_S)

    async def finish(self) -> Samples:
        """Collect what the far ends have noted; latencies in ms of each round, by path."""
        entries: Any = await self._redis.xrange(KEYS.evidence)
        frames = {entry.decode(): _trade(fields.get(b"raw", b"")) for entry, fields in entries}
        committed = {frames[one]: at for one, at in (await self._ledger.finish()).items() if one in frames}
        ends = {
            "floor": (("floor", await self._floor.finish()),),
            "frame": (("committed", committed), ("handler", await self._handler.finish())),
            "publish": (("publish", self._tap.seen),),
            "socket": (("socket", self._tap.seen),),
            "ccxt": (("ccxt", self._tap.seen),),
        }
        return {
            (end, rate): [[(noted[key] - self.sent[key]) / 1e6 for key in keys] for keys in rounds]
            for (path, rate), rounds in self.rounds.items()
            for end, noted in ends[path]
        }

    async def _missing(self, keys: Sequence[str]) -> list[str]:
        streams = (FLOOR_STREAM, KEYS.evidence, KEYS.events)
        pipe = self._redis.pipeline(transaction=False)
        for stream in streams:
            pipe.xinfo_groups(stream)
        busy = []
        for stream, told in zip(streams, await pipe.execute(raise_on_error=False), strict=True):
            if not isinstance(told, list) or not told or any(one["lag"] or one["pending"] for one in told):
                busy.append(stream)
        orders = [key for key in keys if key.startswith((INFO.id_rule.prefix, BARE))]
        return busy + [key for key in orders if key not in self._tap.seen]

    def _intent(self, account: str) -> tuple[str, Place]:
        limit = place(next(self._numbers), account)
        intent = msgspec.structs.replace(limit, type="market", price=None, quantity=Decimal("0.001"))
        return client_order_id(intent, INFO.id_rule), intent

    async def _wake(self, key: str) -> None:
        self.sent[key] = time.perf_counter_ns()
        await next(self._clients).xadd(FLOOR_STREAM, {"key": key, "data": b"x" * 300})

    async def _send(self, made: tuple[str, bytes]) -> None:
        assert self.socket is not None
        self.sent[made[0]] = time.perf_counter_ns()
        await self.socket.send(made[1].decode())

    async def _publish(self, made: tuple[str, Place]) -> None:
        self.sent[made[0]] = time.perf_counter_ns()
        await next(self._producers).place(made[1])

    async def _order(self, key: str) -> None:
        self.sent[key] = time.perf_counter_ns()
        await self._exchange.create_order("BTC/USDT", "market", "buy", 0.001, params={"newClientOrderId": key})


def _key(thing: Any) -> str:
    return str(thing if isinstance(thing, str) else thing[0])


def _trade(raw: bytes) -> str:
    """Trade id of a frame of the private stream; empty for the venue's other words."""
    event = msgspec.json.decode(raw, type=dict[str, Any]).get("event", {}) if raw else {}
    return str(event.get("t", ""))


NAMES: Final = {
    "floor": "XADD → wake-up and one script",
    "committed": "frame → committed",
    "handler": "frame → strategy handler",
    "publish": "publish → venue's socket, REST",
    "socket": "publish → venue's socket, websocket",
    "ccxt": "bare ccxt → venue's socket, REST",
}


def _rows(samples: Samples, effort: Effort) -> list[Row]:
    rows = []
    for rate, count in effort.samples.items():
        for end, name in NAMES.items():
            for label, share in QUANTILES:
                figures = [quantile(one, share) for one in samples[end, rate]]
                rows.append(Row(name=f"{name}, {rate:,}/s, {label}", unit="ms", spread=spread(figures),
                                note=f"{count:,} a round"))  # fmt: skip
        middle = {end: [quantile(one, 0.5) for one in samples[end, rate]] for end in NAMES}
        for end, beside, words, limit in (
            ("committed", "floor", "floor", None), ("handler", "floor", "floor", None),
            ("publish", "floor", "floor", None), ("socket", "floor", "floor", SOCKET_MAX),
            ("publish", "ccxt", "bare ccxt", None), ("socket", "ccxt", "bare ccxt", None),
        ):  # fmt: skip
            name = f"{NAMES[end]} / {words}, {rate:,}/s, p50"
            rows.append(times(name, middle[end], middle[beside], better="less", limit=limit))
    return rows
