"""Specification of consumers/demo/audit.py: a clean book gives zeros, and no damage goes unseen."""

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from hypothesis import assume, given
from hypothesis import strategies as st
from msgspec.structs import replace

from consumers.demo.audit import DETAILS_MAX, Audit, Books, Local, audit, read_books
from streams.corrections import Move
from streams.events import Adjusted, AnyChange, Created, Updated
from streams.position import move
from streams.record import NEW_STATE
from streams.schemas import Adjustment, Correction, Execution, Order, OrderState, Place, Position

SYMBOLS = {"BTC/USDT": "BTCUSDT", "ETH/USDT": "ETHUSDT"}
LOT = Decimal("0.0001")
World = tuple[Books, Local]


def place(number: int, symbol: str = "BTC/USDT", side: str = "buy", **changes: Any) -> Place:
    """What intent N wanted."""
    terms: dict[str, Any] = {
        "account": "sim.main", "strategy": "taker", "signal_id": f"signal-{number}",
        "signal_time": datetime(2026, 1, 1, tzinfo=UTC), "symbol": symbol, "side": side, "type": "market",
        "quantity": Decimal(1),
    }  # fmt: skip
    return Place(**{**terms, **changes})


def created(order: Order) -> Created:
    """The journal's word of an intent that became an order."""
    assert order.terms is not None
    return Created(id="c", client_order_id=order.client_order_id, terms=order.terms, fingerprint="f", valid_until_ms=1)


def updated(order: Order, *facts: Execution) -> Updated:
    """The journal's word of executions."""
    return Updated(
        id="u", client_order_id=order.client_order_id, strategy="taker", symbol="", facts=facts, evidence=(),
        status=order.status, filled="0", now_ms=1,
    )  # fmt: skip


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """Draw a venue's books and a pipeline that stored all of it: some orders filled, some not, some not accepted."""
    orders: list[Order] = []
    positions: dict[str, Position] = {}
    changes: list[AnyChange] = []
    rows: list[tuple[str, str, str, Decimal]] = []
    fills: dict[tuple[str, str, str], Decimal] = {}
    moved = {"BTC": Decimal(0), "ETH": Decimal(0), "USDT": Decimal(0)}
    for number in range(draw(st.integers(1, 5))):
        symbol, side = draw(st.sampled_from(sorted(SYMBOLS))), draw(st.sampled_from(["buy", "sell"]))
        terms, base = place(number, symbol, side), symbol.partition("/")[0]
        order = Order(client_order_id=f"fo-{number}", terms=terms, status="cancelled", state=NEW_STATE, digest="d")
        changes.append(created(order))
        executions = []
        first = number == 0  # it trades, so that there is something to damage
        accepted = first or draw(st.booleans())
        for trade in range(draw(st.integers(int(first), 3)) if accepted else 0):
            quantity, price = draw(st.integers(1, 9)) * LOT, Decimal(draw(st.integers(1, 9)))
            asset, cost = (base, quantity / 100) if side == "buy" else ("USDT", quantity * price / 100)
            fill = Execution(
                venue_symbol=SYMBOLS[symbol], venue_order_id=str(number), trade_id=str(trade), side=terms.side,
                quantity=quantity, price=price, executed_at_ms=1, fee=cost, fee_asset=asset,
            )  # fmt: skip
            executions.append(fill)
            sign = 1 if side == "buy" else -1
            moved[base] += sign * quantity
            moved["USDT"] -= sign * quantity * price
            moved[asset] -= cost
            fills[fill.venue_symbol, fill.venue_order_id, fill.trade_id] = quantity
            positions[symbol] = move(positions.get(symbol, Position()), terms, fill)
        done = sum((one.quantity for one in executions), Decimal(0))
        state = OrderState(filled=done, reported=done)
        order = replace(order, status="filled" if executions else "rejected", state=state)
        orders.append(order)
        changes += [updated(order, one) for one in executions]
        if accepted:
            rows.append((SYMBOLS[symbol], str(number), order.client_order_id, done))
    initial = dict.fromkeys(moved, Decimal(100))
    balances = {asset: initial[asset] + amount for asset, amount in moved.items()}
    books = Books(initial=initial, balances=balances, orders=rows, fills=fills)
    return books, Local(orders=orders, positions=positions, changes=changes, waiting=0)


def found(books: Books, local: Local) -> dict[str, int]:
    """The defects that are not zero."""
    result = audit(books, local)
    names = (
        "intents_with_more_than_one_order",
        "fills_missing",
        "fills_doubled",
        "position_mismatches",
        "unknown_left",
    )
    defects = {name: getattr(result, name) for name in names if getattr(result, name)}
    assert result.defects == sum(defects.values())
    assert bool(result.details) == bool(defects.keys() - {"unknown_left"}) or "unknown_left" in defects
    return defects


