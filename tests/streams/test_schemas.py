"""Specification of streams/schemas.py: what may come in as an intent, and with which sentence the rest is refused."""

import re
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.schemas import (
    TERMINAL,
    VALID_FOR_DEFAULT,
    Amend,
    Cancel,
    Execution,
    Intent,
    Order,
    OrderState,
    Place,
    TimeInForce,
    epoch_ms,
    from_ms,
    json_schema,
)

AT = datetime(2024, 5, 1, 12, 0, tzinfo=UTC)
LIMIT: dict[str, Any] = {
    "kind": "place",
    "account": "binance.main",
    "strategy": "breakout",
    "signal_id": "42",
    "signal_time": "2024-05-01T12:00:00Z",
    "symbol": "BTC/USDT",
    "side": "buy",
    "type": "limit",
    "quantity": "0.5",
    "price": "100.25",
}
MARKET: dict[str, Any] = {**{name: value for name, value in LIMIT.items() if name != "price"}, "type": "market"}
FULL: dict[str, Any] = {
    **LIMIT,
    "leg": "hedge",
    "symbol": "BTC/USDT:USDT",
    "side": "sell",
    "time_in_force": "gtd",
    "post_only": True,
    "reduce_only": True,
    "position_side": "long",
    "valid_until": "2024-05-01T14:05:00+02:00",
    "rounding": "nearest",
    "tags": {"why": "the moving averages crossed"},
}
CANCEL_BY_ID: dict[str, Any] = {"kind": "cancel", "account": "okx.sub-1", "client_order_id": "fo0123"}
CANCEL_BY_IDENTITY: dict[str, Any] = {
    "kind": "cancel",
    "account": "okx.sub-1",
    "strategy": "breakout",
    "signal_id": "42",
    "leg": "hedge",
}
SAMPLES = [LIMIT, MARKET, FULL, CANCEL_BY_ID, CANCEL_BY_IDENTITY]


def decode(fields: dict[str, Any]) -> Place | Cancel:
    """Decode as a producer's JSON."""
    intent: Place | Cancel = msgspec.json.decode(msgspec.json.encode(fields), type=Intent)
    return intent


