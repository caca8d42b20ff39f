"""How often values occur: weights after training, losses per sample, times per step."""

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
class Histogram:
    """Counts of the column `value` in bins of equal width, one outline per value of `color`.

    The bins are counted here, so the picture stays small however long the table is.

        >>> from epochlab.table import Table
        >>> table = Table.of("Weights", [{"weight": w} for w in (0.0, 0.1, 0.1, 1.0)])
        >>> chart = Histogram(value="weight", bins=2).draw(table)
        >>> [(point["x"], point["y"]) for point in chart.to_dict()["datasets"]["points"]]
        [(0.0, 3), (0.5, 1), (1.0, 0)]
    """

    value: str
    color: str | None = None
    "column that splits the values into groups, over the same bins"
    bins: int = 60
    log_count: bool = False
    "logarithmic axis of counts, which shows the tails; empty bins then have no height"
    share: bool = False
    "show each group's share per bin instead of its count"
    vertical: tuple[tuple[float, str], ...] = ()
    "dashed rules at values, with a label each"

    def draw(self, table: Table) -> altair.TopLevelMixin:
        """An altair chart. Raises UnknownName where the table lacks a column."""
        shown = tuple(n for n in (self.value, self.color) if n)
        for name in shown:
            _points.column_of(table, name)
        points, remarks = _counts(self, table)
        return _theme.finished(_chart(self, table, points), table, shown, remarks)


def _counts(drawing: Histogram, table: Table) -> tuple[list[Point], list[str]]:
    """The outline's corners: each bin's left edge with its count; a last one closes it."""
    color = _points.column_of(table, drawing.color) if drawing.color else None
    groups: dict[str, list[float]] = {}
    lost = 0
    for record in table.records():
        value = record[drawing.value]
        group = groups.setdefault(color.text(record[color.name]) if color else "", [])
        if _points.is_finite(value):
            group.append(value)
        else:
            lost += 1
    known = [v for group in groups.values() for v in group]
    low, high = (min(known), max(known)) if known else (0.0, 1.0)
    width = (high - low) / drawing.bins or 1.0
    points: list[Point] = []
    for name, values in groups.items():
        counts = [0] * drawing.bins
        for value in values:
            counts[min(drawing.bins - 1, math.floor((value - low) / width))] += 1
        for i, count in enumerate([*counts, 0]):
            y = count / max(1, len(values)) if drawing.share else count
            point: Point = {"x": _points.short(low + i * width), "y": _points.short(y)}
            points.append({**point, "c": name} if color else point)
    remarks = [f"{drawing.bins} bins of width {width:.3g}"]
    if lost:
        remarks.append(f"{_points.counted(lost, 'value')} not finite or not known, not counted")
    return points, remarks


def _chart(drawing: Histogram, table: Table, points: list[Point]) -> Any:
    import altair as alt

    color_column = _points.column_of(table, drawing.color) if drawing.color else Column(name="")
    colors = table.column(drawing.color) if drawing.color else []
    series = _axes.Series(color_column, colors, drawing.color)
    width_px = _axes.plot_width_px(series.names, drawing.color)
    heights = [p["y"] for p in points if p["y"] > 0]
    floor = min(heights, default=1.0) / 2
    top = max(heights, default=1.0) * (1.4 if drawing.log_count else 1.05)
    title = "share" if drawing.share else "count"
    scale = (
        alt.Scale(type="log", domain=[floor, top], nice=False, clamp=True)
        if drawing.log_count
        else alt.Scale(domain=[0, top], nice=False)
    )
    marks = alt.Axis(values=_points.powers(heights, 10), format="~g") if (
        drawing.log_count and heights
    ) else alt.Axis(tickCount=6)  # fmt: skip
    heading = _points.column_of(table, drawing.value).heading
    base = alt.Chart(_axes.source())
    if drawing.log_count:
        base = base.transform_calculate(y=f"max(datum.y, {floor:g})")
    channels: dict[str, Any] = {
        "x": _axes.axis("x", heading, [p["x"] for p in points]),
        "y": alt.Y("y:Q", title=title, scale=scale, axis=marks),
    }
    shade: dict[str, Any] = {}
    if series.names:
        shade = {"color": series.color(lines=True), "opacity": _axes.opacity()}
    tips = [_axes.tip("x:Q", f"{heading}, from", ".4~g"),
            _axes.tip("y:Q", title, ".4~g")]  # fmt: skip
    fill = base.mark_area(interpolate="step-after", fillOpacity=0.18, clip=True)
    line = base.mark_line(interpolate="step-after", strokeWidth=1.6, clip=True)
    layers = [
        fill.encode(**channels, **shade, y2=alt.Y2Datum(floor if drawing.log_count else 0)),
        line.encode(**channels, **shade, tooltip=tips),
    ]
    if series.names:
        layers[0] = layers[0].add_params(series.pick())
    layers += _axes.rules(drawing.vertical, (), width_px)
    return _axes.assembled(layers, points, width_px=width_px, height_px=260)
