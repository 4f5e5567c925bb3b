"""Specification of consumers/folding.py: one batch, one commit, and a journal that tells exactly what was done."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumers.folding import (
    LOOK_AS_IT_IS,
    LOOK_NEVER,
    LOOK_RETRY_MAX_MS,
    LOOK_RETRY_MIN_MS,
    LOOK_SOON_MS,
    Folded,
    Known,
    Rules,
    Snapshot,
    fold_batch,
    learned,
    owner,
    position_key,
)
from consumers.interpret import Item
from streams import codec, events, lifecycle
from streams.corrections import Waiting, waits_as
from streams.keys import AccountKeys
from streams.lifecycle import Resubmission
from streams.money import text
from streams.plans import EntryPlan
from streams.position import move
from streams.record import NEW_STATE
from streams.schemas import (
    Absent,
    Accepted,
    Amending,
    Command,
    Correction,
    Duplicate,
    Execution,
    NotSent,
    Order,
    OrderReport,
    Outcome,
    Place,
    Position,
    Refused,
    Throttled,
    Unknown,
    from_ms,
)

KEYS = AccountKeys("sim.main")
NOW_MS = 1_000_000
CALM_MS = 30_000
AGE_MS = 40_000
RULES = Rules(resubmission_allowed=True, calm_ms=CALM_MS)
FIXED_KEYS = 6  # the commit's own, before those of the plan
CLAIM = "t1"


def order(number: int = 1, status: str = "submitting", symbol: str = "BTC/USDT", **changes: Any) -> Order:
    """Order `fo-N`, for 10 BTC."""
    side = changes.pop("position_side", "net")
    terms = Place(
        account="sim.main", strategy="s", signal_id=str(number), signal_time=datetime(2026, 1, 1, tzinfo=UTC),
        symbol=symbol, side="buy", type="limit", quantity=Decimal(10), price=Decimal(50), position_side=side,
    )  # fmt: skip
    given_: dict[str, Any] = {
        "client_order_id": f"fo-{number}", "terms": terms, "status": status, "state": NEW_STATE, "digest": f"d{number}",
        "token": CLAIM, "valid_until_ms": 2 * NOW_MS,
    }  # fmt: skip
    return Order(**{**given_, **changes})


def aged() -> Order:
    """An order that has been tried for a while."""
    made = order()
    assert made.terms is not None
    return msgspec.structs.replace(
        made, terms=msgspec.structs.replace(made.terms, signal_time=from_ms(NOW_MS - AGE_MS))
    )


def tombstone(number: int = 1) -> Order:
    """What a cancel left for a place that did not come."""
    return Order(
        client_order_id=f"fo-{number}", terms=None, status="cancelled", state=NEW_STATE, digest="d",
        cancel_requested=True,
    )  # fmt: skip


def trade(trade_id: int = 1, number: int = 1, *, named: bool = True, quantity: str = "1", **changes: Any) -> Execution:
    """An execution of order N, under its venue order id `vN`."""
    given_: dict[str, Any] = {
        "venue_symbol": "BTCUSDT", "venue_order_id": f"v{number}", "trade_id": f"t{trade_id}", "side": "buy",
        "quantity": Decimal(quantity), "price": Decimal(50), "executed_at_ms": trade_id,
        "client_order_id": f"fo-{number}" if named else None,
    }  # fmt: skip
    return Execution(**{**given_, **changes})


def report(status: str = "open", filled: int = 0, number: int = 1, at_ms: int = 1, **changes: Any) -> OrderReport:
    """The venue's word on order N."""
    given_: dict[str, Any] = {
        "venue_symbol": "BTCUSDT", "venue_order_id": f"v{number}", "status": status, "filled": Decimal(filled),
        "reported_at_ms": at_ms, "client_order_id": f"fo-{number}",
    }  # fmt: skip
    return OrderReport(**{**given_, **changes})


def says(outcome: Outcome, number: int = 1, token: str = CLAIM, kind: str = "place") -> Command:
    """What became of a claim of order N."""
    return Command(client_order_id=f"fo-{number}", token=token, outcome=outcome, kind=kind)  # type: ignore[arg-type]  # place or cancel


