"""A Binance account end to end: against the simulated venue, and byte by byte where the bytes matter."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qs

import pytest
from msgspec.structs import replace

from adapters.binance import lists
from adapters.binance.decode import decode
from adapters.binance.lists import PAGE_ROWS, SPAN_MS
from adapters.binance.venue import BinanceVenue
from adapters.credentials import Credentials
from adapters.registry import VenueSettings, open_venue
from adapters.simulated.control import Control
from adapters.simulated.faults import OFF, Faults
from adapters.simulated.process import SimulatedVenue, local_settings
from adapters.venue import CouldNotAsk, Frame, Lost, Subscribed, Venue, Window
from streams.budget import Cost, Usage
from streams.errors import UsageError
from streams.schemas import (
    Accepted,
    Duplicate,
    Execution,
    NotSent,
    OrderReport,
    Refused,
    Throttled,
    Unknown,
)

KEY, SECRET = "k" * 64, "s" * 64
BALANCES = {"BTC": Decimal(1000), "USDT": Decimal(1_000_000)}
DAY_MS = 24 * 3_600_000


def now_ms() -> int:
    """The machine's clock, which stands for the Redis server's here."""
    return time.time_ns() // 1_000_000


def soon(length_ms: int = 5_000) -> Window:
    """A window that opens now."""
    opened = now_ms()
    return Window(opened, opened + length_ms)


@pytest.fixture(scope="module")
def process() -> Iterator[SimulatedVenue]:
    """The simulated venue."""
    with SimulatedVenue(local_settings(["main"], BALANCES), seed=3) as running:
        yield running


@pytest.fixture(autouse=True)
async def control(process: SimulatedVenue) -> AsyncIterator[Control]:
    """Its control surface; faults and clock are put back afterwards."""
    async with process.control() as control:
        yield control
        await control.set_faults(OFF)
        await control.set_clock(0)


@pytest.fixture
async def venue(process: SimulatedVenue) -> AsyncIterator[Venue]:
    """An account at it."""
    account = process.settings.accounts[0]
    opened = await open_venue(
        VenueSettings(
            venue="binance",
            credentials=Credentials(account.api_key, account.secret),
            rest_url=process.rest_url,
            ws_url=process.ws_url,
        ),
        now_ms,
    )
    yield opened
    await opened.close()


def _facts(answer: Any) -> Any:
    return decode(answer.format, answer.raw)


async def test_an_order_is_placed_found_listed_and_cancelled(venue: Venue, make_order: Any) -> None:
    """The whole life of a resting order, always by our own id."""
    order = make_order()
    placed = await venue.submit(order, soon())
    assert placed.outcome == Accepted()
    (report,) = _facts(placed)
    assert (report.client_order_id, report.status) == (order.client_order_id, "open")
    (found,) = (await venue.find(order)).rows
    assert order.client_order_id.encode() in found
    assert found in (await venue.open_orders("BTC/USDT")).rows
    cancelled = await venue.cancel(order, soon())
    assert cancelled.outcome == Accepted()
    (ended,) = _facts(cancelled)
    assert (ended.client_order_id, ended.status) == (order.client_order_id, "cancelled")
    again = await venue.cancel(order, soon())
    assert isinstance(again.outcome, Refused)
    assert again.outcome.code == "-2011"


async def test_a_market_order_brings_its_fills_in_the_answer(venue: Venue, make_order: Any) -> None:
    """And the same trades are told by the look-ups, with the same identity."""
    began = now_ms() - 1
    answer = await venue.submit(make_order(type="market"), soon())
    *executions, report = _facts(answer)
    assert report.status == "filled"
    assert sum(execution.quantity for execution in executions) == report.filled == Decimal("0.01")
    ids = {execution.execution_id for execution in executions}
    for rows in (
        await venue.trades_of("BTC/USDT", report.venue_order_id),
        await venue.trades_since("BTC/USDT", began),
    ):
        told = [fact for row in rows.rows for fact in decode(rows.format, row)]
        assert {fact.execution_id for fact in told if isinstance(fact, Execution)} == ids
    orders = await venue.orders_since("BTC/USDT", began - 3 * DAY_MS)
    last = decode(orders.format, orders.rows[-1])[-1]
    assert isinstance(last, OrderReport)
    assert last.venue_order_id == report.venue_order_id


async def test_a_second_order_under_an_open_id_is_a_duplicate(venue: Venue, make_order: Any) -> None:
    """The venue's answer is evidence of the first."""
    order = make_order()
    await venue.submit(order, soon())
    assert (await venue.submit(order, soon())).outcome == Duplicate("-2010")
    await venue.cancel(order, soon())


