"""The roles, built from settings: what each needs, wired once, here."""

import logging
import os
import secrets
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Literal, Protocol

import msgspec
from msgspec import Struct
from redis.asyncio import Redis
from redis.exceptions import RedisError

from adapters import registry
from adapters.budgets import pots
from adapters.venue import Venue, VenueFacts
from consumers import orphans, telemetry
from consumers.addresses import addresses
from consumers.amends import Amends
from consumers.dead_man import DeadMan
from consumers.durability import Durability
from consumers.folding import Rules
from consumers.gateway import Gateway, GatewaySettings
from consumers.guard import Guard
from consumers.judge import Judge
from consumers.keyring import credentials
from consumers.ledger import Ledger, LedgerSettings
from consumers.listener import Listener, ListenerSettings
from consumers.lookup import resubmission_allowed
from consumers.patrolling import patrol
from consumers.reconciler import Reconciler, StartSettings
from consumers.registration import Registration
from consumers.resolver import Resolver, ResolverSettings
from consumers.retention import Retention
from consumers.witness import Witness
from streams import store
from streams.clock import SystemClock
from streams.connection import connect
from streams.errors import FillonceError, UsageError
from streams.instrument import Instruments, tabulate
from streams.keys import GATEWAYS, LEDGERS, AccountKeys
from streams.limits import Limits
from streams.measures import Measures
from streams.producer import FIRST_LOOK_MS
from streams.pulse import Pulse
from streams.rate import Rate
from streams.reader import Reader
from streams.schemas import AccountInfo
from streams.scripts import Scripts
from streams.server_clock import ServerClock
from streams.settings import AccountSettings, Settings, venue_name

RoleName = Literal["gateway", "ledger", "listener", "resolver"]
ROLES: tuple[RoleName, ...] = ("gateway", "ledger", "listener", "resolver")

CLOCK_EVERY_MS = 30_000
STANDBY_MS = 200
REFRESH_EVERY_MS = 3_600_000
WATCH_EVERY_MS = 5_000
FORGET_EVERY_MS = 60_000
HOUR_MS, DAY_MS = 3_600_000, 86_400_000

log = logging.getLogger("fillonce.roles")


class Role(Protocol):
    """What a worker process runs."""

    async def run(self) -> None:
        """Work until stopped."""
        ...

    def stop(self) -> None:
        """Finish what is under way and end `run`."""
        ...

    def figures(self) -> Mapping[str, int | str]:
        """What it counted since its start, for its heartbeat."""
        ...

    def measures(self) -> Measures:
        """What it measured since its start, for `/metrics`."""
        ...

    @property
    def pulse(self) -> Pulse:
        """Beaten while it works or waits."""
        ...


class Task(Struct, frozen=True, kw_only=True):
    """Which role of which account, and which of several alike."""

    role: RoleName
    account: str
    index: int = 0

    @property
    def name(self) -> str:
        """`gateway.0`; the consumer name it reads under, the same after a restart."""
        return f"{self.role}.{self.index}"

    @property
    def arguments(self) -> Sequence[str]:
        """What Python is started with."""
        return ("consumers.worker", self.role, self.account, str(self.index))


