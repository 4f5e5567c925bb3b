"""The venue's dead-man timers: kept from firing while somebody looks, and only then."""

import time
from collections.abc import AsyncIterator, Iterator
from decimal import Decimal

import pytest
from redis.asyncio import Redis

from adapters.binance_usdm.venue import BinanceUsdmVenue
from adapters.credentials import Credentials
from adapters.simulated.liquidity import Liquidity
from adapters.simulated.process import SimulatedVenue
from adapters.simulated.settings import AccountSettings, Settings
from adapters.venue import CouldNotAsk, Window
from consumers.dead_man import DeadMan
from streams.record import NEW_STATE
from streams.schemas import Accepted, Order
from tests.flow import Bench, place
from tests.support import wait_until_async

KEY, SECRET = "k" * 64, "s" * 64
PERPETUAL, GONE = "BTC/USDT:USDT", "AAA/USDT:USDT"


def now_ms() -> int:
    """The machine's clock."""
    return time.time_ns() // 1_000_000


@pytest.fixture(scope="module")
def process() -> Iterator[SimulatedVenue]:
    """The simulated venue with margin."""
    account = AccountSettings("main", KEY, SECRET, {"USDT": Decimal(1_000_000)})
    told = Settings(control_token="t" * 32, accounts=(account,), liquidity=Liquidity(on=False), product="usdm")
    with SimulatedVenue(told, seed=3) as running:
        yield running


@pytest.fixture
async def venue(process: SimulatedVenue) -> AsyncIterator[BinanceUsdmVenue]:
    """The account."""
    opened = await BinanceUsdmVenue.open(
        Credentials(KEY, SECRET), now_ms, rest_url=process.rest_url, ws_url=process.ws_url
    )
    yield opened
    await opened.close()


async def _resting(bench: Bench, venue: BinanceUsdmVenue) -> None:
    """An order that is sent here and rests there."""
    terms = place(bench.account, symbol=PERPETUAL, price=Decimal(1_000))
    _, claim = await bench.claimed(terms)
    order = Order(
        client_order_id=claim.order.client_order_id, terms=terms, status="created", state=NEW_STATE, digest=""
    )  # fmt: skip
    assert isinstance((await venue.submit(order, Window(now_ms(), now_ms() + 5_000))).outcome, Accepted)


async def _gone(venue: BinanceUsdmVenue) -> bool:
    return not (await venue.open_orders(PERPETUAL)).rows


async def test_what_rests_is_cancelled_once_nobody_keeps_the_timer(
    redis: Redis, account: str, venue: BinanceUsdmVenue
) -> None:
    """Set for what was sent; while rounds are made, nothing happens to it."""
    bench = await Bench(redis, account).open()
    kept = DeadMan(redis, bench.keys, venue, 60_000)
    await _resting(bench, venue)
    await kept.round()
    await kept.round()
    assert kept.armed == {PERPETUAL}
    assert not await _gone(venue)
    await DeadMan(redis, bench.keys, venue, 50).round()
    await wait_until_async(lambda: _gone(venue))


async def test_a_symbol_whose_timer_fails_keeps_no_other_one_from_being_set(
    redis: Redis, account: str, venue: BinanceUsdmVenue, caplog: pytest.LogCaptureFixture
) -> None:
    """The venue does not know the symbol any more: said with its name, and raised when all have been tried."""
    bench = await Bench(redis, account).open()
    orders = [place(account, signal_id=one, symbol=one, price=Decimal(1_000)) for one in (GONE, PERPETUAL)]
    for terms in orders:
        await bench.publish(terms)
    for entry, terms in zip(await bench.read_intents(), orders, strict=True):
        await bench.claim(entry, terms)
    kept = DeadMan(redis, bench.keys, venue, 60_000)
    with pytest.raises(CouldNotAsk):
        await kept.round()
    assert kept.armed == {PERPETUAL}
    assert [GONE in one.getMessage() for one in caplog.records if one.levelname == "WARNING"] == [True]
    await venue.count_down(PERPETUAL, 0)


async def test_a_symbol_without_orders_needs_no_timer(redis: Redis, account: str, venue: BinanceUsdmVenue) -> None:
    """It is stopped at the first round that finds none."""
    bench = await Bench(redis, account).open()
    kept = DeadMan(redis, bench.keys, venue, 60_000)
    await kept.round()
    assert kept.armed == set()
    await _resting(bench, venue)
    await kept.round()
    await redis.delete(bench.keys.live)
    await kept.round()
    assert kept.armed == set()
    assert not await _gone(venue)
    await venue.count_down(PERPETUAL, 1)
    await wait_until_async(lambda: _gone(venue))
