"""A roofline: speed over arithmetic intensity, below what peak and bandwidth allow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from epochlab.errors import BadOption
from epochlab.figures import _axes, _points, _theme
from epochlab.figures._points import Point
from epochlab.table import Column, Table

if TYPE_CHECKING:
    import altair


@dataclass(frozen=True, kw_only=True)
class Roofline:
    """One point per row on logarithmic axes, and above them the roof of a machine.

    speed <= min(peak, bandwidth * intensity): left of the ridge the memory limits, right of it the
    arithmetic (Williams, Waterman, Patterson, "Roofline: an insightful visual performance model",
    CACM 52(4), 2009). A point above the sloped roof found its data in a cache. A row without a
    place on logarithmic axes is not drawn, and the picture says so.

        >>> from epochlab.table import Table
        >>> rows = [{"FLOP per byte": 10.0, "speed": 40.0}]
        >>> drawing = Roofline(peak=100.0, bandwidth=20.0, y="speed")
        >>> [(p["x"], p["y"]) for p in drawing.roof(1.0, 50.0)]
        [(1.0, 20.0), (5.0, 100.0), (50.0, 100.0)]
        >>> chart = drawing.draw(Table.of("Layers", rows))
        >>> chart.to_dict()["datasets"]["points"]
        [{'x': 10.0, 'y': 40.0}]
    """

    peak: float
    "in the unit of `y`"
    bandwidth: float
    "in the unit of `y` per unit of `x`"
    x: str = "FLOP per byte"
    y: str
    "column of speeds"
    color: str | None = None
    "column that groups the points by colour"
    name: str | None = None
    "column that names a point on pointing at it"
    peak_name: str = "peak"
    bandwidth_name: str = "bandwidth"

    def __post_init__(self) -> None:
        for key in ("peak", "bandwidth"):
            if not (_points.is_finite(getattr(self, key)) and getattr(self, key) > 0):
                raise BadOption(f"{key} is {getattr(self, key)!r}; it must be a number above 0.")

    def roof(self, low: float, high: float) -> list[Point]:
        """Corners of the roof from one intensity to another."""
        ridge = self.peak / self.bandwidth
        at = sorted({low, high, *([ridge] if low < ridge < high else [])})
        return [{"x": x, "y": min(self.peak, self.bandwidth * x)} for x in at]

    def draw(self, table: Table) -> altair.TopLevelMixin:
        """An altair chart. Raises UnknownName where the table lacks a column."""
        shown = tuple(n for n in (self.x, self.y, self.color, self.name) if n)
        for name in shown:
            _points.column_of(table, name)
        points, lost = _placed(self, table)
        remarks = [f"{self.peak_name}; {self.bandwidth_name}"]
        if lost:
            remarks.append(f"{_points.counted(lost, 'row')} without arithmetic or time, not drawn")
        return _theme.finished(_chart(self, table, points), table, shown, remarks)


def _placed(drawing: Roofline, table: Table) -> tuple[list[Point], int]:
    """Points under short names, and how many rows have no place."""
    color = _points.column_of(table, drawing.color) if drawing.color else None
    name = _points.column_of(table, drawing.name) if drawing.name else None
    points = []
    for record in table.records():
        x, y = record[drawing.x], record[drawing.y]
        if not (_points.is_finite(x) and _points.is_finite(y) and x > 0 and y > 0):
            continue
        point: Point = {"x": _points.short(x), "y": _points.short(y)}
        if color:
            point["c"] = color.text(record[color.name])
        if name:
            point["n"] = name.text(record[name.name])
        points.append(point)
    return points, len(table.rows) - len(points)


def _chart(drawing: Roofline, table: Table, points: list[Point]) -> Any:
    import altair as alt

    color_column = _points.column_of(table, drawing.color) if drawing.color else Column(name="")
    series = _axes.Series(color_column, table.column(drawing.color) if drawing.color else [],
                          drawing.color)  # fmt: skip
    x_column, y_column = (_points.column_of(table, n) for n in (drawing.x, drawing.y))
    ridge = drawing.peak / drawing.bandwidth
    xs = [*(p["x"] for p in points), ridge / 2, ridge * 4]
    roof = drawing.roof(min(xs), max(xs))
    ys = [*(p["y"] for p in points), *(p["y"] for p in roof)]
    width_px = _axes.plot_width_px(series.names, drawing.color)
    channels = {
        "x": _axes.axis("x", x_column.heading, xs, log=True, padding_px=14),
        "y": _axes.axis("y", y_column.heading, ys, log=True, padding_px=14),
    }
    tips = [_axes.tip("x:Q", x_column.heading, _theme.number_format(x_column)),
            _axes.tip("y:Q", y_column.heading, _theme.number_format(y_column))]  # fmt: skip
    tips = [*([_axes.tip("n:N", drawing.name)] if drawing.name else []),
            *([_axes.tip("c:N", drawing.color)] if drawing.color else []), *tips]  # fmt: skip
    shade: dict[str, Any] = {}
    if series.names:
        shade = {"color": series.color(), "opacity": _axes.opacity(0.85)}
    line = alt.Chart(_axes.own_data(roof)).mark_line(style="front", clip=True)
    dots = alt.Chart(_axes.source()).mark_circle(size=64, opacity=0.85)
    main = dots.properties(name="main").encode(**channels, **shade, tooltip=tips)
    if series.names:
        main = main.add_params(series.pick())
    layers = [line.encode(x=alt.X("x:Q"), y=alt.Y("y:Q")), main.add_params(_axes.zoom())]
    return _axes.assembled(layers, points, width_px=width_px)
