"""A picture draws few points of many, and its extremes are those of the table."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from epochlab.figures import _points
from epochlab.figures.lines import Lines
from epochlab.table import Table

curves = st.lists(
    st.tuples(st.floats(1e-3, 1e6), st.floats(-1e6, 1e6)), min_size=1, max_size=400
).map(lambda pairs: [{"x": x, "y": y} for x, y in sorted(pairs)])


@given(points=curves, keep=st.integers(8, 100), log_x=st.booleans())
def test_keeps_ends_and_extremes_in_order(
    points: list[dict[str, Any]], keep: int, log_x: bool
) -> None:
    kept = _points.thinned(points, keep, log_x)
    assert len(kept) <= max(keep, 4)
    assert kept[0] == points[0] and kept[-1] == points[-1]
    for extreme in (min, max):
        assert extreme(p["y"] for p in kept) == extreme(p["y"] for p in points)
    order = [next(i for i, p in enumerate(points) if p is k) for k in kept]
    assert order == sorted(set(order))


def test_few_points_stay_as_they_are() -> None:
    points = [{"x": x, "y": 1.0} for x in range(10)]
    assert _points.thinned(points, 10) is points


def test_a_spike_of_one_step_survives_and_the_picture_says_what_was_drawn() -> None:
    rows = [{"step": s, "loss": 50.0 if s == 77_777 else 1.0, "arm": a}
            for a in ("a", "b") for s in range(100_000)]  # fmt: skip
    chart = Lines(x="step", y="loss", color="arm").draw(Table.of("Loss", rows)).to_dict()
    points = chart["datasets"]["points"]
    assert len(points) <= _points.POINTS
    assert sum(p["y"] == 50.0 for p in points) == 2
    assert f"{len(points):,} of 200,000 points drawn" in " ".join(chart["title"]["text"])


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=60), st.integers(2, 30))
def test_running_mean_is_the_mean_of_the_window(values: list[float], window: int) -> None:
    means = _points.running_mean(values, window)
    half = window // 2
    for i, mean in enumerate(means):
        part = values[max(0, i - half) : i + half + 1]
        assert mean == pytest.approx(math.fsum(part) / len(part), rel=1e-6, abs=1e-3)


def test_smoothing_keeps_the_points_behind_the_line() -> None:
    rows = [{"step": s, "loss": float(s % 2)} for s in range(100)]
    points = Lines(x="step", y="loss", smooth=11).draw(Table.of("L", rows)).to_dict()
    kinds = [p["k"] for p in points["datasets"]["points"]]
    assert kinds.count("raw") == kinds.count("line") == 100
    assert "bold: mean over 11 points" in " ".join(points["title"]["text"])


@pytest.mark.parametrize(
    ("values", "base", "marks"),
    [
        ([32.0, 4096.0], 2, [2.0**e for e in range(5, 13)]),
        ([1e-9, 10.0], 10, [10.0**e for e in range(-9, 2)]),
        ([0.3, 2.0], 10, [0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0]),
    ],
)
def test_marks_of_a_logarithmic_axis(values: list[float], base: int, marks: list[float]) -> None:
    assert _points.powers(values, base) == pytest.approx(marks)
