"""What every venue must do, by every way of sending orders. A new venue is one more case here, and nothing else."""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import aclosing
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Literal, NamedTuple
from uuid import uuid4

import pytest
from msgspec.structs import replace

from adapters import registry
from adapters.credentials import Credentials
from adapters.simulated.control import Control
from adapters.simulated.faults import OFF, Faults
from adapters.simulated.liquidity import Liquidity
from adapters.simulated.process import SimulatedVenue
from adapters.simulated.settings import AccountSettings, Settings
from adapters.simulated.symbols import Symbol
from adapters.venue import Answer, Frame, Lost, OrderEntry, Rows, Subscribed, Venue, Window
from streams.identity import client_order_id
from streams.legs import successor
from streams.lifecycle import Resubmission, fold
from streams.schemas import (
    Accepted,
    Amending,
    Command,
    Duplicate,
    Execution,
    Fact,
    NotSent,
    Order,
    OrderReport,
    OrderState,
    Place,
    Refused,
    Throttled,
    Unknown,
)
from tests.support import wait_until_async

PRICE, ONE, ZERO = Decimal(100), Decimal(1), Decimal(0)
SYMBOLS_MAX = 100
REQUEST_MS = 2_000
TO_TWO = Amending(revision=1, quantity=Decimal(2), price=Decimal(99))
NEVER = Resubmission(allowed=False, now_ms=0)


class Case(NamedTuple):
    """One venue by one way of sending orders."""

    venue: str
    product: Literal["spot", "usdm"]
    entry: OrderEntry
    settle: str  # of a unified symbol

    def __str__(self) -> str:
        return f"{self.venue}-{self.entry}"


CASES = [
    Case("binance", "spot", "rest", ""),
    Case("binance", "spot", "ws", ""),
    Case("binance-usdm", "usdm", "rest", ":USDT"),
    Case("binance-usdm", "usdm", "ws", ":USDT"),
]
_numbers = itertools.count()


@pytest.fixture(scope="module", params=CASES, ids=str)
def case(request: pytest.FixtureRequest) -> Case:
    """The one under test."""
    found: Case = request.param
    return found


@pytest.fixture(scope="module")
def process(case: Case) -> Iterator[SimulatedVenue]:
    """Its simulator: an account, a symbol for every test, and no quotes but those a test makes."""
    symbols = tuple(
        Symbol(f"C{n}USDT", f"C{n}", "USDT", Decimal("0.01"), Decimal("0.001"), PRICE, min_quantity=Decimal("0.001"))
        for n in range(SYMBOLS_MAX)
    )
    balances = {"USDT": Decimal(1_000_000), **{one.base_asset: Decimal(1_000) for one in symbols}}
    told = Settings(
        control_token="t" * 32, accounts=(AccountSettings("main", "k" * 64, "s" * 64, balances),), symbols=symbols,
        liquidity=Liquidity(on=False), product=case.product,
    )  # fmt: skip
    with SimulatedVenue(told, seed=5) as running:
        yield running