@pytest.mark.parametrize(
    ("terms", "code"),
    [
        ({"quantity": Decimal("1.00000999")}, "-1013"),
        ({"quantity": Decimal(100), "price": Decimal(50_000)}, "-2010"),
        ({"post_only": True, "price": Decimal(90_000)}, "-2010"),
        ({"symbol": "NO/USDT"}, "-1121"),
        ({"time_in_force": "gtd"}, "unsupported"),
    ],
)
async def test_a_refusal_has_the_venues_code(venue: Venue, make_order: Any, terms: Any, code: str) -> None:
    """An amount off the grid is refused by the venue, because nobody cut it before."""
    outcome = (await venue.submit(make_order(**terms), soon())).outcome
    assert isinstance(outcome, Refused)
    assert outcome.code == code


async def test_what_the_venue_does_not_know_is_no_rows(venue: Venue, make_order: Any) -> None:
    """-2013 and nothing else."""
    assert (await venue.find(make_order())).rows == ()


async def test_a_closed_window_sends_nothing(venue: Venue, make_order: Any) -> None:
    """The last check before the write says no."""
    order = make_order()
    answer = await venue.submit(order, Window(now_ms() - 2_000, now_ms() - 1))
    assert isinstance(answer.outcome, NotSent)
    assert (await venue.find(order)).rows == ()


async def test_the_venue_refuses_what_arrives_late(venue: Venue, make_order: Any, control: Control) -> None:
    """Our clock says in time, the venue's says too late: -1021 closes this claim."""
    await control.set_clock(8_000)
    order = make_order()
    answer = await venue.submit(order, soon(5_000))
    assert isinstance(answer.outcome, NotSent)
    assert "-1021" in answer.outcome.reason


async def test_the_venues_clock_is_measured(venue: BinanceVenue, make_order: Any, control: Control) -> None:
    """After measuring, a venue that is an hour ahead takes the same window."""
    await control.set_clock(3_600_000)
    await venue.measure_clock()
    assert abs(venue.clock_offset_ms - 3_600_000) < 1_000
    order = make_order()
    assert (await venue.submit(order, soon())).outcome == Accepted()
    assert len((await venue.find(order)).rows) == 1
    await venue.cancel(order, soon())


@pytest.mark.parametrize(
    ("faults", "outcome"),
    [
        ({"accept_then_drop": 1.0}, Unknown),
        ({"cut_body": 1.0}, Unknown),
        ({"server_error": 1.0}, Unknown),
        ({"throttled": 1.0}, Throttled),
    ],
)
async def test_an_unkind_venue_is_told_honestly(
    venue: Venue, make_order: Any, control: Control, faults: dict[str, float], outcome: type
) -> None:
    """Done or not done, nobody can tell: unknown. Not processed: throttled."""
    await control.set_faults(Faults(**faults))  # type: ignore[arg-type]  # rates by name
    order = make_order()
    answer = await venue.submit(order, soon())
    assert isinstance(answer.outcome, outcome)
    await control.set_faults(OFF)
    if outcome is Throttled:
        assert (await venue.find(order)).rows == ()


async def test_the_instruments_are_those_of_the_venue(venue: Venue) -> None:
    """Steps as decimals."""
    found = {instrument.symbol: instrument for instrument in await venue.instruments()}
    assert found["BTC/USDT"].tick == Decimal("0.01")
    assert found["BTC/USDT"].venue_symbol == "BTCUSDT"


