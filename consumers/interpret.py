"""From an entry of `evidence` to facts. Pure: bytes in, values out; what cannot be used says why."""

import logging
from collections.abc import Mapping

import msgspec
from msgspec import Struct

from adapters.venue import Decoder
from streams import codec
from streams.errors import BadPayload
from streams.reader import Entry
from streams.schemas import Absent, Accepted, Adjustment, Command, Evidence, Execution, Ignored, OrderReport

log = logging.getLogger("fillonce.ledger")


class Item(Struct, frozen=True, kw_only=True):
    """What one entry says, all of it about one order.

    Attributes:
        entry: its id.
        facts: executions before the report that counts them.
        command: the claim it answers, where the answer itself is news.
        adjustment: what it changes beside all orders, instead of facts and command.
        ignored: why it says nothing, when there is none of them.
    """

    entry: str
    facts: tuple[Execution | OrderReport, ...] = ()
    command: Command | None = None
    adjustment: Adjustment | None = None
    ignored: str = ""

    @property
    def client_order_id(self) -> str | None:
        """The client order id it names, if it names one."""
        if self.command is not None:
            return self.command.client_order_id
        return next((fact.client_order_id for fact in self.facts if fact.client_order_id), None)

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
    data, raw = entry.fields.get(b"data"), entry.fields.get(b"raw", b"")
    if data is None:
        return Bad(entry=entry.id, reason=_no_data(entry.fields), raw=raw)
    try:
        evidence = codec.decode_evidence(data)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        return Bad(entry=entry.id, reason=f"not evidence: {error}", raw=data)
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
    command, facts = evidence.command, []
    if evidence.format and (command is None or isinstance(command.outcome, Accepted)):
        facts = list(decode(evidence.format, raw))
    if len(facts) == 1 and isinstance(facts[0], Adjustment):
        return Item(entry=entry, adjustment=facts[0])
    told = tuple(fact for fact in facts if not isinstance(fact, Ignored | Adjustment))
    if len({(fact.venue_symbol, fact.venue_order_id) for fact in told}) > 1:
        raise BadPayload("one payload speaks of several orders")
    named = {fact.client_order_id for fact in told if fact.client_order_id}
    if len(named | ({command.client_order_id} if command else set())) > 1:
        raise BadPayload("one payload speaks of several orders")
    # Executions first: the report that counts them then finds them applied.
    ordered = tuple(sorted(told, key=lambda fact: isinstance(fact, OrderReport)))
    ignored = "" if told or command else next((f.reason for f in facts if isinstance(f, Ignored)), "says nothing")
    return Item(entry=entry, facts=ordered, command=command, ignored=ignored)


def lost(item: Item) -> bool:
    """Say whether it claims that the order never reached the venue."""
    return item.command is not None and isinstance(item.command.outcome, Absent)


def _no_data(fields: Mapping[bytes, bytes]) -> str:
    return "trimmed away before it was read" if not fields else "the entry has no field `data`"
