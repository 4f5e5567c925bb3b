"""A margin account against its venue's books: funding, liquidation, and positions that drift."""

from decimal import Decimal
from typing import Any

from consumers.patrol import Patrol, Report
from streams import events
from streams.schemas import Adjustment
from streams.verify import verify
from tests.pipeline import PRICE, Pipeline
from tests.truth.ways import strange


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
    """But for what the wallets had before the first fill."""
    told = [one.adjustment for one in await margin.journal() if isinstance(one, events.Adjusted)]
    return [one for one in told if one.cause != "opening"]


async def _opened(margin: Pipeline, **settings: Any) -> Patrol:
    """A patrol that has recorded what the wallets had before the first fill."""
    patrol = await margin.patrol(**settings)
    assert (await patrol.once("full", "start")).opened
    return patrol


async def _half_closed(margin: Pipeline) -> Decimal:
    """A long position of 1, of which 0.4 was sold 25 higher, by orders of ours; what the wallet has now."""
    await _holding(margin)
    [name] = await margin.place(margin.terms(side="sell", quantity=Decimal("0.4"), price=PRICE + 25))
    await margin.status(name, "open")
    await margin.house("BUY", "0.4", PRICE + 25)
    await margin.status(name, "filled")
    await margin.quiet()
    book = (await margin.control.books(margin.book))["accounts"][margin.book]["balances"]["USDT"]
    return Decimal(book["free"]) + Decimal(book["locked"])


async def test_wallets_are_what_was_put_in_and_profit_fees_and_funding(margin: Pipeline) -> None:
    """Equal to the venue's while a position is open, whatever that would bring."""
    patrol = await _opened(margin)
    has = await _half_closed(margin)
    fees = sum((fill.fee or Decimal(0) for _, fill in await margin.applied()), Decimal(0))
    assert has == 1_000_000 + 10 - fees
    await margin.control.funding(margin.book, "USDT", Decimal("-0.75"))
    await margin.until(lambda: _count(margin, 1))
    await _equal(margin, patrol)
    assert (await margin.store.holdings())["USDT"] == Decimal("999999.25")


async def test_what_a_gap_of_the_stream_hid_of_a_wallet_is_found_and_booked_once(margin: Pipeline) -> None:
    """Funding, a rebate, a transfer that nobody heard: the wallet differs by it, and a second run changes nothing."""
    patrol = await _opened(margin)
    await _half_closed(margin)
    await margin.control.transfer(margin.book, "USDT", Decimal("-3.5"), told=False)
    report = await _settled(margin, patrol)
    [left] = report.left
    assert (left.kind, left.subject, left.action) == ("balance_drift", "USDT", "adjust")
    assert Decimal(left.there) - Decimal(left.here) == Decimal("-3.5")
    ready = await margin.patrol(modes={"balance_drift": "auto"})
    await _settled(margin, ready)
    await margin.until(lambda: _count(margin, 1))
    await _equal(margin, ready)
    [booked] = await _adjustments(margin)
    assert (booked.cause, booked.amounts) == ("drift", {"USDT": Decimal("-3.5")})


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


async def test_a_position_that_somebody_else_opened_is_booked_at_what_it_was_entered_at(margin: Pipeline) -> None:
    """Half at 100 and half at 80: not at 80, where it stands now. The fees are the wallet's difference."""
    await margin.ledger()
    patrol = await _opened(margin)
    for number, price in enumerate((PRICE, PRICE - 20)):
        await strange(margin, f"manual-{number}", price=price)
        await margin.house("SELL", 1, price)
    report = await _settled(margin, patrol)
    assert [(one.kind, one.subject, one.there) for one in report.left] == [("unexplained", margin.symbol, "2")]
    ready = await margin.patrol(modes={"unexplained": "auto", "balance_drift": "auto"})
    await _settled(margin, ready)
    await margin.until(lambda: _holds(margin, Decimal(2)))
    position = (await margin.store.positions())[margin.symbol]
    assert (position.entry_cost, position.realized) == (2 * (PRICE - 10), Decimal(0))

    async def reached() -> bool:
        return not (await ready.once("full", "command")).findings

    await margin.until(reached)
    assert (await verify(margin.redis, margin.keys)).good


async def _holds(margin: Pipeline, quantity: Decimal) -> bool:
    position = (await margin.store.positions()).get(margin.symbol)
    return position is not None and position.quantity == quantity


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


async def test_a_difference_that_comes_again_is_booked_again(margin: Pipeline) -> None:
    """The same figures on both sides, on another occasion: it is no repetition of what was booked."""
    await _opened(margin)
    await _half_closed(margin)
    ready = await margin.patrol(modes={"balance_drift": "auto"})
    for number, amount in enumerate(("-3.5", "3.5", "-3.5"), start=1):
        await margin.control.transfer(margin.book, "USDT", Decimal(amount), told=False)
        await _settled(margin, ready)
        await margin.until(lambda: _count(margin, number))  # noqa: B023 - waited for within its turn
        await _equal(margin, ready)
    assert len(await _adjustments(margin)) == 3
