"""What an answer proves: by tables, never by exception classes, and never with a secret in a reason."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.binance.codes import CANCEL, PLACE
from adapters.classify import RETRY_AFTER_MS_DEFAULT, RETRY_AFTER_MS_MAX, Failure, Response, classify, clean
from streams.schemas import Absent, NotSent, Outcome, Throttled, Unknown

KEY = "k" * 64
SIGNATURE = "0123456789abcdef" * 4


def _place(status: int, body: bytes, **headers: str) -> Outcome:
    return classify(PLACE, Response(status, headers, body), "fo-1")


def test_a_failure_is_unknown_once_a_byte_may_have_left() -> None:
    """The transport is asked one thing only: had anything left."""
    assert classify(PLACE, Failure(sent=True, reason="cut"), "fo-1") == Unknown("cut")
    assert classify(PLACE, Failure(sent=False, reason="refused"), "fo-1") == NotSent("refused")


@pytest.mark.parametrize("status", [418, 429])
@pytest.mark.parametrize(
    ("header", "wait_ms"),
    [
        ("7", 7_000),
        (" 0 ", 0),
        ("99999999", RETRY_AFTER_MS_MAX),
        ("-1", RETRY_AFTER_MS_DEFAULT),
        ("soon", RETRY_AFTER_MS_DEFAULT),
        ("9" * 5_000, RETRY_AFTER_MS_DEFAULT),
        ("²", RETRY_AFTER_MS_DEFAULT),
    ],
)
def test_throttling_waits_as_told_within_bounds(status: int, header: str, wait_ms: int) -> None:
    """Retry-After in seconds, a default where it is none, and never above the longest ban."""
    answer = Response(status, {"retry-AFTER": header}, b"<html>")
    assert classify(PLACE, answer, "fo-1") == Throttled(wait_ms)


def test_throttling_without_a_header_waits_the_default() -> None:
    """-1015 comes without Retry-After."""
    assert _place(429, b'{"code":-1015,"msg":"Too many new orders."}') == Throttled(RETRY_AFTER_MS_DEFAULT)


@pytest.mark.parametrize("status", [200, 301, 400, 403, 404, 408, 409, 500, 502, 503, 504])
@pytest.mark.parametrize(
    "body", [b"", b"{", b"<html>", b"null", b"[]", b"[" * 200_000, b'{"a":' * 200_000, b"\xff", b"x" * (1 << 21)]
)
def test_a_body_that_says_nothing_is_unknown_at_every_status(status: int, body: bytes) -> None:
    """Broken, empty, deep and huge bodies prove nothing."""
    assert isinstance(_place(status, body), Unknown)


@pytest.mark.parametrize("status", [200, 302, 500, 502, 503, 504])
def test_a_proving_code_proves_nothing_outside_of_client_errors(status: int) -> None:
    """At 200 and 5xx somebody else may have written the body."""
    assert isinstance(_place(status, b'{"code":-1102,"msg":"Mandatory parameter"}'), Unknown)


@given(
    table=st.sampled_from([PLACE, CANCEL]),
    status=st.integers(100, 599),
    body=st.binary(max_size=80) | st.sampled_from([b'{"code":-2010,"msg":"x"}', b'{"code":-2010}', b'{"code":"a"}']),
    headers=st.dictionaries(st.text(max_size=12), st.text(max_size=12), max_size=2),
)
def test_any_answer_has_an_outcome(table: type, status: int, body: bytes, headers: dict[str, str]) -> None:
    """Classification never raises and never claims absence."""
    outcome = classify(table, Response(status, headers, body), "fo-1")  # type: ignore[arg-type]  # sampled tables
    assert not isinstance(outcome, Absent)


@pytest.mark.parametrize(
    "words",
    [
        f"GET https://api.binance.com/api/v3/order?symbol=A&signature={SIGNATURE} failed",
        f"signature={SIGNATURE}",
        f"apiKey: {KEY}",
        f'"X-MBX-APIKEY": "{KEY}"',
        f"secret='{KEY[:20]}'",
        f"plain {KEY}",
        "x" * 100_000,
    ],
)
def test_no_secret_survives_in_a_reason(words: str) -> None:
    """Addresses, keys and signatures are taken out, and the length is bounded."""
    for shown in (clean(words), str(_place(400, b'{"code":-1,"msg":' + _quoted(words) + b"}"))):
        assert SIGNATURE not in shown
        assert KEY[:20] not in shown
        assert "api.binance.com" not in shown
        assert len(shown) < 400


def test_a_reason_is_one_line() -> None:
    """Control characters could forge lines of a log."""
    assert clean("a\nb\x1b[2J\tc") == "a b [2J c"


def _quoted(words: str) -> bytes:
    return b'"' + words.replace('"', '\\"').encode() + b'"'
