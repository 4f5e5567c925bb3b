"""The wire contract as documents: JSON Schema and AsyncAPI, generated from the Structs that the code itself uses. Pure.

Compatibility, by version: within one version of the journal (`v` of an entry) fields are only added, with a default,
and kinds of changes are only added; so a reader skips fields and kinds it does not know. An intent is the other way
round: an unknown field is refused, because it may be the one that mattered.
"""

from typing import Any

import msgspec

from streams.codec import INTENT_BYTES_MAX
from streams.events import FORMAT_VERSION, JournalEntry
from streams.marks import MarkEntry
from streams.notices import (
    AmendDeclined,
    AnyNotice,
    Fill,
    FillTakenBack,
    HoldingsChanged,
    Mark,
    OrderChanged,
    PositionChanged,
    Snapshot,
    Tick,
)
from streams.schemas import Evidence, Intent

VERSION = f"{FORMAT_VERSION}.0"
ASYNCAPI = "3.0.0"
REFERENCE = "#/components/schemas/{name}"

_ADDRESS = "fillonce:{{account}}:{stream}"
_STREAMS: dict[str, tuple[Any, str, bool]] = {
    "intents": (
        Intent,
        f"What strategies decided. Append with XADD; one field `data`, JSON of at most {INTENT_BYTES_MAX} bytes.",
        False,
    ),
    "events": (JournalEntry, "The journal: every change of state, one entry per script call. Read in a group.", False),
    "evidence": (Evidence, "Everything the venue said. `raw` beside `data` has its own bytes.", True),
    "marks": (
        MarkEntry,
        "Reference prices, for price collars and strategies. Append with XADD and MAXLEN ~ 10000.",
        False,
    ),
    "quarantine": (dict[str, str], "What could not be used: `stream`, `entry`, `reason`; its bytes in `raw`.", True),
}
_NOTICES = (Fill, FillTakenBack, HoldingsChanged, OrderChanged, AmendDeclined, PositionChanged, Snapshot, Mark, Tick)


def schema(of: Any) -> dict[str, Any]:
    """JSON Schema of one kind of document, with everything it refers to."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **msgspec.json.schema(of)}


def schemas() -> dict[str, dict[str, Any]]:
    """JSON Schema of the `data` of each stream, and of what a Python strategy is told, by name."""
    found = {name: schema(of) for name, (of, _, _) in _STREAMS.items()}
    return {**found, "notices": schema(AnyNotice | Snapshot | Mark | Tick)}


def asyncapi() -> dict[str, Any]:
    """The AsyncAPI document of every stream of an account."""
    roots, components = _without_discriminators(
        msgspec.json.schema_components([of for of, _, _ in _STREAMS.values()] + list(_NOTICES), ref_template=REFERENCE)
    )
    channels, operations, messages = {}, {}, {}
    for (name, (_, said, raw)), root in zip(_STREAMS.items(), roots, strict=False):
        fields: dict[str, Any] = {
            "data": {"type": "string", "contentMediaType": "application/json", "contentSchema": root}
        }
        if raw:
            fields["raw"] = {"description": "bytes as they came", "type": "string"}
        messages[name] = {
            "name": name,
            "contentType": "application/json",
            "summary": said,
            "payload": {"type": "object", "required": sorted(fields), "properties": fields},
        }
        channels[name] = {
            "address": _ADDRESS.format(stream=name).replace("{account}", "{{account}}"),
            "description": said,
            "parameters": {"account": {"description": "venue.name, for example binance.main; the braces are part."}},
            "messages": {name: {"$ref": f"#/components/messages/{name}"}},
        }
        action = "receive" if name in ("intents", "marks") else "send"  # as the pipeline does it
        operations[f"{action}_{name}"] = {"action": action, "channel": {"$ref": f"#/channels/{name}"}}
    return {
        "asyncapi": ASYNCAPI,
        "info": {
            "title": "fillonce",
            "version": VERSION,
            "description": (__doc__ or "").partition("\n\n")[2].strip(),
        },
        "defaultContentType": "application/json",
        "channels": channels,
        "operations": operations,
        "components": {"messages": messages, "schemas": components},
    }


def _without_discriminators(node: Any) -> Any:
    """Leave out what JSON Schema does not know and AsyncAPI knows as something else: a text, the name of a schema.

    Nothing is lost, because every alternative has its tag as the only value of a required field.
    https://www.asyncapi.com/docs/reference/specification/v3.0.0#schemaObject
    """
    if isinstance(node, dict):
        return {name: _without_discriminators(one) for name, one in node.items() if name != "discriminator"}
    if isinstance(node, list | tuple):
        return [_without_discriminators(one) for one in node]
    return node
