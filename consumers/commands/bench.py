"""`fillonce bench`: what the pipeline costs, measured here and now, each figure beside its goal."""

from typing import Annotated, Any

import typer

from consumers.commands import output
from streams.errors import UsageError


def bench(
    ctx: typer.Context,  # noqa: ARG001 - every command has it
    *,
    only: Annotated[str, typer.Option(metavar="NAME,…", help="Only these benchmarks; default all.")] = "",
    quick: Annotated[
        bool, typer.Option("--quick", help="Fewer and shorter rounds: a look, no figure to quote.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")] = False,
) -> int:
    """Measure on a server of its own, rounds interleaved; medians with the lowest and the highest round.

    Exit code 1 when a goal was missed in every round.

    \b
    Examples:
      fillonce bench
      fillonce bench --only dedup --quick --json
    """  # noqa: D301 - \b tells the help to keep the lines
    try:
        from benchmarks import suite
    except ModuleNotFoundError:
        raise UsageError(
            "The benchmarks are not part of the installed program; run `fillonce bench` in a checkout."
        ) from None
    names = [name.strip() for name in only.split(",") if name.strip()] if only else list(suite.BENCHMARKS)
    if not names or set(names) - set(suite.BENCHMARKS):
        raise UsageError(f"--only takes {', '.join(suite.BENCHMARKS)}, with commas, not {only!r}.")
    report = suite.run(names, quick=quick, show=lambda name: output.say(f"measuring {name}"))
    if as_json:
        output.document(report)
    else:
        _show(report)
    return output.DONE if report["ok"] else output.WRONG


def _show(report: dict[str, Any]) -> None:
    output.show(", ".join(f"{name} {value}" for name, value in report["machine"].items()))
    columns = ["figure", "#median", "#lowest", "#highest", "unit", "#goal", "verdict"]
    for name, rows in report["rows"].items():
        cells = [
            [
                row["name"], _number(row["median"]), _number(row["low"]), _number(row["high"]), row["unit"],
                "" if row["goal"] is None else f"≤ {_number(row['goal'])}", row["verdict"],
            ]
            for row in rows
        ]  # fmt: skip
        output.show(output.table(name, columns, cells))


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
