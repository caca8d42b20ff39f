"""What every kind of picture must do: draw any table of its columns, and say what it shows."""

from __future__ import annotations

import ast
import dataclasses
import doctest
import importlib
import inspect
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import epochlab.figures
from epochlab.errors import UnknownName
from epochlab.figures.bars import Bars
from epochlab.figures.boxes import Boxes
from epochlab.figures.heat import Heat
from epochlab.figures.histogram import Histogram
from epochlab.figures.images import Images, picture
from epochlab.figures.layers import Layers
from epochlab.figures.lines import Lines
from epochlab.figures.roofline import Roofline
from epochlab.figures.scatter import Scatter
from epochlab.report.pictures import svg_of
from epochlab.table import Column, Table

FOLDER = Path(epochlab.figures.__path__[0])
KINDS = sorted(path.stem for path in FOLDER.glob("*.py") if not path.stem.startswith("_"))

# Names with the signs that Vega would read as a path into the row.
COLUMNS = (
    Column(name="x.1"), Column(name="loss [0]", unit="nats", format=".3f"), Column(name="arm"),
    Column(name="lo"), Column(name="hi"), Column(name="best"), Column(name="panel"),
)  # fmt: skip
DRAWINGS = {
    "roofline": Roofline(
        peak=2.0, bandwidth=0.5, x="x.1", y="loss [0]", color="arm", name="arm"
    ),
    "lines": Lines(x="x.1", y="loss [0]", color="arm"),
    "lines, all options": Lines(
        x="x.1", y="loss [0]", color="arm", dash="panel", panel="panel", band=("lo", "hi"),
        log_x=True, log_y=True, points=True, smooth=3, vertical=((2.0, "v"),),
        horizontal=((0.5, "h"),),
    ),
    "lines of two columns": Lines(x="x.1", y=("lo", "hi"), color="arm"),
    "lines over names": Lines(x="arm", y="loss [0]"),
    "bars": Bars(x="arm", y="loss [0]"),
    "bars side by side": Bars(x="panel", y="loss [0]", color="arm", low="lo", high="hi"),
    "bars across": Bars(x="arm", y="loss [0]", across=True, limits=((0.5, "limit"),)),
    "bars stacked": Bars(x="panel", y="loss [0]", color="arm", stacked=True),
    "bars not from zero": Bars(x="arm", y="loss [0]", zero=False, log_y=True),
    "scatter": Scatter(x="x.1", y="loss [0]", color="arm"),
    "scatter, all options": Scatter(
        x="x.1", y="loss [0]", color="arm", name="arm", front="best", log_x=True, log_y=True,
        diagonal=True, vertical=((2.0, "v"),), horizontal=((0.5, "h"),),
    ),
    "layers": Layers(layer="arm", bars=("loss [0]", "lo"), color="panel", steps="hi"),
    "histogram": Histogram(value="loss [0]", color="arm", vertical=((0.5, "v"),)),
    "histogram of shares": Histogram(value="loss [0]", share=True, log_count=True),
    "heat": Heat(x="x.1", y="arm", value="loss [0]"),
    "logarithmic heat": Heat(x="arm", y="x.1", value="loss [0]", log=True, numbers=True),
    "boxes": Boxes(x="arm", y="loss [0]", limits=((0.5, "limit"),)),
}  # fmt: skip


def table(rows: list[tuple[Any, ...]]) -> Table:
    return Table(title="A title", columns=COLUMNS, rows=tuple(rows))


def usual() -> Table:
    return table([(x, x / 3, f"arm {arm}", x / 4, x / 2, x == arm, f"p{arm % 2}")
                  for x in range(1, 5) for arm in range(3)])  # fmt: skip


def svg(chart: Any) -> str:
    return svg_of(chart.to_dict())


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_defines_one_frozen_drawing_of_its_name(kind: str) -> None:
    module = importlib.import_module(f"epochlab.figures.{kind}")
    found = [value for value in vars(module).values()
             if inspect.isclass(value) and value.__module__ == module.__name__]  # fmt: skip
    assert [cls.__name__ for cls in found if not cls.__name__.startswith("_")] == [
        kind.capitalize()
    ]
    drawing = getattr(module, kind.capitalize())
    assert drawing.__dataclass_params__.frozen
    assert all(field.kw_only for field in dataclasses.fields(drawing))


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.py")), ids=lambda path: path.stem)
def test_altair_is_imported_only_while_drawing(path: Path) -> None:
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            assert "altair" not in ast.unparse(node)