class Scene:
    """A venue with a book of its own, and what a test does to it."""

    def __init__(self, case: Case, process: SimulatedVenue, control: Control) -> None:
        self.case, self.process, self.control = case, process, control
        number = next(_numbers) % SYMBOLS_MAX
        self.symbol, self.venue_symbol = f"C{number}/USDT{case.settle}", f"C{number}USDT"
        self.decode = registry.decoder(case.venue)
        self.facts = registry.facts(case.venue)
        self.venue: Venue
        self._opened: list[Venue] = []

    def now_ms(self) -> int:
        """The machine's clock, which stands for the Redis server's."""
        return time.time_ns() // 1_000_000

    async def open(self, *, secret: str = "s" * 64, request_ms: int = REQUEST_MS) -> Venue:
        """Open the account."""
        where = registry.VenueSettings(
            venue=self.case.venue, credentials=Credentials("k" * 64, secret), rest_url=self.process.rest_url,
            ws_url=self.process.ws_url, order_url=self.process.order_url, order_entry=self.case.entry,
            request_timeout_ms=request_ms,
        )  # fmt: skip
        venue = await registry.open_venue(where, self.now_ms)
        self._opened.append(venue)
        return venue

    async def close(self) -> None:
        """Close what was opened."""
        for venue in self._opened:
            await venue.close()

    def order(self, **changes: Any) -> Order:
        """A limit buy of 1 at 100 with an identity of its own."""
        given: dict[str, Any] = {
            "account": "sim.main", "strategy": "test", "signal_id": uuid4().hex,
            "signal_time": datetime(2026, 11, 1, tzinfo=UTC), "symbol": self.symbol, "side": "buy", "type": "limit",
            "quantity": Decimal(1), "price": PRICE,
        }  # fmt: skip
        terms = Place(**{**given, **changes})
        name = client_order_id(terms, self.facts.id_rule)
        return Order(client_order_id=name, terms=terms, status="submitting", state=OrderState(), digest="", sent={})

    def window(self, length_ms: int = 5_000) -> Window:
        """A window that opens now."""
        return Window(self.now_ms(), self.now_ms() + length_ms)

    async def submit(self, order: Order) -> Answer:
        """Place an order."""
        return await self.venue.submit(order, self.window())

    async def cancel(self, order: Order) -> Answer:
        """Cancel it."""
        return await self.venue.cancel(order, self.window())

    async def rests(self, **changes: Any) -> Order:
        """Place an order that rests, and what became of it."""
        order = self.order(**changes)
        return self.told(order, await self.submit(order))

    async def amend(self, order: Order, wish: Amending, length_ms: int = 5_000) -> tuple[Answer, Order]:
        """Amend it under a claim; the answer, and the order after it."""
        claimed = replace(order, amend=wish, token=f"amend-{wish.revision}")
        answer = await self.venue.amend(claimed, wish, self.window(length_ms))
        command = Command(
            client_order_id=order.client_order_id, token=claimed.token, outcome=answer.outcome, kind="amend"
        )  # fmt: skip
        return answer, fold(self.told(claimed, answer), command, NEVER)

    def told(self, order: Order, answer: Answer) -> Order:
        """The order after an answer."""
        also = self.facts_of(answer.also) if answer.also else []
        return self.after(order, [*also, *(self.decode(answer.format, answer.raw) if answer.format else [])])

    def after(self, order: Order, facts: Sequence[Fact]) -> Order:
        """The order after these."""
        for fact in facts:
            assert isinstance(fact, Execution | OrderReport)
            order = fold(order, fact, NEVER)
        return order

    async def looked_up(self, order: Order) -> Order:
        """The order after a look-up of every name it may have at the venue."""
        names = [order] if order.amend is None else [order, successor(order, order.amend, order.amend.quantity)]
        for name in names:
            order = self.after(order, self.facts_of(await self.venue.find(name)))
        return order

    async def house(self, side: Literal["BUY", "SELL"], quantity: str, price: Decimal = PRICE) -> None:
        """Let the house trade."""
        await self.control.house_order(self.venue_symbol, side, Decimal(quantity), price=price)

    def report(self, answer: Answer) -> OrderReport:
        """What an answer says of the order."""
        return last_report(self.decode(answer.format, answer.raw))

    def facts_of(self, rows: Rows) -> list[Fact]:
        """What a look-up says."""
        return [fact for row in rows.rows for fact in self.decode(rows.format, row)]

    async def found(self, order: Order) -> OrderReport | None:
        """What the venue says of the order now."""
        facts = self.facts_of(await self.venue.find(order))
        return last_report(facts) if facts else None


def last_report(facts: Sequence[Fact]) -> OrderReport:
    """The report among facts."""
    report = facts[-1]
    assert isinstance(report, OrderReport)
    return report


@pytest.fixture
async def scene(case: Case, process: SimulatedVenue) -> AsyncIterator[Scene]:
    """A calm venue."""
    async with process.control() as control:
        await control.set_faults(OFF)
        await control.set_clock(0)
        made = Scene(case, process, control)
        made.venue = await made.open()
        yield made
        await made.close()
        await control.set_faults(OFF)
        await control.set_clock(0)


