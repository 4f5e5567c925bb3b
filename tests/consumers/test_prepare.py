"""Specification of consumers/prepare.py: an entry of `intents` becomes a claim, a refusal, or says why it cannot."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from adapters.binance.facts import FACTS
from consumers.prepare import Prepared, Unusable, prepare
from streams import codec
from streams.identity import client_order_id, fingerprint
from streams.producer import publish_item
from streams.reader import Entry
from streams.record import NEW_STATE_TEXT
from streams.schemas import Cancel, Intent, Place
from tests.flow import INFO, INSTRUMENTS

ACCOUNT = "binance.main"


def place(**changes: Any) -> Place:
    """A limit order on the grid."""
    terms: dict[str, Any] = {
        "account": ACCOUNT, "strategy": "s", "signal_id": "1", "signal_time": datetime(2026, 1, 1, tzinfo=UTC),
        "symbol": "BTC/USDT", "side": "buy", "type": "limit", "quantity": Decimal(1), "price": Decimal(50_000),
    }  # fmt: skip
    return Place(**{**terms, **changes})


def prepared(intent: Intent | bytes | None) -> Prepared | Unusable:
    """Prepare the entry of an intent."""
    data = codec.encode(intent) if isinstance(intent, Intent) else intent
    fields = {} if data is None else {b"data": data}
    return prepare(Entry("1-1", fields, redelivered=False), ACCOUNT, INFO, FACTS, INSTRUMENTS)


def claim(intent: Intent) -> Any:
    """The claim of a usable intent."""
    found = prepared(intent)
    assert isinstance(found, Prepared)
    return found.item


def reason(intent: Intent | bytes | None) -> str:
    """Why it is unusable."""
    found = prepared(intent)
    assert isinstance(found, Unusable)
    return found.reason


def refusal(intent: Place) -> str:
    """Why it is claimed only to be rejected."""
    item = claim(intent)
    assert item.sent == "{}"
    return msgspec.json.decode(item.refusal, type=str)


def test_a_place_is_claimed_as_publish_would_have_stored_it() -> None:
    """What came by bare XADD meets the record of what was published, to the letter."""
    terms = place()
    item, published = claim(terms), publish_item(terms, INFO)
    assert (item.command, item.entry, item.token, item.refusal) == ("place", "1-1", "", "")
    assert (item.client_order_id, item.fingerprint) == (published.client_order_id, published.fingerprint)
    assert (item.terms, item.valid_until_ms) == (published.data, terms.valid_until_ms)
    assert (item.state, item.digest) == (
        NEW_STATE_TEXT,
        codec.birth_digest(item.client_order_id, published.fingerprint, NEW_STATE_TEXT),
    )
    assert item.client_order_id == client_order_id(terms, INFO.id_rule)
    assert item.fingerprint == fingerprint(terms)


def test_the_bytes_of_a_place_in_another_spelling_give_the_same_claim() -> None:
    """Another order of fields and spaces are another producer's, not another intent."""
    data = msgspec.json.format(codec.encode(place()), indent=2)
    fields = dict(reversed(list(msgspec.json.decode(data).items())))
    found = prepared(msgspec.json.encode(fields))
    assert isinstance(found, Prepared)
    assert found.item == claim(place())


@pytest.mark.parametrize(
    ("changes", "sent"),
    [
        ({}, {"quantity": "1", "price": "50000"}),
        ({"quantity": Decimal("0.500"), "price": Decimal("50000.10")}, {"quantity": "0.5", "price": "50000.1"}),
        ({"type": "market", "price": None}, {"quantity": "1"}),
        (
            {"quantity": Decimal("0.123456"), "price": Decimal("50000.019"), "rounding": "down"},
            {"quantity": "0.12345", "price": "50000.01"},
        ),
        (
            {"quantity": Decimal("0.123456"), "price": Decimal("50000.019"), "rounding": "nearest"},
            {"quantity": "0.12346", "price": "50000.02"},
        ),
    ],
)
def test_the_amounts_to_send_are_stored_with_the_claim(changes: dict[str, Any], sent: dict[str, str]) -> None:
    """Canonical, rounded where the intent says how; the terms keep what was asked."""
    item = claim(place(**changes))
    assert msgspec.json.decode(item.sent) == sent
    assert codec.decode_place(item.terms.encode()) == place(**changes)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"quantity": Decimal("0.123456")}, "quantity 0.123456 is off the lot of 0.00001 for BTC/USDT"),
        ({"price": Decimal("50000.019")}, "price 50000.019 is off the tick of 0.01 for BTC/USDT"),
        ({"quantity": Decimal("0.00001"), "price": Decimal(1)}, "notional 0.00001 is below the minimum of 5"),
        ({"quantity": Decimal("0.000001"), "rounding": "down"}, "rounded to 0, is below the minimum"),
    ],
)
def test_what_is_off_the_grid_is_claimed_only_to_be_rejected_with_the_sentence(
    changes: dict[str, Any], sentence: str
) -> None:
    """The order ends as `rejected` for everyone to see; nothing is sent."""
    assert sentence in refusal(place(**changes))


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"time_in_force": "gtd"}, "time in force gtd; it takes gtc, ioc, fok"),
        ({"reduce_only": True}, "flag reduce_only; it takes post_only"),
        ({"position_side": "long"}, "position side long; it takes net"),
    ],
)
def test_what_the_venue_cannot_do_is_rejected_by_name(changes: dict[str, Any], word: str) -> None:
    """The venue, the word, and what it takes instead."""
    assert refusal(place(**changes)).endswith(f"binance takes no {word}")