@pytest.mark.parametrize("sample", SAMPLES)
def test_a_well_formed_intent_is_taken(sample: dict[str, Any]) -> None:
    """Samples of every kind decode, and every field arrives."""
    intent = decode(sample)
    assert isinstance(intent, Place if sample["kind"] == "place" else Cancel)
    for name, value in sample.items():
        if name in {"quantity", "price"}:
            assert getattr(intent, name) == Decimal(value)
        elif name in {"signal_time", "valid_until"}:
            assert getattr(intent, name) == datetime.fromisoformat(value)
        elif name != "kind":
            assert getattr(intent, name) == value


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"stop_price": "90"}, "Object contains unknown field `stop_price`"),
        ({"kind": "move"}, r"Invalid value 'move' - at `\$.kind`"),
        ({"kind": "requeued"}, r"Invalid value 'requeued' - at `\$.kind`"),
        ({"quantity": "0"}, "quantity must be a positive decimal of ordinary size, not 0"),
        ({"quantity": "-0"}, "quantity must be a positive decimal of ordinary size, not -0"),
        ({"quantity": "-1"}, "quantity must be a positive decimal of ordinary size, not -1"),
        ({"quantity": "NaN"}, "quantity must be a positive decimal of ordinary size, not NaN"),
        ({"quantity": "sNaN"}, "quantity must be a positive decimal of ordinary size, not sNaN"),
        ({"quantity": "Infinity"}, "quantity must be a positive decimal of ordinary size, not Infinity"),
        ({"quantity": "1E+20"}, r"quantity must be a positive decimal of ordinary size, not 1E\+20"),
        ({"quantity": "1E-21"}, "quantity must be a positive decimal of ordinary size, not 1E-21"),
        ({"quantity": "much"}, r"Invalid decimal string - at `\$.quantity`"),
        ({"quantity": True}, r"Expected `decimal`, got `bool` - at `\$.quantity`"),
        ({"price": "0"}, "price must be a positive decimal of ordinary size, not 0"),
        ({"price": "-100"}, "price must be a positive decimal of ordinary size, not -100"),
        ({"price": "NaN"}, "price must be a positive decimal of ordinary size, not NaN"),
        ({"price": "-Infinity"}, "price must be a positive decimal of ordinary size, not -Infinity"),
        ({"price": None}, "a limit order needs a price"),
        ({"type": "market"}, "a market order has no price"),
        ({"type": "market", "price": None, "post_only": True}, "a market order cannot be post_only, fok or gtd"),
        ({"type": "market", "price": None, "time_in_force": "fok"}, "a market order cannot be post_only, fok or gtd"),
        ({"type": "market", "price": None, "time_in_force": "gtd"}, "a market order cannot be post_only, fok or gtd"),
        ({"post_only": True, "time_in_force": "ioc"}, "post_only and ioc contradict each other"),
        ({"post_only": True, "time_in_force": "fok"}, "post_only and fok contradict each other"),
        ({"type": "stop"}, "Invalid enum value 'stop'"),
        ({"side": "BUY"}, "Invalid enum value 'BUY'"),
        ({"time_in_force": "day"}, "Invalid enum value 'day'"),
        ({"rounding": "up"}, "Invalid enum value 'up'"),
        ({"signal_id": "x" * 129}, r"Expected `str` of length <= 128 - at `\$.signal_id`"),
        ({"strategy": "x" * 129}, r"Expected `str` of length <= 128 - at `\$.strategy`"),
        ({"leg": "x" * 65}, r"Expected `str` of length <= 64 - at `\$.leg`"),
        ({"signal_id": ""}, r"Expected `str` of length >= 1 - at `\$.signal_id`"),
        ({"signal_id": " 42"}, "Expected `str` matching regex"),
        ({"signal_id": "42 "}, "Expected `str` matching regex"),
        ({"signal_id": "4\n2"}, "Expected `str` matching regex"),
        ({"strategy": "größer"}, "Expected `str` matching regex"),
        ({"leg": "a b"}, "Expected `str` matching regex"),
        ({"account": "binance"}, "Expected `str` matching regex"),
        ({"account": "Binance.main"}, "Expected `str` matching regex"),
        ({"account": "binance.{main}"}, "Expected `str` matching regex"),
        ({"account": "binance." + "x" * 64}, "Expected `str` of length <= 64"),
        ({"symbol": "BTCUSDT"}, "Expected `str` matching regex"),
        ({"symbol": "btc/usdt"}, "Expected `str` matching regex"),
        ({"symbol": "BTC/USDT:"}, "Expected `str` matching regex"),
        (
            {"signal_time": "2024-05-01T12:00:00"},
            r"Expected `datetime` with a timezone component - at `\$.signal_time`",
        ),
        (
            {"valid_until": "2024-05-01T13:00:00"},
            r"Expected `datetime` with a timezone component - at `\$.valid_until`",
        ),
        ({"signal_time": 1714564800}, r"Expected `datetime`, got `int` - at `\$.signal_time`"),
        ({"valid_until": "2024-05-01T12:00:00Z"}, "valid_until must be later than signal_time"),
        ({"valid_until": "2024-05-01T13:00:00+02:00"}, "valid_until must be later than signal_time"),
        ({"tags": {str(number): "" for number in range(17)}}, "at most 16 tags"),
        ({"tags": {"x" * 65: ""}}, "Expected `str` of length <= 64"),
        ({"tags": {"a": "x" * 257}}, "Expected `str` of length <= 256"),
        ({"tags": {"a": 1}}, "Expected `str`, got `int`"),
    ],
)
def test_what_could_never_become_an_order_is_refused_with_a_sentence(changes: dict[str, Any], sentence: str) -> None:
    """A malformed place is refused where it comes in, and the sentence says what is wrong."""
    with pytest.raises(msgspec.ValidationError, match=sentence):
        decode({**LIMIT, **changes})


@pytest.mark.parametrize(
    "missing", ["kind", "account", "strategy", "signal_id", "signal_time", "symbol", "side", "type", "quantity"]
)
def test_an_intent_without_a_required_field_is_refused(missing: str) -> None:
    """Nothing that identifies or sizes an order has a default."""
    with pytest.raises(msgspec.ValidationError, match=f"missing required field `{missing}`"):
        decode({name: value for name, value in LIMIT.items() if name != missing})