def filled_orders(local: Local) -> list[Order]:
    """Orders with executions."""
    return [one for one in local.orders if one.state.filled]


@given(worlds())
def test_a_clean_book_gives_zeros_and_the_right_counts(world: World) -> None:
    """No defect, no detail."""
    books, local = world
    result = audit(books, local)
    assert result.defects == 0
    assert result.details == ()
    assert (result.intents, result.venue_orders) == (len(local.orders), len(books.orders))
    assert result.venue_fills == result.fills_applied == len(books.fills)


@given(worlds(), st.data())
def test_a_dropped_fill_is_missing(world: World, data: st.DataObject) -> None:
    """Exactly one, by its name."""
    books, local = world
    with_facts = [one for one in local.changes if isinstance(one, Updated)]
    dropped = data.draw(st.sampled_from(with_facts))
    without = list(local.changes)
    without.remove(dropped)
    assert found(books, replace(local, changes=without)) == {"fills_missing": 1}
    [fact] = dropped.facts
    assert isinstance(fact, Execution)
    assert audit(books, replace(local, changes=without)).details == (
        f"missing execution: {fact.venue_symbol}/{fact.venue_order_id}/{fact.trade_id}",
    )


@given(worlds(), st.data())
def test_a_fill_applied_twice_is_doubled(world: World, data: st.DataObject) -> None:
    """By the journal's own count."""
    books, local = world
    with_facts = [one for one in local.changes if isinstance(one, Updated)]
    again = data.draw(st.sampled_from(with_facts))
    assert found(books, replace(local, changes=[*local.changes, again])) == {"fills_doubled": 1}


@given(worlds(), st.data())
def test_a_fill_the_venue_never_made_is_doubled(world: World, data: st.DataObject) -> None:
    """Under a trade id it does not have."""
    books, local = world
    order = data.draw(st.sampled_from(local.orders))
    invented = Execution(
        venue_symbol="BTCUSDT", venue_order_id="0", trade_id="77", side="buy", quantity=LOT, price=Decimal(1),
        executed_at_ms=1,
    )  # fmt: skip
    changes = [*local.changes, updated(order, invented)]
    assert found(books, replace(local, changes=changes)) == {"fills_doubled": 1}


def _restate(local: Local, order: Order, **changes: Any) -> Local:
    state = replace(order.state, **changes)
    return replace(local, orders=[replace(one, state=state) if one is order else one for one in local.orders])


@given(worlds(), st.data())
def test_an_order_with_more_than_the_venue_executed_is_doubled(world: World, data: st.DataObject) -> None:
    """Although the journal tells each execution once."""
    books, local = world
    order = data.draw(st.sampled_from(local.orders))
    assert found(books, _restate(local, order, filled=order.state.filled + LOT)) == {"fills_doubled": 1}


def test_an_order_with_less_than_the_venue_executed_is_found() -> None:
    """The journal told the fill, the record lost it: invariant 3 is broken, whatever `reported` says."""
    order = Order(client_order_id="fo-0", terms=place(0), status="cancelled", state=NEW_STATE, digest="d")
    fill = Execution(
        venue_symbol="BTCUSDT", venue_order_id="0", trade_id="0", side="buy", quantity=LOT, price=Decimal(1),
        executed_at_ms=1,
    )  # fmt: skip
    books = Books(
        initial={"BTC": Decimal(1)}, balances={"BTC": 1 + LOT}, orders=[("BTCUSDT", "0", "fo-0", LOT)],
        fills={("BTCUSDT", "0", "0"): LOT},
    )  # fmt: skip
    local = Local(
        orders=[order], positions={"BTC/USDT": Position(quantity=LOT)}, changes=[created(order), updated(order, fill)],
        waiting=0,
    )  # fmt: skip
    assert found(books, local)


@given(worlds(), st.data(), st.booleans())
def test_a_second_order_for_one_intent_is_found_whatever_its_name(
    world: World, data: st.DataObject, same: bool
) -> None:
    """Under the intent's own client order id, or under one that no intent explains."""
    books, local = world
    symbol, _, name, _ = data.draw(st.sampled_from(list(books.orders)))
    second = (symbol, "999", name if same else "fo-other", Decimal(0))
    damaged = replace(books, orders=[*books.orders, second])
    assert found(damaged, local) == {"intents_with_more_than_one_order": 1}


