"""Drain a backlog with a real ledger, once undisturbed and once killed on the way: `python -m benchmarks.backlog`.

Orders and evidence are written once; the data directory is then copied, so that both runs start from the same bytes and
their states can be compared byte for byte.
"""

import argparse
import asyncio
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, Self

import orjson
from msgspec import Struct
from redis.asyncio import Redis

from benchmarks.backlog_entries import PER_ORDER, entries
from benchmarks.ground import ACCOUNT, client, open_account, open_gate, place
from streams.keys import LEDGERS, AccountKeys
from streams.producer import IntentProducer, Receipt
from streams.rebuild import digest
from streams.server import EmbeddedServer
from streams.store import Store
from streams.verify import stored, verify

ENTRIES: Final = 200_000
KILLS: Final = 2
FEED_PAGE: Final = 2_000
LOOK_S: Final = 0.02
DRAIN_MAX_S: Final = 1_800
LEASE_MS: Final = 500
KEYS: Final = AccountKeys(ACCOUNT)


class Drained(Struct, frozen=True, kw_only=True):
    """How a run went and where it ended.

    Attributes:
        seconds: from the first start of the ledger to the last acknowledged entry.
        left_at_kills: entries not yet acknowledged each time the ledger was killed on the way.
        hash: of the whole state but for the digests, which tell how its evidence fell into batches.
        good: whether the state is the fold of its journal.
        position: what the fills add up to; every order is for 1.
        filled: orders whose status is `filled`.
        quarantined: entries in quarantine.
        left: entries neither read nor acknowledged.
    """

    seconds: float
    left_at_kills: tuple[int, ...]
    hash: str
    good: bool
    position: Decimal
    orders: int
    filled: int
    quarantined: int
    left: int


def feed(folder: Path, count: int) -> int:
    """Write orders and a backlog of about `count` entries into a new data directory; how many entries."""
    return asyncio.run(_feed(folder, count))


def drain(folder: Path, kills: int) -> Drained:
    """Drain a data directory's backlog, killing the ledger at equal parts of the way."""
    return asyncio.run(_drain(folder, kills))


