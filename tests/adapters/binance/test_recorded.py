"""Recorded files: every order, fill and event is found, everything else is named with a reason."""

import json
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.binance import recorded
from adapters.binance.decode import decode
from adapters.binance.recorded import sniff
from streams.errors import BadPayload

PAYLOADS = Path(__file__).parents[4] / "shared" / "payloads"
ORDER = {"symbol": "BTCUSDT", "orderId": 1, "status": "NEW", "executedQty": "0", "updateTime": 1, "clientOrderId": "a"}
TRADE = {"symbol": "BTCUSDT", "orderId": 1, "id": 2, "price": "1", "qty": "1", "time": 1, "isBuyer": True}
EVENT = {"e": "balanceUpdate", "E": 1}


def _formats(raw: bytes) -> list[str]:
    return [found.format for found in sniff(raw)]


def _json(value: object) -> bytes:
    return json.dumps(value).encode()


def test_one_object_is_one_payload_byte_for_byte() -> None:
    """The raw bytes of an element are those of the file."""
    spaced = b'{ "symbol" : "BTCUSDT", "orderId" : 1, "id" : 2, "price" : "1", "qty" : "1.0" }'
    (first, second) = sniff(b"[" + spaced + b", " + _json(ORDER) + b"]")
    assert (first.format, first.raw) == ("binance.trade", spaced)
    assert second.format == "binance.order"


@pytest.mark.parametrize(
    ("document", "formats"),
    [
        (ORDER, ["binance.order"]),
        (TRADE, ["binance.trade"]),
        (EVENT, ["binance.stream"]),
        ({"subscriptionId": 0, "event": EVENT}, ["binance.stream"]),
        ({"id": 1, "status": 200, "result": ORDER, "rateLimits": [{}]}, ["binance.order"]),
        ({"id": 1, "status": 200, "result": [TRADE, TRADE]}, ["binance.trade"] * 2),
        ({"id": 1, "status": 200, "result": {"subscriptionId": 0}}, ["binance.stream"]),
        ({"id": 1, "status": 200, "result": []}, ["binance.stream"]),
        ({"id": None, "status": 400, "error": {"code": -1102, "msg": "x"}}, ["binance.stream"]),
        ({"result": None, "id": 1}, ["binance.stream"]),
        ({"stream": "key", "data": EVENT}, ["binance.stream"]),
        ({"id": "1", "symbol": "BTC/USDT", "trades": [], "info": ORDER}, ["binance.order"]),
        ({"cancelResult": "SUCCESS", "cancelResponse": ORDER, "newOrderResponse": ORDER}, ["binance.order"] * 2),
        ({"orderListId": 1, "orders": [{"symbol": "A", "orderId": 1}], "orderReports": [ORDER]}, ["binance.order"]),
        ([ORDER, {"code": -2011, "msg": "Unknown order sent."}], ["binance.order", "binance.answer"]),
        ({"code": -2022, "msg": "x", "data": {"cancelResponse": {"code": -2011, "msg": "y"}}}, ["binance.answer"]),
        ({"makerCommission": 15, "canTrade": True, "balances": [{"asset": "BTC", "free": "1"}]}, ["binance.account"]),
        ([{"asset": "USDT", "balance": "1", "crossWalletBalance": "1"}], ["binance.wallets"]),
        ([{"symbol": "BTCUSDT", "positionAmt": "1", "entryPrice": "2"}], ["binance.positions"]),
        ({"orderListId": 1, "orders": [{"symbol": "A", "orderId": 1, "clientOrderId": "b"}]}, [""]),
        ([], [""]),
        (3, [""]),
    ],
)
def test_every_wrapping_is_taken_off(document: object, formats: list[str]) -> None:
    """Objects, lists, answers, wrapped events, cancel-replace and order lists."""
    assert _formats(_json(document)) == formats


def test_what_is_not_recognised_comes_with_a_reason() -> None:
    """Nothing is dropped in silence."""
    for document in (b"", b"<html>", b"{", b"[]", b"{}", b'{"code":-1}', b"\xff"):
        (found,) = sniff(document)
        assert (found.format, bool(found.reason)) == ("", True)