@given(worlds(), st.data())
def test_a_second_order_under_another_id_of_the_same_intent_is_found(world: World, data: st.DataObject) -> None:
    """An intent that was made an order twice: both ids are ours, and both are at the venue."""
    books, local = world
    symbol, _, name, _ = data.draw(st.sampled_from(list(books.orders)))
    twin = replace(next(one for one in local.orders if one.client_order_id == name), client_order_id="fo-twin",
                   state=NEW_STATE)  # fmt: skip
    damaged = replace(local, orders=[*local.orders, twin], changes=[*local.changes, created(twin)])
    rows = [*books.orders, (symbol, "999", "fo-twin", Decimal(0))]
    assert found(replace(books, orders=rows), damaged) == {"intents_with_more_than_one_order": 1}


@given(worlds(), st.data(), st.sampled_from([LOT, -LOT, Decimal("0.00000001")]))
def test_a_position_off_by_a_lot_is_a_mismatch(world: World, data: st.DataObject, off: Decimal) -> None:
    """Or by the smallest amount there is, either way."""
    books, local = world
    symbol = data.draw(st.sampled_from(sorted(local.positions)))
    held = local.positions[symbol]
    positions = {**local.positions, symbol: replace(held, quantity=held.quantity + off)}
    assert found(books, replace(local, positions=positions)) == {"position_mismatches": 1}


@given(worlds(), st.data())
def test_a_position_that_was_never_stored_is_a_mismatch(world: World, data: st.DataObject) -> None:
    """The venue's balance moved, ours did not."""
    books, local = world
    held = [symbol for symbol, position in local.positions.items() if position.quantity]
    assume(held)
    symbol = data.draw(st.sampled_from(held))
    positions = {name: position for name, position in local.positions.items() if name != symbol}
    assert found(books, replace(local, positions=positions))["position_mismatches"] >= 1


DAMAGES: list[Callable[[Order], Order]] = [
    lambda order: replace(order, status="unknown"),
    lambda order: replace(order, status="submitting"),
    lambda order: replace(order, state=replace(order.state, reported=order.state.filled + LOT)),
]


@given(worlds(), st.data(), st.sampled_from(DAMAGES))
def test_an_order_nobody_can_tell_is_left_unknown(world: World, data: st.DataObject, damage: Any) -> None:
    """Its status, or executions the venue counted that have not come."""
    books, local = world
    order = data.draw(st.sampled_from(local.orders))
    orders = [damage(one) if one is order else one for one in local.orders]
    assert found(books, replace(local, orders=orders)) == {"unknown_left": 1}


@given(worlds(), st.integers(1, 5))
def test_what_still_waits_is_left_unknown(world: World, waiting: int) -> None:
    """Parked executions and entries nobody has dealt with."""
    assert found(world[0], replace(world[1], waiting=waiting)) == {"unknown_left": waiting}


@given(worlds(), st.data())
def test_a_fill_counted_for_another_order_is_found(world: World, data: st.DataObject) -> None:
    """Sums over all orders would not show it."""
    books, local = world
    assume(len(local.orders) > 1)
    loser = data.draw(st.sampled_from(filled_orders(local)))
    gainer = data.draw(st.sampled_from([one for one in local.orders if one is not loser]))
    damaged = _restate(local, gainer, filled=gainer.state.filled + LOT)
    damaged = _restate(damaged, next(one for one in damaged.orders if one is loser), filled=loser.state.filled - LOT)
    defects = found(books, damaged)
    assert (defects["fills_doubled"], defects["unknown_left"]) == (1, 1)


def test_two_intents_whose_words_join_alike_are_two_intents() -> None:
    """`a/b` with `c` is not `a` with `b/c`."""
    orders = [
        Order(client_order_id=f"fo-{number}", terms=place(0, strategy=strategy, signal_id=signal_id), status="rejected",
              state=NEW_STATE, digest="d")
        for number, (strategy, signal_id) in enumerate([("a/b", "c"), ("a", "b/c")])
    ]  # fmt: skip
    rows = [("BTCUSDT", one.client_order_id, one.client_order_id, Decimal(0)) for one in orders]
    books = Books(initial={}, balances={}, orders=rows, fills={})
    local = Local(orders=orders, positions={}, changes=[created(one) for one in orders], waiting=0)
    assert found(books, local) == {}


def test_tombstones_are_no_intents() -> None:
    """They never wanted anything."""
    stone = Order(client_order_id="fo-1", terms=None, status="cancelled", state=NEW_STATE, digest="d")
    result = audit(
        Books(initial={}, balances={}, orders=[], fills={}), Local(orders=[stone], positions={}, changes=[], waiting=0)
    )
    assert (result.intents, result.defects) == (0, 0)


