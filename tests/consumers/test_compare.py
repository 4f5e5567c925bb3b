"""Specification of consumers/compare.py: every kind of difference, and that repairing one makes it go away."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from msgspec.structs import replace

from adapters.binance.facts import FACTS
from adapters.simulated.margin import replayed
from consumers.amounts import explained, opening
from consumers.compare import MANY_GAPS, compare, remember
from consumers.findings import Finding, Here, Row, Terms, There
from streams.identity import client_order_id
from streams.lifecycle import Resubmission, fold
from streams.money import ZERO
from streams.policy import Policies
from streams.position import move
from streams.record import NEW_STATE
from streams.schemas import (
    Absent,
    Command,
    Correction,
    Execution,
    Leg,
    NotSent,
    Order,
    OrderReport,
    OrderStatus,
    Outcome,
    Position,
    Refused,
    Unknown,
    VenueStatus,
)
from tests.flow import place

NOW = 1_700_000_100_000
GAP = 15_000
TERMS = Terms(id_rule=FACTS.id_rule, gap_ms=GAP)
ROW = Row("BTC/USDT", "binance.order", b"{}")
AGAIN = Resubmission(allowed=True, now_ms=NOW)


def order(number: int = 0, status: OrderStatus = "open", **changes: Any) -> Order:
    """An order of 1 BTC that is known here."""
    terms = place("sim.main", f"s{number}", **changes.pop("terms", {}))
    name = client_order_id(terms, FACTS.id_rule)
    given: dict[str, Any] = {
        "client_order_id": name, "terms": terms, "status": status, "state": NEW_STATE, "digest": "d", "token": "t",
        "send_by_ms": NOW - 60_000, "valid_until_ms": NOW + 60_000,
    }  # fmt: skip
    return Order(**{**given, **changes})


def report(of: Order, status: VenueStatus = "open", filled: str = "0", number: int = 7, **changes: Any) -> OrderReport:
    """What the venue says of an order."""
    given: dict[str, Any] = {
        "venue_symbol": "BTCUSDT", "venue_order_id": str(number), "status": status, "filled": Decimal(filled),
        "reported_at_ms": NOW - 50_000, "client_order_id": of.client_order_id,
    }  # fmt: skip
    return OrderReport(**{**given, **changes})


def execution(of: Order, quantity: str = "0.4", trade_id: str = "5", number: int = 7, **changes: Any) -> Execution:
    """One trade of an order at 50,000."""
    given: dict[str, Any] = {
        "venue_symbol": "BTCUSDT", "venue_order_id": str(number), "trade_id": trade_id,
        "side": of.terms.side if of.terms else "buy", "quantity": Decimal(quantity), "price": Decimal(50_000),
        "executed_at_ms": NOW - 50_000,
    }  # fmt: skip
    return Execution(**{**given, **changes})


def there(*reports: OrderReport, **changes: Any) -> There:
    """One answered look."""
    return There(asked_at_ms=changes.pop("at_ms", NOW), reports=[(one, ROW) for one in reports], **changes)


def here(*orders: Order, **changes: Any) -> Here:
    """Our side."""
    return Here(orders={one.client_order_id: one for one in orders}, **changes)


def kinds(findings: list[Finding]) -> list[tuple[str, str]]:
    """Kind and proposed action of each."""
    return [(one.kind, one.action) for one in findings]


def test_equal_sides_give_nothing() -> None:
    """An open order on both, and nothing else."""
    known = fold(order(), report(order()), AGAIN)
    assert compare(here(known), there(report(known)), TERMS, {}) == []


@pytest.mark.parametrize(
    ("policies", "action"),
    [(Policies(), "adopt"), (Policies(ours="leave"), "leave"), (Policies(by={"BTC/USDT": "cancel"}), "cancel")],
)
def test_an_order_of_ours_without_a_record_is_an_orphan(policies: Policies, action: str) -> None:
    """By policy, the symbol's before the general one; of ours it is always critical."""
    [found] = compare(here(), there(report(order())), replace(TERMS, policies=policies), {})
    assert (found.kind, found.action, found.severity, found.confirmed) == ("orphan", action, "critical", True)
    assert found.subject == order().client_order_id


