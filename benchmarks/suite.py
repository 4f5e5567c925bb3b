"""The benchmarks by name, and one report of those that were asked for."""

import importlib
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, Literal

import uvloop

from benchmarks import machine
from benchmarks.figures import Row

# Each is a module beside this one, with `measure` and an effort of each size.
BENCHMARKS: Final[Sequence[str]] = (
    "ledger",
    "dedup",
    "publish",
    "latency",
    "growth",
    "accounts",
    "listener",
    "recovery",
    "budget",
)

Size = Literal["full", "quick", "tiny"]


def run(names: Sequence[str], size: Size, tell: Callable[[str, str], None]) -> dict[str, Any]:
    """Run benchmarks one after the other; the report as plain data.

    Args:
        names: of `BENCHMARKS`.
        size: `full` for figures to quote, `quick` for a look, `tiny` to see that everything runs.
        tell: called with the name of a benchmark and what it is at; the latter is empty when it begins.
    """
    rows: dict[str, list[Row]] = {}
    began, where = datetime.now(UTC), machine.describe()  # before our own load
    for name in names:
        tell(name, "")
        rows[name] = uvloop.run(_measure(name, size, tell))
    return {
        "ok": True,
        "size": size,
        "date": began.strftime("%Y-%m-%d"),
        "seconds": round((datetime.now(UTC) - began).total_seconds()),
        "machine": where,
        **summed_up(rows),
    }


def summed_up(rows: Mapping[str, Sequence[Row]]) -> dict[str, Any]:
    """Give the rows of each benchmark as plain data, with which goals were missed; pure."""
    missed = [f"{name}: {row.name}" for name, found in rows.items() for row in found if row.verdict == "missed"]
    plain = {name: [_plain(row) for row in found] for name, found in rows.items()}
    return {"ok": not missed, "rows": plain, "missed": missed}


async def _measure(name: str, size: Size, tell: Callable[[str, str], None]) -> list[Row]:
    module = importlib.import_module(f"benchmarks.{name}")
    rows: list[Row] = await module.measure(getattr(module, size.upper()), lambda at: tell(name, at))
    return rows


def _plain(row: Row) -> dict[str, Any]:
    return {
        "name": row.name,
        "unit": row.unit,
        "better": row.better,
        "median": row.spread.median,
        "low": row.spread.low,
        "high": row.spread.high,
        "goal": row.limit,
        "verdict": row.verdict,
        "note": row.note,
    }