async def test_an_order_is_accepted_shown_and_cancelled(scene: Scene) -> None:
    """Always by our own id; what is closed is closed."""
    order = scene.order()
    placed = await scene.submit(order)
    assert placed.outcome == Accepted()
    report = scene.report(placed)
    assert (report.client_order_id, report.status, report.filled) == (order.client_order_id, "open", ZERO)
    for rows in (
        await scene.venue.find(order),
        await scene.venue.open_orders(scene.symbol),
        await scene.venue.orders_since(scene.symbol, scene.now_ms() - 60_000),
    ):
        assert last_report(scene.facts_of(rows)).venue_order_id == report.venue_order_id
    assert scene.report(await scene.cancel(order)).status == "cancelled"
    assert not (await scene.venue.open_orders(scene.symbol)).rows
    assert isinstance((await scene.cancel(order)).outcome, Refused)


async def test_an_order_that_fills_at_once_says_so(scene: Scene) -> None:
    """And its trades are found, each with an id of its own."""
    for quantity in ("0.4", "0.6"):
        await scene.house("SELL", quantity)
    report = scene.report(await scene.submit(scene.order()))
    assert (report.status, report.filled) == ("filled", ONE)
    trades = scene.facts_of(await scene.venue.trades_of(scene.symbol, report.venue_order_id))
    fills = [fact for fact in trades if isinstance(fact, Execution)]
    assert [fill.quantity for fill in fills] == [Decimal("0.4"), Decimal("0.6")]
    assert len({fill.execution_id for fill in fills}) == 2
    assert all((fill.side, fill.price, fill.maker) == ("buy", PRICE, False) for fill in fills)
    since = scene.facts_of(await scene.venue.trades_since(scene.symbol, scene.now_ms() - 60_000))
    assert since == trades


async def test_a_partial_fill_stays_after_a_cancel(scene: Scene) -> None:
    """Cancelled, with what was filled before."""
    order = scene.order(quantity=Decimal(3))
    await scene.submit(order)
    await scene.house("SELL", "1")
    report = scene.report(await scene.cancel(order))
    assert (report.status, report.filled) == ("cancelled", ONE)


async def test_the_rest_of_an_ioc_expires(scene: Scene) -> None:
    """What was there is filled."""
    await scene.house("SELL", "1")
    report = scene.report(await scene.submit(scene.order(quantity=Decimal(2), time_in_force="ioc")))
    assert (report.status, report.filled) == ("expired", ONE)


async def test_a_market_order_takes_what_there_is(scene: Scene) -> None:
    """Without a price."""
    await scene.house("SELL", "5")
    report = scene.report(await scene.submit(scene.order(type="market", price=None)))
    assert (report.status, report.filled) == ("filled", ONE)


@pytest.mark.parametrize(
    "terms",
    [
        pytest.param({"post_only": True}, id="post-only that would take"),
        pytest.param({"quantity": Decimal(8_000), "price": Decimal(100_000)}, id="funds or notional"),
        pytest.param({"quantity": Decimal("0.0005")}, id="off the step"),
        pytest.param({"price": Decimal("100.001")}, id="off the tick"),
        pytest.param({"quantity": Decimal("0.01")}, id="too small"),
        pytest.param({"time_in_force": "gtd"}, id="unsupported"),
    ],
)
async def test_what_the_venue_refuses_is_refused_and_not_there(scene: Scene, terms: dict[str, Any]) -> None:
    """A known code each, and no order."""
    await scene.house("SELL", "1")
    order = scene.order(**terms)
    assert isinstance((await scene.submit(order)).outcome, Refused)
    assert await scene.found(order) is None


async def test_insufficient_funds_are_a_refusal(scene: Scene) -> None:
    """Within every other limit."""
    order = scene.order(quantity=Decimal(9_000), price=Decimal(900))
    answers = [await scene.submit(scene.order(quantity=Decimal(9_000), price=Decimal(900))) for _ in range(3)]
    assert isinstance(answers[-1].outcome, Refused)
    assert await scene.found(order) is None


async def test_a_second_order_under_an_open_id_is_a_duplicate(scene: Scene) -> None:
    """Evidence of the first; one order."""
    order = scene.order()
    await scene.submit(order)
    assert isinstance((await scene.submit(order)).outcome, Duplicate)
    assert len((await scene.venue.open_orders(scene.symbol)).rows) == 1


