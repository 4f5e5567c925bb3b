"""Specification of consumers/interpret.py: an entry says one thing about one order, or why it says nothing."""

from collections.abc import Sequence
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.binance.decode import decode as binance
from consumers.interpret import Bad, Item, interpret
from streams import codec
from streams.errors import BadPayload
from streams.reader import Entry
from streams.schemas import (
    Absent,
    Accepted,
    Command,
    Evidence,
    Execution,
    Fact,
    Ignored,
    NotSent,
    OrderReport,
    Outcome,
    Refused,
    Unknown,
)
from tests.flow import execution


def trade(number: int = 1, venue_order_id: str = "v1", client_order_id: str | None = "fo-1") -> Execution:
    """One execution."""
    return Execution(
        venue_symbol="BTCUSDT", venue_order_id=venue_order_id, trade_id=str(number), side="buy", quantity=Decimal(1),
        price=Decimal(5), executed_at_ms=number, client_order_id=client_order_id,
    )  # fmt: skip


def report(venue_order_id: str = "v1", client_order_id: str | None = "fo-1") -> OrderReport:
    """An open order."""
    return OrderReport(
        venue_symbol="BTCUSDT", venue_order_id=venue_order_id, status="open", filled=Decimal(0), reported_at_ms=1,
        client_order_id=client_order_id,
    )  # fmt: skip


def saying(*facts: Fact) -> "Said":
    """A venue that says these facts whatever the bytes."""
    return Said(facts)


class Said:
    """A decoder with one answer."""

    def __init__(self, facts: Sequence[Fact]) -> None:
        self._facts = facts

    def __call__(self, format: str, raw: bytes) -> Sequence[Fact]:  # noqa: A002, ARG002 - the protocol's names
        """Decode."""
        return self._facts


def answer(outcome: Outcome, kind: str = "place") -> Command:
    """What became of a claim of `fo-1`."""
    return Command(client_order_id="fo-1", token="t", outcome=outcome, kind=kind)  # type: ignore[arg-type]  # place or cancel


def entry(command: Command | None = None, form: str = "sim", raw: bytes = b"{}") -> Entry:
    """An entry of `evidence`."""
    data = codec.encode(Evidence(source="answer", received_at_ns=1, format=form, command=command))
    return Entry("1-1", {b"data": data, b"raw": raw} if raw else {b"data": data}, redelivered=False)


def test_executions_come_before_the_report_that_counts_them() -> None:
    """However the payload lists them, so that the report finds them applied; their own order is kept."""
    item = interpret(entry(), saying(report(), trade(2), trade(1)))
    assert item == Item(entry="1-1", facts=(trade(2), trade(1), report()))


def test_an_item_names_its_order_by_what_any_fact_says() -> None:
    """A row of the venue's trades has no client order id of its own."""
    item = interpret(entry(), saying(trade(1, client_order_id=None), report()))
    assert isinstance(item, Item)
    assert (item.client_order_id, item.venue_order) == ("fo-1", ("BTCUSDT", "v1"))


def test_an_item_without_any_name_has_only_its_venue_order() -> None:
    """The mapping tells whose it is."""
    item = interpret(entry(), saying(trade(1, client_order_id=None)))
    assert isinstance(item, Item)
    assert (item.client_order_id, item.venue_order) == (None, ("BTCUSDT", "v1"))


@pytest.mark.parametrize("outcome", [Refused("-1", "why"), Unknown("why"), NotSent("why"), Absent(1)])
def test_a_negative_answer_is_the_command_alone(outcome: Outcome) -> None:
    """The bytes beside it are an error's, not an order's: they are kept and not decoded."""
    item = interpret(entry(answer(outcome)), saying(report()))
    assert item == Item(entry="1-1", command=answer(outcome))


def test_an_accepted_answer_is_the_command_with_what_its_bytes_show() -> None:
    """A market order may be filled by its own answer."""
    item = interpret(entry(answer(Accepted())), saying(report(), trade()))
    assert item == Item(entry="1-1", facts=(trade(), report()), command=answer(Accepted()))


def test_an_accepted_answer_without_bytes_is_the_command() -> None:
    """Nothing is decoded where there is no format."""
    assert interpret(entry(answer(Accepted()), form="", raw=b""), binance) == Item(
        entry="1-1", command=answer(Accepted())
    )