def test_details_are_bounded() -> None:
    """The first ones are enough for a person; the counts are complete."""
    fills = {("BTCUSDT", str(number), "1"): LOT for number in range(3 * DETAILS_MAX)}
    result = audit(
        Books(initial={}, balances={}, orders=[], fills=fills), Local(orders=[], positions={}, changes=[], waiting=0)
    )
    assert (result.fills_missing, len(result.details)) == (3 * DETAILS_MAX, DETAILS_MAX)


def test_the_venues_books_are_read_with_their_own_words() -> None:
    """Free and locked are held alike; numbers that are ids become text."""
    books = read_books(
        {
            "initial": {"BTC": "1"},
            "balances": {"BTC": {"free": "0.5", "locked": "0.25"}},
            "orders": [{"symbol": "BTCUSDT", "order_id": 7, "client_order_id": "fo-1", "executed": "0.1"}],
            "trades": [{"symbol": "BTCUSDT", "order_id": 7, "trade_id": 9, "quantity": "0.1"}],
        }
    )
    assert books == Books(
        initial={"BTC": Decimal(1)}, balances={"BTC": Decimal("0.75")},
        orders=[("BTCUSDT", "7", "fo-1", Decimal("0.1"))], fills={("BTCUSDT", "7", "9"): Decimal("0.1")},
    )  # fmt: skip


def test_every_count_of_a_defect_is_in_the_sum() -> None:
    """None can be forgotten: five defects, each once."""
    result = Audit(
        intents=5, venue_orders=5, venue_fills=5, fills_applied=5, intents_with_more_than_one_order=1, fills_missing=10,
        fills_doubled=100, position_mismatches=1_000, unknown_left=10_000,
    )  # fmt: skip
    assert result.defects == 11_111


FILL = Execution(
    venue_symbol="BTCUSDT", venue_order_id="7", trade_id="1", side="buy", quantity=LOT, price=Decimal(1),
    executed_at_ms=1,
)  # fmt: skip


def test_what_was_taken_back_or_only_inferred_is_no_fill_and_is_counted_apart() -> None:
    """The venue's books do not have it either."""
    order = Order(
        client_order_id="fo-1",
        terms=place(1),
        status="cancelled",
        state=OrderState(busted=LOT, reported=LOT),
        digest="d",
    )
    bust = Correction(id="b", execution=FILL, corrected_at_ms=1)
    guess = Move(replace(FILL, trade_id="inferred-1"))
    taken = replace(updated(order), facts=(bust,), moves=(guess, replace(guess, back=True), Move(FILL, back=True)))
    books = Books(initial={}, balances={}, orders=[("BTCUSDT", "7", "fo-1", Decimal(0))], fills={})
    local = Local(orders=[order], positions={}, changes=[created(order), updated(order, FILL), taken], waiting=0)
    result = audit(books, local)
    assert (result.defects, result.fills_applied, result.fills_corrected) == (0, 0, 1)
    assert audit(books, replace(local, changes=[created(order), updated(order, FILL)])).fills_doubled == 1


def test_what_the_venue_traded_for_us_is_a_fill_without_an_intent() -> None:
    """Counted by its adjustment; without that it is missing, and its order unexplained."""
    told = Adjustment(id="a", cause="liquidation", at_ms=1, execution=FILL)
    adjusted = Adjusted(id="a", adjustment=told, evidence="1-1", symbol="BTC/USDT:USDT", position_quantity="0")
    books = Books(
        initial={}, balances={}, orders=[("BTCUSDT", "7", "autoclose-1", LOT)], fills={("BTCUSDT", "7", "1"): LOT}
    )
    local = Local(orders=[], positions={}, changes=[adjusted], waiting=0)
    assert (audit(books, local).defects, audit(books, local).adjustments) == (0, 1)
    bare = audit(books, replace(local, changes=[]))
    assert (bare.fills_missing, bare.intents_with_more_than_one_order) == (1, 1)


def test_a_deposit_is_explained_by_its_adjustment_and_by_nothing_else() -> None:
    """What was there before the first fill is no change."""
    opening = Adjustment(id="opening", cause="opening", amounts={"BTC": Decimal(5)}, at_ms=1)
    deposit = Adjustment(id="d", cause="transfer", amounts={"BTC": Decimal(2)}, at_ms=1)
    changes = [Adjusted(id=one.id, adjustment=one, evidence="1-1") for one in (opening, deposit)]
    books = Books(initial={"BTC": Decimal(5)}, balances={"BTC": Decimal(7)}, orders=[], fills={})
    assert audit(books, Local(orders=[], positions={}, changes=changes, waiting=0)).defects == 0
    assert audit(books, Local(orders=[], positions={}, changes=changes[:1], waiting=0)).position_mismatches == 1