def test_a_request_transcript_gives_its_answer() -> None:
    """Method, path and signed-or-not stand before the body."""
    assert _formats(b"GET\r\n/api/v3/order\r\ntrue\r\n" + _json(ORDER)) == ["binance.order"]
    assert _formats(b"GET\n/api/v3/myTrades\ntrue\n" + _json([TRADE])) == ["binance.trade"]


def test_a_socket_transcript_gives_the_venues_words_only() -> None:
    """`>` is the client's, `<` an acknowledgement, `=` an event; several lines each."""
    said = (
        b'> {"id":|1|,"method":"x","params":' + _json(ORDER) + b"}\n< " + _json({"id": 1, "status": 200, "result": {}})
    )
    said += b"\n= " + json.dumps({"subscriptionId": 0, "event": EVENT}, indent=1).encode() + b"\n= " + _json(EVENT)
    assert _formats(said) == ["binance.stream"] * 3


def test_documents_may_stand_one_behind_the_other() -> None:
    """Printed over several lines, with commas or with nothing between; from where it breaks on, the rest is one."""
    pretty = json.dumps(ORDER, indent=2).encode()
    assert _formats(pretty + b"\n" + pretty) == ["binance.order"] * 2
    assert _formats(b"\xef\xbb\xbf" + pretty + b",\r\n" + _json(TRADE) + _json(EVENT)) == [
        "binance.order", "binance.trade", "binance.stream",
    ]  # fmt: skip
    assert _formats(pretty + b"\n" + pretty[:-9]) == ["binance.order", ""]
    assert b"".join(one.raw for one in sniff(pretty + b"{\n" + pretty)) == pretty + b"{\n" + pretty


def test_no_document_of_a_long_file_is_dropped_in_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is beyond the bound comes back as one, with the reason."""
    monkeypatch.setattr(recorded, "ELEMENTS_MAX", 2)
    *told, rest = sniff(b"\n".join([_json(ORDER)] * 4))
    assert [one.format for one in told] == ["binance.order"] * 2
    assert (rest.format, rest.raw) == ("", b"\n".join([_json(ORDER)] * 2))
    assert "split" in rest.reason


def test_one_document_a_line_is_read_line_by_line() -> None:
    """Captures are often JSON lines; a broken line spoils only itself."""
    assert _formats(_json(ORDER) + b"\n{broken\n" + _json(TRADE) + b"\n") == ["binance.order", "", "binance.trade"]


@given(st.binary(max_size=300) | st.text(alphabet='[]{}",:=<>|1eE\n', max_size=200).map(str.encode))
def test_no_file_breaks_it(raw: bytes) -> None:
    """Whatever the bytes are, something comes back and nothing is raised."""
    found = sniff(raw)
    assert found
    assert all(one.format or one.reason for one in found)


@pytest.mark.parametrize(
    "raw", [b"[" * 500_000, b'{"result":' * 300_000, b"{}\n" * 1000], ids=["deep", "nested", "lines"]
)
def test_deep_files_end_in_a_reason(raw: bytes) -> None:
    """Nesting is bounded."""
    assert all(not one.format and one.reason for one in sniff(raw))


def test_every_recorded_file_of_others_is_decoded_or_named(capsys: pytest.CaptureFixture[str]) -> None:
    """Payloads nobody wrote for this project: facts, or a reason; nothing crashes and nothing is silent."""
    files = sorted(file for file in PAYLOADS.glob("*/binance*/*") if file.is_file())
    if not files:
        pytest.skip("the folder shared/payloads does not stand beside this checkout")
    tally: Counter[str] = Counter()
    facts: Counter[str] = Counter()
    for file in files:
        for found in sniff(file.read_bytes()):
            if not found.format:
                assert found.reason
                tally["unrecognised"] += 1
                continue
            try:
                facts.update(type(fact).__name__ for fact in decode(found.format, found.raw))
                tally[found.format] += 1
            except BadPayload:
                tally["quarantined " + found.format] += 1
    with capsys.disabled():
        print(f"\n{len(files)} files: {dict(tally)}; {dict(facts)}")  # noqa: T201 - the tally is what a reader of the run wants to see
    assert tally["binance.order"] >= 100
    assert tally["binance.trade"] >= 18
    assert tally["binance.stream"] >= 10
    assert facts["Execution"] >= 30
