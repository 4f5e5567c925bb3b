"""REST through ccxt: what stands on the wire, when nothing is written, and that no secret is told."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from adapters.ccxt_rest import CcxtRest
from adapters.classify import Failure, Response
from adapters.credentials import Credentials

KEY, SECRET = "the-api-key-of-this-test", "the-secret-of-this-test"
PARAMS = {
    "symbol": "BTCUSDT",
    "quantity": "1.00000999",
    "newClientOrderId": "fo-1",
    "timestamp": "1",
    "recvWindow": "2",
}
TIMEOUT_MS = 10_000
SILENCE_MS = 400


@pytest.fixture
async def rest(wire: Any) -> AsyncIterator[CcxtRest]:
    """A client of the raw server that waits for its answers."""
    async with _opened(wire, TIMEOUT_MS) as opened:
        yield opened


@pytest.fixture
async def hasty(wire: Any) -> AsyncIterator[CcxtRest]:
    """A client that soon takes silence for an end."""
    async with _opened(wire, SILENCE_MS) as opened:
        yield opened


@asynccontextmanager
async def _opened(wire: Any, timeout_ms: int) -> AsyncIterator[CcxtRest]:
    opened = await CcxtRest.open(
        "binance", Credentials(KEY, SECRET), base_url=wire.url, timeout_ms=timeout_ms, options={}
    )
    yield opened
    await opened.close()


async def test_parameters_stand_on_the_wire_as_given(rest: CcxtRest, wire: Any) -> None:
    """No truncation, no id of ccxt's own, no fresh timestamp: the bytes decide."""
    wire.answer(b"{}")
    assert await rest.call("private_post_order", PARAMS) == Response(
        200, {"Content-Type": "application/json", "Content-Length": "2"}, b"{}"
    )
    head, _, body = wire.requests[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /api/v3/order HTTP/1.1\r\n")
    assert body.startswith(
        b"timestamp=1&symbol=BTCUSDT&quantity=1.00000999&newClientOrderId=fo-1&recvWindow=2&signature="
    )
    assert body.count(b"timestamp=") == body.count(b"recvWindow=") == 1


@pytest.mark.parametrize("status", [200, 400, 401, 404, 418, 429, 500, 503])
async def test_every_status_comes_back_with_body_and_headers(rest: CcxtRest, wire: Any, status: int) -> None:
    """No exception of ccxt's ever stands between us and the venue's words."""
    wire.answer(b'{"code":-1003,"msg":"x"}', status=status, headers="Retry-After: 9\r\n")
    answer = await rest.call("private_get_order", PARAMS)
    assert isinstance(answer, Response)
    assert (answer.status, answer.body, answer.headers["Retry-After"]) == (status, b'{"code":-1003,"msg":"x"}', "9")


async def test_answers_of_concurrent_calls_do_not_mix(rest: CcxtRest, wire: Any) -> None:
    """Each call sees its own response."""
    for number in range(20):
        wire.answer(b'{"n":%d}' % number)
    answers = await asyncio.gather(*(rest.call("private_post_order", PARAMS) for _ in range(20)))
    bodies = {answer.body for answer in answers if isinstance(answer, Response)}
    assert bodies == {b'{"n":%d}' % number for number in range(20)}


async def test_an_objection_before_the_write_sends_no_byte(rest: CcxtRest, wire: Any) -> None:
    """The check is asked with the connection in hand; what it refuses never leaves."""
    assert await rest.call("private_post_order", PARAMS, lambda: "too late") == Failure(False, "too late")
    await wire.gone.wait()
    assert wire.requests == []


async def test_a_refused_connection_is_not_sent(unused_tcp_port: int) -> None:
    """Nobody listens: no byte left, and the last check was not asked yet, because it comes after connecting."""
    asked: list[bool] = []

    def check() -> str:
        asked.append(True)
        return ""

    rest = await CcxtRest.open(
        "binance",
        Credentials(KEY, SECRET),
        base_url=f"http://127.0.0.1:{unused_tcp_port}",
        timeout_ms=TIMEOUT_MS,
        options={},
    )
    answer = await rest.call("private_post_order", PARAMS, check)
    await rest.close()
    assert isinstance(answer, Failure)
    assert not answer.sent
    assert not asked


async def test_a_cut_connection_may_have_been_sent(rest: CcxtRest, wire: Any) -> None:
    """The venue hung up after the request: once only, and not known."""
    wire.hang_up()
    answer = await rest.call("private_post_order", PARAMS)
    assert isinstance(answer, Failure)
    assert answer.sent
    assert len(wire.requests) == 1


async def test_a_cut_body_may_have_been_sent(hasty: CcxtRest, wire: Any) -> None:
    """Half of an answer is no answer."""
    wire.answer(b'{"orderId":1', length=400)
    answer = await hasty.call("private_post_order", PARAMS)
    assert isinstance(answer, Failure)
    assert answer.sent


async def test_silence_ends_at_the_deadline(hasty: CcxtRest, wire: Any) -> None:
    """A venue that never answers does not hold a worker."""
    answer = await hasty.call("private_post_order", PARAMS)
    assert answer == Failure(True, f"no answer within {SILENCE_MS} ms")
    assert len(wire.requests) == 1


async def test_a_redirect_is_not_followed(rest: CcxtRest, wire: Any) -> None:
    """A signed request goes to one address."""
    wire.answer(b"", status=307, headers=f"Location: {wire.url}/elsewhere\r\n")
    wire.answer(b"{}")
    answer = await rest.call("private_post_order", PARAMS)
    assert isinstance(answer, Failure)
    assert answer.sent
    assert len(wire.requests) == 1


async def test_a_cancelled_call_stays_cancelled(rest: CcxtRest, wire: Any) -> None:
    """Cancellation is the caller's, not an outcome."""
    call = asyncio.create_task(rest.call("private_post_order", PARAMS))
    await wire.arrived.wait()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call


async def test_no_failure_and_no_log_tells_a_secret(
    hasty: CcxtRest, wire: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """At debug level too: neither key, nor secret, nor signature, nor address."""
    caplog.set_level(logging.DEBUG)
    wire.hang_up()
    wire.answer(b"{", length=100)
    wire.answer(b"<html>", status=502)
    told = [repr(await hasty.call(f"private_{verb}_order", PARAMS)) for verb in ("post", "delete", "get")]
    told += [repr(await hasty.call("private_post_order", {**PARAMS, "symbol": object()})), repr(hasty), caplog.text]
    signature = wire.requests[0].rpartition(b"signature=")[2].decode()
    assert len(signature) == 64
    for words in told:
        for secret in (KEY, SECRET, signature, "signature=", wire.url):
            assert secret not in words


async def test_no_address_of_ccxt_is_left_when_another_is_given(rest: CcxtRest, wire: Any) -> None:
    """Every section of its table leads to the same host."""
    flat = list(rest._exchange.urls["api"].values())
    assert flat
    assert all(url.startswith(wire.url + "/") or url == wire.url for url in flat)
