"""`fillonce new`: a strategy to start from, with its test."""

import keyword
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Final, Literal

import typer

from consumers.commands import output
from consumers.starters import TESTS, starter
from streams.errors import UsageError

Example = Literal["market_maker", "grid", "twap", "chaser", "webhook"]

STRATEGY: Final = '''\
"""{name}: whatever is bought under its name is offered again, one percent dearer."""

from decimal import Decimal

from streams import Fill, Place, Strategy
from streams.schemas import from_ms

app = Strategy("{name}")


@app.on(Fill)
async def take_profit(fill: Fill) -> Place | None:
    """Answer an entry with its exit; the identity follows from the fill, so handling it twice makes one order."""
    if fill.side == "sell":
        return None
    return Place(
        account=fill.account,
        strategy=app.name,
        signal_id=f"exit-{{fill.event_id}}",
        signal_time=from_ms(fill.executed_at_ms),
        symbol=fill.symbol,
        side="sell",
        type="limit",
        quantity=fill.quantity - (fill.fee or 0 if fill.fee_asset == fill.symbol.partition("/")[0] else 0),
        price=fill.price * Decimal("1.01"),
        rounding="down",
    )
'''

TEST: Final = '''\
"""The strategy in the whole pipeline, on a simulated venue (the fixture comes with fillonce)."""

import pytest

from {name} import app


def enter(fillonce):
    """Buy one from somebody else, under the strategy's name."""
    fillonce.house("SELL", 1, price=60_000)
    fillonce.place(strategy=app.name, side="buy", type="limit", quantity=1, price=60_000)


def exits(fillonce):
    """Prices at which the strategy offers."""
    return [order.terms.price for order in fillonce.orders(app.name) if order.terms.side == "sell"]


def test_a_fill_is_offered_again_one_percent_dearer(fillonce):
    fillonce.run(app)
    enter(fillonce)
    fillonce.until(lambda: exits(fillonce) == [60_600])


@pytest.mark.fillonce(faults={{"accept_then_drop": 0.3, "duplicated_execution": 0.5}})
def test_it_goes_on_where_it_was_when_it_is_killed(fillonce):
    fillonce.run(app)
    fillonce.stop(app, kill=True)
    enter(fillonce)
    fillonce.run(app)
    fillonce.until(lambda: exits(fillonce) == [60_600])
    fillonce.settled()
    assert len(fillonce.venue_orders()) == 2
'''


def new(
    kind: Annotated[Literal["strategy"], typer.Argument(help="What to write: strategy.")],
    name: Annotated[str, typer.Argument(help="Its name, a Python word; also of its module and its orders.")],
    *,
    example: Annotated[Example | None, typer.Option("--from", help="Start from an example instead.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")] = False,
) -> int:
    """Write a strategy that runs, and its test, into the current directory.

    \b
    Examples:
      fillonce new strategy mean_reversion
      fillonce new strategy my_grid --from grid
      pytest test_mean_reversion.py
      fillonce run --strategy mean_reversion:app
    """  # noqa: D301 - \b tells the help to keep the lines
    if not name.isidentifier() or keyword.iskeyword(name) or not name.isascii():
        raise UsageError(
            f"{name!r} cannot be a module; use letters, digits and underscores, mean_reversion for example."
        )
    given = _plain(name) if example is None else _example(name, example)
    files = {f"{name}.py": given[0], f"test_{name}.py": given[1]} if given[1] else {f"{name}.py": given[0]}
    for file in files:
        if Path(file).exists():
            raise UsageError(f"{file} is there already; choose another name or remove it.")
    for file, text in files.items():
        Path(file).write_text(text, encoding="utf-8")
    if as_json:
        output.document({"kind": kind, "name": name, "files": list(files)})
    else:
        run = f"python {name}.py 8080" if example == "webhook" else f"fillonce run --strategy {name}:app"
        first = "" if find_spec("pytest") else "pip install pytest && "
        tried = [f"next: {first}pytest test_{name}.py"] if len(files) > 1 else []
        output.show(f"wrote {' and '.join(files)}", *tried, f"then: {run}")
    return output.DONE


def _plain(name: str) -> tuple[str, str]:
    return STRATEGY.format(name=name), TEST.format(name=name)


def _example(name: str, example: str) -> tuple[str, str]:
    """An example and its test under another name; the webhook, which is a program, has no test that stands alone."""

    def renamed(text: str) -> str:
        text = text.replace(f"from examples.strategies.{example} import", f"from {name} import")
        return text.replace(f'"{example}"', f'"{name}"').replace(f'"{example}-', f'"{name}-')

    code = starter(f"{example}.py").read_text(encoding="utf-8")
    test = "" if example == "webhook" else starter(f"test_{example}.py", TESTS).read_text(encoding="utf-8")
    return renamed(code), renamed(test)
