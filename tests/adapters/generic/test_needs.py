"""Which exchanges there are, and what ccxt must be able to do with one."""

import subprocess
import sys

import pytest

from adapters import registry
from adapters.generic.needs import CALLS, exchange_of, known, missing
from streams.errors import UsageError
from streams.identity import STRENGTH_BITS_MIN, can_amend, strength_bits

EVERYTHING = {call: True for calls in CALLS.values() for call in calls}


def test_an_exchange_is_known_by_ccxts_own_id() -> None:
    """And there are many."""
    assert exchange_of("ccxt:kraken") == "kraken"
    assert {"kraken", "okx", "binance", "gate"} <= known()
    assert "__init__" not in known()


def test_an_exchange_that_ccxt_does_not_know_is_refused_with_near_names() -> None:
    """A slip of the pen is seen."""
    with pytest.raises(UsageError, match=r"'krakn'; did you mean ccxt:kraken"):
        registry.plug("ccxt:krakn")
    with pytest.raises(UsageError, match="ccxt knows no exchange ''"):
        registry.plug("ccxt:")


def test_what_it_declares_is_known_without_ccxt() -> None:
    """Facts and decoder do not cost the seconds that importing it takes."""
    code = "import sys; from adapters import registry; registry.plug('ccxt:kraken'); print({'ccxt'} & {*sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_the_facts_are_the_cautious_ones() -> None:
    """So nothing that is lost is ever sent again, and no id needs a sign that an exchange may not take."""
    facts = registry.facts("ccxt:kraken")
    assert (facts.name, facts.late_send, facts.duplicates, facts.amends) == ("ccxt-kraken", "accepted", "never", "no")
    assert (facts.times_in_force, facts.flags) == (frozenset({"gtc"}), frozenset())
    assert facts.polls_ms
    rule = facts.id_rule
    assert strength_bits(rule) >= STRENGTH_BITS_MIN
    assert rule.length_max == 18
    assert set(rule.prefix) <= set(rule.charset) <= set("0123456789abcdefghijklmnopqrstuvwxyz")
    assert not rule.prefix.startswith("t")
    assert not can_amend(rule)


def test_every_call_that_is_missing_is_named() -> None:
    """One of two ways to list ended orders is enough."""
    signs = {"apiKey": True, "secret": True, "password": True, "uid": False}
    assert missing(EVERYTHING, signs) == ""
    assert missing({**EVERYTHING, "fetchOrders": False}, signs) == ""
    assert missing({**EVERYTHING, "fetchOrders": False, "fetchClosedOrders": None}, signs) == (
        "ccxt cannot list ended orders there"
    )
    assert "look one up, list own trades" in missing({**EVERYTHING, "fetchOrder": False, "fetchMyTrades": False}, signs)


def test_a_key_that_an_account_cannot_have_is_named() -> None:
    """A wallet's, for example."""
    assert "privateKey, walletAddress" in missing(EVERYTHING, {"walletAddress": True, "privateKey": True})