async def _feed(folder: Path, count: int) -> int:
    async with EmbeddedServer(folder) as server, client(server.url, "backlog-feed") as redis:
        await open_account(redis)
        receipts = await IntentProducer(redis, timeout_ms=600_000).publish(
            [place(number) for number in range(count // PER_ORDER)]
        )
        names = [one.client_order_id for one in receipts if isinstance(one, Receipt)]
        pipe, written = redis.pipeline(transaction=False), 0
        for fields in entries(names):
            pipe.xadd(KEYS.evidence, fields)  # type: ignore[arg-type]  # redis-py's dict type is invariant
            written += 1
            if written % FEED_PAGE == 0:
                await pipe.execute()
        await pipe.execute()
        await redis.xgroup_create(KEYS.evidence, LEDGERS, id="0", mkstream=True)
        return written


async def _drain(folder: Path, kills: int) -> Drained:
    async with EmbeddedServer(folder) as server, client(server.url, "backlog-drain") as redis:
        await open_gate(redis)
        total, began, left_at_kills = await _left(redis), time.monotonic(), list[int]()
        for number in range(kills):
            with _Ledger(server.url) as ledger:
                await _until_left(redis, total * (kills - number) // (kills + 1), ledger)
                ledger.kill()
                left_at_kills.append(await _left(redis))
        with _Ledger(server.url) as ledger:
            await _until_left(redis, 0, ledger)
            seconds = time.monotonic() - began
            ledger.stop()
        found = await verify(redis, KEYS)
        hashes, texts = await stored(redis, KEYS)
        told = {key: {name: value for name, value in row.items() if name != "digest"} for key, row in hashes.items()}
        return Drained(
            seconds=seconds, left_at_kills=tuple(left_at_kills), hash=digest(told, texts), good=found.good,
            position=(await Store(redis, KEYS).positions())["BTC/USDT"].quantity, orders=found.orders,
            filled=await _filled(redis), quarantined=int(await redis.xlen(KEYS.quarantine)), left=await _left(redis),
        )  # fmt: skip


class _Ledger:
    """A ledger as a process of its own, as an operator starts it."""

    def __init__(self, url: str) -> None:
        env = {name: value for name, value in os.environ.items() if not name.startswith("FILLONCE_")}
        env |= {
            "FILLONCE_REDIS_URL": url,
            "FILLONCE_LEASE_MS": str(LEASE_MS),
            "FILLONCE_ACCOUNTS": orjson.dumps({ACCOUNT: {"symbols": ["BTC/USDT"], "environment": "testnet"}}).decode(),
            # Never used: a ledger speaks to no venue, but no role starts without keys and a place to use them.
            "FILLONCE_KEY_BINANCE_BENCH": "unused",
            "FILLONCE_SECRET_BINANCE_BENCH": "unused",
        }
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the process
        self._process = subprocess.Popen(
            [sys.executable, "-m", "consumers", "run", "ledger", "--account", ACCOUNT],
            env=env, stdin=subprocess.DEVNULL, stdout=self._errors, stderr=self._errors,
        )  # fmt: skip

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self.kill()
        self._errors.close()

    def kill(self) -> None:
        """End it as a crash does."""
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        """Let it drain and end."""
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(30)

    def check(self) -> None:
        """Fail with its last words when it has ended."""
        if self._process.poll() is not None:
            self._errors.seek(0)
            raise RuntimeError(f"the ledger ended: {self._errors.read()[-2000:].decode(errors='replace')}")


async def _until_left(redis: Redis, wanted: int, ledger: _Ledger) -> None:
    deadline = time.monotonic() + DRAIN_MAX_S
    while await _left(redis) > wanted:
        if time.monotonic() > deadline:
            raise RuntimeError(f"the backlog was not drained within {DRAIN_MAX_S} s")
        ledger.check()
        await asyncio.sleep(LOOK_S)


async def _left(redis: Redis) -> int:
    groups: Any = await redis.xinfo_groups(KEYS.evidence)
    return int(groups[0]["lag"]) + int(groups[0]["pending"])


async def _filled(redis: Redis) -> int:
    names = [key async for key in redis.scan_iter(match=f"{KEYS.order('')}*", count=FEED_PAGE)]
    filled = 0
    for start in range(0, len(names), FEED_PAGE):
        pipe = redis.pipeline(transaction=False)
        for name in names[start : start + FEED_PAGE]:
            pipe.hget(name, "status")
        filled += (await pipe.execute()).count(b"filled")
    return filled


def compare(folder: Path, count: int, kills: int) -> tuple[int, Drained, Drained]:
    """Feed, copy, drain both; entries, the undisturbed run, the killed one."""
    whole, hurt = folder / "undisturbed", folder / "killed"
    written = feed(whole, count)
    shutil.copytree(whole, hurt, ignore=shutil.ignore_patterns("*.sock", "lock"))
    return written, drain(whole, 0), drain(hurt, kills)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it and print the rates; 1 when the two states differ."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--entries", type=int, default=ENTRIES, help="about how many (default %(default)s)")
    parser.add_argument("--kills", type=int, default=KILLS, help="of the ledger on the way (default %(default)s)")
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="fillonce-backlog-") as folder:
        written, whole, hurt = compare(Path(folder), given.entries, given.kills)
    for name, run in (("undisturbed", whole), ("killed", hurt)):
        sys.stdout.write(
            f"{name}: {written:,} entries in {run.seconds:.1f} s, {written / run.seconds:,.0f}/s, "
            f"{run.filled:,} of {run.orders:,} orders filled, {run.quarantined:,} quarantined, {run.left} left, "
            f"{'good' if run.good else 'DIFFERS FROM ITS JOURNAL'}, state {run.hash[:16]}\n"
        )
    sys.stdout.write(f"entries left at each kill: {', '.join(f'{left:,}' for left in hurt.left_at_kills)}\n")
    return 0 if whole.good and hurt.good and whole.hash == hurt.hash else 1


if __name__ == "__main__":
    sys.exit(main())
