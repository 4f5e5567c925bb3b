"""What the ledger has applied, by payload: the same bytes again are acknowledged without being read again.

A payload that was committed says nothing new the second time, whatever it came by. The script still looks
for the execution in the record before it acknowledges (R4): what the server lost is folded as if never seen.
"""

from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct

from consumers.interpret import Item
from streams.cache import Cache
from streams.keys import AccountKeys
from streams.plans import AskPlan, CommitPlan, EntryPlan
from streams.reader import Entry
from streams.schemas import Evidence, Execution, execution_id

# A larger payload is a list of many trades, and a rare one; so many bytes are kept of each payload at most.
RAW_BYTES_MAX = 1_024


Payload = tuple[str, bytes]
"""A format and the bytes: looking them up costs less than a digest of them, and nothing else is ever taken for them."""


class Applied(Struct, frozen=True, gc=False):
    """Which execution of which order a payload was."""

    client_order_id: str
    execution_id: str


class Memory:
    """Payloads of one account that were applied.

    Attributes:
        cache: payload -> what it was.
    """

    def __init__(self, entries_max: int) -> None:
        """Remember at most `entries_max` payloads."""
        self.cache: Cache[Payload, Applied] = Cache(entries_max)

    def learn(self, payloads: Mapping[str, Payload], items: Iterable[Item], owners: Mapping[str, str]) -> None:
        """Remember payloads that a commit has just confirmed.

        Args:
            payloads: by entry id, those that may be remembered.
            items: what the batch said.
            owners: entry id -> client order id, of those that the commit acknowledged.
        """
        learned: list[tuple[Payload, Applied]] = []
        for item in items:
            entry, facts = item.entry, item.facts
            owner, payload = owners.get(entry), payloads.get(entry)
            if owner is None or payload is None or not facts:
                continue
            first = facts[0]  # executions come first
            # One execution proves the payload; with several, one of them would not prove the others.
            if type(first) is Execution and (len(facts) == 1 or type(facts[1]) is not Execution):
                learned.append((payload, Applied(owner, execution_id(first.venue_order_id, first.trade_id))))
        self.cache.put_all(learned)

    def forget(self) -> None:
        """Forget everything; the server's history is another."""
        self.cache.drop_all()


def reference_plan(known: Sequence[tuple[Entry, Applied]], keys: AccountKeys) -> CommitPlan:
    """Plan a commit that writes nothing: entries are acknowledged if their order's record has all their executions."""
    asked: dict[str, dict[str, None]] = {}
    numbers: dict[str, int] = {}
    entries = []
    for entry, applied in known:
        name, execution = applied.client_order_id, applied.execution_id
        if name in asked:
            asked[name][execution] = None
        else:
            asked[name], numbers[name] = {execution: None}, len(numbers) + 1
        entries.append(EntryPlan(entry.id, numbers[name]))
    prefix = keys.order("")
    return CommitPlan(
        keys=[prefix + name for name in asked], orders=(), positions=(), entries=entries,
        asked=[AskPlan(number, tuple(executions)) for number, executions in enumerate(asked.values(), start=1)],
    )  # fmt: skip


def payload_of(evidence: Evidence, raw: bytes) -> Payload | None:
    """Give a payload that no claim waits for; None for what must be read in any case."""
    told_by_us = evidence.command is not None or evidence.fact is not None
    if told_by_us or not evidence.format or not 0 < len(raw) <= RAW_BYTES_MAX:
        return None
    return evidence.format, raw
