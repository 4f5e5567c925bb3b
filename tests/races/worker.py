"""One role as a process that stops itself at a named point, so that a test can pause it exactly there.

`python -m tests.races.worker` reads one JSON line (`Told`) from standard input. At its point the process sends
itself SIGSTOP, once; the test sees that it stands still, does its worst, and sends SIGCONT.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Mapping
from typing import Any, Literal, assert_never

import msgspec
from msgspec import Struct

from adapters import registry
from adapters.binance.decode import decode
from adapters.binance.venue import BinanceVenue
from adapters.ccxt_rest import CcxtRest, always
from adapters.credentials import Credentials
from adapters.venue import Answer, Window
from consumers.amends import Amends
from consumers.durability import Durability
from consumers.folding import Rules
from consumers.gateway import Gateway, GatewaySettings
from consumers.judge import Judge
from consumers.ledger import Ledger, LedgerSettings
from streams.clock import SystemClock
from streams.connection import connect
from streams.instrument import tabulate
from streams.keys import GATEWAYS, LEDGERS, AccountKeys
from streams.limits import Limits
from streams.parent import end_with_parent
from streams.plans import CommitPlan
from streams.producer import IntentProducer
from streams.reader import Reader
from streams.schemas import Order, Place
from streams.scripts import Scripts
from streams.server_clock import ServerClock
from streams.store import Store, accounts

Stop = Literal["signing", "write", "commit", "never"]


class Told(Struct, frozen=True, kw_only=True):
    """What a process is to be."""

    role: Literal["gateway", "ledger", "producer"]
    redis_url: str
    account: str
    name: str
    stop: Stop = "never"
    rest_url: str = ""
    ws_url: str = ""
    api_key: str = ""
    secret: str = ""
    window_ms: int = 5_000
    request_ms: int = 3_000
    lease_ms: int = 3_000
    intents: tuple[Place, ...] = ()


def _stop_at(stop: Stop) -> None:
    """Put the pause in; each point is passed once."""
    left = [stop]

    def once() -> None:
        if left:
            left.clear()
            os.kill(os.getpid(), signal.SIGSTOP)

    match stop:
        case "signing":
            _before_signing(once)
        case "write":
            _after_the_last_check(once)
        case "commit":
            _before_commit(once)
        case "never":
            pass
        case _:
            assert_never(stop)


def _before_signing(once: Callable[[], None]) -> None:
    submit = BinanceVenue.submit

    async def submitted(self: BinanceVenue, order: Order, window: Window) -> Answer:
        once()
        return await submit(self, order, window)

    BinanceVenue.submit = submitted  # type: ignore[method-assign]  # what this file is for


def _after_the_last_check(once: Callable[[], None]) -> None:
    call = CcxtRest.call

    async def called(
        self: CcxtRest, endpoint: str, params: Mapping[str, str], check: Callable[[], str] = always
    ) -> Any:
        def checked() -> str:
            said = check()  # it says yes, and then time passes
            once()
            return said

        return await call(self, endpoint, params, always if check is always else checked)

    CcxtRest.call = called  # type: ignore[method-assign]  # what this file is for


def _before_commit(once: Callable[[], None]) -> None:
    commit = Scripts.commit

    async def committed(self: Scripts, plan: CommitPlan, epoch: int, lease_ms: int) -> Any:
        once()
        return await commit(self, plan, epoch, lease_ms)

    Scripts.commit = committed  # type: ignore[method-assign]  # what this file is for


async def _gateway(told: Told) -> Gateway:
    clock, keys = SystemClock(), AccountKeys(told.account)
    redis, claims = (
        connect(told.redis_url, name=f"{told.name}-{one}", single=one == "claims") for one in ("r", "claims")
    )
    server_clock = ServerClock(clock)
    await server_clock.measure(redis)
    where = registry.VenueSettings(
        venue="binance", credentials=Credentials(told.api_key, told.secret), rest_url=told.rest_url,
        ws_url=told.ws_url, request_timeout_ms=told.request_ms,
    )  # fmt: skip
    reader = Reader(
        connect(told.redis_url, name=f"{told.name}-reader"), keys.intents, GATEWAYS, told.name, count=100,
        claim_idle_ms=60_000, clock=clock,
    )  # fmt: skip
    venue = await registry.open_venue(where, server_clock.now_ms)
    return Gateway(
        scripts=Scripts(redis, keys), claims=Scripts(claims, keys), durability=await Durability.open(claims, "disk", 1),
        reader=reader, keys=keys, venue=venue, amends=Amends(redis, keys, venue, registry.decoder("binance"), clock),
        info=(await accounts(redis))[told.account], instruments=tabulate(await Store(redis, keys).instruments()),
        judge=Judge(redis, keys, Limits()),
        settings=GatewaySettings(name=told.name, window_ms=told.window_ms, first_look_ms=15_000, in_flight_max=32),
        clock=clock,
    )  # fmt: skip


def _ledger(told: Told) -> Ledger:
    clock, keys = SystemClock(), AccountKeys(told.account)
    reader = Reader(
        connect(told.redis_url, name=f"{told.name}-reader"), keys.evidence, LEDGERS, "ledger", count=100,
        claim_idle_ms=60_000, clock=clock,
    )  # fmt: skip
    settings = LedgerSettings(holder=told.name, lease_ms=told.lease_ms, rules=Rules(True, 1_000))
    return Ledger(
        redis=connect(told.redis_url, name=told.name), reader=reader, keys=keys, decode=decode, settings=settings,
        clock=clock,
    )  # fmt: skip


async def _work(told: Told) -> None:
    match told.role:
        case "gateway":
            gateway = await _gateway(told)
            _ready()
            await gateway.run()
        case "ledger":
            _ready()
            await _ledger(told).run()
        case "producer":
            redis = connect(told.redis_url, name=told.name, single=False)
            _ready()
            await asyncio.to_thread(sys.stdin.buffer.readline)  # all producers begin at once
            await IntentProducer(redis, timeout_ms=20_000).publish(told.intents)
            await redis.aclose()


def _ready() -> None:
    sys.stdout.write("ready\n")
    sys.stdout.flush()


if __name__ == "__main__":
    end_with_parent()
    _told = msgspec.json.decode(sys.stdin.buffer.readline(), type=Told)
    _stop_at(_told.stop)
    asyncio.run(_work(_told))
