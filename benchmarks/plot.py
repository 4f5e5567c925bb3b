"""The ratios of a report and their goals as one SVG, readable on light and dark. Pure."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final
from xml.sax.saxutils import escape

WIDTH, LABEL, BAR, LINE, HEAD = 960, 430, 360, 26, 58
TENFOLD: Final = 10
_COLOURS: Final = {"met": "#2a9d63", "undecided": "#c98a1b", "missed": "#c2453d", "": "#5b7fb5"}


def draw(report: Mapping[str, Any]) -> str:
    """Draw every ratio as a bar from the lowest round to the highest, with its median and its goal.

    The scale is logarithmic, so that ten times faster and ten times slower are equally far from even.
    """
    rows = [(name, row) for name, found in report["rows"].items() for row in found if row["unit"] == "times"]
    figures = [figure for _, row in rows for figure in _figures(row)]
    low = math.floor(math.log10(min(figures, default=1)))
    high = max(math.ceil(math.log10(max(figures, default=TENFOLD))), low + 1)
    height = HEAD + LINE * len(rows) + 30
    size = f'width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="system-ui, sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        _text(12, 22, "fillonce bench: ratios measured side by side", size=15),
        _text(12, 42, _caption(report), colour="#555555"),
    ]
    parts += _grid(low, high, height)
    for number, (name, row) in enumerate(rows):
        parts += _bar(HEAD + LINE * number, name, row, low, high)
    return "\n".join([*parts, "</svg>", ""])


def _figures(row: Mapping[str, Any]) -> Sequence[float]:
    return [one for one in (row["low"], row["high"], row["goal"]) if one]


def _at(value: float, low: int, high: int) -> float:
    return LABEL + BAR * (math.log10(max(value, 10.0**low)) - low) / (high - low)


def _grid(low: int, high: int, height: int) -> list[str]:
    parts = []
    for power in range(low, high + 1):
        x = _at(10.0**power, low, high)
        parts.append(f'<path d="M{x:.1f} {HEAD - 8}V{height - 24}" stroke="{"#888888" if power == 0 else "#dddddd"}"/>')
        parts.append(_text(x, height - 8, f"{10.0**power:g}", anchor="middle", colour="#555555"))
    return parts


def _bar(top: int, benchmark: str, row: Mapping[str, Any], low: int, high: int) -> list[str]:
    left, right, middle = (_at(row[one], low, high) for one in ("low", "high", "median"))
    colour, y = _COLOURS[row["verdict"]], top + LINE / 2
    sign = "≤" if row["better"] == "less" else "≥"
    goal = "" if row["goal"] is None else f", goal {sign} {row['goal']:g}"
    paint = f'fill="{colour}" fill-opacity="0.45"'
    parts = [
        _text(LABEL - 10, y + 4, f"{benchmark}: {row['name']}", anchor="end"),
        f'<rect x="{left:.1f}" y="{y - 6}" width="{max(right - left, 2):.1f}" height="12" {paint}/>',
        f'<rect x="{middle - 1.5:.1f}" y="{y - 8}" width="3" height="16" fill="{colour}"/>',
        _text(LABEL + BAR + 14, y + 4, f"{row['median']:.3g}{goal}", colour="#333333"),
    ]
    if row["goal"] is not None:
        x = _at(row["goal"], low, high)
        parts.append(f'<path d="M{x:.1f} {y - 10}v20" stroke="#111111" stroke-width="1.5" stroke-dasharray="3 2"/>')
    return parts


def _caption(report: Mapping[str, Any]) -> str:
    told = report["machine"]
    return f"{report['date']}, {told['processor']}, {told['cores']} cores, Python {told['python']}, {told['server']}"


def _text(x: float, y: float, words: str, *, anchor: str = "start", size: int = 12, colour: str = "#111111") -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" fill="{colour}">'
        f"{escape(words)}</text>"
    )