def test_a_foreign_order_is_left_by_default_and_one_that_ended_is_history() -> None:
    """Told by prefix, length and charset."""
    strange = replace(order(), client_order_id="x-1")
    [found] = compare(here(), there(report(strange)), TERMS, {})
    assert (found.kind, found.action, found.severity) == ("orphan", "leave", "info")
    assert compare(here(), there(report(strange, "filled", "1")), TERMS, {}) == []


def test_an_order_that_was_forgotten_in_its_time_is_no_orphan() -> None:
    """Its identity is spent; one that lives at the venue is told all the same."""
    name = order().client_order_id
    spent = here(spent=frozenset({name}))
    assert compare(spent, there(report(order(), "filled", "1")), TERMS, {}) == []
    assert kinds(compare(spent, there(report(order())), TERMS, {})) == [("orphan", "adopt")]


def test_an_order_that_ended_without_a_record_is_adopted_never_cancelled() -> None:
    """What it executed counts."""
    policies = replace(TERMS, policies=Policies(ours="cancel"))
    assert kinds(compare(here(), there(report(order(), "filled", "1")), policies, {})) == [("orphan", "adopt")]


def test_a_tombstone_whose_order_came_all_the_same_is_an_orphan() -> None:
    """A cancel was first, and the place went out by another way."""
    tomb = replace(order(), terms=None, status="cancelled")
    [found] = compare(here(tomb), there(report(order())), TERMS, {})
    assert (found.kind, found.here) == ("orphan", "cancelled before it came")


def test_an_order_that_lives_there_and_ended_here_is_a_zombie() -> None:
    """Only we ended it: the venue's word corrects that. The venue ended it: two looks, and a person."""
    ours = order(status="rejected")
    assert kinds(compare(here(ours), there(report(ours)), TERMS, {})) == [("zombie", "apply")]
    theirs = fold(order(), report(order(), "cancelled"), AGAIN)
    [found] = compare(here(theirs), there(report(theirs)), TERMS, {})
    assert (found.kind, found.action, found.confirmed) == ("zombie", "person", False)
    by = replace(TERMS, policies=Policies(by={"test": "cancel"}))
    assert kinds(compare(here(ours), there(report(ours)), by, {})) == [("zombie", "cancel")]


def test_a_second_venue_order_under_one_id_is_double_and_told_until_it_is_flagged() -> None:
    """Whatever the two say of each other afterwards contradicts itself."""
    known = fold(order(), report(order()), AGAIN)
    second = report(known, number=8)
    assert kinds(compare(here(known), there(second), TERMS, {})) == [("double", "apply")]
    flagged = fold(known, second, AGAIN)
    first = report(known, "cancelled")
    assert kinds(compare(here(flagged), there(second, first), TERMS, {})) == [("double", "cancel")]
    ended = report(known, "cancelled", number=8)
    assert compare(here(flagged), there(ended, first), TERMS, {}) == []
    assert compare(here(flagged), there(ended, report(known)), TERMS, {}) == []


def test_of_two_orders_under_an_amended_ones_id_the_one_that_is_no_leg_is_cancelled() -> None:
    """What the amend made lives on."""
    legs = (Leg(venue_order_id="6"), Leg(generation=1, venue_order_id="7"))
    state = replace(NEW_STATE, venue_order_ids=("6", "7", "8"), legs=legs, anomalies=("double",))
    known = replace(order(), state=state)
    said = [report(known, generation=1), report(known, number=8, generation=1)]
    [found] = compare(here(known), there(*said), TERMS, {})
    assert (found.kind, found.action, found.evidence) == ("double", "cancel", ("8",))


def test_a_filled_figure_above_ours_is_a_stale_fill_told_once_an_order() -> None:
    """The row of the execution says the same."""
    known = fold(order(), report(order()), AGAIN)
    fill = execution(known)
    both = there(report(known, "partially_filled", "0.4"), executions=[(fill, ROW)])
    assert kinds(compare(here(known), both, TERMS, {})) == [("stale_fill", "apply")]
    owned = here(known, owners={("BTCUSDT", "7"): known.client_order_id})
    [alone] = compare(owned, there(executions=[(fill, ROW)]), TERMS, {})
    assert (alone.kind, alone.evidence) == ("stale_fill", ("7:5",))
    applied = replace(owned, executions=frozenset({(known.client_order_id, "7:5")}))
    assert compare(applied, there(executions=[(fill, ROW)]), TERMS, {}) == []


