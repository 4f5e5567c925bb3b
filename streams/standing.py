"""How an account stands at one entry of its journal: what a strategy is given before its first event.

The state is read in one transaction together with the journal's last entry, so it is the fold of exactly the entries
up to that one. Which orders to read must be known before, so the transaction is repeated; an order that the last one
shows and that was not known before was made since, and is folded from the journal.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from msgspec import Struct
from msgspec.structs import replace
from redis.asyncio import Redis

from streams import codec, events
from streams.errors import StoreError
from streams.keys import AccountKeys
from streams.marks import Marks
from streams.notices import Snapshot
from streams.rebuild import Rebuilt
from streams.record import FIELDS, to_order, to_position
from streams.schemas import Order

PAGE = 500
ROUNDS_MAX = 20
NO_ENTRY = "0-0"


class Standing(Struct, frozen=True):
    """A snapshot, the server's history it was read under, and the newest entry of `marks` it has."""

    snapshot: Snapshot
    history: str
    mark: str = ""


async def read_standing(redis: Redis, keys: AccountKeys, strategy: str) -> Standing:
    """Read every position of the account and the live orders of one strategy, as of one journal entry.

    Raises:
        StoreError: orders come back to life faster than they can be read.
    """
    mine: list[str] = []
    held: list[bytes] = []
    judged: set[str] = set()
    before = ""
    for _ in range(ROUNDS_MAX):
        pipe = redis.pipeline(transaction=True)
        pipe.xrevrange(keys.events, count=1)
        pipe.time()
        pipe.hget(keys.control, "history")
        pipe.zrange(keys.live, 0, -1)
        pipe.smembers(keys.positions)
        pipe.xrevrange(keys.marks, count=PAGE)
        for one in mine:
            pipe.hmget(keys.order(one), FIELDS)
        for key in held:
            pipe.hmget(key, ("state", "digest"))
        tip, now, history, live, positions, marked, *rows = await pipe.execute()
        entry = tip[0][0].decode() if tip else NO_ENTRY
        found = {one.decode() for one in live} - judged
        judged |= found
        new = await _of_strategy(redis, keys, sorted(found), strategy)
        made = await _made(redis, keys, new, before, entry) if before else {}
        if made.keys() == set(new) and set(positions) == set(held):
            orders = {one: to_order(keys.account, one, row) for one, row in zip(mine, rows, strict=False)} | made
            shown = dict(zip(held, rows[len(mine) :], strict=True))
            marks = Marks(redis, keys)
            marks.take(reversed(marked))
            snapshot = _snapshot(keys, entry, now, orders.values(), shown, marks)
            return Standing(snapshot, history.decode() if history else "", marks.last)
        mine, held, before = [*mine, *new], sorted(positions), entry
    raise StoreError(f"{keys.account} cannot be read at one moment; is the server at its limit?")


def _snapshot(  # noqa: PLR0917 - what was read, in the order it was
    keys: AccountKeys, entry: str, now: Any, orders: Iterable[Order | None], positions: Mapping[bytes, Any],
    marks: Marks,
) -> Snapshot:  # fmt: skip
    prefix = keys.position("")
    return Snapshot(
        event_id=f"snapshot:{entry}",
        account=keys.account,
        at_ms=int(now[0]) * 1000 + int(now[1]) // 1000,
        entry=entry,
        positions={key.decode().removeprefix(prefix): to_position(row)[0] for key, row in positions.items()},
        orders=tuple(one for one in orders if one is not None and one.live),
        marks={symbol: price for symbol, (price, _) in marks.prices.items()},
    )


async def _made(
    redis: Redis, keys: AccountKeys, client_order_ids: Sequence[str], after: str, until: str
) -> dict[str, Order]:
    """Fold orders that were made between two entries out of what the journal says in between."""
    if not client_order_ids:
        return {}
    rebuilt, wanted = Rebuilt(keys), set(client_order_ids)
    rows: Any = await redis.xrange(keys.events, min=f"({after}", max=until)
    for entry, fields in rows:
        said = events.decode(fields[b"data"])
        # Of orders that are older the journal tells only the end here, which nothing can be folded from.
        mine = [change for change in said.changes if getattr(change, "client_order_id", "") in wanted]
        rebuilt.apply(entry.decode(), replace(said, changes=mine))
    folded = {one: rebuilt.order(one) for one in client_order_ids}
    return {one: order for one, order in folded.items() if order is not None}


async def _of_strategy(redis: Redis, keys: AccountKeys, client_order_ids: Sequence[str], strategy: str) -> list[str]:
    found: list[str] = []
    for start in range(0, len(client_order_ids), PAGE):
        page = client_order_ids[start : start + PAGE]
        pipe = redis.pipeline(transaction=False)
        for one in page:
            pipe.hget(keys.order(one), "terms")
        for one, terms in zip(page, await pipe.execute(), strict=True):
            if terms and codec.decode_terms(terms, keys.account).strategy == strategy:
                found.append(one)
    return found


def covers(entry: str, other: str) -> bool:
    """Whether a snapshot at `entry` contains the journal entry `other`."""
    return _order(other) <= _order(entry)


def _order(entry: str) -> tuple[int, int]:
    ms, _, number = entry.partition("-")
    return int(ms), int(number or 0)
