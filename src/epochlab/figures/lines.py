"""Curves over a number: training curves, sweeps, predictions against workers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from epochlab.figures import _axes, _points, _theme
from epochlab.figures._curves import Curves, curves_of
from epochlab.table import Column, Table

if TYPE_CHECKING:
    import altair


@dataclass(frozen=True, kw_only=True)
class Lines:
    """One line per value of `color` and `dash`, over `x`.

    A value that is not a number or infinite is drawn as a cross at the upper edge ("diverged");
    one that is not known (None) is left out. Curves of many points are thinned for drawing, lowest
    and highest values kept, and the picture says so.

        >>> from epochlab.table import Table
        >>> rows = [{"epoch": e, "loss": 1 / e} for e in range(1, 6)]
        >>> chart = Lines(x="epoch", y="loss").draw(Table.of("Loss", rows))
        >>> chart.to_dict()["datasets"]["points"][1]
        {'x': 2, 'y': 0.5, 'k': 'line'}
    """

    x: str
    "column over which the lines run: numbers, or names in their order"
    y: str | tuple[str, ...]
    "column of heights; several columns make several lines, told apart by their names"
    color: str | None = None
    "column that tells the lines apart"
    dash: str | None = None
    "column that tells them apart by dashes as well, such as measured and predicted"
    panel: str | None = None
    "column whose values get a panel each, all with the same axes"
    panel_columns: int = 2
    "panels side by side"
    band: tuple[str, str] | None = None
    "columns of the lower and the upper end of a band around each line"
    log_x: bool = False
    log_y: bool = False
    log_base: int = 10
    "of the marks on a logarithmic x axis; 2 suits batch sizes"
    points: bool = False
    "mark each point"
    smooth: int = 0
    "draw the mean over so many neighbouring points as the line, the points themselves faintly"
    vertical: tuple[tuple[float, str], ...] = ()
    "dashed rules at values of x, with a label each"
    horizontal: tuple[tuple[float, str], ...] = ()
    "dashed rules at values of y, with a label each"
    y_title: str = ""
    "title of the y axis where the column's heading does not serve"

    def draw(self, table: Table) -> altair.TopLevelMixin:
        """An altair chart. Raises UnknownName where the table lacks a column."""
        heights = (self.y,) if isinstance(self.y, str) else self.y
        named = (self.color, self.dash, self.panel, *(self.band or ()))
        shown = (*heights, *(name for name in named if name))
        for name in (self.x, *shown):
            _points.column_of(table, name)
        curves = curves_of(table, self, heights)
        return _theme.finished(_chart(self, table, curves, heights), table, shown, curves.remarks)


def _chart(drawing: Lines, table: Table, curves: Curves, heights: tuple[str, ...]) -> Any:
    x_column = _points.column_of(table, drawing.x)
    y_column = _points.column_of(table, heights[0])
    numeric_x = _points.is_numeric(table.column(drawing.x))
    color_column = _points.column_of(table, drawing.color) if drawing.color else Column(name="")
    series = _axes.Series(color_column, curves.colors, drawing.color)
    panel_columns = min(drawing.panel_columns, len(curves.panels)) if curves.panels else 1
    width_px = _axes.plot_width_px(
        [*series.names, *curves.dashes], drawing.color or drawing.dash, panel_columns
    )
    several_title = f"value [{y_column.unit}]" if y_column.unit else "value"
    title = drawing.y_title or (several_title if len(heights) > 1 else y_column.heading)
    ends = [p[name] for p in curves.of("line", "raw") for name in ("y", "l", "h") if name in p]
    places = [p["x"] for p in curves.points]
    if numeric_x:
        places += [at for at, _ in drawing.vertical]
    channels = {
        "x": _axes.axis("x", x_column.heading, places,
                        kind="Q" if numeric_x else "O", log=drawing.log_x, base=drawing.log_base,
                        padding_px=8 if drawing.points else 0),
        "y": _axes.axis("y", title, [*ends, *(at for at, _ in drawing.horizontal)],
                        log=drawing.log_y),
        **_shades(drawing, series, curves.dashes),
    }  # fmt: skip
    tips = _tips(drawing, curves, x_column, y_column, title)
    layers = _layers(drawing, curves, series, channels, tips)
    layers += _axes.rules(
        drawing.vertical, drawing.horizontal, width_px, log_x=drawing.log_x, log_y=drawing.log_y
    )
    if series.names:
        layers[0] = layers[0].add_params(series.pick())
    if numeric_x:
        layers[0] = layers[0].add_params(_axes.zoom())
    return _axes.assembled(
        layers, curves.points, width_px=width_px, panels=curves.panels,
        height_px=_theme.HEIGHT_PX if panel_columns == 1 else 200, panel_columns=panel_columns,
    )  # fmt: skip


def _shades(drawing: Lines, series: _axes.Series, dashes: list[str]) -> dict[str, Any]:
    import altair as alt

    shades: dict[str, Any] = {}
    if series.names:
        shades["color"] = series.color(lines=True)
    if dashes:
        patterns = [[1, 0], [6, 4], [2, 3], [9, 3, 2, 3]]
        used = [patterns[i % len(patterns)] for i in range(len(dashes))]
        shades["strokeDash"] = alt.StrokeDash(
            "d:N", title=drawing.dash, sort=dashes, legend=_axes.legend(dashes, lines=True),
            scale=alt.Scale(domain=dashes, range=used),
        )  # fmt: skip
    elif (past_palette := series.dash()) is not None:
        shades["strokeDash"] = past_palette
    return shades


def _tips(drawing: Lines, curves: Curves, x: Column, y: Column, title: str) -> list[Any]:

    x_kind = "Q" if all(_points.is_finite(p["x"]) for p in curves.points) else "N"
    tips = [_axes.tip(f"x:{x_kind}", x.heading),
            _axes.tip("y:Q", title, _theme.number_format(y))]  # fmt: skip
    if curves.colors:
        tips.insert(0, _axes.tip("c:N", drawing.color or "line"))
    if curves.dashes:
        tips.insert(1, _axes.tip("d:N", drawing.dash or "line"))
    if drawing.band:
        ends = zip(("l:Q", "h:Q"), drawing.band, strict=True)
        tips += [_axes.tip(k, name, _theme.number_format(y)) for k, name in ends]
    return tips


def _layers(
    drawing: Lines,
    curves: Curves,
    series: _axes.Series,
    channels: dict[str, Any],
    tips: list[Any],
) -> list[Any]:
    """Band, raw points, lines, points, edge marks, and the marks that follow the pointer."""
    import altair as alt

    def base(kind: str) -> Any:
        return alt.Chart(_axes.source()).transform_filter(f"datum.k == '{kind}'")

    def opacity(full: float) -> dict[str, Any]:
        if not series.names:
            return {"opacity": alt.value(full)}
        return {"opacity": _axes.opacity(full)}

    no_dash = {name: channel for name, channel in channels.items() if name != "strokeDash"}
    layers = [base("line").mark_line(clip=True).encode(**channels, **opacity(1))]
    if drawing.smooth > 1:
        layers.insert(
            0, base("raw").mark_line(clip=True, strokeWidth=1).encode(**channels, **opacity(0.3))
        )
    if drawing.band:
        ends = {"y": alt.Y("l:Q"), "y2": alt.Y2("h")}
        layers.append(base("line").mark_area(clip=True).encode(
            **{**no_dash, **ends}, **opacity(0.16), detail=alt.Detail("d:N")))  # fmt: skip
    if drawing.points:
        marked = base("line").mark_point(clip=True, filled=True, size=42)
        layers.append(marked.encode(**no_dash, **opacity(1)))
    if curves.of("edge"):
        told = [*tips[:-1], _axes.tip("v:N", "diverged")] if not drawing.band else tips
        crossed = base("edge").mark_point(shape=_axes.CROSS, size=90, strokeWidth=2)
        layers.append(crossed.encode(
            **{**no_dash, "y": alt.value(_axes.EDGE_PX)}, **opacity(1), tooltip=told))  # fmt: skip
    if curves.of("line"):
        # Wide and clear, so that a line can be pointed at; not by the nearest point ("voronoi"),
        # for which Vega-Lite forgets the names in the tooltip.
        near = alt.selection_point(name="hover", on="pointerover", clear="pointerout",
                                   fields=["x", "y", "c"], empty=False)  # fmt: skip
        dot = base("line").mark_point(filled=True, size=170, clip=True)
        dot = dot.properties(name="hover").encode(**no_dash, tooltip=tips)
        layers.append(
            dot.encode(opacity=alt.condition(near, alt.value(0.5), alt.value(0))).add_params(near)
        )
    return layers
