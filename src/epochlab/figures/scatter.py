"""Points in a plane: accuracy against cost, prediction against measurement."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from epochlab.figures import _axes, _points, _theme
from epochlab.figures._points import Point
from epochlab.table import Column, Table

if TYPE_CHECKING:
    import altair


@dataclass(frozen=True, kw_only=True)
class Scatter:
    """One point per row.

    A row whose x or y is not known, not a number or infinite (a run that never reached its target,
    or diverged) is drawn as a cross at the right or upper edge, never left out.

        >>> from epochlab.table import Table
        >>> rows = [{"seconds": 3.0, "accuracy": 0.8}, {"seconds": None, "accuracy": 0.6}]
        >>> chart = Scatter(x="seconds", y="accuracy").draw(Table.of("Models", rows))
        >>> [point["k"] for point in chart.to_dict()["datasets"]["points"]]
        ['point', 'right']
    """

    x: str
    y: str
    color: str | None = None
    "column that groups the points by colour"
    name: str | None = None
    "column that names a point: shown on pointing at it, and beside it on the front"
    front: str | None = None
    "column of true/false; the true ones are joined by a dashed line (a Pareto front)"
    log_x: bool = False
    log_y: bool = False
    diagonal: bool = False
    "draw the line on which x equals y"
    vertical: tuple[tuple[float, str], ...] = ()
    "dashed rules at values of x, with a label each"
    horizontal: tuple[tuple[float, str], ...] = ()
    "dashed rules at values of y, with a label each"
    missing: str = "not reached, or diverged"
    "what a cross at the edge means, in words"

    def draw(self, table: Table) -> altair.TopLevelMixin:
        """An altair chart. Raises UnknownName where the table lacks a column."""
        named = (self.color, self.name, self.front)
        shown = tuple(n for n in (self.x, self.y, *named) if n)
        for name in shown:
            _points.column_of(table, name)
        points, remarks = _placed(self, table)
        return _theme.finished(_chart(self, table, points), table, shown, remarks)


def _placed(drawing: Scatter, table: Table) -> tuple[list[Point], list[str]]:
    """Points under short names: x, y, c(olour), n(ame), k(ind), f(ront).

    Kinds are 'point' and the edges where crosses stand: 'right', 'upper', 'corner'.
    """
    color = _points.column_of(table, drawing.color) if drawing.color else None
    name = _points.column_of(table, drawing.name) if drawing.name else None
    points: list[Point] = []
    for record in table.records():
        x, y = record[drawing.x], record[drawing.y]
        good_x = _points.is_finite(x) and not (drawing.log_x and x <= 0)
        good_y = _points.is_finite(y) and not (drawing.log_y and y <= 0)
        kind = {(True, True): "point", (False, True): "right",
                (True, False): "upper", (False, False): "corner"}[good_x, good_y]  # fmt: skip
        point: Point = {"x": _points.short(x) if good_x else None,
                        "y": _points.short(y) if good_y else None, "k": kind}  # fmt: skip
        if color:
            point["c"] = color.text(record[color.name])
        if name:
            point["n"] = name.text(record[name.name])
        if drawing.front and record[drawing.front]:
            point["f"] = 1
        points.append(point)
    if drawing.front and name:
        _name_front(points, drawing)
    remarks = []
    if drawing.front:
        remarks.append(f"dashed line: {drawing.front}")
    if drawing.diagonal:
        remarks.append("dashed diagonal: x equals y")
    at_edge = [p for p in points if p["k"] != "point"]
    if at_edge:
        remarks.append(f"cross at the edge ({len(at_edge):,}): {drawing.missing}")
    if len(points) > _points.POINTS:
        step = -(-len(points) // _points.POINTS)
        kept = [p for i, p in enumerate(points) if i % step == 0 or "f" in p or p["k"] != "point"]
        remarks.append(f"{len(kept):,} of {len(points):,} points drawn")
        points = kept
    return points, remarks


def _name_front(points: list[Point], drawing: Scatter) -> None:
    """Mark the front's points that can be named without writing one name over another."""
    inside = [p for p in points if p["k"] == "point"]
    places = zip(_shares(inside, "x", drawing.log_x), _shares(inside, "y", drawing.log_y),
                 strict=True)  # fmt: skip
    named: list[tuple[float, float]] = []
    left, _ = _free_side(points, drawing)
    for point, (x, y) in zip(inside, places, strict=True):
        room = 0.012 * len(point["n"]) + 0.02
        fits = x > room if left else x < 1 - room
        if "f" in point and fits and all(abs(x - a) > room or abs(y - b) > 0.06 for a, b in named):
            named.append((x, y))
            point["b"] = 1


