"""Binance's bytes into facts: exact values, what is refused, and that nothing else ever escapes."""

import contextlib
import json
import random
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.binance.decode import decode
from adapters.binance.holdings import holdings
from streams.errors import BadPayload
from streams.schemas import Adjustment, Execution, Ignored, OrderReport

FULL = {
    "symbol": "BTCUSDT",
    "orderId": 41,
    "orderListId": -1,
    "clientOrderId": "fo-abc",
    "transactTime": 1_760_000_000_123,
    "price": "0.00000000",
    "origQty": "3.00000000",
    "executedQty": "3.00000000",
    "cummulativeQuoteQty": "300.30000000",
    "status": "FILLED",
    "timeInForce": "GTC",
    "type": "MARKET",
    "side": "SELL",
    "fills": [
        {"price": "100.10000000", "qty": "1.00000000", "commission": "0.1001", "commissionAsset": "USDT", "tradeId": 7},
        {"price": "100.10000000", "qty": "2.00000000", "commission": "0.2002", "commissionAsset": "USDT", "tradeId": 8},
    ],
}
CANCELLED = {
    "symbol": "BTCUSDT",
    "origClientOrderId": "fo-ours",
    "orderId": 42,
    "clientOrderId": "the-cancel",
    "transactTime": 5,
    "executedQty": "0.5",
    "status": "CANCELED",
    "side": "BUY",
}
TRADE = {
    "symbol": "BNBBTC",
    "id": 28_457,
    "orderId": 100_234,
    "price": "4.00000100",
    "qty": "12.00000000",
    "commission": "-0.10",
    "commissionAsset": "BNB",
    "time": 1_499_865_549_590,
    "isBuyer": True,
    "isMaker": False,
}
REPORT = {
    "e": "executionReport",
    "E": 1_760_000_000_500,
    "s": "ETHBTC",
    "c": "fo-abc",
    "S": "BUY",
    "C": "",
    "x": "TRADE",
    "X": "PARTIALLY_FILLED",
    "r": "NONE",
    "i": 4_293_153,
    "l": "0.40000000",
    "z": "0.70000000",
    "L": "0.10264410",
    "n": "0.00040000",
    "N": "ETH",
    "T": 1_760_000_000_499,
    "t": 99,
    "m": True,
}
USDM = {
    "e": "ORDER_TRADE_UPDATE",
    "E": 10,
    "T": 9,
    "o": {
        "s": "BTCUSDT",
        "c": "fo-x",
        "S": "SELL",
        "x": "TRADE",
        "X": "FILLED",
        "i": 8,
        "l": "0.001",
        "z": "0.001",
        "L": "9910",
        "n": "0.002",
        "N": "USDT",
        "T": 7,
        "t": 6,
        "m": False,
        "ps": "LONG",
    },
}
EVERY = [("binance.order", FULL), ("binance.order", CANCELLED), ("binance.trade", TRADE), ("binance.stream", REPORT)]
EVERY += [("binance.stream", {"subscriptionId": 0, "event": REPORT}), ("binance.stream", USDM)]


def _bytes(payload: Any, **changes: Any) -> bytes:
    return json.dumps({**payload, **changes}).encode()


def test_a_full_answer_gives_one_execution_a_fill_and_then_the_report() -> None:
    """FULL: exact prices, fees and ids, taker side, and the cumulative figure last."""
    first, second, report = decode("binance.order", _bytes(FULL))
    assert first == Execution(
        venue_symbol="BTCUSDT",
        venue_order_id="41",
        trade_id="7",
        client_order_id="fo-abc",
        side="sell",
        quantity=Decimal(1),
        price=Decimal("100.1"),
        fee=Decimal("0.1001"),
        fee_asset="USDT",
        maker=False,
        executed_at_ms=1_760_000_000_123,
    )
    assert isinstance(second, Execution)
    assert (second.trade_id, second.quantity) == ("8", Decimal(2))
    assert report == OrderReport(
        venue_symbol="BTCUSDT",
        venue_order_id="41",
        status="filled",
        filled=Decimal(3),
        reported_at_ms=1_760_000_000_123,
        client_order_id="fo-abc",
    )