def items(*said: Execution | OrderReport | Command | Sequence[Execution | OrderReport]) -> list[Item]:
    """One entry each."""
    found = []
    for number, one in enumerate(said, start=1):
        if isinstance(one, Command):
            found.append(Item(entry=f"{number}-0", command=one))
        else:
            facts = (one,) if isinstance(one, Execution | OrderReport) else tuple(one)
            found.append(Item(entry=f"{number}-0", facts=facts))
    return found


def snapshot(
    *orders: Order,
    seen: Sequence[str] = (),
    owners: Mapping[tuple[str, str], str] | None = None,
    parked: Mapping[tuple[str, str], Mapping[str, Waiting]] | None = None,
) -> Snapshot:
    """What was read; positions are flat."""
    positions = {position_key(one, KEYS): (Position(), "p0") for one in orders if one.terms}
    return Snapshot(
        now_ms=NOW_MS, orders={one.client_order_id: Known(one, frozenset(seen)) for one in orders}, owners=owners or {},
        parked=parked or {}, positions=positions,
    )  # fmt: skip


def change(text_: str) -> Any:
    """Decode a change as a reader of the journal does."""
    [found] = events.decode(b'{"v":1,"script":"commit","at_ms":1,"changes":[%s]}' % text_.encode()).changes
    return found


def key(folded: Folded, number: int) -> str:
    """The key a number of the plan names."""
    assert number > 0
    return folded.commit.keys[number - 1]


def check_journal(folded: Folded, before: Snapshot) -> None:
    """Invariant 12 in small: the changes, folded again from what was read, give every state and digest written."""
    positions = {name: position for name, (position, _) in before.positions.items()}
    for plan in folded.commit.orders:
        known = before.orders[plan.client_order_id]
        now = known.order
        assert (plan.status, plan.token, plan.digest) == (now.status, now.token, now.digest)
        assert key(folded, plan.key) == KEYS.order(plan.client_order_id)
        for mapping in plan.mappings:
            assert key(folded, mapping.venue_order_key).replace("venue_order:", "parked:") == key(
                folded, mapping.parked_key
            )
        assert len(set(plan.executions)) == len(plan.executions)
        assert not known.seen & set(plan.executions)
        if not plan.change:
            assert (plan.new_digest, plan.new_state) == (plan.digest, codec.encode_text(now.state))
            assert not plan.executions
            continue
        told = change(plan.change)
        assert isinstance(told, events.Updated)
        for fact in told.facts:
            now = lifecycle.fold(now, fact, Resubmission(told.resubmission_allowed, told.now_ms))
            if isinstance(fact, Execution):
                assert now.terms is not None
                name = position_key(now, KEYS)
                positions[name] = move(positions[name], now.terms, fact)
        state = codec.encode_text(now.state)
        assert (now.status, state) == (plan.new_status, plan.new_state)
        assert told.id == plan.new_digest == codec.chain(plan.digest, now.status, state)
        assert tuple(f.execution_id for f in told.facts if isinstance(f, Execution)) == plan.executions
        assert (told.status, told.filled, told.anomalies) == (now.status, text(now.state.filled), now.state.anomalies)
        assert (plan.position > 0) == bool(plan.executions)
    check_positions(folded, before, positions)


def check_positions(folded: Folded, before: Snapshot, positions: Mapping[str, Position]) -> None:
    """The positions written are those of the journal's executions, and each order names its own."""
    written = {key(folded, plan.key): plan for plan in folded.commit.positions}
    assert len(written) == len(folded.commit.positions)
    for name, plan in written.items():
        state = codec.encode_text(positions[name])
        assert plan.digest == before.positions[name][1]
        assert (plan.new_state, plan.new_digest) == (state, codec.chain(plan.digest, "position", state))
    for plan_ in folded.commit.orders:
        if plan_.position:
            name = key(folded, folded.commit.positions[plan_.position - 1].key)
            assert name == position_key(before.orders[plan_.client_order_id].order, KEYS)
            told = change(plan_.change)
            assert KEYS.position(told.position) == name
            assert told.position_quantity == text(positions[name].quantity)
    assert {name for name in positions if positions[name] != before.positions[name][0]} <= set(written)


