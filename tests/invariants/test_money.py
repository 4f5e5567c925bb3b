"""What always holds about amounts and acknowledgements, read off the source and off the wire."""

import ast
import re
from decimal import Decimal
from pathlib import Path
from urllib.parse import parse_qs

import pytest

import adapters
import consumers
import streams
from streams import codec
from streams.errors import BadIntent
from streams.identity import client_order_id
from streams.schemas import Place
from tests.pipeline import Pipeline, Proxy

ROOTS = [Path(next(iter(package.__path__))) for package in (streams, adapters, consumers)]
FILES = sorted(file for root in ROOTS for file in root.rglob("*.py"))
LUA = sorted((ROOTS[0].parent / "lua").rglob("*.lua"))
MONEY = re.compile(r"(?i)price|quantity|qty|amount|notional|fee|cost|filled|balance|executed|realized|tick|lot|size$")
# The simulated venue's chances and the demo's seconds are no money, whatever they are called.
NO_MONEY = {"step_share", "gap_share"}


def _source(file: Path) -> str:
    return "/".join(file.parts[-3:])


def test_there_is_something_to_read() -> None:
    """The three packages and the scripts were found."""
    assert len(FILES) > 80
    assert len(LUA) > 10


@pytest.mark.parametrize("file", FILES, ids=_source)
def test_no_amount_is_a_float(file: Path) -> None:
    """Invariant 10: no field, argument or variable named like money is declared a float, and none is made one."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            _refuse(file, node.target.id, node.annotation)
        elif isinstance(node, ast.arg) and node.annotation is not None:
            _refuse(file, node.arg, node.annotation)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "float":
            named = {one.id for one in ast.walk(node) if isinstance(one, ast.Name)}
            named |= {one.attr for one in ast.walk(node) if isinstance(one, ast.Attribute)}
            assert not [one for one in named if MONEY.search(one)], f"{file}:{node.lineno}"
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Decimal":
            exact = not any(isinstance(one, ast.Constant) and isinstance(one.value, float) for one in node.args)
            assert exact, f"{file}:{node.lineno}"


def _refuse(file: Path, name: str, annotation: ast.expr) -> None:
    floats = any(isinstance(one, ast.Name) and one.id == "float" for one in ast.walk(annotation))
    assert not (floats and MONEY.search(name) and name not in NO_MONEY), f"{file}: {name}"


def test_only_scripts_acknowledge() -> None:
    """Invariant 4 and R4: no XACK in the product but in Lua, but for what strategies read of `events`."""
    found = {
        (file.name, line.strip())
        for file in FILES
        for line in file.read_text(encoding="utf-8").splitlines()
        if re.search(r"\bxack\w*\(|XACK['\"]", line)
    }
    assert {name for name, _ in found} <= {"strategy.py", "delivery.py"}
    assert all(".events" in line for _, line in found)


def test_scripts_neither_decode_a_state_nor_count_money() -> None:
    """Invariant 10: cjson would turn 0.1000000000000000055 into 0.1, so no script uses it."""
    for file in LUA:
        code = re.sub(r"--\[\[.*?\]\]|--[^\n]*", "", file.read_text(encoding="utf-8"), flags=re.DOTALL)
        assert "cjson" not in code, file
        assert not re.search(r"tonumber\([^)]*(quantity|price|filled|state)", code), file


@pytest.mark.parametrize(
    ("quantity", "price", "sent_quantity", "sent_price"),
    [
        ("1.00000999", "100", "1", "100"),
        ("1.23456999", "99.999", "1.23456", "99.99"),
        ("0.30000000", "33.30", "0.3", "33.3"),
        ("12.00001", "100.10", "12.00001", "100.1"),
    ],
)
async def test_the_wire_the_record_and_the_venues_books_have_the_same_amounts(
    pipeline: Pipeline, quantity: str, price: str, sent_quantity: str, sent_price: str
) -> None:
    """Invariant 10: what rounding down gave is what was recorded, sent, and what the venue has, digit by digit."""
    async with Proxy(pipeline.process.rest_url) as proxy:
        await pipeline.ledger()
        await pipeline.gateway(venue=await pipeline.venue(rest_url=proxy.url))
        terms = pipeline.terms(quantity=Decimal(quantity), price=Decimal(price), rounding="down")
        [name] = await pipeline.place(terms)
        order = await pipeline.status(name, "open")
        [request] = proxy.orders()
        wire = _parameters(request)
    assert order.terms == Place(**{one: getattr(terms, one) for one in terms.__struct_fields__})
    assert order.sent == {"quantity": sent_quantity, "price": sent_price}
    assert (wire["quantity"], wire["price"]) == (sent_quantity, sent_price)
    [at_venue] = await pipeline.venue_orders()
    assert (at_venue["quantity"], at_venue["price"]) == (sent_quantity, sent_price)


async def test_an_amount_off_the_grid_is_refused_and_not_cut(pipeline: Pipeline) -> None:
    """Invariant 10: without a rounding nothing is sent, and the sentence names the nearest legal amount.

    By the producer before anything is written, and as a rejected order where a program appended it by bare XADD.
    """
    await pipeline.gateway()
    terms = pipeline.terms(quantity=Decimal("1.00000999"))
    with pytest.raises(BadIntent, match=r"quantity 1\.00000999 is off the lot of 0\.00001 for .*; the nearest legal"):
        await pipeline.producer.place(terms)
    assert await pipeline.redis.xlen(pipeline.keys.intents) == 0
    await pipeline.redis.xadd(pipeline.keys.intents, {"data": codec.encode(terms)})
    order = await pipeline.status(client_order_id(terms, pipeline.info.id_rule), "rejected")
    assert "1.00000999" in order.reason
    assert await pipeline.venue_orders() == []


def _parameters(request: bytes) -> dict[str, str]:
    head, _, body = request.partition(b"\r\n\r\n")
    query = head.split(b" ")[1].partition(b"?")[2]
    return {name: values[0] for name, values in parse_qs((query + b"&" + body).decode()).items()}
