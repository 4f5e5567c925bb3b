"""Specification of streams/corrections.py: what is inferred or taken back moves an order and its position once."""

from datetime import UTC, datetime
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from streams.corrections import Move, inferred, marks, moves, settle
from streams.lifecycle import CORRECTED, Resubmission, fold, missing
from streams.money import ZERO, text
from streams.position import back, settled, step
from streams.record import NEW_STATE
from streams.schemas import Correction, Execution, Inferred, Order, OrderFact, OrderReport, Place, Position

AGAIN = Resubmission(allowed=False, now_ms=0)
TERMS = Place(
    account="sim.main", strategy="s", signal_id="1", signal_time=datetime(2026, 1, 1, tzinfo=UTC), symbol="BTC/USDT",
    side="buy", type="limit", quantity=Decimal(10), price=Decimal(100),
)  # fmt: skip


def order() -> Order:
    """A buy of 10 that the venue has."""
    return Order(client_order_id="o", terms=TERMS, status="open", state=NEW_STATE, digest="")


def fill(trade_id: int, quantity: str = "1", price: str = "100", fee: str = "0.001") -> Execution:
    """An execution of it with a fee in the base asset."""
    return Execution(
        venue_symbol="BTCUSDT", venue_order_id="v", trade_id=str(trade_id), side="buy", quantity=Decimal(quantity),
        price=Decimal(price), executed_at_ms=trade_id, fee=Decimal(fee), fee_asset="BTC",
    )  # fmt: skip


def guess(filled: str, cost: str) -> Inferred:
    """The venue counts so much and does not list it."""
    return Inferred(
        venue_symbol="BTCUSDT", venue_order_id="v", client_order_id="o", side="buy", filled=Decimal(filled),
        cost=Decimal(cost), told_at_ms=1,
    )  # fmt: skip


def shown(*amounts: Decimal) -> str:
    """Amounts as people write them."""
    return " ".join(text(one) for one in amounts)


def told(*facts: OrderFact, start: Order | None = None) -> tuple[Order, Position]:
    """Fold facts in this order; an execution or a correction that was had is passed, as the ledger does."""
    now, position, seen = start or order(), Position(), set[str]()
    for fact in facts:
        if isinstance(fact, Correction):
            if fact.mark in seen:
                continue
            fact = settle(fact, seen.__contains__)  # noqa: PLW2901 - as the ledger does
            seen |= set(marks(fact))
        elif isinstance(fact, Execution):
            if fact.execution_id in seen:
                continue
            seen.add(fact.execution_id)
        for one in moves(now, fact):
            position = (back if one.back else step)(position, TERMS, one.execution)
        now = fold(now, fact, AGAIN)
    return now, settled(position)


def test_a_missing_execution_counts_at_the_price_that_the_venues_own_sum_leaves() -> None:
    """Two are counted for 210, one of them is known: the other was at 110."""
    known, _ = told(fill(1))
    found = inferred(known, guess("2", "210"))
    assert found is not None
    assert (shown(found.quantity, found.price), found.fee) == ("1 110", None)
    now, position = told(fill(1), guess("2", "210"))
    assert shown(now.state.filled, now.state.cost, position.entry_cost) == "2 210 210"
    assert not missing(now)
    assert now.live


def test_the_real_execution_replaces_what_was_inferred_for_it_without_a_second_effect() -> None:
    """Quantity stays, price and fee become the real ones."""
    now, position = told(guess("1", "110"), fill(1, price="111"))
    assert shown(now.state.filled, now.state.cost) == "1 111"
    assert (now.state.fees, now.state.provisional) == ({"BTC": Decimal("0.001")}, ())
    assert (position, now) == (told(fill(1, price="111"))[1], told(fill(1, price="111"))[0])


def test_an_execution_replaces_only_as_much_as_it_is() -> None:
    """Three inferred, one of them shows up: two stay provisional."""
    now, position = told(guess("3", "300"), fill(1, price="90"))
    assert [shown(one.quantity, one.price) for one in now.state.provisional] == ["2 100"]
    assert shown(now.state.filled, now.state.cost, position.quantity) == "3 290 2.999"


def test_an_execution_that_is_taken_back_leaves_no_trace_in_amounts() -> None:
    """It is flagged, its fee is given back, and the venue's older figure asks for nothing."""
    report = OrderReport(
        venue_symbol="BTCUSDT", venue_order_id="v", status="filled", filled=Decimal(2), reported_at_ms=9
    )
    bust = Correction(id="c", execution=fill(2), corrected_at_ms=10)
    now, position = told(fill(1), fill(2), report, bust, report, bust)
    assert shown(now.state.filled, now.state.busted, now.state.cost) == "1 1 100"
    assert now.state.fees == {"BTC": Decimal("0.001")}
    assert position == told(fill(1))[1]
    assert (missing(now), now.live, now.status, now.state.anomalies) == (False, False, "filled", (CORRECTED,))


