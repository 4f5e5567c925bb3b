"""Reads what a batch of evidence touches and memory does not know: nothing at all for orders known here."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

import msgspec
from redis.asyncio import Redis

from consumers.folding import Known, Snapshot, VenueOrder, learned, owner, position_key
from consumers.interpret import Item, decisive
from consumers.known import KnownState
from streams.clock import Clock, SystemClock
from streams.corrections import Waiting, named
from streams.keys import AccountKeys
from streams.record import FIELDS, to_order, to_position
from streams.schemas import Correction, Execution, Position

_waiting = msgspec.json.Decoder(Waiting)
_Wanted = dict[str, set[str]]  # client order id -> executions to ask its record for
_Parked = dict[VenueOrder, dict[str, Waiting]]
_Positions = dict[str, tuple[Position, str]]


class Sight(Protocol):
    """What is known without asking: an order, a position with its digest, how far ahead the server's clock is."""

    ahead_ms: int | None

    def order(self, client_order_id: str) -> Known | None:
        """An order, if it is known."""
        ...

    def position(self, key: str) -> tuple[Position, str] | None:
        """A position and its digest, if it is known."""
        ...


def recall(items: Sequence[Item], sight: Sight, keys: AccountKeys, clock: Clock) -> Snapshot | None:
    """Make a snapshot of what is known alone; None where something has to be read."""
    if sight.ahead_ms is None:
        return None
    orders: dict[str, Known] = {}
    moved: dict[str, Known] = {}
    for item in items:
        if item.ignored:
            continue  # a frame about balances follows nearly every fill; it needs nothing
        facts = item.facts
        name = (facts[0].client_order_id if facts and item.command is None else None) or item.client_order_id
        held = None if name is None else orders.get(name) or sight.order(name)
        if name is None or held is None:
            return None
        if item.command is not None and decisive(item):  # what decides by the time needs the server's clock
            return None
        orders[name] = held
        if facts:
            if facts[0].venue_order_id not in held.order.state.venue_order_ids:
                return None
            moved[name] = held
    places = {
        (terms.symbol, terms.position_side): None for held in moved.values() if (terms := held.order.terms) is not None
    }
    positions: _Positions = {}
    for place in places:
        key = keys.position(*place)
        position = sight.position(key)
        if position is None:
            return None
        positions[key] = position
    return Snapshot(
        now_ms=sight.ahead_ms + clock.monotonic_ms(), orders=orders, owners={}, parked={}, positions=positions
    )


async def read_snapshot(
    redis: Redis, keys: AccountKeys, items: Sequence[Item], known: KnownState | None = None, clock: Clock | None = None
) -> Snapshot:
    """Read orders, mappings, parked executions and positions that `items` speak of.

    Args:
        redis: a connection.
        keys: whose.
        items: what the batch says.
        known: what need not be read; what is read is added to it.
        clock: measures the time since the server's clock was read.
    """
    return await _Reading(redis, keys, known or KnownState(1), clock or SystemClock()).read(items)