@pytest.mark.parametrize(
    ("facts", "reason"),
    [([Ignored("a balance")], "a balance"), ([Ignored("a"), Ignored("b")], "a"), ([], "says nothing")],
)
def test_what_says_nothing_says_why(facts: list[Fact], reason: str) -> None:
    """The reason goes into the journal."""
    assert interpret(entry(), saying(*facts)) == Item(entry="1-1", ignored=reason)


def test_an_ignored_part_beside_facts_is_left_out() -> None:
    """Only the facts count."""
    assert interpret(entry(), saying(Ignored("x"), report())) == Item(entry="1-1", facts=(report(),))


@pytest.mark.parametrize("other", [report("v2"), trade(1, "v2")])
def test_a_payload_of_two_venue_orders_cannot_be_used(other: Fact) -> None:
    """Nobody guesses which one an answer is about."""
    found = interpret(entry(raw=b"raw"), saying(report(), other))
    assert found == Bad(entry="1-1", reason="one payload speaks of several orders", raw=b"raw")


@pytest.mark.parametrize(
    ("command", "facts"),
    [(answer(Accepted()), [report(client_order_id="fo-2")]), (None, [report(), trade(client_order_id="fo-2")])],
)
def test_a_payload_that_names_two_of_our_orders_cannot_be_used(command: Command | None, facts: list[Fact]) -> None:
    """Fills of one order must not be counted for another."""
    assert isinstance(interpret(entry(command), saying(*facts)), Bad)


def test_an_entry_that_was_trimmed_away_is_told_as_such() -> None:
    """An id without fields is what a group delivers for it."""
    found = interpret(Entry("1-1", {}, redelivered=True), binance)
    assert found == Bad(entry="1-1", reason="trimmed away before it was read", raw=b"")


def test_an_entry_without_data_keeps_its_bytes() -> None:
    """They go to quarantine with the reason."""
    found = interpret(Entry("1-1", {b"raw": b"x"}, redelivered=False), binance)
    assert found == Bad(entry="1-1", reason="the entry has no field `data`", raw=b"x")


def test_a_payload_beyond_the_size_limit_is_not_decoded() -> None:
    """The sentence says both sizes."""
    raw = b"x" * (codec.RAW_BYTES_MAX + 1)
    found = interpret(entry(raw=raw), binance)
    assert isinstance(found, Bad)
    assert f"at most {codec.RAW_BYTES_MAX} bytes, this one has {codec.RAW_BYTES_MAX + 1}" in found.reason


def test_what_the_venue_decoder_refuses_is_bad_with_its_sentence() -> None:
    """Of an unknown format, for example."""
    found = interpret(entry(form="never.heard"), binance)
    assert isinstance(found, Bad)
    assert "never.heard" in found.reason


def test_a_defect_of_a_decoder_costs_one_payload() -> None:
    """It goes to quarantine with its bytes, and the ledger reads on."""

    def broken(format: str, raw: bytes) -> Sequence[Fact]:  # noqa: A002, ARG001 - the protocol's names
        raise ZeroDivisionError

    def refusing(format: str, raw: bytes) -> Sequence[Fact]:  # noqa: A002, ARG001 - the protocol's names
        raise BadPayload("no")

    assert interpret(entry(), refusing) == Bad(entry="1-1", reason="no", raw=b"{}")
    found = interpret(entry(), broken)
    assert isinstance(found, Bad)
    assert found.raw == b"{}"
    assert "ZeroDivisionError" in found.reason


@given(st.binary(max_size=100), st.binary(max_size=100))
def test_garbage_in_either_field_is_bad(data: bytes, raw: bytes) -> None:
    """Nothing is raised, whatever another program wrote into the stream."""
    assert isinstance(interpret(Entry("1-1", {b"data": data, b"raw": raw}, redelivered=False), binance), Bad)
    assert isinstance(interpret(entry(form="binance.stream", raw=raw), binance), Bad)


@pytest.mark.parametrize(
    "opening", [b"[", b'{"command":', b'{"source":"answer","received_at_ns":1,"command":{"outcome":[']
)
def test_deep_nesting_is_bad(opening: bytes) -> None:
    """A stack of brackets does not become a crash."""
    assert isinstance(interpret(Entry("1-1", {b"data": opening * 100_000}, redelivered=False), binance), Bad)


def test_a_frame_of_the_venue_is_interpreted_end_to_end() -> None:
    """One execution and the report that counts it."""
    item = interpret(entry(form="binance.stream", raw=codec.encode(execution(7, 1, "fo-1"))), binance)
    assert isinstance(item, Item)
    assert [type(fact) for fact in item.facts] == [Execution, OrderReport]
    assert item.client_order_id == "fo-1"