async def test_after_the_first_is_closed_the_declared_rule_holds(scene: Scene) -> None:
    """`while_open` means that a second one is accepted then: only the ledger stands in its way."""
    order = scene.order()
    await scene.submit(order)
    await scene.cancel(order)
    again = (await scene.submit(order)).outcome
    assert again == Accepted() if scene.facts.duplicates == "while_open" else isinstance(again, Duplicate)


async def test_a_timeout_that_succeeded_is_unknown_and_found(scene: Scene) -> None:
    """The venue took it and said nothing."""
    await scene.control.set_faults(Faults(accept_then_drop=1.0))
    order = scene.order()
    assert isinstance((await scene.submit(order)).outcome, Unknown)
    await scene.control.set_faults(OFF)
    report = await scene.found(order)
    assert report is not None
    assert report.status == "open"


async def test_a_timeout_that_failed_is_unknown_and_nowhere(scene: Scene) -> None:
    """It reached the venue's engine after its window, and the venue threw it away."""
    # Later than both the window and the wait for the answer.
    late_ms = REQUEST_MS + 1_500
    await scene.control.set_faults(Faults(late_entry=1.0, late_entry_ms=late_ms))
    order, window = scene.order(), scene.window(REQUEST_MS)
    assert isinstance((await scene.venue.submit(order, window)).outcome, Unknown)
    await scene.control.set_faults(OFF)
    await wait_until_async(lambda: scene.now_ms() > window.opened_at_ms + late_ms + 500)
    assert await scene.found(order) is None


async def test_an_answer_that_was_cut_is_unknown(scene: Scene) -> None:
    """Lost acknowledgement: the order is there."""
    await scene.control.set_faults(Faults(cut_body=1.0))
    order = scene.order()
    assert isinstance((await scene.submit(order)).outcome, Unknown)
    await scene.control.set_faults(OFF)
    assert await scene.found(order) is not None


async def test_an_execution_may_come_before_the_answer(scene: Scene) -> None:
    """It names our order, so that nobody has to know the venue's id."""
    await scene.house("SELL", "1")
    async with aclosing(scene.venue.stream()) as events:
        assert isinstance(await anext(events), Subscribed)
        await scene.control.set_faults(Faults(execution_before_answer=1.0, answer_hold_ms=500))
        order = scene.order()
        sending = asyncio.create_task(scene.submit(order))
        facts = await _stream_until(scene, events, lambda fact: isinstance(fact, Execution))
        answer = await sending
    [fill] = [fact for fact in facts if isinstance(fact, Execution)]
    assert fill.client_order_id == order.client_order_id
    assert scene.report(answer).status == "filled"


async def test_an_execution_that_is_told_twice_has_one_identity(scene: Scene) -> None:
    """By two channels, or by one of them again: one execution for the ledger."""
    await scene.house("SELL", "1")
    async with aclosing(scene.venue.stream()) as events:
        assert isinstance(await anext(events), Subscribed)
        await scene.control.set_faults(Faults(duplicated_execution=1.0))
        await scene.submit(scene.order(quantity=Decimal(1)))
        seen: list[Fact] = []
        while len([fact for fact in seen if isinstance(fact, Execution)]) < 2:
            frame = await anext(events)
            assert isinstance(frame, Frame)
            seen += scene.decode(frame.format, frame.raw)
    fills = [fact for fact in seen if isinstance(fact, Execution)]
    assert len({fill.execution_id for fill in fills}) == 1
    assert all(fill.fee is not None for fill in fills)


async def test_a_cancel_of_a_filled_order_is_refused(scene: Scene) -> None:
    """The order stays filled."""
    await scene.house("SELL", "1")
    order = scene.order()
    await scene.submit(order)
    assert isinstance((await scene.cancel(order)).outcome, Refused)
    report = await scene.found(order)
    assert report is not None
    assert report.status == "filled"


async def test_a_cancel_that_crosses_a_fill_leaves_one_truth(scene: Scene) -> None:
    """Either it was in time, or it was refused; never both."""
    order = scene.order()
    await scene.submit(order)
    answer, _ = await asyncio.gather(scene.cancel(order), scene.house("SELL", "1"))
    report = await scene.found(order)
    assert report is not None
    cancelled = answer.outcome == Accepted()
    assert (report.status, report.filled) == (("cancelled", ZERO) if cancelled else ("filled", ONE))


