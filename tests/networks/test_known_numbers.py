"""Every built network against the file of known numbers: totals, layers, shares."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import pytest
import torch
from torch import nn

from tests.known import Known, networks, numbers
from tests.networks import counting
from tests.networks.per_layer import Measured, measure, receptive_fields


@dataclass(frozen=True)
class Case:
    """A known network, built on the meta device, with what was measured on it."""

    known: Known
    module: nn.Module
    layers: dict[str, Measured]

    def of_kind(self, *kinds: type[nn.Module]) -> list[Measured]:
        return [layer for layer in self.layers.values() if isinstance(layer.module, kinds)]

    def sum(self, what: str, *kinds: type[nn.Module]) -> int:
        return sum(getattr(layer, what) for layer in self.of_kind(*kinds))

    @property
    def parameters(self) -> int:
        return counting.parameters(self.module)

    @property
    def macs(self) -> int:
        with torch.device("meta"):
            return counting.macs(self.module, self.known.input_shape)

    @property
    def weights(self) -> int:
        return self.sum("weights", nn.Conv2d, nn.Linear)

    @property
    def activations(self) -> int:
        own = self.sum("activations", nn.Conv2d, nn.MaxPool2d, nn.Linear)
        return own + math.prod(self.known.input_shape)


@cache
def case(name: str) -> Case:
    (known,) = [known for known in networks() if known.name == name]
    module = known.build()
    return Case(known, module, measure(module, known.input_shape))


def fields(c: Case) -> list[dict[str, Any]]:
    reached = receptive_fields(c.module)
    asked = [entry["module"] for entry in c.known.facts["receptive_fields"]]
    return [{"module": m, "field": reached[m][0], "stride": reached[m][1]} for m in asked]


def shares(c: Case) -> list[dict[str, Any]]:
    result = []
    for entry in c.known.facts["shares"]:
        digits = len(str(entry["percent"]).partition(".")[2])
        percent = 100 * sum(c.layers[m].macs for m in entry["modules"]) / c.macs
        result.append({"modules": entry["modules"], "percent": round(percent, digits)})
    return result


def rounded(c: Case) -> list[dict[str, Any]]:
    """Two digits count; K and M stand for thousands and millions."""
    result = []
    for value in sorted({layer.activations for layer in c.layers.values()} | {3 * 224 * 224}):
        near = float(f"{value:.1e}")
        shown = f"{near / 1e6:.1f}M" if near >= 1e6 else f"{near / 1e3:.0f}K"
        result.append({"value": value, "shown": shown})
    return [entry for entry in c.known.facts["rounded_activations"] if entry in result]


# For every fact that the file may state of a network: the same, measured.
FACTS: dict[str, Callable[[Case], Any]] = {
    "parameters": lambda c: c.parameters,
    "weights": lambda c: c.weights,
    "biases": lambda c: c.sum("biases", nn.Conv2d, nn.Linear),
    "macs": lambda c: c.macs,
    "flops": lambda c: 2 * c.macs,
    "gmacs": lambda c: round(c.macs / 1e9, 3),
    "convolution_macs": lambda c: c.sum("macs", nn.Conv2d),
    "linear_macs": lambda c: c.sum("macs", nn.Linear),
    "linear_share_of_parameters_percent": lambda c: round(
        100 * c.sum("weights", nn.Linear) / c.weights, 2
    ),
    "neurons": lambda c: c.sum("activations", nn.Conv2d, nn.Linear),
    "activations": lambda c: c.activations,
    "activations_without_input": lambda c: c.activations - math.prod(c.known.input_shape),
    "activations_of_layers_with_weights": lambda c: c.sum("activations", nn.Conv2d, nn.Linear),
    "activation_megabytes": lambda c: round(4 * c.activations / 1e6, 2),
    "weight_megabytes": lambda c: round(4 * c.weights / 1e6, 2),
    "gradient_bytes": lambda c: 4 * c.parameters,
    "backbone_parameters": lambda c: c.parameters - c.layers["fc"].parameters,
    "output_layer_weights": lambda c: c.layers["scores"].weights + c.layers["offsets"].weights,
    "receptive_fields": fields,
    "shares": shares,
    "rounded_activations": rounded,
}


@pytest.mark.parametrize(
    ("name", "fact"), [(known.name, fact) for known in networks() for fact in known.facts]
)
def test_facts(name: str, fact: str) -> None:
    assert FACTS[fact](case(name)) == case(name).known.facts[fact]


@pytest.mark.parametrize("name", [known.name for known in networks() if known.layers])
def test_facts_of_each_layer(name: str) -> None:
    c = case(name)
    for row in c.known.layers:
        expected = {key: value for key, value in row.items() if key not in ("row", "module")}
        assert expected
        if row["module"]:
            layer = c.layers[row["module"]]
            found = {key: getattr(layer, key) for key in expected}
            if "output" in found:
                found["output"] = list(found["output"])
        else:  # the input itself
            found = {"activations": math.prod(c.known.input_shape), "weights": 0, "macs": 0}
        assert found == expected, row["module"]


@pytest.mark.parametrize("name", ["AlexNet, two towers", "VGG19", "SimpleNN", "LeNet-5 of 1998"])
def test_rows_of_a_full_table_add_up(name: str) -> None:
    c = case(name)
    counted = ("weights", "biases", "parameters", "macs")
    for key in counted:
        values = [row[key] for row in c.known.layers if key in row]
        if values and key in c.known.facts:
            assert sum(values) == c.known.facts[key], key
    if "activations" in c.known.facts:
        assert sum(row["activations"] for row in c.known.layers) == c.known.facts["activations"]


def full(layer: Measured) -> int:
    """Two operations per multiply-accumulate, and one per bias, per ReLU, per comparison."""
    if isinstance(layer.module, nn.ReLU):
        return layer.activations
    if isinstance(layer.module, nn.MaxPool2d):
        return 3 * layer.activations  # 2 x 2 pixels
    return 2 * layer.macs + (layer.activations if layer.biases else 0)


@pytest.mark.parametrize(
    "entry", numbers()["convolution_share"], ids=lambda e: str(e["options"]["depth"])
)
def test_share_of_convolutions(entry: dict[str, Any]) -> None:
    c = case(f"VGG{entry['options']['depth']}")
    convolutions, linear = c.sum("macs", nn.Conv2d), c.sum("macs", nn.Linear)
    assert (convolutions, linear) == (entry["convolution_macs"], entry["linear_macs"])
    assert round(100 * convolutions / (convolutions + linear), 4) == entry["percent"]
    if "percent_full" in entry:
        everything = c.of_kind(nn.Conv2d, nn.Linear, nn.ReLU, nn.MaxPool2d)
        share = sum(map(full, c.of_kind(nn.Conv2d))) / sum(map(full, everything))
        assert round(100 * share, 4) == entry["percent_full"]