def test_another_status_is_a_drift_and_an_older_statement_is_not() -> None:
    """A list that was read before the cancel says nothing about it."""
    known = fold(order(), report(order()), AGAIN)
    assert kinds(compare(here(known), there(report(known, "cancelled")), TERMS, {})) == [("status_drift", "apply")]
    ended = fold(known, report(known, "cancelled", reported_at_ms=NOW - 10_000), AGAIN)
    assert compare(here(ended), there(report(known)), TERMS, {}) == []


def test_what_the_venue_said_a_moment_ago_may_still_be_on_its_way() -> None:
    """It is told, and acted upon when it is older than the grace."""
    known = fold(order(), report(order()), AGAIN)
    now = report(known, "cancelled", reported_at_ms=NOW - 100)
    assert [one.confirmed for one in compare(here(known), there(now), TERMS, {})] == [False]
    assert [one.confirmed for one in compare(here(known), there(now, at_ms=NOW + 5_000), TERMS, {})] == [True]


def test_an_answer_that_is_on_its_way_is_no_difference() -> None:
    """The send window is open: the gateway settles it."""
    busy = order(status="submitting", send_by_ms=NOW + 1)
    assert compare(here(busy), there(report(busy)), TERMS, {}) == []
    late = order(status="submitting", send_by_ms=NOW - 1)
    assert kinds(compare(here(late), there(report(late)), TERMS, {})) == [("status_drift", "apply")]


@pytest.mark.parametrize(
    ("status", "action", "severity"), [("open", "person", "critical"), ("unknown", "wait", "warning")]
)
def test_an_order_the_venue_denies_is_a_ghost_after_two_looks(status: OrderStatus, action: str, severity: str) -> None:
    """Only a second look, far enough from the first, confirms it; it never becomes older by another clock."""
    known = order(status=status)
    absent = frozenset({known.client_order_id})
    [first] = compare(here(known), there(absent=absent), TERMS, {})
    assert (first.kind, first.action, first.severity, first.confirmed) == ("ghost", action, severity, False)
    seen = {first.id: first.first_seen_ms}
    [soon] = compare(here(known), there(absent=absent, at_ms=NOW + GAP - 1), TERMS, seen)
    [late] = compare(here(known), there(absent=absent, at_ms=NOW + GAP), TERMS, seen)
    assert (soon.id, soon.confirmed, late.confirmed, late.age_ms) == (first.id, False, True, GAP)
    assert compare(here(order(status="created")), there(absent=absent), TERMS, {}) == []


def _balances(have: str, real: str, **changes: Any) -> list[Finding]:
    ours = here(opened=True, holdings={"BTC": Decimal(have), "USDT": ZERO}, bases={"BTC": ("BTC/USDT",)},
                lots={"BTC/USDT": Decimal("0.001")}, **changes)  # fmt: skip
    return compare(ours, there(balances={"BTC": Decimal(real)}), TERMS, {})


def test_a_balance_beyond_the_threshold_is_a_drift() -> None:
    """One lot, or a thousandth of the position where that is more."""
    assert _balances("1", "1.001") == []
    [found] = _balances("1", "1.0011")
    assert (found.kind, found.subject, found.here, found.there) == ("position_drift", "BTC", "1", "1.0011")
    assert (found.action, found.severity, found.confirmed) == ("adjust", "critical", False)
    large = {"BTC/USDT": Position(quantity=Decimal(100), entry_cost=ZERO)}
    assert _balances("0", "100.1", positions=large) == []
    assert kinds(_balances("0", "100.2", positions=large)) == [("position_drift", "adjust")]


def test_an_asset_that_nobody_trades_here_is_exact() -> None:
    """A quote, a fee's asset: no lot and no ratio."""
    ours = here(opened=True, holdings={"USDT": Decimal(10)}, bases={"BTC": ("BTC/USDT",)})
    found = compare(ours, there(balances={"USDT": Decimal("10.00000001")}), TERMS, {})
    assert [(one.kind, one.severity) for one in found] == [("balance_drift", "warning")]