@pytest.mark.parametrize("kind", KINDS)
def test_the_example_in_the_docstring_runs(kind: str) -> None:
    module = importlib.import_module(f"epochlab.figures.{kind}")
    result = doctest.testmod(module)
    assert result.attempted >= 2
    assert result.failed == 0


def test_every_kind_is_under_contract() -> None:
    drawn = {type(drawing).__name__.lower() for drawing in DRAWINGS.values()}
    assert drawn | {"images"} == set(KINDS)


@pytest.mark.parametrize("name", DRAWINGS)
def test_draws_a_valid_chart_twice_the_same(name: str) -> None:
    first, second = (DRAWINGS[name].draw(usual()) for _ in range(2))
    assert first.to_dict() == second.to_dict()
    assert svg(first) == svg(second)


@pytest.mark.parametrize("name", DRAWINGS)
def test_draws_an_empty_table(name: str) -> None:
    assert svg(DRAWINGS[name].draw(table([]))).startswith("<svg")


@pytest.mark.parametrize("name", DRAWINGS)
def test_the_honesty_label_and_the_data_tier_stand_in_the_picture(name: str) -> None:
    shown = dataclasses.replace(usual(), label="simulated", tier="look-alike")
    made = svg(DRAWINGS[name].draw(shown))
    assert "simulated" in made
    assert "look-alike data" in made
    assert "look-alike" not in svg(DRAWINGS[name].draw(usual()))


@pytest.mark.parametrize("name", DRAWINGS)
def test_a_missing_column_names_those_that_exist(name: str) -> None:
    with pytest.raises(UnknownName, match="no column"):
        DRAWINGS[name].draw(Table.of("T", [{"other": 1}]))


numbers = st.one_of(
    st.none(), st.floats(allow_subnormal=False, min_value=-1e30, max_value=1e30),
    st.sampled_from([math.nan, math.inf, -math.inf, 0.0]), st.integers(-1000, 1000),
)  # fmt: skip
# Vega takes a category named "if" for its own function, unless told otherwise.
words = st.one_of(
    st.just("if"), st.text(max_size=12), st.integers(0, 9), st.booleans(), st.none()
)  # fmt: skip


@pytest.mark.parametrize("name", DRAWINGS)
@given(rows=st.lists(st.tuples(numbers, numbers, words, numbers, numbers, st.booleans(), words),
                     max_size=12))  # fmt: skip
@settings(max_examples=12, deadline=None)
def test_draws_whatever_the_table_holds(name: str, rows: list[tuple[Any, ...]]) -> None:
    chart = DRAWINGS[name].draw(table(rows)).to_dict()
    json.dumps(chart, allow_nan=False)
    assert svg_of(chart).startswith("<svg")


def test_images_are_the_pixels_they_were_made_of() -> None:
    from io import BytesIO

    image_module = pytest.importorskip("PIL.Image", reason="reads back what was written")
    import base64

    pixels = np.random.default_rng(0).integers(0, 256, (3, 5, 7)).astype(np.uint8)
    for wanted in (pixels, pixels[:1], pixels[0]):
        file = base64.b64decode(picture(wanted).partition(",")[2])
        back = np.asarray(image_module.open(BytesIO(file)))
        expected = wanted if wanted.ndim == 2 else wanted[0]
        if wanted.shape[0] == 3:
            expected = wanted.transpose(1, 2, 0)
        np.testing.assert_array_equal(back, expected)


def test_images_stand_in_rows_with_captions() -> None:
    image = picture(np.zeros((2, 2), np.uint8))
    rows = [{"i": image, "c": f"n{k}", "r": "before" if k < 3 else "after"} for k in range(5)]
    drawing = Images(image="i", caption="c", row="r")
    points = drawing.draw(Table.of("T", rows)).to_dict()["datasets"]["points"]
    assert [(p["i"], p["j"]) for p in points] == [(0, 0), (1, 0), (2, 0), (0, 1), (1, 1)]
    made = svg(drawing.draw(Table.of("T", rows)))
    assert made.count(image) == 5
    assert "before" in made and "n4" in made
    assert svg(drawing.draw(Table.of("T", [], columns=("i", "c", "r")))).startswith("<svg")
