"""The wire contract for a browser: one page made of the AsyncAPI document, which needs nothing from elsewhere. Pure."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from html import escape
from typing import Any

import orjson
from faststream.asgi import AsgiResponse, get

DOCUMENT = "asyncapi.json"
_STYLE = """body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#222}
table{border-collapse:collapse;width:100%}td{vertical-align:top;border-top:1px solid #ddd;padding:.2rem .6rem .2rem 0}
pre{white-space:pre-wrap;font:inherit;margin:0}code{font-size:.9em}h3{margin:1.6rem 0 .3rem}"""


def pages(files: Mapping[str, Mapping[str, Any]]) -> Sequence[tuple[str, Any]]:
    """Routes of the page and of each document by its name."""
    served = [("/", _answering(page(files[DOCUMENT], sorted(files)).encode(), "text/html; charset=utf-8"))]
    return served + [
        (f"/{name}", _answering(orjson.dumps(document, option=orjson.OPT_INDENT_2), "application/json"))
        for name, document in files.items()
    ]


def page(document: Mapping[str, Any], names: Sequence[str]) -> str:
    """The whole page; every reference is a link on it."""
    return "".join(_page(document, names))


def _page(document: Mapping[str, Any], names: Sequence[str]) -> Iterator[str]:
    info = document["info"]
    title = escape(f"{info['title']} {info['version']}")
    yield f"<!DOCTYPE html><html lang=en><meta charset=utf-8><title>{title}</title><style>{_STYLE}</style>"
    yield f"<h1>{title}</h1><p>{escape(info['description'])}</p><p>Files:"
    yield from (f' <a href="/{escape(name)}">{escape(name)}</a>' for name in names)
    yield "</p><h2>Streams of an account</h2>"
    for name, channel in document["channels"].items():
        fields = document["components"]["messages"][name]["payload"]["properties"]
        yield f"<h3>{escape(name)}</h3><p><code>{escape(channel['address'])}</code></p>"
        yield f"<p>{escape(channel['description'])}</p><table>"
        for field, said in fields.items():
            yield f"<tr><td><code>{escape(field)}</code><td>{_kind(said.get('contentSchema', said))}"
        yield "</table>"
    yield "<h2>Documents</h2>"
    for name, schema in document["components"]["schemas"].items():
        yield f"<h3 id={escape(name)}>{escape(name)}</h3>"
        yield f"<pre>{escape(_plain(schema.get('description', '')))}</pre><table>"
        if "properties" not in schema:
            yield f"<tr><td>{_kind(schema)}"
        required = schema.get("required", ())
        for field, said in schema.get("properties", {}).items():
            needed = "required" if field in required else "optional"
            yield f"<tr><td><code>{escape(field)}</code><td>{_kind(said)}<td>{needed}"
        yield "</table>"


def _kind(schema: Mapping[str, Any]) -> str:
    """What a value is, in a few words, with links to what has a name."""
    if "$ref" in schema:
        name = escape(schema["$ref"].rpartition("/")[2])
        return f"<a href=#{name}>{name}</a>"
    for several in ("anyOf", "oneOf"):
        if several in schema:
            return " or ".join(_kind(one) for one in schema[several])
    if "enum" in schema:
        return " or ".join(f"<code>{escape(orjson.dumps(one).decode())}</code>" for one in schema["enum"])
    if schema.get("type") == "array":
        items = schema.get("items") or schema.get("prefixItems") or {}
        return "list of " + (_kind(items) if isinstance(items, dict) else ", ".join(map(_kind, items)))
    if isinstance(schema.get("additionalProperties"), dict):
        return f"object of {_kind(schema['additionalProperties'])}"
    words = [schema.get("type", "anything"), schema.get("format", ""), schema.get("description", "")]
    return escape(", ".join(one for one in words if one))


def _plain(description: str) -> str:
    return "\n".join(line.removeprefix("    ") for line in description.splitlines())


def _answering(body: bytes, kind: str) -> Any:
    async def answer(_scope: Any) -> AsgiResponse:
        return AsgiResponse(body, 200, {"Content-Type": kind})

    handler: Callable[..., Any] = get(answer)
    return handler
