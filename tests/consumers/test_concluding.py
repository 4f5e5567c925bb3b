"""Specification of consumers/concluding.py: what the venue's lists make of what was counted here."""

from decimal import Decimal

from msgspec.structs import replace

from consumers.concluding import corrections, counted
from streams import events
from streams.corrections import Move
from streams.schemas import Execution

ONE = Execution(
    venue_symbol="BTCUSDT", venue_order_id="7", trade_id="1", side="buy", quantity=Decimal(1), price=Decimal(100),
    executed_at_ms=1,
)  # fmt: skip
TWO = replace(ONE, trade_id="2")


def updated(*facts: Execution, moves: tuple[Move, ...] = ()) -> events.Updated:
    """The journal's word of executions."""
    return events.Updated(
        id="u", client_order_id="fo-1", strategy="s", symbol="BTC/USDT", facts=facts, evidence=(), status="open",
        filled="0", now_ms=1, moves=moves,
    )  # fmt: skip


def test_what_counts_is_what_was_applied_and_not_taken_back() -> None:
    """What is only inferred has no name at the venue."""
    guess = replace(ONE, trade_id="inferred-1")
    changes: list[events.AnyChange] = [
        updated(ONE, TWO),
        updated(moves=(Move(guess), Move(TWO, back=True))),
        events.CancelRequested(id="c", client_order_id="fo-1"),
    ]
    assert counted(changes) == {"7:1": ONE}


def test_what_is_not_listed_any_more_is_taken_back_and_what_is_listed_otherwise_is_told_anew() -> None:
    """Ids follow from the executions alone, so a second run says the same."""
    now = replace(TWO, price=Decimal(99), maker=True, executed_at_ms=5)
    ours = {one.execution_id: one for one in (ONE, TWO)}
    first, second = (corrections(ours, {now.execution_id: now}, at_ms) for at_ms in (10, 20))
    assert [(one.id.partition(":")[0], one.execution, one.instead) for one in first] == [
        ("bust", ONE, None), ("anew", TWO, now),
    ]  # fmt: skip
    assert [one.id for one in first] == [one.id for one in second]


def test_what_only_says_less_or_more_beside_the_amounts_is_the_same_execution() -> None:
    """A list names no client order id, a stream no maker flag: money is what counts."""
    listed = replace(ONE, client_order_id="fo-1", maker=False, executed_at_ms=9)
    assert corrections({"7:1": ONE}, {"7:1": listed}, 10) == []
