"""Starts everything the demo needs as real processes, watches it, ends it, and asks for the audit."""

import asyncio
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

import msgspec
import orjson
from msgspec import Struct
from redis.asyncio import Redis
from redis.exceptions import RedisError

from adapters.simulated.faults import DEFAULT, OFF, Faults, Kind
from adapters.simulated.process import SimulatedVenue, local_settings
from adapters.venue import OrderEntry
from consumers.demo.audit import Audit, Local, audit, read_books
from consumers.demo.chaos import Chaos, Tally, alongside
from consumers.demo.plan import NAMES, Script, share
from consumers.demo.strategy import SCRIPT, URL
from consumers.keyring import variables
from consumers.supervise import Supervisor
from streams import events, store
from streams.clock import SystemClock
from streams.connection import connect
from streams.errors import FillonceError, ServerError, UsageError
from streams.keys import AccountKeys
from streams.producer import IntentProducer
from streams.schemas import Cancel
from streams.server import EmbeddedServer
from streams.settings import AccountSettings, Settings
from streams.verify import Verdict, verify

COPIES = ("a", "b")
SYMBOLS = ("BTC/USDT", "ETH/USDT")
MARGIN = {"USDT": Decimal(100_000_000)}
BALANCES = {"BTC": Decimal(1_000), "ETH": Decimal(10_000), "USDT": Decimal(100_000_000)}
START_S, CALM_S = 60, 90
LOOK_S = 0.5
# Every fault that was asked for must happen: with so many expected, none of them fails to by chance.
EXPECTED_OF_A_KIND = 16
RATE_MAX = 0.1  # seven kinds share the requests
INTENTS_MIN = 100  # with fewer, not every kind can be sure to happen
# Longer than a send window, a request's deadline, a lease and the idle time of an entry.
PAUSE_MS = 6_000
# Signals of all strategies together; about what two gateways send on one core beside everything else.
SIGNALS_PER_S = 80


class Options(Struct, frozen=True, kw_only=True):
    """What was asked for."""

    intents: int
    seed: int
    faults: Literal["off", "default", "harsh"]
    venue: Literal["binance", "binance-usdm"] = "binance"
    order_entry: OrderEntry = "rest"
    stream_gaps: int = 1
    examples: bool = False

    @property
    def account(self) -> str:
        """Its name."""
        return f"{self.venue}.main"

    @property
    def settle(self) -> str:
        """What follows a symbol of the venue."""
        return ":USDT" if self.venue == "binance-usdm" else ""


class Progress(Struct, frozen=True, kw_only=True):
    """A moment of the demo."""

    phase: str
    seconds: float
    orders: int = 0
    fills: int = 0
    duplicates_refused: int = 0
    lag: int = 0
    unknown: int = 0
    faults: int = 0


class Result(Struct, frozen=True, kw_only=True):
    """How it ended."""

    audit: Audit
    signals_published: int
    duplicates_refused: int
    faults: dict[str, int]
    faults_missing: tuple[str, ...]
    seconds: float
    restarts: int
    verified: Verdict
    blows: Tally | None

    @property
    def good(self) -> bool:
        """No defect, the state is the fold of the journal, and everything that was to go wrong did."""
        return not self.audit.defects and not self.faults_missing and self.verified.good


async def run(options: Options, show: Callable[[Progress], None]) -> Result:
    """Run the demo.

    Raises:
        UsageError: too few intents for the faults that were asked for.
    """
    if options.faults != "off" and options.intents < INTENTS_MIN:
        raise UsageError(f"With faults the demo needs at least {INTENTS_MIN} intents; ask for more, or --faults off.")
    return await _Demo(options, show).run()


def faults_for(options: Options) -> Faults:
    """Rates at which every kind is sure to happen in a run of this size."""
    if options.faults == "off":
        return OFF
    low = min(RATE_MAX, EXPECTED_OF_A_KIND / options.intents)
    rates = {kind.value: max(getattr(DEFAULT, kind.value), low) for kind in Kind if hasattr(DEFAULT, kind.value)}
    # A frame is cut off with its stream and costs a backfill, so a few cuts are enough.
    rates["stream_cut"] = max(DEFAULT.stream_cut, min(RATE_MAX, 5 / options.intents))
    return msgspec.structs.replace(DEFAULT, **rates)


