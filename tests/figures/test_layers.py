"""Pictures of a network's layers and of several networks: what is drawn, and what is said."""

from __future__ import annotations

import dataclasses
import json
import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from epochlab.cost import Cost, trace
from epochlab.errors import UnknownName
from epochlab.evidence import Figure
from epochlab.figures import _named, _theme
from epochlab.figures._layer_rows import MOST_BARS
from epochlab.figures._named import Named
from epochlab.figures.layers import MOST_NAMES, Layers, comparison_of, figure_of
from epochlab.report.pictures import svg_of
from epochlab.table import Column, Table
from tests.known import network, networks

COLUMNS = (
    Column(name="x.1"), Column(name="size [0]", unit="nats", format=".3f"), Column(name="kind"),
    Column(name="seen"), Column(name="word"),
)  # fmt: skip
DRAWINGS: dict[str, Any] = {
    "layers": Layers(layer="word", bars=("x.1", "size [0]"), color="kind", steps="seen"),
    "layers, bars alone": Layers(layer="word", bars=("x.1",), color=None, steps=None),
    "layers, steps alone": Layers(layer="word", bars=(), color="kind", steps="seen"),
    "named": Named(x="x.1", y="size [0]", name="word", color="kind"),
    "named, logarithmic": Named(x="x.1", y="size [0]", name="word", log_x=True, log_y=True),
}  # fmt: skip


def table(rows: list[tuple[Any, ...]]) -> Table:
    return Table(title="A title", columns=COLUMNS, rows=tuple(rows))


def usual() -> Table:
    return table([(n, n / 3, f"kind {n % 3}", n**2, f"layer {n}") for n in range(1, 7)])


def svg(chart: Any) -> str:
    return svg_of(chart.to_dict())


def said(chart: Any) -> str:
    return "  ·  ".join(chart.to_dict()["title"]["text"])


def points(figure: Figure) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = figure.drawing.draw(figure.table).to_dict()["datasets"]["points"]
    return found


# --- both drawings keep the contract of all drawings ----------------------------------------------


@pytest.mark.parametrize("name", DRAWINGS)
def test_draws_the_same_twice_and_an_empty_table_too(name: str) -> None:
    first, second = (DRAWINGS[name].draw(usual()) for _ in range(2))
    assert svg(first) == svg(second)
    assert svg(DRAWINGS[name].draw(table([]))).startswith("<svg")


@pytest.mark.parametrize("name", DRAWINGS)
def test_label_and_tier_stand_in_the_picture(name: str) -> None:
    shown = dataclasses.replace(usual(), label="simulated", tier="look-alike")
    made = svg(DRAWINGS[name].draw(shown))
    assert "simulated" in made and "look-alike data" in made
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
@given(rows=st.lists(st.tuples(numbers, numbers, words, numbers, words), max_size=12))
@settings(max_examples=12, deadline=None)
def test_draws_whatever_the_table_holds(name: str, rows: list[tuple[Any, ...]]) -> None:
    chart = DRAWINGS[name].draw(table(rows)).to_dict()
    json.dumps(chart, allow_nan=False)
    assert svg_of(chart).startswith("<svg")


# --- layers ---------------------------------------------------------------------------------------


def test_rows_of_one_layer_stand_on_one_another_and_equal_ones_are_added() -> None:
    rows = [("a", "conv", 5, 8), ("a", "norm", 1, 8), ("a", "conv", 2, 9), ("b", "conv", 0, 12)]
    data = Table.of("T", [dict(zip(("layer", "kind", "parameters", "receptive field"), row,
                                   strict=True)) for row in rows])  # fmt: skip
    drawn = Layers(bars=("parameters",)).draw(data).to_dict()["datasets"]["points"]
    bars = [(p["x"], p["c"], p["y"]) for p in drawn if p["k"] == "bar 0"]
    assert bars == [("a", "conv", 7), ("a", "norm", 1)]
    assert [(p["x"], p["c"], p["y"]) for p in drawn if p["k"] == "step"] == [
        ("a", "conv", 9), ("b", "conv", 12),
    ]  # fmt: skip


def test_what_is_not_finite_is_counted_not_hidden() -> None:
    rows = [{"layer": "a", "kind": "k", "parameters": math.nan, "MACs": None,
             "receptive field": math.inf}]  # fmt: skip
    chart = Layers().draw(Table.of("T", rows))
    assert "2 values not finite, not drawn" in said(chart)


def test_a_kind_has_the_same_colour_in_every_network() -> None:
    shades = []
    for name in ("SimpleNN", "ResNet-20 for CIFAR, shortcut A"):
        figure = figure_of(cost_of(name))
        spec = figure.drawing.draw(figure.table).to_dict()
        scale = spec["vconcat"][0]["layer"][0]["encoding"]["color"]["scale"]
        shades.append(dict(zip(scale["domain"], scale["range"], strict=True)))
    assert shades[0]["convolution"] == shades[1]["convolution"] == _theme.colour("c1")
    assert shades[0]["linear"] == shades[1]["linear"] != shades[0]["convolution"]
    assert all(len(set(found.values())) == len(found) for found in shades)


def cost_of(name: str) -> Cost:
    known = network(name)
    return trace(known.build(), known.input_shape, name=name)


@pytest.mark.parametrize("name", ["VGG19", "GoogLeNet, main branch", "ResNet-152", "SimpleNN"])
def test_the_bars_of_a_network_add_up_to_its_known_totals(name: str) -> None:
    known, figure = network(name), figure_of(cost_of(name))
    drawn = points(figure)
    sums = [sum(p["y"] for p in drawn if p["k"] == f"bar {panel}") for panel in range(2)]
    assert sums[0] == known.facts["parameters"] == sum(figure.table.column("parameters"))
    if "macs" in known.facts:
        assert sums[1] == known.facts["macs"]
    else:
        assert sums[1] / 1e9 == pytest.approx(known.facts["gmacs"], abs=5e-4)
    assert len({p["x"] for p in drawn}) <= MOST_BARS
    # VGG's adaptive pooling does nothing to images of the usual size.
    assert name != "VGG19" or "avgpool" not in figure.table.column("layer")


