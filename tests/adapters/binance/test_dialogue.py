"""What is said to Binance's private stream, and what its frames mean."""

import hashlib
import hmac
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.binance.dialogue import BinanceDialogue, sign
from adapters.credentials import Credentials
from adapters.websocket import Confirmed, Denied, Ended, Event, Noise


@pytest.fixture
def dialogue() -> BinanceDialogue:
    """A dialogue whose clock stands."""
    return BinanceDialogue("ws://nowhere", Credentials("key", "secret"), lambda: 1_700_000_000_000)


def _said(dialogue: BinanceDialogue) -> Any:
    return json.loads(dialogue.subscribe())


def test_a_subscription_is_signed_over_its_sorted_parameters(dialogue: BinanceDialogue) -> None:
    """HMAC-SHA256 in hexadecimal over `apiKey=…&recvWindow=…&timestamp=…`."""
    said = _said(dialogue)
    assert said["method"] == "userDataStream.subscribe.signature"
    payload = "apiKey=key&recvWindow=5000&timestamp=1700000000000"
    assert said["params"]["timestamp"] == 1_700_000_000_000
    assert said["params"]["signature"] == hmac.new(b"secret", payload.encode(), hashlib.sha256).hexdigest()


def test_every_subscription_has_an_id_of_its_own(dialogue: BinanceDialogue) -> None:
    """A late answer to an earlier attempt confirms nothing."""
    first, second = _said(dialogue)["id"], _said(dialogue)["id"]
    assert first != second
    assert dialogue.hear(json.dumps({"id": first, "status": 200}).encode()) == Noise()
    assert dialogue.hear(json.dumps({"id": second, "status": 200}).encode()) == Confirmed()


def test_a_refusal_is_told_by_code_and_sentence(dialogue: BinanceDialogue) -> None:
    """Without a word of what was signed."""
    said = _said(dialogue)
    frame = {"id": said["id"], "status": 401, "error": {"code": -2015, "msg": "Invalid API-key."}}
    assert dialogue.hear(json.dumps(frame).encode()) == Denied("-2015 Invalid API-key.")
    assert dialogue.hear(json.dumps({"id": said["id"], "status": 500}).encode()) == Denied("0 status 500")


@pytest.mark.parametrize(
    ("frame", "heard"),
    [
        (b'{"subscriptionId":0,"event":{"e":"executionReport"}}', Event()),
        (b'{"e":"executionReport"}', Event()),
        (b'{"subscriptionId":0,"event":{}}', Event()),
        (b'{"event":{"e":"eventStreamTerminated"}}', Ended("the venue ended the subscription")),
        (b'{"e":"eventStreamTerminated"}', Ended("the venue ended the subscription")),
        (b'{"id":"other","status":200,"result":{}}', Noise()),
        (b"{}", Event()),
        (b"\xff", Event()),
        (b"[" * 100_000, Event()),
    ],
    ids=range(9),
)
def test_a_frame_has_one_meaning(dialogue: BinanceDialogue, frame: bytes, heard: object) -> None:
    """What cannot be read is handed on, so that it is quarantined and not lost."""
    assert dialogue.hear(frame) == heard


@given(st.binary(max_size=100))
def test_no_frame_breaks_it(raw: bytes) -> None:
    """Whatever the bytes are, there is a verdict."""
    assert BinanceDialogue("ws://nowhere", Credentials("key", "secret"), lambda: 0).hear(raw) is not None


def test_the_order_of_parameters_does_not_matter_to_a_signature() -> None:
    """They are sorted by name."""
    assert sign({"b": 1, "a": "x"}, "s") == sign({"a": "x", "b": 1}, "s")