def test_a_cancel_answer_speaks_of_the_order_and_not_of_the_cancel() -> None:
    """DELETE: `origClientOrderId` is ours; `clientOrderId` names the cancel request."""
    (report,) = decode("binance.order", _bytes(CANCELLED))
    assert isinstance(report, OrderReport)
    assert (report.client_order_id, report.status, report.filled) == ("fo-ours", "cancelled", Decimal("0.5"))


def test_the_short_answer_proves_an_open_order() -> None:
    """ACK has no status: the order exists and nothing of it has traded as far as told."""
    ack = {"symbol": "BTCUSDT", "orderId": 1, "clientOrderId": "fo-a", "transactTime": 3}
    (report,) = decode("binance.order", _bytes(ack))
    assert isinstance(report, OrderReport)
    assert (report.status, report.filled) == ("open", Decimal(0))


def test_a_fill_without_a_trade_id_is_left_to_a_look_up() -> None:
    """Without identity it cannot be counted once; the report's figure asks for it."""
    fills = [{"price": "1", "qty": "3", "commission": "0", "commissionAsset": "BNB"}]
    facts = decode("binance.order", _bytes(FULL, fills=fills))
    assert [type(fact) for fact in facts] == [OrderReport]


@pytest.mark.parametrize(
    ("native", "ours"),
    [
        ("NEW", "open"),
        ("PENDING_NEW", "open"),
        ("PARTIALLY_FILLED", "partially_filled"),
        ("FILLED", "filled"),
        ("CANCELED", "cancelled"),
        ("PENDING_CANCEL", "open"),
        ("REJECTED", "rejected"),
        ("EXPIRED", "expired"),
        ("EXPIRED_IN_MATCH", "expired"),
    ],
)
def test_every_status_has_its_word(native: str, ours: str) -> None:
    """The table of statuses is complete for spot."""
    (report,) = decode("binance.order", _bytes(CANCELLED, status=native))
    assert isinstance(report, OrderReport)
    assert report.status == ours


def test_a_trade_row_is_an_execution_with_a_rebate_as_negative_fee() -> None:
    """myTrades: side from `isBuyer`, maker from `isMaker`, fee with its sign."""
    (trade,) = decode("binance.trade", _bytes(TRADE))
    assert trade == Execution(
        venue_symbol="BNBBTC",
        venue_order_id="100234",
        trade_id="28457",
        side="buy",
        quantity=Decimal(12),
        price=Decimal("4.000001"),
        fee=Decimal("-0.1"),
        fee_asset="BNB",
        maker=False,
        executed_at_ms=1_499_865_549_590,
    )


def test_an_execution_report_of_a_trade_gives_execution_and_report() -> None:
    """An `executionReport` with x=TRADE, bare and wrapped alike."""
    facts = decode("binance.stream", _bytes(REPORT))
    assert facts == decode("binance.stream", _bytes({"subscriptionId": 0, "event": REPORT}))
    execution, report = facts
    assert isinstance(execution, Execution)
    assert isinstance(report, OrderReport)
    assert execution.execution_id == "4293153:99"
    assert (execution.quantity, execution.price, execution.maker) == (Decimal("0.4"), Decimal("0.1026441"), True)
    assert (report.status, report.filled) == ("partially_filled", Decimal("0.7"))
    assert report.reported_at_ms == execution.executed_at_ms == 1_760_000_000_499


