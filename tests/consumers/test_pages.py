"""The contract's page: everything of the document is on it, and every link leads somewhere."""

import re

from consumers.pages import page
from streams.contract import asyncapi


def test_every_stream_document_and_field_is_on_the_page():
    """With links between documents that are all there."""
    document = asyncapi()
    text = page(document, ["asyncapi.json"])
    for name, channel in document["channels"].items():
        assert f"<h3>{name}</h3>" in text
        assert channel["address"] in text
    for name, schema in document["components"]["schemas"].items():
        part = text.partition(f"<h3 id={name}>")[2].partition("<h3 ")[0]
        assert part, name
        assert [field for field in schema.get("properties", ()) if f"<code>{field}</code>" not in part] == []
    links = set(re.findall(r"<a href=#(\w+)>", text))
    assert links
    assert links <= set(re.findall(r"<h3 id=(\w+)>", text))


def test_an_amount_is_told_apart_from_a_text_and_a_list_from_what_is_in_it():
    """Nested Structs and decimals, as a program must write them."""
    text = page(asyncapi(), [])
    assert "<code>quantity</code><td>string, decimal<td>required" in text
    assert "<code>facts</code><td>list of <a href=#Execution>Execution</a> or " in text
    assert "<code>fees</code><td>object of string, decimal<td>optional" in text


def test_nothing_is_fetched_from_elsewhere_and_nothing_runs():
    """A trading machine may have no way out."""
    text = page(asyncapi(), [])
    assert "<script" not in text
    assert not re.search(r"(src|href)=.?https?:", text)
