"""Waiting for what becomes of an order: the journal says when to look, the record says how it stands."""

import asyncio
from typing import Any, Literal

import msgspec
from redis.asyncio import Redis
from redis.exceptions import RedisError

from streams import events
from streams.keys import AccountKeys
from streams.schemas import TERMINAL, Order, OrderStatus
from streams.store import Store
from streams.tasks import end
from streams.wire import stream_rows

# `working`: the venue has it. `ended`: filled, cancelled, rejected or expired.
Until = OrderStatus | Literal["working", "ended"]

BLOCK_MS = 500
PAUSE_S = 0.05
COUNT = 500


def reached(order: Order, until: Until) -> bool:
    """Whether an order stands as was waited for, or has ended, after which nothing else will come."""
    if order.status in TERMINAL:
        return True
    return order.status == until or (until == "working" and order.status in ("open", "partially_filled"))


class Watch:
    """Follows the journals of accounts for as long as somebody waits."""

    def __init__(self, redis: Redis) -> None:
        """Bind it; nothing is sent and no connection is made before somebody waits."""
        self._redis = redis
        self._followers: dict[str, _Follower] = {}

    async def order(self, account: str, client_order_id: str, until: Until, timeout_s: float | None) -> Order:
        """Wait for an order.

        Raises:
            TimeoutError: it stands otherwise; the sentence says how.
        """
        follower = self._followers.setdefault(account, _Follower(self._redis, AccountKeys(account)))
        store, seen = Store(self._redis, AccountKeys(account)), "not known"
        try:
            async with asyncio.timeout(timeout_s), follower.following(client_order_id) as changed:
                while True:
                    await changed.wait()
                    changed.clear()
                    try:
                        [order] = await store.orders([client_order_id])
                    except (RedisError, OSError):
                        changed.set()
                        await asyncio.sleep(PAUSE_S)
                        continue
                    if order is not None:
                        if reached(order, until):
                            return order
                        seen = order.status
        except TimeoutError:
            raise TimeoutError(
                f"Order {client_order_id} is {seen} after {timeout_s:g} s, not {until}; it goes on all the same."
            ) from None

    async def close(self) -> None:
        """Stop following."""
        for one in self._followers.values():
            await one.stop()


class _Follower:
    """Reads one journal from its present end, and wakes who waits for an order that an entry names."""

    def __init__(self, redis: Redis, keys: AccountKeys) -> None:
        self._redis, self._keys = redis, keys
        self._waiting: dict[str, list[asyncio.Event]] = {}
        self._task: asyncio.Task[None] | None = None

    def following(self, client_order_id: str) -> "_Following":
        return _Following(self, client_order_id)

    def add(self, client_order_id: str) -> asyncio.Event:
        changed = asyncio.Event()
        self._waiting.setdefault(client_order_id, []).append(changed)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._follow())
        else:
            changed.set()  # it follows already: what it reads from now on comes after the look at the record
        return changed

    async def remove(self, client_order_id: str, changed: asyncio.Event) -> None:
        waiting = self._waiting[client_order_id]
        waiting.remove(changed)
        if not waiting:
            del self._waiting[client_order_id]
        if not self._waiting:
            await self.stop()

    async def stop(self) -> None:
        task, self._task = self._task, None
        if task is not None:
            await end([task])

    async def _follow(self) -> None:
        """Read on until stopped; after a lost connection everybody looks again."""
        pool = self._redis.connection_pool
        own: Redis = Redis(
            connection_pool=type(pool)(connection_class=pool.connection_class, **pool.connection_kwargs),
            single_connection_client=True,
        )
        try:
            while True:
                try:
                    await self._read(own)
                except (RedisError, OSError):
                    await asyncio.sleep(PAUSE_S)
        finally:
            await own.aclose()

    async def _read(self, redis: Redis) -> None:
        tip: Any = await redis.xrevrange(self._keys.events, count=1)
        last = tip[0][0] if tip else b"0-0"
        self._wake(self._waiting)
        while True:
            reply: Any = await redis.xread({self._keys.events: last}, count=COUNT, block=BLOCK_MS)
            for rows in stream_rows(reply):
                for entry, fields in rows:
                    last = entry
                    self._wake(_named(fields.get(b"data", b"")))

    def _wake(self, names: Any) -> None:
        for name in list(names):
            for changed in self._waiting.get(name, ()):
                changed.set()


class _Following:
    def __init__(self, follower: _Follower, client_order_id: str) -> None:
        self._follower, self._name = follower, client_order_id

    async def __aenter__(self) -> asyncio.Event:
        self._changed = self._follower.add(self._name)
        return self._changed

    async def __aexit__(self, *_: object) -> None:
        await self._follower.remove(self._name, self._changed)


def _named(data: bytes) -> set[str]:
    try:
        entry = events.decode(data)
    except msgspec.MsgspecError:
        return set()
    return {getattr(change, "client_order_id", "") for change in entry.changes}
