"""From facts and a snapshot to one commit. Pure: what the ledger writes is decided here, without a wait.

An order's evidence in a batch is folded in stream order into one change; a position is folded over all
orders of the batch that move it. What belongs to no known order is parked or passed.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from consumers.interpret import Item
from streams import codec, events
from streams.corrections import Move, Waiting, marks, moves, named, settle, waits_as
from streams.course import advance
from streams.holdings import liquidated
from streams.keys import AccountKeys
from streams.lifecycle import DOUBLE, Resubmission, fold, missing
from streams.money import text
from streams.plans import CommitPlan, EntryPlan, OrderPlan, ParkPlan, PositionPlan
from streams.plans import Mapping as VenueMapping
from streams.position import back, run, settled, step
from streams.schemas import (
    TERMINAL,
    Accepted,
    Command,
    Correction,
    Execution,
    Inferred,
    Order,
    OrderFact,
    OrderReport,
    Place,
    Position,
    Throttled,
    epoch_ms,
)

LOOK_NEVER, LOOK_AS_IT_IS = -1, -2
# An answer that never came: ask soon, the venue shows an accepted order within its look-up lag.
LOOK_SOON_MS = 100
# Not sent for a dead connection or a rate limit: long enough not to spin, short enough for a strategy.
LOOK_RETRY_MIN_MS, LOOK_RETRY_MAX_MS = 500, 60_000

VenueOrder = tuple[str, str]


class Known(Struct, frozen=True, gc=False):
    """An order as read or as last confirmed, and executions that its record has.

    Of an order just read these are all of the batch that it has. One from memory may have more than are named here:
    the commit finds that out, and the order is read.
    """

    order: Order
    seen: frozenset[str]


class Snapshot(Struct, frozen=True, kw_only=True):
    """Everything a batch is folded from.

    Attributes:
        now_ms: the server's clock at about the time of reading.
        orders: by client order id; an id without a record is not in it.
        owners: venue order -> client order id, where a mapping exists.
        parked: venue order -> executions, and corrections of them, that wait for it.
        positions: by key, with the digest each was read at.
    """

    now_ms: int
    orders: Mapping[str, Known]
    owners: Mapping[VenueOrder, str]
    parked: Mapping[VenueOrder, Mapping[str, Waiting]]
    positions: Mapping[str, tuple[Position, str]]


class Rules(Struct, frozen=True):
    """What the fold must know of the venue and the settings."""

    resubmission_allowed: bool
    calm_ms: int


class Folded(Struct, frozen=True, kw_only=True):
    """What is to be done with a batch.

    Attributes:
        commit: what is written.
        parks: what waits beside it.
        orders: the order of each plan as it stands once that is written, in their order.
        positions: position key of each position plan -> the position after it, with its digest.
        doubles: orders of which a second one has come to light at the venue.
        repeated: entries that told an execution once more, with the number of its order.
    """

    commit: CommitPlan
    parks: Sequence[ParkPlan]
    orders: Sequence[Order]
    positions: Mapping[str, tuple[Position, str]]
    doubles: Sequence[str]
    repeated: Sequence[tuple[str, int]]


def owner(item: Item, snapshot: Snapshot) -> str | None:
    """Name the known order an item belongs to."""
    named = item.client_order_id
    if named is not None and named in snapshot.orders:
        return named
    mapped = snapshot.owners.get(item.venue_order) if item.venue_order else None
    return mapped if mapped in snapshot.orders else None


def learned(items: Iterable[Item], snapshot: Snapshot) -> set[VenueOrder]:
    """List the venue orders that a batch will map to one of ours; their parked sets must be read first."""
    found = set()
    for item in items:
        whose = owner(item, snapshot)
        if whose is not None and item.venue_order is not None:
            known = snapshot.orders[whose].order
            if known.terms is not None and item.venue_order[1] not in known.state.venue_order_ids:
                found.add(item.venue_order)
    return found


def position_key(order: Order, keys: AccountKeys) -> str:
    """Key of the position an order moves."""
    assert order.terms is not None
    return keys.position(order.terms.symbol, order.terms.position_side)


def fold_batch(items: Sequence[Item], snapshot: Snapshot, rules: Rules, keys: AccountKeys) -> Folded:
    """Fold a batch into one commit and the parkings beside it."""
    return _Batch(snapshot, rules, keys).fold(items)


class _Progress(Struct):
    """One order on its way through a batch.

    Attributes:
        was: the order as it was read.
        seen: executions that its record has.
        number: of its plan.
        order: as it stands so far.
        facts: what changed it, in order.
        evidence: the entries they came from.
        executions: new ones, in the order they came.
        moves: those that move its position, and what else does.
        plain: whether executions are all that moves.
        place: key of that position.
        relied: executions passed over because the record is said to have them.
        mappings: venue orders that are now known to be this one.
        commands: answers to its claims.
    """

    was: Order
    seen: frozenset[str]
    number: int
    order: Order
    facts: list[OrderFact | Command] = []
    evidence: dict[str, None] = {}
    executions: dict[str, Any] = {}
    moves: list[Execution | Move] = []
    plain: bool = True
    place: str = ""
    relied: dict[str, None] = {}
    mappings: list[VenueMapping] = []
    commands: list[Command] = []

    @property
    def doubled(self) -> bool:
        """Whether this batch showed a second order under its client order id."""
        return DOUBLE in self.order.state.anomalies and DOUBLE not in self.was.state.anomalies


class _Batch:
    """The fold of one batch; lives for one call of `fold_batch`."""

    def __init__(self, snapshot: Snapshot, rules: Rules, keys: AccountKeys) -> None:
        self.snapshot, self.rules, self.keys = snapshot, rules, keys
        self.again = Resubmission(rules.resubmission_allowed, snapshot.now_ms)
        self.numbers: dict[str, int] = {}  # key -> its number in the plan
        self.progress: dict[str, _Progress] = {}
        self.places: dict[tuple[str, str], str] = {}  # symbol and side -> position key
        self.quantities: dict[str, str] = {}  # position key -> its quantity after the batch
        self._positions_prefix, self._orders_prefix = keys.position(""), keys.order("")
        self.moved: dict[str, Position] = {}  # position key -> after the fills so far
        self.waiting: dict[str, tuple[Place, list[Execution]]] = {}  # position key -> executions that only add to it
        self.entries: list[EntryPlan] = []
        self.passed: list[str] = []
        self.parks: list[ParkPlan] = []
        self.repeated: list[tuple[str, int]] = []

    def fold(self, items: Sequence[Item]) -> Folded:
        orders = self.snapshot.orders
        for name, group in self._grouped(items).items():
            if not self._advance(orders[name], group):
                for item in group:
                    self._apply(item, orders[name])
        # Positions are folded in the order in which the journal tells the executions, so that it tells the same.
        for one in self.progress.values():
            if one.moves:
                self._move(one)
        for key in self.waiting:
            self._run(key)
        self.moved = {key: settled(position) for key, position in self.moved.items()}
        positions = {key: number for number, key in enumerate(self.moved, start=1)}
        plans = [self._order_plan(one, positions) for one in self.progress.values()]
        moves = [self._position_plan(key) for key in self.moved]
        # Keys are numbered while the plans are made, so they are listed last.
        commit = CommitPlan(
            keys=list(self.numbers), orders=plans, positions=moves, entries=self.entries, passed=self.passed
        )
        return Folded(
            commit=commit,
            parks=self.parks,
            orders=[one.order for one in self.progress.values()],
            positions={
                key: (after, plan.new_digest)
                for (key, after), plan in zip(self.moved.items(), moves, strict=True)
            },
            doubles=[name for name, one in self.progress.items() if one.order.state.anomalies and one.doubled],
            repeated=self.repeated,
        )  # fmt: skip

    def _grouped(self, items: Sequence[Item]) -> dict[str, list[Item]]:
        """Put together what was told of each order; what belongs to none is parked or passed."""
        orders, groups = self.snapshot.orders, dict[str, list[Item]]()
        for item in items:
            facts = item.facts
            # The name that nearly every payload has; `owner` knows all the ways to name an order.
            whose = facts[0].client_order_id if facts and item.command is None else None
            if whose not in orders:
                whose = owner(item, self.snapshot)
            if whose is None or (facts and orders[whose].order.terms is None):
                self._unknown(item)
            elif whose in groups:
                groups[whose].append(item)
            else:
                groups[whose] = [item]
        return groups

    def _advance(self, known: Known, group: Sequence[Item]) -> bool:
        """Fold all that was told of an order in one pass; False when it is more than executions and reports."""
        was, number = known.order, len(self.progress) + 1
        told = [(item.entry, item.facts) for item in group if item.command is None]
        after = advance(was, told, known.seen) if len(told) == len(group) else None
        if after is None:
            return False
        self.progress[was.client_order_id] = _Progress(
            was, known.seen, number, after.order, [*after.facts], dict.fromkeys(after.entries), after.executions,
            [*after.executions.values()],
        )  # fmt: skip
        self.entries += [EntryPlan(entry, number) for entry, _ in told]
        return True

    def _apply(self, item: Item, known: Known) -> None:
        name = known.order.client_order_id
        one = self.progress.get(name)
        if one is None:
            one = self.progress[name] = _Progress(known.order, known.seen, len(self.progress) + 1, known.order)
        proof, facts = "", item.facts
        if facts:
            if facts[0].venue_order_id not in one.order.state.venue_order_ids:
                self._learn(one, item)
            for fact in facts:
                if isinstance(fact, Execution):
                    proof = self._execute(one, fact, item.entry)
                elif isinstance(fact, Correction):
                    self._correct(one, fact, item.entry)
                else:
                    if isinstance(fact, Inferred):
                        self._count(one, fact)
                    self._step(one, fact, item.entry)
        if item.command is not None:
            one.commands.append(item.command)
            if not isinstance(item.command.outcome, Accepted):
                self._step(one, item.command, item.entry)
        # An entry that only repeats a known execution is proven by that execution, whatever else happened.
        only_execution = proof in known.seen and len(facts) == 1
        self.entries.append(EntryPlan(item.entry, one.number, proof if only_execution else ""))

    def _execute(self, one: _Progress, fact: Execution, entry: str) -> str:
        execution_id = fact.execution_id
        if execution_id in one.seen or execution_id in one.executions:
            self.repeated.append((entry, one.number))
            if execution_id in one.seen:
                one.relied[execution_id] = None
        else:
            one.executions[execution_id] = None
            if one.order.state.provisional:
                self._count(one, fact)
            else:
                one.moves.append(fact)
            self._step(one, fact, entry)
        return execution_id

    def _count(self, one: _Progress, fact: OrderFact) -> None:
        """Take in a fact that moves more, or other things, than one execution."""
        found = moves(one.order, fact)
        one.moves += found
        one.plain = one.plain and not found

    def _correct(self, one: _Progress, fact: Correction, entry: str) -> None:
        """Take an execution back, once; the record tells whether it was ever counted."""
        if fact.mark in one.seen:
            one.relied[fact.mark] = None
            return
        if fact.mark in one.executions:
            return
        fact = settle(fact, lambda name: name in one.seen or name in one.executions)
        for name in sorted(named(fact) & one.seen):
            one.relied[name] = None
        one.executions.update(dict.fromkeys(marks(fact)))
        self._count(one, fact)
        # Also where nothing moves, the journal must tell of the marks.
        one.order = fold(one.order, fact, self.again)
        one.facts.append(fact)
        one.evidence[entry] = None

    def _step(self, one: _Progress, fact: OrderFact | Command, entry: str) -> None:
        after = fold(one.order, fact, self.again)
        if after != one.order:
            one.order = after
            one.facts.append(fact)
            one.evidence[entry] = None

    def _learn(self, one: _Progress, item: Item) -> None:
        """Map a venue order id to this order, and take in what was parked for it."""
        first = item.facts[0]
        venue_order = (first.venue_symbol, first.venue_order_id)
        generation = first.generation if isinstance(first, Execution | OrderReport) else 0
        parked = self.snapshot.parked.get(venue_order, {})
        one.mappings.append(
            VenueMapping(
                self._number(self.keys.venue_order(*venue_order)),
                self._number(self.keys.parked(*venue_order)),
                codec.parked_digest([execution_id.encode() for execution_id in parked]),
            )
        )
        for execution in (fact for fact in parked.values() if isinstance(fact, Execution)):
            # What waited may not name its order at the venue; the payload that makes it known does.
            self._execute(one, replace(execution, generation=generation) if generation else execution, item.entry)
        taken_back = [fact for fact in parked.values() if isinstance(fact, Correction)]
        for correction in sorted(taken_back, key=lambda fact: (fact.corrected_at_ms, fact.mark)):
            self._correct(one, _of_leg(correction, generation) if generation else correction, item.entry)

    def _move(self, one: _Progress) -> None:
        terms, key = one.order.terms, self._place(one.order)
        assert terms is not None
        one.place = key
        if one.plain:
            # All orders of a position in one pass: it looks at nothing of an order but the symbol, which is one.
            if key not in self.waiting:
                self.waiting[key] = (terms, [])
                self.moved.setdefault(key, self.snapshot.positions[key][0])
            self.waiting[key][1].extend(one.moves)  # type: ignore[arg-type]  # `plain` says so
            return
        self._run(key)
        position = self.moved[key] if key in self.moved else self.snapshot.positions[key][0]
        for fact in one.moves:
            if isinstance(fact, Execution):
                position = step(position, terms, fact)
            else:
                position = (back if fact.back else step)(position, terms, fact.execution)
        self.moved[key] = position

    def _run(self, key: str) -> None:
        """Move a position by the executions that wait for it."""
        if key in self.waiting:
            terms, executions = self.waiting[key]
            self.moved[key] = run(self.moved[key], terms, executions)
            executions.clear()

    def _place(self, order: Order) -> str:
        assert order.terms is not None
        where = (order.terms.symbol, order.terms.position_side)
        key = self.places.get(where)
        if key is None:
            key = self.places[where] = position_key(order, self.keys)
        return key

    def _unknown(self, item: Item) -> None:
        waiting = [fact for fact in item.facts if isinstance(fact, Waiting)]
        if waiting and item.venue_order is not None:
            self.parks.append(self._park_plan(item, waiting, item.venue_order))
            return
        reason = item.ignored or (
            f"no record of order {item.client_order_id}" if item.client_order_id else "an order of another system"
        )
        change = events.Passed(id=f"passed:{item.entry}", evidence=item.entry, reason=reason)
        self.passed.append(codec.encode_text(change))
        self.entries.append(EntryPlan(item.entry, 0))

    def _park_plan(self, item: Item, waiting: list[Waiting], venue_order: VenueOrder) -> ParkPlan:
        rows = []
        for one in waiting:
            name, execution = waits_as(one)
            change = events.Parked(
                id=f"parked:{one.venue_symbol}:{name}", execution=execution, evidence=item.entry,
                correction=one if isinstance(one, Correction) else None,
            )  # fmt: skip
            rows.append((name, codec.encode_text(one), codec.encode_text(change)))
        named, first = self.snapshot.owners.get(venue_order) or item.client_order_id, waiting[0]
        return ParkPlan(
            entry=item.entry,
            parked_key=self.keys.parked(*venue_order),
            venue_order_key=self.keys.venue_order(*venue_order),
            order_key=self.keys.order(named) if named else None,
            executions=rows,
            adjustment=liquidated(first) if len(waiting) == 1 and isinstance(first, Execution) else "",
        )

    def _order_plan(self, one: _Progress, positions: Mapping[str, int]) -> OrderPlan:
        was, now = one.was, one.order
        # Facts are kept exactly when they change something.
        changed = bool(one.facts or one.mappings)
        state = codec.encode_text(now.state)
        digest = was.digest
        position, change = one.place, ""
        if changed:
            digest = codec.chain(was.digest, now.status, state)
            change = self._change(one, digest, position)
            one.order = replace(now, digest=digest)
        return OrderPlan(
            key=self._number(self._order_key(now.client_order_id)),
            client_order_id=now.client_order_id,
            status=was.status,
            token=was.token,
            digest=was.digest,
            new_status=now.status,
            new_state=state,
            new_digest=digest,
            next_look_ms=_next_look_ms(one, self.rules, self.snapshot.now_ms),
            executions=tuple(one.executions),
            change=change,
            mappings=tuple(one.mappings),
            position=positions[position] if position else 0,
            cancel_requested=was.cancel_requested,
            relied=tuple(one.relied),
            amend_told=was.amend is not None and now.amend is None,
            revision=now.state.revision if now.state.revision > was.state.revision else 0,
        )

    def _change(self, one: _Progress, digest: str, position: str) -> str:
        order, terms = one.order, one.order.terms
        return codec.encode_text(
            events.Updated(
                id=digest,
                client_order_id=order.client_order_id,
                strategy=terms.strategy if terms else "",
                symbol=terms.symbol if terms else "",
                facts=tuple(one.facts),
                evidence=tuple(one.evidence),
                status=order.status,
                filled=text(order.state.filled),
                quantity=text(order.quantity) if order.state.revision else "",
                now_ms=self.snapshot.now_ms,
                resubmission_allowed=self.rules.resubmission_allowed,
                position=position.removeprefix(self._positions_prefix),
                position_quantity=self._quantity(position) if position else "",
                anomalies=order.state.anomalies,
                moves=() if one.plain else tuple(Move(x) if isinstance(x, Execution) else x for x in one.moves),
            )
        )

    def _quantity(self, position: str) -> str:
        """Text of a position's quantity after the batch; every order that moved it tells the same one."""
        shown = self.quantities.get(position)
        if shown is None:
            shown = self.quantities[position] = text(self.moved[position].quantity)
        return shown

    def _position_plan(self, key: str) -> PositionPlan:
        state, digest = codec.encode_text(self.moved[key]), self.snapshot.positions[key][1]
        return PositionPlan(self._number(key), digest, state, codec.chain(digest, "position", state))

    def _order_key(self, client_order_id: str) -> str:
        return self._orders_prefix + client_order_id

    def _number(self, key: str) -> int:
        return self.numbers.setdefault(key, len(self.numbers) + 1)


