"""`fillonce bench`: a report whose shape can be relied upon; what it measured is nobody's business here."""

import json
import os
import signal
from xml.etree import ElementTree as ET

import pytest

from benchmarks.suite import BENCHMARKS
from consumers.commands.bench import NAMES
from tests.commands import Shell, words
from tests.support import wait_until


@pytest.fixture
def shell(tmp_path):
    """A shell in an empty directory."""
    return Shell(tmp_path)


@pytest.mark.slow
def test_a_quick_look_at_duplicates_reports_every_figure_its_goals_and_the_machine(shell):
    """One JSON document; exit code 1 exactly when a goal was missed in every round; rounds in order, machine named;
    kept as it was told, drawn, and beside what was kept before."""  # noqa: D205, D209 - one specification
    kept = {"name": "duplicate p50 / empty p50", "unit": "times", "median": 1e-9, "low": 1e-9, "high": 1e-9}
    (shell.folder / "before.json").write_text(json.dumps({"size": "full", "rows": {"dedup": [kept]}}))
    files = ("--compare", "before.json", "--save", "now.json", "--plot", "now.svg")
    said = shell("bench", "--only", "dedup", "--quick", "--json", *files)
    report = said.json
    assert said.code == (0 if report["ok"] else 1)
    assert said.err == (
        "before.json was a full run and this is a quick one: only what both measure is compared.\nmeasuring dedup\n"
    )
    rows = {row["name"]: row for row in report["rows"]["dedup"]}
    assert {name: row["goal"] for name, row in rows.items() if row["goal"] is not None} == {
        "local hit p99": 5_000,
        "duplicate p50 / empty p50": 1.3,
    }
    assert {"duplicate p99", "empty script p99", "open loop 10,000/s, 4 connections, p99"} <= set(rows)
    assert all(0 < row["low"] <= row["median"] <= row["high"] for row in rows.values())
    assert report["missed"] == [f"dedup: {name}" for name, row in rows.items() if row["verdict"] == "missed"]
    assert json.loads((shell.folder / "now.json").read_bytes()) == report
    [row] = report["compared"]
    assert (row["benchmark"], row["name"], row["verdict"]) == ("dedup", kept["name"], "worse")
    assert ET.parse(shell.folder / "now.svg").getroot().tag.endswith("svg")  # noqa: S314 - our own
    assert report["machine"].keys() >= {"processor", "cores", "python", "redis-py", "server"}


@pytest.mark.parametrize("only", ["speed", "dedup,speed", ","])
def test_a_benchmark_that_does_not_exist_is_refused_by_name(shell, only):
    """Exit code 2 and the names there are."""
    said = shell("bench", "--only", only)
    assert said.code == 2
    assert (
        words(said.err)
        == f"--only takes ledger, dedup, publish, latency, growth, accounts, listener, recovery, budget, not {only!r}."
    )


def test_completion_offers_exactly_the_benchmarks_there_are():
    """Known without importing them, and the same."""
    assert tuple(BENCHMARKS) == NAMES


@pytest.mark.parametrize("option", ["--save", "--plot"])
def test_what_could_not_be_written_is_refused_before_anything_is_measured(shell, option):
    """Minutes of measuring are not thrown away."""
    said = shell("bench", option, "no/such/folder/file")
    assert (said.code, words(said.err)) == (2, "Cannot write no/such/folder/file: No such file or directory.")


def test_a_file_that_can_be_written_is_not_there_before_there_is_a_report(shell):
    """A refusal leaves nothing behind, and takes nothing away."""
    (shell.folder / "kept.json").write_text("{}")
    said = shell("bench", "--save", "new.json", "--plot", "kept.json", "--only", "speed")
    assert said.code == 2
    assert [one.name for one in shell.folder.iterdir()] == ["kept.json"]


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"rows": {"ledger": [{}]}}', '{"rows": {"ledger": [{"median": []}]}}']
)
def test_a_file_that_is_no_report_is_refused_by_name(shell, text):
    """Exit code 2 and one sentence, before anything is measured."""
    (shell.folder / "before.json").write_text(text)
    said = shell("bench", "--compare", "before.json")
    assert (said.code, words(said.err)) == (2, "before.json is no report of `fillonce bench --save`.")


def test_a_report_that_is_not_there_is_named(shell):
    """Exit code 2 and one sentence."""
    said = shell("bench", "--compare", "before.json")
    assert (said.code, words(said.err)) == (2, "Cannot read before.json: No such file or directory.")


@pytest.mark.slow
def test_ctrl_c_ends_a_run_with_everything_it_started(tmp_path):
    """Exit code 130, no trace, and no data directory of a server left behind."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    shell = Shell(tmp_path, {"TMPDIR": str(scratch)})
    with shell.started("bench", "--only", "ledger", "--quick") as process:
        wait_until(lambda: any(one.name.startswith("fillonce-bench-") for one in scratch.iterdir()), 30)
        os.kill(process.pid, signal.SIGINT)
        assert process.wait(30) == 130
    assert shell.written("bench") == "measuring ledger\n"
    assert list(scratch.iterdir()) == []
