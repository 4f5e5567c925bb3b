"""Payloads into `evidence`, and each one's verdict out of the journal."""

import asyncio
import os
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from redis.asyncio import Redis

from adapters import registry
from adapters.venue import Decoder
from consumers.commands import output
from consumers.commands.connecting import NAME
from consumers.folding import Rules
from consumers.ledger import Ledger, LedgerSettings
from consumers.lookup import resubmission_allowed
from streams import codec, events
from streams.clock import SystemClock
from streams.connection import connect
from streams.instrument import Instrument
from streams.keys import LEDGERS, AccountKeys
from streams.money import ZERO
from streams.reader import Reader
from streams.schemas import AccountInfo, Adjustment, Evidence
from streams.scripts import Scripts
from streams.server import EmbeddedServer
from streams.store import register

APPEND_MAX: Final = 200
APPEND_BYTES_MAX: Final = 8 * 1024 * 1024
PAGE: Final = 500
POLL_S: Final = 0.05
# A ledger that says nothing new for so long is not there.
SILENCE_S: Final = 10.0
LEASE_MS: Final = 10_000
BATCH: Final = 128
COMMAND_TIMEOUT_MS: Final = 10_000

Row = dict[str, Any]


async def through_pipeline(redis: Redis, account: str, payloads: Sequence[Row]) -> None:
    """Append payloads to a running pipeline's account and wait for its ledger."""
    keys = AccountKeys(account)
    judge = Judge(redis, keys)
    await judge.begin()
    await append(redis, keys, payloads)
    quiet_since, left = time.monotonic(), -1
    while True:
        now_left = await judge.judge(payloads)
        if now_left == 0:
            return
        if now_left != left:
            quiet_since, left = time.monotonic(), now_left
        elif time.monotonic() - quiet_since > SILENCE_S:
            return
        await asyncio.sleep(POLL_S)


async def through_private_server(venue: str, account: str, payloads: Sequence[Row]) -> None:
    """Run payloads through a ledger of our own, on a server that goes with the command."""
    plug, keys, clock = registry.plug(venue), AccountKeys(account), SystemClock()
    with tempfile.TemporaryDirectory(prefix="fillonce-ingest-") as folder:
        # Nothing of it outlives the command, so no write needs to reach the disk.
        async with EmbeddedServer(Path(folder), fsync="everysec") as server:
            redis = connect(server.url, name=NAME, timeout_ms=COMMAND_TIMEOUT_MS)
            reading = connect(server.url, name=f"{NAME}-reader", timeout_ms=COMMAND_TIMEOUT_MS)
            try:
                scripts = Scripts(redis, keys)
                await scripts.open_gate((await scripts.gate()).history)
                info = AccountInfo(venue=plug.facts.name, id_rule=plug.facts.id_rule)
                await register(redis, account, info, _traded_by_the_venue(plug.decode, payloads), "ingest")
                judge = Judge(redis, keys)
                await judge.begin()
                await append(redis, keys, payloads)
                ledger = Ledger(
                    redis=redis,
                    reader=Reader(
                        reading, keys.evidence, LEDGERS, "ledger", count=BATCH, claim_idle_ms=LEASE_MS, clock=clock
                    ),
                    keys=keys,
                    decode=plug.decode,
                    settings=LedgerSettings(
                        holder=f"ingest-{os.getpid()}",
                        lease_ms=LEASE_MS,
                        rules=Rules(resubmission_allowed(plug.facts), LEASE_MS),
                    ),
                    clock=clock,
                )
                await ledger.run(burst=True)
                await judge.judge(payloads)
            finally:
                await reading.aclose()
                await redis.aclose()


async def append(redis: Redis, keys: AccountKeys, payloads: Sequence[Row]) -> None:
    """Append payloads in order and note the entry each became."""
    received_at_ns = time.time_ns()
    with output.progress(len(payloads), "storing payloads") as advance:
        start = 0
        while start < len(payloads):
            batch = _fitting(payloads, start)
            pipe = redis.pipeline(transaction=False)
            for one in batch:
                said = Evidence(source="ingest", format=one["kind"], received_at_ns=received_at_ns)
                pipe.xadd(keys.evidence, {"data": codec.encode(said), "raw": one["raw"]})
            for one, entry in zip(batch, await pipe.execute(), strict=True):
                one["entry"] = entry.decode()
            start += len(batch)
            advance(len(batch))


