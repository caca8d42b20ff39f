"""A network's layers: bars for their parameters and operations, and how far each one sees."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from epochlab.evidence import Figure
from epochlab.figures import _axes, _layer_rows, _points, _theme
from epochlab.figures._named import Named
from epochlab.table import Column, Table

if TYPE_CHECKING:
    import altair

    from epochlab.cost import Cost
    from epochlab.cost.layer import Count

BAR_HEIGHT_PX, STEP_HEIGHT_PX = 150, 136
MOST_NAMES = 48
"under the axis; of more layers every second, third ... is named"

# Kinds of layers keep their colours from one network's figure to the next.
_COLOUR_OF = {"convolution": "c1", "linear": "c2", "batch normalisation": "c3", "add": "c4",
              "max pooling": "c5", "average pooling": "c7", "normalisation": "c8"}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Layers:
    """Layers in their order from left to right, one panel of bars per column of `bars`.

    Rows of the same layer stand on one another. Below, `steps` is drawn as a line that changes from
    layer to layer, such as the receptive field; a value that is not known leaves a gap. What is not
    a finite number is not drawn, and the picture says so.

        >>> from epochlab.table import Table
        >>> rows = [{"layer": "conv", "kind": "convolution", "parameters": 500, "MACs": 9000},
        ...         {"layer": "fc", "kind": "linear", "parameters": 8000, "MACs": 8000}]
        >>> chart = Layers(steps=None).draw(Table.of("A network", rows))
        >>> [(p["x"], p["y"]) for p in chart.to_dict()["datasets"]["points"] if p["k"] == "bar 0"]
        [('conv', 500), ('fc', 8000)]
    """

    layer: str = "layer"
    "column of names, in the order of execution"
    bars: tuple[str, ...] = ("parameters", "MACs")
    "columns of heights, one panel each"
    color: str | None = "kind"
    "column that colours the bars"
    steps: str | None = "receptive field"
    "column of the stepped line in a panel of its own"

    def draw(self, table: Table) -> altair.TopLevelMixin:
        """An altair chart. Raises UnknownName where the table lacks a column."""
        shown = tuple(n for n in (self.layer, *self.bars, self.color, self.steps) if n)
        for name in shown:
            _points.column_of(table, name)
        points, lost = _placed(self, table)
        remarks = [f"{_points.counted(lost, 'value')} not finite, not drawn"] if lost else []
        return _theme.finished(_chart(self, table, points), table, shown[1:], remarks)


def figure_of(cost: Cost, *, count: Count = "macs") -> Figure:
    """Parameters, operations and receptive field of one network, layer by layer.

    Normalisations, sums and activations stand on the layer that they follow; of a network with more
    than a hundred and sixty layers each bar is a block.
    """
    table = _layer_rows.table_of(cost, count)
    spatial = any(value is not None for value in table.column("receptive field"))
    return Figure(
        table=table,
        drawing=Layers(bars=("parameters", _layer_rows.HEADS[count]),
                       steps="receptive field" if spatial else None),
        caption=_layer_rows.caption_of(cost, count),
    )  # fmt: skip


def comparison_of(costs: Sequence[Cost], *, count: Count = "macs") -> Figure:
    """Several networks: parameters against operations of one pass, both axes logarithmic."""
    table = _layer_rows.comparison_table(costs, count)
    return Figure(
        table=table,
        drawing=Named(x="parameters", y=_layer_rows.HEADS[count], name="network", color="input",
                      log_x=True, log_y=True),
        caption=_layer_rows.comparison_caption(costs, count),
    )  # fmt: skip


def _placed(drawing: Layers, table: Table) -> tuple[list[_points.Point], int]:
    """Points under short names: x, y, c(olour), k(ind): 'bar 0', 'bar 1' ... and 'step'."""
    x_column = _points.column_of(table, drawing.layer)
    color = _points.column_of(table, drawing.color) if drawing.color else None
    sums: dict[tuple[int, str, str], Any] = {}
    steps: dict[str, _points.Point] = {}
    lost = 0
    for record in table.records():
        x = x_column.text(record[x_column.name])
        c = color.text(record[color.name]) if color else ""
        for panel, name in enumerate(drawing.bars):
            value = record[name]
            if _points.is_finite(value):
                key = (panel, x, c)
                sums[key] = sums.get(key, 0) + value
            else:
                lost += value is not None
        if drawing.steps and (value := record[drawing.steps]) is not None:
            if _points.is_finite(value):
                first = steps.get(x, {"c": c})
                steps[x] = {"x": x, "y": _points.short(value), "c": first["c"], "k": "step"}
            else:
                lost += 1
    points = [{"x": x, "y": _points.short(y), "c": c, "k": f"bar {panel}"}
              for (panel, x, c), y in sums.items() if y and _points.is_finite(y)]  # fmt: skip
    return [*points, *steps.values()], lost


def _chart(drawing: Layers, table: Table, points: list[_points.Point]) -> Any:
    import altair as alt

    x_column = _points.column_of(table, drawing.layer)
    names = list(dict.fromkeys(x_column.text(v) for v in table.column(drawing.layer)))
    kinds = list(dict.fromkeys(p["c"] for p in points)) if drawing.color else []
    width_px = min(_axes.plot_width_px(kinds, drawing.color) - 12, 80 + 44 * len(names))
    shade = _shade(drawing, kinds)
    base = alt.Chart(_axes.source())
    rows: list[tuple[int, list[Any]]] = []
    for panel, name in enumerate(drawing.bars):
        column = _points.column_of(table, name)
        chosen = base.transform_filter(f"datum.k == 'bar {panel}'")
        marks = chosen.mark_bar().encode(
            y=_height(column, points, f"bar {panel}").stack("zero"), **shade,
            tooltip=_tips(drawing, x_column, column),
        )  # fmt: skip
        rows.append((BAR_HEIGHT_PX, [marks]))
    if drawing.steps:
        column = _points.column_of(table, drawing.steps)
        chosen = base.transform_filter("datum.k == 'step'")
        y = _height(column, points, "step")
        line = chosen.mark_line(interpolate="step", strokeWidth=1.5, color=_theme.colour("soft"))
        size = 26 if len(names) <= 60 else 8
        dots = chosen.mark_point(filled=True, size=size, opacity=1).encode(
            y=y, **shade, tooltip=_tips(drawing, x_column, column)
        )
        rows.append((STEP_HEIGHT_PX, [line.encode(y=y), dots]))
    if kinds and rows:
        pick = alt.selection_point(name="pick", fields=["c"], bind="legend")
        rows[0][1][0] = rows[0][1][0].add_params(pick)
    charts = [
        alt.layer(*(m.encode(x=_layer_axis(names, drawing.layer, n == len(rows) - 1))
                    for m in marks)).properties(width=width_px, height=height_px)
        for n, (height_px, marks) in enumerate(rows)
    ]  # fmt: skip
    made: Any = alt.vconcat(*charts, spacing=12)
    made.datasets = {"points": points}
    return made


def _layer_axis(names: list[str], title: str, lowest: bool) -> Any:
    """All layers have the same place in every panel; their names stand under the lowest one."""
    import altair as alt

    scale = alt.Scale(domain=names, paddingInner=0.15 if len(names) <= 80 else 0.05)
    if not lowest:
        return alt.X("x:O", scale=scale, axis=alt.Axis(labels=False, ticks=False, title=None))
    every = -(-len(names) // MOST_NAMES) or 1
    axis = alt.Axis(title=title, values=names[::every], labelAngle=-50, labelLimit=130,
                    labelOverlap=False, labelFontSize=11 if len(names) <= 30 else 10)  # fmt: skip
    return alt.X("x:O", scale=scale, axis=axis)


def _height(column: Column, points: list[_points.Point], kind: str) -> Any:
    import altair as alt

    largest = max((abs(p["y"]) for p in points if p["k"] == kind), default=0)
    # 143667240 as 144M, 19.6e9 as 19.6G.
    axis = alt.Axis(tickCount=5)
    if 1e4 <= largest < 1e24:
        axis = alt.Axis(tickCount=5, format="~s",
                        labelExpr="datum.value === 0 ? '0' : datum.label")  # fmt: skip
    return alt.Y("y:Q", title=column.heading, axis=axis, scale=alt.Scale(zero=True))


def _shade(drawing: Layers, kinds: list[str]) -> dict[str, Any]:
    """Colour by kind; kinds without a colour of their own take those that are left."""
    import altair as alt

    if not kinds:
        return {}
    taken = {_COLOUR_OF[k] for k in kinds if k in _COLOUR_OF}
    spare = [f"c{i}" for i in range(1, 9) if f"c{i}" not in taken] or ["c8"]
    others = [k for k in kinds if k not in _COLOUR_OF]
    colours = {k: _COLOUR_OF.get(k) or spare[others.index(k) % len(spare)] for k in kinds}
    kinds = sorted(kinds, key=lambda k: (k not in _COLOUR_OF, colours[k]))
    color = alt.Color(
        "c:N", title=drawing.color, sort=kinds, legend=_axes.legend(kinds),
        scale=alt.Scale(domain=kinds, range=[_theme.colour(colours[k]) for k in kinds]),
    )  # fmt: skip
    return {"color": color, "opacity": _axes.opacity()}


def _tips(drawing: Layers, x: Column, y: Column) -> list[Any]:
    tips = [_axes.tip("x:N", x.heading), _axes.tip("y:Q", y.heading, _theme.number_format(y))]
    if drawing.color:
        tips.insert(1, _axes.tip("c:N", drawing.color))
    return tips