def test_a_position_that_no_fill_explains_is_named_so() -> None:
    """Nothing was held at the opening, and no order of ours traded it."""
    ours = here(opened=True, holdings={"USDT": ZERO}, bases={"BTC": ("BTC/USDT",)}, lots={"BTC/USDT": Decimal("0.001")})
    assert kinds(compare(ours, there(balances={"BTC": Decimal(1)}), TERMS, {})) == [("unexplained", "adjust")]


def _trading(number: int, drift: str) -> tuple[Here, There]:
    """An account whose balance moved with its fills, and that has more or less of an asset than they explain."""
    held = Decimal(100 + number)
    ours = here(opened=True, holdings={"USDT": held}, bases={"BTC": ("BTC/USDT",)})
    return ours, there(balances={"USDT": held + Decimal(drift)}, at_ms=NOW + number * GAP)


def test_a_difference_that_stays_while_trading_moves_both_amounts_is_confirmed_after_many_looks() -> None:
    """The same amount apart is the same difference; two looks could have met the same fill on its way."""
    seen: dict[str, int] = {}
    names, confirmed = set(), []
    for number in range(MANY_GAPS + 1):
        found = compare(*_trading(number, "-7"), TERMS, seen)
        names |= {one.id for one in found}
        confirmed += [one.confirmed for one in found]
        seen = remember(found, seen, NOW + number * GAP)
    assert len(names) == 1
    assert confirmed == [False] * MANY_GAPS + [True]


def test_a_difference_that_is_another_in_every_look_is_never_confirmed() -> None:
    """Each is a fill on its way; and one that stays with figures that stay needs two looks."""
    seen: dict[str, int] = {}
    for number in range(3 * MANY_GAPS):
        [one] = compare(*_trading(number, f"-{number + 1}"), TERMS, seen)
        assert not one.confirmed
        seen = remember([one], seen, NOW + number * GAP)
    ours, theirs = _trading(0, "-7")
    [first] = compare(ours, theirs, TERMS, {})
    [again] = compare(ours, replace(theirs, asked_at_ms=NOW + GAP), TERMS, remember([first], {}, NOW))
    assert again.confirmed


def test_while_evidence_is_on_its_way_no_balance_is_confirmed() -> None:
    """And while executions are known to be missing, none is judged at all."""
    ours = here(opened=True, holdings={"BTC": ZERO}, bases={"BTC": ("BTC/USDT",)}, quiet=False)
    [first] = compare(ours, there(balances={"BTC": Decimal(1)}), TERMS, {})
    seen = remember([first], {}, NOW)
    [again] = compare(ours, there(balances={"BTC": Decimal(1)}, at_ms=NOW + GAP), TERMS, seen)
    assert not again.confirmed
    [told] = compare(replace(ours, quiet=True), there(balances={"BTC": Decimal(1)}, at_ms=NOW + GAP), TERMS, seen)
    assert told.confirmed
    stale = there(report(order(), "partially_filled", "0.4"), balances={"BTC": Decimal(1)})
    known = replace(ours, orders={order().client_order_id: fold(order(), report(order()), AGAIN)})
    assert kinds(compare(known, stale, TERMS, {})) == [("stale_fill", "apply")]


def test_nothing_is_said_of_balances_before_an_opening_is_recorded() -> None:
    """What was held before our first fill is the balance less what the fills moved."""
    fresh = here(positions={"BTC/USDT": Position(quantity=Decimal(2), entry_cost=Decimal(90))})
    answered = there(balances={"BTC": Decimal(12), "USDT": Decimal(910)})
    assert compare(fresh, answered, TERMS, {}) == []
    assert opening(fresh, answered) == {"BTC": Decimal(10), "USDT": Decimal(1000)}
    assert opening(replace(fresh, quiet=False), answered) is None
    assert opening(replace(fresh, opened=True, holdings={"BTC": ZERO}), answered) is None