def test_the_steps_are_the_known_receptive_fields() -> None:
    for name in ("AlexNet, two towers", "VGG19", "SimpleNN"):
        steps = {p["x"]: p["y"] for p in points(figure_of(cost_of(name))) if p["k"] == "step"}
        for row in network(name).facts["receptive_fields"]:
            assert steps[row["module"]] == row["field"]


def test_of_many_layers_some_are_named_and_all_are_drawn() -> None:
    figure = figure_of(cost_of("ResNet-152"))
    spec = figure.drawing.draw(figure.table).to_dict()
    axes = [panel["layer"][0]["encoding"]["x"] for panel in spec["vconcat"]]
    assert len(axes) == 3
    assert all(axis["scale"]["domain"] == axes[0]["scale"]["domain"] for axis in axes)
    assert len(axes[0]["scale"]["domain"]) > 2 * MOST_NAMES
    assert 10 < len(axes[-1]["axis"]["values"]) <= MOST_NAMES
    assert svg_of(spec).count("<text") < 120


def test_layers_of_a_very_deep_network_share_a_bar_by_block() -> None:
    block = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 4))
    with torch.device("meta"):
        deep = nn.ModuleDict({f"b{n}": nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4), nn.ReLU())
                              for n in range(MOST_BARS)})  # fmt: skip
    module = nn.Sequential(*deep.values())
    cost = trace(module, (4,))
    figure = figure_of(cost)
    assert len(set(figure.table.column("layer"))) == MOST_BARS
    assert sum(figure.table.column("MACs")) == cost.macs == 2 * MOST_BARS * 16
    assert len(set(figure_of(trace(block, (4,))).table.column("layer"))) == 3


def test_without_an_image_there_are_no_steps() -> None:
    cost = trace(nn.Sequential(nn.Linear(8, 4), nn.ReLU(), nn.Linear(4, 2)), (8,))
    figure = figure_of(cost, count="full")
    drawing = figure.drawing
    assert isinstance(drawing, Layers) and drawing.steps is None
    assert drawing.bars == ("parameters", "full FLOPs")
    assert sum(figure.table.column("full FLOPs")) == cost.count("full")
    assert len(figure.drawing.draw(figure.table).to_dict()["vconcat"]) == 2


def test_the_caption_takes_its_shares_from_the_cost() -> None:
    known = network("VGG19").facts
    dense = known["linear_macs"] / known["macs"]
    caption = figure_of(cost_of("VGG19")).caption
    assert f"convolutions do {1 - dense:.1%} of the 19.6G MACs" in caption
    assert "hold 86.1% of the 144M parameters" in caption
    assert "and do" in figure_of(cost_of("ResNet-20 for CIFAR, shortcut A")).caption
    assert "neither" in figure_of(trace(nn.Sequential(nn.Flatten()), (2, 2))).caption


# --- several networks -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def comparison() -> Figure:
    small = [known for known in networks() if known.facts.get("macs", 1e9) < 1e9]
    return comparison_of([trace(k.build(), k.input_shape, name=k.name, backward=False)
                          for k in small])  # fmt: skip


def test_every_network_is_a_point_on_logarithmic_axes(comparison: Figure) -> None:
    spec = comparison.drawing.draw(comparison.table).to_dict()
    drawn = spec["datasets"]["points"]
    assert len(drawn) == len(comparison.table.rows) > 20
    for row, point in zip(comparison.table.records(), drawn, strict=True):
        assert (row["network"], row["parameters"], row["MACs"]) == (
            point["n"], point["x"], point["y"])  # fmt: skip
    scales = [spec["layer"][0]["encoding"][axis]["scale"]["type"] for axis in ("x", "y")]
    assert scales == ["log", "log"]
    assert "per parameter" in comparison.caption


def test_names_stand_beside_their_points_and_clear_of_each_other(comparison: Figure) -> None:
    drawing, drawn = comparison.drawing, points(comparison)
    assert isinstance(drawing, Named)
    width = 600
    bare = [{key: p[key] for key in ("x", "y", "n")} for p in drawn]
    _named._name_places(bare, drawing, width)
    across = _named._pixels(bare, "x", True, width)
    down = [_named.HEIGHT_PX - v for v in _named._pixels(bare, "y", True, _named.HEIGHT_PX)]
    boxes = []
    for point, x, y in zip(bare, across, down, strict=True):
        sides = _named._sides(x, y, _named._CHAR_PX * len(point["n"]))
        chosen = (point.get("a"), point.get("dx"), point.get("dy"))
        boxes += [box for *side, box in sides if tuple(side) == chosen]
    assert len(boxes) == sum("a" in p for p in bare) >= len(bare) // 2
    for number, box in enumerate(boxes):
        assert not any(_named._meet(box, other) for other in boxes[:number])
        assert not any(box[0] < x < box[2] and box[1] < y < box[3]
                       for x, y in zip(across, down, strict=True))  # fmt: skip


def test_names_without_room_and_rows_without_a_place_are_told() -> None:
    rows = [{"x": 1.0 + n / 1e9, "y": 1.0, "name": f"network number {n}"} for n in range(40)]
    crowd = Table.of("T", [*rows, {"x": 0.0, "y": 1.0, "name": "nowhere"}])
    line = said(Named(x="x", y="y", name="name", log_x=True).draw(crowd))
    assert "1 row without a place, not drawn" in line
    assert "names without room" in line
