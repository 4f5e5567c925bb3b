"""Reading what is stored: orders, positions, the registry, and the figures `status` shows. Never writes state."""

from collections.abc import Awaitable, Sequence
from decimal import Decimal
from typing import Any, cast

import msgspec
from redis.asyncio import Redis

from streams.holdings import Holdings
from streams.instrument import Instrument
from streams.keys import ACCOUNTS, GATEWAYS, LEDGERS, AccountKeys
from streams.record import FIELDS, to_order, to_position
from streams.schemas import AccountInfo, Order, Position

_account_info = msgspec.json.Decoder(AccountInfo)
_instrument = msgspec.json.Decoder(Instrument)
PAGE = 500


class Store:
    """Reads of one account."""

    def __init__(self, redis: Redis, keys: AccountKeys) -> None:
        """Bind it to a connection."""
        self._redis, self._keys = redis, keys

    async def orders(self, client_order_ids: Sequence[str]) -> list[Order | None]:
        """Read records, in one round trip."""
        pipe = self._redis.pipeline(transaction=False)
        for one in client_order_ids:
            pipe.hmget(self._keys.order(one), FIELDS)
        rows = await pipe.execute()
        return [to_order(self._keys.account, one, row) for one, row in zip(client_order_ids, rows, strict=True)]

    async def all_orders(self) -> list[Order]:
        """Read every record of the account; for people and audits, not for a hot path."""
        prefix = self._keys.order("")
        ids = [
            self._keys.order_id(key) async for key in self._redis.scan_iter(match=_literal(prefix) + "*", count=PAGE)
        ]
        found: list[Order] = []
        for start in range(0, len(ids), PAGE):
            found += [order for order in await self.orders(ids[start : start + PAGE]) if order is not None]
        return found

    async def positions(self) -> dict[str, Position]:
        """Read every position, by symbol (`BTC/USDT`, or `BTC/USDT:USDT:long` at venues with two sides)."""
        prefix = self._keys.position("")
        keys = sorted(key.decode() for key in await _answer(self._redis.smembers(self._keys.positions)))
        pipe = self._redis.pipeline(transaction=False)
        for key in keys:
            pipe.hmget(key, ("state", "digest"))
        rows = await pipe.execute() if keys else []
        return {key.removeprefix(prefix): to_position(row)[0] for key, row in zip(keys, rows, strict=True)}

    async def position(self, key: str) -> tuple[Position, str]:
        """Read one position by its key, with its digest."""
        return to_position(await _answer(self._redis.hmget(key, ["state", "digest"])))

    async def booked(self, adjustment_id: str) -> bool:
        """Say whether an adjustment was booked."""
        return bool(await _answer(self._redis.hexists(self._keys.holdings, f":{adjustment_id}")))

    async def holdings(self) -> dict[str, Decimal]:
        """Read what the account holds beside its fills, by asset; empty before an opening was recorded."""
        return dict((await self.all_holdings()).amounts)

    async def all_holdings(self) -> Holdings:
        """Read what the account holds beside its fills, with the names of everything that was booked of it."""
        rows = await _answer(self._redis.hgetall(self._keys.holdings))
        return Holdings(
            {name.decode(): Decimal(held.decode()) for name, held in rows.items() if not name.startswith(b":")},
            frozenset(name[1:].decode() for name in rows if name.startswith(b":")),
        )

    async def due(self, now_ms: int, count: int) -> list[str]:
        """Name the orders whose next look is due."""
        rows: Any = await self._redis.zrangebyscore(self._keys.live, "-inf", now_ms, start=0, num=count)
        return [row.decode() for row in rows]

    async def count(self) -> int:
        """Count the orders that have a record."""
        return int(await self._redis.zcard(self._keys.live)) + int(await self._redis.zcard(self._keys.ended))

    async def ended(self, until_ms: int, count: int) -> list[str]:
        """Name orders whose last commit was before a moment of the server's clock, oldest first."""
        rows: Any = await self._redis.zrangebyscore(self._keys.ended, "-inf", until_ms, start=0, num=count)
        return [row.decode() for row in rows]

    async def live_statuses(self) -> dict[str, int]:
        """Count by status the orders that somebody still looks after; the ended ones are not read."""
        ids: Any = await self._redis.zrange(self._keys.live, 0, -1)
        counts: dict[str, int] = {}
        for start in range(0, len(ids), PAGE):
            pipe = self._redis.pipeline(transaction=False)
            for one in ids[start : start + PAGE]:
                pipe.hget(self._keys.order(one.decode()), "status")
            for status in await pipe.execute():
                if status is not None:
                    counts[status.decode()] = counts.get(status.decode(), 0) + 1
        return counts

    async def now_ms(self) -> int:
        """Ask the server's clock."""
        seconds, micros = await self._redis.time()
        return int(seconds) * 1000 + int(micros) // 1000

    async def instruments(self) -> list[Instrument]:
        """Read the instruments that were loaded from the venue."""
        rows = await _answer(self._redis.hgetall(self._keys.instruments))
        return [_instrument.decode(row) for field, row in rows.items() if field != b"version"]

    async def backlog(self) -> dict[str, dict[str, int]]:
        """Length, lag and pending entries of the account's two working streams."""
        return {
            "intents": await group_backlog(self._redis, self._keys.intents, GATEWAYS),
            "evidence": await group_backlog(self._redis, self._keys.evidence, LEDGERS),
        }

    async def parked(self) -> list[tuple[str, int, int]]:
        """List parked orders: key's last part (`BTCUSDT:123`), executions waiting, server ms since they wait."""
        prefix = self._keys.parked("", "").removesuffix(":")
        rows: Any = await self._redis.zrange(self._keys.parked_index, 0, -1, withscores=True)
        return [
            (key.decode().removeprefix(prefix), await _answer(self._redis.hlen(key)), int(since)) for key, since in rows
        ]


