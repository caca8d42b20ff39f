"""The roof over a machine's layers: its corners, and what is drawn below it."""

from __future__ import annotations

import math

import pytest

from epochlab.errors import BadOption
from epochlab.figures.roofline import Roofline
from epochlab.table import Column, Table

ROOF = Roofline(peak=100.0, bandwidth=20.0, x="intensity", y="speed", color="kind", name="layer")
COLUMNS = (
    Column(name="layer"), Column(name="kind"), Column(name="intensity", unit="FLOP/B"),
    Column(name="speed", unit="GFLOP/s"),
)  # fmt: skip


def table(*rows: tuple[str, str, float | None, float | None]) -> Table:
    return Table(title="A network", columns=COLUMNS, rows=rows)


def test_memory_bounds_left_of_the_ridge_and_arithmetic_right_of_it() -> None:
    assert ROOF.roof(1.0, 50.0) == [{"x": 1.0, "y": 20.0}, {"x": 5.0, "y": 100.0},
                                    {"x": 50.0, "y": 100.0}]  # fmt: skip
    assert ROOF.roof(1.0, 4.0) == [{"x": 1.0, "y": 20.0}, {"x": 4.0, "y": 80.0}]
    assert ROOF.roof(6.0, 7.0) == [{"x": 6.0, "y": 100.0}, {"x": 7.0, "y": 100.0}]


def test_the_roof_is_drawn_over_all_points_and_past_the_ridge() -> None:
    chart = ROOF.draw(table(("a", "linear", 0.25, 2.0), ("b", "activation", 1.0, 5.0))).to_dict()
    (line,) = [layer for layer in chart["layer"] if layer["mark"]["type"] == "line"]
    corners = chart["datasets"][line["data"]["name"]]
    assert [corner["x"] for corner in corners] == [0.25, 5.0, 20.0]
    assert chart["datasets"]["points"] == [
        {"x": 0.25, "y": 2.0, "c": "linear", "n": "a"},
        {"x": 1.0, "y": 5.0, "c": "activation", "n": "b"},
    ]
    for channel in ("x", "y"):
        main = next(layer for layer in chart["layer"] if layer["mark"]["type"] == "circle")
        assert main["encoding"][channel]["scale"]["type"] == "log"


def test_rows_without_a_place_are_counted() -> None:
    rows = table(("a", "linear", 1.0, 2.0), ("b", "reshape", None, 1.0), ("c", "x", 0.0, 1.0),
                 ("d", "x", 1.0, math.inf))  # fmt: skip
    chart = ROOF.draw(rows).to_dict()
    assert len(chart["datasets"]["points"]) == 1
    assert "3 rows without arithmetic or time, not drawn" in " ".join(chart["title"]["text"])


def test_the_roof_is_named() -> None:
    named = Roofline(peak=1.0, bandwidth=1.0, x="intensity", y="speed", peak_name="flat: fp32",
                     bandwidth_name="slope: memory")  # fmt: skip
    chart = named.draw(table(("a", "linear", 1.0, 2.0))).to_dict()
    assert "flat: fp32; slope: memory" in " ".join(chart["title"]["text"])


@pytest.mark.parametrize("bad", [{"peak": 0.0}, {"bandwidth": -1.0}, {"peak": math.nan}])
def test_a_roof_needs_numbers_above_zero(bad: dict[str, float]) -> None:
    with pytest.raises(BadOption, match="must be a number above 0"):
        Roofline(**{"peak": 1.0, "bandwidth": 1.0, "y": "speed", **bad})  # type: ignore[arg-type]
