"""A USDⓈ-M account against its simulator, where it differs from spot: position modes, listen keys, two channels."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from decimal import Decimal
from typing import Any

import aiohttp
import pytest

from adapters.binance.decode import decode
from adapters.binance_usdm.venue import BinanceUsdmVenue
from adapters.binance_usdm.wallets import WALLETS_FORMAT, wallets
from adapters.credentials import Credentials
from adapters.simulated.control import Control
from adapters.simulated.faults import OFF
from adapters.simulated.liquidity import Liquidity
from adapters.simulated.process import SimulatedVenue
from adapters.simulated.settings import AccountSettings, Settings
from adapters.venue import CouldNotAsk, Frame, Lost, Subscribed, Window
from streams.schemas import Accepted, Execution, Ignored, OrderReport, Refused
from tests.support import wait_until_async

KEY, SECRET = "k" * 64, "s" * 64
PERPETUAL = "BTC/USDT:USDT"


def now_ms() -> int:
    """The machine's clock, which stands for the Redis server's here."""
    return time.time_ns() // 1_000_000


def soon() -> Window:
    """A window that opens now."""
    return Window(now_ms(), now_ms() + 5_000)


@pytest.fixture(scope="module")
def process() -> Iterator[SimulatedVenue]:
    """The simulated venue, with margin and nothing else."""
    account = AccountSettings("main", KEY, SECRET, {"USDT": Decimal(1_000_000)})
    told = Settings(control_token="t" * 32, accounts=(account,), liquidity=Liquidity(on=False), product="usdm")
    with SimulatedVenue(told, seed=3) as running:
        yield running


@pytest.fixture
async def control(process: SimulatedVenue) -> AsyncIterator[Control]:
    """Its control surface."""
    async with process.control() as control:
        await control.set_faults(OFF)
        yield control


@pytest.fixture
async def venue(process: SimulatedVenue, control: Control) -> AsyncIterator[BinanceUsdmVenue]:
    """The account."""
    assert control is not None
    opened = await BinanceUsdmVenue.open(
        Credentials(KEY, SECRET), now_ms, rest_url=process.rest_url, ws_url=process.ws_url
    )
    yield opened
    await opened.close()


async def _hedge(process: SimulatedVenue, *, on: bool) -> None:
    async with aiohttp.ClientSession(headers={"X-MBX-APIKEY": KEY}) as session:
        data = {"dualSidePosition": "true" if on else "false"}
        async with session.post(f"{process.rest_url}/fapi/v1/positionSide/dual", data=data) as answer:
            assert answer.status == 200


async def test_an_order_that_does_not_fit_the_position_mode_is_refused(
    venue: BinanceUsdmVenue, process: SimulatedVenue, make_order: Any
) -> None:
    """In one-way mode there is one position a symbol, in hedge mode each order says which of two it means."""
    long, net = make_order(symbol=PERPETUAL, position_side="long"), make_order(symbol=PERPETUAL)
    refused = (await venue.submit(long, soon())).outcome
    assert isinstance(refused, Refused)
    assert refused.code == "-4061"
    await _hedge(process, on=True)
    try:
        refused = (await venue.submit(net, soon())).outcome
        assert isinstance(refused, Refused)
        assert refused.code == "-4061"
        assert (await venue.submit(long, soon())).outcome == Accepted()
        (row,) = (await venue.find(long)).rows
        assert b'"positionSide":"LONG"' in row
        await venue.cancel(long, soon())
    finally:
        await _hedge(process, on=False)


async def test_an_order_that_may_only_reduce_never_opens(
    venue: BinanceUsdmVenue, control: Control, make_order: Any
) -> None:
    """Refused while there is nothing to reduce, taken when there is."""
    reduce = make_order(symbol=PERPETUAL, side="sell", reduce_only=True, price=Decimal(60_000))
    refused = (await venue.submit(reduce, soon())).outcome
    assert isinstance(refused, Refused)
    assert refused.code == "-2022"
    await control.house_order("BTCUSDT", "SELL", Decimal("0.01"), price=Decimal(60_000))
    opened = await venue.submit(make_order(symbol=PERPETUAL, type="market"), soon())
    assert opened.outcome == Accepted()
    await control.house_order("BTCUSDT", "BUY", Decimal("0.01"), price=Decimal(60_000))
    again = make_order(symbol=PERPETUAL, side="sell", reduce_only=True, price=Decimal(60_000))
    assert (await venue.submit(again, soon())).outcome == Accepted()


async def test_a_fill_that_two_channels_tell_is_one_execution_with_its_fee(
    venue: BinanceUsdmVenue, control: Control, make_order: Any
) -> None:
    """`TRADE_LITE` comes first, without fee and cumulative figure; what counts is the report of the order."""
    await control.house_order("BTCUSDT", "SELL", Decimal("0.01"), price=Decimal(60_000))
    async with aclosing(venue.stream()) as events:
        assert isinstance(await anext(events), Subscribed)
        await venue.submit(make_order(symbol=PERPETUAL, type="market"), soon())
        facts: list[Any] = []
        while not any(isinstance(fact, OrderReport) and fact.status == "filled" for fact in facts):
            frame = await anext(events)
            assert isinstance(frame, Frame)
            facts += decode(frame.format, frame.raw)
    [fill] = [fact for fact in facts if isinstance(fact, Execution)]
    assert (fill.quantity, fill.fee_asset, fill.side) == (Decimal("0.01"), "USDT", "buy")
    assert fill.fee
    assert any(isinstance(fact, Ignored) and "TRADE_LITE" in fact.reason for fact in facts)


async def test_a_key_that_ended_is_replaced(venue: BinanceUsdmVenue, control: Control) -> None:
    """The stream says so itself, and the next connection asks for another key."""
    async with aclosing(venue.stream()) as events:
        assert isinstance(await anext(events), Subscribed)
        await control.cut_streams(None, "terminate")
        assert isinstance(await anext(events), Frame)
        lost = await anext(events)
        assert isinstance(lost, Lost)
        assert "listen key" in lost.reason
        assert isinstance(await anext(events), Subscribed)


async def test_a_key_that_could_not_be_kept_alive_is_tried_again_soon(wire: Any) -> None:
    """The next time of its own would be the hour after which it ends."""
    for _ in range(5):
        wire.answer(b'{"serverTime":%d}' % now_ms())
    venue = await BinanceUsdmVenue.open(Credentials(KEY, SECRET), now_ms, rest_url=wire.url, ws_url="ws://127.0.0.1:9")
    wire.requests.clear()
    wire.answer(b"", status=503)
    wire.answer(b"{}")
    venue.keep_key_ms = venue.keep_again_ms = 1
    keeping = asyncio.create_task(venue._keep_key())
    await asyncio.sleep(0)
    venue.keep_key_ms = 3_600_000
    await wait_until_async(lambda: len(wire.requests) == 2)
    assert all(b"PUT /fapi/v1/listenKey" in request for request in wire.requests)
    keeping.cancel()
    await asyncio.gather(keeping, return_exceptions=True)
    await venue.close()


async def test_a_key_that_ended_without_a_word_is_replaced_too(
    venue: BinanceUsdmVenue, process: SimulatedVenue
) -> None:
    """The connection stands and answers pings, and nothing would ever come by it."""
    venue.keep_key_ms = venue.keep_again_ms = 50
    async with aclosing(venue.stream()) as events:
        assert isinstance(await anext(events), Subscribed)
        async with (
            aiohttp.ClientSession(headers={"X-MBX-APIKEY": KEY}) as session,
            session.delete(f"{process.rest_url}/fapi/v1/listenKey") as answer,
        ):
            assert answer.status == 200
        lost = await anext(events)
        assert isinstance(lost, Lost)
        assert "listen key" in lost.reason
        assert isinstance(await anext(events), Subscribed)


async def test_a_wrong_key_is_visible_on_the_stream(process: SimulatedVenue) -> None:
    """As a reason, without the key and without an address."""
    stranger = await BinanceUsdmVenue.open(
        Credentials("x" * 64, SECRET), now_ms, rest_url=process.rest_url, ws_url=process.ws_url
    )
    try:
        async with aclosing(stranger.stream()) as events:
            lost = await anext(events)
    finally:
        await stranger.close()
    assert isinstance(lost, Lost)
    assert "-2015" in lost.reason
    assert "x" * 64 not in lost.reason
    assert process.rest_url not in lost.reason


async def test_wallets_are_said_without_what_open_positions_would_bring(venue: BinanceUsdmVenue) -> None:
    """What was put in; orders only lock it."""
    rows = await venue.balances()
    assert rows.format == WALLETS_FORMAT
    [raw] = rows.rows
    assert wallets(rows.format, raw)["USDT"] > 0
    assert b"crossUnPnl" in raw


async def test_what_rests_is_cancelled_when_nobody_speaks_in_time(venue: BinanceUsdmVenue, make_order: Any) -> None:
    """Said again, the timer begins anew; said with nought, it stops."""
    for after_ms, says in ((60_000, 0), (100, None)):
        order = make_order(symbol=PERPETUAL, quantity=Decimal(1), price=Decimal(1_000))
        assert isinstance((await venue.submit(order, soon())).outcome, Accepted)
        await venue.count_down(PERPETUAL, after_ms)
        if says is not None:
            await venue.count_down(PERPETUAL, says)
            await venue.cancel(order, soon())
            continue

        async def gone() -> bool:
            return not (await venue.open_orders(PERPETUAL)).rows

        await wait_until_async(gone)


async def test_a_timer_for_what_is_not_traded_cannot_be_set(venue: BinanceUsdmVenue) -> None:
    """And says so."""
    with pytest.raises(CouldNotAsk, match="-1121"):
        await venue.count_down("NO/USDT:USDT", 1_000)
