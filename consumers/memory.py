"""What the ledger has applied, by payload: the same bytes again are acknowledged without being read again.

A payload that was committed says nothing new the second time, whatever it came by. The script still looks
for the execution in the record before it acknowledges (R4): what the server lost is folded as if never seen.
"""

import hashlib
from collections.abc import Iterable, Sequence

import msgspec
from msgspec import Struct

from consumers.interpret import Item
from streams import codec
from streams.cache import Cache
from streams.keys import AccountKeys
from streams.plans import CommitPlan, EntryPlan, OrderPlan
from streams.reader import Entry
from streams.schemas import Execution


class Applied(Struct, frozen=True):
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

    def split(self, entries: Sequence[Entry]) -> tuple[list[tuple[Entry, Applied]], list[Entry]]:
        """Tell entries whose payload was applied from those that must be read."""
        known: list[tuple[Entry, Applied]] = []
        rest: list[Entry] = []
        for entry in entries:
            digest = _digest(entry)
            applied = self.cache.get(digest) if digest is not None else None
            if applied is None:
                rest.append(entry)
            else:
                known.append((entry, applied))
        return known, rest

    def learn(self, entries: Iterable[Entry], items: Sequence[Item], owners: dict[str, str]) -> None:
        """Remember payloads that a commit has just confirmed.

        Args:
            entries: of the batch.
            items: what they said.
            owners: entry id -> client order id, of those that the commit acknowledged.
        """
        said = {item.entry: item for item in items}
        for entry in entries:
            item, owner = said.get(entry.id), owners.get(entry.id)
            executions = [fact for fact in item.facts if isinstance(fact, Execution)] if item else []
            # One execution proves the payload; with several, one of them would not prove the others.
            if owner is not None and len(executions) == 1 and (digest := _digest(entry)) is not None:
                self.cache.put(digest, Applied(owner, executions[0].execution_id))

    def contradicted(self, entries: Iterable[Entry]) -> None:
        """Forget payloads whose execution the server does not have."""
        for entry in entries:
            if (digest := _digest(entry)) is not None:
                self.cache.drop(digest)

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


def _digest(entry: Entry) -> bytes | None:
    """Digest of a payload that no claim waits for; None for what must be read in any case."""
    raw = entry.fields.get(b"raw")
    if not raw:
        return None
    try:
        evidence = codec.decode_evidence(entry.fields.get(b"data", b""))
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return None
    if evidence.command is not None or not evidence.format:
        return None
    return hashlib.blake2b(raw, digest_size=16, person=evidence.format.encode()[:16]).digest()
