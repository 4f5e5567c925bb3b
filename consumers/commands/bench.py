"""`fillonce bench`: what the pipeline costs, measured here and now, each figure beside its goal."""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from consumers.commands import output
from streams.errors import UsageError

NAMES = ("ledger", "dedup", "publish", "latency", "growth", "accounts", "listener", "recovery", "budget")


def bench(
    ctx: typer.Context,  # noqa: ARG001 - every command has it
    *,
    only: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME", help="Only this benchmark; repeat it, or use commas.", autocompletion=lambda: list(NAMES)
        ),
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Fewer and shorter rounds: a look, no figure to quote.")
    ] = False,
    save: Annotated[str, typer.Option(metavar="FILE", help="Keep the report, to compare with later.")] = "",
    compare: Annotated[
        str, typer.Option(metavar="FILE", help="Show each ratio beside the one of a report that was kept.")
    ] = "",
    plot: Annotated[str, typer.Option(metavar="FILE", help="Draw the ratios and their goals as SVG.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")] = False,
) -> int:
    """Measure on servers of its own, rounds interleaved; medians with the lowest and the highest round.

    Exit code 1 when a goal was missed in every round.

    \b
    Examples:
      fillonce bench
      fillonce bench --quick --save before.json
      fillonce bench --quick --compare before.json --only ledger --only publish
      fillonce bench --only ledger --json
    """  # noqa: D301 - \b tells the help to keep the lines
    try:
        from benchmarks import compare as comparing
        from benchmarks import plot as plotting
        from benchmarks import suite
    except ModuleNotFoundError:
        raise UsageError(
            "The benchmarks are not part of the installed program; run `fillonce bench` in a checkout."
        ) from None
    names = _names(only or [], suite.BENCHMARKS)
    kept = comparing.load(Path(compare)) if compare else None
    size: Literal["full", "quick"] = "quick" if quick else "full"
    if kept is not None and kept.get("size", size) != size:
        output.say(f"{compare} was a {kept['size']} run and this is a {size} one: only what both measure is compared.")
    for file in filter(None, (save, plot)):
        _writable(Path(file))
    with _telling() as tell:
        report = suite.run(names, size, tell)
    if kept is not None:
        report["compared"] = comparing.compare(report, kept)
    if save:
        comparing.save(Path(save), report)
    if plot:
        Path(plot).write_text(plotting.draw(report), encoding="utf-8")
    if as_json:
        output.document(report)
    else:
        _show(report)
    return output.DONE if report["ok"] else output.WRONG


def _names(only: list[str], known: Sequence[str]) -> list[str]:
    if not only:
        return list(known)
    asked = {name.strip() for words in only for name in words.split(",")} - {""}
    if not asked or asked - set(known):
        raise UsageError(f"--only takes {', '.join(known)}, not {', '.join(only)!r}.")
    return [name for name in known if name in asked]


def _writable(file: Path) -> None:
    """Refuse before minutes of measuring what could not be kept after them."""
    existed = file.exists()
    try:
        file.open("a").close()
    except OSError as error:
        raise UsageError(f"Cannot write {file}: {error.strerror}.") from None
    if not existed:
        file.unlink()


@contextmanager
def _telling() -> Iterator[Callable[[str, str], None]]:
    """Say on standard error what is measured; where somebody watches, also how far it is."""
    if not sys.stderr.isatty():
        yield lambda name, at: None if at else output.say(f"measuring {name}")
        return
    from rich.console import Console

    with Console(stderr=True).status("") as status:
        yield lambda name, at: status.update(f"measuring {name}{': ' if at else ''}{at}")


def _show(report: Mapping[str, Any]) -> None:
    output.show(f"{report['date']}, {report['seconds']} s, {report['size']}")
    output.show(", ".join(f"{name} {value}" for name, value in report["machine"].items()))
    columns = ["figure", "#median", "#lowest", "#highest", "unit", "#goal", "verdict"]
    columns += ["#before", "against it"] if "compared" in report else []
    before = {(row["benchmark"], row["name"]): row for row in report.get("compared", ())}
    for name, rows in report["rows"].items():
        cells = [_cells(row) for row in rows]
        if "compared" in report:
            cells = [[*one, *_against(before.get((name, row["name"])))] for one, row in zip(cells, rows, strict=True)]
        told = [[*one, row["note"]] for one, row in zip(cells, rows, strict=True)]
        output.show(output.table(name, [*columns, "note"], told))


def _cells(row: Mapping[str, Any]) -> list[str]:
    from benchmarks.figures import number

    sign = "≤" if row["better"] == "less" else "≥"
    goal = "" if row["goal"] is None else f"{sign} {number(row['goal'])}"
    figures = [number(row[one]) for one in ("median", "low", "high")]
    return [row["name"], *figures, row["unit"], goal, row["verdict"]]


def _against(row: Mapping[str, Any] | None) -> list[str]:
    from benchmarks.figures import number

    return ["", ""] if row is None else [number(row["before"]), row["verdict"]]
