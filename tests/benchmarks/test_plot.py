"""The plot: well-formed whatever the figures, and it says what the report says."""

from xml.etree import ElementTree as ET

from hypothesis import given
from hypothesis import strategies as st

from benchmarks.figures import Row, rate, spread, times
from benchmarks.plot import draw
from benchmarks.suite import summed_up

MACHINE = {"processor": "one <&>", "cores": "2", "python": "3.11", "server": "Valkey"}
RATIOS = st.lists(st.floats(1e-6, 1e6), min_size=1, max_size=5)


@given(st.lists(st.tuples(st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S"))), RATIOS), max_size=5),
       st.one_of(st.none(), st.floats(1e-6, 1e6)))  # fmt: skip
def test_a_plot_is_well_formed_and_names_every_ratio_with_its_median(named, goal):
    """Names with any sign, ratios of any size, with and without a goal, none at all."""
    rows = [times(name, found, [1.0] * len(found), better="more", limit=goal) for name, found in named]
    words = _words({"one": rows})
    for row in rows:
        assert f"one: {row.name}" in words
        assert any(one.startswith(f"{row.spread.median:.3g}") for one in words)


def test_a_plot_shows_ratios_alone_with_date_and_machine():
    """What a machine does in a second is for the table."""
    rows = [rate("speed", [1]), Row(name="ratio", unit="times", spread=spread([2]), limit=3, better="less")]
    words = _words({"one": rows})
    assert "one: ratio" in words
    assert "2, goal ≤ 3" in words
    assert not any("speed" in one for one in words)
    assert "2026-11-23, one <&>, 2 cores, Python 3.11, Valkey" in words


def _words(rows):
    drawn = draw({"date": "2026-11-23", "machine": MACHINE, **summed_up(rows)})
    return [one.text or "" for one in ET.fromstring(drawn).iter() if one.tag.endswith("text")]  # noqa: S314 - our own