AMOUNTS = st.one_of(
    st.decimals("0", "99999", places=8).map(lambda one: f"{one:f}"),
    st.sampled_from(
        ["0", "0.0", "0.00000000", "007.10", "1", "1e3", "-1", "-0.5", "", "NaN", "1.", ".5", "9" * 25, None, 5]
    ),
)
UNUSED: st.SearchStrategy[Any] = st.sampled_from([0, -1, 1.5, True, None, "", "word", [1, [2]], {"a": {"b": []}}])
FIELDS = st.fixed_dictionaries(
    {},
    optional={
        "l": AMOUNTS, "L": AMOUNTS, "z": AMOUNTS, "n": AMOUNTS, "N": st.sampled_from(["BNB", "", None, 7]),
        "S": st.sampled_from(["BUY", "SELL", "HOLD", None]), "C": st.sampled_from(["", "null", None, "fo-other"]),
        "c": st.sampled_from(["fo-abc", "", None]), "x": st.sampled_from(["TRADE", "NEW", "CALCULATED"]),
        "X": st.sampled_from(["FILLED", "PARTIALLY_FILLED", "NEW", "EXPIRED", "STRANGE"]),
        "r": st.sampled_from(["NONE", "", None, "INSUFFICIENT_BALANCE"]),
        "t": st.sampled_from([-1, 0, 99, "99", None, 2**70]), "i": st.sampled_from([1, "x9", -1, 2**63]),
        "s": st.sampled_from(["BTCUSDT", "BTC USDT", "{a}", "", "A" * 65]), "m": st.sampled_from([True, False, None]),
        "T": st.sampled_from([0, 1_760_000_000_499, -1, 10**16]),
        "E": UNUSED, "o": UNUSED, "q": UNUSED, "I": UNUSED, "V": UNUSED, "W": UNUSED, "of the future": UNUSED,
    },
)  # fmt: skip


@given(changes=FIELDS)
def test_a_wrapped_report_read_in_one_pass_says_what_the_bare_one_says(changes: dict[str, Any]) -> None:
    """The bare event goes the general way; the short way gives the same facts, or the same refusal."""
    event = {**REPORT, **changes}
    assert _said(_bytes({"event": event})) == _said(_bytes(event))


@pytest.mark.parametrize("odd", [b"9" * 5_000, b"1e999", b'"\xff"', b"[" * 5_000 + b"]" * 5_000])
@pytest.mark.parametrize("name", [b"E", b"o", b"V", b"unknown"])
def test_what_stands_in_a_field_that_nobody_uses_does_not_matter(name: bytes, odd: bytes) -> None:
    """Not even what no decoder would take for a value: the wrapped report says what the bare one says."""
    event = _bytes(REPORT)[:-1].replace(b'"E": 1760000000500, ', b"") + b', "' + name + b'": ' + odd + b"}"
    assert _said(b'{"event": ' + event + b"}") == _said(event)


def _said(raw: bytes) -> Any:
    try:
        facts = decode("binance.stream", raw)
    except BadPayload as error:
        return str(error).replace("$.event", "$")
    return list(facts), [str(one.quantity) for one in facts if isinstance(one, Execution)]


@pytest.mark.parametrize("original", ["fo-ours", "", "null", None])
def test_a_cancel_report_names_the_order_by_its_original_id(original: str | None) -> None:
    """On a cancel `c` is the cancel's id and `C` the order's; an empty C means that `c` is the order's."""
    (report,) = decode("binance.stream", _bytes(REPORT, x="CANCELED", X="CANCELED", C=original, t=-1, l="0", L="0"))
    assert isinstance(report, OrderReport)
    assert report.client_order_id == ("fo-ours" if original == "fo-ours" else "fo-abc")


