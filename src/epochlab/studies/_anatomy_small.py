"""Small networks for 32 x 32 images: layer tables, checks of a model, and capacity compared."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from epochlab.evidence import Evidence, Note
from epochlab.figures.layers import figure_of
from epochlab.networks.simple_nn import SimpleNN
from epochlab.studies import _network_checks
from epochlab.studies._anatomy_zoo import Specimen, rows_by_weights
from epochlab.table import Column, Table

if TYPE_CHECKING:
    from epochlab.cost import Cost

SMALL, LARGER = "SimpleNN", "CIFAR ResNet-20"
SHAPE, OUTPUTS = (3, 32, 32), 10
_REST = "others"


def small_evidence(specimens: Mapping[str, Specimen]) -> Iterator[Evidence]:
    """Is SimpleNN built as it should be, and how much larger is ResNet-20?"""
    small, larger = specimens[SMALL].cost, specimens[LARGER].cost
    network = SimpleNN().build(SHAPE, OUTPUTS)
    yield Note(text=(
        "Two quick checks tell whether a model is built as intended. A dummy batch of the images' "
        "size must come out with the right shape, and the number of parameters, per layer and in "
        "all, must be what arithmetic on the layer table gives. Both are needed: the last model "
        "below has the right output shape and the wrong layers."
    ))  # fmt: skip
    yield _network_checks.layer_table(network, SHAPE, OUTPUTS)
    yield from _network_checks.sanity_evidence(network, SHAPE, OUTPUTS)
    yield layer_table(small, "simplenn-costs")
    yield layer_table(larger, "resnet20-costs")
    yield figure_of(larger)
    yield _capacity_table(small, larger)
    yield _capacity_note(small, larger)


def layer_table(cost: Cost, name: str) -> Table:
    """One row per convolution, pooling or fully connected layer, and their sum."""
    rows: list[dict[str, Any]] = rows_by_weights(cost)
    for row in rows:
        row["output"] = "x".join(map(str, row["output"]))
        row["parameters"] = row["weights"] + row["biases"] + row["normalisation"]
        row[_REST] = row["biases"] + row["normalisation"]
        axis = None if row["field"] is None else row["field"].axes[0]
        row["sees"] = "" if axis is None else axis.text()
    keys = ("weights", _REST, "parameters", "MACs")
    total = {"layer": "TOTAL", "kind": "", "output": "", "sees": ""}
    rows.append(total | {key: sum(row[key] for row in rows) for key in keys})
    return Table.of(
        f"{cost.name}: parameters, operations and receptive field", rows, label="exact", name=name,
        columns=("layer", "kind", "output", *(Column(name=key, format=",") for key in keys),
                 Column(name="sees")),
        notes=("Output: channels x height x width. Activations, normalisation and sums are counted "
               "with the layer that they follow. Others: biases and normalisation. Sees: receptive "
               "field in pixels per side.",),
    )  # fmt: skip


def _capacity_table(small: Cost, larger: Cost) -> Table:
    rows: list[dict[str, Any]] = []

    def add(what: str, a: float, b: float) -> None:
        rows.append({"quantity": what, SMALL: a, "ResNet-20": b, "ratio": b / a})

    counts = [[layer for layer in cost.layers if layer.macs] for cost in (small, larger)]
    add("layers with weights", *map(len, counts))
    add("parameters", small.parameters, larger.parameters)
    add("of them in convolutions", *(
        sum(layer.parameters for layer in cost.of_kind("convolution")) for cost in (small, larger)
    ))  # fmt: skip
    add("multiply-accumulates", small.macs, larger.macs)
    add("activations per image", small.folded().activations, larger.folded().activations)
    add("channels before the last layer", *(layers[-1].input_shape[1] for layers in counts))
    add("pixels per side seen by the last convolution", *map(_last_field, (small, larger)))
    return Table.of(
        "Capacity of the two networks for 32 x 32 images", rows, label="exact", name="capacity",
        columns=("quantity", Column(name=SMALL, format=","), Column(name="ResNet-20", format=","),
                 Column(name="ratio", format=".2f")),
    )  # fmt: skip


def _last_field(cost: Cost) -> int:
    field = cost.of_kind("convolution")[-1].field
    size = field.size[0] if field else None
    return size or 0


def _capacity_note(small: Cost, larger: Cost) -> Note:
    linear = sum(layer.parameters for layer in small.of_kind("linear")) / small.parameters
    return Note(text=(
        f"ResNet-20 has {larger.parameters / small.parameters:.1f} times SimpleNN's parameters but "
        f"{larger.macs / small.macs:.0f} times its multiply-accumulates: SimpleNN puts "
        f"{linear:.0%} of its parameters into fully connected layers, each used once per image, "
        "ResNet-20 nearly all of its own into convolutions, each used at every position. It has "
        f"more layers, and its last convolution sees {_last_field(larger)} pixels per side"
        f"{', more than the image has,' if _last_field(larger) > SHAPE[1] else ''} where "
        f"SimpleNN's sees {_last_field(small)}. That is what is meant by more capacity. Counting "
        "cannot say how much accuracy it buys; training does."
    ))  # fmt: skip