AMOUNTS = st.integers(1, 400).map(lambda n: Decimal(n) / 100)
SIDES = st.sampled_from(["buy", "sell"])
FEES = st.sampled_from([(None, None), (Decimal("0.001"), "BTC"), (Decimal("0.5"), "USDT"), (Decimal("0.1"), "BNB")])


@given(st.lists(st.tuples(SIDES, AMOUNTS, AMOUNTS, FEES), max_size=12))
def test_positions_explain_every_balance_to_the_last_digit(trades: list[Any]) -> None:
    """Whatever was bought and sold, through zero and back: base, quote and fees are what the trades moved."""
    held = {"BTC": Decimal(5), "USDT": Decimal(1000), "BNB": Decimal(1)}
    expected, position = dict(held), Position()
    for side, quantity, price, (fee, asset) in trades:
        sign = 1 if side == "buy" else -1
        fill = execution(order(), side=side, quantity=quantity, price=price, fee=fee, fee_asset=asset)
        position = move(position, place("sim.main"), fill)
        expected["BTC"] += sign * quantity
        expected["USDT"] -= sign * quantity * price
        if fee:
            expected[asset] -= fee
    assert explained(here(opened=True, holdings=held, positions={"BTC/USDT": position})) == expected


PERPETUAL = "BTC/USDT:USDT"


@given(st.lists(st.tuples(SIDES, AMOUNTS, AMOUNTS, FEES), max_size=12))
def test_a_wallet_gets_the_profit_of_what_was_closed_and_pays_the_fees(trades: list[Any]) -> None:
    """As the venue pays it, by average cost, to the rounding of each payment; what is open moves no wallet."""
    held = {"USDT": Decimal(1000), "BNB": Decimal(1)}
    paid, position = {"BNB": Decimal(1), "USDT": Decimal(1000), "BTC": ZERO}, Position()
    for side, quantity, price, (fee, asset) in trades:
        fill = execution(order(), side=side, quantity=quantity, price=price, fee=fee, fee_asset=asset)
        position = move(position, place("sim.main", symbol=PERPETUAL), fill)
        if fee:
            paid[asset] -= fee
    signs = {"buy": 1, "sell": -1}
    there_ = replayed((signs[side] * quantity, price) for side, quantity, price, _ in trades)
    paid["USDT"] += there_.realized
    found = explained(here(opened=True, holdings=held, positions={PERPETUAL: position}))
    assert there_.amount == position.quantity
    assert abs(found["USDT"] - paid["USDT"]) <= len(trades) * Decimal("0.00000001")
    assert (found.get("BTC", ZERO), found["BNB"]) == (paid["BTC"], paid["BNB"])


def _wallets(real: str, realized: str = "0", *, quantity: str = "0") -> list[Finding]:
    """A wallet of 100 and what a perpetual paid into it, against the venue's; the venue has no position."""
    position = Position(quantity=Decimal(quantity), realized=Decimal(realized))
    ours = here(opened=True, holdings={"USDT": Decimal(100)}, positions={PERPETUAL: position},
                bases={"USDT": ("USDT/USDC",)}, lots={PERPETUAL: Decimal("0.001")})  # fmt: skip
    return compare(ours, there(balances={"USDT": Decimal(real)}, positions={}), TERMS, {})


def test_a_wallet_that_profit_and_fees_do_not_explain_has_drifted() -> None:
    """Above a thousandth of what they came to, because the venue rounds; exact to a cent where that is less."""
    assert _wallets("100.01") == []
    assert kinds(_wallets("100.02")) == [("balance_drift", "adjust")]
    assert _wallets("1101", "1000") == []
    assert kinds(_wallets("1101.1", "1000")) == [("balance_drift", "adjust")]


def test_a_wallet_is_not_judged_while_a_position_that_pays_into_it_drifts() -> None:
    """Its profit is not the venue's then, and the position is the graver finding."""
    assert kinds(_wallets("500", quantity="1")) == [("position_drift", "adjust")]


STATUSES: st.SearchStrategy[VenueStatus] = st.sampled_from(
    ["open", "partially_filled", "filled", "cancelled", "rejected", "expired"]
)
TIMES = st.sampled_from([NOW - 60_000, NOW - 50_000, NOW - 40_000])
FILLED = st.sampled_from(["0", "0.4", "1"])
VENUE_IDS = st.sampled_from([7, 8])


