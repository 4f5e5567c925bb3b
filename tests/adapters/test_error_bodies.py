"""Every error body at hand, and what each proves: the codes listed here prove something, all others nothing."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from adapters.binance import codes as spot
from adapters.binance_usdm import codes as usdm
from adapters.classify import Response, Table, classify
from streams.schemas import Accepted, Duplicate, NotSent, Refused, Throttled, Unknown

PAYLOADS = Path(__file__).parents[3] / "shared" / "payloads"

# The ambiguous codes by venue: after them the order may be live, whatever class a library gives them.
AMBIGUOUS: dict[str, tuple[str, ...]] = {
    "binance": ("-1000", "-1001", "-1004", "-1006", "-1007", "-1008"),
    "binance-usdm": ("-1000", "-1001", "-1004", "-1006", "-1007", "-1008", "-2020"),
}
TABLES: dict[str, Table] = {"binance": spot.PLACE, "binance-usdm": usdm.PLACE}
CANCELS: dict[str, Table] = {"binance": spot.CANCEL, "binance-usdm": usdm.CANCEL}

THROTTLED = {"-1003", "-1015"}
NOT_SENT = {"-1021", "-5028"}
# What a new order is told before it comes to the matching engine.
REFUSED = {
    "-1002", "-1013", "-1014", "-1016", "-1020", "-1022", "-1100", "-1101", "-1102", "-1103", "-1104", "-1105", "-1106",
    "-1108", "-1111", "-1112", "-1114", "-1115", "-1116", "-1117", "-1118", "-1119", "-1121", "-1128", "-1130", "-1131",
    "-1136", "-2014", "-2015",
}  # fmt: skip
# The engine's own codes: the sentence decides; the bodies at hand with a sentence that is known.
SENTENCES = {
    "Order would immediately match and take.": Refused,
    "Account has insufficient balance for requested action.": Refused,
    "Market is closed.": Refused,
    "Filter failure: MAX_POSITION": Refused,
    "Stop price would trigger immediately.": Refused,
    "This symbol is not permitted for this account.": Refused,
    "This action is disabled on this account.": Refused,
    "Duplicate order sent.": Duplicate,
}
REFUSED_BY_USDM = {
    "-1099", "-1122", "-2016", "-2017", "-2018", "-2019", "-2021", "-2022", "-2023", "-2024", "-2025", "-2026", "-2027",
    "-2028", "-4001", "-4002", "-4003", "-4004", "-4005", "-4013", "-4014", "-4015", "-4016", "-4022", "-4023", "-4024",
    "-4045", "-4060", "-4061", "-4062", "-4087", "-4088", "-4118", "-4120", "-4131", "-4140", "-4141", "-4164", "-4183",
    "-4184", "-4192", "-4400", "-4401", "-4402", "-5021", "-5022", "-5037", "-5038", "-5039", "-5040",
}  # fmt: skip


def _wanted(venue: str, code: str, message: str) -> type:
    if code in THROTTLED:
        return Throttled
    if code in NOT_SENT:
        return NotSent
    if code in REFUSED or (venue == "binance-usdm" and code in REFUSED_BY_USDM):
        return Refused
    if venue == "binance-usdm" and code == "-4116":
        return Duplicate
    return SENTENCES.get(message, Unknown) if code == "-2010" else Unknown


def _bodies(value: Any) -> Iterator[dict[str, Any]]:
    """Every `{"code", "msg"}` in a document."""
    if isinstance(value, dict):
        if {"code", "msg"} <= value.keys():
            yield {"code": value["code"], "msg": value["msg"]}
        for inner in value.values():
            yield from _bodies(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _bodies(inner)


def _documents(text: str) -> Iterator[Any]:
    """JSON documents in a file, with whatever stands around them."""
    decoder, at = json.JSONDecoder(), 0
    while (start := min((found for sign in "{[" if (found := text.find(sign, at)) >= 0), default=-1)) >= 0:
        try:
            value, at = decoder.raw_decode(text, start)
        except ValueError:
            at = start + 1
        else:
            yield value


def _recorded() -> list[dict[str, Any]]:
    if not PAYLOADS.is_dir():
        pytest.skip(f"no recorded payloads in {PAYLOADS.name}; they are read in place and not part of the project")
    folders = ("ccxt_errors/binance", "ccxt_errors/binanceusdm", "ccxt_comments/binance", "go-binance", "jkorf/binance")
    files = [path for folder in folders for path in sorted((PAYLOADS / folder).rglob("*")) if path.is_file()]
    return [
        body
        for path in files
        for document in _documents(path.read_text(errors="replace"))
        for body in _bodies(document)
    ]


def _documented() -> list[tuple[str, str]]:
    """Codes that a library knows without a body of their own."""
    if not PAYLOADS.is_dir():
        pytest.skip(f"no recorded payloads in {PAYLOADS.name}; they are read in place and not part of the project")
    rows = [
        row
        for name in ("binance", "binanceusdm")
        for row in json.loads((PAYLOADS / "ccxt_errors" / name / "exceptions.json").read_text())
    ]
    return [(row["code"], str(row["comment"] or "")) for row in rows if row["code"].lstrip("-").isdigit()]


@pytest.mark.parametrize("venue", TABLES)
def test_every_error_body_at_hand_proves_what_is_listed_and_no_more(venue: str) -> None:
    """At a client error. At 200 and at 5xx the same body proves nothing."""
    bodies = _recorded()
    assert len(bodies) > 180
    for body in bodies:
        raw, code = json.dumps(body).encode(), str(body["code"])
        wanted = _wanted(venue, code, body["msg"])
        told = classify(TABLES[venue], Response(400, {}, raw), "fo-1")
        assert type(told) is wanted, (body, told)
        for status in (200, 500, 502, 503, 504):
            assert isinstance(classify(TABLES[venue], Response(status, {}, raw), "fo-1"), Unknown), (status, body)


@pytest.mark.parametrize("venue", TABLES)
def test_every_code_a_library_knows_is_classed_by_our_list_alone(venue: str) -> None:
    """Nine hundred codes with the library's opinion; ours does not depend on it."""
    rows = _documented()
    assert len(rows) > 800
    for code, comment in rows:
        raw = json.dumps({"code": int(code), "msg": comment}).encode()
        told = classify(TABLES[venue], Response(400, {}, raw), "fo-1")
        wanted = _wanted(venue, code, comment)
        # A comment may hold a known sentence of the engine amid others.
        assert type(told) is wanted or code in ("-2010", "-1010"), (code, comment, told)


