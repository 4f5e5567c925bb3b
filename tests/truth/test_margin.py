"""A margin account against its venue's books: funding, liquidation, and positions that drift."""

from decimal import Decimal

from consumers.patrol import Patrol, Report
from streams import events
from streams.schemas import Adjustment
from streams.verify import verify
from tests.pipeline import PRICE, Pipeline


async def _holding(margin: Pipeline) -> str:
    """A long position of 1, from an order of ours; the pipeline runs."""
    await margin.ledger()
    await margin.gateway()
    await margin.listener()
    [name] = await margin.place(margin.terms())
    await margin.status(name, "open")
    await margin.house("SELL", 1)
    await margin.status(name, "filled")
    return name


async def _adjustments(margin: Pipeline) -> list[Adjustment]:
    return [one.adjustment for one in await margin.journal() if isinstance(one, events.Adjusted)]


async def _equal(margin: Pipeline, patrol: Patrol) -> None:
    """Positions are the venue's, nothing is left to say, and the journal gives the same state."""

    async def reached() -> bool:
        return not (await patrol.once("full", "command")).findings and not (await margin.audit()).defects

    await margin.until(reached)
    assert (await verify(margin.redis, margin.keys)).good


async def test_funding_and_a_deposit_are_changes_of_their_own(margin: Pipeline) -> None:
    """Told by the account's stream; no fill, no position, each once."""
    await _holding(margin)
    await margin.control.funding(margin.book, "USDT", Decimal("-0.75"))
    await margin.control.transfer(margin.book, "USDT", Decimal(50))
    await margin.until(lambda: _count(margin, 2))
    found = {(one.cause, one.amounts["USDT"]) for one in await _adjustments(margin)}
    assert found == {("funding", Decimal("-0.75")), ("transfer", Decimal(50))}
    assert len(await margin.applied()) == 1
    await _equal(margin, await margin.patrol())


async def _count(margin: Pipeline, number: int) -> bool:
    return len(await _adjustments(margin)) == number


async def test_a_liquidation_closes_the_position_and_is_no_fill(margin: Pipeline) -> None:
    """The venue's own order belongs to nobody here; what it traded moves the position, with profit and fee."""
    await _holding(margin)
    await margin.control.liquidate(margin.book, margin.venue_symbol, PRICE - 10)
    await margin.until(lambda: _count(margin, 1))
    position = (await margin.store.positions())[margin.symbol]
    assert (position.quantity, position.realized) == (Decimal(0), Decimal(-10))
    assert len(await margin.applied()) == 1
    await _equal(margin, await margin.patrol())


async def test_a_liquidation_that_nobody_heard_is_fetched_and_booked_once(margin: Pipeline) -> None:
    """Also where its trade came by a list first and waits for an order that nobody has."""
    await _holding(margin)
    await margin.control.liquidate(margin.book, margin.venue_symbol, PRICE - 10, told=False)
    await margin.control.cut_streams(margin.book)
    await margin.until(margin.store.parked)
    patrol = await margin.patrol()
    report = await patrol.once("light", "command")
    assert report.depth == "full"
    assert {(one.kind, one.action) for one in report.findings} == {("stale_fill", "book")}
    await margin.until(lambda: _count(margin, 1))
    await _equal(margin, patrol)
    await patrol.once("full", "command")
    assert len(await _adjustments(margin)) == 1


async def test_a_position_that_nobody_can_explain_is_adjusted_only_when_told_to(margin: Pipeline) -> None:
    """Two looks agree; by default a person decides; then it is booked at the venue's own price, never as a fill."""
    name = await _holding(margin)
    trade_id = int((await margin.applied())[0][1].trade_id)
    await margin.control.bust(margin.book, margin.venue_symbol, trade_id)
    await margin.redis.hset(margin.keys.order(name), "state", await _without_executions(margin, name))
    patrol = await margin.patrol()
    report = await _settled(margin, patrol)
    assert [(one.kind, one.subject, one.here, one.there) for one in report.left] == [
        ("position_drift", margin.symbol, "1", "0")
    ]
    ready = await margin.patrol(modes={"position_drift": "auto"})
    await _settled(margin, ready)

    async def reached() -> bool:
        return (await margin.store.positions())[margin.symbol].quantity == 0

    await margin.until(reached)
    assert not (await ready.once("full", "command")).findings


async def _without_executions(margin: Pipeline, name: str) -> bytes:
    """The record of an order that agrees with the venue, so that only the position is left to differ."""
    state = await margin.redis.hget(margin.keys.order(name), "state")
    assert isinstance(state, bytes)
    return state.replace(b'"filled":"1"', b'"filled":"0"')


async def _settled(margin: Pipeline, patrol: Patrol) -> Report:
    """Look until everything found is confirmed."""
    reports: list[Report] = []

    async def stands() -> bool:
        reports.append(await patrol.once("full", "command"))
        return bool(reports[-1].findings) and all(one.confirmed for one in reports[-1].findings)

    await margin.until(stands)
    return reports[-1]