@st.composite
def evidence(draw: st.DrawFn) -> Any:
    """Anything a venue could have said of the order so far."""
    kind = draw(st.sampled_from(["report", "execution", "command"]))
    if kind == "report":
        return report(order(), draw(STATUSES), draw(FILLED), draw(VENUE_IDS), reported_at_ms=draw(TIMES))
    if kind == "execution":
        return execution(order(), "0.4", draw(st.sampled_from(["1", "2"])), draw(VENUE_IDS))
    outcomes: list[Outcome] = [Unknown("x"), NotSent("x"), Refused("1", "x"), Absent(1)]
    outcome = draw(st.sampled_from(outcomes))
    return Command(client_order_id=order().client_order_id, token="t", outcome=outcome)


@given(
    st.sampled_from(["created", "submitting", "unknown", "open", "cancelled", "expired", "rejected"]),
    st.booleans(),
    st.lists(evidence(), max_size=5),
    st.lists(st.tuples(STATUSES, st.integers(0, 2), VENUE_IDS, TIMES), min_size=1, max_size=3),
)
def test_whatever_is_proposed_to_be_applied_is_gone_once_it_was_applied(
    status: OrderStatus, cancel: bool, past: list[Any], said: list[Any]
) -> None:
    """No finding comes back for ever: what a reconciliation writes can be folded in every state it can see."""
    known, seen = _lived(order(status=status, cancel_requested=cancel), past)
    reports = {number: report(known, word, str(Decimal("0.4") * fills), number, reported_at_ms=at_ms)
               for word, fills, number, at_ms in said}  # fmt: skip
    executed = [
        execution(known, "0.4", str(trade), int(one.venue_order_id))
        for one in reports.values()
        for trade in range(1, int(one.filled / Decimal("0.4")) + 1)
    ]
    answered = there(*reports.values(), executions=[(one, ROW) for one in executed])

    owners = {("BTCUSDT", str(number)): known.client_order_id for number in reports}
    for _ in range(4):
        ours = here(known, owners=owners, executions=frozenset((known.client_order_id, one) for one in seen))
        found = [one for one in compare(ours, answered, TERMS, {}) if one.action == "apply"]
        for fact in _rows(found, executed, list(reports.values())):
            if isinstance(fact, OrderReport) or fact.execution_id not in seen:
                known = fold(known, fact, AGAIN)
                seen |= {fact.execution_id} if isinstance(fact, Execution) else set()
    assert not found


def _lived(known: Order, past: list[Any]) -> tuple[Order, set[str]]:
    """An order after what was said of it, and the executions it has."""
    seen: set[str] = set()
    for fact in past:
        name = fact.execution_id if isinstance(fact, Execution) else ""
        if name not in seen:
            known = fold(known, fact, AGAIN)
            seen |= {name} if name else set()
    return known, seen


def _rows(found: list[Finding], executed: list[Execution], reports: list[OrderReport]) -> list[Any]:
    """What is written for findings: the executions of their orders, then what the venue says of these."""
    ids = {one for finding in found for one in finding.evidence}
    mine = [fact for fact in executed if {fact.venue_order_id, fact.execution_id} & ids]
    return [*mine, *(fact for fact in reports if fact.venue_order_id in ids)]


@given(st.lists(st.tuples(STATUSES, FILLED, VENUE_IDS), max_size=3), st.integers(0, 40_000))
def test_the_same_difference_has_the_same_id_in_every_look_and_grows_older(said: list[Any], later_ms: int) -> None:
    """A pure function of the facts; the time of the look is none of them."""
    sides = here(order()), [report(order(), word, filled, number) for word, filled, number in said]
    first = compare(sides[0], there(*sides[1]), TERMS, {})
    again = compare(sides[0], there(*sides[1], at_ms=NOW + later_ms), TERMS, {one.id: NOW for one in first})
    assert [one.id for one in again] == [one.id for one in first]
    assert all(one.age_ms == later_ms for one in again)
    assume(first)
    assert compare(sides[0], there(*sides[1]), TERMS, {}) == first


