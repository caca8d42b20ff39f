"""Groups of repeated values: every seed as a point, and boxes from quartile to quartile."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from epochlab.figures import _axes, _points, _theme
from epochlab.figures._points import Point
from epochlab.table import Column, Table

if TYPE_CHECKING:
    import altair


@dataclass(frozen=True, kw_only=True)
class Boxes:
    """Per value of `x` all values of `y` as points, the median as a line.

    Groups of five and more get a box from the lower to the upper quartile (numpy's linear rule).
    Values that are not a number or infinite are crosses at the upper edge.

        >>> from epochlab.table import Table
        >>> rows = [{"arm": "adam", "loss": v} for v in (1.0, 2.0, 4.0)]
        >>> chart = Boxes(x="arm", y="loss").draw(Table.of("Final loss", rows))
        >>> chart.to_dict()["datasets"]["points"][-1]
        {'x': 'adam', 'k': 'box', 'm': 2.0}
    """

    x: str
    "column of names"
    y: str
    "column of values"
    log_y: bool = False
    limits: tuple[tuple[float, str], ...] = ()
    "dashed rules at values of y, with a label each"

    def draw(self, table: Table) -> altair.TopLevelMixin:
        """An altair chart. Raises UnknownName where the table lacks a column."""
        for name in (self.x, self.y):
            _points.column_of(table, name)
        points = _grouped(self, table)
        remarks = ["line: median"]
        if any("l" in p for p in points):
            remarks.append("box: lower to upper quartile")
        if any(p["k"] == "edge" for p in points):
            remarks.append("cross at the upper edge: diverged")
        return _theme.finished(_chart(self, table, points), table, (self.y,), remarks)


def _grouped(drawing: Boxes, table: Table) -> list[Point]:
    import numpy as np

    column = _points.column_of(table, drawing.x)
    groups: dict[str, list[float]] = {}
    points: list[Point] = []
    for record in table.records():
        y, name = record[drawing.y], column.text(record[drawing.x])
        group = groups.setdefault(name, [])
        if y is None:
            continue
        if not _points.is_finite(y) or (drawing.log_y and y <= 0):
            points.append({"x": name, "y": None, "k": "edge"})
            continue
        # Points of one group step to both sides in turn, so that equal values stay visible.
        step = (len(group) % 7) - 3
        points.append({"x": name, "y": _points.short(y), "k": "point", "s": step})
        group.append(y)
    for name, values in groups.items():
        if values:
            low, middle, high = (float(q) for q in np.quantile(values, (0.25, 0.5, 0.75)))
            box: Point = {"x": name, "k": "box", "m": _points.short(middle)}
            if len(values) >= 5:
                box |= {"l": _points.short(low), "h": _points.short(high)}
            points.append(box)
    return points


def _chart(drawing: Boxes, table: Table, points: list[Point]) -> Any:
    import altair as alt

    x_column, y_column = (_points.column_of(table, n) for n in (drawing.x, drawing.y))
    names = list(dict.fromkeys(p["x"] for p in points))
    series = _axes.Series(Column(name=""), names, None)
    width_px = _axes.plot_width_px([])
    ends = [p["y"] for p in points if p["k"] == "point"] + [at for at, _ in drawing.limits]
    y = _axes.axis("y", y_column.heading, ends, log=drawing.log_y, padding_px=10)
    x = _axes.axis("x", x_column.heading, names, kind="O")
    tone = alt.Color("x:N", legend=None, scale=alt.Scale(domain=names, range=series.colours))
    tips = [
        _axes.tip("x:N", x_column.heading),
        _axes.tip("y:Q", y_column.heading, _theme.number_format(y_column)),
    ]
    base = alt.Chart(_axes.source())
    box, point = (base.transform_filter(f"datum.k == '{kind}'") for kind in ("box", "point"))
    band = min(60, width_px / max(1, len(names)) * 0.6)
    layers = [
        box.mark_bar(size=band, opacity=0.22).encode(
            x=x, y=alt.Y("l:Q"), y2=alt.Y2("h"), color=tone
        ),
        box.mark_tick(size=band, thickness=2.5, orient="horizontal").encode(
            x=x, y=alt.Y("m:Q"), color=tone
        ),
        point.mark_circle(size=46, opacity=0.8).encode(
            x=x, y=y, xOffset=alt.XOffset("s:Q", scale=alt.Scale(domain=[-9, 9])), color=tone,
            tooltip=tips,
        ),
    ]  # fmt: skip
    if any(p["k"] == "edge" for p in points):
        crosses = base.transform_filter("datum.k == 'edge'").mark_point(
            shape=_axes.CROSS, size=90, strokeWidth=2
        )
        layers.append(crosses.encode(x=x, y=alt.value(_axes.EDGE_PX), color=tone))
    layers += _axes.rules((), drawing.limits, width_px, log_y=drawing.log_y)
    return _axes.assembled(layers, points, width_px=width_px)
