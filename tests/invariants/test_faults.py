"""Every unkindness of the venue, one at a time and often: the audit against its own books finds nothing."""

from decimal import Decimal

import msgspec
import pytest

from adapters.simulated.faults import OFF, Kind
from streams.schemas import Cancel
from tests.pipeline import Pipeline

# Shorter than a test, longer than the pipeline's own deadlines where a deadline must be met.
TIMES = {
    "late_answer_ms": 800, "answer_hold_ms": 25, "late_entry_ms": 450, "lookup_lag_ms": 80, "reorder_hold_ms": 30,
    "delayed_execution_ms": 60,
}  # fmt: skip
REQUEST_MS, WINDOW_MS = 600, 400
ORDERS = 10


@pytest.mark.parametrize("kind", list(Kind), ids=lambda kind: kind.value)
async def test_the_books_agree_whatever_the_venue_does(pipeline: Pipeline, kind: Kind) -> None:
    """Invariants 1, 2, 3 and 6 under one kind of fault: ten orders, each once; every fill once; nothing unknown."""
    # A venue that hardly ever takes a command would be asked for minutes; often is enough.
    rate = {Kind.THROTTLED: 0.4, Kind.LATE_ENTRY: 0.4, Kind.SERVER_ERROR: 0.6, Kind.STREAM_CUT: 0.6}.get(kind, 1.0)
    await pipeline.all_roles(request_ms=REQUEST_MS, window_ms=WINDOW_MS)
    await pipeline.house("SELL", 6)
    before = (await pipeline.control.faults())["counts"][kind.value]
    await pipeline.control.set_faults(msgspec.structs.replace(OFF, **{kind.value: rate}, **TIMES))
    names = await pipeline.place(
        *(pipeline.terms(quantity=Decimal("1.5")) for _ in range(ORDERS // 2)),
        *(pipeline.terms(side="sell", price=Decimal(110)) for _ in range(ORDERS // 2)),
    )
    for name in names:
        await pipeline.status(name, "open", "partially_filled", "filled", timeout_s=25)
    await pipeline.house("BUY", 2, 110)
    resting = next(one["client_order_id"] for one in await pipeline.venue_orders() if one["status"] == "NEW")
    await pipeline.publish(Cancel(account=pipeline.account, client_order_id=resting))
    await pipeline.status(resting, "cancelled", timeout_s=25)
    assert (await pipeline.control.faults())["counts"][kind.value] > before
    await pipeline.control.set_faults(OFF)
    await pipeline.agreed(25)
    found = await pipeline.audit()
    assert found.venue_orders == found.intents == ORDERS