def test_an_execution_that_the_venue_does_not_stand_by_is_busted_when_two_looks_agree() -> None:
    """Its figure fell below ours; a person decides what it means, unless told otherwise."""
    known = fold(fold(order(), execution(order()), AGAIN), report(order(), "partially_filled", "0.4"), AGAIN)
    after = there(report(known, "partially_filled", "0", reported_at_ms=NOW))
    [first] = compare(here(known), after, TERMS, {})
    assert (first.kind, first.action, first.confirmed) == ("busted", "correct", False)
    [second] = compare(here(known), replace(after, asked_at_ms=NOW + GAP), TERMS, {first.id: first.first_seen_ms})
    assert second.confirmed


def test_what_was_taken_back_here_agrees_with_either_figure_of_the_venue() -> None:
    """Some venues lower their figure after a correction, others never do."""
    known = fold(fold(order(), execution(order()), AGAIN), report(order(), "partially_filled", "0.4"), AGAIN)
    bust = Correction(id="b", execution=execution(order()), corrected_at_ms=NOW)
    corrected = fold(known, bust, AGAIN)
    for filled in ("0", "0.4"):
        assert compare(here(corrected), there(report(known, "partially_filled", filled)), TERMS, {}) == []


OWN = replace(TERMS, own_ids=("autoclose-",))


@pytest.mark.parametrize(("booked", "found"), [(False, [("stale_fill", "book")]), (True, [])])
def test_what_the_venue_traded_for_us_is_booked_once_and_never_adopted(
    booked: bool, found: list[tuple[str, str]]
) -> None:
    """Whatever the policy for foreign orders says."""
    made = replace(order(), client_order_id="autoclose-1")
    fill = execution(made)
    terms = replace(OWN, policies=Policies(foreign="adopt"))
    ours = here(booked=frozenset({f"liquidation:BTCUSDT:{fill.execution_id}"} if booked else ()))
    asked = there(report(made, "filled", "0.4"), executions=[(fill, ROW)])
    assert kinds(compare(ours, asked, terms, {})) == found


PERPETUAL = "BTC/USDT:USDT"


@pytest.mark.parametrize(
    ("key", "have", "real", "found"),
    [
        (PERPETUAL, "1", "1", []),
        (PERPETUAL, "1", "1.001", []),  # one lot
        (PERPETUAL, "1", "1.002", ["position_drift"]),
        (PERPETUAL, "1000", "1001", []),  # a thousandth
        (f"{PERPETUAL}:long", "2", "1", ["position_drift"]),
        (PERPETUAL, None, "3", ["unexplained"]),
        (PERPETUAL, "3", None, ["position_drift"]),
    ],
)
def test_positions_of_a_margin_account_are_held_against_the_venues_own(
    key: str, have: str | None, real: str | None, found: list[str]
) -> None:
    """A lot or a thousandth apart is none; a position that no fill made is not explained."""
    ours = here(positions={key: Position(quantity=Decimal(have))} if have else {}, lots={PERPETUAL: Decimal("0.001")})
    stated = {key: (Decimal(real), Decimal(50_000))} if real else {}
    drafts = compare(ours, there(positions=stated), TERMS, {})
    assert [one.kind for one in drafts] == found
    assert all((one.subject, one.symbol, one.action) == (key, PERPETUAL, "adjust") for one in drafts)
    assert compare(ours, there(), TERMS, {}) == []
    # A symbol that is not in the settings is not asked for, so nothing can be said of its position.
    asked = replace(ours, symbols=frozenset({"ETH/USDT:USDT"}))
    assert have is None or compare(asked, there(positions={}), TERMS, {}) == []


ETHER = "ETH/USDT:USDT"
BUSTED = fold(fold(order(), execution(order()), AGAIN), report(order(), "partially_filled", "0.4"), AGAIN)


