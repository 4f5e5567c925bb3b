"""A server that loses its last writes, one account of it: what it held once is put back."""

from collections.abc import Collection
from typing import Any

from streams.keys import AccountKeys

Kept = dict[bytes, Any]


async def keep(redis: Any, account: str) -> Kept:
    """Dump the account, so that the server can lose what comes after."""
    return {key: await redis.dump(key) for key in await _keys(redis, account)}


async def restore(redis: Any, account: str, kept: Kept, but: Collection[str] = ()) -> None:
    """Let the server lose everything since `kept`, but for some keys."""
    spared = {key.encode() for key in but}
    for key in await _keys(redis, account):
        if key not in spared:
            await redis.delete(key)
    for key, value in kept.items():
        if key not in spared:
            await redis.restore(key, 0, value)


async def _keys(redis: Any, account: str) -> list[bytes]:
    prefix = AccountKeys(account).intents.removesuffix("intents")
    return [key async for key in redis.scan_iter(match=f"{prefix}*", count=1_000)]
