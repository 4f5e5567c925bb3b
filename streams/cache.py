"""A bounded memory in front of Redis: what a reply has confirmed, least recently used first out. Pure.

It can save a round trip and nothing else: no script trusts it.
"""

from collections import OrderedDict
from collections.abc import Iterable
from typing import Generic, TypeVar

from msgspec import Struct

K = TypeVar("K")
V = TypeVar("V")


class Counters(Struct):
    """How a cache does.

    Attributes:
        hits: answers given.
        misses: questions it could not answer.
        evictions: entries that made room for newer ones.
        drops: entries forgotten because the history changed or a reply contradicted them.
    """

    hits: int = 0
    misses: int = 0
    evictions: int = 0
    drops: int = 0

    def figures(self, name: str) -> dict[str, int]:
        """The counters by name, of the cache of one thing."""
        return {
            f"{name}_hits": self.hits, f"{name}_misses": self.misses, f"{name}_evictions": self.evictions,
            f"{name}_drops": self.drops,
        }  # fmt: skip


class Cache(Generic[K, V]):
    """Least recently used entries; whoever holds it forgets them when the server's history is another.

    Attributes:
        counters: since it was made.
    """

    def __init__(self, entries_max: int) -> None:
        """Hold at most `entries_max` entries."""
        if entries_max < 1:
            raise ValueError("a cache holds at least one entry")
        self.counters = Counters()
        self._entries_max = entries_max
        self._entries: OrderedDict[K, V] = OrderedDict()

    def __len__(self) -> int:
        """Count the entries held now."""
        return len(self._entries)

    def get(self, key: K) -> V | None:
        """Look an entry up; None when it is not here."""
        value = self._entries.get(key)
        if value is None:
            self.counters.misses += 1
            return None
        self._entries.move_to_end(key)
        self.counters.hits += 1
        return value

    def peek(self, key: K) -> V | None:
        """Look an entry up without counting it or calling it used."""
        return self._entries.get(key)

    def put(self, key: K, value: V) -> None:
        """Remember what a reply has just confirmed."""
        self.put_all(((key, value),))

    def put_all(self, pairs: Iterable[tuple[K, V]]) -> None:
        """Remember what a reply has just confirmed of many."""
        entries, evictions = self._entries, 0
        for key, value in pairs:
            entries[key] = value
            entries.move_to_end(key)
            if len(entries) > self._entries_max:
                entries.popitem(last=False)
                evictions += 1
        self.counters.evictions += evictions

    def drop(self, key: K) -> None:
        """Forget one entry that a reply contradicted."""
        if self._entries.pop(key, None) is not None:
            self.counters.drops += 1

    def drop_all(self) -> None:
        """Forget everything."""
        self.counters.drops += len(self._entries)
        self._entries.clear()
