"""`fillonce new`: a strategy to start from, with its test."""

import keyword
from pathlib import Path
from typing import Annotated, Final, Literal

import typer

from consumers.commands import output
from streams.errors import UsageError

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
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")] = False,
) -> int:
    """Write a strategy that runs, and its test, into the current directory.

    \b
    Examples:
      fillonce new strategy mean_reversion
      pytest test_mean_reversion.py
      fillonce run --strategy mean_reversion:app
    """  # noqa: D301 - \b tells the help to keep the lines
    if not name.isidentifier() or keyword.iskeyword(name) or not name.isascii():
        raise UsageError(
            f"{name!r} cannot be a module; use letters, digits and underscores, mean_reversion for example."
        )
    files = {f"{name}.py": STRATEGY, f"test_{name}.py": TEST}
    for file in files:
        if Path(file).exists():
            raise UsageError(f"{file} is there already; choose another name or remove it.")
    for file, text in files.items():
        Path(file).write_text(text.format(name=name), encoding="utf-8")
    if as_json:
        output.document({"kind": kind, "name": name, "files": list(files)})
    else:
        output.show(
            f"wrote {' and '.join(files)}", f"next: pytest test_{name}.py", f"then: fillonce run --strategy {name}:app"
        )
    return output.DONE
