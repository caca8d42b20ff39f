"""Diverged values, log axes, labels, colours: what the points of a picture are."""

from __future__ import annotations

import math
from typing import Any

import pytest

from epochlab.errors import BadShape
from epochlab.figures import _theme
from epochlab.figures.bars import Bars
from epochlab.figures.boxes import Boxes
from epochlab.figures.heat import Heat
from epochlab.figures.histogram import Histogram
from epochlab.figures.images import picture
from epochlab.figures.lines import Lines
from epochlab.figures.scatter import Scatter
from epochlab.table import Column, Label, Table


def points(drawing: Any, table: Table) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = drawing.draw(table).to_dict()["datasets"]["points"]
    return found


def said(drawing: Any, table: Table) -> str:
    return "  ·  ".join(drawing.draw(table).to_dict()["title"]["text"])


def test_a_diverged_line_ends_in_one_cross_at_the_upper_edge() -> None:
    losses = [2.0, 1.0, math.nan, math.inf, 3.0, math.nan, None]
    table = Table.of("L", [{"e": e, "loss": v} for e, v in enumerate(losses)])
    drawn = points(Lines(x="e", y="loss"), table)
    assert [(p["x"], p["v"]) for p in drawn if p["k"] == "edge"] == [(2, "nan"), (5, "nan")]
    assert [p["x"] for p in drawn if p["k"] == "line"] == [0, 1, 4]
    assert "cross at the upper edge: diverged" in said(Lines(x="e", y="loss"), table)


def test_values_off_a_logarithmic_axis_are_counted_not_hidden() -> None:
    table = Table.of("L", [{"x": x, "y": y} for x, y in ((0, 1.0), (1, 0.0), (2, -1.0), (3, 5.0))])
    drawing = Lines(x="x", y="y", log_x=True, log_y=True)
    assert [p["x"] for p in points(drawing, table)] == [3]
    assert "3 values at or below 0 not on the logarithmic axis" in said(drawing, table)


def test_several_columns_become_lines_of_their_names() -> None:
    table = Table.of("L", [{"e": 1, "train": 0.5, "test": 0.7}])
    assert [p["c"] for p in points(Lines(x="e", y=("train", "test")), table)] == ["train", "test"]


@pytest.mark.parametrize(
    ("x", "y", "kind"),
    [(1.0, 1.0, "point"), (None, 1.0, "right"), (1.0, math.nan, "upper"), (None, None, "corner")],
)
def test_a_scattered_point_without_place_stands_at_the_edge(
    x: float | None, y: float | None, kind: str
) -> None:
    table = Table.of("S", [{"x": x, "y": y}])
    assert points(Scatter(x="x", y="y"), table)[0]["k"] == kind
    assert ("cross at the edge" in said(Scatter(x="x", y="y"), table)) == (kind != "point")


def test_a_diverged_bar_is_a_cross() -> None:
    table = Table.of("B", [{"arm": "a", "y": 1.0}, {"arm": "b", "y": math.inf}])
    assert [p["x"] for p in points(Bars(x="arm", y="y"), table)] == ["a"]
    assert "cross at the edge: diverged" in said(Bars(x="arm", y="y"), table)


def test_bars_without_a_zero_are_drawn_as_points() -> None:
    table = Table.of("B", [{"arm": "a", "y": 1.0}])
    marks = {zero: Bars(x="arm", y="y", zero=zero).draw(table).to_dict()["layer"][0]["mark"]["type"]
             for zero in (True, False)}  # fmt: skip
    assert marks == {True: "bar", False: "point"}


def test_a_histogram_counts_every_finite_value_once() -> None:
    values = [0.0, 0.05, 0.5, 0.99, 1.0, math.nan, None]
    table = Table.of("H", [{"w": v} for v in values])
    drawn = points(Histogram(value="w", bins=10), table)
    assert [p["y"] for p in drawn] == [2, 0, 0, 0, 0, 1, 0, 0, 0, 2, 0]
    assert "2 values not finite or not known, not counted" in said(Histogram(value="w"), table)


