"""Venues by name and by path."""

import subprocess
import sys

import pytest

from adapters import registry
from adapters.binance.facts import FACTS
from adapters.binance.plug import PLUG
from adapters.credentials import Credentials
from streams.errors import UsageError
from streams.identity import strength_bits


def test_a_venue_is_found_by_name_and_by_path() -> None:
    """The same plug either way."""
    assert registry.plug("binance") is registry.plug("adapters.binance.plug:PLUG") is PLUG
    assert registry.facts("binance").name == "binance"
    assert registry.decoder("binance") is PLUG.decode
    assert registry.sniffer("binance") is PLUG.sniff
    assert registry.names() == ("binance", "binance-usdm")


@pytest.mark.parametrize(
    "name", ["", "nowhere", "nowhere:PLUG", "adapters.binance.plug:", ":PLUG", "adapters.binance.plug:NO", "..x:y"]
)
def test_a_venue_that_is_not_there_is_a_usage_error(name: str) -> None:
    """The sentence says what to do."""
    with pytest.raises(UsageError):
        registry.plug(name)


def test_something_that_is_no_plug_is_a_usage_error() -> None:
    """A path to another object is caught when settings are read, not when an order is sent."""
    with pytest.raises(UsageError, match="Plug"):
        registry.plug("adapters.binance.facts:FACTS")


def test_settings_do_not_show_secrets() -> None:
    """The repr of settings is safe to log."""
    shown = repr(registry.VenueSettings(venue="binance", credentials=Credentials("the-key", "the-secret")))
    assert "the-key" not in shown
    assert "the-secret" not in shown


def test_decoding_does_not_load_a_trading_library() -> None:
    """Facts and decoders do not cost the seconds that importing ccxt takes."""
    code = "import sys; from adapters import registry; registry.decoder('binance'); print({'ccxt'} & {*sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_binance_leaves_room_for_the_whole_digest() -> None:
    """Its client order ids carry 128 bits, and the prefix is a legal one."""
    assert strength_bits(FACTS.id_rule) == 128
    assert len(FACTS.id_rule.charset) == len(set(FACTS.id_rule.charset)) == 62