def check_entries(folded: Folded, batch: Sequence[Item]) -> None:
    """Every entry is dealt with once: proven in the commit, or parked."""
    dealt = [plan.entry for plan in folded.commit.entries] + [plan.entry for plan in folded.parks]
    assert sorted(dealt) == sorted(item.entry for item in batch)
    assert all(0 <= plan.order <= len(folded.commit.orders) for plan in folded.commit.entries)
    for order, plan in zip(folded.orders, folded.commit.orders, strict=True):
        assert (order.client_order_id, order.status, order.digest) == (
            plan.client_order_id, plan.new_status, plan.new_digest
        )  # fmt: skip
        assert codec.encode_text(order.state) == plan.new_state
    for (position, digest), move_ in zip(folded.positions.values(), folded.commit.positions, strict=True):
        assert (codec.encode_text(position), digest) == (move_.new_state, move_.new_digest)
    assert list(folded.positions) == [key(folded, one.key) for one in folded.commit.positions]
    assert len(set(folded.commit.keys)) == len(folded.commit.keys)


def fold(before: Snapshot, *said: Any, rules: Rules = RULES) -> Folded:
    """Fold, and hold the result against everything that is always true."""
    batch = items(*said)
    folded = fold_batch(batch, before, rules, KEYS)
    check_entries(folded, batch)
    check_journal(folded, before)
    return folded


OUTCOMES: list[Outcome] = [
    Accepted(), Refused("-1", "no"), Duplicate("-1"), Throttled(70), NotSent("x"), Unknown("x"), Absent(1),
]  # fmt: skip
NUMBERS = st.integers(1, 4)  # three orders, and one nobody knows
TRADES = st.builds(
    lambda trade_id, number, named, lots, side, fee: trade(
        trade_id, number, named=named, quantity=str(lots), side=side, fee=fee and Decimal(fee), fee_asset=fee and "BTC"
    ),
    st.integers(1, 3), NUMBERS, st.booleans(), st.integers(1, 4), st.sampled_from(["buy", "sell"]),
    st.sampled_from([None, "0.01"]),
)  # fmt: skip
REPORTS = st.builds(
    report, st.sampled_from(["open", "cancelled", "filled", "expired"]), st.integers(0, 10), NUMBERS, st.integers(1, 5)
)
COMMANDS = st.builds(
    says, st.sampled_from(OUTCOMES), NUMBERS, st.sampled_from([CLAIM, "t0"]), st.sampled_from(["place", "cancel"])
)


@st.composite
def batches(draw: st.DrawFn) -> tuple[Snapshot, list[Any]]:
    """Draw three orders (two share a position, one may be a tombstone), and what is said of them and of others."""
    statuses = st.sampled_from(["created", "submitting", "unknown", "rejected"])
    third = draw(st.sampled_from([order(3, draw(statuses), "ETH/USDT"), tombstone(3)]))
    orders = [order(1, draw(statuses)), order(2, draw(statuses), cancel_requested=draw(st.booleans())), third]
    parked: dict[tuple[str, str], dict[str, Execution]] = {}
    for number in (1, 2, 3):
        waiting = draw(st.lists(st.builds(trade, st.integers(1, 3), st.just(number)), max_size=2))
        parked["BTCUSDT", f"v{number}"] = {one.execution_id: one for one in waiting}
    owners = {("BTCUSDT", f"v{n}"): f"fo-{n}" for n in draw(st.sets(NUMBERS))}
    single = TRADES | REPORTS | COMMANDS
    pair = st.tuples(st.integers(1, 3), NUMBERS).map(lambda at: [trade(*at), report("open", 1, at[1])])
    said = draw(st.lists(single | pair, min_size=1, max_size=10))
    return snapshot(*orders, owners=owners, parked=parked), said