def _beside(known: Order | None, said: OrderReport, *fills: Execution, **changes: Any) -> list[Finding]:
    """One finding about executions, while every balance differs; fees of BTC/USDT were paid in BNB."""
    bases = {"BTC": ("BTC/USDT",), "ETH": ("ETH/USDT",)}
    position = Position(quantity=Decimal("0.4"), entry_cost=Decimal(20_000), fees={"BNB": Decimal("0.001")})
    ours = here(*([known] if known else []), opened=True, holdings={"BTC": ZERO, "USDT": Decimal(50_000)},
                positions={"BTC/USDT": position}, bases=bases, **changes)  # fmt: skip
    real = {one: Decimal(7) for one in ("BTC", "ETH", "USDT", "BNB", "XRP")}
    terms = replace(TERMS, policies=Policies(foreign="adopt"))
    answered = there(said, executions=[(one, ROW) for one in fills], balances=real)
    return compare(ours, answered, terms, {})


def _compared(found: list[Finding]) -> set[str]:
    return {one.subject for one in found if one.action == "adjust"}


def test_while_an_execution_is_in_doubt_only_what_it_moves_is_not_compared() -> None:
    """A correction that waits for a person: its two assets and those that its symbol's fees were paid in."""
    found = _beside(BUSTED, report(BUSTED, "partially_filled", "0", reported_at_ms=NOW))
    assert [one.holds for one in found if one.kind == "busted"] == [("BNB", "BTC", "USDT")]
    assert _compared(found) == {"ETH", "XRP"}


STRANGER = replace(order(), client_order_id="manual-1")


@pytest.mark.parametrize(
    ("filled", "fees", "holds", "compared"),
    [
        ("0", [], (), {"BTC", "ETH", "USDT", "BNB", "XRP"}),  # what rests has moved nothing
        ("0.4", [], ("*",), set()),  # its fees may have been paid in anything
        ("0.8", ["XRP"], ("*",), set()),  # one of its executions is not listed
        ("0.4", ["XRP"], ("BTC", "USDT", "XRP"), {"ETH", "BNB"}),
    ],
)
def test_an_order_that_may_be_adopted_holds_back_what_its_executions_moved(
    filled: str, fees: list[str], holds: tuple[str, ...], compared: set[str]
) -> None:
    """And everything, where nobody can tell what that is."""
    fills = [execution(STRANGER, fee=Decimal("0.01"), fee_asset=asset) for asset in fees]
    found = _beside(None, report(STRANGER, "partially_filled" if fills else "open", filled), *fills)
    assert [one.holds for one in found if one.kind == "orphan"] == [holds]
    assert _compared(found) == compared


@pytest.mark.parametrize(("replaced", "holds"), [(False, ("BTC", "USDT", "XRP")), (True, ("*",))])
def test_what_a_replaced_order_misses_may_be_of_another_leg(replaced: bool, holds: tuple[str, ...]) -> None:
    """Whatever this one's executions paid their fees in."""
    legs = (Leg(venue_order_id="6"), Leg(generation=1, venue_order_id="7")) if replaced else ()
    ids = ("6", "7") if replaced else ("7",)
    known = replace(order(), state=replace(NEW_STATE, venue_order_ids=ids, legs=legs))
    fill = execution(known, fee=Decimal("0.01"), fee_asset="XRP")
    found = _beside(known, report(known, "partially_filled", "0.4", generation=int(replaced)), fill)
    assert [one.holds for one in found if one.kind == "stale_fill"] == [holds]


def test_positions_of_other_symbols_are_compared_beside_a_correction_that_waits() -> None:
    """The wallet that both pay into is not."""
    known = replace(BUSTED, terms=place("sim.main", symbol=PERPETUAL))
    row = Row(PERPETUAL, "binance.order", b"{}")
    position = Position(quantity=Decimal("0.4"))
    ours = here(known, opened=True, holdings={"USDT": Decimal(100)}, positions={PERPETUAL: position, ETHER: position})
    said = report(known, "partially_filled", "0", reported_at_ms=NOW)
    asked = There(asked_at_ms=NOW, reports=[(said, row)], balances={"USDT": Decimal(7)}, positions={})
    found = compare(ours, asked, TERMS, {})
    assert [(one.kind, one.subject) for one in found if one.action == "adjust"] == [("position_drift", ETHER)]
    assert [one.holds for one in found if one.kind == "busted"] == [("USDT", PERPETUAL)]
