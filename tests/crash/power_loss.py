"""Power loss: a copied data directory whose append-only file ends at any byte, and what a server makes of it.

With fsync always a confirmed reply is on disk, so a real loss can only tear what was never confirmed; the cuts go
further back as well, because an earlier state must be a consistent one wherever it ends.
"""

import asyncio
import itertools
import os
import random
import shutil
import signal
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from msgspec import Struct

from streams import events
from streams.connection import connect
from streams.errors import HistoryChanged
from streams.keys import AccountKeys
from streams.producer import publish_item
from streams.schemas import AccountInfo, Execution, Place
from streams.scripts import Scripts
from streams.server import EmbeddedServer
from streams.store import Store, accounts
from streams.verify import verify
from tests.crash.lane import Lane
from tests.crash.points import Profile
from tests.flow import Bench

APPEND_ONLY = "appendonlydir"
AT_ONCE = 8  # a start waits for the disk more than for a core


class Mark(Struct, frozen=True):
    """A journal entry that a reply confirmed when the file had this size."""

    size: int
    entry: str


class Loss(Struct, frozen=True, kw_only=True):
    """A data directory as it was, and what was confirmed by then.

    Attributes:
        folder: the copy; `cut` copies it again.
        account: that traded.
        began: size of the file when trading began.
        asked: size when the last call was sent, after which nothing was confirmed but that call.
        size: of the whole file.
        marks: what was confirmed on the way.
        journal: every entry id.
        probe: an intent to try to trade with.
    """

    folder: Path
    account: str
    began: int
    asked: int
    size: int
    marks: Sequence[Mark]
    journal: Sequence[str]
    probe: Place


async def prepare(lane: Lane, folder: Path) -> Loss:
    """Trade on a lane, stop its roles, make one last call, and copy what the disk has."""
    desk, marks = lane.desk, []
    began = _file(lane.servers.primary.data_dir).stat().st_size
    profiles: tuple[Profile, ...] = ("plain", "park", "plain")
    for profile in profiles:
        await lane.wave(profile)
        marks.append(await _mark(lane))
    await lane.settle()
    for child in lane.children:
        os.kill(child.pid, signal.SIGSTOP)
    try:
        last = await _mark(lane)
        await desk.publish([desk.place("last")])
        size = _file(lane.servers.primary.data_dir).stat().st_size
        shutil.copytree(lane.servers.primary.data_dir / APPEND_ONLY, folder / APPEND_ONLY)
        journal = [entry for entry, _ in await _journal(lane.redis, desk.keys)]
    finally:
        for child in lane.children:
            os.kill(child.pid, signal.SIGCONT)
    return Loss(
        folder=folder, account=desk.account, began=began, asked=last.size, size=size, marks=[*marks, last],
        journal=journal, probe=desk.place("probe"),
    )  # fmt: skip


def offsets(loss: Loss, *, anywhere: int, seed: int, last: int | None = None) -> list[int]:
    """Choose where to cut: at each byte of the last call or at so many, and at so many of all since trading began."""
    dice = random.Random(f"power:{seed}")
    tail, all_of_it = range(loss.asked, loss.size + 1), range(loss.began, loss.size + 1)
    chosen = {loss.asked, loss.size, *(tail if last is None else dice.sample(tail, min(last, len(tail))))}
    return sorted(chosen | set(dice.sample(all_of_it, min(anywhere, len(all_of_it)))))


async def cuts(
    loss: Loss, places: Sequence[int], folder: Path, show: Callable[[int], None] = lambda _: None
) -> list[str]:
    """Cut at every place, a few side by side; everything that does not hold. `show` is told how many are done."""
    room, said, done = asyncio.Semaphore(AT_ONCE), list[str](), itertools.count(1)

    async def one(at: int) -> None:
        async with room:
            said.extend(await cut(loss, at, folder / f"cut{at}"))
            show(next(done))

    await asyncio.gather(*(one(at) for at in places))
    return said