async def test_an_amend_of_a_resting_order_gives_it_other_terms(scene: Scene) -> None:
    """Under a name that tells whose it is; of two orders at the venue one is open."""
    order = await scene.rests()
    answer, after = await scene.amend(order, TO_TWO)
    assert answer.outcome == Accepted()
    assert (after.status, after.quantity, after.price, after.amend) == ("open", Decimal(2), Decimal(99), None)
    assert after.state.anomalies == ()
    rows = await scene.venue.open_orders(scene.symbol)
    [row] = scene.facts_of(rows)
    assert isinstance(row, OrderReport)
    assert registry.plug(scene.case.venue).describe(rows.format, rows.rows[0]).generation == after.generation
    assert (row.client_order_id, row.venue_order_id) == (order.client_order_id, after.state.venue_order_ids[-1])
    assert scene.report(await scene.cancel(after)).status == "cancelled"


async def test_an_amend_that_crosses_a_fill_never_makes_more_of_it(scene: Scene) -> None:
    """Executed and open together are what was asked for, before or after; the venue's own rule sees to it."""
    order = await scene.rests(quantity=Decimal(3))
    await scene.house("SELL", "1")  # nobody here has heard of it
    answer, after = await scene.amend(order, replace(TO_TWO, quantity=Decimal(4)))
    after = await scene.looked_up(after)
    stopped = isinstance(answer.outcome, Refused)
    assert stopped == (scene.facts.amends == "by replacing")
    assert (after.quantity, after.state.reported, after.amend) == (Decimal(3 if stopped else 4), ONE, None)
    rows = await scene.venue.open_orders(scene.symbol)
    [described] = [registry.plug(scene.case.venue).describe(rows.format, row) for row in rows.rows]
    assert described.quantity == after.quantity


async def test_an_amend_of_a_filled_order_is_refused(scene: Scene) -> None:
    """Nothing is placed instead of it."""
    order = await scene.rests()
    await scene.house("SELL", "1")
    answer, after = await scene.amend(order, TO_TWO)
    assert isinstance(answer.outcome, Refused)
    assert after.amend is None
    assert not (await scene.venue.open_orders(scene.symbol)).rows


async def test_an_amend_that_cannot_be_paid_for_leaves_one_truth(scene: Scene) -> None:
    """Refused; and the order is what the answer and a look-up say: as it was, or gone."""
    order = await scene.rests()
    answer, after = await scene.amend(order, Amending(revision=1, quantity=Decimal(9_000), price=Decimal(9_000)))
    assert isinstance(answer.outcome, Refused)
    report = await scene.found(order)
    assert report is not None
    assert (after.status, after.quantity) == (report.status, ONE)
    assert len((await scene.venue.open_orders(scene.symbol)).rows) == (after.status == "open")


async def test_an_amend_whose_answer_is_lost_is_unknown_and_found(scene: Scene) -> None:
    """By the name it would have."""
    order = await scene.rests()
    await scene.control.set_faults(Faults(accept_then_drop=1.0))
    answer, after = await scene.amend(order, TO_TWO)
    await scene.control.set_faults(OFF)
    assert isinstance(answer.outcome, Unknown)
    assert after.amend == TO_TWO
    after = await scene.looked_up(after)
    assert (after.status, after.quantity, after.price, after.amend) == ("open", Decimal(2), Decimal(99), None)


async def test_an_amend_in_a_closed_window_is_not_sent(scene: Scene) -> None:
    """By any way."""
    answer, after = await scene.amend(await scene.rests(), TO_TWO, length_ms=-1)
    assert isinstance(answer.outcome, NotSent)
    assert (after.status, after.amend) == ("open", None)


async def test_a_cancel_before_the_venue_knows_the_order_does_nothing(scene: Scene) -> None:
    """And stands in nobody's way."""
    order = scene.order()
    assert isinstance((await scene.cancel(order)).outcome, Refused)
    assert (await scene.submit(order)).outcome == Accepted()


