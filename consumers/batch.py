"""From the entries of a batch to what they say, before anything is asked of the server. Pure."""

from collections.abc import Mapping, Sequence

from msgspec import Struct

from adapters.venue import Decoder
from consumers.interpret import Bad, Item, read, say
from consumers.memory import Applied, Memory, Payload, payload_of
from streams.reader import Entry
from streams.schemas import Adjustment


class Work(Struct, frozen=True):
    """A batch as decoded, before anything is asked of the server.

    Attributes:
        entries: the batch.
        applied: those whose payload was applied before, as memory says.
        items: what the others say.
        bad: those that cannot be used.
        adjustments: by entry, of those that change holdings beside all orders.
        payloads: by entry id, those that memory may keep.
        heard_ns: by entry id, when a frame of the private stream was received.
        repeated: how often a payload was applied before, by source of the evidence.
    """

    entries: Sequence[Entry]
    applied: Sequence[tuple[Entry, Applied]]
    items: Sequence[Item]
    bad: Sequence[Bad]
    adjustments: Sequence[tuple[str, Adjustment]]
    payloads: Mapping[str, Payload]
    heard_ns: Mapping[str, int]
    repeated: Mapping[str, int]


NO_WORK = Work((), (), (), (), (), {}, {}, {})


def read_batch(entries: Sequence[Entry], memory: Memory, decode: Decoder) -> Work:
    """Decode a batch, but for payloads that memory says were applied before."""
    applied: list[tuple[Entry, Applied]] = []
    items: list[Item] = []
    bad: list[Bad] = []
    adjustments: list[tuple[str, Adjustment]] = []
    payloads: dict[str, Payload] = {}
    heard_ns: dict[str, int] = {}
    repeated: dict[str, int] = {}
    recall = memory.cache.get
    for entry in entries:
        evidence = read(entry)
        if isinstance(evidence, Bad):
            bad.append(evidence)
            continue
        name, source = entry.id, evidence.source
        payload = payload_of(evidence, entry.fields.get(b"raw", b""))
        if payload is not None:
            before = recall(payload)
            if before is not None:
                applied.append((entry, before))
                repeated[source] = repeated.get(source, 0) + 1
                continue
            payloads[name] = payload
        said = say(entry, evidence, decode)
        if isinstance(said, Bad):
            bad.append(said)
        elif said.adjustment is not None:
            adjustments.append((name, said.adjustment))
        else:
            items.append(said)
            if source == "stream":
                heard_ns[name] = evidence.received_at_ns
    return Work(entries, applied, items, bad, adjustments, payloads, heard_ns, repeated)
