"""Axes, legends, rules and edge marks that several pictures share; needs altair when called."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Literal

from epochlab.errors import BadOption
from epochlab.figures import _points, _theme
from epochlab.table import Column

if TYPE_CHECKING:
    import altair as alt

Rules = Sequence[tuple[float, str]]

CROSS = "M-1,-1L1,1M-1,1L1,-1"
"symbol of a value that cannot be drawn where it belongs"
EDGE_PX = 7
"how far inside the plot's edge it stands"


class Series:
    """The values that tell a picture's marks apart: names, colours, dashes and the legend."""

    def __init__(self, column: Column, values: Sequence[Any], title: str | None) -> None:
        self.names, self.colours, self.dashes = _theme.series_colours(column, values)
        self.title = title

    def color(self, lines: bool = False) -> alt.Color:
        """The colour channel; `lines` makes the legend's symbols strokes."""
        import altair as alt

        return alt.Color("c:N", title=self.title, sort=self.names,
                         legend=legend(self.names, lines),
                         scale=alt.Scale(domain=self.names, range=self.colours))  # fmt: skip

    def dash(self) -> alt.StrokeDash | None:
        """Dash patterns for the series past the number of colours; None where colours suffice."""
        import altair as alt

        if all(dash == [1, 0] for dash in self.dashes):
            return None
        return alt.StrokeDash("c:N", title=self.title, sort=self.names,
                              legend=legend(self.names, lines=True),
                              scale=alt.Scale(domain=self.names, range=self.dashes))  # fmt: skip

    def pick(self) -> alt.Parameter:
        """Selection of one series by a click on its name in the legend."""
        import altair as alt

        return alt.selection_point(name="pick", fields=["c"], bind="legend")


def axis(
    which: Literal["x", "y"],
    title: str,
    values: Sequence[Any],
    *,
    kind: Literal["Q", "O"] = "Q",
    log: bool = False,
    base: int = 10,
    zero: bool = False,
    field: str = "",
    padding_px: int = 0,
    bars: bool = False,
) -> Any:
    """The x or y channel over `values`; kind O keeps names in their order.

    `padding_px` keeps marks at the ends of the axis whole; `bars` leaves room past the largest.
    """
    import altair as alt

    channel: Any = alt.X if which == "x" else alt.Y
    field = field or which
    if kind == "O":
        names = list(dict.fromkeys(values))
        angle = -40 if which == "x" and sum(len(str(n)) + 3 for n in names) > 95 else 0
        return channel(f"{field}:O", title=title, sort=names, axis=alt.Axis(labelAngle=angle))
    above = [v for v in values if _points.is_finite(v) and v > 0]
    if log and above:
        # The ends are given, because Vega looks for them in all columns of the axis, and hangs
        # where one of them holds a zero.
        ends = [min(above), max(above)] if min(above) < max(above) else [above[0] / 2, above[0] * 2]
        room_px = padding_px if which == "x" else max(padding_px, 8)
        scale = alt.Scale(type="log", base=base, nice=False, padding=room_px, domain=ends)
        return channel(f"{field}:Q", title=title, scale=scale,
                       axis=alt.Axis(values=_points.powers(above, base), format="~g",
                                     grid=which == "y"))  # fmt: skip
    ends = [v for v in values if _points.is_finite(v)]
    tight = which == "x" and not zero and not bars and bool(ends) and min(ends) < max(ends)
    scale = alt.Scale(zero=zero, padding=padding_px)
    if tight:
        scale = alt.Scale(zero=False, nice=False, padding=padding_px, domain=[min(ends), max(ends)])
    whole = bool(ends) and all(float(v).is_integer() for v in ends)
    marks = alt.Axis(tickCount=8 if which == "x" else 6, tickMinStep=1 if whole else alt.Undefined)
    return channel(f"{field}:Q", title=title, scale=scale, axis=marks)


def legend(names: Sequence[str], lines: bool = False) -> Any:
    """Right of the plot, or below it where names are long; None without names."""
    import altair as alt

    if not names:
        return None
    symbols: dict[str, Any] = {"symbolType": "stroke", "symbolSize": 420, "symbolStrokeWidth": 2.5,
               "rowPadding": -1} if lines else {}  # fmt: skip
    if _below(names):
        return alt.Legend(orient="bottom", direction="vertical", columns=2, **symbols)
    return alt.Legend(orient="right", **symbols)


