"""From an entry of `evidence` to facts. Pure: bytes in, values out; what cannot be used says why."""

import logging
from collections.abc import Mapping, Sequence

import msgspec
from msgspec import Struct

from adapters.venue import Decoder
from streams import codec
from streams.errors import BadPayload
from streams.reader import Entry
from streams.schemas import (
    Accepted,
    Adjustment,
    Command,
    Correction,
    Evidence,
    Execution,
    Fact,
    Ignored,
    OrderFact,
    OrderReport,
)

log = logging.getLogger("fillonce.ledger")

_NOTHING: Sequence[Fact] = ()


class Item(Struct, frozen=True, kw_only=True, gc=False):
    """What one entry says, all of it about one order.

    Attributes:
        entry: its id.
        facts: executions before the report that counts them.
        command: the claim it answers, where the answer itself is news.
        adjustment: what it changes beside all orders, instead of facts and command.
        ignored: why it says nothing, when there is none of them.
    """

    entry: str
    facts: tuple[OrderFact, ...] = ()
    command: Command | None = None
    adjustment: Adjustment | None = None
    ignored: str = ""

    @property
    def client_order_id(self) -> str | None:
        """The client order id it names, if it names one."""
        if self.command is not None:
            return self.command.client_order_id
        for fact in self.facts:
            if fact.client_order_id:
                return fact.client_order_id
        return None

    @property
    def venue_order(self) -> tuple[str, str] | None:
        """Venue symbol and venue order id, if facts name them."""
        return (self.facts[0].venue_symbol, self.facts[0].venue_order_id) if self.facts else None


class Bad(Struct, frozen=True, kw_only=True):
    """An entry that cannot be used."""

    entry: str
    reason: str
    raw: bytes


def interpret(entry: Entry, decode: Decoder) -> Item | Bad:
    """Decode one entry of `evidence`."""
    evidence = read(entry)
    return evidence if isinstance(evidence, Bad) else say(entry, evidence, decode)


def read(entry: Entry) -> Evidence | Bad:
    """Decode what we said of a payload when we stored it."""
    data = entry.fields.get(b"data")
    if data is None:
        return Bad(entry=entry.id, reason=_no_data(entry.fields), raw=entry.fields.get(b"raw", b""))
    try:
        return codec.decode_evidence(data)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        return Bad(entry=entry.id, reason=f"not evidence: {error}", raw=data)


def say(entry: Entry, evidence: Evidence, decode: Decoder) -> Item | Bad:
    """Decode the payload itself."""
    raw = entry.fields.get(b"raw", b"")
    try:
        return _item(entry.id, evidence, raw, decode)
    except BadPayload as error:
        return Bad(entry=entry.id, reason=str(error), raw=raw)
    except Exception as error:  # a defect of a decoder costs one payload, not the ledger
        log.exception("a decoder failed")
        return Bad(entry=entry.id, reason=f"the decoder failed: {type(error).__name__}", raw=raw)


def _item(entry: str, evidence: Evidence, raw: bytes, decode: Decoder) -> Item:
    if len(raw) > codec.RAW_BYTES_MAX:
        raise BadPayload(f"a payload has at most {codec.RAW_BYTES_MAX} bytes, this one has {len(raw)}")
    if evidence.adjustment is not None:
        return Item(entry=entry, adjustment=evidence.adjustment)
    command, facts = evidence.command, _facts(evidence, raw, decode)
    if command is None and len(facts) == 2:
        first, second = facts
        if (
            type(first) is Execution
            and type(second) is OrderReport
            and first.venue_order_id == second.venue_order_id
            and first.venue_symbol == second.venue_symbol
            and first.client_order_id == second.client_order_id
        ):
            # An execution and the report that counts it: nothing is to be sorted or compared then.
            return Item(entry=entry, facts=(first, second))
    if len(facts) == 1 and isinstance(facts[0], Adjustment):
        return Item(entry=entry, adjustment=facts[0])
    return _sorted(entry, facts, command)


def _sorted(entry: str, facts: Sequence[Fact], command: Command | None) -> Item:
    """Put facts into the order in which they are folded, and see that they are of one order."""
    executions: list[OrderFact] = []
    reports: list[OrderFact] = []
    ignored = ""
    for fact in facts:
        if isinstance(fact, Execution | Correction):
            executions.append(fact)
        elif isinstance(fact, Ignored):
            ignored = ignored or fact.reason
        elif not isinstance(fact, Adjustment):
            reports.append(fact)
    # Executions first: the report that counts them then finds them applied.
    told = (*executions, *reports)
    _check_of_one_order(told, command)
    if told or command is not None:
        return Item(entry=entry, facts=told, command=command)
    return Item(entry=entry, ignored=ignored or "says nothing")


def _facts(evidence: Evidence, raw: bytes, decode: Decoder) -> Sequence[Fact]:
    if evidence.fact is not None:
        return (evidence.fact,)  # what is concluded; the payload beside it is only the proof
    if evidence.format and (evidence.command is None or isinstance(evidence.command.outcome, Accepted)):
        return decode(evidence.format, raw)
    return _NOTHING


def _check_of_one_order(facts: Sequence[OrderFact], command: Command | None) -> None:
    name = None if command is None else command.client_order_id
    for fact in facts:
        if fact.venue_order_id != facts[0].venue_order_id or fact.venue_symbol != facts[0].venue_symbol:
            raise BadPayload("one payload speaks of several orders")
        if fact.client_order_id and fact.client_order_id != (name := name or fact.client_order_id):
            raise BadPayload("one payload speaks of several orders")


def decisive(item: Item) -> bool:
    """Say whether it answers a claim in a way that moves the order by itself, which can depend on the time."""
    return item.command is not None and not isinstance(item.command.outcome, Accepted)


def _no_data(fields: Mapping[bytes, bytes]) -> str:
    return "trimmed away before it was read" if not fields else "the entry has no field `data`"