@pytest.mark.parametrize(
    "changes",
    [
        {"signal_id": "x" * 128},
        {"leg": "x" * 64},
        {"account": "b." + "x" * 62},
        {"quantity": "99999999999999999999"},
        {"quantity": "0.00000000000000000001"},
        {"tags": {str(number): "x" * 256 for number in range(16)}},
        {"valid_until": "2024-05-01T12:00:00.001Z"},
        {"signal_time": "2024-05-01T23:59:59.999999+14:00"},
        {"post_only": True, "time_in_force": "gtd"},
    ],
)
def test_the_bounds_themselves_are_taken(changes: dict[str, Any]) -> None:
    """The longest, the largest and the latest that is allowed is allowed."""
    assert isinstance(decode({**LIMIT, **changes}), Place)


@pytest.mark.parametrize(
    "fields",
    [
        {"kind": "cancel", "account": "okx.a"},
        {"kind": "cancel", "account": "okx.a", "strategy": "s"},
        {"kind": "cancel", "account": "okx.a", "signal_id": "1"},
        {"kind": "cancel", "account": "okx.a", "leg": "1"},
        {"kind": "cancel", "account": "okx.a", "client_order_id": "fo1", "strategy": "s", "signal_id": "1"},
    ],
)
def test_a_cancel_names_its_order_in_exactly_one_way(fields: dict[str, Any]) -> None:
    """By id or by identity: neither, half of one, or both is refused."""
    with pytest.raises(msgspec.ValidationError, match="a cancel names its order by client_order_id, or by strategy"):
        decode(fields)


def test_a_cancel_is_as_strict_as_a_place() -> None:
    """Unknown fields and over-long ids are refused."""
    with pytest.raises(msgspec.ValidationError, match="unknown field `symbol`"):
        decode({**CANCEL_BY_ID, "symbol": "BTC/USDT"})
    with pytest.raises(msgspec.ValidationError, match="Expected `str` of length <= 64"):
        decode({**CANCEL_BY_ID, "client_order_id": "x" * 65})


@pytest.mark.parametrize("beside", [{"strategy": "s"}, {"signal_id": "1"}, {"leg": "1"}])
def test_a_cancel_by_id_has_nothing_of_an_identity_beside_it(beside: dict[str, str]) -> None:
    """Half an identity beside an id is a mistake, and is not passed over."""
    with pytest.raises(msgspec.ValidationError, match="a cancel names its order by client_order_id, or by strategy"):
        decode({**CANCEL_BY_ID, **beside})


@pytest.mark.parametrize("field", ["account", "strategy", "signal_id", "leg", "symbol"])
def test_a_word_does_not_end_in_a_line_feed(field: str) -> None:
    """A line feed at the end of a word would make another key and another identity of what reads the same."""
    with pytest.raises(msgspec.ValidationError, match="Expected `str` matching regex"):
        decode({**FULL, field: FULL[field] + "\n"})


@pytest.mark.parametrize("amount", ["1E+1000000000", "1E-1000000000", "1.000000000000000000001"])
@pytest.mark.parametrize("field", ["quantity", "price"])
def test_an_amount_that_has_no_exact_text_is_refused_like_any_other(field: str, amount: str) -> None:
    """Too large, too small or too many digits for a calculation: one sentence, and no other exception."""
    with pytest.raises(msgspec.ValidationError, match=f"{field} must be a positive decimal of ordinary size"):
        decode({**LIMIT, field: amount})


def test_every_time_that_can_be_written_has_a_validity() -> None:
    """A signal time at the end of the calendar is odd, and must not stop a reader."""
    intent = decode({**LIMIT, "signal_time": "9999-12-31T23:30:00Z"})
    assert isinstance(intent, Place)
    assert intent.valid_until_ms == epoch_ms(intent.signal_time) + 3_600_000


@pytest.mark.parametrize("field", ["signal_time", "valid_until"])
def test_a_time_without_a_zone_is_refused_in_python_too(field: str) -> None:
    """Who makes a place in Python learns it at once, with an example of what to write."""
    naive = datetime(2024, 5, 1, 13, 0)  # noqa: DTZ001 - the missing zone is what is tested
    with pytest.raises(ValueError, match=f"{field} needs a time zone, for example 2024-05-01T13:00:00Z"):
        msgspec.structs.replace(msgspec.convert(LIMIT, Place), **{field: naive})


