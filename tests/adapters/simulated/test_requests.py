"""What a request must look like before the venue thinks about it."""

import hashlib
import hmac
from decimal import Decimal
from urllib.parse import urlencode

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from adapters.simulated import requests
from adapters.simulated.history import Page
from adapters.simulated.matching import Side, TimeInForce
from adapters.simulated.orders import Cancellation, OrderType, Placement
from adapters.simulated.refusals import Refusal

LIMIT = {
    "symbol": "BTCUSDT",
    "side": "BUY",
    "type": "LIMIT",
    "timeInForce": "IOC",
    "quantity": "1.5",
    "price": "60000",
    "newClientOrderId": "abc",
}
NAMES = st.text("abcdefghijklmnopqrstuvwxyz", min_size=1, max_size=8).filter(lambda name: name != "signature")


@given(st.dictionaries(NAMES, st.text(max_size=10)), st.dictionaries(NAMES, st.text(max_size=10)), st.text(min_size=1))
def test_what_is_signed_is_query_and_body_as_sent(query, body, secret):
    """Any parameters survive signing, and the query string wins over the body."""
    first, second = urlencode(query), urlencode(body)
    signature = hmac.new(secret.encode(), (first + second).encode(), hashlib.sha256).hexdigest()
    sent = f"{second}&signature={signature}" if second else f"signature={signature}"
    params, text, found = requests.parse(first, sent)
    requests.check_signature(secret, text, found.upper())
    assert params == body | query


@given(st.text(min_size=1), st.text(), st.text())
def test_a_signature_of_anything_else_is_refused(secret, text, other):
    """Another text has another signature."""
    assume(text != other)
    signature = hmac.new(secret.encode(), other.encode(), hashlib.sha256).hexdigest()
    with pytest.raises(Refusal, match="-1022"):
        requests.check_signature(secret, text, signature)


def test_a_signature_must_be_sent():
    """-1102 names what is missing."""
    with pytest.raises(Refusal, match="-1102 Mandatory parameter 'signature'"):
        requests.check_signature("secret", "text", "")


def test_a_parameter_sent_twice_is_refused():
    """-1101, because the venue does not choose."""
    with pytest.raises(Refusal, match="-1101"):
        requests.parse("a=1&a=2", "")


@given(st.integers(0, 10**13), st.integers(-100_000, 100_000), st.integers(0, 60_000))
def test_a_request_is_good_from_a_second_ahead_to_the_end_of_its_window(now_ms, age_ms, window_ms):
    """Binance's rule: timestamp < now + 1000 and now - timestamp <= recvWindow."""
    timestamp = now_ms - age_ms
    assume(timestamp >= 0)
    window = requests.window({"timestamp": str(timestamp), "recvWindow": str(window_ms)})
    if timestamp < now_ms + 1000 and now_ms - timestamp <= window_ms:
        window.check(now_ms)
    else:
        with pytest.raises(Refusal, match="-1021"):
            window.check(now_ms)


@pytest.mark.parametrize(("age_ms", "good"), [(-1000, False), (-999, True), (50, True), (51, False)])
def test_the_edges_of_a_window_are_exact(age_ms, good):
    """A whole second ahead is too early; the last millisecond of the window is still good."""
    window = requests.window({"timestamp": str(100_000 - age_ms), "recvWindow": "50"})
    if good:
        window.check(100_000)
    else:
        with pytest.raises(Refusal, match="-1021"):
            window.check(100_000)


@pytest.mark.parametrize(
    ("params", "code"),
    [({}, -1102), ({"timestamp": "now"}, -1102), ({"timestamp": "1", "recvWindow": "60001"}, -1131)],
)
def test_a_window_must_be_readable(params, code):
    """Missing, malformed and too long each get the venue's code."""
    with pytest.raises(Refusal) as caught:
        requests.window(params)
    assert caught.value.code == code


def test_a_window_is_five_seconds_unless_it_says_otherwise():
    """The default receive window is 5000 ms."""
    assert requests.window({"timestamp": "1"}).recv_window_ms == 5000


def test_a_limit_order_is_read():
    """Every field arrives typed; the answer is FULL unless asked otherwise."""
    wanted = Placement("BTCUSDT", Side.BUY, OrderType.LIMIT, Decimal("1.5"), Decimal(60000), TimeInForce.IOC, "abc")
    assert requests.placement(LIMIT, "made") == (wanted, "FULL")
    without = {name: value for name, value in LIMIT.items() if name != "newClientOrderId"}
    assert requests.placement(without, "made")[0].client_order_id == "made"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"symbol": ""}, -1102),
        ({"side": "HOLD"}, -1117),
        ({"type": "STOP"}, -1116),
        ({"timeInForce": ""}, -1102),
        ({"timeInForce": "GTX"}, -1115),
        ({"quantity": ""}, -1102),
        ({"quantity": "1e3"}, -1100),
        ({"quantity": "-1"}, -1100),
        ({"price": "x"}, -1100),
        ({"type": "MARKET"}, -1106),
        ({"type": "LIMIT_MAKER"}, -1106),
        ({"newClientOrderId": "a" * 37}, -1100),
        ({"newClientOrderId": "a b"}, -1100),
        ({"newOrderRespType": "SOME"}, -1136),
        ({"quoteOrderQty": "5"}, -2010),
        ({"selfTradePreventionMode": "EXPIRE_MAKER"}, -1013),
        ({"nonsense": "1"}, -1104),
    ],
)
def test_a_malformed_order_gets_the_venues_code(change, code):
    """Each mistake has its own."""
    with pytest.raises(Refusal) as caught:
        requests.placement(LIMIT | change, "made")
    assert caught.value.code == code


def test_a_cancel_needs_one_of_two_ids():
    """Either id will do; none is -1102."""
    params = {"symbol": "BTCUSDT", "orderId": "7"}
    assert requests.cancellation(params, "made") == Cancellation("BTCUSDT", 7, None, "made")
    params = {"symbol": "BTCUSDT", "origClientOrderId": "a", "newClientOrderId": "b"}
    assert requests.cancellation(params, "made") == Cancellation("BTCUSDT", None, "a", "b")
    with pytest.raises(Refusal, match="-1102 Param 'origClientOrderId' or 'orderId' must be sent"):
        requests.cancellation({"symbol": "BTCUSDT"}, "made")


def test_a_page_has_bounds():
    """500 rows unless asked, never more than 1000, ids and times are numbers."""
    assert requests.page({"fromId": "3"}) == Page(from_id=3)
    assert requests.page({"limit": "1000"}).limit == 1000
    with pytest.raises(Refusal, match="-1102"):
        requests.page({"limit": "1001"})
    with pytest.raises(Refusal, match="-1100"):
        requests.page({"startTime": "today"})
