"""A ledger that stands still between what it read and what it writes, its epoch repeated by a failover (R9)."""

from msgspec import Struct

from adapters.binance.decode import decode
from consumers.folding import Rules, fold_batch
from consumers.interpret import Item, interpret
from consumers.snapshot import read_snapshot
from streams.plans import CommitPlan, ParkPlan
from tests.flow import LEASE_MS, Bench

RULES = Rules(resubmission_allowed=True, calm_ms=30_000)


class Still(Struct, frozen=True):
    """What it is about to write."""

    commit: CommitPlan
    parks: tuple[ParkPlan, ...]


async def fold_one(bench: Bench, number: int) -> Still | None:
    """Fold one of the entries that wait, and stand still; None when none waits."""
    entries = [entry async for batch in bench.ledger_reader().batches(burst=True) for entry in batch]
    items = [said for entry in entries if isinstance(said := interpret(entry, decode), Item)]
    if not items:
        return None
    chosen = [items[number % len(items)]]
    folded = fold_batch(chosen, await read_snapshot(bench.redis, bench.keys, chosen), RULES, bench.keys)
    return Still(folded.commit, tuple(folded.parks))


async def write(bench: Bench, still: Still, holder: str) -> None:
    """Go on as if nothing had been meanwhile; the scripts say what of it still holds."""
    epoch = (await bench.scripts.lease("take", holder, LEASE_MS)).epoch
    if still.commit.entries:
        await bench.scripts.commit(still.commit, epoch, LEASE_MS)
    for plan in still.parks:
        await bench.scripts.park(plan, epoch, LEASE_MS)