@pytest.mark.parametrize("execution_type", ["TRADE_PREVENTION", "EXPIRED", "TRADE"])
def test_an_order_that_ended_against_its_own_account_says_so(execution_type: str) -> None:
    """Self-trade prevention: the stream gives the reason that REST gives, with every field that may stand there."""
    prevented = {
        "v": 3,
        "A": "3.000000",
        "B": "3.000000",
        "u": 1,
        "U": 37,
        "Cs": "BTCUSDT",
        "pl": "2.1",
        "V": "EXPIRE_BOTH",
    }
    event = {**REPORT, **prevented, "x": execution_type, "X": "EXPIRED_IN_MATCH"}
    for raw in (_bytes(event), _bytes({"subscriptionId": 0, "event": event})):
        report = decode("binance.stream", raw)[-1]
        assert isinstance(report, OrderReport)
        assert (report.status, report.reason, report.filled) == ("expired", "EXPIRED_IN_MATCH", Decimal("0.7"))


def test_a_fee_may_be_untold() -> None:
    """A null commission is None and not zero."""
    execution, _ = decode("binance.stream", _bytes(REPORT, n=None, N=None))
    assert isinstance(execution, Execution)
    assert (execution.fee, execution.fee_asset) == (None, None)


def test_a_perpetual_update_decodes_too() -> None:
    """ORDER_TRADE_UPDATE of USD-M: the same letters inside `o`."""
    execution, report = decode("binance.stream", _bytes(USDM))
    assert isinstance(execution, Execution)
    assert isinstance(report, OrderReport)
    assert (execution.side, execution.trade_id, report.status) == ("sell", "6", "filled")


@pytest.mark.parametrize("name", ["outboundAccountPosition", "listStatus", "serverShutdown", "TRADE_LITE"])
def test_what_says_nothing_of_an_order_is_ignored_with_a_reason(name: str) -> None:
    """Balances, lists and echoes are named, not quarantined."""
    (fact,) = decode("binance.stream", _bytes({"e": name, "E": 1}))
    assert isinstance(fact, Ignored)
    assert name in fact.reason


def test_a_transfer_is_an_adjustment_with_an_identity_of_its_own() -> None:
    """balanceUpdate: a deposit or a withdrawal, told with its time; the same one has the same id."""
    raw = b'{"e":"balanceUpdate","E":7,"a":"BTC","d":"-0.50000000","T":1700000000123}'
    (fact,) = decode("binance.stream", raw)
    assert fact == Adjustment(
        id="balanceUpdate:1700000000123:BTC:-0.5", cause="transfer", amounts={"BTC": Decimal("-0.5")},
        at_ms=1_700_000_000_123,
    )  # fmt: skip
    with pytest.raises(BadPayload):
        decode("binance.stream", b'{"e":"balanceUpdate","E":7,"a":"BTC","T":1700000000123}')


def test_an_account_is_free_and_locked_together_without_what_is_zero() -> None:
    """And anything that is no account is refused with a sentence."""
    row = b'{"balances":[{"asset":"BTC","free":"1.50000000","locked":"0.5"},{"asset":"X","free":"0","locked":"0.0"}]}'
    assert holdings("binance.account", row) == {"BTC": Decimal(2)}
    assert isinstance(decode("binance.account", row)[0], Ignored)
    for form, raw in (("binance.order", row), ("binance.account", b"[]"), ("binance.account", b'{"balances":[{}]}')):
        with pytest.raises(BadPayload):
            holdings(form, raw)


@pytest.mark.parametrize(
    "raw",
    [
        b'{"id":"x","status":200,"result":{}}',
        b'{"id":"x","status":400,"error":{"code":-1102,"msg":"x"},"rateLimits":[]}',
        b'{"result":null,"id":1}',
        b'{"id":1,"error":{"code":2,"msg":"Invalid request"}}',
    ],
)
def test_an_answer_to_our_own_request_is_ignored(raw: bytes) -> None:
    """A ws-api answer on the stream's connection is no event."""
    (fact,) = decode("binance.stream", raw)
    assert isinstance(fact, Ignored)


def test_json_numbers_become_decimals_without_a_float_between() -> None:
    """The digits on the wire are the digits of the value."""
    (trade,) = decode("binance.trade", _bytes(TRADE).replace(b'"4.00000100"', b"4.0000010000000001"))
    assert isinstance(trade, Execution)
    assert trade.price == Decimal("4.0000010000000001")


