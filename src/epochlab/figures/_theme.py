"""Colours, sizes and words that all pictures share."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from epochlab.table import LABELS, Column, Table

if TYPE_CHECKING:
    import altair

# (name, on white, on black). A picture is made with the colours on white; a page swaps each for a
# CSS variable of its name, and so changes a picture's theme without drawing it again. No colour
# may stand twice in the second column.
#
# c1 to c8 follow Okabe and Ito, "Color Universal Design" (2008): hues that people with any of the
# common colour deficiencies tell apart. The lightest are darkened here for lines on white.
COLOURS = (
    ("paper", "#ffffff", "#14171c"),
    ("ink", "#1b1f24", "#e8eaed"),
    ("soft", "#565d66", "#a9b1bb"),
    ("axis", "#9aa1a9", "#5d656f"),
    ("grid", "#e6e8eb", "#2a2f36"),
    ("c1", "#0072b2", "#4fb3ee"),
    ("c2", "#d55e00", "#ff8a3d"),
    ("c3", "#00916a", "#2fcf9f"),
    ("c4", "#b4508c", "#e58fc3"),
    ("c5", "#b98600", "#f0c230"),
    ("c6", "#3c9fd6", "#a5d8f7"),
    ("c7", "#6a4fa3", "#b7a1f0"),
    ("c8", "#6b6f76", "#b9bfc7"),
    # An ordered ramp (few -> many), dark to bright on white and the reverse on black.
    ("r1", "#c9b037", "#5a3f8f"),
    ("r2", "#8fba3f", "#5263b5"),
    ("r3", "#4dae63", "#3f87c0"),
    ("r4", "#209b7c", "#35a7ba"),
    ("r5", "#1f8289", "#3cc3a2"),
    ("r6", "#2c668c", "#73d682"),
    ("r7", "#3b4a88", "#b6e25c"),
    ("r8", "#45256f", "#f3ea5d"),
)
_ON_WHITE = {name: white for name, white, _ in COLOURS}
_NAME_OF = {white: name for name, white, _ in COLOURS}

FONT = "Helvetica, Arial, 'Liberation Sans', sans-serif"
WIDTH_PX = 780
"of a whole picture, legend and axes included; a report's column is as wide"
HEIGHT_PX = 320
"of one plot"
_LINE_CHARS = 108


def colour(name: str) -> str:
    """The colour called `name` in COLOURS, as it is on white."""
    return _ON_WHITE[name]


def with_variables(text: str) -> str:
    """An SVG picture or the JSON of a chart, its theme colours replaced by CSS variables."""
    return re.sub(
        r"(?<=\")#[0-9a-f]{6}(?=\")",
        lambda found: f"var(--{_NAME_OF[found[0]]})" if found[0] in _NAME_OF else found[0],
        text,
    )


def series_colours(column: Column, values: Iterable[Any]) -> tuple[list[str], list[str], list[Any]]:
    """Names of a column's values in legend order, and for each its colour and its dash pattern.

    More than two numbers are ordered and take colours from the ramp; other values keep the order in
    which they come. From the ninth on the colours begin again with another dash pattern.
    """
    distinct = list(dict.fromkeys(values))
    numeric = all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in distinct)
    if numeric:
        distinct.sort()
    names = list(dict.fromkeys(column.text(v) for v in distinct))
    if numeric and 2 < len(names) <= 8:
        last = len(names) - 1
        return names, [colour(f"r{1 + round(7 * i / last)}") for i in range(len(names))], [
            [1, 0] for _ in names
        ]  # fmt: skip
    dashes = ([1, 0], [6, 3], [2, 2], [8, 3, 2, 3], [12, 4])
    return (
        names,
        [colour(f"c{1 + i % 8}") for i in range(len(names))],
        [dashes[i // 8 % len(dashes)] for i in range(len(names))],
    )


def number_format(column: Column) -> str:
    """A column's number format as d3 understands it."""
    plain = re.fullmatch(r",?(\.\d+)?[efg%d]?", column.format)
    return column.format if column.format and plain else ".4~g"