async def group_backlog(redis: Redis, stream: str, group: str) -> dict[str, int]:
    """Length, lag and pending entries of one stream and one group."""
    length = await redis.xlen(stream)
    groups: Any = await redis.xinfo_groups(stream) if length else []
    row: dict[str, Any] = next((one for one in groups if one["name"] == group.encode()), {})
    lag = row.get("lag")
    return {
        "length": length,
        # Before a group exists, everything is still to be read.
        "lag": length if not row or lag is None else int(lag),
        "pending": int(row.get("pending", 0)),
    }


async def register(
    redis: Redis, account: str, info: AccountInfo, instruments: Sequence[Instrument], version: str
) -> None:
    """Tell producers of an account: its id rule, and what can be traded."""
    keys = AccountKeys(account)
    pipe = redis.pipeline(transaction=True)
    pipe.delete(keys.instruments)
    table: dict[Any, Any] = {one.symbol: msgspec.json.encode(one) for one in instruments}
    pipe.hset(keys.instruments, mapping={**table, "version": version})
    await pipe.execute()
    await _answer(redis.hset(ACCOUNTS, account, msgspec.json.encode(info).decode()))


async def registered(redis: Redis, account: str) -> bool:
    """Say whether the server knows the account and what can be traded there."""
    pipe = redis.pipeline(transaction=False)
    pipe.hexists(ACCOUNTS, account)
    pipe.hexists(AccountKeys(account).instruments, "version")
    return all(await pipe.execute())


async def instruments_version(redis: Redis, keys: AccountKeys) -> str:
    """Read which version of the instruments is registered."""
    version: bytes = await _answer(redis.hget(keys.instruments, "version")) or b""
    return version.decode()


async def accounts(redis: Redis) -> dict[str, AccountInfo]:
    """Read the registry."""
    rows = await _answer(redis.hgetall(ACCOUNTS))
    return {name.decode(): _account_info.decode(info) for name, info in rows.items()}


def _literal(pattern: str) -> str:
    """Escape what SCAN would take for a pattern."""
    return "".join(f"\\{sign}" if sign in "*?[]\\" else sign for sign in pattern)


async def _answer(reply: Awaitable[Any] | Any) -> Any:
    """Await what redis-py declares as `Awaitable | value`."""
    return await cast("Awaitable[Any]", reply)