def _shares(points: list[Point], name: str, log: bool) -> list[float]:
    """Places along an axis, from 0 to 1."""
    values = [math.log(p[name]) if log else float(p[name]) for p in points]
    low, width = min(values, default=0.0), max(values, default=0.0) - min(values, default=0.0)
    return [(v - low) / (width or 1.0) for v in values]


def _free_side(points: list[Point], drawing: Scatter) -> tuple[bool, bool]:
    """On which side of the front no points lie: (left of it?, above it?)."""
    inside = [p for p in points if p["k"] == "point"]
    ys = _shares(inside, "y", drawing.log_y)
    front = sorted((p["x"], y) for p, y in zip(inside, ys, strict=True) if "f" in p)
    if not front:
        return True, True
    others = [y for p, y in zip(inside, ys, strict=True) if "f" not in p]
    above = sum(others) / max(1, len(others)) <= sum(y for _, y in front) / len(front)
    rising = front[-1][1] >= front[0][1]
    return rising == above, above


def _chart(drawing: Scatter, table: Table, points: list[Point]) -> Any:
    import altair as alt

    color_column = _points.column_of(table, drawing.color) if drawing.color else Column(name="")
    colors = table.column(drawing.color) if drawing.color else []
    series = _axes.Series(color_column, colors, drawing.color)
    x_column, y_column = (_points.column_of(table, n) for n in (drawing.x, drawing.y))
    width_px = _axes.plot_width_px(series.names, drawing.color)
    xs = [p["x"] for p in points] + [at for at, _ in drawing.vertical]
    ys = [p["y"] for p in points] + [at for at, _ in drawing.horizontal]
    if drawing.diagonal:
        xs = ys = [*xs, *ys]
    channels = {
        "x": _axes.axis("x", x_column.heading, xs, log=drawing.log_x, padding_px=14),
        "y": _axes.axis("y", y_column.heading, ys, log=drawing.log_y, padding_px=14),
    }
    shade: dict[str, Any] = {}
    if series.names:
        shade = {"color": series.color(), "opacity": _axes.opacity(0.85)}
    tips = [
        _axes.tip("x:Q", x_column.heading, _theme.number_format(x_column)),
        _axes.tip("y:Q", y_column.heading, _theme.number_format(y_column)),
    ]
    if drawing.color:
        tips.insert(0, _axes.tip("c:N", drawing.color))
    if drawing.name:
        tips.insert(0, _axes.tip("n:N", drawing.name))
    base = alt.Chart(_axes.source())
    dots = base.transform_filter("datum.k == 'point'").mark_circle(size=64, opacity=0.85)
    first = dots.properties(name="main").encode(**channels, **shade, tooltip=tips)
    if series.names:
        first = first.add_params(series.pick())
    layers = [*_lines(drawing, base, channels, xs), first.add_params(_axes.zoom())]
    right = {"x": alt.value(width_px - _axes.EDGE_PX)}
    upper = {"y": alt.value(_axes.EDGE_PX)}
    for kind, place in (("right", right), ("upper", upper), ("corner", right | upper)):
        if any(p["k"] == kind for p in points):
            crosses = base.transform_filter(f"datum.k == '{kind}'")
            marks = crosses.mark_point(shape=_axes.CROSS, size=60, strokeWidth=1.8)
            layers.append(marks.encode(**{**channels, **place}, **shade, tooltip=tips))
    if drawing.front and drawing.name:
        labels = base.transform_filter("datum.b == 1").encode(**channels, text="n:N")
        left, above = _free_side(points, drawing)
        layers += _axes.readable(labels, align="right" if left else "left",
                                 dx=-7 if left else 7, dy=-7 if above else 9)  # fmt: skip
    layers += _axes.rules(
        drawing.vertical, drawing.horizontal, width_px, log_x=drawing.log_x, log_y=drawing.log_y
    )
    return _axes.assembled(layers, points, width_px=width_px)


def _lines(drawing: Scatter, base: Any, channels: dict[str, Any], xs: list[Any]) -> list[Any]:
    """Front and diagonal, which lie below the points."""
    import altair as alt

    layers = []
    if drawing.front:
        joined = base.transform_filter("datum.f == 1 && datum.k == 'point'")
        layers.append(joined.mark_line(style="front", clip=True).encode(**channels))
    known = [x for x in xs if _points.is_finite(x) and (x > 0 or not drawing.log_x)]
    if drawing.diagonal and known:
        ends = _axes.own_data([{"d": min(known)}, {"d": max(known)}])
        line = alt.Chart(ends).mark_line(style="limit", clip=True)
        layers.append(line.encode(x=alt.X("d:Q"), y=alt.Y("d:Q")))
    return layers