class Workshop:
    """Everything one role process holds, and gives back at its end."""

    def __init__(self, task: Task, settings: Settings, env: Mapping[str, str]) -> None:
        """Bind it; nothing is opened yet."""
        self.task, self.settings, self.env = task, settings, env
        self.account: AccountSettings = settings.account(task.account)
        self.venue_name = venue_name(task.account, self.account)
        self.keys, self.clock = AccountKeys(task.account), SystemClock()
        self.server_clock = ServerClock(self.clock)
        self.rate: Rate | None = None
        self.background: list[Callable[[], Awaitable[None]]] = []
        self.beside: list[Callable[[], Mapping[str, int | str]]] = []  # figures of what runs beside the role
        self._closers: list[Callable[[], Awaitable[object]]] = []

    def redis(self, purpose: str, *, single: bool = True) -> Redis:
        """Open a client of its own for one purpose."""
        client = connect(
            self.settings.redis_url, name=f"{self.task.name}-{purpose}", timeout_ms=self.settings.redis_timeout_ms,
            single=single,
        )  # fmt: skip
        self._closers.append(client.aclose)
        return client

    async def venue(self) -> Venue:
        """Open the account at its venue."""
        reached = addresses(self.task.account, self.account)
        where = registry.VenueSettings(
            venue=self.venue_name,
            credentials=credentials(self.task.account, self.account, self.env),
            rest_url=reached.rest_url,
            ws_url=reached.ws_url,
            request_timeout_ms=self.account.request_timeout_ms,
            # Only a gateway sends orders; the other roles need no socket of that kind.
            order_entry=self.account.order_entry if self.task.role == "gateway" else "rest",
            order_url=reached.order_url,
            allowance=self._allowance(reached.rest_url),
        )
        venue = await registry.open_venue(where, self.server_clock.now_ms)
        self._closers.append(venue.close)
        if await venue.may_withdraw():
            raise UsageError(
                f"The key of {self.task.account} may withdraw; take that permission from it, whoever gets hold of this "
                "machine could empty the account."
            )
        venue.facts = self.facts(venue.facts)
        self.background.append(self.every(CLOCK_EVERY_MS, venue.measure_clock))
        return venue

    def _allowance(self, rest_url: str) -> Rate | None:
        """The shared budget of the account's requests; None where nothing is counted."""
        found = pots(registry.facts(self.venue_name), self.task.account, self.account.egress, rest_url)
        if found:
            self.rate = Rate(Scripts(self.redis("rate", single=False), self.keys), found, self.clock)
        return self.rate

    def facts(self, declared: VenueFacts) -> VenueFacts:
        """What the venue declares, with what the settings know better."""
        account = self.account
        return msgspec.structs.replace(
            declared,
            lookup_lag_ms=account.lookup_lag_ms or declared.lookup_lag_ms,
            request_lifetime_ms=account.request_lifetime_ms or declared.request_lifetime_ms,
        )

    async def measure_clock(self, redis: Redis) -> None:
        """Measure the server's clock now, and again and again in the background."""
        await self.server_clock.measure(redis)
        self.background.append(self.every(CLOCK_EVERY_MS, lambda: self.server_clock.measure(redis)))

    def every(self, pause_ms: int, step: Callable[[], Awaitable[None]]) -> Callable[[], Awaitable[None]]:
        """Make a background loop of a step; what one round cannot do, the next one will."""

        async def loop() -> None:
            while True:
                await self.clock.sleep_ms(pause_ms)
                try:
                    await step()
                except (FillonceError, RedisError, OSError) as error:
                    log.info("%s: tries again later: %s", self.task.name, type(error).__name__)
                except Exception:  # a defect that meets one round: without the next ones nothing of it is done any more
                    log.exception("%s: a step beside it failed and is tried again", self.task.name)

        return loop

    async def close(self) -> None:
        """Give everything back, last opened first."""
        for closer in reversed(self._closers):
            await closer()


async def build(shop: Workshop) -> Role:
    """Wire the role a workshop is for."""
    builders: dict[RoleName, Callable[[Workshop], Awaitable[Role]]] = {
        "gateway": _gateway,
        "ledger": _ledger,
        "listener": _listener,
        "resolver": _resolver,
    }
    return await builders[shop.task.role](shop)


async def _gateway(shop: Workshop) -> Role:
    redis = shop.redis("commands", single=False)
    await shop.measure_clock(redis)
    claims = shop.redis("claims")
    durability = await Durability.open(claims, shop.account.durability, shop.account.replicas_min)
    info, instruments = await _registered(shop, redis)
    reader = Reader(
        shop.redis("reader"), shop.keys.intents, GATEWAYS, shop.task.name, count=shop.settings.batch_max,
        claim_idle_ms=shop.settings.claim_idle_ms, clock=shop.clock,
    )  # fmt: skip
    venue = await shop.venue()
    gateway = Gateway(
        scripts=Scripts(shop.redis("settles"), shop.keys),
        claims=Scripts(claims, shop.keys),
        durability=durability,
        reader=reader,
        keys=shop.keys,
        venue=venue,
        info=info,
        instruments=instruments,
        judge=Judge(redis, shop.keys, shop.account.limits),
        amends=Amends(redis, shop.keys, venue, registry.decoder(shop.venue_name), shop.clock),
        settings=GatewaySettings(
            name=shop.task.name,
            window_ms=shop.account.send_window_ms,
            first_look_ms=FIRST_LOOK_MS,
            in_flight_max=shop.account.in_flight_max,
        ),
        clock=shop.clock,
    )

    # Which order reduces is known only after a claim where limits are kept, so there each is claimed and tried.
    if shop.rate is not None and shop.account.limits == Limits():
        gateway.held.shut_ms = shop.rate.shut_ms

    async def refresh() -> None:
        # A server that lost the table knows no symbol until it is told again; what is known here stands until then.
        if await store.instruments_version(redis, shop.keys) not in ("", gateway.instruments.version):
            gateway.instruments = tabulate(await store.Store(redis, shop.keys).instruments())

    shop.background.append(shop.every(WATCH_EVERY_MS, refresh))
    return gateway


