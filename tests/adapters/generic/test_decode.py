"""Rows of any exchange: what they say, and that nothing broken says anything."""

from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.generic.decode import decode, describe, holdings, sniff
from adapters.generic.facts import ID_RULE
from adapters.generic.payloads import balance_row, numbers_in, order_row, says, told_name, trade_row
from adapters.venue import CouldNotAsk, Undescribed
from streams.errors import BadPayload
from streams.identity import digits
from streams.schemas import Execution, Ignored, OrderReport

OURS = "fo" + "a1" * (digits(ID_RULE) // 2)
ORDER: dict[str, Any] = {
    "id": "17", "clientOrderId": OURS, "symbol": "BTC/USDT", "type": "limit", "side": "buy", "status": "open",
    "timeInForce": "GTC", "postOnly": False, "price": "100.5", "amount": "3", "filled": "1", "remaining": "2",
    "cost": "100.5", "timestamp": 1_000, "lastTradeTimestamp": 3_000, "lastUpdateTimestamp": None,
    "info": {"orderId": 17, "unheard": ["of"]},
}  # fmt: skip
TRADE: dict[str, Any] = {
    "id": "t-1", "order": "17", "symbol": "BTC/USDT", "side": "sell", "takerOrMaker": "maker", "price": "100.5",
    "amount": "0.30000000", "fee": {"cost": "-0.01", "currency": "USDT"}, "timestamp": 2_000, "info": {},
}  # fmt: skip


def row(**changes: Any) -> bytes:
    """An order as it is kept."""
    return order_row("kraken", {**ORDER, **changes})


def report(**changes: Any) -> OrderReport:
    """What it says."""
    [fact] = decode("ccxt.order", row(**changes))
    assert isinstance(fact, OrderReport)
    return fact


def test_an_order_says_where_it_stands() -> None:
    """With the last time that it tells."""
    assert report() == OrderReport(
        venue_symbol="BTC/USDT", venue_order_id="17", status="partially_filled", filled=Decimal(1),
        reported_at_ms=3_000, client_order_id=OURS,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"filled": "0"}, "open"),
        ({"status": "canceling"}, "partially_filled"),
        ({"status": None, "filled": None, "amount": None}, "open"),
        ({"status": "canceled"}, "cancelled"),
        ({"status": "canceled", "filled": None}, "cancelled"),
        ({"status": "expired"}, "expired"),
        ({"status": "rejected", "filled": "0"}, "rejected"),
        ({"status": "closed", "filled": "3", "remaining": None}, "filled"),
        ({"status": "closed", "filled": "3", "remaining": "0", "amount": None}, "filled"),
        ({"status": "closed"}, "cancelled"),
        ({"status": "closed", "filled": "0", "remaining": "0"}, "cancelled"),
    ],
)
def test_amounts_decide_how_a_closed_order_ended(changes: dict[str, Any], status: str) -> None:
    """One that closed with a rest was cancelled, whatever ccxt's word is."""
    assert report(**changes).status == status


def test_what_is_not_left_of_an_order_was_executed() -> None:
    """Where the exchange tells the one and not the other."""
    assert report(status="canceled", filled=None, amount="1", remaining="0.6").filled == Decimal("0.4")


@pytest.mark.parametrize(
    "changes",
    [
        {"status": "PENDING_REVIEW"},
        {"status": "closed", "filled": None, "remaining": None},
        {"status": "canceled", "filled": None, "remaining": None},
        {"status": "closed", "amount": None, "remaining": None},
        {"filled": "-1"},
        {"filled": "many"},
        {"id": None},
        {"id": "a:b"},
        {"symbol": "BTC/USDT:USDT"},
        {"timestamp": "yesterday"},
    ],
)
def test_what_cannot_be_read_is_refused(changes: dict[str, Any]) -> None:
    """It waits in quarantine; nothing is guessed."""
    with pytest.raises(BadPayload):
        report(**changes)


def test_an_answer_that_names_nothing_is_of_the_order_that_was_asked_for() -> None:
    """And the row says that it is so only by the question."""
    kept = order_row("kraken", {**ORDER, "clientOrderId": None}, OURS)
    assert msgspec.json.decode(kept)["named_by"] == "question"
    assert msgspec.json.decode(row())["named_by"] == "answer"
    [fact] = decode("ccxt.order", kept)
    assert isinstance(fact, OrderReport)
    assert fact.client_order_id == OURS
    assert report(clientOrderId=None).client_order_id is None


def test_an_id_with_gates_prefix_is_ours() -> None:
    """That of another system keeps it."""
    assert told_name({"clientOrderId": f"t-{OURS}"}) == OURS
    assert told_name({"clientOrderId": "t-apiv4"}) == "t-apiv4"
    assert told_name({"clientOrderId": 5}) == told_name({}) == ""


def test_the_venues_own_words_are_kept() -> None:
    """As the evidence they are."""
    assert msgspec.json.decode(row())["order"]["info"] == ORDER["info"]
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(CouldNotAsk):
        order_row("kraken", {**ORDER, "info": endless})


