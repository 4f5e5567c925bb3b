"""The figures of the README are those of the report that is kept beside it."""

from benchmarks.compare import load
from benchmarks.plot import draw
from benchmarks.readme import PLOT, README, REPORT, table, written
from benchmarks.suite import BENCHMARKS


def test_the_readme_and_the_plot_say_what_was_measured():
    """`python -m benchmarks.readme` would change nothing."""
    report, readme = load(REPORT), README.read_text()
    assert written(readme, report) == readme
    assert table(report) in readme
    assert PLOT.read_text() == draw(report)


def test_what_is_quoted_was_a_run_of_every_benchmark():
    """Nothing was left out because it looked bad."""
    assert list(load(REPORT)["rows"]) == list(BENCHMARKS)