async def _registered(shop: Workshop, redis: Redis) -> tuple[AccountInfo, Instruments]:
    """Wait until the resolver has registered the account."""
    while True:
        known = await store.accounts(redis)
        if shop.task.account in known:
            return known[shop.task.account], tabulate(await store.Store(redis, shop.keys).instruments())
        await shop.clock.sleep_ms(STANDBY_MS)


async def _ledger(shop: Workshop) -> Role:
    plug = registry.plug(shop.venue_name)
    # All ledgers of an account read under one name: a new leader is delivered what the last one left.
    reader = Reader(
        shop.redis("reader"), shop.keys.evidence, LEDGERS, "ledger", count=shop.settings.batch_max,
        claim_idle_ms=shop.settings.claim_idle_ms, clock=shop.clock, ahead=True,
    )  # fmt: skip
    return Ledger(
        redis=shop.redis("commands"),
        reader=reader,
        keys=shop.keys,
        decode=plug.decode,
        settings=LedgerSettings(
            holder=f"{socket.gethostname()}-{os.getpid()}-{shop.task.name}-{secrets.token_hex(4)}",
            lease_ms=shop.settings.lease_ms,
            rules=Rules(resubmission_allowed(plug.facts), shop.settings.calm_ms),
        ),
        clock=shop.clock,
    )


async def _listener(shop: Workshop) -> Role:
    redis = shop.redis("commands", single=False)
    await shop.measure_clock(redis)
    return Listener(
        redis=redis,
        keys=shop.keys,
        venue=await shop.venue(),
        settings=ListenerSettings(
            symbols=shop.account.symbols,
            overlap_ms=shop.account.backfill_overlap_ms,
            name=shop.task.name,
            lease_ms=shop.account.stream_lease_ms,
        ),
        clock=shop.clock,
    )


async def _resolver(shop: Workshop) -> Role:
    redis = shop.redis("commands", single=False)
    await shop.measure_clock(redis)
    venue = await shop.venue()
    decode = registry.decoder(shop.venue_name)
    reconciler = Reconciler(
        redis=redis, keys=shop.keys, venue=venue, describe=registry.plug(shop.venue_name).describe,
        symbols=shop.account.symbols, window_ms=shop.account.send_window_ms, durability=shop.account.durability,
        clock=shop.clock, start=StartSettings(limits=shop.account.limits, deadline_ms=shop.account.start_deadline_ms),
        witness=Witness.of(shop.settings.data_dir, shop.task.account),
    )  # fmt: skip
    registration = Registration(redis, shop.task.account, shop.venue_name, venue, shop.account.symbols)
    compared = patrol(shop, redis, venue)
    shop.beside.append(compared.figures)
    shop.background.append(compared.run)
    if shop.account.dead_man_ms:
        if not venue.facts.dead_man:
            raise UsageError(f"{shop.venue_name} has no dead-man timer; leave dead_man_ms of {shop.task.account} out.")
        dead_man = DeadMan(redis, shop.keys, venue, shop.account.dead_man_ms)
        shop.background.append(shop.every(dead_man.pause_ms, dead_man.round))
    cancelling = orphans.policies(shop.account.reconcile, "", foreign=False)
    guard = Guard(
        redis=redis, keys=shop.keys, rules=shop.account.rules, clock=shop.clock, resolver=shop.task.name,
        orphans=lambda who: orphans.finder(patrol(shop, redis, venue, who, cancelling), "", who),
    )  # fmt: skip
    shop.beside.append(guard.figures)
    shop.background.append(lambda: guard.run(shop.settings.redis_url, shop.settings.redis_timeout_ms))
    resolver = Resolver(
        redis=redis,
        keys=shop.keys,
        venue=venue,
        decode=decode,
        settings=ResolverSettings(
            calm_ms=shop.settings.calm_ms,
            retry_min_ms=shop.settings.lookup_retry_min_ms,
            retry_max_ms=shop.settings.lookup_retry_max_ms,
        ),
        reconciler=reconciler,
        registration=registration,
        clock=shop.clock,
    )
    await registration.load()
    shop.background.append(shop.every(REFRESH_EVERY_MS, registration.load))
    settings = shop.settings
    retention = Retention(
        redis, shop.keys, int(settings.retention_days * DAY_MS), int(settings.parked_max_hours * HOUR_MS)
    )
    shop.background.append(shop.every(FORGET_EVERY_MS, retention.round))
    # An account has one resolver, so its spans are told once.
    if telemetry.wanted(shop.env) and (to := telemetry.exporter(shop.env)) is not None:
        shop.background.append(telemetry.Telemetry(shop.redis("spans"), shop.keys, shop.clock, to).run)
    return resolver
