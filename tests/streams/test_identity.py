"""Specification of streams/identity.py: ids and fingerprints are functions of the content, everywhere and for ever."""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.errors import BadIntent
from streams.identity import (
    DIGEST_BITS,
    STRENGTH_BITS_MIN,
    amend_fingerprint,
    can_amend,
    client_order_id,
    fingerprint,
    is_ours,
    read_wire_id,
    strength_bits,
    wire_id,
)
from streams.schemas import REVISION_MAX, Amend, Cancel, IdRule, Place, Rounding, Side

BASE36 = "0123456789abcdefghijklmnopqrstuvwxyz"
BASE62 = BASE36 + "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
BINANCE = IdRule(charset=BASE36, length_max=36, prefix="fo-")
OKX = IdRule(charset=BASE36, length_max=32, prefix="fo")
KRAKEN = IdRule(charset=BASE36, length_max=18, prefix="f")
GATE = IdRule(charset=BASE62 + "_.-", length_max=30, prefix="t-fo")
HEX = IdRule(charset="0123456789abcdef", length_max=32, prefix="")
RULES = [BINANCE, OKX, KRAKEN, GATE, HEX]

AT = datetime(2024, 5, 1, 12, 0, tzinfo=UTC)
WORDS = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=12)


def place(**changes: Any) -> Place:
    """A limit order with `changes`."""
    fields: dict[str, Any] = {
        "account": "binance.main",
        "strategy": "breakout",
        "signal_id": "42",
        "signal_time": AT,
        "symbol": "BTC/USDT",
        "side": "buy",
        "type": "limit",
        "quantity": Decimal("0.5"),
        "price": Decimal(100),
    }
    return Place(**{**fields, **changes})


FROZEN = [
    (place(), "fo-k7ryi5ovci91yhab0pe3nwmp8", "4c90eff15c4577ced25bf479764ac80f"),
    (
        place(
            account="okx.sub-1",
            strategy="mean reversion",
            signal_id="2024-05-01T12:00:00Z#7",
            leg="hedge",
            symbol="ETH/USDT:USDT",
            side="sell",
            type="market",
            quantity=Decimal("3.250"),
            price=None,
            reduce_only=True,
            position_side="long",
            rounding="down",
            tags={"why": "any"},
        ),
        "fo-pwd25sd6y1yhmnmnaoa6mtmt2",
        "7f04a62ecb51a7f065c8295c086d3a6d",
    ),
    (
        place(
            signal_id="a",
            time_in_force="gtd",
            post_only=True,
            valid_until=AT + timedelta(minutes=5),
            price=Decimal("0.00000123"),
            quantity=Decimal("1E+6"),
        ),
        "fo-mbzy6wgna5lixvg8h4kj8qbrc",
        "28be76f9a5c6b735e2ed05340d86aed0",
    ),
]


@pytest.mark.parametrize(("intent", "frozen_id", "frozen_fingerprint"), FROZEN)
def test_ids_and_fingerprints_never_change_between_versions(
    intent: Place, frozen_id: str, frozen_fingerprint: str
) -> None:
    """Another value would send every order of an upgraded system again: these three are frozen."""
    assert client_order_id(intent, BINANCE) == frozen_id
    assert fingerprint(intent) == frozen_fingerprint


@pytest.mark.parametrize("seed", ["0", "1", "4242"])
def test_another_process_makes_the_same_id_and_fingerprint(seed: str) -> None:
    """Nothing of the process, its hash seed included, goes into an id."""
    script = (
        "import sys, msgspec\n"
        "from streams.identity import client_order_id, fingerprint\n"
        "from streams.schemas import IdRule, Place\n"
        "intent, rule = msgspec.json.decode(sys.stdin.buffer.read(), type=tuple[Place, IdRule])\n"
        "print(client_order_id(intent, rule), fingerprint(intent))\n"
    )
    intent = FROZEN[1][0]
    told = subprocess.run(
        [sys.executable, "-c", script],
        input=msgspec.json.encode((intent, KRAKEN)),
        capture_output=True,
        check=True,
        cwd=Path(__file__).parents[2],
        env={**os.environ, "PYTHONHASHSEED": seed, "TZ": "Asia/Tokyo"},
        timeout=30,
    )
    assert told.stdout.decode().split() == [client_order_id(intent, KRAKEN), fingerprint(intent)]


