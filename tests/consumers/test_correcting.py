"""Corrections and inferred executions through the ledger's fold: batches, repetition, lost commits, and the journal."""

from datetime import UTC, datetime
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from consumers.folding import Folded, Known, Rules, Snapshot, fold_batch, position_key
from consumers.interpret import Item
from streams import codec, events
from streams.keys import AccountKeys
from streams.money import text
from streams.notices import Fill, FillTakenBack, tell
from streams.rebuild import Rebuilt
from streams.schemas import Correction, Execution, Inferred, OrderFact, OrderReport, Place, Position

KEYS = AccountKeys("sim.main")
RULES = Rules(resubmission_allowed=True, calm_ms=30_000)
NAME = "fo-1"
TERMS = Place(
    account="sim.main", strategy="s", signal_id="1", signal_time=datetime(2026, 1, 1, tzinfo=UTC), symbol="BTC/USDT",
    side="buy", type="limit", quantity=Decimal(10), price=Decimal(100),
)  # fmt: skip


def fill(trade_id: int, price: int = 100) -> Execution:
    """One of the order's executions."""
    return Execution(
        venue_symbol="BTCUSDT", venue_order_id="v", trade_id=str(trade_id), side="buy", quantity=Decimal(2),
        price=Decimal(price), executed_at_ms=trade_id, client_order_id=NAME, fee=Decimal("0.002"), fee_asset="BTC",
    )  # fmt: skip


def guess(fills: int) -> Inferred:
    """The venue counts so many executions at 100 each."""
    return Inferred(
        venue_symbol="BTCUSDT", venue_order_id="v", client_order_id=NAME, side="buy", filled=Decimal(2 * fills),
        cost=Decimal(200 * fills), told_at_ms=1,
    )  # fmt: skip


def bust(one: Execution) -> Correction:
    """The venue takes one back."""
    return Correction(id=f"bust:{one.trade_id}", execution=one, corrected_at_ms=99, reason="by the venue")


def anew(one: Execution, price: int) -> Correction:
    """The venue tells one anew, under another trade id."""
    instead = replace(one, trade_id=f"{one.trade_id}0", price=Decimal(price))
    return Correction(id=f"anew:{one.trade_id}", execution=one, instead=instead, corrected_at_ms=99)


class Desk:
    """An order and its position as the server would have them; commits are applied or lost."""

    def __init__(self) -> None:
        self.journal = Rebuilt(KEYS)
        self.entries: list[events.JournalEntry] = []
        digest = codec.birth_digest(NAME, "f", codec.encode_text({}))
        self._tell([
            events.Created(id=digest, client_order_id=NAME, terms=TERMS, fingerprint="f", valid_until_ms=10**15),
            events.Claimed(id="c", client_order_id=NAME, token="t", gateway="g", command="place", send_by_ms=1),
        ])  # fmt: skip
        order = self.journal.order(NAME)
        assert order is not None
        self.order, self.seen = order, frozenset[str]()
        self.position, self.digest = Position(), ""

    def say(self, *facts: OrderFact, lost: bool = False) -> Folded:
        """One batch; with `lost` the server never got its commit."""
        items = [Item(entry=f"{number}-0", facts=(fact,)) for number, fact in enumerate(facts, start=1)]
        key = position_key(self.order, KEYS)
        snapshot = Snapshot(
            now_ms=1_000, orders={NAME: Known(self.order, self.seen)}, owners={}, parked={},
            positions={key: (self.position, self.digest)},
        )  # fmt: skip
        folded = fold_batch(items, snapshot, RULES, KEYS)
        if lost:
            return folded
        [plan] = folded.commit.orders
        assert not self.seen & set(plan.executions)
        assert set(plan.relied) <= self.seen
        [self.order], self.seen = folded.orders, self.seen | set(plan.executions)
        self.position, self.digest = folded.positions.get(key, (self.position, self.digest))
        if plan.change:
            self._tell([codec_change(plan.change)])
        return folded

    def _tell(self, changes: list[events.AnyChange]) -> None:
        self.entries.append(events.JournalEntry(v=1, script="commit", at_ms=1, changes=tuple(changes)))
        self.journal.apply(f"{len(self.entries)}-0", self.entries[-1])

    def check(self) -> None:
        """The journal folds to what is stored, byte for byte."""
        assert self.journal.parted is None
        fields = self.journal.hashes[KEYS.order(NAME)]
        assert fields["state"] == codec.encode_text(self.order.state)
        assert {name for name in fields if ":" in name} == self.seen
        held = self.journal.hashes.get(position_key(self.order, KEYS), {})
        assert held.get("state", codec.encode_text(Position())) == codec.encode_text(self.position)


