"""What Binance's answers say of its budgets."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.binance.usage import limits, usage
from adapters.binance.ws_api import BinanceSpeech
from adapters.classify import RETRY_AFTER_MS_DEFAULT, Response
from adapters.credentials import Credentials
from adapters.socket_calls import Replied
from streams.budget import Reading, Usage

TOO_MANY_ORDERS = b'{"code":-1015,"msg":"Too many new orders; current limit is 100 orders per 10 SECOND."}'
TOO_MUCH_WEIGHT = b'{"code":-1003,"msg":"Too much request weight used; current limit is 6000 per 1 MINUTE."}'
BANNED = b'{"code":-1003,"msg":"Way too much request weight used; IP banned until 1659146400000."}'


def test_headers_tell_weight_and_order_counts() -> None:
    """In any case of letters; the header without an interval is an older name of the same, and says nothing more."""
    headers = {
        "X-MBX-USED-WEIGHT": "40", "x-mbx-used-weight-1m": "40", "X-MBX-ORDER-COUNT-10S": "3",
        "x-mbx-order-count-1d": "12", "x-mbx-order-count-1m": "many", "Date": "today",
    }  # fmt: skip
    assert usage(Response(200, headers, b"{}")) == Usage(
        (Reading("weight", 60_000, 40), Reading("orders", 10_000, 3), Reading("orders", 86_400_000, 12))
    )


def test_an_answer_on_the_socket_tells_counts_and_limits() -> None:
    """`rateLimits` of the frame; a kind that nobody budgets is left out."""
    rows = (
        b'[{"rateLimitType":"REQUEST_WEIGHT","interval":"MINUTE","intervalNum":1,"limit":6000,"count":70},'
        b'{"rateLimitType":"ORDERS","interval":"SECOND","intervalNum":10,"limit":50,"count":2},'
        b'{"rateLimitType":"RAW_REQUESTS","interval":"MINUTE","intervalNum":5,"limit":61000,"count":2}]'
    )
    heard = BinanceSpeech("", Credentials("k", "s")).hear(
        b'{"id":"a","status":200,"result":{},"rateLimits":' + rows + b"}"
    )
    assert isinstance(heard, Replied)
    assert usage(heard.response).readings == (Reading("weight", 60_000, 70, 6_000), Reading("orders", 10_000, 2, 50))


@pytest.mark.parametrize("rows", [b"7", b"[7]", b'[{"limit":"x"}]', b'{"a":1}'])
def test_rate_limits_that_cannot_be_read_take_nothing_from_the_answer(rows: bytes) -> None:
    """The order is what matters."""
    heard = BinanceSpeech("", Credentials("k", "s")).hear(
        b'{"id":"a","status":200,"result":{"orderId":1},"rateLimits":' + rows + b"}"
    )
    assert isinstance(heard, Replied)
    assert (heard.response.body, usage(heard.response)) == (b'{"orderId":1}', Usage())


@pytest.mark.parametrize(
    ("said", "interval_ms", "limit"),
    [
        ("100 orders per 10 SECOND", 10_000, 100), ("300 orders per TEN_SECONDS", 10_000, 300),
        ("100000 orders per DAY", 86_400_000, 100_000),
    ],
)  # fmt: skip
def test_too_many_orders_is_the_accounts_matter_and_blocks_nobody(said: str, interval_ms: int, limit: int) -> None:
    """The sentence names limit and interval, in the products' words; cancels and look-ups go on."""
    body = TOO_MANY_ORDERS.replace(b"100 orders per 10 SECOND", said.encode())
    told = usage(Response(429, {"Retry-After": "43200"}, body))
    assert told == Usage((Reading("orders", interval_ms, limit, limit),), over=True)


def test_too_many_orders_without_a_figure_blocks_nobody_either() -> None:
    """The one command was throttled; the address is not shut out."""
    assert usage(Response(429, {"Retry-After": "9"}, b'{"code":-1015,"msg":"Too many new orders."}')) == Usage()


@pytest.mark.parametrize(
    ("status", "headers", "body", "block_ms"),
    [
        (429, {"Retry-After": "7"}, TOO_MUCH_WEIGHT, 7_000),
        (418, {"Retry-After": "120"}, BANNED, 120_000),
        (429, {}, b"<html>", RETRY_AFTER_MS_DEFAULT),
    ],
)
def test_any_other_refusal_for_its_rate_blocks_the_address(
    status: int, headers: dict[str, str], body: bytes, block_ms: int
) -> None:
    """For as long as the venue said, or a default."""
    assert usage(Response(status, headers, body)) == Usage(block_ms=block_ms)


def test_exchange_info_tells_the_limits() -> None:
    """Without a count."""
    rows = [
        {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": 6000},
        {"rateLimitType": "ORDERS", "interval": "DAY", "intervalNum": 1, "limit": 200_000},
    ]
    assert limits(msgspec.json.encode({"timezone": "UTC", "rateLimits": rows, "symbols": []})) == Usage(
        (Reading("weight", 60_000, -1, 6_000), Reading("orders", 86_400_000, -1, 200_000))
    )
    assert limits(b"[") == limits(b"{}") == Usage()


@given(st.integers(100, 599), st.dictionaries(st.text(max_size=30), st.text(max_size=12), max_size=4), st.binary())
def test_nothing_an_answer_holds_raises(status: int, headers: dict[str, str], body: bytes) -> None:
    """Whatever came, it was an answer."""
    assert isinstance(usage(Response(status, headers, body)), Usage)
    assert isinstance(limits(body), Usage)
