"""The README's figures, from the report that is kept in `docs/bench.json`: `python -m benchmarks.readme`.

A test compares what it writes with what is there, so a figure of the README is a figure of a run.
"""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from benchmarks.compare import load
from benchmarks.figures import number
from benchmarks.plot import draw

ROOT: Final = Path(__file__).parents[1]
REPORT, PLOT, README = ROOT / "docs" / "bench.json", ROOT / "docs" / "bench.svg", ROOT / "README.md"
SIZES: Final = {"full": "`fillonce bench`", "quick": "`fillonce bench --quick`"}
BUSY: Final = 2  # runnable processes for each core
BEGIN, END = "<!-- figures: python -m benchmarks.readme -->\n", "<!-- end of figures -->\n"


def table(report: Mapping[str, Any]) -> str:
    """Write the figures that have a goal as a table, with when and on what they were measured; pure."""
    told = report["machine"]
    where = (
        f"{told['processor']}, {told['cores']} cores, load {told['load']}, Python {told['python']}, {told['server']}"
    )
    busy = "; other work took most of it, so short calls look slower than they are" if _busy(told) else ""
    lines = [
        f"{SIZES[report['size']]} on {report['date']}: {where}{busy}.\n",
        "| figure | median | rounds | goal | |",
        "|---|---|---|---|---|",
    ]
    for name, rows in report["rows"].items():
        lines += [_line(name, row) for row in rows if row["goal"] is not None]
    return "\n".join([*lines, ""])


def written(readme: str, report: Mapping[str, Any]) -> str:
    """Put the table between its marks; pure."""
    before, begin, rest = readme.partition(BEGIN)
    _, end, after = rest.partition(END)
    return before + begin + table(report) + end + after


def _busy(told: Mapping[str, str]) -> bool:
    return float(told["load"].partition(",")[0]) > BUSY * int(told["cores"])


def _line(benchmark: str, row: Mapping[str, Any]) -> str:
    sign = "≤" if row["better"] == "less" else "≥"
    unit = "" if row["unit"] == "times" else f" {row['unit']}"
    low, middle, high, goal = (number(row[one]) for one in ("low", "median", "high", "goal"))
    return f"| {benchmark}: {row['name']} | {middle}{unit} | {low} to {high} | {sign} {goal} | {row['verdict']} |"


def main() -> int:
    """Write the README's table and the plot."""
    report = load(REPORT)
    README.write_text(written(README.read_text(encoding="utf-8"), report), encoding="utf-8")
    PLOT.write_text(draw(report), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
