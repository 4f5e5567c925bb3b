"""USDⓈ-M's private stream: nothing to say, and what ends it."""

import pytest

from adapters.binance_usdm.dialogue import UsdmDialogue, listen_key
from adapters.binance_usdm.plug import ENVIRONMENTS
from adapters.binance_usdm.venue import USDM
from adapters.venue import CouldNotAsk
from adapters.websocket import Ended, Event


def test_the_address_alone_subscribes() -> None:
    """So nothing is said, and no address is shown: it will hold a key."""
    assert UsdmDialogue("wss://nowhere/ws").subscribe() == ""
    assert "nowhere" not in repr(UsdmDialogue("wss://nowhere/ws"))


@pytest.mark.parametrize("name", ["listenKeyExpired", "serverShutdown"])
def test_the_end_of_a_key_is_the_end_of_the_stream(name: str) -> None:
    """Whatever else stands beside it."""
    event = f'{{"e":"{name}","E":1,"listenKey":"x"}}'
    assert isinstance(UsdmDialogue("").hear(event.encode()), Ended)
    assert isinstance(UsdmDialogue("").hear(f'{{"stream":"x","data":{event}}}'.encode()), Ended)


@pytest.mark.parametrize(
    "raw", [b'{"e":"ORDER_TRADE_UPDATE","o":{}}', b'{"e":"TRADE_LITE"}', b"", b"{", b"[]", b"\xff", b'{"e":7}', b"{}"]
)
def test_everything_else_is_handed_on(raw: bytes) -> None:
    """What cannot be read is quarantined later, not lost here."""
    assert UsdmDialogue("").hear(raw) == Event()


def test_a_listen_key_is_read_out_of_its_answer() -> None:
    """A body without a usable one is no answer."""
    assert listen_key(b'{"listenKey":"abcDEF123"}') == "abcDEF123"
    for body in (b"", b"{}", b'{"listenKey":""}', b'{"listenKey":"a/../b"}', b'{"listenKey":"a b"}', b"[]", b"\xff"):
        with pytest.raises(CouldNotAsk):
            listen_key(body)


def test_private_streams_have_an_address_of_their_own_in_every_environment() -> None:
    """The venue retired the address that all streams shared; a key appended there would hear nothing."""
    assert all(one.ws_url.endswith("/private/ws") for one in ENVIRONMENTS.values())
    assert USDM.stream_url == ENVIRONMENTS["live"].ws_url