@pytest.mark.parametrize(
    ("format_", "payload", "changes", "says"),
    [
        ("binance.order", CANCELLED, {"status": "MELTED"}, "MELTED"),
        ("binance.order", CANCELLED, {"executedQty": "-1"}, "negative"),
        ("binance.order", CANCELLED, {"executedQty": "NaN"}, "plain decimal"),
        ("binance.order", CANCELLED, {"executedQty": "Infinity"}, "plain decimal"),
        ("binance.order", CANCELLED, {"executedQty": "1e999"}, "larger"),
        ("binance.order", CANCELLED, {"executedQty": "1e9999999"}, "plain decimal"),
        ("binance.order", CANCELLED, {"executedQty": "1e-999"}, "more digits"),
        ("binance.order", CANCELLED, {"executedQty": "12345678901234567890.1234567890123456789012345"}, "more digits"),
        ("binance.order", CANCELLED, {"executedQty": "1_0"}, "plain decimal"),
        ("binance.order", CANCELLED, {"executedQty": [1]}, "plain decimal"),
        ("binance.order", CANCELLED, {"executedQty": None}, "missing"),
        ("binance.order", CANCELLED, {"orderId": -1}, "orderId"),
        ("binance.order", CANCELLED, {"orderId": True}, "orderId"),
        ("binance.order", CANCELLED, {"symbol": "BTC{x}"}, "symbol"),
        ("binance.order", CANCELLED, {"transactTime": 1_760_000_000_123_000}, "transactTime"),
        ("binance.order", FULL, {"side": "HOLD"}, "HOLD"),
        ("binance.order", FULL, {"transactTime": None, "updateTime": 5}, "transactTime"),
        ("binance.order", {"symbol": "A", "orderId": 1}, {}, "without a status"),
        ("binance.trade", TRADE, {"qty": "0"}, "zero"),
        ("binance.trade", TRADE, {"price": "0"}, "zero"),
        ("binance.trade", TRADE, {"isBuyer": None}, "isBuyer"),
        ("binance.trade", TRADE, {"id": None}, "id"),
        ("binance.stream", REPORT, {"x": "VANISH"}, "VANISH"),
        ("binance.stream", REPORT, {"t": -1}, "trade id"),
        ("binance.stream", REPORT, {"l": "0.00"}, "zero"),
        ("binance.stream", REPORT, {"e": "somethingNew"}, "somethingNew"),
        ("binance.stream", {"a": 1}, {}, "event type"),
        ("binance.stream", {"event": {"event": REPORT}}, {}, "event type"),
        ("okx.order", TRADE, {}, "okx.order"),
    ],
)
def test_what_does_not_fit_is_refused_with_the_point(
    format_: str, payload: dict[str, Any], changes: dict[str, Any], says: str
) -> None:
    """Unknown words and impossible amounts are never guessed at; the sentence names them."""
    with pytest.raises(BadPayload, match=says):
        decode(format_, _bytes(payload, **changes))


@pytest.mark.parametrize("missing", ["symbol", "id", "orderId", "price", "qty", "time"])
def test_a_trade_that_lacks_a_needed_field_is_refused(missing: str) -> None:
    """Nothing about a trade is made up."""
    with pytest.raises(BadPayload, match=missing):
        decode("binance.trade", _bytes({name: value for name, value in TRADE.items() if name != missing}))


@pytest.mark.parametrize("format_", ["binance.order", "binance.trade", "binance.stream"])
@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"null",
        b"[]",
        b"\xff\xfe",
        b"[" * 200_000,
        b'{"a":' * 200_000,
        b'{"e":"executionReport","s":' + b"[" * 200_000,
        b'{"symbol":"\xff","orderId":1}',
        b'{"orderId":' + b"9" * 900_000 + b"}",
        b'{"executedQty":"' + b"9" * 900_000 + b'","symbol":"A","orderId":1,"status":"NEW","transactTime":1}',
        b'{"pad":"' + b"x" * (1 << 20) + b'"}',
    ],
    ids=range(11),
)
def test_hostile_bytes_are_refused_and_nothing_breaks(format_: str, raw: bytes) -> None:
    """Empty, deep, huge and broken inputs end as BadPayload."""
    with pytest.raises(BadPayload):
        decode(format_, raw)


