"""Orders of a Binance account by websocket: against the simulated venue, and with its socket taken away."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from decimal import Decimal
from typing import Any

import pytest

from adapters.binance.decode import decode
from adapters.binance.venue import BinanceVenue
from adapters.credentials import Credentials
from adapters.registry import VenueSettings, open_venue
from adapters.simulated.control import Control
from adapters.simulated.faults import OFF, Faults
from adapters.simulated.process import SimulatedVenue, local_settings
from adapters.venue import Window
from streams.errors import UsageError
from streams.schemas import Accepted, Duplicate, NotSent, Refused, Throttled, Unknown
from tests.socket_proxy import SocketProxy
from tests.support import wait_until_async

BALANCES = {"BTC": Decimal(1000), "USDT": Decimal(1_000_000)}
PLACE, CANCEL, STATUS = b'"order.place"', b'"order.cancel"', b'"order.status"'


class Clock:
    """The machine's clock, which stands for the Redis server's here, and can be moved."""

    def __init__(self) -> None:
        self.ahead_ms = 0

    def __call__(self) -> int:
        """UTC ms."""
        return time.time_ns() // 1_000_000 + self.ahead_ms

    def window(self, length_ms: int = 5_000) -> Window:
        """A window that opens now."""
        return Window(self(), self() + length_ms)


@pytest.fixture(scope="module")
def process() -> Iterator[SimulatedVenue]:
    """The simulated venue."""
    with SimulatedVenue(local_settings(["main"], BALANCES), seed=3) as running:
        yield running


@pytest.fixture(autouse=True)
async def control(process: SimulatedVenue) -> AsyncIterator[Control]:
    """Its control surface; faults are put back afterwards."""
    async with process.control() as control:
        yield control
        await control.set_faults(OFF)
        await control.set_clock(0)


@pytest.fixture
async def proxy(process: SimulatedVenue) -> AsyncIterator[SocketProxy]:
    """The way of the orders."""
    async with SocketProxy(process.ws_url) as made:
        yield made


@pytest.fixture
def clock() -> Clock:
    """Ours."""
    return Clock()


@pytest.fixture
async def venue(process: SimulatedVenue, proxy: SocketProxy, clock: Clock) -> AsyncIterator[BinanceVenue]:
    """An account whose orders go by websocket, and the rest as ever."""
    account = process.settings.accounts[0]
    opened = await open_venue(
        VenueSettings(
            venue="binance", credentials=Credentials(account.api_key, account.secret), rest_url=process.rest_url,
            ws_url=process.ws_url, order_entry="ws", order_url=proxy.url, request_timeout_ms=10_000,
        ),
        clock,
    )  # fmt: skip
    assert isinstance(opened, BinanceVenue)
    yield opened
    await opened.close()


async def test_an_order_is_placed_found_and_cancelled_by_websocket(
    venue: BinanceVenue, proxy: SocketProxy, clock: Clock, make_order: Any
) -> None:
    """Each by its own method, always by our id, and the answers decode as those of REST."""
    order = make_order()
    placed = await venue.submit(order, clock.window())
    assert placed.outcome == Accepted()
    (report,) = decode(placed.format, placed.raw)
    assert (report.client_order_id, report.status) == (order.client_order_id, "open")  # type: ignore[union-attr]  # a report
    (found,) = (await venue.find(order)).rows
    assert order.client_order_id.encode() in found
    cancelled = await venue.cancel(order, clock.window())
    assert cancelled.outcome == Accepted()
    again = await venue.cancel(order, clock.window())
    assert isinstance(again.outcome, Refused)
    assert again.outcome.code == "-2011"
    assert (await venue.find(make_order())).rows == ()
    assert [proxy.count(one) for one in (PLACE, STATUS, CANCEL)] == [1, 2, 2]


async def test_what_fills_on_arrival_comes_with_its_trades(venue: BinanceVenue, clock: Clock, make_order: Any) -> None:
    """As by REST: FULL is asked for."""
    answer = await venue.submit(make_order(type="market"), clock.window())
    *executions, report = decode(answer.format, answer.raw)
    assert executions
    assert report.status == "filled"  # type: ignore[union-attr]  # a report


async def test_a_second_order_under_an_open_id_is_a_duplicate(
    venue: BinanceVenue, clock: Clock, make_order: Any
) -> None:
    """The same table reads it."""
    order = make_order()
    await venue.submit(order, clock.window())
    assert (await venue.submit(order, clock.window())).outcome == Duplicate("-2010")
    await venue.cancel(order, clock.window())


async def test_an_answer_that_was_cut_off_is_unknown_and_nothing_goes_by_rest(
    venue: BinanceVenue, proxy: SocketProxy, clock: Clock, make_order: Any
) -> None:
    """The order is there; sent a second time, it would be refused as a duplicate at best."""
    order = make_order()
    proxy.cut_answer(PLACE)
    answer = await venue.submit(order, clock.window())
    assert isinstance(answer.outcome, Unknown)
    assert proxy.count(PLACE) == 1
    assert len((await venue.find(order)).rows) == 1
    assert (await venue.cancel(order, clock.window())).outcome == Accepted()


async def test_all_that_are_in_flight_when_the_socket_is_lost_are_unknown(
    venue: BinanceVenue, proxy: SocketProxy, clock: Clock, make_order: Any
) -> None:
    """None was delivered, and nobody can know that: each waits for a look-up."""
    orders = [make_order() for _ in range(3)]
    for order in orders:
        proxy.hold(order.client_order_id.encode())
    sending = [asyncio.create_task(venue.submit(order, clock.window())) for order in orders]
    await wait_until_async(lambda: len(proxy.seen) == 3)
    proxy.cut()
    assert all(isinstance(answer.outcome, Unknown) for answer in await asyncio.gather(*sending))
    assert proxy.count(PLACE) == 0


async def test_while_the_socket_is_down_the_same_claim_goes_by_rest(
    venue: BinanceVenue, proxy: SocketProxy, clock: Clock, make_order: Any
) -> None:
    """Nothing had left by the socket. Its window is the claim's; when the socket is back, it is used again."""
    proxy.down = True
    proxy.cut()
    assert venue._calls is not None
    await wait_until_async(lambda: venue._calls is not None and not venue._calls.stands)
    order = make_order()
    assert (await venue.submit(order, clock.window())).outcome == Accepted()
    assert (await venue.cancel(order, clock.window())).outcome == Accepted()
    assert proxy.seen == []
    proxy.down = False
    await wait_until_async(lambda: venue._calls is not None and venue._calls.stands)
    assert (await venue.submit(make_order(), clock.window())).outcome == Accepted()
    assert proxy.count(PLACE) == 1


