"""Bars for one number per name: accuracies of arms, seconds per part, dollars per machine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from epochlab.figures import _axes, _points, _theme
from epochlab.table import Column, Table

if TYPE_CHECKING:
    import altair

_Axis = Literal["x", "y"]


@dataclass(frozen=True, kw_only=True)
class Bars:
    """One bar per row, grouped by `x`; rows of equal `x` stand side by side, or on one another.

    The rows keep their order. A value that is not a number or infinite is drawn as a cross at the
    upper edge ("diverged"); one that is not known (None) leaves its place empty.

        >>> from epochlab.table import Table
        >>> rows = [{"arm": "plain", "accuracy": 0.91}, {"arm": "cutout", "accuracy": 0.93}]
        >>> chart = Bars(x="arm", y="accuracy").draw(Table.of("Accuracy", rows))
        >>> chart.to_dict()["datasets"]["points"][0]
        {'x': 'plain', 'y': 0.91, 't': '0.91'}
    """

    x: str
    "column of names"
    y: str
    "column of heights"
    color: str | None = None
    "column that tells bars of the same name apart"
    low: str | None = None
    "column of the lower ends of error bars"
    high: str | None = None
    "column of their upper ends"
    stacked: bool = False
    "stand bars of the same name on one another"
    across: bool = False
    "let the bars run from left to right, which leaves room for long names"
    log_y: bool = False
    zero: bool = True
    "begin the axis at 0; without it points stand for the bars, whose lengths would mislead"
    values: bool = True
    "write the number at each bar, where there are few enough"
    limits: tuple[tuple[float, str], ...] = ()
    "dashed rules at values of y, with a label each"

    def draw(self, table: Table) -> altair.TopLevelMixin:
        """An altair chart. Raises UnknownName where the table lacks a column."""
        shown = tuple(n for n in (self.x, self.y, self.color, self.low, self.high) if n)
        for name in shown:
            _points.column_of(table, name)
        points, edge = _bars(self, table)
        remarks = []
        if self.low and self.high:
            remarks.append(f"thin lines: {self.low} to {self.high}")
        if edge:
            remarks.append("cross at the edge: diverged")
        chart = _chart(self, table, points, edge)
        room_px = 28 if self.across and self.limits else 12
        return _theme.finished(chart, table, shown[1:], remarks, room_px)


def _bars(drawing: Bars, table: Table) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Bars with finite heights, and those without."""
    x_column, y_column = (_points.column_of(table, n) for n in (drawing.x, drawing.y))
    color_column = _points.column_of(table, drawing.color) if drawing.color else None
    points: list[dict[str, Any]] = []
    edge: list[dict[str, Any]] = []
    order: dict[str, int] = {}
    for record in table.records():
        y = record[drawing.y]
        if y is None:
            continue
        point = {"x": x_column.text(record[drawing.x]), "y": _points.short(y)}
        point["t"] = y_column.text(y)
        if color_column:
            point["c"] = color_column.text(record[color_column.name])
            if drawing.stacked:
                point["o"] = order.setdefault(point["c"], len(order))
        if not _points.is_finite(y) or (drawing.log_y and y <= 0):
            edge.append({**point, "y": None})
            continue
        if drawing.low and drawing.high:
            low, high = record[drawing.low], record[drawing.high]
            ends = _points.is_finite(low) and _points.is_finite(high)
            if ends and (low > 0 or not drawing.log_y):
                point |= {"l": _points.short(low), "h": _points.short(high)}
        points.append(point)
    return points, edge