def _mutate(draw: random.Random, payload: Any) -> bytes:
    raw = bytearray(json.dumps(payload).encode())
    match draw.randrange(5):
        case 0:
            return bytes(raw[: draw.randrange(len(raw))])
        case 1:
            raw[draw.randrange(len(raw))] = draw.randrange(256)
            return bytes(raw)
        case 2:
            inner = payload.get("event") or payload.get("o") or payload
            inner = {**inner, draw.choice(list(inner)): draw.choice(_ODD)}
            whole = {**payload, "event": inner} if "event" in payload else {**payload, "o": inner}
            return json.dumps(inner if "event" not in payload and "o" not in payload else whole).encode()
        case 3:
            return json.dumps({name: value for name, value in payload.items() if draw.random() > 0.2}).encode()
        case _:
            start = draw.randrange(len(raw))
            return bytes(raw[:start] + raw[start : start + 20] * draw.randrange(1, 50) + raw[start:])


_ODD: list[Any] = [None, -1, 1e300, 10**400, "1e400", "NaN", "", "x" * 5000, [], {}, True, "NEWER", [[[[]]]], "\ud800"]


def test_two_thousand_mutations_end_in_facts_or_in_bad_payload() -> None:
    """Truncated, retyped, huge, unknown and repeated: only BadPayload escapes."""
    draw = random.Random(20_261_101)
    verdicts = {True: 0, False: 0}
    for number in range(2_000):
        format_, payload = EVERY[number % len(EVERY)]
        try:
            facts = decode(format_, _mutate(draw, payload))
        except BadPayload:
            verdicts[False] += 1
        else:
            assert facts
            verdicts[True] += 1
    assert min(verdicts.values()) > 100


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from([*FULL, *TRADE, *REPORT, "event", "o"]), inner)
    ),
    max_leaves=20,
)


@given(format_=st.sampled_from(["binance.order", "binance.trade", "binance.stream"]), payload=_JSON | st.binary())
def test_any_document_ends_in_facts_or_in_bad_payload(format_: str, payload: Any) -> None:
    """Whatever JSON or bytes come, nothing else is raised."""
    raw = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    with contextlib.suppress(BadPayload):
        assert decode(format_, raw)


@given(quantity=st.decimals(min_value="0.00000001", max_value="90000000", places=8))
def test_an_amount_keeps_its_value(quantity: Decimal) -> None:
    """Text in, the same value out."""
    (trade,) = decode("binance.trade", _bytes(TRADE, qty=f"{quantity:f}"))
    assert isinstance(trade, Execution)
    assert trade.quantity == quantity


@pytest.mark.parametrize(
    "name",
    ["userLiabilityChange", "marginLevelStatusChange", "liabilityChange", "openOrderLoss", "riskLevelChange",
     "CONDITIONAL_ORDER_TRADE_UPDATE", "MARGIN_CALL", "ALGO_UPDATE"],
)  # fmt: skip
def test_what_margin_accounts_are_told_of_loans_and_risk_is_ignored_too(name: str) -> None:
    """Events of the venue's documentation that are about no order that exists."""
    (fact,) = decode("binance.stream", _bytes({"e": name, "E": 1}))
    assert isinstance(fact, Ignored)