def label_line(table: Table, columns: Sequence[str], remarks: Sequence[str] = ()) -> list[str]:
    """What must be known before a picture is believed: honesty labels, data tier, remarks.

    `columns` are those that the picture shows. Where one of them holds honesty labels, row by row,
    these are named instead of the table's.
    """
    labels: dict[str, None] = {}
    by_row: dict[str, None] = {}
    for column in table.columns:
        if column.name not in columns:
            continue
        cells = dict.fromkeys(str(v) for v in table.column(column.name))
        if cells and all(cell in LABELS for cell in cells):
            by_row.update(cells)
        else:
            labels[column.label or table.label] = None
    parts = [" and ".join(by_row or labels or [table.label])]
    if table.tier == "look-alike":
        parts.append("look-alike data")
    elif table.tier == "mixed":
        parts.append("real and look-alike data")
    lines = [""]
    for part in (*parts, *remarks):
        longer = f"{lines[-1]}  ·  {part}" if lines[-1] else part
        if len(longer) <= _LINE_CHARS:
            lines[-1] = longer
        else:
            lines += textwrap.wrap(part, _LINE_CHARS)
    return [line for line in lines if line]


def finished(
    chart: altair.TopLevelMixin,
    table: Table,
    columns: Sequence[str],
    remarks: Sequence[str] = (),
    room_px: int = 12,
) -> altair.TopLevelMixin:
    """The chart with the shared theme and its label line, `room_px` above the plot."""
    made: Any = chart
    made.title = {"text": label_line(table, columns, remarks), "offset": room_px}
    made.config = config()
    return chart


def config() -> dict[str, Any]:
    """The Vega-Lite configuration of all pictures."""
    soft, ink, axis = colour("soft"), colour("ink"), colour("axis")
    return {
        "background": colour("paper"),
        "font": FONT,
        "padding": 6,
        # A name per mark would be read aloud one by one; the description and the table serve.
        "aria": False,
        "view": {"stroke": None, "continuousWidth": 600, "continuousHeight": HEIGHT_PX},
        "title": {"anchor": "start", "frame": "group", "fontSize": 12, "fontWeight": "normal",
                  "color": soft, "lineHeight": 16,
                  "subtitleColor": soft, "subtitleFontSize": 12},
        "axis": {"labelFontSize": 12, "titleFontSize": 13, "titleFontWeight": "normal",
                 "labelColor": soft, "titleColor": ink, "gridColor": colour("grid"),
                 "domainColor": axis, "tickColor": axis, "titlePadding": 9, "labelPadding": 5,
                 "labelLimit": 220, "labelOverlap": "greedy", "tickSize": 4},
        "axisX": {"grid": False, "labelFlush": False, "titleLimit": 640},
        "axisY": {"titleLimit": HEIGHT_PX},
        "legend": {"labelFontSize": 12, "titleFontSize": 12, "titleFontWeight": "normal",
                   "labelColor": ink, "titleColor": soft, "labelLimit": 260, "symbolSize": 90,
                   "symbolOpacity": 1, "rowPadding": 4, "titleLimit": 260},
        "header": {"labelFontSize": 13, "labelColor": ink, "titleColor": soft, "labelLimit": 340,
                   "labelPadding": 6, "titleFontSize": 12, "titleFontWeight": "normal"},
        "mark": {"color": colour("c1")},
        "line": {"strokeWidth": 2, "strokeJoin": "round", "strokeCap": "butt"},
        "range": {"category": [colour(f"c{i}") for i in range(1, 9)],
                  "ramp": {"scheme": "viridis"}, "heatmap": {"scheme": "viridis"}},
        "style": {
            "limit": {"color": soft, "strokeWidth": 1, "strokeDash": [4, 3]},
            "rim": {"stroke": colour("paper"), "strokeWidth": 3.5, "strokeOpacity": 0.85},
            "value": {"color": ink, "fontSize": 11.5},
            "error": {"color": ink, "strokeWidth": 1.3},
            "front": {"color": ink, "strokeWidth": 1.3, "strokeDash": [5, 3]},
            "name": {"color": soft, "fontSize": 12, "limit": 340},
        },
    }  # fmt: skip
