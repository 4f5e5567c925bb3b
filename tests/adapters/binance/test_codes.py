"""Binance's codes: what proves that nothing happened, and what does not."""

import json

import pytest

from adapters.binance.codes import CANCEL, PLACE
from adapters.classify import Response, classify
from streams.schemas import Accepted, Duplicate, NotSent, Outcome, Refused, Throttled, Unknown

PLACED = b'{"symbol":"BTCUSDT","orderId":7,"clientOrderId":"fo-1","transactTime":1}'
CANCELLED = b'{"symbol":"BTCUSDT","orderId":7,"clientOrderId":"c","origClientOrderId":"fo-1","transactTime":1}'


def _error(code: int, message: str) -> bytes:
    return json.dumps({"code": code, "msg": message}).encode()


def _place(code: int, message: str = "words", status: int = 400) -> Outcome:
    return classify(PLACE, Response(status, {}, _error(code, message)), "fo-1")


@pytest.mark.parametrize(
    "message",
    [
        "Account has insufficient balance for requested action.",
        "Market is closed.",
        "Order would immediately match and take.",
        "Order cancel-replace is not supported for this symbol.",
        "Market orders are not supported for this symbol.",
        "Quote order qty market orders are not support for this symbol.",
        "This account may not place or cancel orders.",
        "This symbol is restricted for this account.",
        "Rest API trading is not enabled.",
        "Price * QTY is zero or less.",
        "Filter failure: MAX_NUM_ORDERS",
    ],
)
@pytest.mark.parametrize("code", [-2010, -1010])
def test_a_known_sentence_of_the_engine_is_a_refusal(code: int, message: str) -> None:
    """One code means many things; its sentence decides."""
    assert _place(code, message) == Refused(str(code), message)


@pytest.mark.parametrize("code", [-2010, -1010])
def test_a_duplicate_is_evidence_of_an_earlier_attempt(code: int) -> None:
    """Never a refusal: the first attempt landed."""
    assert _place(code, "Duplicate order sent.") == Duplicate(str(code))


def test_an_unknown_sentence_under_a_known_code_proves_nothing() -> None:
    """-2010 with words that are on no list."""
    assert isinstance(_place(-2010, "The moon is full."), Unknown)


@pytest.mark.parametrize("code", [-1013, -1100, -1102, -1111, -1121, -1022, -2014, -2015, -1131, -1128, -1002])
@pytest.mark.parametrize("status", [400, 401])
def test_what_never_reached_the_engine_is_refused(code: int, status: int) -> None:
    """Parameters, filters and keys."""
    assert _place(code, status=status) == Refused(str(code), "words")


@pytest.mark.parametrize("code", [-1000, -1001, -1004, -1006, -1007, -1008, -1016_000, -2011, -2013, -9999, 0])
@pytest.mark.parametrize("status", [400, 500, 503, 504])
def test_an_ambiguous_code_is_unknown(code: int, status: int) -> None:
    """Timeouts, overload and codes of other commands: the order may be live."""
    assert isinstance(_place(code, status=status), Unknown)


def test_too_late_closes_this_claim_only() -> None:
    """-1021: the request can no longer act, whatever else is known."""
    for answer in (_place(-1021), _place(-5028)):
        assert isinstance(answer, NotSent)


def test_limits_are_throttling_at_any_client_error() -> None:
    """-1003 and -1015 mean that the command was not processed."""
    for code in (-1003, -1015):
        assert isinstance(_place(code), Throttled)


def test_a_success_must_name_our_order() -> None:
    """A 200 without an order id, or about another order, is unknown."""
    for table, body in ((PLACE, PLACED), (CANCEL, CANCELLED)):
        assert classify(table, Response(200, {}, body), "fo-1") == Accepted()
        assert isinstance(classify(table, Response(200, {}, body), "fo-2"), Unknown)
        assert isinstance(classify(table, Response(200, {}, body[:-20]), "fo-1"), Unknown)
        assert isinstance(classify(table, Response(200, {}, body.replace(b'"orderId":7,', b"")), "fo-1"), Unknown)


def test_a_cancel_answer_is_no_proof_of_a_new_order() -> None:
    """In it `clientOrderId` is the cancel's own."""
    assert isinstance(classify(PLACE, Response(200, {}, CANCELLED), "fo-1"), Unknown)
    assert isinstance(classify(CANCEL, Response(200, {}, PLACED), "fo-1"), Unknown)


def test_unknown_order_on_a_cancel_is_refused_by_its_code() -> None:
    """It says that this cancel did nothing, and no more."""
    answer = Response(400, {}, _error(-2011, "Unknown order sent."))
    assert classify(CANCEL, answer, "fo-1") == Refused("-2011", "Unknown order sent.")