@pytest.mark.parametrize("event", [REPORT, USDM], ids=["spot", "usdm"])
def test_every_wrapping_of_a_stream_says_what_the_bare_event_says(event: dict[str, Any]) -> None:
    """The ws-api wraps into `event`, combined streams and portfolio margin into `data`."""
    bare = decode("binance.stream", _bytes(event))
    assert decode("binance.stream", _bytes({"subscriptionId": 0, "event": event})) == bare
    assert decode("binance.stream", _bytes({"stream": "listen-key", "data": event})) == bare
    with pytest.raises(BadPayload, match="event type"):
        decode("binance.stream", _bytes({"stream": "listen-key", "data": {"stream": "listen-key", "data": event}}))


@pytest.mark.parametrize("event", [REPORT, USDM["o"]], ids=["spot", "usdm"])
def test_times_and_ids_may_be_quoted(event: Any) -> None:
    """Some of its products quote their numbers; the facts are the same."""
    quoted = {**event, "T": str(event["T"]), "t": str(event["t"]), "i": str(event["i"])}
    if "e" in event:
        assert decode("binance.stream", _bytes(quoted)) == decode("binance.stream", _bytes(event))
    else:
        assert decode("binance.stream", _bytes({**USDM, "o": quoted})) == decode("binance.stream", _bytes(USDM))


@pytest.mark.parametrize("word", ["NEW_INSURANCE", "NEW_ADL"])
def test_an_order_that_a_liquidation_works_on_is_open(word: str) -> None:
    """Two statuses of USDⓈ-M; what was executed says the rest."""
    (report,) = decode("binance.stream", _bytes({**USDM, "o": {**USDM["o"], "x": "CALCULATED", "X": word}}))  # type: ignore[dict-item]
    assert isinstance(report, OrderReport)
    assert (report.status, report.filled) == ("open", Decimal("0.001"))


def test_an_allocation_has_no_trade_id_so_its_figure_asks_for_the_trades() -> None:
    """Smart order routing fills from the venue's own account: `t` and `tradeId` are -1, and only that match type is."""
    allocated = {**REPORT, "t": -1, "b": "ONE_PARTY_TRADE_REPORT", "a": 1234, "k": "SOR", "uS": True}
    (report,) = decode("binance.stream", _bytes(allocated))
    assert isinstance(report, OrderReport)
    assert report.filled == Decimal("0.7")
    part = {"matchType": "ONE_PARTY_TRADE_REPORT", "price": "28000", "qty": "3", "commission": "0", "tradeId": -1}
    (answer,) = decode("binance.order", _bytes({**FULL, "fills": [{**part, "commissionAsset": "BTC", "allocId": 0}]}))
    assert isinstance(answer, OrderReport)
    assert answer.filled == Decimal(3)
    with pytest.raises(BadPayload, match="trade id"):
        decode("binance.order", _bytes({**FULL, "fills": [{**part, "matchType": None}]}))


def test_an_asset_may_have_a_name_that_is_not_ascii() -> None:
    """One such asset hides neither the others that an account holds, nor its own transfer."""
    row = '{"balances":[{"asset":"BTC","free":"1","locked":"0"},{"asset":"币安人生","free":"2","locked":"0"}]}'.encode()
    assert holdings("binance.account", row) == {"BTC": Decimal(1), "币安人生": Decimal(2)}
    (fact,) = decode("binance.stream", '{"e":"balanceUpdate","E":7,"a":"币安人生","d":"1","T":"17"}'.encode())
    assert isinstance(fact, Adjustment)
    assert (fact.amounts, fact.at_ms) == ({"币安人生": Decimal(1)}, 17)


def test_an_answer_with_a_code_belongs_to_a_request() -> None:
    """Errors, and what says that something is done: known words, about no order."""
    for raw in (b'{"code":-1121,"msg":"Invalid symbol."}', b'{"code":200,"msg":"success"}', b'{"code":"-1","msg":""}'):
        (fact,) = decode("binance.answer", raw)
        assert isinstance(fact, Ignored)
    for raw in (b"{}", b"[]", b'{"code":-1121}', b"\xff", b"[" * 200_000):
        with pytest.raises(BadPayload):
            decode("binance.answer", raw)