async def test_the_private_stream_tells_what_happens_and_comes_back(
    venue: Venue, make_order: Any, control: Control
) -> None:
    """Subscribed before the order, its reports, Lost when it is cut, and Subscribed again."""
    order = make_order()
    async with aclosing(venue.stream()) as events:
        assert isinstance(await anext(events), Subscribed)
        await venue.submit(order, soon())
        frame = await anext(events)
        assert isinstance(frame, Frame)
        (report,) = decode(frame.format, frame.raw)
        assert isinstance(report, OrderReport)
        assert report.client_order_id == order.client_order_id
        await control.cut_streams()
        while not isinstance(event := await anext(events), Lost):
            assert isinstance(event, Frame)
        assert isinstance(await anext(events), Subscribed)
        await venue.cancel(order, soon())
        while True:
            frame = await anext(events)
            assert isinstance(frame, Frame)
            (fact, *_) = decode(frame.format, frame.raw)
            if isinstance(fact, OrderReport):
                break
    assert (fact.client_order_id, fact.status) == (order.client_order_id, "cancelled")


async def test_a_wrong_key_is_visible_on_the_stream(process: SimulatedVenue, venue: Venue) -> None:
    """REST says it by its code, the stream by its reason."""
    stranger = BinanceVenue(venue._rest, Credentials(KEY, SECRET), process.ws_url, now_ms)  # type: ignore[attr-defined]  # the shell of another
    async with aclosing(stranger.stream()) as events:
        lost = await anext(events)
    assert isinstance(lost, Lost)
    assert "refused" in lost.reason
    assert KEY not in lost.reason


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.at_ms = 1_700_000_000_000

    def __call__(self) -> int:
        """UTC ms."""
        return self.at_ms


Opened = tuple[BinanceVenue, Clock]


@pytest.fixture
async def scripted(wire: Any) -> AsyncIterator[Opened]:
    """An account at the raw server, whose clock is 700 ms ahead of ours."""
    clock = Clock()
    for _ in range(5):
        wire.answer(json.dumps({"serverTime": clock.at_ms + 700}).encode())
    venue = await BinanceVenue.open(Credentials(KEY, SECRET), clock, rest_url=wire.url, call_timeout_ms=10_000)
    wire.requests.clear()
    yield venue, clock
    await venue.close()


def _sent(request: bytes) -> dict[str, str]:
    head, _, body = request.partition(b"\r\n\r\n")
    query = body or head.split(b" ")[1].partition(b"?")[2]
    return {name: values[0] for name, values in parse_qs(query.decode(), strict_parsing=True).items()}


async def test_the_window_on_the_wire_is_the_claims_and_not_the_senders(
    scripted: Opened, wire: Any, make_order: Any
) -> None:
    """However late it is signed, `timestamp` is the claim's on the venue's clock and `recvWindow` its length."""
    venue, clock = scripted
    window = Window(clock.at_ms, clock.at_ms + 2_000)
    for command in (venue.submit, venue.cancel):
        clock.at_ms = window.send_by_ms - 1
        wire.answer(b"{}")
        await command(make_order(), window)
        sent = _sent(wire.requests[-1])
        assert (sent["timestamp"], sent["recvWindow"]) == (str(window.opened_at_ms + 700), "2000")
        assert wire.requests[-1].count(b"timestamp=") == 1
        clock.at_ms = window.send_by_ms
        late = await command(make_order(), window)
        assert isinstance(late.outcome, NotSent)
    assert len(wire.requests) == 2


async def test_amounts_and_id_on_the_wire_are_the_records(scripted: Opened, wire: Any, make_order: Any) -> None:
    """No truncation by a library, and never an id of its own."""
    venue, clock = scripted
    order = make_order(quantity=Decimal("1.00000999"), price=Decimal("0.10000001"))
    wire.answer(b"{}")
    await venue.submit(order, Window(clock.at_ms, clock.at_ms + 1_000))
    sent = _sent(wire.requests[0])
    assert (sent["quantity"], sent["price"]) == ("1.00000999", "0.10000001")
    assert sent["newClientOrderId"] == order.client_order_id
    assert sent["newOrderRespType"] == "FULL"


