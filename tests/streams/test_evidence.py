"""Writing evidence: in order, with its bytes, and bounded a call."""

from typing import Any

from redis.asyncio import Redis

from streams import codec
from streams.evidence import APPEND_MAX, append
from streams.keys import AccountKeys
from streams.schemas import Evidence


async def test_payloads_are_stored_byte_for_byte_in_the_order_they_were_given(redis: Redis, account: str) -> None:
    """More than one pipeline holds, with bytes that are no text."""
    keys = AccountKeys(account)
    rows = [
        (Evidence(source="stream", received_at_ns=n, format="f", connection="c"), bytes([n % 256, 0, 255]))
        for n in range(APPEND_MAX + 50)
    ]
    await append(redis, keys, rows)
    stored: Any = await redis.xrange(keys.evidence)
    assert [(codec.decode_evidence(fields[b"data"]), fields[b"raw"]) for _, fields in stored] == rows


async def test_nothing_to_say_writes_nothing(redis: Redis, account: str) -> None:
    """An empty look-up leaves no entry."""
    await append(redis, AccountKeys(account), [])
    assert not await redis.exists(AccountKeys(account).evidence)