def codec_change(told: str) -> events.AnyChange:
    """Decode a change as a reader of the journal does."""
    [found] = events.decode(b'{"v":1,"script":"commit","at_ms":1,"changes":[%s]}' % told.encode()).changes
    return found


def test_a_strategy_is_told_of_what_counts_and_of_what_counts_no_more() -> None:
    """An inferred fill, the real one in its place, and the venue taking that back."""
    desk = Desk()
    desk.say(guess(1))
    desk.say(fill(1, price=90))
    desk.say(bust(fill(1, price=90)))
    told = [one for entry in desk.entries for one in tell("sim.main", entry, {NAME: TERMS})]
    said = [
        (type(one).__name__, text(one.quantity), text(one.price), getattr(one, "provisional", None))
        for one in told
        if isinstance(one, Fill | FillTakenBack)
    ]
    assert said == [
        ("Fill", "2", "100", True), ("FillTakenBack", "2", "100", None), ("Fill", "2", "90", False),
        ("FillTakenBack", "2", "90", None),
    ]  # fmt: skip
    assert [one.reason for one in told if isinstance(one, FillTakenBack)] == ["", "by the venue"]
    assert len({one.event_id for one in told}) == len(told)
    desk.check()


def test_what_is_inferred_keeps_its_order_under_watch_until_the_real_execution_comes() -> None:
    """An ended order that is only inferred is looked at again; with the real execution it is let go."""
    desk = Desk()
    ended = OrderReport(
        venue_symbol="BTCUSDT",
        venue_order_id="v",
        status="cancelled",
        filled=Decimal(2),
        reported_at_ms=9,
        client_order_id=NAME,
    )
    desk.say(ended)
    assert desk.say(guess(1)).commit.orders[0].next_look_ms == RULES.calm_ms
    assert desk.say(fill(1)).commit.orders[0].next_look_ms == -1


def test_a_correction_is_acknowledged_when_it_is_told_again_and_moves_nothing() -> None:
    """Its mark is in the record; the commit relies on it."""
    desk = Desk()
    desk.say(fill(1))
    desk.say(bust(fill(1)))
    before = desk.order
    [plan] = desk.say(bust(fill(1))).commit.orders
    assert (plan.change, plan.relied, desk.order) == ("", ("taken:v:1",), before)


@st.composite
def batches(draw: st.DrawFn) -> tuple[list[Execution], list[tuple[list[OrderFact], bool]]]:
    """What stands in the end, and batches that tell it in any order; those that are lost come again at the end."""
    real = [fill(number, draw(st.integers(90, 110))) for number in range(1, draw(st.integers(1, 4)) + 1)]
    facts: list[OrderFact] = [*real, *(guess(draw(st.integers(1, len(real)))) for _ in range(draw(st.integers(0, 3))))]
    standing = []
    for one in real:
        match draw(st.sampled_from(["stands", "busted", "anew"])):
            case "busted":
                facts.append(bust(one))
            case "anew":
                again = anew(one, draw(st.integers(90, 110)))
                assert again.instead is not None
                facts += [again, *([again.instead] if draw(st.booleans()) else [])]
                standing.append(again.instead)
            case _:
                standing.append(one)
    facts = draw(st.permutations([*facts, *draw(st.lists(st.sampled_from(facts), max_size=3))]))
    made, lost = [], list[OrderFact]()
    while facts:
        size = draw(st.integers(1, len(facts)))
        batch, facts, dropped = facts[:size], facts[size:], draw(st.integers(0, 3)) == 0
        made.append((batch, dropped))
        lost += batch if dropped else []
    return standing, [*made, *([(lost, False)] if lost else [])]


@given(batches())
def test_however_batches_are_cut_repeated_and_lost_only_what_stands_counts(
    told: tuple[list[Execution], list[tuple[list[OrderFact], bool]]],
) -> None:
    """The order's sums, the position, and the journal of both."""
    standing, cut = told
    desk, plain = Desk(), Desk()
    for batch, lost in cut:
        desk.say(*batch, lost=lost)
        desk.check()
    if standing:
        plain.say(*standing)
    state, sums = desk.order.state, plain.order.state
    assert (state.filled, state.cost, state.fees, state.provisional) == (sums.filled, sums.cost, sums.fees, ())
    assert desk.position.quantity == plain.position.quantity
    cash = [one.position.realized - one.position.entry_cost for one in (desk, plain)]
    assert abs(cash[0] - cash[1]) < Decimal("1E-15")
