"""The ground of every benchmark: an embedded server in a temporary directory, an account with an open gate."""

import tempfile
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from redis.asyncio import Redis

from adapters.binance.facts import FACTS
from streams.connection import connect
from streams.instrument import Instrument, tabulate
from streams.keys import AccountKeys
from streams.schemas import AccountInfo, Place
from streams.scripts import Scripts
from streams.server import EmbeddedServer
from streams.server_config import Fsync
from streams.store import register

Tell = Callable[[str], None]
"""Takes what a benchmark is at, for somebody who waits."""

ACCOUNT = "binance.bench"
INFO = AccountInfo(venue="binance", id_rule=FACTS.id_rule)
VALID_FOR = timedelta(days=30)
# A server that 1,000 others want at this moment is slow and not away.
TIMEOUT_MS = 60_000

INSTRUMENTS = tabulate(
    [
        Instrument(
            symbol="BTC/USDT", venue_symbol="BTCUSDT", base="BTC", quote="USDT", tick=Decimal("0.01"),
            lot=Decimal("0.00001"), quantity_min=Decimal("0.00001"), notional_min=Decimal(5),
        )
    ]
)  # fmt: skip


@asynccontextmanager
async def served(fsync: Fsync = "always", extra: Mapping[str, str] | None = None) -> AsyncIterator[EmbeddedServer]:
    """Run a server for one benchmark and remove what it wrote; `extra` are more of its directives."""
    with tempfile.TemporaryDirectory(prefix="fillonce-bench-") as folder:
        async with EmbeddedServer(Path(folder), fsync=fsync, extra=extra) as server:
            yield server


@asynccontextmanager
async def client(url: str, name: str, *, single: bool = True) -> AsyncIterator[Redis]:
    """Open one connection, as a producer has it; or a pool."""
    redis = connect(url, name=name, timeout_ms=TIMEOUT_MS, single=single)
    try:
        yield redis
    finally:
        await redis.aclose()


async def open_account(redis: Redis, account: str = ACCOUNT) -> None:
    """Register an account and declare it reconciled with this server's history."""
    await register(redis, account, INFO, list(INSTRUMENTS.by_symbol.values()), INSTRUMENTS.version)
    await open_gate(redis, account)


async def open_gate(redis: Redis, account: str = ACCOUNT) -> None:
    """Declare an account reconciled with this server's history."""
    scripts = Scripts(redis, AccountKeys(account))
    await scripts.open_gate((await scripts.gate()).history)


def place(number: int, account: str = ACCOUNT) -> Place:
    """Make the intent of one number: a limit order for 1 BTC at 50,000."""
    now = datetime.now(UTC).replace(microsecond=0)
    return Place(
        account=account, strategy="bench", signal_id=f"s{number}", signal_time=now, valid_until=now + VALID_FOR,
        symbol="BTC/USDT", side="buy", type="limit", quantity=Decimal(1), price=Decimal(50_000),
    )  # fmt: skip


def rows(reply: Any) -> list[Any]:
    """Give the rows of one stream's XREADGROUP, in either protocol's shape; none when nothing came."""
    if isinstance(reply, dict):
        return [row for pages in reply.values() for page in pages for row in page]
    return [row for _, page in reply or () for row in page]