def _below(names: Sequence[str]) -> bool:
    return max(map(len, names)) > 30


def plot_width_px(names: Sequence[str], title: str | None = None, panels: int = 1) -> int:
    """Width of one plot so that legend and axes fit beside it."""
    room = _theme.WIDTH_PX - 14
    if names and not _below(names):
        room -= 44 + round(6.6 * max(len(name) for name in (*names, title or "")))
    return max(120, round(room / panels) - 66)


def rules(
    vertical: Rules,
    horizontal: Rules,
    width_px: float,
    *,
    log_x: bool = False,
    log_y: bool = False,
    above: bool = False,
) -> list[Any]:
    """Dashed rules with labels, each layer with its own data.

    Labels of vertical rules run along them, or stand `above` the plot. Raises BadOption for a rule
    that has no place on a logarithmic axis.
    """
    import altair as alt

    for at, text in (*(vertical if log_x else ()), *(horizontal if log_y else ())):
        if at <= 0:
            raise BadOption(
                f"The rule '{text}' at {at:g} has no place on a logarithmic axis; it must be "
                "above 0."
            )

    layers: list[Any] = []
    if vertical:
        base = alt.Chart(own_data({"at": at, "text": text} for at, text in vertical)).encode(
            x=alt.X("at:Q")
        )
        layers.append(base.mark_rule(style="limit", tooltip=False))
        words = base.encode(y=alt.value(0), text="text:N")
        if above:
            layers += readable(words, baseline="bottom", dy=-4)
        else:
            layers += readable(words, angle=270, align="right", baseline="bottom", dy=-3, dx=-2)
    if horizontal:
        base = alt.Chart(own_data({"at": at, "text": text} for at, text in horizontal)).encode(
            y=alt.Y("at:Q")
        )
        layers.append(base.mark_rule(style="limit", tooltip=False))
        words = base.encode(x=alt.value(width_px), text="text:N")
        layers += readable(words, align="right", baseline="bottom", dy=-3, dx=-2)
    return layers


def readable(chart: Any, **place: Any) -> list[Any]:
    """Small text over a rim of the background's colour, which keeps it clear of what lies below."""
    rim = chart.mark_text(style=["name", "rim"], tooltip=False, **place)
    return [rim, chart.mark_text(style="name", tooltip=False, **place)]


def opacity(full: float = 1) -> Any:
    """The channel that fades all series but the one picked in the legend."""
    import altair as alt

    pick = alt.selection_point(name="pick")
    return alt.condition(pick, alt.value(full), alt.value(full * 0.12))


def tip(field: str, title: str | None, number: str = "") -> alt.Tooltip:
    """One line of what is shown on pointing at a mark; `number` is a d3 format."""
    import altair as alt

    # Vega-Lite writes the title into an expression, in which these would end the string.
    title = " ".join((title or "").split()).replace("\\", "/")
    return alt.Tooltip(field, title=title or " ", format=number or alt.Undefined)


def zoom() -> alt.Parameter:
    """Pan by dragging, zoom by Ctrl + wheel or pinching, so that a page still scrolls."""
    import altair as alt

    return alt.selection_interval(name="zoom", bind="scales", zoom="wheel![event.ctrlKey]")


def assembled(
    layers: Sequence[Any],
    points: list[dict[str, Any]],
    *,
    width_px: int,
    height_px: int = _theme.HEIGHT_PX,
    panels: Sequence[str] = (),
    panel_columns: int = 1,
) -> Any:
    """The layers over one named data set, split into panels by the field 'p' where asked for."""
    import altair as alt

    if panels:
        # A layer with data of its own would show all rows in every panel.
        layers = [layer.copy() for layer in layers]
        for layer in layers:
            if isinstance(layer.data, alt.NamedData):
                layer.data = alt.Undefined
    chart: Any = alt.layer(*layers).properties(width=width_px, height=height_px)
    if panels:
        facet = alt.Facet("p:N", sort=list(panels), title=None, header=alt.Header(orient="top"))
        chart = chart.facet(facet=facet, columns=panel_columns, data=source(), spacing=30)
    chart.datasets = {"points": points}
    return chart


def own_data(rows: Iterable[dict[str, Any]]) -> Any:
    """A layer's own few rows."""
    import altair as alt

    return alt.InlineData(values=list(rows))


def source() -> Any:
    """The picture's one data set by name: altair then does not check it row by row."""
    import altair as alt

    return alt.NamedData(name="points")
