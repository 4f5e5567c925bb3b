"""A report beside one that was kept: which ratios became worse, beyond what the rounds of both spread."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, Literal

import orjson

from streams.errors import UsageError

# What a machine does in a second says little on another day; ratios, bytes and megabytes can be compared.
UNITS: Final = frozenset({"times", "B", "MB"})

Verdict = Literal["worse", "better", "same"]


def save(file: Path, report: Mapping[str, Any]) -> None:
    """Keep a report."""
    file.write_bytes(orjson.dumps(report, option=orjson.OPT_INDENT_2) + b"\n")


def load(file: Path) -> Mapping[str, Any]:
    """Read a report that was kept.

    Raises:
        UsageError: it cannot be read, or is none.
    """
    try:
        report = orjson.loads(file.read_bytes())
        for _, row in _rows(report):
            _ = float(row["median"]), float(row["low"]), float(row["high"]), row["name"], row["unit"]
    except OSError as error:
        raise UsageError(f"Cannot read {file}: {error.strerror}.") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise UsageError(f"{file} is no report of `fillonce bench --save`.") from None
    return report  # type: ignore[no-any-return]  # just looked through


def compare(report: Mapping[str, Any], kept: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Put what both reports have side by side."""
    before = {(name, row["name"], row["unit"]): row for name, row in _rows(kept)}
    found = []
    for name, row in _rows(report):
        old = before.get((name, row["name"], row["unit"]))
        if old is not None and row["unit"] in UNITS:
            found.append(
                {"benchmark": name, "name": row["name"], "before": old["median"], "now": row["median"],
                 "verdict": judge(row, old)}
            )  # fmt: skip
    return found


def judge(now: Mapping[str, Any], before: Mapping[str, Any]) -> Verdict:
    """Tell a change from the spread: the rounds of the two must not overlap."""
    if now["low"] > before["high"]:
        return "worse" if now["better"] == "less" else "better"
    if now["high"] < before["low"]:
        return "better" if now["better"] == "less" else "worse"
    return "same"


def _rows(report: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for name, rows in report["rows"].items():
        for row in rows:
            yield name, row