class Judge:
    """Reads the journal from a moment on and says of each entry of `evidence` what became of it."""

    def __init__(self, redis: Redis, keys: AccountKeys) -> None:
        """Bind it; `begin` marks the moment."""
        self._redis, self._keys = redis, keys
        self._after = "-"
        self._verdicts: dict[str, tuple[str, str]] = {}

    async def begin(self) -> None:
        """Take the journal's end as the moment."""
        last: Any = await self._redis.xrevrange(self._keys.events, count=1)
        self._after = f"({last[0][0].decode()}" if last else "-"

    async def judge(self, payloads: Sequence[Row]) -> int:
        """Write verdict and reason into every row that has one; how many have none yet."""
        # What is acknowledged is asked before the journal is read: its change is in the journal by then.
        open_entries, delivered = await self._open(payloads)
        await self._read()
        left = 0
        for one in payloads:
            verdict = self._verdicts.get(one["entry"])
            if verdict is None and one["entry"] not in open_entries and _at_or_before(one["entry"], delivered):
                verdict = ("repeated", "nothing in it that was not known")
            if verdict is None:
                left += 1
            else:
                one["verdict"], one["reason"] = verdict
        return left

    async def _open(self, payloads: Sequence[Row]) -> tuple[set[str], str]:
        """Name the entries that are delivered and not acknowledged, and the last one that was delivered."""
        if not payloads:
            return set(), "0-0"
        groups: Any = await self._redis.xinfo_groups(self._keys.evidence)
        group: Mapping[str, Any] = next((one for one in groups if one["name"] == LEDGERS.encode()), {})
        if not group:
            return set(), "0-0"
        found: set[str] = set()
        start, end = payloads[0]["entry"], payloads[-1]["entry"]
        while True:
            rows: Any = await self._redis.xpending_range(self._keys.evidence, LEDGERS, start, end, PAGE)
            if not rows:
                return found, group["last-delivered-id"].decode()
            found |= {row["message_id"].decode() for row in rows}
            start = f"({rows[-1]['message_id'].decode()}"

    async def _read(self) -> None:
        while True:
            rows: Any = await self._redis.xrange(self._keys.events, min=self._after, count=PAGE)
            if not rows:
                return
            for _, fields in rows:
                for change in events.decode(fields[b"data"]).changes:
                    self._take(change)
            self._after = f"({rows[-1][0].decode()}"

    def _take(self, change: events.AnyChange) -> None:
        match change:
            case events.Updated():
                for entry in change.evidence:
                    self._verdicts[entry] = ("applied", f"order is {change.status} now")
            case events.Adjusted(adjustment=adjustment):
                moved = f"position of {change.symbol}" if change.symbol else "what the account holds"
                self._verdicts[change.evidence] = ("applied", f"{adjustment.cause}: {moved} is another now")
            case events.Parked():
                self._verdicts[change.evidence] = ("parked", "its order is not known here")
            case events.Passed():
                self._verdicts[change.evidence] = ("ignored", change.reason)
            case events.Quarantined(stream="evidence"):
                self._verdicts[change.entry] = ("quarantined", change.reason)
            case _:
                pass


def _traded_by_the_venue(decode: Decoder, payloads: Sequence[Row]) -> list[Instrument]:
    """Name what the venue traded for the account: a pipeline knows every symbol, the private server knows none.

    Their own spelling is enough: nothing is sent from there, and nothing of it stays.
    """
    symbols: set[str] = set()
    for one in payloads:
        with suppress(Exception):  # a venue of somebody else's, too: the ledger says what is wrong with a payload
            facts = decode(one["kind"], one["raw"])
            closed = [fact.execution for fact in facts if isinstance(fact, Adjustment) and fact.execution]
            symbols |= {execution.venue_symbol for execution in closed}
    return [
        Instrument(symbol=name, venue_symbol=name, base=name, quote=name, tick=ZERO, lot=ZERO, quantity_min=ZERO)
        for name in sorted(symbols)
    ]


def _fitting(payloads: Sequence[Row], start: int) -> Sequence[Row]:
    size, end = 0, start
    while end < len(payloads) and end - start < APPEND_MAX and (end == start or size < APPEND_BYTES_MAX):
        size += len(payloads[end]["raw"])
        end += 1
    return payloads[start:end]


def _at_or_before(entry: str, other: str) -> bool:
    return _numbers(entry) <= _numbers(other)


def _numbers(entry: str) -> tuple[int, int]:
    time_ms, _, sequence = entry.partition("-")
    return int(time_ms), int(sequence)
