"""Published and computed numbers come out of the tracer exactly, layer by layer."""

from __future__ import annotations

import math
import re
from typing import Any

import pytest

from epochlab.component import make
from epochlab.cost import Cost, trace, trace_network
from epochlab.layers.inception import Inception, NaiveInception
from epochlab.networks.vgg import Vgg
from tests.known import Known, networks, numbers

WITH_WEIGHTS = ("convolution", "transposed convolution", "linear")


def cost_of(known: Known) -> Cost:
    return trace_network(known.network(), known.input_shape, known.outputs)


@pytest.mark.parametrize("known", networks(), ids=lambda known: known.name)
def test_networks(known: Known) -> None:
    cost, facts = cost_of(known), known.facts
    weighted = cost.of_kind(*WITH_WEIGHTS)
    have = {
        "parameters": cost.parameters,
        "weights": sum(layer.weights for layer in weighted),
        "biases": sum(layer.biases for layer in weighted),
        "macs": cost.macs,
        "gmacs": round(cost.macs / 1e9, 3),
        "convolution_macs": sum(layer.macs for layer in cost.of_kind("convolution")),
        "linear_macs": sum(layer.macs for layer in cost.of_kind("linear")),
        "flops": cost.count("flops"),
        "gradient_bytes": 4 * cost.parameters,
        "neurons": sum(layer.activations for layer in weighted),
        "activations_of_layers_with_weights": sum(layer.activations for layer in weighted),
        "activations_without_input": cost.folded().activations,
        "activations": cost.folded().activations + math.prod(known.input_shape),
        "backbone_parameters": cost.parameters - sum(x.parameters for x in cost.of_kind("linear")),
    }
    checked = {name: have[name] for name in have if name in facts}
    assert checked
    assert checked == {name: facts[name] for name in checked}
    assert not cost.uncounted


@pytest.mark.parametrize("known", [k for k in networks() if k.layers], ids=lambda known: known.name)
def test_layers(known: Known) -> None:
    cost = cost_of(known)
    for facts in known.layers:
        if not facts["module"]:  # the input itself
            continue
        inside = re.compile(rf"{re.escape(facts['module'])}([./]|$)")
        parts = [layer for layer in cost.layers if inside.match(layer.name)]
        have = {
            "output": list(parts[-1].output_shape[1:]), "activations": parts[-1].activations,
            "weights": sum(x.weights for x in parts), "biases": sum(x.biases for x in parts),
            "parameters": sum(x.parameters for x in parts), "macs": sum(x.macs for x in parts),
        }  # fmt: skip
        checked = {name: facts[name] for name in have if name in facts}
        assert checked
        assert checked == {name: have[name] for name in checked}


@pytest.mark.parametrize("known", [k for k in networks() if "receptive_fields" in k.facts],
                         ids=lambda known: known.name)  # fmt: skip
def test_receptive_fields(known: Known) -> None:
    cost = cost_of(known)
    for facts in known.facts["receptive_fields"]:
        field = cost.layer(facts["module"]).field
        assert field is not None
        assert field.size == (facts["field"],) * 2
        if "stride" in facts:
            assert field.jump == (facts["stride"],) * 2


@pytest.mark.parametrize("entry", numbers()["convolution_share"], ids=lambda e: str(e["options"]))
def test_share_of_convolutions(entry: dict[str, Any]) -> None:
    cost = trace_network(make(Vgg, entry["options"]), (3, 224, 224))
    assert sum(layer.macs for layer in cost.of_kind("convolution")) == entry["convolution_macs"]
    assert round(100 * cost.share("convolution"), 4) == entry["percent"]
    if "percent_full" in entry:
        assert round(100 * cost.share("convolution", count="full"), 4) == entry["percent_full"]


@pytest.mark.parametrize("entry", numbers()["inception"], ids=lambda e: str(e["form"]))
def test_inception_modules(entry: dict[str, Any]) -> None:
    form = {"naive": NaiveInception, "reduced": Inception}[entry["form"]]
    module = form(entry["input_shape"][0], **entry["filters"])
    cost = trace(module, tuple(entry["input_shape"]))
    assert cost.output_shapes == ((1, *entry["output_shape"]),)
    assert (cost.macs, cost.count("flops")) == (entry["macs"], entry["flops"])
    assert cost.weights == entry["weights"]
    assert {n: cost.layer(n).macs for n in entry["branches"]} == entry["branches"]
    assert trace(module, (entry["input_shape"][0], 28, 28)).macs == entry["macs_at_28_pixels"]