async def test_a_cancel_names_the_order_by_our_id(scripted: Opened, wire: Any, make_order: Any) -> None:
    """DELETE by `origClientOrderId`."""
    venue, clock = scripted
    order = make_order()
    wire.answer(b"{}")
    await venue.cancel(order, Window(clock.at_ms, clock.at_ms + 1_000))
    assert wire.requests[0].startswith(b"DELETE /api/v3/order?")
    assert _sent(wire.requests[0])["origClientOrderId"] == order.client_order_id


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (404, b'{"code":-2013,"msg":"Order does not exist."}'),
        (200, b'{"code":-2013,"msg":"Order does not exist."}'),
        (500, b'{"code":-2013,"msg":"Order does not exist."}'),
        (400, b'{"code":-2026,"msg":"archived"}'),
        (400, b'{"code":-2011,"msg":"Unknown order sent."}'),
        (429, b"{}"),
        (418, b""),
        (401, b'{"code":-2015,"msg":"Invalid API-key."}'),
        (200, b""),
        (200, b"[]"),
        (200, b"{"),
        (400, b"<html>"),
    ],
)
async def test_what_is_not_an_answer_is_no_absence(
    scripted: Opened, wire: Any, make_order: Any, status: int, body: bytes
) -> None:
    """Only -2013 at HTTP 400 says that an order does not exist."""
    venue, _ = scripted
    wire.answer(body, status=status)
    with pytest.raises(CouldNotAsk):
        await venue.find(make_order())


async def test_a_dead_line_is_no_absence(scripted: Opened, wire: Any, make_order: Any) -> None:
    """Nor is silence; and the sentence holds neither key nor address."""
    venue, _ = scripted
    venue._rest._timeout_ms = 400  # silence alone is waited for; everything else has the time a busy machine needs
    with pytest.raises(CouldNotAsk) as told:
        await venue.find(make_order())
    wire.hang_up()
    wire.hang_up()
    with pytest.raises(CouldNotAsk):
        await venue.trades_since("BTC/USDT", now_ms())
    assert KEY not in str(told.value)
    assert wire.url not in str(told.value)


async def test_look_ups_step_through_days_and_then_follow_ids(scripted: Opened, wire: Any) -> None:
    """Spans of at most 24 hours until something is there; pages by id until one is empty; bytes as they came."""
    venue, clock = scripted
    rows = [b'{"id": %d, "orderId":1}' % number for number in range(5, 8)]
    for page in (b"[]", b"[]", b"[" + rows[1] + b"," + rows[0] + b"]", b"[" + rows[2] + b"]", b"[]"):
        wire.answer(page)
    since = clock.at_ms - 5 * DAY_MS
    found = await venue.trades_since("BTC/USDT", since)
    assert list(found.rows) == rows
    asked = [_sent(request) for request in wire.requests]
    assert [int(one["startTime"]) - since - 700 for one in asked[:3]] == [0, DAY_MS, 2 * DAY_MS]
    assert all(int(one["endTime"]) - int(one["startTime"]) == SPAN_MS < DAY_MS for one in asked[:3])
    assert [one.get("fromId") for one in asked[3:]] == ["7", "8"]
    assert {one["limit"] for one in asked} == {str(PAGE_ROWS)}
    assert all("startTime" not in one for one in asked[3:])