@given(batches(), st.booleans())
def test_the_journal_of_any_batch_gives_its_states_positions_and_digests_again(
    drawn: tuple[Snapshot, list[Any]], allowed: bool
) -> None:
    """Invariants 3 and 12 in small; every number names the right key, every entry is dealt with once."""
    fold(drawn[0], *drawn[1], rules=Rules(allowed, CALM_MS))


@given(batches(), st.data())
def test_a_batch_and_its_halves_end_alike(drawn: tuple[Snapshot, list[Any]], data: st.DataObject) -> None:
    """Where the ledger cuts its batches changes no sum: filled, cost and position are the same."""
    before, said = drawn
    # Without its mapping an execution is parked first, and taken in by the next fold: not the same cut.
    before = msgspec.structs.replace(before, owners={("BTCUSDT", f"v{n}"): f"fo-{n}" for n in (1, 2, 3)})
    whole = fold(before, *said)
    cut = data.draw(st.integers(0, len(said)))
    first = fold(before, *said[:cut])
    second = fold(_after(before, first), *said[cut:])
    states = {**_states(before), **_written(first), **_written(second)}
    assert states == {**_states(before), **_written(whole)}
    ends, at_once = _after(_after(before, first), second).positions, _after(before, whole).positions
    assert {name: one.quantity for name, (one, _) in ends.items()} == {
        name: one.quantity for name, (one, _) in at_once.items()
    }


def _states(before: Snapshot) -> dict[str, tuple[str, str]]:
    return {name: (known.order.status, codec.encode_text(known.order.state)) for name, known in before.orders.items()}


def _written(folded: Folded) -> dict[str, tuple[str, str]]:
    return {plan.client_order_id: (plan.new_status, plan.new_state) for plan in folded.commit.orders}


def _after(before: Snapshot, folded: Folded) -> Snapshot:
    """What would be read after the commit."""
    orders, owners, parked = dict(before.orders), dict(before.owners), dict(before.parked)
    for plan in folded.commit.orders:
        was = orders[plan.client_order_id]
        state = codec.decode_state(plan.new_state.encode())
        now = msgspec.structs.replace(was.order, status=plan.new_status, state=state, digest=plan.new_digest)
        orders[plan.client_order_id] = Known(now, was.seen | set(plan.executions))
        for mapping in plan.mappings:
            symbol, identity = key(folded, mapping.venue_order_key).rpartition("venue_order:")[2].split(":")
            owners[symbol, identity] = plan.client_order_id
            parked.pop((symbol, identity), None)
    positions = dict(before.positions)
    for one in folded.commit.positions:
        positions[key(folded, one.key)] = (codec.decode_position(one.new_state.encode()), one.new_digest)
    return Snapshot(now_ms=NOW_MS, orders=orders, owners=owners, parked=parked, positions=positions)


def test_an_execution_twice_in_a_batch_counts_once() -> None:
    """From the stream and from a backfill, named and unnamed."""
    folded = fold(snapshot(order(), owners={("BTCUSDT", "v1"): "fo-1"}), trade(1), trade(1, named=False), trade(1))
    [plan] = folded.commit.orders
    assert plan.executions == ("v1:t1",)
    assert codec.decode_state(plan.new_state.encode()).filled == 1
    assert [entry.order for entry in folded.commit.entries] == [1, 1, 1]


def test_both_legs_of_a_self_trade_count() -> None:
    """They share a trade id, not an order id."""
    folded = fold(snapshot(order(1), order(2)), trade(7, 1), trade(7, 2, side="sell"))
    assert [plan.executions for plan in folded.commit.orders] == [("v1:t7",), ("v2:t7",)]


def test_an_execution_the_record_has_counts_no_more_and_proves_its_entry() -> None:
    """Redelivered after a commit whose acknowledgement was lost: no change, and the record is the proof."""
    held = order(state=msgspec.structs.replace(NEW_STATE, venue_order_ids=("v1",), filled=Decimal(1)), status="open")
    folded = fold(snapshot(held, seen=["v1:t1"]), trade(1), [trade(1), report("open", 1)])
    assert folded.commit.entries[0] == EntryPlan("1-0", 1, "v1:t1")
    assert folded.commit.entries[1] == EntryPlan("2-0", 1, "")  # its report may be news: only the commit proves it
    assert folded.commit.orders[0].executions == ()


