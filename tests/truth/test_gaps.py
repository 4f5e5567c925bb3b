"""What an account is told of only by its stream, while the stream is down: the books end equal to the venue's."""

from collections.abc import Mapping
from decimal import Decimal

import pytest

from consumers.patrol import Patrol
from streams import events
from streams.schemas import Adjustment
from streams.verify import verify
from tests.pipeline import PRICE, Pipeline

GAP_MS = 600_000  # until it is ended
FUNDING, DEPOSIT = Decimal("-0.75"), Decimal(250)


async def _adjustments(made: Pipeline) -> list[Adjustment]:
    """But for what was there before the first fill."""
    told = [one.adjustment for one in await made.journal() if isinstance(one, events.Adjusted)]
    return [one for one in told if one.cause != "opening"]


async def _through_a_gap(made: Pipeline, moved: Mapping[str, Decimal], *, funding: bool = False) -> Patrol:
    """An order trades and amounts move while nobody is listened to; everything runs, drifts are booked."""
    await made.ledger()
    patrol = await made.patrol(modes={"balance_drift": "auto", "position_drift": "auto"})
    assert (await patrol.once("full", "start")).opened
    await made.until(made.store.holdings)
    await made.resolver()
    await made.gateway()
    listener = await made.listener()
    [name] = await made.place(made.terms())
    await made.status(name, "open")
    await made.control.cut_streams(made.book, down_ms=GAP_MS)
    await made.until(lambda: not listener.current)
    await made.house("SELL", "0.4")
    for asset, amount in moved.items():
        if funding:
            await made.control.funding(made.book, asset, amount)
        else:
            await made.control.transfer(made.book, asset, amount)
    await made.control.cut_streams(made.book)  # from now on a stream may begin again
    await made.until(lambda: listener.current)
    await made.status(name, "partially_filled")
    return patrol


async def _equal(made: Pipeline, patrol: Patrol) -> None:
    """Nothing is left to say, every fill and position is the venue's, and the journal gives the same state."""

    async def reached() -> bool:
        report = await patrol.once("full", "command")
        return not report.findings and not await made.waiting() and not (await made.audit()).defects

    await made.until(reached)
    told = await _adjustments(made)
    assert not (await patrol.once("full", "command")).done
    assert await _adjustments(made) == told
    assert (await verify(made.redis, made.keys)).good


@pytest.mark.parametrize("funding", [True, False], ids=["funding", "a deposit"])
async def test_what_moved_a_wallet_while_the_stream_was_down_is_booked_as_drift(
    margin: Pipeline, funding: bool
) -> None:
    """One change, of the very amount, beside a fill of the same gap; its cause is not made up."""
    amount = FUNDING if funding else DEPOSIT
    patrol = await _through_a_gap(margin, {"USDT": amount}, funding=funding)
    await _equal(margin, patrol)
    [told] = await _adjustments(margin)
    assert (told.cause, told.amounts) == ("drift", {"USDT": amount})
    assert (await margin.store.positions())[margin.symbol].entry_cost == Decimal("0.4") * PRICE


async def test_what_was_deposited_and_withdrawn_while_the_stream_was_down_is_booked_as_drift(
    pipeline: Pipeline,
) -> None:
    """Of a traded asset and of one that nobody trades here."""
    moved = {pipeline.base: Decimal(5), "USDT": -DEPOSIT, "XRP": Decimal(3)}
    patrol = await _through_a_gap(pipeline, moved)
    await _equal(pipeline, patrol)
    told = await _adjustments(pipeline)
    assert {one.cause for one in told} == {"drift"}
    assert {asset: amount for one in told for asset, amount in one.amounts.items()} == moved
    assert len(told) == len(moved)