async def test_what_happened_in_a_gap_is_found_after_it(scene: Scene) -> None:
    """Nobody replays the stream; the look-ups tell."""
    order = scene.order()
    began = scene.now_ms() - 1
    async with aclosing(scene.venue.stream()) as events:
        assert isinstance(await anext(events), Subscribed)
        await scene.submit(order)
        await scene.control.cut_streams()
        while not isinstance(await anext(events), Lost):
            pass
        await scene.house("SELL", "1")
        while not isinstance(await anext(events), Subscribed):
            pass
        fills = scene.facts_of(await scene.venue.trades_since(scene.symbol, began))
        assert [fill.quantity for fill in fills if isinstance(fill, Execution)] == [1]
    report = await scene.found(order)
    assert report is not None
    assert report.status == "filled"


async def test_a_subscription_that_the_venue_ends_is_a_gap(scene: Scene) -> None:
    """The connection may stand; another subscription is made."""
    async with aclosing(scene.venue.stream()) as events:
        assert isinstance(await anext(events), Subscribed)
        await scene.control.cut_streams(None, "terminate")
        while not isinstance(await anext(events), Lost):
            pass
        while not isinstance(await anext(events), Subscribed):
            pass


async def test_throttling_is_not_processed(scene: Scene) -> None:
    """The order is not there, and the wait is told."""
    await scene.control.set_faults(Faults(throttled=1.0))
    order = scene.order()
    outcome = (await scene.submit(order)).outcome
    await scene.control.set_faults(OFF)
    assert isinstance(outcome, Throttled)
    assert outcome.retry_after_ms > 0
    assert await scene.found(order) is None


async def test_a_venue_that_fails_proves_nothing(scene: Scene) -> None:
    """Maintenance, a page, a server error."""
    await scene.control.set_faults(Faults(server_error=1.0))
    for _ in range(5):
        assert isinstance((await scene.submit(scene.order())).outcome, Unknown)


async def test_a_wrong_secret_is_refused(scene: Scene) -> None:
    """By the venue's own code."""
    stranger = await scene.open(secret="x" * 64)
    order = scene.order()
    assert isinstance((await stranger.submit(order, scene.window())).outcome, Refused)
    assert await scene.found(order) is None


async def test_a_clock_that_is_off_sends_nothing_until_it_is_measured(scene: Scene) -> None:
    """Too late by the venue's clock closes the claim; measured, the same window is said in its terms."""
    await scene.control.set_clock(60_000)
    late = await scene.submit(scene.order())
    assert isinstance(late.outcome, NotSent)
    await scene.venue.measure_clock()
    assert (await scene.submit(scene.order())).outcome == Accepted()


async def test_a_closed_window_sends_nothing(scene: Scene) -> None:
    """By any way."""
    order = scene.order()
    now_ms = scene.now_ms()
    assert isinstance((await scene.venue.submit(order, Window(now_ms - 2_000, now_ms - 1))).outcome, NotSent)
    assert await scene.found(order) is None


async def test_the_instruments_name_the_symbol_in_both_spellings(scene: Scene) -> None:
    """With its grid."""
    found = {one.symbol: one for one in await scene.venue.instruments()}
    one = found[scene.symbol]
    assert (one.venue_symbol, one.tick, one.lot) == (scene.venue_symbol, Decimal("0.01"), Decimal("0.001"))


async def test_listed_orders_describe_their_terms(scene: Scene) -> None:
    """What an import makes a record of."""
    order = scene.order(post_only=True, price=Decimal(90))
    await scene.submit(order)
    rows = await scene.venue.open_orders(scene.symbol)
    told = registry.plug(scene.case.venue).describe(rows.format, rows.rows[0])
    assert told.client_order_id == order.client_order_id
    assert (told.side, told.type, told.quantity, told.price, told.post_only) == ("buy", "limit", ONE, Decimal(90), True)


def batching(scene: Scene) -> Any:
    """The venue where it takes several orders in one request."""
    if not scene.venue.facts.batch_place:
        pytest.skip("one order a request, by the venue's facts")
    return scene.venue