PARTS = st.tuples(st.sampled_from(["binance.main", "binance.a", "okx.main"]), WORDS, WORDS, st.just("") | WORDS)


def _id(parts: tuple[str, str, str, str], rule: IdRule) -> str:
    account, strategy, signal_id, leg = parts
    return client_order_id(place(account=account, strategy=strategy, signal_id=signal_id, leg=leg), rule)


@given(PARTS, PARTS, st.sampled_from(RULES))
def test_two_identities_have_one_id_only_if_they_are_equal(
    one: tuple[str, str, str, str], other: tuple[str, str, str, str], rule: IdRule
) -> None:
    """An id is equal exactly when account, strategy, signal id and leg all are."""
    assert (_id(one, rule) == _id(other, rule)) == (one == other)


@given(WORDS, st.data())
def test_parts_cannot_run_into_each_other(word: str, data: st.DataObject) -> None:
    """Where one part ends and the next begins is part of the identity, whatever signs they hold."""
    filled = "x" + word + "y"
    cuts = data.draw(st.lists(st.integers(1, len(filled) - 1), min_size=2, max_size=2, unique=True))
    ids = {_id(("binance.main", filled[:cut], filled[cut:], ""), BINANCE) for cut in cuts}
    ids |= {_id(("binance.main", "s", filled[:cut], filled[cut:]), BINANCE) for cut in cuts}
    assert len(ids) == 4


@given(PARTS, st.sampled_from(RULES))
def test_an_id_has_only_the_signs_and_the_length_the_venue_allows(
    parts: tuple[str, str, str, str], rule: IdRule
) -> None:
    """Prefix first, then only signs of the charset, never longer than the venue takes, and known as ours."""
    made = _id(parts, rule)
    assert made.startswith(rule.prefix)
    assert len(made) <= rule.length_max
    assert set(made[len(rule.prefix) :]) <= set(rule.charset)
    assert is_ours(made, rule)


@given(PARTS)
def test_an_id_is_no_longer_than_its_strength_needs(parts: tuple[str, str, str, str]) -> None:
    """128 bits are 25 signs of base 36 and 32 of base 16, however much room a venue leaves."""
    assert len(_id(parts, BINANCE)) == len("fo-") + 25
    assert len(_id(parts, HEX)) == 32


@pytest.mark.parametrize(
    ("rule", "bits"),
    [(BINANCE, DIGEST_BITS), (OKX, DIGEST_BITS), (HEX, DIGEST_BITS), (GATE, DIGEST_BITS), (KRAKEN, 87)],
)
def test_the_strength_a_rule_leaves_is_stated(rule: IdRule, bits: int) -> None:
    """A prefix and 17 signs of base 36 leave 87 bits, which is still enough; more room never exceeds the digest."""
    assert strength_bits(rule) == bits >= STRENGTH_BITS_MIN
    assert strength_bits(IdRule(charset=BASE36, length_max=16, prefix="f")) < STRENGTH_BITS_MIN


@given(st.sets(PARTS, min_size=2, max_size=40))
def test_a_short_rule_uses_all_the_room_it_has(identities: set[tuple[str, str, str, str]]) -> None:
    """Under the 18 signs of a short rule, ids still fill the room and stay apart."""
    made = {_id(parts, KRAKEN) for parts in identities}
    assert len(made) == len(identities)
    assert {len(one) for one in made} == {18}


@given(st.text(max_size=40), st.sampled_from([BINANCE, OKX, KRAKEN, GATE]))
def test_foreign_ids_are_not_ours(foreign: str, rule: IdRule) -> None:
    """Neither what others make up, nor the venue's own ids, nor nothing, is taken for ours."""
    assert not is_ours(foreign, rule) or foreign.startswith(rule.prefix)
    made = _id(("binance.main", "s", "1", ""), rule)
    assert not is_ours(None, rule)
    assert not is_ours("", rule)
    assert not is_ours("x-TKT5PX2F" + "0" * 22, rule)
    assert not is_ours(made[:-1], rule)
    assert not is_ours(made + "0", rule)
    assert not is_ours(made[:-1] + "~", rule)
    assert not is_ours("#" * len(rule.prefix) + made[len(rule.prefix) :], rule)