async def cut(loss: Loss, at: int, folder: Path) -> list[str]:
    """Start a server on a copy that ends at byte `at`, and say what does not hold."""
    shutil.copytree(loss.folder, folder)
    with _file(folder).open("r+b") as file:
        file.truncate(at)
    async with EmbeddedServer(folder) as server:
        redis = connect(server.url, name="power", timeout_ms=10_000)
        try:
            return [f"cut at byte {at}: {line}" for line in await _judge(redis, loss, at)]
        finally:
            await redis.aclose()
            shutil.rmtree(folder, ignore_errors=True)


async def _judge(redis: Any, loss: Loss, at: int) -> list[str]:
    keys, said = AccountKeys(loss.account), []
    journal = await _journal(redis, keys)
    found = [entry for entry, _ in journal]
    if found != list(loss.journal[: len(found)]):
        said.append("the journal is not the beginning of what it was")
    said += [
        f"confirmed entry {mark.entry} is gone" for mark in loss.marks if at >= mark.size and mark.entry not in found
    ]
    verdict = await verify(redis, keys)
    if not verdict.good:
        said.append(f"verify: {verdict}")
    said += await _uncounted(Store(redis, keys), [change for _, changes in journal for change in changes])
    said += await _trades(redis, keys, loss)
    return said


async def _uncounted(store: Store, changes: Iterable[events.AnyChange]) -> list[str]:
    """Add the fills up without the pipeline's own arithmetic."""
    filled, held = Counter[str](), Counter[str]()
    for change in changes:
        if isinstance(change, events.Updated):
            for fact in change.facts:
                if isinstance(fact, Execution):
                    base = change.symbol.partition("/")[0]
                    signed = fact.quantity if fact.side == "buy" else -fact.quantity
                    kept = fact.fee or Decimal(0) if fact.fee_asset == base else Decimal(0)
                    filled[change.client_order_id] += fact.quantity  # type: ignore[assignment]  # a Counter of decimals
                    held[change.symbol] += signed - kept  # type: ignore[assignment]  # the same
    said = [
        f"order {order.client_order_id} has {order.state.filled}, its fills add up to {filled[order.client_order_id]}"
        for order in await store.all_orders()
        if order.state.filled != filled[order.client_order_id]
    ]
    positions = {symbol: position.quantity for symbol, position in (await store.positions()).items()}
    if {symbol: amount for symbol, amount in positions.items() if amount} != {s: a for s, a in held.items() if a}:
        said.append(f"positions {positions}, fills {dict(held)}")
    return said


async def _trades(redis: Any, keys: AccountKeys, loss: Loss) -> list[str]:
    """Try to trade; the account must be shut, because this run of the server was never reconciled."""
    scripts = Scripts(redis, keys)
    if (await scripts.gate()).is_open:
        return ["the gate is open"]
    info: AccountInfo = (await accounts(redis))[loss.account]
    try:
        await scripts.publish([publish_item(loss.probe, info)], "probe", 1_000)
        await scripts.claim([Bench(redis, loss.account).claim_item("1-1", loss.probe)], "probe", 1_000, 1_000)
    except HistoryChanged:
        return []
    return ["an intent was claimed before the account was reconciled"]


async def _mark(lane: Lane) -> Mark:
    rows: Any = await lane.redis.xrevrange(lane.desk.keys.events, count=1)
    return Mark(_file(lane.servers.primary.data_dir).stat().st_size, rows[0][0].decode())


async def _journal(redis: Any, keys: AccountKeys) -> list[tuple[str, tuple[events.AnyChange, ...]]]:
    rows: Any = await redis.xrange(keys.events)
    return [(entry.decode(), tuple(events.decode(fields[b"data"]).changes)) for entry, fields in rows]


def _file(data_dir: Path) -> Path:
    """The part of the append-only file that grows."""
    [file] = (data_dir / APPEND_ONLY).glob("*.incr.aof")
    return file