def test_an_execution_that_was_taken_back_before_it_came_never_counts() -> None:
    """The correction makes it known, so that it is passed when it comes."""
    bust = Correction(id="c", execution=fill(1), corrected_at_ms=10)
    now, position = told(bust, fill(1))
    assert (now.state.filled, position) == (ZERO, Position())


def test_what_stands_in_an_executions_place_counts_once() -> None:
    """By the correction or by itself, whichever comes first; under a new trade id or the old one."""
    for instead in (fill(1, price="90"), fill(2, price="90")):
        fix = Correction(id="c", execution=fill(1), instead=instead, corrected_at_ms=10)
        for facts in ((fill(1), fix, instead), (fix, fill(1)), (fill(1), fix, fix)):
            now, position = told(*facts)
            assert shown(now.state.filled, now.state.cost, position.entry_cost) == "1 90 90"
    fix = Correction(id="c", execution=fill(1), instead=fill(2, price="90"), corrected_at_ms=10)
    assert told(fill(1), fill(2, price="90"), fix)[0].state.cost == 90


def test_moves_of_a_plain_execution_are_itself() -> None:
    """Nearly all facts are that."""
    assert moves(order(), fill(1)) == [Move(fill(1))]


LOTS = st.integers(1, 500).map(lambda lots: lots * Decimal("0.01"))
PRICES = st.integers(9_000, 11_000).map(lambda ticks: ticks * Decimal("0.01"))


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[Execution], list[OrderFact]]:
    """What stands in the end, and everything that is told of it in some order, some of it twice."""
    real = [
        replace(fill(number + 1), quantity=quantity, price=price)
        for number, (quantity, price) in enumerate(draw(st.lists(st.tuples(LOTS, PRICES), min_size=1, max_size=5)))
    ]
    standing, facts = list(real), list[OrderFact](real)
    filled = cost = ZERO
    for one in real:
        filled, cost = filled + one.quantity, cost + one.quantity * one.price
        if draw(st.booleans()):
            facts.append(guess(str(filled), str(cost)))
    for number, one in enumerate(real):
        match draw(st.sampled_from(["stands", "stands", "busted", "same id", "new id"])):
            case "busted":
                standing.remove(one)
                facts.append(Correction(id=f"c{number}", execution=one, corrected_at_ms=99))
            case "same id" | "new id" as how:
                trade_id = one.trade_id if how == "same id" else f"{one.trade_id}0"
                instead = replace(one, trade_id=trade_id, price=draw(PRICES))
                standing[standing.index(one)] = instead
                facts.append(Correction(id=f"c{number}", execution=one, instead=instead, corrected_at_ms=99))
                if how == "new id" and draw(st.booleans()):
                    facts.append(instead)  # the venue's lists show it, too
            case _:
                pass
    facts += draw(st.lists(st.sampled_from(facts), max_size=4))
    return standing, draw(st.permutations(facts))


@given(histories())
def test_in_any_order_and_twice_only_what_stands_in_the_end_counts(
    history: tuple[list[Execution], list[OrderFact]],
) -> None:
    """Sums, fees, the position's quantity and cash: as if only the real and final executions had ever come."""
    standing, facts = history
    now, position = told(*facts)
    expected, plain_position = told(*standing)
    state, sums = now.state, expected.state
    assert (state.filled, state.cost, state.fees, state.provisional) == (sums.filled, sums.cost, sums.fees, ())
    assert position.quantity == plain_position.quantity
    assert {asset: fee for asset, fee in position.fees.items() if fee} == plain_position.fees
    cash = plain_position.realized - plain_position.entry_cost
    assert abs(position.realized - position.entry_cost - cash) < Decimal("1E-15")


@given(st.lists(st.tuples(LOTS, PRICES), max_size=4), LOTS, PRICES)
def test_taking_back_undoes_an_execution_while_the_holding_has_only_grown(
    held: list[tuple[Decimal, Decimal]], quantity: Decimal, price: Decimal
) -> None:
    """Quantity, cost, profit and fees to the last digit."""
    before = Position()
    for number, (size, at) in enumerate(held):
        before = step(before, TERMS, replace(fill(number), quantity=size, price=at))
    one = replace(fill(99), quantity=quantity, price=price)
    assert settled(back(step(before, TERMS, one), TERMS, one)) == settled(before)
