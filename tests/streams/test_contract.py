"""The wire contract: its documents fit what is really on the streams, and yesterday's entries are still understood."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, get_args

import jsonschema  # type: ignore[import-untyped]
import msgspec
import pytest

from streams import codec, events
from streams.contract import asyncapi, schemas
from streams.events import AnyChange
from streams.notices import Fill, tell
from streams.schemas import Cancel, Place

# Written once for version 1 and never again: a change that fails here breaks programs that are out there.
FROZEN = [json.loads(line) for line in Path(__file__).with_name("contract_v1.jsonl").read_text().splitlines()]
DECODERS: dict[str, Callable[[bytes], Any]] = {
    "events": events.decode,
    "intents": codec.decode_intent,
    "evidence": codec.decode_evidence,
}


def check(stream: str, document: object) -> None:
    """Validate as a program in another language would; ValidationError says what does not fit."""
    jsonschema.validate(document, schemas()[stream])


def off_grid(account: str) -> Place:
    """What a program in another language may append, and no venue takes."""
    return Place(
        account=account, strategy="test", signal_id="off", signal_time=datetime.now(UTC), symbol="BTC/USDT", side="buy",
        type="limit", quantity=Decimal(1), price=Decimal("0.001"),
    )  # fmt: skip


def _within(part: Any, whole: Any) -> bool:
    """Whether everything of a frozen document is still said, whatever was added."""
    if isinstance(part, dict):
        return all(name in whole and _within(value, whole[name]) for name, value in part.items())
    if isinstance(part, list):
        return len(part) == len(whole) and all(_within(one, other) for one, other in zip(part, whole, strict=True))
    return bool(part == whole)


@pytest.mark.parametrize("sample", FROZEN, ids=lambda one: one["data"].get("kind") or one["stream"])
def test_a_frozen_entry_is_read_and_written_as_it_was(sample: dict[str, Any]) -> None:
    """Nothing of it is lost or renamed, and the schema of today takes it."""
    check(sample["stream"], sample["data"])
    decoded = DECODERS[sample["stream"]](json.dumps(sample["data"]).encode())
    again = json.loads(codec.encode(decoded))
    assert _within(sample["data"], again)


def test_every_kind_of_change_has_a_frozen_entry() -> None:
    """A new kind is frozen when it comes."""
    kinds = {one.__struct_config__.tag for one in get_args(AnyChange)}
    assert kinds == {change["kind"] for one in FROZEN if one["stream"] == "events" for change in one["data"]["changes"]}


@pytest.mark.timeout(120)
@pytest.mark.fillonce(faults={"execution_before_answer": 0.3})
def test_the_documents_fit_what_is_really_on_the_streams(fillonce) -> None:
    """Every entry of a pipeline that traded, refused, cancelled and quarantined."""
    fillonce.house("SELL", 5, price=60_000)
    fillonce.mark("60000.5")
    for price, quantity in ((60_000, 1), (100, 2), (60_000, "0.5")):
        fillonce.place(side="buy", type="limit", quantity=quantity, price=price)
    fillonce.until(lambda: any(order.status == "open" and order.terms.price == 100 for order in fillonce.orders()))
    [resting] = [order.client_order_id for order in fillonce.orders() if order.terms.price == 100]
    fillonce.append("intents", data=codec.encode(Cancel(account=fillonce.account, client_order_id=resting)))
    fillonce.append("intents", data=b'{"kind":"place"}')
    fillonce.append("intents", data=codec.encode(off_grid(fillonce.account)))
    fillonce.until(lambda: any(order.status == "rejected" for order in fillonce.orders()))
    fillonce.until(lambda: fillonce.quarantined() and fillonce.orders()[0].status)
    fillonce.settled()
    for stream in schemas():
        if stream == "notices":
            continue
        entries = fillonce.entries(stream)
        assert entries, stream
        for fields in entries:
            document = json.loads(fields[b"data"])
            if document == {"kind": "place"}:
                with pytest.raises(jsonschema.ValidationError):
                    check(stream, document)
                continue
            check(stream, document)
    told = [
        notice
        for fields in fillonce.entries("events")
        for notice in tell(fillonce.account, events.decode(fields[b"data"]), {})
    ]
    assert any(isinstance(one, Fill) for one in told)
    for notice in told:
        check("notices", json.loads(msgspec.json.encode(notice)))


@pytest.mark.parametrize(
    "changes", [{"quantity": 0.1}, {"surprise": 1}, {"side": "long"}, {"account": "binance"}], ids=str
)
def test_the_schema_refuses_what_the_pipeline_refuses(changes: dict[str, Any]) -> None:
    """A float amount above all."""
    [place] = [one["data"] for one in FROZEN if one["data"].get("kind") == "place"]
    with pytest.raises(jsonschema.ValidationError):
        check("intents", {**place, **changes})


def test_every_reference_of_the_asyncapi_document_leads_somewhere() -> None:
    """Channels, messages and nested Structs; amounts are texts with a format."""
    document = asyncapi()

    def follow(node: Any) -> None:
        if isinstance(node, dict):
            if "$ref" in node:
                found: Any = document
                for part in node["$ref"].removeprefix("#/").split("/"):
                    found = found[part]
                assert found
            for one in node.values():
                follow(one)
        elif isinstance(node, list):
            for one in node:
                follow(one)

    follow(document)
    assert set(document["channels"]) == {"intents", "events", "evidence", "marks", "quarantine"}
    assert document["components"]["schemas"]["Fill"]["properties"]["price"] == {"type": "string", "format": "decimal"}