WORDS = st.from_regex(r"[!-~]([ -~]{0,20}[!-~])?", fullmatch=True)
AMOUNTS = st.decimals(min_value="0.00000001", max_value="1000000000", places=8)
ZONES = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
MOMENTS = st.datetimes(datetime(2001, 1, 1), datetime(2099, 1, 1), timezones=ZONES)  # noqa: DTZ001 - hypothesis adds the zones


@st.composite
def places(draw: st.DrawFn) -> Place:
    """Any place that is well formed."""
    limit, moment = draw(st.booleans()), draw(MOMENTS)
    times: list[TimeInForce] = ["gtc", "ioc", "fok", "gtd"]
    time_in_force = draw(st.sampled_from(times if limit else times[:2]))
    return Place(
        account=draw(st.sampled_from(["binance.main", "okx.sub-1"])),
        strategy=draw(WORDS),
        signal_id=draw(WORDS),
        signal_time=moment,
        symbol=draw(st.sampled_from(["BTC/USDT", "ETH/USDT:USDT", "1INCH/USD:BTC-240628"])),
        side=draw(st.sampled_from(["buy", "sell"])),
        type="limit" if limit else "market",
        quantity=draw(AMOUNTS),
        price=draw(AMOUNTS) if limit else None,
        leg=draw(st.just("") | st.from_regex(r"[!-~]{1,20}", fullmatch=True)),
        time_in_force=time_in_force,
        post_only=limit and time_in_force in {"gtc", "gtd"} and draw(st.booleans()),
        reduce_only=draw(st.booleans()),
        position_side=draw(st.sampled_from(["net", "long", "short"])),
        valid_until=draw(st.none() | st.timedeltas(timedelta(milliseconds=1), timedelta(days=9)).map(moment.__add__)),
        rounding=draw(st.sampled_from([None, "down", "nearest"])),
        tags=draw(st.dictionaries(st.text(max_size=8), st.text(max_size=8), max_size=4)),
    )


CANCELS = st.builds(
    lambda client_order_id: Cancel(account="binance.main", client_order_id=client_order_id),
    st.from_regex(r"[a-z0-9-]{1,36}", fullmatch=True),
) | st.builds(
    lambda strategy, signal_id, leg: Cancel(account="binance.main", strategy=strategy, signal_id=signal_id, leg=leg),
    WORDS,
    WORDS,
    st.sampled_from(["", "2"]),
)


@given(places() | CANCELS)
def test_an_intent_survives_json(intent: Place | Cancel) -> None:
    """What is written is what is read, and amounts are JSON strings."""
    written = msgspec.json.encode(intent)
    assert msgspec.json.decode(written, type=Intent) == intent
    fields = msgspec.json.decode(written)
    assert all(isinstance(fields[name], str) for name in ("quantity", "price") if fields.get(name) is not None)


@given(places())
def test_validity_comes_from_the_signal(intent: Place) -> None:
    """Without a word it is one hour after the signal, in whole UTC milliseconds, whenever it is published."""
    until = intent.valid_until or intent.signal_time + VALID_FOR_DEFAULT
    assert intent.valid_until_ms == epoch_ms(until)
    assert timedelta(0) <= until - from_ms(intent.valid_until_ms) < timedelta(milliseconds=1)
    assert timedelta(hours=1) == VALID_FOR_DEFAULT


@given(st.integers(0, 4_000_000_000_000), ZONES)
def test_milliseconds_are_exact_both_ways(at_ms: int, zone: timezone) -> None:
    """No float comes between a time and its milliseconds, in whatever zone it is said."""
    assert epoch_ms(from_ms(at_ms)) == epoch_ms(from_ms(at_ms).astimezone(zone)) == at_ms
    assert epoch_ms(from_ms(at_ms) + timedelta(microseconds=999)) == at_ms


def _problems(fields: dict[str, Any], schema: dict[str, Any]) -> list[str]:
    """Check an object against the parts of JSON Schema that the published one uses."""
    properties, found = schema["properties"], []
    found += [f"{name} is required" for name in schema["required"] if name not in fields]
    found += [f"{name} is unknown" for name in fields if name not in properties]
    for name in fields.keys() & properties.keys():
        shapes = properties[name].get("anyOf", [properties[name]])
        if not any(_fits(fields[name], shape) for shape in shapes):
            found.append(f"{name} has another shape")
    return found


