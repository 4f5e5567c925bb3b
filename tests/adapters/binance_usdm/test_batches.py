"""Several orders in one request: what is asked, and whose each part of an answer is."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.binance_usdm import codes
from adapters.binance_usdm.batches import cancels, earliest, legs, places
from adapters.classify import Failure, Response, classify
from adapters.venue import Window
from streams.schemas import Accepted, Refused, Unknown

NAMES = ("fo-a", "fo-b")
TAKEN = {"symbol": "BTCUSDT", "orderId": 1, "status": "NEW", "clientOrderId": NAMES[0], "executedQty": "0"}
REFUSED = {"code": -2019, "msg": "Margin is insufficient."}


def told(*parts: object, status: int = 200) -> Response:
    """An answer to a batch."""
    return Response(status, {}, msgspec.json.encode(parts))


def test_each_leg_is_answered_in_its_place() -> None:
    """An order and a refusal, each as if it had been asked for alone."""
    answers = legs(told(TAKEN, REFUSED), NAMES)
    outcomes = [classify(codes.PLACE, answer, name) for answer, name in zip(answers, NAMES, strict=True)]
    assert outcomes == [Accepted(), Refused("-2019", "Margin is insufficient.")]


def test_an_order_in_another_legs_place_is_nobodys() -> None:
    """The names decide, so an answer in another order proves nothing."""
    answers = legs(told(REFUSED, TAKEN), NAMES)
    outcomes = [classify(codes.PLACE, answer, name) for answer, name in zip(answers, NAMES, strict=True)]
    assert all(isinstance(one, Unknown) for one in outcomes)  # whose refusal it is, nobody can tell


@pytest.mark.parametrize(
    "body",
    [b"", b"[", b"{}", b"[]", b"[1,2]", msgspec.json.encode([TAKEN]), msgspec.json.encode([TAKEN] * 3), b"[" * 9],
)
def test_a_body_that_is_not_one_part_a_leg_proves_nothing(body: bytes) -> None:
    """Not even of the leg that it names."""
    for answer in legs(Response(200, {}, body), NAMES):
        assert isinstance(classify(codes.PLACE, answer, NAMES[0]), Unknown)


def test_what_is_said_of_the_whole_request_is_said_of_every_leg() -> None:
    """A refusal, a failure, a batch that failed somewhere inside."""
    whole = Response(400, {}, b'{"code":-1102,"msg":"Mandatory parameter"}')
    assert legs(whole, "xyz") == [whole] * 3
    assert all(isinstance(classify(codes.PLACE, one, "x"), Refused) for one in legs(whole, "xyz"))
    failed = Response(400, {}, b'{"code":-4083,"msg":"Fail to place batch orders."}')
    assert all(isinstance(classify(codes.PLACE, one, "x"), Unknown) for one in legs(failed, NAMES))
    cut = Failure(sent=True, reason="cut")
    assert legs(cut, NAMES) == [cut, cut]


def test_the_earliest_window_counts() -> None:
    """It opened before all of them, so that the venue sees no request from the future."""
    assert earliest([Window(5, 90), Window(3, 70), Window(4, 80)]) == Window(3, 70)


def test_what_is_asked_names_every_leg() -> None:
    """Cancels are of one symbol."""
    assert places([{"symbol": "A"}, {"symbol": "B"}]) == {"batchOrders": [{"symbol": "A"}, {"symbol": "B"}]}
    named = [{"symbol": "A", "origClientOrderId": one} for one in NAMES]
    assert cancels(named) == {"symbol": "A", "origClientOrderIdList": list(NAMES)}
    with pytest.raises(ValueError, match="too many"):
        cancels([*named, {"symbol": "B", "origClientOrderId": "x"}])


_PARTS: st.SearchStrategy[object] = st.sampled_from(
    [TAKEN, REFUSED, {}, {"code": 1, "orderId": 2}, {"code": "x"}, None, 5, [], "a"]
)


@given(st.lists(_PARTS, max_size=4), st.integers(1, 4), st.integers(0, 60))
def test_every_leg_has_an_answer_whatever_comes(parts: list[object], count: int, cut: int) -> None:
    """And a leg is accepted only by an order under its own name."""
    raw = msgspec.json.encode(parts)
    for body in (raw, raw[:cut]):
        answers = legs(Response(200, {}, body), [NAMES[0]] * count)
        assert len(answers) == count
        for answer in answers:
            accepted = classify(codes.PLACE, answer, NAMES[0]) == Accepted()
            assert not accepted or (isinstance(answer, Response) and msgspec.json.decode(answer.body) == TAKEN)
