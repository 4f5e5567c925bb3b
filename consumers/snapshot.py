"""Reads what a batch of evidence touches: as few round trips as its contents allow."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
from redis.asyncio import Redis

from consumers.folding import Known, Snapshot, VenueOrder, learned, owner, position_key
from consumers.interpret import Item
from streams.keys import AccountKeys
from streams.record import FIELDS, to_order, to_position
from streams.schemas import Execution, Position

_execution = msgspec.json.Decoder(Execution)


async def read_snapshot(redis: Redis, keys: AccountKeys, items: Sequence[Item]) -> Snapshot:
    """Read orders, mappings, parked executions and positions that `items` speak of."""
    wanted: dict[str, set[str]] = {}
    for item in items:
        if item.client_order_id is not None:
            wanted.setdefault(item.client_order_id, set()).update(_executions(item))
    now_ms, orders = await _orders(redis, keys, wanted)
    owners: dict[VenueOrder, str] = {}
    strange = [item for item in items if item.client_order_id not in orders and item.venue_order is not None]
    if strange:
        owners = await _owners(redis, keys, {item.venue_order for item in strange if item.venue_order})
        wanted = {}
        for item in strange:
            if item.venue_order in owners:
                wanted.setdefault(owners[item.venue_order], set()).update(_executions(item))
        for item in items:  # an order may be named by one item and mapped by another
            if item.client_order_id in wanted:
                wanted[item.client_order_id].update(_executions(item))
        orders |= (await _orders(redis, keys, wanted))[1] if wanted else {}
    bare = Snapshot(now_ms=now_ms, orders=orders, owners=owners, parked={}, positions={})
    moved = {owner(item, bare) for item in items if item.facts}
    parked, positions = await _rest(
        redis,
        keys,
        learned(items, bare),
        {
            position_key(known.order, keys)
            for name, known in orders.items()
            if name in moved and known.order.terms is not None
        },
    )
    return Snapshot(now_ms=now_ms, orders=orders, owners=owners, parked=parked, positions=positions)


async def _orders(redis: Redis, keys: AccountKeys, wanted: Mapping[str, set[str]]) -> tuple[int, dict[str, Known]]:
    pipe = redis.pipeline(transaction=False)
    pipe.time()
    asked = {name: sorted(executions) for name, executions in wanted.items()}
    for name, executions in asked.items():
        pipe.hmget(keys.order(name), [*FIELDS, *executions])
    (seconds, micros), *rows = await pipe.execute()
    found: dict[str, Known] = {}
    for (name, executions), row in zip(asked.items(), rows, strict=True):
        order = to_order(name, row[: len(FIELDS)])
        if order is not None:
            marks = zip(executions, row[len(FIELDS) :], strict=True)
            found[name] = Known(order, frozenset(one for one, mark in marks if mark is not None))
    return int(seconds) * 1000 + int(micros) // 1000, found


async def _owners(redis: Redis, keys: AccountKeys, orders: Iterable[VenueOrder]) -> dict[VenueOrder, str]:
    asked = sorted(orders)
    rows: list[Any] = await redis.mget([keys.venue_order(*one) for one in asked])
    return {one: row.decode() for one, row in zip(asked, rows, strict=True) if row is not None}


async def _rest(
    redis: Redis, keys: AccountKeys, mapped: Iterable[VenueOrder], position_keys: Iterable[str]
) -> tuple[dict[VenueOrder, dict[str, Execution]], dict[str, tuple[Position, str]]]:
    venue_orders, places = sorted(mapped), sorted(position_keys)
    if not venue_orders and not places:
        return {}, {}
    pipe = redis.pipeline(transaction=False)
    for one in venue_orders:
        pipe.hgetall(keys.parked(*one))
    for place in places:
        pipe.hmget(place, ("state", "digest"))
    rows = await pipe.execute()
    parked = {
        one: {field.decode(): _execution.decode(value) for field, value in sorted(row.items())}
        for one, row in zip(venue_orders, rows, strict=False)
    }
    positions = {place: to_position(row) for place, row in zip(places, rows[len(venue_orders) :], strict=True)}
    return parked, positions


def _executions(item: Item) -> set[str]:
    return {fact.execution_id for fact in item.facts if isinstance(fact, Execution)}