def _fits(value: Any, shape: dict[str, Any]) -> bool:
    if "enum" in shape:
        return value in shape["enum"]
    types = {"string": str, "boolean": bool, "object": dict, "null": type(None)}
    if not isinstance(value, types[shape["type"]]):
        return False
    if isinstance(value, str):
        fits_pattern = re.search(shape.get("pattern", ""), value) is not None
        return shape.get("minLength", 0) <= len(value) <= shape.get("maxLength", len(value)) and fits_pattern
    return True


def _definition(kind: str) -> dict[str, Any]:
    schema: dict[str, Any] = json_schema()
    reference = schema["discriminator"]["mapping"][kind]
    definition: dict[str, Any] = schema["$defs"][reference.rpartition("/")[2]]
    return definition


@pytest.mark.parametrize("sample", SAMPLES)
def test_the_json_schema_takes_what_we_take(sample: dict[str, Any]) -> None:
    """A producer in another language can check its intents before it sends them."""
    assert _problems(sample, _definition(sample["kind"])) == []


@given(places() | CANCELS)
def test_the_json_schema_takes_every_intent_we_write(intent: Place | Cancel) -> None:
    """Our own producer's bytes fit the published schema."""
    fields = msgspec.json.decode(msgspec.json.encode(intent))
    assert _problems(fields, _definition(fields["kind"])) == []


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"stop_price": "90"}, "stop_price is unknown"),
        ({"quantity": 0.5}, "quantity has another shape"),
        ({"price": 100}, "price has another shape"),
        ({"side": "BUY"}, "side has another shape"),
        ({"signal_id": "x" * 129}, "signal_id has another shape"),
        ({"account": "binance"}, "account has another shape"),
    ],
)
def test_the_json_schema_refuses_what_we_refuse(changes: dict[str, Any], problem: str) -> None:
    """Amounts are strings, words have their length and pattern, and nothing unknown is allowed."""
    schema = _definition("place")
    assert _problems({**LIMIT, **changes}, schema) == [problem]
    assert schema["additionalProperties"] is False


def test_the_json_schema_offers_what_a_producer_may_send() -> None:
    """Place, cancel and amend, told apart by `kind`, each with all its fields."""
    schema: dict[str, Any] = json_schema()
    assert schema["discriminator"]["propertyName"] == "kind"
    assert set(schema["discriminator"]["mapping"]) == {"place", "cancel", "amend"}
    assert set(_definition("place")["properties"]) == {"kind", *Place.__struct_fields__}
    assert set(_definition("cancel")["properties"]) == {"kind", *Cancel.__struct_fields__}
    assert set(_definition("amend")["properties"]) == {"kind", *Amend.__struct_fields__}


def _order(**changes: Any) -> Order:
    terms = msgspec.convert(LIMIT, Place)
    order = Order(client_order_id="fo1", terms=terms, status="open", state=OrderState(), digest="d")
    return msgspec.structs.replace(order, **changes)


def test_an_order_has_the_quantity_that_is_sent() -> None:
    """The rounded one where rounding was asked for, else the intent's; a tombstone has none."""
    assert _order(sent={"quantity": "0.4"}).quantity == Decimal("0.4")
    assert _order().quantity == Decimal("0.5")
    assert _order(terms=None).quantity == 0


@pytest.mark.parametrize(
    "status",
    ["created", "submitting", "unknown", "open", "partially_filled", "filled", "cancelled", "rejected", "expired"],
)
def test_an_order_is_live_until_it_ended_and_all_its_executions_came(status: str) -> None:
    """An ended order still waits for executions that the venue has reported and not yet delivered."""
    complete = OrderState(filled=Decimal("0.5"), reported=Decimal("0.5"))
    behind = OrderState(filled=Decimal("0.4"), reported=Decimal("0.5"))
    assert _order(status=status, state=complete).live == (status not in TERMINAL)
    assert _order(status=status, state=behind).live
    assert frozenset({"filled", "cancelled", "rejected", "expired"}) == TERMINAL


@given(WORDS, WORDS)
def test_both_sides_of_a_self_trade_are_two_executions(order: str, other: str) -> None:
    """They share the trade id, so the order's id is part of the execution's."""

    def execution(venue_order_id: str) -> Execution:
        return Execution(
            venue_symbol="BTCUSDT",
            venue_order_id=venue_order_id,
            trade_id="7",
            side="buy",
            quantity=Decimal(1),
            price=Decimal(1),
            executed_at_ms=0,
        )

    assert (execution(order).execution_id == execution(other).execution_id) == (order == other)
