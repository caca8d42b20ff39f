"""A coloured field over two names or numbers: confusion matrices, stability maps, sweeps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from epochlab.figures import _axes, _points, _theme
from epochlab.figures._points import Point
from epochlab.table import Table

if TYPE_CHECKING:
    import altair


@dataclass(frozen=True, kw_only=True)
class Heat:
    """One field per row, coloured by `value` from dark (low) to bright (high).

    Numbers on an axis are sorted, names keep their order. A value that is not a number or infinite
    ("diverged") or not known is an empty field with a cross or a dash.

        >>> from epochlab.table import Table
        >>> rows = [{"lr": 0.1, "batch": 64, "loss": 0.5}, {"lr": 1.0, "batch": 64, "loss": None}]
        >>> chart = Heat(x="lr", y="batch", value="loss").draw(Table.of("Stability", rows))
        >>> [point["t"] for point in chart.to_dict()["datasets"]["points"]]
        ['0.5', '-']
    """

    x: str
    y: str
    value: str
    log: bool = False
    "logarithmic colours"
    numbers: bool | None = None
    "write each value into its field; None does where they fit"

    def draw(self, table: Table) -> altair.TopLevelMixin:
        """An altair chart. Raises UnknownName where the table lacks a column."""
        for name in (self.x, self.y, self.value):
            _points.column_of(table, name)
        points = _fields(self, table)
        remarks = ["cross: diverged"] if any(p["t"] == "×" for p in points) else []
        return _theme.finished(_chart(self, table, points), table, (self.value,), remarks)


def _fields(drawing: Heat, table: Table) -> list[Point]:
    x, y, value = (_points.column_of(table, n) for n in (drawing.x, drawing.y, drawing.value))
    points: list[Point] = []
    for record in table.records():
        cell = record[value.name]
        good = _points.is_finite(cell) and not (drawing.log and cell <= 0)
        text = value.text(cell) if good or cell is None else "×"
        points.append({"x": x.text(record[x.name]), "y": y.text(record[y.name]),
                       "v": _points.short(cell) if good else None, "t": text})  # fmt: skip
    known = sorted(p["v"] for p in points if p["v"] is not None)
    for point in points:
        # Bright fields take dark letters. The middle of the colours is that of the scale's ends.
        if known and point["v"] is not None:
            ends = known[0], known[-1]
            middle = (ends[0] * ends[1]) ** 0.5 if drawing.log else sum(ends) / 2
            point["b"] = int(point["v"] > middle)
    return points


def _ordered(table: Table, name: str) -> list[str]:
    column, values = _points.column_of(table, name), table.column(name)
    if _points.is_numeric(values):
        values = sorted(v for v in values if v is not None)
    return list(dict.fromkeys(column.text(v) for v in values))


def _chart(drawing: Heat, table: Table, points: list[Point]) -> Any:
    import altair as alt

    xs, ys = _ordered(table, drawing.x), _ordered(table, drawing.y)
    if _points.is_numeric(table.column(drawing.y)):
        ys.reverse()
    heads = [_points.column_of(table, n).heading for n in (drawing.x, drawing.y, drawing.value)]
    room_px = _theme.WIDTH_PX - 170 - min(200, 7 * max(map(len, ys), default=0))
    field_px = max(8.0, min(64.0, room_px / max(1, len(xs))))
    tall_px = max(8.0, min(44.0, field_px, 480 / max(1, len(ys))))
    longest = max((len(p["t"]) for p in points), default=0)
    numbers = drawing.numbers
    if numbers is None:
        numbers = longest * 6.6 + 6 <= field_px and tall_px >= 16
    angle = -40 if max(map(len, xs), default=0) * 7 > field_px else 0
    channels: dict[str, Any] = {
        "x": alt.X("x:O", title=heads[0], sort=xs, axis=alt.Axis(labelAngle=angle)),
        "y": alt.Y("y:O", title=heads[1], sort=ys, axis=alt.Axis(grid=False)),
    }
    scale = alt.Scale(scheme="viridis", type="log") if drawing.log else alt.Scale(scheme="viridis")
    legend = alt.Legend(gradientLength=min(200, round(tall_px * len(ys))), format=".3~g")
    tips = [_axes.tip("x:N", heads[0]), _axes.tip("y:N", heads[1]),
            _axes.tip("t:N", heads[2])]  # fmt: skip
    base = alt.Chart(alt.NamedData(name="points"))
    known = base.transform_filter("isValid(datum.v)").mark_rect()
    empty = base.transform_filter("!isValid(datum.v)").mark_text(style="name")
    layers = [
        known.encode(
            **channels,
            tooltip=tips,
            color=alt.Color("v:Q", title=heads[2], scale=scale, legend=legend),
        ),
        empty.encode(**channels, text="t:N", tooltip=tips),
    ]
    if numbers:
        written = base.transform_filter("isValid(datum.v)").mark_text(fontSize=11.5)
        # Plain names, not theme colours: what lies below them is the same in both themes.
        tone = alt.condition("datum.b == 1", alt.value("black"), alt.value("white"))
        layers.append(written.encode(**channels, text="t:N", color=tone))
    chart: Any = alt.layer(*layers).properties(
        width=round(field_px * len(xs)), height=round(tall_px * len(ys))
    )
    chart.datasets = {"points": points}
    return chart
