"""One request budget for every process: a flood of intents, two gateways, look-ups, and a venue that allows little.

The roles are wired as their processes wire them; the venue runs in the test's own loop, so that it is asked what it
refused.
"""

import asyncio
import os
from collections.abc import Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any, Literal, Self
from uuid import uuid4

import msgspec
from redis.asyncio import Redis

from adapters.simulated.faults import OFF
from adapters.simulated.limits import Limits
from adapters.simulated.liquidity import Liquidity
from adapters.simulated.process import local_settings
from adapters.simulated.server import Server
from adapters.simulated.settings import Settings as VenueSettings
from adapters.simulated.venue import Venue
from consumers.commands.figures import read_figures
from consumers.keyring import variables
from consumers.roles import Workshop, build
from consumers.supervise import tasks
from streams.keys import AccountKeys
from streams.producer import IntentProducer, Receipt
from streams.schemas import Cancel, Order, Place
from streams.scripts import Scripts
from streams.settings import AccountSettings, Settings
from streams.store import Store
from streams.tasks import end
from tests.support import wait_until_async

BALANCES = {"BTC": Decimal(1_000), "USDT": Decimal(100_000_000)}
ORDERS_10S, NEW = 10, 8  # what an account may place in ten seconds, and the share of new orders
ENOUGH_S = 60.0


class Deployment:
    """Some accounts of one venue that go out by one address, with every role running.

    Attributes:
        venue: which counts.
        accounts: their names.
    """

    def __init__(
        self, redis: Redis, url: str, limits: Limits, accounts: int, order_entry: Literal["rest", "ws"] = "rest"
    ) -> None:
        self._order_entry: Literal["rest", "ws"] = order_entry
        self.redis, self.accounts = redis, [f"sim.b{uuid4().hex[:12]}" for _ in range(accounts)]
        self.egress = uuid4().hex[:12]
        told: VenueSettings = msgspec.structs.replace(
            local_settings(self.accounts, BALANCES), limits=limits, liquidity=Liquidity(on=False)
        )
        self.venue = Venue(told, 1, OFF)
        self._url, self._told, self._stack, self._signals = url, told, AsyncExitStack(), 0

    async def __aenter__(self) -> Self:
        server = Server(self.venue)
        port = await server.start(0)
        self._stack.push_async_callback(server.close)
        env = dict(os.environ)
        for held in self._told.accounts:
            env |= dict(zip(variables(held.name), (held.api_key, held.secret), strict=True))
        account = AccountSettings(
            symbols=("BTC/USDT",), venue="binance", rest_url=f"http://127.0.0.1:{port}",
            stream_url=f"ws://127.0.0.1:{port}/ws-api/v3", durability="memory", egress=self.egress,
            order_entry=self._order_entry,
            lookup_lag_ms=300, request_lifetime_ms=500,
        )  # fmt: skip
        settings = Settings(
            accounts=dict.fromkeys(self.accounts, account), redis_url=self._url, gateways=2, calm_ms=1_000
        )
        for task in tasks(settings):
            shop = Workshop(task, settings, env)
            self._stack.push_async_callback(shop.close)
            role = await build(shop)
            running = [asyncio.create_task(role.run()), *(asyncio.ensure_future(one()) for one in shop.background)]
            self._stack.push_async_callback(end, running)
        for name in self.accounts:
            await wait_until_async(partial(self._ready, name), ENOUGH_S)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def place(self, account: str, count: int, **changes: Any) -> list[str]:
        """Publish places far from the market; their client order ids."""
        made = []
        for _ in range(count):
            self._signals += 1
            given: dict[str, Any] = {
                "account": account, "strategy": "flood", "signal_id": f"s{self._signals}",
                "signal_time": datetime.now(UTC), "symbol": "BTC/USDT", "side": "buy", "type": "limit",
                "quantity": Decimal("0.001"), "price": Decimal(30_000), **changes,
            }  # fmt: skip
            made.append(Place(**given))
        found = await IntentProducer(self.redis).publish(made)
        return [one.client_order_id for one in found if isinstance(one, Receipt)]

    async def cancel(self, account: str, names: Sequence[str]) -> None:
        """Publish cancels."""
        await IntentProducer(self.redis).publish([Cancel(account=account, client_order_id=one) for one in names])

    async def orders(self, account: str, names: Sequence[str]) -> list[Order]:
        """Records as they stand."""
        return [one for one in await Store(self.redis, AccountKeys(account)).orders(list(names)) if one is not None]

    async def statuses(self, account: str, names: Sequence[str]) -> list[str]:
        """Of these orders."""
        return [one.status for one in await self.orders(account, names)]

    async def until(self, account: str, names: Sequence[str], *wanted: str) -> None:
        """Wait until all of these have one of these statuses."""

        async def reached() -> bool:
            return set(await self.statuses(account, names)) <= set(wanted)

        await wait_until_async(reached, ENOUGH_S)

    async def _ready(self, account: str) -> bool:
        gate = await Scripts(self.redis, AccountKeys(account)).gate()
        return gate.is_open and not gate.waits_for


async def test_a_flood_is_placed_as_the_venue_allows_it_while_cancels_go_out(redis: Redis, redis_url: str) -> None:
    """No request is one too many; what waited longer than it was valid expired; cancels overtook those that wait."""
    limits = Limits(weight_1m=6_000, orders_10s=ORDERS_10S)
    async with Deployment(redis, redis_url, limits, 1) as it:
        [account] = it.accounts
        resting = await it.place(account, 3)
        await it.until(account, resting, "open")
        flood = await it.place(account, NEW + 4)
        # More than two windows hold, and no more than two can begin or end while they are valid.
        soon = datetime.now(UTC) + timedelta(seconds=1)
        hopeless = await it.place(account, 2 * NEW + 1, valid_until=soon)
        await it.cancel(account, resting)
        await it.until(account, resting, "cancelled")
        assert {"created", "submitting"} & set(await it.statuses(account, flood + hopeless))
        await it.until(account, hopeless, "open", "expired")
        await it.until(account, flood, "open")
        assert "expired" in await it.statuses(account, hopeless)
        assert it.venue.meter.refused == 0


async def test_accounts_behind_one_address_share_what_is_counted_by_address_alone(redis: Redis, redis_url: str) -> None:
    """Each has its own count of orders, by websocket as by REST; the weight of both is one."""
    limits = Limits(weight_1m=6_000, orders_10s=ORDERS_10S)
    async with Deployment(redis, redis_url, limits, 2, "ws") as it:
        names = {account: await it.place(account, NEW) for account in it.accounts}
        for account, placed in names.items():
            await it.until(account, placed, "open")
        assert it.venue.meter.refused == 0
        shown = [await read_figures(redis, account, it.egress) for account in it.accounts]
        weights = [one["budgets"][0] for one in shown]
        assert weights[0]["budget"].endswith("weight/1m")
        assert weights[0]["counted_by"] == f"egress {it.egress}"
        assert all(one["left"] < one["limit"] == 6_000 for one in weights)
