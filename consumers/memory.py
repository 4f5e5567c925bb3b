"""What the ledger has applied, by payload: the same bytes again are acknowledged without being read again.

A payload that was committed says nothing new the second time, whatever it came by. The script still looks
for the execution in the record before it acknowledges (R4): what the server lost is folded as if never seen.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache

from msgspec import Struct

from consumers.interpret import Item
from streams.cache import Cache
from streams.keys import AccountKeys
from streams.plans import CommitPlan, EntryPlan, OrderPlan
from streams.reader import Entry
from streams.schemas import Evidence, Execution

FORMATS_MAX = 64  # a venue has a handful


class Applied(Struct, frozen=True, gc=False):
    """Which execution of which order a payload was."""

    client_order_id: str
    execution_id: str


class Memory:
    """Payloads of one account that were applied.

    Attributes:
        cache: payload digest -> what it was.
    """

    def __init__(self, entries_max: int) -> None:
        """Remember at most `entries_max` payloads."""
        self.cache: Cache[bytes, Applied] = Cache(entries_max)

    def learn(self, digests: Mapping[str, bytes], items: Iterable[Item], owners: Mapping[str, str]) -> None:
        """Remember payloads that a commit has just confirmed.

        Args:
            digests: entry id -> `digest` of its payload.
            items: what the batch said.
            owners: entry id -> client order id, of those that the commit acknowledged.
        """
        for item in items:
            owner, digest = owners.get(item.entry), digests.get(item.entry)
            if owner is None or digest is None or not item.facts:
                continue
            first = item.facts[0]  # executions come first
            # One execution proves the payload; with several, one of them would not prove the others.
            if isinstance(first, Execution) and (len(item.facts) == 1 or not isinstance(item.facts[1], Execution)):
                self.cache.put(digest, Applied(owner, first.execution_id))

    def contradicted(self, digests: Iterable[bytes]) -> None:
        """Forget payloads whose execution the server does not have."""
        for one in digests:
            self.cache.drop(one)

    def forget(self) -> None:
        """Forget everything; the server's history is another."""
        self.cache.drop_all()


def reference_plan(known: Sequence[tuple[Entry, Applied]], keys: AccountKeys) -> CommitPlan:
    """Plan a commit that writes nothing: each entry is acknowledged if its order's record has its execution."""
    numbers: dict[str, int] = {}
    entries = []
    for entry, applied in known:
        number = numbers.setdefault(applied.client_order_id, len(numbers) + 1)
        entries.append(EntryPlan(entry.id, number, applied.execution_id))
    # An order without a digest is stale by definition, so the record alone can prove an entry.
    orders = [
        OrderPlan(
            key=number, client_order_id=name, status="", token="", digest="-", new_status="", new_state="",
            new_digest="-", next_look_ms=-2,
        )
        for name, number in numbers.items()
    ]  # fmt: skip
    return CommitPlan(keys=[keys.order(name) for name in numbers], orders=orders, positions=(), entries=entries)


def digest(evidence: Evidence, raw: bytes) -> bytes | None:
    """Digest a payload that no claim waits for; None for what must be read in any case."""
    if not raw or evidence.command is not None or evidence.fact is not None or not evidence.format:
        return None
    total = _begun(evidence.format).copy()
    total.update(raw)
    return total.digest()


@lru_cache(FORMATS_MAX)
def _begun(format: str) -> "hashlib.blake2b":  # noqa: A002 - the word of the streams
    """Begin a digest that only payloads of one format share."""
    return hashlib.blake2b(digest_size=16, person=format.encode()[:16])
