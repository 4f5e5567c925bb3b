"""Compares the stored state of an account with the fold of its journal, field by field."""

from collections.abc import Callable
from typing import Any

from msgspec import Struct
from redis.asyncio import Redis

from streams import events
from streams.keys import AccountKeys
from streams.rebuild import TRANSPORT, Hash, Parting, Rebuilt, digest
from streams.record import written_out

PAGE = 1_000
DIFFERENCES_MAX = 50


class Difference(Struct, frozen=True):
    """One field that is not what the journal says; `entry` is the journal's last word on its key."""

    key: str
    field: str
    stored: str
    folded: str
    entry: str


class Verdict(Struct, frozen=True, kw_only=True):
    """What `verify` found.

    Attributes:
        entries: journal entries folded.
        orders: order records compared.
        stored, folded: one hash each over the whole state.
        differences: the first of them.
        parted: the first entry whose own fold differs from what it wrote.
    """

    account: str
    entries: int
    orders: int
    stored: str
    folded: str
    differences: tuple[Difference, ...] = ()
    parted: Parting | None = None

    @property
    def good(self) -> bool:
        """The stored state is the fold of the journal, byte for byte."""
        return self.stored == self.folded and self.parted is None


async def rebuild(
    redis: Redis, keys: AccountKeys, until: str = "+", show: Callable[[int], None] | None = None
) -> Rebuilt:
    """Fold the journal from its beginning.

    Args:
        redis: any connection.
        keys: whose journal.
        until: last entry id to fold, or `+`.
        show: called with the number of entries folded, a page at a time.
    """
    rebuilt, start = Rebuilt(keys), "-"
    while True:
        rows: Any = await redis.xrange(keys.events, min=start, max=until, count=PAGE)
        for entry, fields in rows:
            rebuilt.apply(entry.decode(), events.decode(fields[b"data"]))
            start = f"({entry.decode()}"
        if show is not None:
            show(rebuilt.entries)
        if not rows:
            return rebuilt


async def verify(redis: Redis, keys: AccountKeys, show: Callable[[int], None] | None = None) -> Verdict:
    """Fold the journal and compare; nobody may write meanwhile."""
    rebuilt = await rebuild(redis, keys, show=show)
    hashes, texts = await stored(redis, keys)
    kept, folded = digest(hashes, texts), digest(rebuilt.hashes, rebuilt.texts)
    return Verdict(
        account=keys.account,
        entries=rebuilt.entries,
        orders=sum(key.startswith(keys.order("")) for key in hashes),
        stored=kept,
        folded=folded,
        differences=() if kept == folded else tuple(_differences(rebuilt, hashes, texts)[:DIFFERENCES_MAX]),
        parted=rebuilt.parted,
    )


async def stored(redis: Redis, keys: AccountKeys) -> tuple[dict[str, Hash], dict[str, str]]:
    """Read the stored state as a fold makes it: hashes and texts by key, without what only transports."""
    hashes: dict[str, Hash] = {}
    texts: dict[str, str] = {}
    for pattern in (keys.order(""), keys.position(""), keys.parked("", "").removesuffix(":"), keys.holdings):
        found = [key.decode() async for key in redis.scan_iter(match=f"{pattern}*", count=PAGE)]
        for start in range(0, len(found), PAGE):
            page = found[start : start + PAGE]
            pipe = redis.pipeline(transaction=False)
            for key in page:
                pipe.hgetall(key)
            for key, row in zip(page, await pipe.execute(), strict=True):
                fields = {name.decode(): value.decode() for name, value in row.items()}
                if pattern == keys.order(""):
                    fields = written_out(keys.account, fields)
                hashes[key] = {name: value for name, value in fields.items() if name not in TRANSPORT}
    mapped = [key async for key in redis.scan_iter(match=f"{keys.venue_order('', '').removesuffix(':')}*", count=PAGE)]
    for start in range(0, len(mapped), PAGE):
        page = mapped[start : start + PAGE]
        values: Any = await redis.mget(page)
        texts |= {key.decode(): value.decode() for key, value in zip(page, values, strict=True)}
    return hashes, texts


def _differences(rebuilt: Rebuilt, hashes: dict[str, Hash], texts: dict[str, str]) -> list[Difference]:
    found: list[Difference] = []
    for key in sorted(set(hashes) | set(rebuilt.hashes)):
        stored, folded = hashes.get(key, {}), rebuilt.hashes.get(key, {})
        found += [
            Difference(key, name, stored.get(name, ""), folded.get(name, ""), rebuilt.last_entry(key))
            for name in sorted(set(stored) | set(folded))
            if stored.get(name) != folded.get(name)
        ]
    found += [
        Difference(key, "", texts.get(key, ""), rebuilt.texts.get(key, ""), "")
        for key in sorted(set(texts) | set(rebuilt.texts))
        if texts.get(key) != rebuilt.texts.get(key)
    ]
    return found