async def test_where_nothing_listens_nothing_was_sent(clock: Clock, venue: BinanceVenue, make_order: Any) -> None:
    """Refused before the first byte, by both ways: the claim is closed, and the order may be claimed anew."""
    assert venue._calls is not None
    await venue._calls.close()
    await venue._rest.close()
    assert isinstance((await venue.submit(make_order(), clock.window())).outcome, NotSent)


async def test_a_request_that_is_held_on_its_way_is_refused_by_the_venue(
    venue: BinanceVenue, proxy: SocketProxy, clock: Clock, make_order: Any
) -> None:
    """Signed and sent in time, delivered too late: -1021, because the window is that of the claim."""
    order = make_order()
    held = proxy.hold(PLACE)
    window = clock.window(300)
    sending = asyncio.create_task(venue.submit(order, window))
    await held.arrived.wait()
    await wait_until_async(lambda: clock() > window.send_by_ms)
    held.release()
    answer = await sending
    assert isinstance(answer.outcome, NotSent)
    assert "-1021" in answer.outcome.reason
    assert (await venue.find(order)).rows == ()


async def test_a_gateway_held_up_before_signing_signs_the_claims_window(
    venue: BinanceVenue, proxy: SocketProxy, clock: Clock, make_order: Any
) -> None:
    """In the window's last moment it goes out with the claim's own time; after it, nothing goes out at all."""
    order = make_order()
    window = clock.window(3_000)
    clock.ahead_ms = 1_500
    await venue.submit(order, window)
    assert f'"timestamp":{window.opened_at_ms + venue.clock_offset_ms},'.encode() in proxy.seen[0]
    assert b'"recvWindow":3000,' in proxy.seen[0]
    clock.ahead_ms = 3_000
    late = await venue.submit(make_order(), window)
    assert isinstance(late.outcome, NotSent)
    assert len(proxy.seen) == 1
    clock.ahead_ms = 0
    await venue.cancel(order, clock.window())


@pytest.mark.parametrize(
    ("faults", "outcome"),
    [
        ({"accept_then_drop": 1.0}, Unknown),
        ({"cut_body": 1.0}, Unknown),
        ({"server_error": 1.0}, Unknown),
        ({"throttled": 1.0}, Throttled),
    ],
)
async def test_an_unkind_venue_is_told_honestly(  # noqa: PLR0917 - fixtures
    venue: BinanceVenue, clock: Clock, make_order: Any, control: Control, faults: dict[str, float], outcome: type
) -> None:
    """As by REST: done or not done, nobody can tell."""
    assert venue._calls is not None
    venue._calls._timeout_s = 1  # silence alone is waited for; everything else has the time a busy machine needs
    await control.set_faults(Faults(**faults))  # type: ignore[arg-type]  # rates by name
    answer = await venue.submit(make_order(), clock.window())
    assert isinstance(answer.outcome, outcome)


async def test_a_way_the_venue_does_not_have_is_refused_at_start(clock: Clock) -> None:
    """With the ways it has."""
    where = VenueSettings(venue="binance", credentials=Credentials("k", "s"), order_entry="fix")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="rest, ws"):
        await open_venue(where, clock)