def test_a_new_venue_order_is_mapped_once_with_the_parked_set_it_was_folded_with() -> None:
    """An empty set has a digest too: parking in between makes the commit stale."""
    folded = fold(snapshot(order()), report(), report(at_ms=2))
    [mapping] = folded.commit.orders[0].mappings
    assert key(folded, mapping.venue_order_key) == KEYS.venue_order("BTCUSDT", "v1")
    assert key(folded, mapping.parked_key) == KEYS.parked("BTCUSDT", "v1")
    assert mapping.parked_digest == codec.parked_digest([])


def test_parked_executions_are_taken_in_by_the_commit_that_learns_their_order() -> None:
    """Before the entry's own facts, each once, also one the batch repeats."""
    waiting = {one.execution_id: one for one in (trade(1, named=False), trade(2, named=False))}
    folded = fold(snapshot(order(), parked={("BTCUSDT", "v1"): waiting}), trade(2), report("open", 3), trade(3))
    [plan] = folded.commit.orders
    assert plan.executions == ("v1:t1", "v1:t2", "v1:t3")
    assert plan.mappings[0].parked_digest == codec.parked_digest([b"v1:t1", b"v1:t2"])
    assert change(plan.change).evidence == ("1-0", "2-0", "3-0")


@pytest.mark.parametrize("parked", [["trade", "bust"], ["bust"]], ids="+".join)
def test_a_parked_correction_is_of_the_leg_that_its_order_became(parked: list[str]) -> None:
    """A list names no order of ours, so it could not tell; taken for the first leg, it would be a second order."""
    first = lifecycle.fold(order(), report(), Resubmission(allowed=False, now_ms=NOW_MS))
    amend = Amending(revision=1, quantity=Decimal(10), price=Decimal(60))
    held = msgspec.structs.replace(first, amend=amend, token="a1")
    gone = trade(1, named=False, venue_order_id="v2")
    told: dict[str, Execution | Correction] = {
        "trade": gone,
        "bust": Correction(id="b", execution=gone, instead=trade(2, named=False, venue_order_id="v2", quantity="0.4"),
                           corrected_at_ms=2),
    }  # fmt: skip
    waiting = {waits_as(fact)[0]: fact for fact in (told[name] for name in parked)}
    before = snapshot(held, parked={("BTCUSDT", "v2"): waiting})
    folded = fold_batch(items(report(at_ms=5, venue_order_id="v2", generation=1)), before, RULES, KEYS)
    [after] = folded.orders
    assert after.state.anomalies == ("corrected",)
    assert [(leg.generation, leg.venue_order_id) for leg in after.state.legs] == [(0, "v1"), (1, "v2")]
    assert (after.state.filled, after.state.busted) == (Decimal("0.4"), Decimal("0.6"))


def test_a_known_venue_order_is_not_mapped_again() -> None:
    """The record names it; what is parked under it belongs to nobody's batch."""
    held = order(state=msgspec.structs.replace(NEW_STATE, venue_order_ids=("v1",)), status="open")
    before = snapshot(held, parked={("BTCUSDT", "v1"): {"v1:t9": trade(9)}})
    [plan] = fold(before, trade(1)).commit.orders
    assert (plan.mappings, plan.executions) == ((), ("v1:t1",))


def test_positions_are_folded_over_all_orders_of_the_batch() -> None:
    """One plan per position; both orders name it, and both tell its quantity after the whole call."""
    folded = fold(snapshot(order(1), order(2), order(3, symbol="ETH/USDT")), trade(1, 1), trade(1, 2, quantity="2"),
                  trade(1, 3), trade(2, 1, side="sell", quantity="4"))  # fmt: skip
    quantities = [codec.decode_position(plan.new_state.encode()).quantity for plan in folded.commit.positions]
    assert [plan.position for plan in folded.commit.orders] == [1, 1, 2]
    assert quantities == [Decimal(-1), Decimal(1)]
    assert [change(plan.change).position_quantity for plan in folded.commit.orders] == ["-1", "-1", "1"]