def test_a_trade_is_an_execution() -> None:
    """A fee may be negative; amounts are exact."""
    [fact] = decode("ccxt.trade", trade_row("kraken", TRADE))
    assert fact == Execution(
        venue_symbol="BTC/USDT", venue_order_id="17", trade_id="t-1", side="sell", quantity=Decimal("0.3"),
        price=Decimal("100.5"), fee=Decimal("-0.01"), fee_asset="USDT", maker=True, executed_at_ms=2_000,
    )  # fmt: skip


@pytest.mark.parametrize(
    "changes",
    [{"id": None}, {"order": None}, {"side": "both"}, {"amount": "0"}, {"price": None}, {"timestamp": None}],
)
def test_a_trade_without_identity_or_amount_is_refused(changes: dict[str, Any]) -> None:
    """A fee that is not told is no reason."""
    with pytest.raises(BadPayload):
        decode("ccxt.trade", trade_row("kraken", {**TRADE, **changes}))
    [fact] = decode("ccxt.trade", trade_row("kraken", {**TRADE, "fee": None, "takerOrMaker": None}))
    assert isinstance(fact, Execution)
    assert (fact.fee, fact.fee_asset, fact.maker) == (None, None, None)


def test_parts_of_a_fee_are_one_and_assets_are_not_mixed() -> None:
    """Where ccxt lists several."""
    parts = [{"cost": "0.1", "currency": "BNB"}, {"cost": "0.02", "currency": "BNB"}, {"cost": None, "currency": None}]
    [fact] = decode("ccxt.trade", trade_row("kraken", {**TRADE, "fee": None, "fees": parts}))
    assert isinstance(fact, Execution)
    assert (fact.fee, fact.fee_asset) == (Decimal("0.12"), "BNB")
    [fact] = decode("ccxt.trade", trade_row("kraken", {**TRADE, "fees": parts}))
    assert isinstance(fact, Execution)
    assert (fact.fee, fact.fee_asset) == (Decimal("-0.01"), "USDT")
    with pytest.raises(BadPayload, match="several assets"):
        decode("ccxt.trade", trade_row("kraken", {**TRADE, "fee": None, "fees": [*parts, TRADE["fee"]]}))


def test_a_listed_order_describes_its_terms() -> None:
    """What an import makes a record of."""
    told = describe("ccxt.order", row())
    assert (told.client_order_id, told.side, told.type, told.quantity, told.price) == (
        OURS, "buy", "limit", Decimal(3), Decimal("100.5"),
    )  # fmt: skip
    assert describe("ccxt.order", row(type="market", price=None)).price is None


@pytest.mark.parametrize("changes", [{"type": "stop"}, {"timeInForce": "IOC"}, {"timestamp": None}, {"amount": None}])
def test_terms_that_are_none_of_ours_are_named_with_the_order(changes: dict[str, Any]) -> None:
    """So that whoever imports knows whose it is."""
    with pytest.raises(Undescribed) as refused:
        describe("ccxt.order", row(**changes))
    assert refused.value.client_order_id == OURS


def test_balances_are_totals_without_what_is_zero() -> None:
    """And say nothing about an order."""
    kept = balance_row("kraken", {"total": {"BTC": "1.5", "USDT": "0", "ETH.F": None}, "info": {}})
    assert holdings("ccxt.balance", kept) == {"BTC": Decimal("1.5")}
    assert isinstance(decode("ccxt.balance", kept)[0], Ignored)
    with pytest.raises(BadPayload):
        holdings("ccxt.order", kept)


def test_a_recorded_row_is_known_by_its_shape() -> None:
    """Anything else is told with a reason."""
    assert [one.format for one in sniff(row())] == ["ccxt.order"]
    assert [one.format for one in sniff(trade_row("kraken", TRADE))] == ["ccxt.trade"]
    assert sniff(b"{}")[0].reason


def test_a_number_is_found_only_where_it_stands_by_itself() -> None:
    """With or without zeros at its ends."""
    assert numbers_in("q=0.500&p=100.0&t=01") == {"0.5", "100", "1"}
    assert says('{"size":"0.50"}', "0.5")
    assert says("q=100", "100")
    assert not says("q=1000&x=100.5&y=a100", "100")


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=40),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from([*ORDER, *TRADE]), _VALUES, max_size=6), st.sampled_from(["order", "trade"]))
def test_a_broken_row_is_refused_or_read_but_nothing_else_is_raised(changes: dict[str, Any], what: str) -> None:
    """Whatever a venue, ccxt or a disk makes of it."""
    usual = ORDER if what == "order" else TRADE
    raw = msgspec.json.encode({"name": OURS, what: {**usual, **changes}})
    for cut in (raw, raw[:-1], raw[: len(raw) // 2]):
        for form in ("ccxt.order", "ccxt.trade", "ccxt.balance", "else"):
            try:
                facts = decode(form, cut)
            except BadPayload:
                continue
            assert cut is raw or form == "ccxt.balance"
            for fact in facts:
                assert isinstance(fact, OrderReport | Execution | Ignored)
        for read in (describe, holdings):
            try:
                read("ccxt.order" if read is describe else "ccxt.balance", cut)
            except BadPayload:
                continue


@given(st.binary(max_size=200))
def test_any_bytes_are_refused_or_read(raw: bytes) -> None:
    """None of them is an order."""
    for form in ("ccxt.order", "ccxt.trade"):
        with pytest.raises(BadPayload):
            decode(form, raw)