class _Reading:
    """The making of one snapshot."""

    def __init__(self, redis: Redis, keys: AccountKeys, known: KnownState, clock: Clock) -> None:
        self._redis, self._keys, self._known, self._clock = redis, keys, known, clock
        self._orders: dict[str, Known] = {}
        self._owners: dict[VenueOrder, str] = {}
        self._parked: _Parked = {}
        self._positions: _Positions = {}

    async def read(self, items: Sequence[Item]) -> Snapshot:
        wanted, unmapped, symbols = self._recall(items)
        if self._known.ahead_ms is not None and not wanted and not unmapped and self._recall_positions(symbols):
            return self._snapshot()
        await self._read_orders(wanted, unmapped)
        strange = [item for item in items if item.client_order_id not in self._orders and item.facts]
        if strange:
            await self._read_owners(items, strange)
        await self._read_rest(items)
        return self._snapshot()

    def _recall(self, items: Sequence[Item]) -> tuple[_Wanted, set[VenueOrder], set[tuple[str, str]]]:
        """Take from memory what it has.

        Returns:
            The orders to read; the venue orders that are not known to be theirs; symbol and side of the positions
            that may move.
        """
        wanted: _Wanted = {}
        unmapped: set[VenueOrder] = set()
        places: set[tuple[str, str]] = set()
        orders, recall = self._orders, self._known.orders.get
        for item in items:
            if item.ignored:
                continue
            name, facts = item.client_order_id, item.facts
            held = orders.get(name) if name is not None else None
            if held is None and name is not None and name not in wanted:
                held = recall(name)
                if held is not None:
                    orders[name] = held
            if held is None or decisive(item):  # what decides by the time needs the server's clock
                wanted.setdefault(name or "", set()).update(_executions(item))
            if facts:
                if held is None or facts[0].venue_order_id not in held.order.state.venue_order_ids:
                    unmapped.add((facts[0].venue_symbol, facts[0].venue_order_id))
                elif held.order.terms is not None:
                    places.add((held.order.terms.symbol, held.order.terms.position_side))
        return wanted, unmapped, places

    def _recall_positions(self, places: Iterable[tuple[str, str]]) -> bool:
        for place in places:
            key = self._keys.position(*place)
            held = self._known.positions.get(key)
            if held is None:
                return False
            self._positions[key] = held
        return True

    async def _read_orders(self, wanted: Mapping[str, set[str]], parked: Iterable[VenueOrder]) -> None:
        """Read records, what waits for venue orders that they may be, and the server's clock."""
        pipe = self._redis.pipeline(transaction=False)
        pipe.time()
        asked = {name: sorted(executions) for name, executions in wanted.items() if name}
        for name, executions in asked.items():
            pipe.hmget(self._keys.order(name), [*FIELDS, *executions])
        venue_orders = sorted(parked)
        for one in venue_orders:
            pipe.hgetall(self._keys.parked(*one))
        (seconds, micros), *rows = await pipe.execute()
        self._known.ahead_ms = int(seconds) * 1000 + int(micros) // 1000 - self._clock.monotonic_ms()
        for (name, executions), row in zip(asked.items(), rows, strict=False):
            order = to_order(self._keys.account, name, row[: len(FIELDS)])
            if order is not None:
                marks = zip(executions, row[len(FIELDS) :], strict=True)
                self._orders[name] = Known(order, frozenset(one for one, mark in marks if mark is not None))
                self._known.orders.put(name, self._orders[name])
        self._keep_parked(venue_orders, rows[len(asked) :])

    async def _read_owners(self, items: Sequence[Item], strange: Sequence[Item]) -> None:
        """Read whose the venue orders are that no known name stands beside, and those orders."""
        asked = sorted({item.venue_order for item in strange if item.venue_order})
        rows: list[Any] = await self._redis.mget([self._keys.venue_order(*one) for one in asked])
        self._owners = {one: row.decode() for one, row in zip(asked, rows, strict=True) if row is not None}
        wanted: _Wanted = {}
        for item in strange:
            if item.venue_order in self._owners:
                wanted.setdefault(self._owners[item.venue_order], set()).update(_executions(item))
        for item in items:  # an order may be named by one item and mapped by another
            if item.client_order_id in wanted:
                wanted[item.client_order_id].update(_executions(item))
        if wanted:
            await self._read_orders(wanted, ())

    async def _read_rest(self, items: Sequence[Item]) -> None:
        """Read the positions that executions move, and what waits for venue orders that are still to be mapped."""
        bare = self._snapshot()
        self._positions = {}
        moved = {owner(item, bare) for item in items if item.facts}
        places = set()
        for name in moved:
            order = self._orders[name].order if name is not None else None
            if order is not None and order.terms is not None:
                places.add(position_key(order, self._keys))
        for place in list(places):
            held = self._known.positions.get(place)
            if held is not None:
                self._positions[place] = held
                places.discard(place)
        mapped = learned(items, bare)
        self._parked = {one: waiting for one, waiting in self._parked.items() if one in mapped}
        venue_orders, missing = sorted(mapped - self._parked.keys()), sorted(places)
        if not venue_orders and not missing:
            return
        pipe = self._redis.pipeline(transaction=False)
        for one in venue_orders:
            pipe.hgetall(self._keys.parked(*one))
        for place in missing:
            pipe.hmget(place, ("state", "digest"))
        rows = await pipe.execute()
        self._keep_parked(venue_orders, rows)
        for place, row in zip(missing, rows[len(venue_orders) :], strict=True):
            self._positions[place] = to_position(row)
            self._known.positions.put(place, self._positions[place])

    def _keep_parked(self, venue_orders: Sequence[VenueOrder], rows: Sequence[Any]) -> None:
        for one, row in zip(venue_orders, rows, strict=False):
            self._parked[one] = {field.decode(): _waiting.decode(value) for field, value in sorted(row.items())}

    def _snapshot(self) -> Snapshot:
        return Snapshot(
            now_ms=(self._known.ahead_ms or 0) + self._clock.monotonic_ms(), orders=self._orders, owners=self._owners,
            parked=self._parked, positions=self._positions,
        )  # fmt: skip


def _executions(item: Item) -> set[str]:
    found: set[str] = set()
    for fact in item.facts:
        if isinstance(fact, Execution):
            found.add(fact.execution_id)
        elif isinstance(fact, Correction):
            found |= named(fact)
    return found
