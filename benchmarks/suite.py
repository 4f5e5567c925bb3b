"""The benchmarks by name, and one report of those that were asked for."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

import uvloop

from benchmarks import dedup, machine
from benchmarks.figures import Row


async def _dedup(*, quick: bool) -> list[Row]:
    return await dedup.measure(dedup.QUICK if quick else dedup.FULL)


BENCHMARKS: Final[Mapping[str, Callable[..., Awaitable[list[Row]]]]] = {"dedup": _dedup}


def run(names: Sequence[str], *, quick: bool, show: Callable[[str], None]) -> dict[str, Any]:
    """Run benchmarks one after the other; the report as plain data.

    Args:
        names: of `BENCHMARKS`.
        quick: fewer and shorter rounds: for a look, not for a figure to quote.
        show: called with the name of each before it starts.
    """
    rows: dict[str, list[Row]] = {}
    for name in names:
        show(name)
        rows[name] = uvloop.run(_coroutine(name, quick=quick))
    missed = [f"{name}: {row.name}" for name, found in rows.items() for row in found if row.verdict == "missed"]
    return {
        "ok": not missed,
        "quick": quick,
        "machine": machine.describe(),
        "rows": {name: [_plain(row) for row in found] for name, found in rows.items()},
        "missed": missed,
    }


async def _coroutine(name: str, *, quick: bool) -> list[Row]:
    return await BENCHMARKS[name](quick=quick)


def _plain(row: Row) -> dict[str, Any]:
    return {
        "name": row.name,
        "unit": row.unit,
        "median": row.spread.median,
        "low": row.spread.low,
        "high": row.spread.high,
        "goal": row.limit,
        "verdict": row.verdict,
    }
