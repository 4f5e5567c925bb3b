"""A known intent is answered with its order as it stands, by whoever and whenever it is published again."""

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from adapters.binance.decode import STREAM_FORMAT, decode
from consumers.folding import Rules
from consumers.ledger import Ledger, LedgerSettings
from streams.codec import encode_text
from streams.errors import IntentConflict
from streams.producer import IntentProducer, publish_item
from streams.schemas import Place
from streams.server import EmbeddedServer
from tests.flow import INFO, LEASE_MS, Bench, execution, place

pytestmark = pytest.mark.slow
LONG_MS = 29 * 86_400_000  # a day before a record leaves

_AGAIN = """
import asyncio, sys
from streams.codec import decode_intent
from streams.connection import connect
from streams.producer import IntentProducer
async def main():
    redis = connect(sys.argv[1], name="again")
    receipt = await IntentProducer(redis, timeout_ms=10_000).place(decode_intent(sys.argv[2].encode()))
    print(receipt.client_order_id, receipt.duplicate, receipt.order.status, receipt.order.state.filled)
    await redis.aclose()
asyncio.run(main())
"""


async def test_an_intent_of_long_ago_is_answered_with_its_order_by_another_process_on_a_restarted_server(
    tmp_path: Path,
) -> None:
    """Filled, 29 days old, the server a new run: `duplicate` and the filled order; other content is a conflict."""
    server = EmbeddedServer(tmp_path)
    async with server:
        account = "sim.answers"
        async with Redis.from_url(server.url) as redis:
            bench = await Bench(redis, account).open()
            terms = place(account)
            name = await _filled(bench, terms)
            ended = float(await redis.zscore(bench.keys.ended, name) or 0)
            await redis.zadd(bench.keys.ended, {name: ended - LONG_MS})
        await server.stop()
        await server.start()
        async with Redis.from_url(server.url) as redis:
            again = await Bench(redis, account).open()
            assert await _again(server.url, terms) == [name, "True", "filled", "1"]
            other = place(account, quantity=terms.quantity * 2, signal_time=terms.signal_time)
            with pytest.raises(IntentConflict) as refused:
                await IntentProducer(redis).place(other)
            assert (refused.value.stored, refused.value.given) == (_print(terms), _print(other))
            assert await redis.xlen(again.keys.intents) == 1


async def _filled(bench: Bench, terms: Place) -> str:
    _, claim = await bench.claimed(terms)
    name = claim.order.client_order_id
    await bench.say(execution(7, 1, name, l="1", z="1", X="FILLED"), form=STREAM_FORMAT)
    rules = Rules(resubmission_allowed=True, calm_ms=1_000)
    await Ledger(
        redis=bench.redis, reader=bench.ledger_reader(), keys=bench.keys, decode=decode,
        settings=LedgerSettings(holder="test", lease_ms=LEASE_MS, rules=rules), clock=bench.clock,
    ).run(burst=True)  # fmt: skip
    assert (await bench.order(name)).status == "filled"
    return name


async def _again(url: str, terms: Place) -> list[str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _AGAIN, url, encode_text(terms), stdout=subprocess.PIPE
    )
    said, _ = await process.communicate()
    return said.decode().split()


def _print(terms: Place) -> Any:
    return publish_item(terms, INFO).fingerprint