def _of_leg(correction: Correction, generation: int) -> Correction:
    """The correction as one of a replaced order's leg, which a list that names no client order id cannot tell."""
    instead = correction.instead
    return replace(
        correction,
        execution=replace(correction.execution, generation=generation),
        instead=None if instead is None else replace(instead, generation=generation),
    )


def _next_look_ms(one: _Progress, rules: Rules, now_ms: int) -> int:  # noqa: PLR0911 - one for each way to stand
    order = one.order
    if order.status in TERMINAL:
        if missing(order):
            return LOOK_SOON_MS
        # What is inferred is asked for until the real executions are here.
        return rules.calm_ms if order.state.provisional else LOOK_NEVER
    if order.status == "created":
        if order == one.was:
            return LOOK_AS_IT_IS
        told = [said.outcome.retry_after_ms for said in one.commands if isinstance(said.outcome, Throttled)]
        # Who was throttled comes back when the venue said; else, the longer it was tried, the longer until the next.
        age_ms = now_ms - epoch_ms(order.terms.signal_time) if order.terms else 0
        again_ms = min(LOOK_RETRY_MAX_MS, max([LOOK_RETRY_MIN_MS, *(told or [age_ms // 4])]))
        return max(0, min(again_ms, order.valid_until_ms + 1 - now_ms))  # looked at when it expires, too
    if order.status in ("submitting", "unknown"):
        return LOOK_AS_IT_IS if order.status == one.was.status else LOOK_SOON_MS
    if order.amend is not None and order.amend == one.was.amend and not one.commands:
        return LOOK_AS_IT_IS
    # A cancel or an amend that did nothing, or of which nobody can tell: the order itself is asked for.
    doubtful = any(c.kind != "place" and not isinstance(c.outcome, Accepted) for c in one.commands)
    return LOOK_SOON_MS if doubtful or missing(order) else rules.calm_ms