async def test_orders_of_one_request_have_an_outcome_each(scene: Scene) -> None:
    """What is refused of one is accepted of the next; none is an answer for another."""
    venue = batching(scene)
    await scene.house("SELL", "1")
    first = await scene.rests(price=Decimal(90))
    legs = [
        scene.order(price=Decimal(91)), scene.order(post_only=True), first, scene.order(time_in_force="gtd"),
        scene.order(type="market", price=None), scene.order(quantity=Decimal("0.0005")),
    ]  # fmt: skip
    answers = await venue.submit_many(legs, [scene.window()] * len(legs))
    kinds = [type(answer.outcome) for answer in answers]
    assert kinds == [Accepted, Refused, Duplicate, Refused, Accepted, Refused]
    assert [scene.report(answers[place]).client_order_id for place in (0, 4)] == [
        legs[place].client_order_id for place in (0, 4)
    ]
    assert len((await scene.venue.open_orders(scene.symbol)).rows) == 2
    assert [await scene.found(legs[place]) for place in (1, 3, 5)] == [None] * 3


async def test_cancels_of_one_request_have_an_outcome_each(scene: Scene) -> None:
    """One that the venue does not know is refused, and says nothing about the others."""
    venue = batching(scene)
    orders = [await scene.rests(price=Decimal(90 + n)) for n in range(3)]
    legs = [orders[0], scene.order(), *orders[1:]]
    answers = await venue.cancel_many(legs, [scene.window()] * len(legs))
    assert [type(answer.outcome) for answer in answers] == [Accepted, Refused, Accepted, Accepted]
    assert [scene.report(answers[place]).status for place in (0, 2, 3)] == ["cancelled"] * 3
    assert not (await scene.venue.open_orders(scene.symbol)).rows


@pytest.mark.parametrize("fault", [Faults(accept_then_drop=1.0), Faults(cut_body=1.0)], ids=["dropped", "cut"])
async def test_a_batch_whose_answer_is_lost_is_unknown_in_every_leg(scene: Scene, fault: Faults) -> None:
    """And every leg is found by its name."""
    venue, orders = batching(scene), [scene.order() for _ in range(3)]
    await scene.control.set_faults(fault)
    placed = await venue.submit_many(orders, [scene.window()] * 3)
    cancelled = await venue.cancel_many(orders[:2], [scene.window()] * 2)
    await scene.control.set_faults(OFF)
    assert all(isinstance(answer.outcome, Unknown) for answer in (*placed, *cancelled))
    reports = [await scene.found(order) for order in orders]
    assert [report and report.status for report in reports] == ["cancelled", "cancelled", "open"]


async def test_a_batch_goes_out_within_the_earliest_window_of_its_legs(scene: Scene) -> None:
    """One claim that is too late holds all of them back; nothing is written."""
    venue, orders = batching(scene), [scene.order(), scene.order()]
    now_ms = scene.now_ms()
    windows = [scene.window(), Window(now_ms - 2_000, now_ms - 1)]
    for answers in (await venue.submit_many(orders, windows), await venue.cancel_many(orders, windows)):
        assert all(isinstance(answer.outcome, NotSent) for answer in answers)
    assert [await scene.found(order) for order in orders] == [None, None]


async def test_what_is_refused_as_a_whole_is_refused_in_every_leg(scene: Scene) -> None:
    """A wrong secret; throttling closes every claim likewise."""
    orders = [scene.order(), scene.order()]
    batching(scene)
    stranger: Any = await scene.open(secret="x" * 64)
    for answers in (
        await stranger.submit_many(orders, [scene.window()] * 2),
        await stranger.cancel_many(orders, [scene.window()] * 2),
    ):
        assert all(isinstance(answer.outcome, Refused) for answer in answers)
    await scene.control.set_faults(Faults(throttled=1.0))
    throttled = await batching(scene).submit_many(orders, [scene.window()] * 2)
    await scene.control.set_faults(OFF)
    assert all(isinstance(answer.outcome, Throttled) for answer in throttled)
    assert [await scene.found(order) for order in orders] == [None, None]


async def _stream_until(scene: Scene, events: Any, wanted: Callable[[Fact], bool]) -> list[Fact]:
    seen: list[Fact] = []
    while not any(wanted(fact) for fact in seen):
        frame = await anext(events)
        assert isinstance(frame, Frame)
        seen += scene.decode(frame.format, frame.raw)
    return seen