def test_long_and_short_are_positions_of_their_own() -> None:
    """At venues with two positions a symbol."""
    folded = fold(snapshot(order(1, position_side="long"), order(2, position_side="short")), trade(1, 1), trade(1, 2))
    assert [change(plan.change).position for plan in folded.commit.orders] == ["BTC/USDT:long", "BTC/USDT:short"]


def test_executions_of_an_unknown_order_are_parked_under_every_name_they_have() -> None:
    """The script checks both names again before it parks."""
    [named, unnamed] = fold(snapshot(), [trade(1), report()], trade(2, named=False)).parks
    assert (named.parked_key, named.venue_order_key) == (
        KEYS.parked("BTCUSDT", "v1"), KEYS.venue_order("BTCUSDT", "v1"),
    )  # fmt: skip
    assert (named.order_key, unnamed.order_key) == (KEYS.order("fo-1"), None)
    [(identity, stored, told)] = named.executions
    assert (identity, msgspec.json.decode(stored, type=Execution)) == ("v1:t1", trade(1))
    assert change(told) == events.Parked(id="parked:BTCUSDT:v1:t1", execution=trade(1), evidence="1-0")


@pytest.mark.parametrize(
    ("item", "reason"),
    [
        (Item(entry="1-0", ignored="a balance"), "a balance"),
        (Item(entry="1-0", facts=(report(number=4),)), "no record of order fo-4"),
        (Item(entry="1-0", facts=(report(client_order_id=None),)), "an order of another system"),
        (Item(entry="1-0", command=says(NotSent("x"), 4)), "no record of order fo-4"),
    ],
)
def test_what_belongs_to_no_order_is_passed_with_its_reason(item: Item, reason: str) -> None:
    """Acknowledged and journaled, in the same commit as the rest."""
    folded = fold_batch([item], snapshot(), RULES, KEYS)
    assert folded.commit.entries == [EntryPlan("1-0", 0)]
    [told] = map(change, folded.commit.passed)
    assert told == events.Passed(id="passed:1-0", evidence="1-0", reason=reason)


def test_a_mapping_to_a_record_that_is_gone_is_no_owner() -> None:
    """Its executions are parked, and shown, rather than dropped."""
    before = snapshot(owners={("BTCUSDT", "v1"): "fo-1"})
    assert owner(items(trade(1, named=False))[0], before) is None
    assert len(fold(before, trade(1, named=False)).parks) == 1


def test_an_entry_belongs_to_the_order_it_names_before_the_one_it_is_mapped_to() -> None:
    """A name of ours is stronger than the venue's number; an unknown name falls back to the number."""
    before = snapshot(order(1), order(2), owners={("BTCUSDT", "v1"): "fo-2", ("BTCUSDT", "v4"): "fo-2"})
    [named, strange, foreign] = items(trade(1), trade(1, 4), trade(1, 5))
    assert (owner(named, before), owner(strange, before), owner(foreign, before)) == ("fo-1", "fo-2", None)


def test_a_tombstone_takes_no_executions_and_loses_none() -> None:
    """The venue has an order that should never have been: it waits, visibly."""
    folded = fold(snapshot(tombstone()), trade(1), report(), says(NotSent("x")))
    assert [plan.entry for plan in folded.parks] == ["1-0"]
    assert [change(one).reason for one in folded.commit.passed] == ["no record of order fo-1"]
    [plan] = folded.commit.orders
    assert (plan.change, plan.new_status) == ("", "cancelled")
    assert learned(items(trade(1)), snapshot(tombstone())) == set()


def test_the_venue_orders_to_be_learned_are_those_of_known_orders_without_them() -> None:
    """Their parked sets are read before the fold."""
    held = order(2, state=msgspec.structs.replace(NEW_STATE, venue_order_ids=("v2",)))
    found = learned(items(trade(1), report(number=2), trade(1, 4), says(Accepted())), snapshot(order(1), held))
    assert found == {("BTCUSDT", "v1")}


