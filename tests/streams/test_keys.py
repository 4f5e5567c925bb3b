"""Specification of streams/keys.py: one hash tag per account, and no two things under one key."""

import re
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams import keys
from streams.keys import ACCOUNTS, AccountKeys

K = AccountKeys("binance.main")
NAMES = st.from_regex(r"[a-z0-9][a-z0-9_-]{0,8}\.[A-Za-z0-9_-]{1,8}", fullmatch=True)
IDS = st.from_regex(r"[A-Za-z0-9_-]{1,12}", fullmatch=True)
VENUE_SYMBOLS = st.from_regex(r"[A-Z0-9]{1,8}(-[A-Z0-9]{1,6})?", fullmatch=True)
SYMBOLS = st.from_regex(r"[A-Z0-9]{1,5}/[A-Z0-9]{1,5}(:[A-Z0-9-]{1,5})?", fullmatch=True)
PLAIN = ["intents", "evidence", "events", "quarantine", "live", "control", "roles", "instruments", "parked_index",
         "positions"]  # fmt: skip
Maker = Callable[[AccountKeys], str]


@st.composite
def makers(draw: st.DrawFn) -> tuple[tuple[str, ...], Maker]:
    """Draw one thing that has a key, and how the key is made."""
    kind = draw(st.sampled_from(["plain", "order", "venue_order", "parked", "position"]))
    if kind == "plain":
        name = draw(st.sampled_from(PLAIN))
        return (kind, name), lambda k: str(getattr(k, name))
    if kind == "order":
        one = draw(IDS)
        return (kind, one), lambda k: k.order(one)
    if kind == "position":
        symbol, side = draw(SYMBOLS), draw(st.sampled_from(["net", "long", "short"]))
        return (kind, symbol, side), lambda k: k.position(symbol, side)
    symbol, one = draw(VENUE_SYMBOLS), draw(IDS)
    return (kind, symbol, one), lambda k: str(getattr(k, kind)(symbol, one))


@given(NAMES, makers())
def test_every_key_of_an_account_has_its_hash_tag(account: str, made: tuple[tuple[str, ...], Maker]) -> None:
    """A cluster hashes what stands between the first braces: the account and nothing else."""
    key = made[1](AccountKeys(account))
    found = re.search(r"\{([^}]*)\}", key)
    assert found is not None
    assert found[1] == account
    assert key.startswith("fillonce:{")


@given(NAMES, NAMES, makers(), makers())
def test_two_things_never_share_a_key(
    one: str, other: str, first: tuple[tuple[str, ...], Maker], second: tuple[tuple[str, ...], Maker]
) -> None:
    """Equal keys mean the same thing of the same account."""
    if first[1](AccountKeys(one)) == second[1](AccountKeys(other)):
        assert (one, first[0]) == (other, second[0])


@given(NAMES, IDS)
def test_a_client_order_id_is_read_back_from_its_key(account: str, identity: str) -> None:
    """From text and from what Redis answers."""
    key = AccountKeys(account).order(identity)
    assert AccountKeys(account).order_id(key) == identity
    assert AccountKeys(account).order_id(key.encode()) == identity


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        (K.intents, "fillonce:{binance.main}:intents"),
        (K.order("fo-1"), "fillonce:{binance.main}:order:fo-1"),
        (K.venue_order("BTCUSDT", "7"), "fillonce:{binance.main}:venue_order:BTCUSDT:7"),
        (K.parked("BTCUSDT", "7"), "fillonce:{binance.main}:parked:BTCUSDT:7"),
        (K.position("BTC/USDT"), "fillonce:{binance.main}:position:BTC/USDT"),
        (K.position("BTC/USDT", "long"), "fillonce:{binance.main}:position:BTC/USDT:long"),
        (ACCOUNTS, "fillonce:accounts"),
    ],
)
def test_keys_are_spelled_as_documented(key: str, expected: str) -> None:
    """A stored account outlives a version of the code: its keys do not change."""
    assert key == expected


def test_the_groups_differ() -> None:
    """Gateways and ledgers never read one stream as one group."""
    assert keys.GATEWAYS != keys.LEDGERS
