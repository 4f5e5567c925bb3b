"""Unified calls of ccxt: the command is looked at, written once, and told apart from what ccxt asks besides."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from adapters.ccxt_unified import CcxtUnified, Written
from adapters.classify import Failure
from adapters.credentials import Credentials
from streams.errors import UsageError

KEY, SECRET = "the-api-key-of-this-test", "the-secret-of-this-test"
TIMEOUT_MS = 2_000
ORDER = {"symbol": "BTCUSDT", "newClientOrderId": "fo-1"}


@pytest.fixture
async def rest(wire: Any) -> AsyncIterator[CcxtUnified]:
    """A client of the raw server."""
    opened = await CcxtUnified.open(
        "binance", Credentials(KEY, SECRET), base_url=wire.url, timeout_ms=TIMEOUT_MS, options={}
    )
    yield opened
    await opened.close()


def own(written: Written) -> str | None:
    """Whether a request is the command."""
    return "" if "fo-1" in written.text else None


async def place(exchange: Any) -> Any:
    """Ask for the time, then place an order: a call of two requests."""
    await exchange.public_get_time()
    return await exchange.private_post_order(dict(ORDER))


async def test_a_call_gives_what_ccxt_reads_and_what_came(rest: CcxtUnified, wire: Any) -> None:
    """Fractions stay the text they were."""
    wire.answer(b"{}")
    wire.answer(b'{"orderId":28,"price":0.1000000000000000055511151231257827}')
    done = await rest.perform(place, judge=own)
    assert done.value == {"orderId": 28, "price": "0.1000000000000000055511151231257827"}
    assert done.failure is None
    assert done.sent
    assert done.response is not None
    assert done.response.body.startswith(b'{"orderId":28')


async def test_a_call_that_never_wrote_the_command_says_so(rest: CcxtUnified, wire: Any) -> None:
    """Though ccxt gave a value."""
    wire.answer(b"{}")
    done = await rest.perform(lambda x: x.public_get_time(), judge=own)
    assert done.failure is None
    assert not done.sent


async def test_what_is_asked_before_the_command_is_not_the_command(rest: CcxtUnified, wire: Any) -> None:
    """It failed, so nothing of the order left; and ccxt's sentence about it is not trusted to be harmless."""
    wire.answer(b'{"code":-1121,"msg":"Invalid symbol."}', status=400)
    done = await rest.perform(place, judge=own)
    assert done.failure is not None
    assert not done.failure.sent
    assert done.told == ""
    assert "BadSymbol" in done.errors
    assert len(wire.requests) == 1


async def test_the_command_may_have_left_when_it_was_written(rest: CcxtUnified, wire: Any) -> None:
    """Whatever becomes of it."""
    wire.answer(b"{}")
    wire.hang_up()
    done = await rest.perform(place, judge=own)
    assert done.failure is not None
    assert done.failure.sent
    assert len(wire.requests) == 2


async def test_the_command_is_written_once(rest: CcxtUnified, wire: Any) -> None:
    """Though ccxt, or a defect, would write it again."""
    wire.answer(b"{}")

    async def twice(exchange: Any) -> None:
        for _ in range(2):
            await exchange.private_post_order(dict(ORDER))

    done = await rest.perform(twice, lambda: "", own)
    assert done.failure is not None
    assert done.failure.sent
    assert "not sent twice" in done.failure.reason
    assert len(wire.requests) == 1


async def test_what_the_judge_refuses_is_not_written(rest: CcxtUnified, wire: Any) -> None:
    """It sees address, headers and body as they would leave."""
    seen: list[Written] = []

    def judge(written: Written) -> str:
        seen.append(written)
        return "no"

    done = await rest.perform(lambda x: x.private_post_order(dict(ORDER)), judge=judge)
    assert done.failure == Failure(sent=False, reason="no")
    assert wire.requests == []
    [written] = seen
    assert written.line == f"POST {wire.url}/api/v3/order"
    assert f"X-MBX-APIKEY: {KEY}" in written.headers
    assert "newClientOrderId=fo-1" in written.body


async def test_the_last_check_holds_every_request_back(rest: CcxtUnified, wire: Any) -> None:
    """Also those that are not the command: a window that closed is closed."""
    done = await rest.perform(place, lambda: "too late", own)
    assert done.failure == Failure(sent=False, reason="too late")
    assert wire.requests == []


async def test_what_ccxt_refuses_itself_is_told_with_its_sentence(rest: CcxtUnified, wire: Any) -> None:
    """Nothing was begun then."""

    async def refuse(exchange: Any) -> None:
        exchange.check_required_argument("createOrder", None, "price")

    done = await rest.perform(refuse)
    assert "price" in done.told
    assert done.failure is not None
    assert not done.failure.sent
    assert wire.requests == []


async def test_silence_ends_at_the_deadline(wire: Any) -> None:
    """And calls side by side do not take each other for their own."""
    rest = await CcxtUnified.open("binance", Credentials(KEY, SECRET), base_url=wire.url, timeout_ms=1_500, options={})
    silent = asyncio.create_task(rest.perform(lambda x: x.private_post_order(dict(ORDER)), judge=own))
    refused = await rest.perform(lambda x: x.private_post_order(dict(ORDER)), judge=lambda _: "no")
    assert (await silent).failure == Failure(sent=True, reason="no answer within 1500 ms")
    assert refused.failure == Failure(sent=False, reason="no")
    await rest.close()


async def test_no_failure_tells_a_secret(rest: CcxtUnified, wire: Any) -> None:
    """Not the key, not the secret, not a signature, not an address."""
    wire.hang_up()
    wire.answer(b"<html>", status=502)
    for _ in range(2):
        shown = repr(await rest.perform(lambda x: x.private_post_order(dict(ORDER)), judge=own))
        for secret in (KEY, SECRET, "signature", wire.url):
            assert secret not in shown


async def test_a_testnet_is_used_where_there_is_one(rest: CcxtUnified) -> None:
    """Binance has one, Kraken has none."""
    rest.use_testnet()
    assert "testnet" in rest.exchange.urls["api"]["private"]
    other = await CcxtUnified.open("kraken", Credentials("", ""), timeout_ms=TIMEOUT_MS, options={})
    with pytest.raises(UsageError, match="no testnet of kraken"):
        other.use_testnet()
    await other.close()
