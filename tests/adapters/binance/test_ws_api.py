"""Order entry over the ws-api: what is said, and what its answers prove."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.binance.codes import PLACE
from adapters.binance.dialogue import sign
from adapters.binance.ws_api import BinanceSpeech
from adapters.classify import Response, classify
from adapters.credentials import Credentials
from adapters.socket_calls import Replied
from adapters.websocket import Ended, Noise
from streams.schemas import Accepted, Duplicate, NotSent, Outcome, Refused, Throttled, Unknown

PLACED = b'{"symbol":"BTCUSDT","orderId":7,"clientOrderId":"fo-1","transactTime":1}'


def _speech() -> BinanceSpeech:
    return BinanceSpeech("ws://nowhere", Credentials("the-key", "the-secret"))


def _answer(frame: object) -> Response:
    heard = _speech().hear(json.dumps(frame).encode())
    assert isinstance(heard, Replied)
    return heard.response


def test_a_request_carries_the_callers_window_and_a_signature_over_all_of_it() -> None:
    """No timestamp is made here: the window was fixed at the claim."""
    params = {"symbol": "BTCUSDT", "timestamp": "1700000000000", "recvWindow": "2000", "newClientOrderId": "fo-1"}
    said = json.loads(_speech().request("a-1", "order.place", params))
    signature = said["params"].pop("signature")
    assert said == {
        "id": "a-1", "method": "order.place",
        "params": {
            "apiKey": "the-key", "symbol": "BTCUSDT", "timestamp": 1_700_000_000_000, "recvWindow": 2_000,
            "newClientOrderId": "fo-1",
        },
    }  # fmt: skip
    assert signature == sign(said["params"], "the-secret")
    assert _speech().log_in() == ""


def test_an_answer_becomes_what_rest_would_have_said() -> None:
    """Status and the bytes of the result as they came."""
    raw = b'{"id":"a-1","status":200,"result":' + PLACED + b',"rateLimits":[]}'
    assert _speech().hear(raw) == Replied("a-1", Response(200, {}, PLACED))


@pytest.mark.parametrize(
    ("status", "error", "outcome"),
    [
        (400, {"code": -2010, "msg": "Duplicate order sent."}, Duplicate),
        (400, {"code": -2010, "msg": "Account has insufficient balance for requested action."}, Refused),
        (400, {"code": -1021, "msg": "Timestamp for this request is outside of the recvWindow."}, NotSent),
        (400, {"code": -1013, "msg": "Filter failure: LOT_SIZE"}, Refused),
        (401, {"code": -2015, "msg": "Invalid API-key, IP, or permissions for action."}, Refused),
        (429, {"code": -1003, "msg": "Too much request weight used."}, Throttled),
        (418, {"code": -1003, "msg": "Way too much request weight used."}, Throttled),
        (500, {"code": -1000, "msg": "An unknown error occurred."}, Unknown),
        (504, {"code": -1007, "msg": "Timeout waiting for response from backend server."}, Unknown),
        (400, {"code": -1013_000, "msg": "new"}, Unknown),
    ],
)
def test_an_error_is_read_by_the_tables_of_rest(status: int, error: object, outcome: type[Outcome]) -> None:
    """One allow-list for both ways."""
    answer = _answer({"id": "a", "status": status, "error": error})
    assert isinstance(classify(PLACE, answer, "fo-1"), outcome)


def test_throttling_says_how_long() -> None:
    """`retryAfter` is a moment of the venue's clock."""
    data = {"serverTime": 1_700_000_000_000, "retryAfter": 1_700_000_002_500}
    answer = _answer({"id": "a", "status": 418, "error": {"code": -1003, "msg": "banned", "data": data}})
    assert classify(PLACE, answer, "fo-1") == Throttled(3_000)


@pytest.mark.parametrize("cut", range(20, 140, 7))
def test_a_frame_that_was_cut_is_unknown_for_the_request_it_names(cut: int) -> None:
    """Wherever it was cut: the whole frame alone is a success."""
    whole = b'{"id":"a-1","status":200,"result":' + PLACED + b"}"
    heard = _speech().hear(whole[:cut])
    assert isinstance(heard, Replied)
    assert heard.id == "a-1"
    outcome = classify(PLACE, heard.response, "fo-1")
    assert outcome == Accepted() if cut >= len(whole) else isinstance(outcome, Unknown)


@pytest.mark.parametrize("body", ["", ',"result":null', ',"result":{}', ',"result":[]', ',"error":{}'])
@pytest.mark.parametrize("status", [0, 200, 400])
def test_an_answer_without_a_body_proves_nothing(status: int, body: str) -> None:
    """Nor does one without an order id."""
    heard = _speech().hear(f'{{"id":"a","status":{status}{body}}}'.encode())
    assert isinstance(heard, Replied)
    assert isinstance(classify(PLACE, heard.response, "fo-1"), Unknown)


def test_what_answers_nobody_is_noise_and_a_shutdown_is_the_end() -> None:
    """`serverShutdown` comes ten minutes before the cut."""
    speech = _speech()
    for raw in (b"", b"{", b"[]", b"\xff", b'{"id":null,"status":400}', b'{"id":7}', b'{"event":{"e":"other"}}'):
        assert speech.hear(raw) == Noise()
    assert isinstance(speech.hear(b'{"event":{"e":"serverShutdown","E":1}}'), Ended)


@given(st.binary(max_size=200))
def test_any_bytes_have_a_meaning(raw: bytes) -> None:
    """Nothing is raised, and no secret is shown."""
    _speech().hear(raw)
    assert "the-secret" not in repr(_speech())