def _chart(drawing: Bars, table: Table, points: list[Any], edge: list[Any]) -> Any:
    import altair as alt

    color_column = _points.column_of(table, drawing.color) if drawing.color else Column(name="")
    colors = table.column(drawing.color) if drawing.color else []
    series = _axes.Series(color_column, colors, drawing.color)
    x_column, y_column = (_points.column_of(table, n) for n in (drawing.x, drawing.y))
    names = list(dict.fromkeys(x_column.text(value) for value in table.column(drawing.x)))
    width_px = _axes.plot_width_px(series.names, drawing.color)
    height_px = _theme.HEIGHT_PX
    per_name = len(series.names) if series.names and not drawing.stacked else 1
    if drawing.across:
        width_px -= min(200, 7 * max((len(n) for n in names), default=0))
        height_px = max(80, len(names) * max(24, 15 * per_name + 8))
    else:
        # Few bars stand in a narrow plot rather than become walls.
        width_px = min(width_px, 40 + len(names) * (40 + 44 * per_name))
    along: _Axis = "y" if drawing.across else "x"
    over: _Axis = "x" if drawing.across else "y"
    ends = [p[k] for p in points for k in ("y", "l", "h") if k in p]
    height = _axes.axis(over, y_column.heading, [*ends, *(at for at, _ in drawing.limits)],
                        log=drawing.log_y, zero=drawing.zero, field="y", bars=True)  # fmt: skip
    place = _axes.axis(along, x_column.heading, names, kind="O", field="x")
    if drawing.stacked:
        height = height.stack("zero")
    channels: dict[str, Any] = {along: place, over: height}
    if series.names and not drawing.stacked:
        offset = alt.YOffset if drawing.across else alt.XOffset
        channels[f"{along}Offset"] = offset("c:N", sort=series.names)
    shade: dict[str, Any] = {}
    if series.names:
        shade = {"color": series.color(), "opacity": _axes.opacity()}
    tips = [_axes.tip("x:N", x_column.heading), _axes.tip("t:N", y_column.heading)]
    if series.names:
        tips.insert(1, _axes.tip("c:N", drawing.color))
    base = alt.Chart(_axes.source())
    order = {"order": alt.Order("o:Q")} if drawing.stacked else {}
    bars = drawing.zero or drawing.stacked
    marks = base.mark_bar() if bars else base.mark_point(filled=True, size=90, opacity=1)
    layers = [marks.encode(**channels, **shade, **order, tooltip=tips)]
    if series.names:
        layers[0] = layers[0].add_params(series.pick())
    if drawing.low and drawing.high:
        layers.append(_error_bars(base, along, over, channels))
    if drawing.values and not drawing.stacked and len(points) <= 24:
        layers.append(_numbers(base, drawing, over, channels))
    if edge:
        crosses = alt.Chart(_axes.own_data(edge)).mark_point(
            shape=_axes.CROSS, size=90, strokeWidth=2
        )
        at = alt.value(width_px - _axes.EDGE_PX if drawing.across else _axes.EDGE_PX)
        layers.append(crosses.encode(**{**channels, over: at}, **shade, tooltip=tips))
    if drawing.across:
        layers += _axes.rules(drawing.limits, (), width_px, log_x=drawing.log_y, above=True)
    else:
        layers += _axes.rules((), drawing.limits, width_px, log_y=drawing.log_y)
    return _axes.assembled(layers, points, width_px=width_px, height_px=height_px)


def _error_bars(base: Any, along: str, over: str, channels: dict[str, Any]) -> Any:
    import altair as alt

    ends = {over: alt.X("l:Q") if over == "x" else alt.Y("l:Q"),
            f"{over}2": alt.X2("h") if over == "x" else alt.Y2("h")}  # fmt: skip
    place = {name: channel for name, channel in channels.items() if name.startswith(along)}
    known = base.transform_filter("isValid(datum.l)")
    return known.mark_rule(style="error").encode(**place, **ends)


def _numbers(base: Any, drawing: Bars, over: str, channels: dict[str, Any]) -> Any:
    """The number past each bar's end, or past its error bar's."""
    import altair as alt

    place: dict[str, Any] = dict(channels)
    if drawing.low and drawing.high:
        base = base.transform_calculate(e="isValid(datum.h) ? datum.h : datum.y")
        place[over] = alt.X("e:Q") if over == "x" else alt.Y("e:Q")
    shift = {"dx": 5, "align": "left"} if over == "x" else {"dy": -4, "baseline": "bottom"}
    return base.mark_text(style="value", **shift).encode(**place, text="t:N")