def test_a_stale_token_changes_nothing_and_its_entry_is_acknowledged() -> None:
    """R3: the order's own claim is still open."""
    folded = fold(snapshot(order(status="unknown")), says(NotSent("x"), token="old"))
    [plan] = folded.commit.orders
    assert (plan.change, plan.new_digest, plan.next_look_ms) == ("", "d1", LOOK_AS_IT_IS)
    assert folded.commit.entries == [EntryPlan("1-0", 1)]


def test_a_lost_place_is_sent_again_only_under_the_venues_rules() -> None:
    """And the journal says which rules held, so that it folds alike after they changed."""
    for allowed, status in ((True, "created"), (False, "rejected")):
        folded = fold(snapshot(order(status="unknown")), says(Absent(1)), rules=Rules(allowed, CALM_MS))
        assert folded.commit.orders[0].new_status == status


OPEN = order(status="open", state=msgspec.structs.replace(NEW_STATE, venue_order_ids=("v1",), reported_at_ms=1))


@pytest.mark.parametrize(
    ("start", "said", "look"),
    [
        (order(), [report()], CALM_MS),
        (order(), [report("open", 1)], LOOK_SOON_MS),  # counted at the venue, not here
        (order(), [trade(1), report("open", 1)], CALM_MS),
        (order(), [report("filled", 10)], LOOK_SOON_MS),
        (order(), [report("cancelled")], LOOK_NEVER),
        (order(), [report("cancelled", 1)], LOOK_SOON_MS),
        (order(), [trade(1, quantity="10"), report("filled", 10)], LOOK_NEVER),
        (order(), [says(Refused("-1", "no"))], LOOK_NEVER),
        (order(), [says(Unknown("x"))], LOOK_SOON_MS),
        (order(status="unknown"), [says(Unknown("x"))], LOOK_AS_IT_IS),
        (order(), [says(Accepted())], LOOK_AS_IT_IS),
        (order(), [says(NotSent("x"))], LOOK_RETRY_MIN_MS),
        (order(), [says(Throttled(700))], 700),
        (order(valid_until_ms=NOW_MS + 300), [says(Throttled(700))], 301),
        (order(valid_until_ms=NOW_MS - 300), [says(Throttled(700))], 0),
        (aged(), [says(Throttled(700))], 700),  # the venue said when
        (aged(), [says(NotSent("x"))], AGE_MS // 4),
        (aged(), [says(Throttled(10**9))], LOOK_RETRY_MAX_MS),
        (order(status="unknown"), [says(Absent(1))], LOOK_RETRY_MIN_MS),
        (order(status="created"), [says(Throttled(70), token="old")], LOOK_AS_IT_IS),
        (OPEN, [says(Refused("-2011", "unknown order"), kind="cancel")], LOOK_SOON_MS),
        (OPEN, [says(Unknown("x"), kind="cancel")], LOOK_SOON_MS),
        (OPEN, [says(Accepted(), kind="cancel")], CALM_MS),
    ],
)
def test_the_next_look_is_when_something_is_to_be_learned(start: Order, said: list[Any], look: int) -> None:
    """R8: soon where the venue knows more, calm where all is well, never where it is over."""
    [plan] = fold(snapshot(start), *said).commit.orders
    assert plan.next_look_ms == look


def test_a_batch_of_two_hundred_entries_stays_within_a_thousand_keys() -> None:
    """The worst case: every entry another order, another position, another new venue order."""
    orders = [order(n, symbol=f"A{n}/USDT") for n in range(200)]
    folded = fold(snapshot(*orders), *([trade(1, n), report("open", 1, n)] for n in range(200)))
    assert FIXED_KEYS + len(folded.commit.keys) <= 1_000
    assert len(folded.commit.orders) == len(folded.commit.positions) == 200


def test_a_report_that_says_nothing_new_makes_no_change() -> None:
    """The journal does not grow by repetition."""
    [plan] = fold(snapshot(OPEN), report()).commit.orders
    assert (plan.change, plan.new_digest, plan.mappings) == ("", OPEN.digest, ())