def test_boxes_are_quartiles_and_small_groups_have_none() -> None:
    rows = [{"g": "many", "v": float(v)} for v in range(1, 6)] + [{"g": "few", "v": 1.0}]
    boxes = {p["x"]: p for p in points(Boxes(x="g", y="v"), Table.of("B", rows)) if p["k"] == "box"}
    assert boxes == {"many": {"x": "many", "k": "box", "m": 3.0, "l": 2.0, "h": 4.0},
                     "few": {"x": "few", "k": "box", "m": 1.0}}  # fmt: skip


def test_a_field_without_a_number_shows_a_cross_or_a_dash() -> None:
    table = Table.of("H", [{"x": i, "y": 0, "v": v} for i, v in enumerate((1.0, math.nan, None))])
    assert [p["t"] for p in points(Heat(x="x", y="y", value="v"), table)] == ["1", "×", "-"]


@pytest.mark.parametrize(
    ("labels", "line"),
    [((None, None), "measured"), ((None, "predicted"), "measured and predicted"),
     (("quoted", "quoted"), "quoted")],
)  # fmt: skip
def test_the_label_line_names_the_labels_of_the_columns_shown(
    labels: tuple[Label | None, ...], line: str
) -> None:
    columns = (Column(name="x"), *(Column(name=n, label=v)
               for n, v in zip(("a", "b"), labels, strict=True)))  # fmt: skip
    table = Table(title="T", columns=columns, rows=((1, 2.0, 3.0),))
    assert said(Lines(x="x", y=("a", "b")), table) == line


def test_labels_given_row_by_row_stand_in_the_label_line() -> None:
    rows = [{"x": 1, "y": 1.0, "how": "measured"}, {"x": 1, "y": 2.0, "how": "simulated"}]
    table = Table.of("T", rows, label="quoted")
    assert said(Lines(x="x", y="y", dash="how"), table) == "measured and simulated"


def test_numbers_take_the_ramp_and_names_the_palette() -> None:
    depth = _theme.series_colours(Column(name="depth"), [50, 18, 34, 18])
    assert depth[0] == ["18", "34", "50"]
    assert depth[1] == [_theme.colour(name) for name in ("r1", "r5", "r8")]
    names, colours, dashes = _theme.series_colours(Column(name="arm"), [f"a{i}" for i in range(20)])
    assert len(names) == 20
    assert len(set(zip(colours, map(tuple, dashes), strict=True))) == 20


def test_no_colour_stands_for_two() -> None:
    on_white = [white for _, white, _ in _theme.COLOURS]
    assert len(set(on_white)) == len(on_white)


def luminance(colour: str) -> float:
    """Relative luminance (WCAG 2.1)."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return sum(w * p for w, p in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


@pytest.mark.parametrize("theme", [1, 2])
@pytest.mark.parametrize("name", ["ink", "soft", *(f"c{i}" for i in range(1, 9))])
def test_colours_are_seen_on_their_background(name: str, theme: int) -> None:
    colours = {row[0]: row[theme] for row in _theme.COLOURS}
    lights = sorted((luminance(colours[name]), luminance(colours["paper"])))
    contrast = (lights[1] + 0.05) / (lights[0] + 0.05)
    # 4.5 for words, 2.9 for lines (WCAG asks 3; amber and sky blue on white come just below).
    assert contrast >= (4.5 if name in ("ink", "soft") else 2.9)


def test_theme_colours_become_variables_and_others_stay() -> None:
    text = f'<a fill="{_theme.colour("c1")}" b="#123456" c="x #0072b2">'
    assert _theme.with_variables(text) == '<a fill="var(--c1)" b="#123456" c="x #0072b2">'


def test_a_picture_needs_pixels_of_one_or_three_channels() -> None:
    import numpy as np

    for wrong in (np.zeros((2, 4, 4), np.uint8), np.zeros((4, 4)), np.zeros(4, np.uint8)):
        with pytest.raises(BadShape, match="must be uint8"):
            picture(wrong)


def test_a_panel_shows_its_own_rows_only() -> None:
    """A layer that named the data itself would draw every panel's rows in each."""
    rows = [{"x": x, "y": float(x * k), "arm": f"arm {k}"} for k in (1, 100) for x in range(3)]
    spec = Lines(x="x", y="y", panel="arm").draw(Table.of("Panels", rows)).to_dict()
    assert spec["data"] == {"name": "points"}
    assert all(layer.get("data", {}).get("name") != "points" for layer in spec["spec"]["layer"])