def test_the_venue_is_named_once_in_a_refusal() -> None:
    """`binance takes no ...`, not `binance: binance takes no ...`."""
    assert refusal(place(reduce_only=True)).count("binance") == 1


def test_a_cancel_by_client_order_id_claims_that_order() -> None:
    """With what a tombstone is made of, should the order not be known here."""
    identity = client_order_id(place(), INFO.id_rule)
    item = claim(Cancel(account=ACCOUNT, client_order_id=identity))
    assert (item.command, item.client_order_id, item.terms, item.fingerprint) == ("cancel", identity, "", "")
    assert (item.state, item.digest) == (NEW_STATE_TEXT, codec.birth_digest(item.client_order_id, "", NEW_STATE_TEXT))


def test_a_cancel_by_identity_claims_the_order_of_that_intent() -> None:
    """Strategy, signal id and leg are enough."""
    terms = place(leg="a")
    item = claim(Cancel(account=ACCOUNT, strategy="s", signal_id="1", leg="a"))
    assert item.client_order_id == client_order_id(terms, INFO.id_rule)
    assert item.client_order_id != client_order_id(place(), INFO.id_rule)


@pytest.mark.parametrize(("who", "told"), [('rule:a"b', r'"rule:a\"b"'), (None, "")])
def test_a_cancel_tells_the_claim_who_asks_for_it(who: str | None, told: str) -> None:
    """As a JSON string, for the journal; nothing where nobody is named."""
    assert claim(Cancel(account=ACCOUNT, strategy="s", signal_id="1", who=who)).who == told


def test_a_cancel_of_a_foreign_order_is_unusable() -> None:
    """Orders of other systems are not touched."""
    assert "not an order of fillonce" in reason(Cancel(account=ACCOUNT, client_order_id="web_1"))


@pytest.mark.parametrize("intent", [place(account="binance.other"), Cancel(account="sim.main", client_order_id="fo-1")])
def test_an_intent_of_another_account_is_unusable(intent: Intent) -> None:
    """It must not trade here, whoever put it into this stream."""
    assert reason(intent) == f"Account {intent.account} in the stream of {ACCOUNT}."


def test_an_unknown_symbol_is_unusable_and_names_known_ones() -> None:
    """There is no grid to hold it against."""
    assert "unknown symbol 'DOGE/USDT'; known: BTC/USDT, ETH/USDT" in reason(place(symbol="DOGE/USDT"))


def test_an_entry_without_data_says_which_kind_of_nothing_it_is() -> None:
    """Trimmed away, or without the field."""
    assert reason(None) == "trimmed away before it was read"
    found = prepare(Entry("1-1", {b"x": b"y"}, redelivered=False), ACCOUNT, INFO, FACTS, INSTRUMENTS)
    assert found == Unusable(entry="1-1", reason="the entry has no field `data`", raw=b"")


@given(st.binary(max_size=200))
def test_garbage_is_unusable_and_keeps_its_bytes(data: bytes) -> None:
    """They go to quarantine as they came."""
    found = prepared(data)
    assert isinstance(found, Unusable)
    assert found.raw == data


WORDS = st.from_regex(r"[!-~]{1,12}", fullmatch=True)


@given(
    WORDS,
    st.sampled_from(["BTC/USDT", "ETH/USDT"]),
    st.sampled_from(["buy", "sell"]),
    st.integers(1, 10**8).map(lambda lots: lots * Decimal("0.000001")),
    st.integers(1, 10**9).map(lambda ticks: ticks * Decimal("0.001")),
    st.sampled_from([None, "down", "nearest"]),
    st.sampled_from(["gtc", "ioc", "fok", "gtd"]),
)
def test_every_order_is_either_sent_on_the_grid_or_refused_with_a_sentence(  # noqa: PLR0917 - drawn
    signal: str, symbol: str, side: str, quantity: Decimal, price: Decimal, rounding: str | None, force: str
) -> None:
    """Never both, never neither; what is sent is a multiple of lot and tick."""
    item = claim(
        place(signal_id=signal, symbol=symbol, side=side, quantity=quantity, price=price, rounding=rounding,
              time_in_force=force)
    )  # fmt: skip
    sent = msgspec.json.decode(item.sent, type=dict[str, Decimal])
    assert bool(sent) != bool(item.refusal)
    if sent:
        instrument = INSTRUMENTS.of(symbol)
        assert sent["quantity"] % instrument.lot == 0
        assert sent["price"] % instrument.tick == 0
        assert sent["quantity"] * sent["price"] >= instrument.notional_min
        assert rounding or (sent["quantity"], sent["price"]) == (quantity, price)


def test_a_venue_of_ones_own_is_asked_by_its_declaration_not_by_its_name() -> None:
    """With `gtd` on its list, `gtd` is sent."""
    facts = replace(FACTS, times_in_force=frozenset({"gtd"}))
    entry = Entry("1-1", {b"data": codec.encode(place(time_in_force="gtd"))}, redelivered=False)
    found = prepare(entry, ACCOUNT, INFO, facts, INSTRUMENTS)
    assert isinstance(found, Prepared)
    assert not found.item.refusal
