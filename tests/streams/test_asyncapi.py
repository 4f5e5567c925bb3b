"""The AsyncAPI document as those who use it read it: by the specification's own schema, and by FastStream's."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import msgspec
import pytest
from faststream.specification.asyncapi.v3_0_0.schema import ApplicationSchema

from streams.contract import ASYNCAPI, asyncapi

PACKAGE = Path(__file__).with_name("asyncapi")
SCHEMA = f"node_modules/@asyncapi/specs/schemas/{ASYNCAPI}.json"


@pytest.fixture(scope="module")
def specification(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The schema that AsyncAPI publishes for documents of this version."""
    if shutil.which("npm") is None:
        pytest.skip("there is no npm here")
    folder = tmp_path_factory.mktemp("asyncapi")
    for file in PACKAGE.glob("package*.json"):
        shutil.copy(file, folder)
    done = subprocess.run(
        ["npm", "ci", "--no-audit", "--no-fund"], cwd=folder, capture_output=True, text=True, check=False, timeout=120
    )
    if done.returncode:
        pytest.skip(f"npm cannot install AsyncAPI's schema: {done.stderr.strip()[-200:]}")
    return json.loads((folder / SCHEMA).read_text())


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_the_document_is_what_the_specification_asks_for(specification: Any) -> None:
    """Of the version it names; and a document that is none is found out."""
    document = json.loads(msgspec.json.encode(asyncapi()))
    assert [error.message for error in jsonschema.Draft7Validator(specification).iter_errors(document)] == []
    document["operations"]["receive_intents"]["action"] = "wait"
    assert list(jsonschema.Draft7Validator(specification).iter_errors(document))


def test_faststream_reads_the_document_as_one_of_its_own() -> None:
    """Every channel and every message of it."""
    read = ApplicationSchema.model_validate(json.loads(msgspec.json.encode(asyncapi())))
    assert set(read.channels) == set(asyncapi()["channels"])
    assert read.components is not None
    assert set(read.components.messages or {}) == set(asyncapi()["channels"])


def test_every_alternative_says_by_a_required_field_which_it_is() -> None:
    """So nobody has to try them all, and no tool needs a word that JSON Schema does not have."""
    components, text = asyncapi()["components"]["schemas"], json.dumps(asyncapi())
    assert "discriminator" not in text
    for name, tag in (("Place", "kind"), ("Updated", "kind"), ("Execution", "type"), ("Accepted", "type")):
        one = components[name]
        assert tag in one["required"]
        assert len(one["properties"][tag]["enum"]) == 1


def test_amounts_within_amounts_are_texts_everywhere() -> None:
    """A decimal that is a number somewhere would be a float for most readers."""
    numbers = [
        f"{name}.{field}"
        for name, one in asyncapi()["components"]["schemas"].items()
        for field, said in one.get("properties", {}).items()
        if any(part.get("type") == "number" for part in (said, *said.get("anyOf", ())))
    ]
    assert numbers == []
