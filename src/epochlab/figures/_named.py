"""Points in a plane with their names beside them, as far as the names find room."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from epochlab.figures import _axes, _points, _theme
from epochlab.figures._points import Point
from epochlab.table import Column, Table

if TYPE_CHECKING:
    import altair

HEIGHT_PX = 470
EDGE_PX = {"x": 46, "y": 22}
"kept free at the ends of the axes"
_CHAR_PX, _LINE_PX, _DOT_PX, _GAP_PX = 6.6, 13.0, 5.0, 6.0

Box = tuple[float, float, float, float]
"""Left, upper, right and lower edge in pixels."""


@dataclass(frozen=True, kw_only=True)
class Named:
    """One named point per row; a name that finds no free place is shown on pointing only.

    Axes that are not logarithmic begin at 0.

    A row whose x or y is not finite, or not above 0 on a logarithmic axis, is not drawn, and the
    picture says so.
    """

    x: str
    y: str
    name: str
    "column of names"
    color: str | None = None
    "column that groups the points by colour"
    log_x: bool = False
    log_y: bool = False

    def draw(self, table: Table) -> altair.TopLevelMixin:
        """An altair chart. Raises UnknownName where the table lacks a column."""
        shown = tuple(n for n in (self.x, self.y, self.name, self.color) if n)
        x, y, name = (_points.column_of(table, n) for n in (self.x, self.y, self.name))
        color = _points.column_of(table, self.color) if self.color else None
        points: list[Point] = []
        for record in table.records():
            if _has_place(record[x.name], self.log_x) and _has_place(record[y.name], self.log_y):
                point = {"x": _points.short(record[x.name]), "y": _points.short(record[y.name]),
                         "n": name.text(record[name.name])}  # fmt: skip
                if color:
                    point["c"] = color.text(record[color.name])
                points.append(point)
        lost = len(table.rows) - len(points)
        chart = _chart(self, table, points)
        remarks = [f"{_points.counted(lost, 'row')} without a place, not drawn"] if lost else []
        unnamed = sum("a" not in p for p in points)
        if unnamed:
            remarks.append(f"names without room ({unnamed}): point at the mark, or see the data")
        return _theme.finished(chart, table, shown, remarks)


def _channel(which: str, title: str, values: list[float], log: bool) -> Any:
    """An axis around the values, its large numbers written as 10M and 2G."""
    import altair as alt

    low, high = min(values, default=0.0), max(values, default=1.0)
    if log and values:
        # The ends are given: Vega looks for them in all columns of a logarithmic axis.
        ends = [low, high] if low < high else [low / 2, high * 2]
        scale = alt.Scale(type="log", nice=False, padding=EDGE_PX[which], domain=ends)
        ticks: dict[str, Any] = {"values": _points.powers(values, 10)}
    else:
        scale = alt.Scale(zero=True, nice=False, padding=EDGE_PX[which])
        ticks = {"tickCount": 8 if which == "x" else 6}
    large = 1e4 <= max(abs(low), abs(high)) < 1e24
    if large:
        ticks["labelExpr"] = "datum.value === 0 ? '0' : datum.label"
    axis = alt.Axis(format="~s" if large else "~g" if log else alt.Undefined, **ticks,
                    grid=which == "y")  # fmt: skip
    channel: Any = alt.X if which == "x" else alt.Y
    return channel(f"{which}:Q", title=title, scale=scale, axis=axis)


def _has_place(value: Any, log: bool) -> bool:
    return _points.is_finite(value) and not (log and value <= 0)


def _chart(drawing: Named, table: Table, points: list[Point]) -> Any:
    import altair as alt

    color_column = _points.column_of(table, drawing.color) if drawing.color else Column(name="")
    series = _axes.Series(color_column, [p["c"] for p in points if "c" in p], drawing.color)
    x, y = (_points.column_of(table, n) for n in (drawing.x, drawing.y))
    width_px = _axes.plot_width_px(series.names, drawing.color)
    channels = {}
    for which, column, log in (("x", x, drawing.log_x), ("y", y, drawing.log_y)):
        values = [p[which] for p in points]
        channels[which] = _channel(which, column.heading, values, log)
    _name_places(points, drawing, width_px)
    shade: dict[str, Any] = {}
    if series.names:
        shade = {"color": series.color(), "opacity": _axes.opacity(0.9)}
    tips = [_axes.tip("n:N", drawing.name),
            _axes.tip("x:Q", x.heading, _theme.number_format(x)),
            _axes.tip("y:Q", y.heading, _theme.number_format(y))]  # fmt: skip
    base = alt.Chart(_axes.source())
    dots = base.mark_circle(size=70).encode(**channels, **shade, tooltip=tips)
    if series.names:
        dots = dots.add_params(series.pick())
    layers = [dots.add_params(_axes.zoom())]
    places = sorted({(p["a"], p["dx"], p["dy"]) for p in points if "a" in p})
    for align, dx, dy in places:
        test = f"datum.a == '{align}' && datum.dx == {dx} && datum.dy == {dy}"
        words = base.transform_filter(test).encode(**channels, text="n:N")
        layers += _axes.readable(words, align=align, baseline="middle", dx=dx, dy=dy)
    return _axes.assembled(layers, points, width_px=width_px, height_px=HEIGHT_PX)


# --- where the names go ---------------------------------------------------------------------------


def _name_places(points: list[Point], drawing: Named, width_px: int) -> None:
    """Give each point whose name finds room its side of the point: a(lign), dx and dy."""
    across = _pixels(points, "x", drawing.log_x, width_px)
    down = [HEIGHT_PX - v for v in _pixels(points, "y", drawing.log_y, HEIGHT_PX)]
    taken: list[Box] = [(x - _DOT_PX, y - _DOT_PX, x + _DOT_PX, y + _DOT_PX)
                        for x, y in zip(across, down, strict=True)]  # fmt: skip
    for point, x, y in zip(points, across, down, strict=True):
        for align, dx, dy, box in _sides(x, y, _CHAR_PX * len(point["n"]) + _GAP_PX):
            inside = box[0] >= 0 and box[2] <= width_px and box[1] >= 0 and box[3] <= HEIGHT_PX
            if inside and not any(_meet(box, other) for other in taken):
                point |= {"a": align, "dx": dx, "dy": dy}
                taken.append(box)
                break


def _pixels(points: Sequence[Point], which: str, log: bool, length_px: int) -> list[float]:
    """Places along an axis that keeps its ends free."""
    on_axis = [math.log(p[which]) if log else float(p[which]) for p in points]
    ends = on_axis if log else [0.0, *on_axis]
    low, width = min(ends, default=0.0), max(ends, default=0.0) - min(ends, default=0.0)
    if not width:
        return [length_px / 2 for _ in on_axis]
    edge = EDGE_PX[which]
    return [edge + (v - low) / width * (length_px - 2 * edge) for v in on_axis]


def _sides(x: float, y: float, width: float) -> Iterator[tuple[str, int, int, Box]]:
    """Right of the point, left, above, below, and the four corners."""
    half = _LINE_PX / 2
    for align, dx, dy in (
        ("left", 8, 0), ("right", -8, 0), ("center", 0, -13), ("center", 0, 13),
        ("left", 6, -10), ("left", 6, 10), ("right", -6, -10), ("right", -6, 10),
        ("left", 4, -19), ("left", 4, 19), ("right", -4, -19), ("right", -4, 19),
    ):  # fmt: skip
        start = {"left": x + dx, "right": x + dx - width, "center": x + dx - width / 2}[align]
        yield align, dx, dy, (start, y + dy - half, start + width, y + dy + half)


def _meet(a: Box, b: Box) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
