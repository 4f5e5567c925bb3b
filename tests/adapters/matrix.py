"""A pytest plugin (`-p tests.adapters.matrix`): the conformance suite as a table of cases by venue and order entry."""

import re
from collections.abc import Mapping

import pytest

PASSED, FAILED, SKIPPED, NOT_RUN = "yes", "NO", "-", ""
_NAME = re.compile(r"test_conformance\.py::test_(\w+)\[([\w-]+?-(?:rest|ws))(?:-(.+))?\]$")

Key = tuple[str, str]  # case, venue and way
Results = Mapping[Key, str]  # what became of it

_results: dict[Key, str] = {}
_reasons: dict[Key, str] = {}  # of what was skipped


def named(node_id: str) -> Key | None:
    """Case, and venue with its way of sending orders, of a test's node id; None for another suite's."""
    found = _NAME.search(node_id)
    if found is None:
        return None
    words = found[1].replace("_", " ")
    return (f"{words}: {found[3]}" if found[3] else words), found[2]


def table(results: Results) -> str:
    """Write the table; the cases in the order they ran."""
    cases = list(dict.fromkeys(case for case, _ in results))
    ways = list(dict.fromkeys(way for _, way in results))
    width = max([len(case) for case in cases], default=0)
    lines = ["  ".join(["".ljust(width), *ways])]
    lines += [
        "  ".join([case.ljust(width), *(results.get((case, way), NOT_RUN).center(len(way)) for way in ways)]).rstrip()
        for case in cases
    ]
    return "\n".join(lines)


def why(reasons: Mapping[Key, str]) -> str:
    """Say of everything that was skipped why; a line a reason, with the ways it is of."""
    ways: dict[str, list[str]] = {}
    for (_, way), reason in reasons.items():
        known = ways.setdefault(reason, [])
        known += [way] if way not in known else []
    return "\n".join(f"{SKIPPED}  {reason}: {', '.join(found)}" for reason, found in ways.items())


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Keep what became of a case; a fixture that fails fails its case."""
    key = named(report.nodeid)
    if key is not None and (report.when == "call" or not report.passed):
        _results[key] = FAILED if report.failed else SKIPPED if report.skipped else PASSED
        if report.skipped and isinstance(report.longrepr, tuple):
            _reasons[key] = report.longrepr[2].removeprefix("Skipped: ")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print it."""
    terminalreporter.write_line("")
    terminalreporter.write_line(table(_results))
    if _reasons:
        terminalreporter.write_line(why(_reasons))