async def test_a_span_that_is_too_full_for_one_page_is_halved(
    scripted: Opened, wire: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The page may hold its newest rows as well as its oldest; following by id begins at a page that is whole."""
    monkeypatch.setattr(lists, "PAGE_ROWS", 2)
    venue, clock = scripted
    rows = [b'{"id":%d,"orderId":1}' % number for number in range(5, 10)]
    for page in (rows[3:], rows[1:3], rows[:1], rows[1:3], rows[3:], []):
        wire.answer(b"[" + b",".join(page) + b"]")
    since = clock.at_ms - DAY_MS
    assert list((await venue.trades_since("BTC/USDT", since)).rows) == rows
    asked = [_sent(request) for request in wire.requests]
    assert [int(one["endTime"]) - int(one["startTime"]) for one in asked[:3]] == [
        SPAN_MS, SPAN_MS // 2, SPAN_MS // 2 // 2,
    ]  # fmt: skip
    assert [one.get("fromId") for one in asked[3:]] == ["6", "8", "10"]
    wire.requests.clear()
    for page in (rows[:2], rows[:1], rows[1:2], []):
        wire.answer(b"[" + b",".join(page) + b"]")
    assert list((await venue.trades_since("BTC/USDT", clock.at_ms - 90_000)).rows) == rows[:2]
    asked = [_sent(request) for request in wire.requests]
    assert int(asked[1]["endTime"]) - int(asked[1]["startTime"]) == 45_000


async def test_what_is_older_than_a_list_without_times_shows_is_stepped_through(scripted: Opened, wire: Any) -> None:
    """A list by id may be of the last days alone: it would leave a hole behind an old row."""
    venue, clock = scripted
    rows = [b'{"orderId":%d}' % number for number in range(5, 8)]
    for page in (rows[:1], [], rows[1:2], rows[2:], []):
        wire.answer(b"[" + b",".join(page) + b"]")
    found = await venue.orders_since("BTC/USDT", clock.at_ms - 8 * DAY_MS - DAY_MS // 2)
    assert list(found.rows) == rows
    asked = [_sent(request) for request in wire.requests]
    assert ["startTime" in one for one in asked] == [True, True, True, False, False]
    assert [one.get("orderId") for one in asked[3:]] == ["7", "8"]


async def test_an_order_with_more_trades_than_a_page_is_read_from_its_first(
    scripted: Opened, wire: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full page without a cursor may be that of its newest."""
    monkeypatch.setattr(lists, "PAGE_ROWS", 2)
    venue, _ = scripted
    rows = [b'{"id":%d}' % number for number in range(5, 8)]
    for page in (rows[1:], rows[:2], rows[2:], []):
        wire.answer(b"[" + b",".join(page) + b"]")
    assert list((await venue.trades_of("BTC/USDT", "1")).rows) == rows
    assert [_sent(request).get("fromId") for request in wire.requests] == [None, "0", "7", "8"]


async def test_a_venue_that_repeats_itself_is_not_followed_for_ever(scripted: Opened, wire: Any) -> None:
    """Paging ends with a sentence."""
    venue, _ = scripted
    wire.answer(b'[{"id":5}]')
    wire.answer(b'[{"id":5}]')
    with pytest.raises(CouldNotAsk, match="repeats"):
        await venue.trades_of("BTC/USDT", "1")


async def test_a_look_up_is_bounded_in_time(scripted: Opened, wire: Any) -> None:
    """More than the venue remembers is not asked for day by day."""
    venue, _ = scripted
    with pytest.raises(CouldNotAsk, match="ask for less"):
        await venue.orders_since("BTC/USDT", 0)
    assert wire.requests == []


@pytest.mark.parametrize("ask", ["open_orders", "orders_since", "trades_since", "trades_of"])
async def test_a_symbol_that_is_not_spot_cannot_be_asked_for(scripted: Opened, ask: str) -> None:
    """A perpetual is not silently taken for the spot symbol."""
    venue, clock = scripted
    arguments: dict[str, list[Any]] = {"open_orders": [], "trades_of": ["1"]}
    method: Callable[..., Any] = getattr(venue, ask)
    with pytest.raises(CouldNotAsk, match="spot"):
        await method("BTC/USDT:USDT", *arguments.get(ask, [clock.at_ms]))


async def test_a_tombstone_is_neither_sent_nor_asked_for(scripted: Opened, wire: Any, make_order: Any) -> None:
    """Without terms there is nothing to say to a venue."""
    venue, clock = scripted
    stone = replace(make_order(), terms=None)
    window = Window(clock.at_ms, clock.at_ms + 1_000)
    assert isinstance((await venue.submit(stone, window)).outcome, Refused)
    assert isinstance((await venue.cancel(stone, window)).outcome, Refused)
    with pytest.raises(CouldNotAsk):
        await venue.find(stone)
    assert wire.requests == []


async def test_a_venue_that_does_not_tell_its_time_is_not_opened(wire: Any) -> None:
    """Windows could not be said in its terms; nothing stays open."""
    wire.answer(b"{}", status=503)
    with pytest.raises(CouldNotAsk, match="503"):
        await BinanceVenue.open(Credentials(KEY, SECRET), now_ms, rest_url=wire.url)
    await asyncio.wait_for(wire.gone.wait(), 5)


async def test_a_private_key_is_refused_with_a_sentence() -> None:
    """The stream signs by HMAC only."""
    with pytest.raises(UsageError, match="HMAC"):
        await BinanceVenue.open(Credentials(KEY, "-----BEGIN PRIVATE KEY-----"), now_ms)


class Till:
    """An allowance that a test holds in its hands.

    Attributes:
        wait_ms: what it answers.
        taken: what it was asked for, with the patience.
        told: what it heard.
    """

    def __init__(self, wait_ms: int = 0) -> None:
        self.wait_ms = wait_ms
        self.taken: list[tuple[Cost, int]] = []
        self.told: list[Usage] = []

    async def take(self, cost: Cost, *, ahead_ms: int, patience_ms: int = 0) -> int:
        """Answer."""
        del ahead_ms
        self.taken.append((cost, patience_ms))
        return self.wait_ms

    async def heard(self, usage: Usage, *, ahead_ms: int, began_ms: int, ended_ms: int) -> None:
        """Keep it."""
        del ahead_ms
        assert began_ms <= ended_ms
        self.told.append(usage)


@pytest.fixture
def till(venue: Venue) -> Till:
    """The allowance of the account."""
    assert isinstance(venue, BinanceVenue)
    made = Till()
    venue.metered.allowance = made
    return made


async def test_every_request_is_paid_for_by_what_it_is(venue: Venue, till: Till, make_order: Any) -> None:
    """Weights as declared; a place takes a place in the counts; a cancel, and what must follow one, are patient."""
    order, window = make_order(), soon()
    await venue.submit(order, window)
    await venue.find(order)
    await venue.cancel(order, window)
    await venue.submit(make_order(), replace(window, urgency="reduce"))
    await venue.open_orders("BTC/USDT")
    costs = [cost for cost, _ in till.taken]
    assert costs == [
        Cost("new", 1, 1), Cost("query", 4), Cost("cancel", 1), Cost("reduce", 1, 1), Cost("query", 6)
    ]  # fmt: skip
    assert [till.taken[number][1] for number in (0, 3)] == [0, 0]
    assert 0 < till.taken[2][1] <= 5_000
    assert all(usage.readings[0].count > 0 for usage in till.told)
    assert {reading.interval_ms for reading in till.told[0].readings} == {60_000, 10_000, DAY_MS}


async def test_waiting_for_the_request_budget_is_no_part_of_the_clocks_measure(venue: BinanceVenue) -> None:
    """Else every send window would be moved by half of the wait."""
    waited = [5_000.0]

    class Slow(Till):
        async def take(self, cost: Cost, *, ahead_ms: int, patience_ms: int = 0) -> int:
            waited[0] += 4_000
            return await super().take(cost, ahead_ms=ahead_ms, patience_ms=patience_ms)

    venue._now_ms = lambda: now_ms() + int(waited[0]) - 5_000 - 20_000  # a clock that passes while budget is awaited
    venue.metered.allowance = Slow()
    await venue.measure_clock()
    assert abs(venue.clock_offset_ms - 8_000) < 1_000


async def test_a_command_without_budget_is_throttled_before_anything_leaves(
    venue: Venue, till: Till, make_order: Any
) -> None:
    """It is due again when there is some; the venue has not heard of it."""
    till.wait_ms = 700
    order = make_order()
    answer = await venue.submit(order, soon())
    assert (answer.outcome, answer.sent_at_ms, answer.raw) == (Throttled(700), 0, b"")
    assert (await venue.cancel(order, soon())).outcome == Throttled(700)
    till.wait_ms = 0
    assert not (await venue.find(order)).rows


async def test_a_look_up_without_budget_could_not_be_asked(venue: Venue, till: Till, make_order: Any) -> None:
    """And proves nothing, whatever it was about."""
    till.wait_ms = 700
    for ask in (venue.find(make_order()), venue.trades_since("BTC/USDT", now_ms() - 1_000), venue.instruments(),
                venue.balances(), venue.measure_clock()):  # fmt: skip
        with pytest.raises(CouldNotAsk, match="700 ms"):
            await ask
    assert not till.told


async def test_a_refusal_for_too_much_weight_is_told(
    venue: Venue, till: Till, control: Control, make_order: Any
) -> None:
    """So that nobody behind that address asks before its time."""
    await control.set_faults(Faults(throttled=1.0))
    answer = await venue.submit(make_order(), soon())
    assert isinstance(answer.outcome, Throttled)
    assert [usage.block_ms for usage in till.told] == [answer.outcome.retry_after_ms]


async def test_the_limits_are_learned_with_what_can_be_traded(venue: Venue, till: Till) -> None:
    """The venue knows best what it allows."""
    await venue.instruments()
    limits = {(one.of, one.interval_ms): one.limit for usage in till.told for one in usage.readings if one.limit}
    assert limits == {("weight", 60_000): 6_000_000, ("orders", 10_000): 100_000, ("orders", DAY_MS): 200_000_000}
