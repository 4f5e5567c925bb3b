"""Booking an adjustment: what the account holds beside its fills, and positions that the venue moved by itself.

Worked out here and compared in the script.
"""

from streams import codec, events
from streams.errors import StoreUnreachable
from streams.holdings import adjusted, texts
from streams.instrument import tabulate
from streams.keys import AccountKeys
from streams.money import text
from streams.plans import AdjustPlan
from streams.position import move
from streams.schemas import Adjustment
from streams.scripts import Scripts
from streams.store import Store

# Only the leading ledger adjusts, so a second round is already rare.
ROUNDS_MAX = 8


class Adjuster:
    """Books adjustments of one account."""

    def __init__(self, keys: AccountKeys, scripts: Scripts, store: Store) -> None:
        """Bind it to connections of the ledger."""
        self._keys, self._scripts, self._store = keys, scripts, store

    async def book(self, entry: str, adjustment: Adjustment, lease: tuple[int, int]) -> str:
        """Book one adjustment and acknowledge its entry; one that was booked before is only acknowledged.

        Args:
            entry: of `evidence`, which says so.
            adjustment: what it says.
            lease: epoch and length in ms of the ledger's lease.

        Returns:
            Key of the position that it may have moved; empty for none.

        Raises:
            BadIntent: it is of a symbol that is not traded here.
            HistoryChanged, LeaseLost, StoreUnreachable: nothing was booked, or it may be called again.
        """
        for _ in range(ROUNDS_MAX):
            plan = await self._plan(entry, adjustment)
            if await self._scripts.adjust(plan, *lease):
                return plan.position
        raise StoreUnreachable("Holdings change faster than they can be adjusted; it is tried again.")

    async def again(self, entry: str, adjustment_id: str, lease: tuple[int, int]) -> bool:
        """Acknowledge another entry that says what was booked before; False when it was not."""
        if not await self._store.booked(adjustment_id):
            return False
        # The script finds its mark and writes nothing; marks are never removed.
        return await self._scripts.adjust(AdjustPlan(entry=entry, id=adjustment_id, amounts=(), change=""), *lease)

    async def _plan(self, entry: str, adjustment: Adjustment) -> AdjustPlan:
        amounts = texts(adjusted(await self._store.holdings(), adjustment))
        change = events.Adjusted(id=adjustment.id, adjustment=adjustment, evidence=entry)
        execution = adjustment.execution
        if execution is None:
            return AdjustPlan(entry=entry, id=adjustment.id, amounts=amounts, change=codec.encode_text(change))
        instruments = tabulate(await self._store.instruments())
        symbol = instruments.of_venue_symbol(execution.venue_symbol).symbol
        key = self._keys.position(symbol, adjustment.position_side)
        before, digest = await self._store.position(key)
        change = events.Adjusted(id=adjustment.id, adjustment=adjustment, evidence=entry, symbol=symbol)
        after = move(before, change, execution)
        change = events.Adjusted(
            id=adjustment.id, adjustment=adjustment, evidence=entry, symbol=symbol,
            position_quantity=text(after.quantity),
        )  # fmt: skip
        state = codec.encode_text(after)
        return AdjustPlan(
            entry=entry, id=adjustment.id, amounts=amounts, change=codec.encode_text(change), position=key,
            moved=(digest, state, codec.chain(digest, "position", state)),
            parked=self._keys.parked(execution.venue_symbol, execution.venue_order_id),
            execution=execution.execution_id,
        )  # fmt: skip