@given(PARTS, st.sampled_from(RULES))
def test_a_cancel_by_identity_has_the_id_of_the_order_it_means(parts: tuple[str, str, str, str], rule: IdRule) -> None:
    """A cancel names the same order as the place, by identity and by id alike."""
    account, strategy, signal_id, leg = parts
    made = _id(parts, rule)
    assert client_order_id(Cancel(account=account, strategy=strategy, signal_id=signal_id, leg=leg), rule) == made
    assert client_order_id(Cancel(account=account, client_order_id=made), rule) == made


def test_a_cancel_of_a_foreign_id_is_refused() -> None:
    """We end only what we began, and say how our ids begin."""
    with pytest.raises(BadIntent, match="'web_123' is not an order of fillonce; its ids begin with fo-"):
        client_order_id(Cancel(account="binance.main", client_order_id="web_123"), BINANCE)


@given(st.sampled_from(["1", "1.0", "1.00", "10E-1", "0.1E1"]), st.sampled_from(["200", "2E+2", "200.00"]))
def test_equal_amounts_have_one_fingerprint(quantity: str, price: str) -> None:
    """1, 1.0 and 1.00 are the same wish."""
    spelled = place(quantity=Decimal(quantity), price=Decimal(price))
    assert fingerprint(spelled) == fingerprint(place(quantity=Decimal(1), price=Decimal(200)))


IDENTITY = {"account", "strategy", "signal_id", "leg"}
# field -> the order it changes, and what to
CHANGES: dict[str, tuple[Place, Any]] = {
    "signal_time": (place(valid_until=AT + timedelta(hours=1)), AT + timedelta(milliseconds=1)),
    "symbol": (place(), "BTC/USDC"),
    "side": (place(), "sell"),
    "type": (place(type="market", price=None), None),
    "quantity": (place(), Decimal("0.50000001")),
    "price": (place(), Decimal("100.00000001")),
    "time_in_force": (place(), "ioc"),
    "post_only": (place(), True),
    "reduce_only": (place(), True),
    "position_side": (place(), "short"),
    "valid_until": (place(), AT + timedelta(hours=1, milliseconds=1)),
    "rounding": (place(), "down"),
}


@pytest.mark.parametrize("field", sorted(CHANGES))
def test_every_field_that_affects_the_order_changes_the_fingerprint(field: str) -> None:
    """No field can be changed under an identity without being seen."""
    order, value = CHANGES[field]
    changed = place() if field == "type" else msgspec.structs.replace(order, **{field: value})
    assert fingerprint(changed) != fingerprint(order)
    assert client_order_id(changed, BINANCE) == client_order_id(order, BINANCE)


def test_every_field_is_of_the_identity_of_the_fingerprint_or_a_tag() -> None:
    """A field that is added has to be put somewhere: into the identity, into the fingerprint, or aside."""
    assert IDENTITY | set(CHANGES) | {"tags"} == set(Place.__struct_fields__)


@pytest.mark.parametrize("field", sorted(IDENTITY))
def test_the_identity_is_no_part_of_the_fingerprint(field: str) -> None:
    """The fingerprint is compared under one identity; it says what, not who."""
    other = {"account": "okx.main", "strategy": "other", "signal_id": "43", "leg": "2"}[field]
    assert fingerprint(place(**{field: other})) == fingerprint(place())
    assert client_order_id(place(**{field: other}), BINANCE) != client_order_id(place(), BINANCE)


@given(st.dictionaries(st.text(max_size=8), st.text(max_size=8), max_size=4))
def test_tags_affect_nothing(tags: dict[str, str]) -> None:
    """A strategy's own notes change neither id nor fingerprint."""
    assert fingerprint(place(tags=tags)) == fingerprint(place())
    assert client_order_id(place(tags=tags), BINANCE) == client_order_id(place(), BINANCE)


@given(st.integers(-14 * 60, 14 * 60), st.datetimes(datetime(2001, 1, 1), datetime(2099, 1, 1)))  # noqa: DTZ001 - the zone is added below
def test_a_time_in_another_zone_is_the_same_time(minutes: int, moment: datetime) -> None:
    """Who writes the signal's time in local time means the same order."""
    utc = moment.replace(tzinfo=UTC)
    zone = timezone(timedelta(minutes=minutes))
    until = utc + timedelta(minutes=3)
    local = place(signal_time=utc.astimezone(zone), valid_until=until.astimezone(zone))
    assert fingerprint(local) == fingerprint(place(signal_time=utc, valid_until=until))


