"""Writing evidence: what the venue said, raw, in one stream. Saying it twice does no harm, losing it would."""

from collections.abc import Sequence

from redis.asyncio import Redis

from streams import codec
from streams.keys import AccountKeys
from streams.schemas import Evidence

# One pipeline of an outage's backfill; the server answers others in between.
APPEND_MAX = 200


async def append(redis: Redis, keys: AccountKeys, rows: Sequence[tuple[Evidence, bytes]]) -> list[str]:
    """Append payloads in order.

    Args:
        redis: any connection.
        keys: whose evidence.
        rows: what is known of each payload, and its bytes.

    Returns:
        The entries' ids, in order.
    """
    entries: list[str] = []
    for start in range(0, len(rows), APPEND_MAX):
        pipe = redis.pipeline(transaction=False)
        for evidence, raw in rows[start : start + APPEND_MAX]:
            pipe.xadd(keys.evidence, {"data": codec.encode(evidence), "raw": raw})
        entries += [entry.decode() for entry in await pipe.execute()]
    return entries
