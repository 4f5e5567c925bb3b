"""Which send windows are open: what a halt has to wait for."""

from typing import Any

from redis.asyncio import Redis

from streams.keys import AccountKeys

PAGE = 500


async def open_until_ms(redis: Redis, keys: AccountKeys, at_ms: int, longest_ms: int) -> int:
    """Find the end of the last send window that a claim made before `at_ms` opened, whatever the order's status.

    Args:
        redis: any connection.
        keys: whose orders.
        at_ms: the server's clock at the fence; no window is opened after it.
        longest_ms: the longest window; an order that ended before so long cannot have an open one.

    Returns:
        The server's time; `at_ms` when nothing is out.
    """
    names: Any = await redis.zrange(keys.live, 0, -1)
    names += await redis.zrangebyscore(keys.ended, at_ms - longest_ms, "+inf")
    until_ms = at_ms
    for start in range(0, len(names), PAGE):
        pipe = redis.pipeline(transaction=False)
        for name in names[start : start + PAGE]:
            pipe.hget(keys.order(name.decode()), "send_by")
        until_ms = max([until_ms, *(int(send_by) for send_by in await pipe.execute() if send_by)])
    # Claims read here were fixed before the fence, so none can be later than this.
    return min(until_ms, at_ms + longest_ms)
