"""What Binance tells of an account beside orders: transfers, funding, and what it trades for the account itself."""

import json
from decimal import Decimal
from typing import Any

import pytest

from adapters.binance.decode import decode
from streams.errors import BadPayload
from streams.schemas import Adjustment, Execution, Ignored

AT_MS = 1_760_000_000_000


def told(payload: dict[str, Any]) -> Any:
    """The one fact of a frame."""
    [fact] = decode("binance.stream", json.dumps(payload).encode())
    return fact


def wallets(reason: str, *changes: tuple[str, str]) -> dict[str, Any]:
    """An `ACCOUNT_UPDATE`."""
    rows = [{"a": asset, "wb": "100", "cw": "100", "bc": change} for asset, change in changes]
    return {"e": "ACCOUNT_UPDATE", "E": AT_MS + 5, "T": AT_MS, "a": {"m": reason, "B": rows, "P": []}}


def closing(execution_type: str = "TRADE", client_id: str = "autoclose-1", **changes: Any) -> dict[str, Any]:
    """An `ORDER_TRADE_UPDATE` of an order that the venue made."""
    order = {
        "s": "BTCUSDT", "c": client_id, "S": "SELL", "o": "LIMIT", "f": "IOC", "q": "2", "p": "90", "x": execution_type,
        "X": "FILLED", "i": 9, "l": "2", "L": "90", "z": "2", "n": "0.09", "N": "USDT", "T": AT_MS, "t": 7,
        "ps": "LONG",
    }  # fmt: skip
    return {"e": "ORDER_TRADE_UPDATE", "E": AT_MS, "T": AT_MS, "o": {**order, **changes}}


@pytest.mark.parametrize(
    ("reason", "cause"), [("FUNDING_FEE", "funding"), ("DEPOSIT", "transfer"), ("INSURANCE_CLEAR", "liquidation")]
)
def test_a_wallet_that_no_order_moved_is_an_adjustment_with_its_reason(reason: str, cause: str) -> None:
    """Only what neither profit nor commission explains; its id is made of the venue's own facts."""
    fact = told(wallets(reason, ("USDT", "-0.5"), ("BNB", "0")))
    assert fact == Adjustment(
        id=f"ACCOUNT_UPDATE:{AT_MS}:{reason}:USDT:-0.5", cause=cause, amounts={"USDT": Decimal("-0.5")}, at_ms=AT_MS,  # type: ignore[arg-type]  # a cause
        reason=reason,
    )  # fmt: skip
    assert told(wallets(reason, ("USDT", "-0.5"), ("BNB", "0"))).id == fact.id


@pytest.mark.parametrize("reason", ["ORDER", "MARGIN_TYPE_CHANGE"])
def test_an_account_update_that_says_nothing_new_is_passed(reason: str) -> None:
    """After an order its own report has said everything; another may change no wallet at all."""
    assert isinstance(told(wallets(reason, ("USDT", "0"))), Ignored)


def test_a_reason_nobody_knows_is_refused() -> None:
    """It waits in quarantine; a change of what is held is not guessed at."""
    with pytest.raises(BadPayload, match="'NOVELTY'"):
        told(wallets("NOVELTY", ("USDT", "1")))


@pytest.mark.parametrize(
    ("execution_type", "client_id"),
    [("TRADE", "autoclose-1"), ("CALCULATED", "adl_autoclose"), ("TRADE", "settlement_autoclose-3")],
)
def test_what_the_venue_trades_for_us_is_no_fill(execution_type: str, client_id: str) -> None:
    """It moves the position of its symbol and side, with its fee."""
    fact = told(closing(execution_type, client_id))
    assert isinstance(fact, Adjustment)
    assert isinstance(fact.execution, Execution)
    assert (fact.id, fact.cause, fact.position_side) == ("liquidation:BTCUSDT:9:7", "liquidation", "long")
    assert (fact.execution.side, fact.execution.fee_asset, fact.reason) == ("sell", "USDT", client_id)


def test_an_order_of_the_venues_own_counts_only_what_it_trades() -> None:
    """Before that it says nothing; a position side nobody knows is refused."""
    assert isinstance(told(closing("NEW", l="0")), Ignored)
    with pytest.raises(BadPayload, match="'UP'"):
        told(closing(ps="UP"))