@pytest.mark.parametrize(("venue", "code"), [(venue, code) for venue, codes in AMBIGUOUS.items() for code in codes])
@pytest.mark.parametrize("status", [200, 400, 408, 409, 500, 503, 504])
def test_an_ambiguous_code_never_ends_an_order(venue: str, code: str, status: int) -> None:
    """Whatever the status, and whatever words come with it."""
    for message in ("", "Timeout waiting for response from backend server.", "Order does not exist.", "rejected"):
        body = json.dumps({"code": int(code), "msg": message}).encode()
        for table in (TABLES[venue], CANCELS[venue]):
            assert isinstance(classify(table, Response(status, {}, body), "fo-1"), Unknown)


@pytest.mark.parametrize("venue", TABLES)
@pytest.mark.parametrize("status", [500, 502, 503, 504, 520, 599])
def test_a_server_error_never_ends_an_order(venue: str, status: int) -> None:
    """With the body of a refusal, with a page, with nothing."""
    for body in (b'{"code":-1102,"msg":"x"}', b'{"code":-2010,"msg":"Duplicate order sent."}', b"<html>", b""):
        assert isinstance(classify(TABLES[venue], Response(status, {}, body), "fo-1"), Unknown)


@pytest.mark.parametrize("venue", TABLES)
def test_a_success_without_our_order_is_unknown(venue: str) -> None:
    """Empty, cut at any byte, without an id, or about somebody else's order."""
    row = b'{"symbol":"BTCUSDT","orderId":7,"clientOrderId":"fo-1","status":"NEW","executedQty":"0","updateTime":1}'
    assert classify(TABLES[venue], Response(200, {}, row), "fo-1") == Accepted()
    for cut in range(len(row)):
        assert isinstance(classify(TABLES[venue], Response(200, {}, row[:cut]), "fo-1"), Unknown)
    for body in (row.replace(b'"orderId":7,', b""), row.replace(b"fo-1", b"fo-2"), b"{}", b"null", b"[]", b" "):
        assert isinstance(classify(TABLES[venue], Response(200, {}, body), "fo-1"), Unknown)


def test_a_cancel_at_usdm_is_done_when_the_answer_says_so() -> None:
    """There `clientOrderId` stays the order's own."""
    row = b'{"symbol":"BTCUSDT","orderId":7,"clientOrderId":"fo-1","status":"CANCELED","executedQty":"0"}'
    assert classify(usdm.CANCEL, Response(200, {}, row), "fo-1") == Accepted()
    for body in (row.replace(b"CANCELED", b"NEW"), row.replace(b"fo-1", b"other"), row.replace(b'"orderId":7,', b"")):
        assert isinstance(classify(usdm.CANCEL, Response(200, {}, body), "fo-1"), Unknown)


@pytest.mark.parametrize("venue", TABLES)
def test_no_list_names_an_ambiguous_code(venue: str) -> None:
    """Whoever adds one to an allow-list is stopped here."""
    named = {rule.code for table in (TABLES[venue], CANCELS[venue]) for rule in table.rules}
    assert not named & set(AMBIGUOUS[venue])


@pytest.mark.parametrize("venue", TABLES)
def test_every_listed_code_is_classed_as_listed(venue: str) -> None:
    """Also where no body of it is at hand."""
    listed = THROTTLED | NOT_SENT | REFUSED | (REFUSED_BY_USDM | {"-4116"} if venue == "binance-usdm" else set())
    for code in listed:
        told = classify(TABLES[venue], Response(400, {}, json.dumps({"code": int(code), "msg": ""}).encode()), "fo-1")
        assert type(told) is _wanted(venue, code, ""), (code, told)
    assert {rule.code for rule in TABLES[venue].rules} - {"-2010", "-1010"} == listed


@pytest.mark.parametrize("code", ["-2013", "-5024", "-5025", "-5026", "-5029"])
def test_what_proves_that_an_order_was_not_amended_is_a_refusal_of_the_amend_alone(code: str) -> None:
    """A place is never told such a thing, so there it proves nothing."""
    body = Response(400, {}, json.dumps({"code": int(code), "msg": ""}).encode())
    assert isinstance(classify(usdm.AMEND, body, "fo-1"), Refused)
    assert isinstance(classify(usdm.PLACE, body, "fo-1"), Unknown)


def test_an_amend_that_may_be_under_way_is_unknown() -> None:
    """-5043 speaks of another one that is pending: it may be an earlier try of this one."""
    body = Response(400, {}, b'{"code":-5043,"msg":"A pending modification already exists for this order."}')
    assert isinstance(classify(usdm.AMEND, body, "fo-1"), Unknown)
