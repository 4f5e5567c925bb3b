"""Booking an adjustment: what the account holds beside its fills, worked out here and compared in the script."""

from streams import codec, events
from streams.errors import StoreUnreachable
from streams.holdings import adjusted, texts
from streams.plans import AdjustPlan
from streams.schemas import Adjustment
from streams.scripts import Scripts
from streams.store import Store

# Only the leading ledger adjusts, so a second round is already rare.
ROUNDS_MAX = 8


async def adjust(scripts: Scripts, store: Store, entry: str, adjustment: Adjustment, lease: tuple[int, int]) -> None:
    """Book one adjustment and acknowledge its entry; one that was booked before is only acknowledged.

    Args:
        scripts: of the account.
        store: of the account.
        entry: of `evidence`, which says so.
        adjustment: what it says.
        lease: epoch and length in ms of the ledger's lease.

    Raises:
        HistoryChanged, LeaseLost, StoreUnreachable: nothing was booked, or it may be called again.
    """
    change = codec.encode_text(events.Adjusted(id=adjustment.id, adjustment=adjustment, evidence=entry))
    for _ in range(ROUNDS_MAX):
        amounts = texts(adjusted(await store.holdings(), adjustment))
        if await scripts.adjust(AdjustPlan(entry=entry, id=adjustment.id, amounts=amounts, change=change), *lease):
            return
    raise StoreUnreachable("Holdings change faster than they can be adjusted; it is tried again.")