class _Demo:
    """One run."""

    def __init__(self, options: Options, show: Callable[[Progress], None]) -> None:
        self.options, self.show = options, show
        self.began = time.monotonic()
        self.account, self.symbols = options.account, tuple(one + options.settle for one in SYMBOLS)
        self.keys, self.clock = AccountKeys(self.account), SystemClock()
        self.faults = faults_for(options)
        told = local_settings([self.account], BALANCES if options.venue == "binance" else MARGIN)
        product: Literal["spot", "usdm"] = "spot" if options.venue == "binance" else "usdm"
        self.venue = SimulatedVenue(msgspec.structs.replace(told, product=product), seed=options.seed)

    async def run(self) -> Result:
        async with AsyncExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="fillonce-demo-")))
            self.say("starting")
            server = await stack.enter_async_context(EmbeddedServer(folder / "server"))
            await stack.enter_async_context(self.venue)
            self.control = await stack.enter_async_context(self.venue.control())
            self.redis = connect(server.url, name="demo", single=False)
            stack.push_async_callback(self.redis.aclose)
            self.store = store.Store(self.redis, self.keys)
            async with self._roles(server.url) as supervisor:
                await self._wait_for_start()
                await self.control.set_faults(self.faults)
                async with self._strategies(server.url):
                    chaos = self._chaos(server, supervisor)
                    await alongside(lambda: self._until("trading", self._finished, None), chaos)
                    await self._until("settling", self._quiet, CALM_S)
                # What rests is taken back, so that the books are complete.
                await self._cancel_all()
                await self._until("draining", self._ended, CALM_S)
                restarts = supervisor.restarts
            self.say("auditing")
            return await self._result(restarts, chaos.tally if chaos else None)

    @asynccontextmanager
    async def _roles(self, url: str) -> AsyncIterator[Supervisor]:
        account = self.venue.settings.accounts[0]
        key, secret = variables(self.account)
        supervisor = Supervisor(
            self._settings(), url, {**os.environ, key: account.api_key, secret: account.secret}, self.clock
        )
        await supervisor.start()
        try:
            yield supervisor
        finally:
            await supervisor.stop()

    def _settings(self) -> Settings:
        """Windows and deadlines as short as the simulated venue's faults, so that they are met often."""
        account = AccountSettings(
            symbols=self.symbols, rest_url=self.venue.rest_url, stream_url=self.venue.ws_url, send_window_ms=1_500,
            order_entry=self.options.order_entry, order_url=self.venue.order_url,
            request_timeout_ms=1_000, backfill_overlap_ms=3_000, lookup_lag_ms=500, request_lifetime_ms=1_000,
        )  # fmt: skip
        return Settings(
            accounts={self.account: account}, claim_idle_ms=5_000, calm_ms=2_000, lookup_retry_max_ms=500,
            lease_ms=1_500, log_level="error", reconcile_light_ms=2_000, reconcile_full_ms=8_000,
        )  # fmt: skip

    def _chaos(self, server: EmbeddedServer, supervisor: Supervisor) -> Chaos | None:
        if self.options.faults != "harsh":
            return None
        return Chaos(
            self.options.seed, server, supervisor.children, PAUSE_MS, self.clock,
            gap=lambda gone_ms: self.control.cut_streams(self.account, down_ms=gone_ms), gaps=self.options.stream_gaps,
        )  # fmt: skip

    @asynccontextmanager
    async def _strategies(self, url: str) -> AsyncIterator[None]:
        settle = self.options.settle
        listed = self.venue.settings.symbols
        prices = {f"{one.base_asset}/{one.quote_asset}{settle}": one.reference_price for one in listed}
        started_at, processes = datetime.now(UTC), []
        for name in NAMES:
            script = Script(
                name=name, account=self.account, seed=self.options.seed, signals=share(name, self.options.intents),
                started_at=started_at.replace(microsecond=0), prices={one: prices[one] for one in self.symbols},
                pause_ms=max(1, 1_000 * len(NAMES) // SIGNALS_PER_S),
            )  # fmt: skip
            env = {**os.environ, SCRIPT: msgspec.json.encode(script).decode(), URL: url}
            processes += [
                await asyncio.create_subprocess_exec(
                    sys.executable, "-P", "-m", "consumers.demo.strategy", copy, env=env, start_new_session=True
                )
                for copy in COPIES
            ]
        if self.options.examples:
            processes.append(
                await asyncio.create_subprocess_exec(
                    sys.executable, "-P", "-m", "consumers.demo.examples", env=env, start_new_session=True
                )
            )
        try:
            yield
            if failed := [process.returncode for process in processes if process.returncode]:
                raise ServerError(f"A strategy of the demo ended by itself (exit code {failed[0]}); its log says why.")
        finally:
            for process in processes:
                if process.returncode is None:
                    process.terminate()
            await asyncio.gather(*(process.wait() for process in processes))

    async def _wait_for_start(self) -> None:
        wanted = {"gateway.0", "gateway.1", "ledger.0", "listener.0", "resolver.0"}
        deadline = time.monotonic() + START_S
        while True:
            beats = await self._beats()
            if wanted <= set(beats) and beats["ledger.0"]["leads"] and beats["listener.0"]["whole"]:
                return
            if time.monotonic() > deadline:
                raise ServerError(f"The roles did not start within {START_S} s; up are: {', '.join(beats) or 'none'}.")
            await self.clock.sleep_ms(100)

    async def _until(self, phase: str, done: Callable[[], Any], limit_s: float | None) -> None:
        """Look again and again until `done`; past `limit_s` the audit says what is left."""
        deadline = None if limit_s is None else time.monotonic() + limit_s
        while True:
            try:
                await self._show(phase)
                if await done():
                    return
            except (FillonceError, RedisError, OSError):
                pass  # a look that failed is repeated
            if deadline is not None and time.monotonic() > deadline:
                return
            await self.clock.sleep_ms(LOOK_S * 1_000)

    async def _finished(self) -> bool:
        beats = await self._beats()
        copies = [beats.get(f"strategy.{name}.{copy}", {}) for name in NAMES for copy in COPIES]
        return all(copy.get("done") for copy in copies)

    async def _quiet(self) -> bool:
        """Nothing is on its way, and no strategy is still to react: what is left rests at the venue."""
        moving = set(await self.store.live_statuses()) - {"open", "partially_filled"}
        return not (moving or await self._waiting() or await self._unheard())

    async def _waiting(self) -> int:
        """Entries nobody has dealt with."""
        return sum(row["lag"] + row["pending"] for row in (await self.store.backlog()).values())

    async def _unheard(self) -> int:
        """Events that a strategy has not read, and may react to."""
        groups: Any = await self.redis.xinfo_groups(self.keys.events)
        return sum(int(group["lag"] or 0) + int(group["pending"]) for group in groups)

    async def _ended(self) -> bool:
        """Nothing lives and nothing is on its way; the strategies have gone, so what happens now nobody hears."""
        return not await self._waiting() and not await self.store.live_statuses()

    async def _cancel_all(self) -> None:
        producer = IntentProducer(self.redis, timeout_ms=10_000)
        resting = [order.client_order_id for order in await self.store.all_orders() if order.live]
        if resting:
            await producer.publish([Cancel(account=self.account, client_order_id=one, who="demo") for one in resting])

    async def _show(self, phase: str) -> None:
        beats, statuses = await self._beats(), await self.store.live_statuses()
        backlog = await self.store.backlog()
        faults = (await self.control.faults())["counts"]
        self.show(
            Progress(
                phase=phase,
                seconds=time.monotonic() - self.began,
                orders=await self.store.count(),
                fills=beats.get("ledger.0", {}).get("applied", 0),
                duplicates_refused=_sum(beats, "duplicates"),
                lag=sum(row["lag"] for row in backlog.values()),
                unknown=statuses.get("unknown", 0),
                faults=sum(count for kind, count in faults.items() if kind in _asked(self.faults)),
            )
        )

    def say(self, phase: str) -> None:
        self.show(Progress(phase=phase, seconds=time.monotonic() - self.began))

    async def _beats(self) -> dict[str, dict[str, Any]]:
        rows: Any = await self.redis.hgetall(self.keys.roles)
        return {name.decode(): orjson.loads(beat) for name, beat in rows.items()}

    async def _result(self, restarts: int, blows: Tally | None) -> Result:
        backlog, beats = await self.store.backlog(), await self._beats()
        waiting = sum(row["lag"] + row["pending"] for row in backlog.values()) + len(await self.store.parked())
        books = read_books((await self.control.books(self.account))["accounts"][self.account])
        local = Local(
            orders=await self.store.all_orders(),
            positions=await self.store.positions(),
            changes=await _changes(self.redis, self.keys),
            waiting=waiting,
        )
        counts = (await self.control.faults())["counts"]
        asked = _asked(self.faults)
        return Result(
            audit=audit(books, local),
            signals_published=_sum(beats, "published"),
            duplicates_refused=_sum(beats, "duplicates"),
            faults={kind: int(counts.get(kind, 0)) for kind in asked},
            faults_missing=tuple(kind for kind in asked if not counts.get(kind)),
            seconds=round(time.monotonic() - self.began, 1),
            restarts=restarts,
            verified=await verify(self.redis, self.keys),
            blows=blows,
        )


async def _changes(redis: Redis, keys: AccountKeys) -> list[events.AnyChange]:
    """Read the whole journal, a page at a time."""
    found: list[events.AnyChange] = []
    start = "-"
    while True:
        rows: Any = await redis.xrange(keys.events, min=start, count=1_000)
        for entry, fields in rows:
            found += events.decode(fields[b"data"]).changes
            start = f"({entry.decode()}"
        if not rows:
            return found


def _asked(faults: Faults) -> list[str]:
    return [kind.value for kind in Kind if getattr(faults, kind.value)]


def _sum(beats: dict[str, dict[str, Any]], figure: str) -> int:
    return sum(beat.get(figure, 0) for name, beat in beats.items() if name.startswith("strategy."))
