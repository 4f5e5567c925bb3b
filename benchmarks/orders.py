"""Orders on their way to the venue, made as the pipeline makes them, and the fills the venue then reports.

Published by the producer, read, prepared, claimed and settled with the calls of a gateway; only the venue's answer is
written here instead of asked for. A ledger that applies the answers has orders that are open and mapped.
"""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import orjson
from msgspec import Struct
from redis.asyncio import Redis

from adapters.binance.decode import ORDER_FORMAT, STREAM_FORMAT
from adapters.binance.facts import FACTS
from benchmarks.backlog_entries import AT_MS, INTERLEAVED, Fields, report
from benchmarks.ground import ACCOUNT, INFO, INSTRUMENTS, place
from benchmarks.workers import settings
from consumers import garbage
from consumers.ledger import Ledger
from consumers.prepare import Prepared, prepare
from consumers.roles import RoleName, Task, Workshop, build
from streams import codec
from streams.clock import SystemClock
from streams.keys import GATEWAYS, AccountKeys
from streams.plans import Claimed, ClaimItem
from streams.producer import FIRST_LOOK_MS, IntentProducer
from streams.reader import Reader
from streams.schemas import Accepted, Command, Evidence
from streams.scripts import Scripts

WINDOW_MS = 60_000
SIDE_BY_SIDE = 32
FEED_PAGE = 500
PER_ORDER = 2  # fills


class Named(Struct, frozen=True):
    """One order: ours and the venue's name of it, which is also its number."""

    client_order_id: str
    number: int


def workshop(url: str, role: RoleName, account: str = ACCOUNT, **changes: Any) -> Workshop:
    """Everything a role process of this account holds, with the default settings but for `changes`."""
    return Workshop(Task(role=role, account=account), settings(url, account, **changes), {})


@asynccontextmanager
async def ledger(url: str, account: str = ACCOUNT) -> AsyncIterator[Ledger]:
    """Build the ledger of an account as its worker process does."""
    shop = workshop(url, "ledger", account)
    try:
        role = await build(shop)
        assert isinstance(role, Ledger)
        garbage.freeze()
        yield role
    finally:
        await shop.close()


async def submit(pool: Redis, numbers: Sequence[int], account: str = ACCOUNT) -> list[Named]:
    """Publish, claim and settle one order for each number; the venue's answers are in `evidence` then.

    Args:
        pool: a client for concurrent callers.
        numbers: of the intents (`ground.place`), and the venue's order ids.
        account: whose orders.
    """
    keys, scripts, clock = AccountKeys(account), Scripts(pool, AccountKeys(account)), SystemClock()
    await IntentProducer(pool, timeout_ms=60_000, remembers_max=1).publish([place(one, account) for one in numbers])
    reader = Reader(pool, keys.intents, GATEWAYS, "bench", count=128, claim_idle_ms=WINDOW_MS, clock=clock)
    named: list[Named] = []
    waiting = iter(numbers)
    async for entries in reader.batches(burst=True):
        made = [prepare(entry, account, INFO, FACTS, INSTRUMENTS) for entry in entries]
        items = [
            msgspec.structs.replace(one.item, token=secrets.token_urlsafe(12))
            for one in made
            if isinstance(one, Prepared)
        ]
        verdicts = await scripts.claim(items, "bench", WINDOW_MS, FIRST_LOOK_MS)
        assert all(isinstance(one, Claimed) for one in verdicts), "a claim was refused"
        batch = [Named(item.client_order_id, next(waiting)) for item in items]
        await _settle(scripts, list(zip(items, batch, strict=True)))
        named += batch
    return named


async def _settle(scripts: Scripts, claimed: Sequence[tuple[ClaimItem, Named]]) -> None:
    for start in range(0, len(claimed), SIDE_BY_SIDE):
        await asyncio.gather(*(_settle_one(scripts, *one) for one in claimed[start : start + SIDE_BY_SIDE]))


async def _settle_one(scripts: Scripts, item: ClaimItem, order: Named) -> None:
    command = Command(client_order_id=item.client_order_id, token=item.token, outcome=Accepted())
    evidence = Evidence(source="answer", format=ORDER_FORMAT, received_at_ns=time.time_ns(), command=command)
    settled = await scripts.settle(
        client_order_id=item.client_order_id, entry=item.entry, token=item.token, command="place",
        evidence=codec.encode(evidence), raw=_answer(order),
    )  # fmt: skip
    assert settled, "a claim was not settled"


def _answer(order: Named) -> bytes:
    """Binance's answer to a new order (`newOrderRespType` FULL) that rests."""
    return orjson.dumps(
        {
            "symbol": "BTCUSDT", "orderId": order.number, "orderListId": -1, "clientOrderId": order.client_order_id,
            "transactTime": AT_MS + order.number, "price": "50000.00000000", "origQty": "1.00000000",
            "executedQty": "0.00000000", "origQuoteOrderQty": "0.00000000", "cummulativeQuoteQty": "0.00000000",
            "status": "NEW", "timeInForce": "GTC", "type": "LIMIT", "side": "BUY", "workingTime": AT_MS + order.number,
            "fills": [], "selfTradePreventionMode": "NONE",
        }
    )  # fmt: skip


def fills(orders: Sequence[Named]) -> Iterator[bytes]:
    """Yield the frames of `PER_ORDER` fills of each order, sixty-four orders interleaved."""
    for start in range(0, len(orders), INTERLEAVED):
        for last in (False, True):
            for order in orders[start : start + INTERLEAVED]:
                yield frame(order, order.number * PER_ORDER + last, last=last)


def frame(order: Named, trade_id: int, *, last: bool) -> bytes:
    """Make the frame of one fill: the first 0.4 of 1 BTC, or the last 0.6; each order at a price and a fee of its own.

    Amounts that are alike are read once.
    """
    price, fee = f"{50_000 + order.number % 10_000 / 100:.8f}", f"{(order.number % 1_000 + 1) / 10**8:.8f}"
    changes = {"l": "0.60000000", "z": "1.00000000", "X": "FILLED"} if last else {"l": "0.40000000", "z": "0.40000000"}
    return orjson.dumps(
        report(
            order.number, order.client_order_id, t=trade_id, n=fee, N="BNB", q="1.00000000", p="50000.00000000",
            L=price, **changes,
        )
    )  # fmt: skip


def entry(raw: bytes) -> Fields:
    """Make the entry of `evidence` that the listener writes for a frame."""
    said_by = Evidence(source="stream", format=STREAM_FORMAT, received_at_ns=time.time_ns(), connection="0123456789ab")
    return {"data": codec.encode(said_by), "raw": raw}


async def feed(redis: Redis, stream: str, entries: Iterable[Fields]) -> int:
    """Append entries to a stream; how many."""
    pipe, written = redis.pipeline(transaction=False), 0
    for fields in entries:
        pipe.xadd(stream, fields)  # type: ignore[arg-type]  # redis-py's dict type is invariant
        written += 1
        if written % FEED_PAGE == 0:
            await pipe.execute()
    await pipe.execute()
    return written
