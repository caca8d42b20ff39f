"""A table's rows as curves: grouped, cleaned of what cannot be drawn, smoothed and thinned."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from epochlab.figures import _points
from epochlab.figures._points import Point
from epochlab.table import Table

if TYPE_CHECKING:
    from epochlab.figures.lines import Lines


@dataclass
class Curves:
    """Points under short names: x, y, c(olour), d(ash), p(anel), l(ow), h(igh), k(ind).

    Kinds are 'line', 'raw' (behind a smoothed line) and 'edge' (not finite: at the upper edge).
    """

    points: list[Point] = field(default_factory=list)
    colors: list[Any] = field(default_factory=list)
    "values that tell lines apart, in order of appearance; empty for one line"
    dashes: list[str] = field(default_factory=list)
    panels: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    placeless: int = 0
    "values at an x that is no number"

    def of(self, *kinds: str) -> list[Point]:
        return [p for p in self.points if p["k"] in kinds]


def curves_of(table: Table, wanted: Lines, heights: tuple[str, ...]) -> Curves:
    """What `wanted` asks for of the table."""
    ordered_x = _points.is_numeric(table.column(wanted.x))
    made = Curves()
    lines = _by_line(table, wanted, heights, made)
    total = sum(map(len, lines))
    keep = max(60, _points.POINTS // max(1, len(lines)))
    lost = 0
    for line in lines:
        inside = [p for p in line if not _off_log_axis(p, wanted, ordered_x)]
        lost += len(line) - len(inside)
        finite = [p for p in inside if _points.is_finite(p["y"])]
        made.points += _breaks(inside)
        if ordered_x:
            finite.sort(key=lambda p: p["x"])
        if wanted.smooth > 1:
            means = _points.running_mean([p["y"] for p in finite], wanted.smooth)
            made.points += _drawn(finite, "raw", keep, wanted.log_x, ordered_x)
            finite = [{**p, "y": m} for p, m in zip(finite, means, strict=True)]
        made.points += _drawn(
            finite, "line", min(keep, 240) if wanted.smooth > 1 else keep, wanted.log_x, ordered_x
        )
    _remark(made, wanted, total, lost)
    return made


def _by_line(
    table: Table, wanted: Lines, heights: tuple[str, ...], made: Curves
) -> list[list[Point]]:
    """Points of known x and y, grouped into lines in order of first appearance."""
    several = len(heights) > 1
    color_column = _points.column_of(table, wanted.color) if wanted.color else None
    panel_column = _points.column_of(table, wanted.panel) if wanted.panel else None
    x_column = _points.column_of(table, wanted.x)
    names_x = not _points.is_numeric(table.column(wanted.x))
    groups: dict[tuple[Any, ...], list[Point]] = {}
    seen: tuple[dict[Any, None], ...] = ({}, {}, {})
    for record in table.records():
        for height in heights:
            color, dash = record.get(wanted.color or ""), record.get(wanted.dash or "")
            if several and color_column is None:
                color = height
            elif several:
                dash = height if dash is None else f"{dash}, {height}"
            panel = panel_column.text(record[panel_column.name]) if panel_column else None
            x, y = record[wanted.x], record[height]
            if x is None or not (names_x or _points.is_finite(x)):
                made.placeless += 1
                continue
            if y is None:
                continue
            point: Point = {"x": x_column.text(x) if names_x else x, "y": y}
            if wanted.band:
                low, high = (record[name] for name in wanted.band)
                ends = _points.is_finite(low) and _points.is_finite(high)
                if ends and (low > 0 or not wanted.log_y):
                    point |= {"l": low, "h": high}
            if color is not None:
                point["c"] = color_column.text(color) if color_column else color
            if dash is not None:
                point["d"] = str(dash)
            if panel is not None:
                point["p"] = panel
            for names, name in zip(seen, (color, point.get("d"), panel), strict=True):
                if name is not None:
                    names[name] = None
            groups.setdefault((panel, color, dash), []).append(point)
    made.colors, made.dashes, made.panels = (list(names) for names in seen)
    return list(groups.values())


def _off_log_axis(point: Point, wanted: Lines, ordered_x: bool) -> bool:
    x_off = wanted.log_x and ordered_x and point["x"] <= 0
    return x_off or (wanted.log_y and _points.is_finite(point["y"]) and point["y"] <= 0)


def _breaks(line: list[Point]) -> list[Point]:
    """Of every stretch of values that are no finite numbers, its first point."""
    found = []
    before = True
    for point in line:
        finite = _points.is_finite(point["y"])
        if before and not finite:
            found.append({**point, "y": None, "v": str(point["y"]), "k": "edge"})
        before = finite
    return found


def _drawn(line: list[Point], kind: str, keep: int, log_x: bool, ordered_x: bool) -> list[Point]:
    kept = _points.thinned(line, keep, log_x) if ordered_x else line
    return [{**{name: _points.short(v) for name, v in p.items()}, "k": kind} for p in kept]


def _remark(made: Curves, wanted: Lines, total: int, lost: int) -> None:
    if wanted.smooth > 1:
        made.remarks.append(f"bold: mean over {wanted.smooth} points")
    if wanted.band:
        made.remarks.append(f"band: {wanted.band[0]} to {wanted.band[1]}")
    finite = len(made.of("raw" if wanted.smooth > 1 else "line"))
    if total > _points.POINTS and finite < total - lost:
        made.remarks.append(
            f"{finite:,} of {total:,} points drawn, lowest and highest of each stretch kept"
        )
    if lost:
        made.remarks.append(
            f"{_points.counted(lost, 'value')} at or below 0 not on the logarithmic axis"
        )
    if made.placeless:
        made.remarks.append(
            f"{_points.counted(made.placeless, 'value')} without a place on x left out"
        )
    if made.of("edge"):
        made.remarks.append("cross at the upper edge: diverged")