def test_an_explicit_default_is_the_default() -> None:
    """Valid until one hour after the signal is what an intent means that says nothing."""
    assert fingerprint(place(valid_until=AT + timedelta(hours=1))) == fingerprint(place())


SIDES: list[Side] = ["buy", "sell"]
ROUNDINGS: list[Rounding | None] = [None, "down", "nearest"]


@given(
    st.tuples(
        st.sampled_from(SIDES), st.integers(1, 50), st.integers(1, 50), st.sampled_from(ROUNDINGS), st.booleans()
    ),
    st.tuples(
        st.sampled_from(SIDES), st.integers(1, 50), st.integers(1, 50), st.sampled_from(ROUNDINGS), st.booleans()
    ),
)
def test_two_contents_have_one_fingerprint_only_if_they_are_equal(one: tuple[Any, ...], other: tuple[Any, ...]) -> None:
    """Amounts and flags cannot trade places: 1 at 11 is not 11 at 1."""

    def of(content: tuple[Any, ...]) -> str:
        side, quantity, price, rounding, reduce_only = content
        return fingerprint(
            place(
                side=side,
                quantity=Decimal(quantity),
                price=Decimal(price),
                rounding=rounding,
                reduce_only=reduce_only,
            )
        )

    assert (of(one) == of(other)) == (one == other)


def test_an_intent_read_back_from_json_is_the_same_order() -> None:
    """What goes over the wire and back has the id and the fingerprint it had."""
    for intent, _, _ in FROZEN:
        back = msgspec.json.decode(json.dumps(json.loads(msgspec.json.encode(intent)), indent=1), type=Place)
        assert fingerprint(back) == fingerprint(intent)
        assert client_order_id(back, BINANCE) == client_order_id(intent, BINANCE)


AMENDABLE = [rule for rule in RULES if can_amend(rule)]


@given(PARTS, st.sampled_from(AMENDABLE), st.integers(0, REVISION_MAX))
def test_a_name_at_the_venue_is_read_back_as_identity_and_generation(
    parts: tuple[str, str, str, str], rule: IdRule, generation: int
) -> None:
    """Within the venue's rule; another generation is another name, and an identity is a name of generation 0."""
    account, strategy, signal_id, leg = parts
    identity = client_order_id(place(account=account, strategy=strategy, signal_id=signal_id, leg=leg), rule)
    name = wire_id(identity, generation, rule)
    assert read_wire_id(name, rule) == (identity, generation)
    assert len(name) <= rule.length_max
    assert (name == identity) == (generation == 0)
    assert is_ours(name, rule) == (generation == 0)
    assert wire_id(identity, generation + 1, rule) != name


@given(st.text(max_size=40), st.sampled_from(RULES))
def test_a_name_of_another_system_is_left_as_it_is(name: str, rule: IdRule) -> None:
    """It has no generation."""
    identity, generation = read_wire_id(name, rule)
    assert (identity, generation) == (name, 0) or wire_id(identity, generation, rule) == name


def test_a_rule_without_room_says_so() -> None:
    """A venue of eighteen signs keeps its orders as they are."""
    assert not can_amend(KRAKEN)
    assert can_amend(BINANCE)


def test_an_amend_is_its_content() -> None:
    """What it asks for, not how it names the order."""
    given_: dict[str, Any] = {
        "account": "binance.main", "revision": 1, "signal_time": datetime(2026, 1, 1, tzinfo=UTC),
        "quantity": Decimal("1.0"), "price": Decimal(5),
    }  # fmt: skip
    by_id = amend_fingerprint(Amend(**given_, client_order_id="fo-1"))
    assert by_id == amend_fingerprint(Amend(**{**given_, "quantity": Decimal(1)}, strategy="s", signal_id="1"))
    for change in ({"revision": 2}, {"price": Decimal(6)}, {"quantity": Decimal(2)}, {"rounding": "down"}):
        assert amend_fingerprint(Amend(**{**given_, **change}, client_order_id="fo-1")) != by_id
