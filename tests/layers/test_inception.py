from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional

from epochlab.layers.inception import Inception, NaiveInception
from tests.known import numbers
from tests.networks.per_layer import measure

FORMS = {"naive": NaiveInception, "reduced": Inception}


@pytest.mark.parametrize("entry", numbers()["inception"], ids=lambda e: e["form"])
def test_known_numbers(entry: dict[str, Any]) -> None:
    with torch.device("meta"):
        module = FORMS[entry["form"]](entry["input_shape"][0], **entry["filters"])
    found = measure(module, tuple(entry["input_shape"]))
    assert {n: found[n].macs for n in entry["branches"]} == entry["branches"]
    assert list(found[""].output) == entry["output_shape"]
    assert module.out_channels == entry["output_shape"][0]
    assert found[""].activations == entry["outputs"]
    assert found[""].macs == sum(entry["branches"].values()) == entry["macs"]
    assert 2 * found[""].macs == entry["flops"]
    assert found[""].weights == entry["weights"]
    assert measure(module, (256, 28, 28))[""].macs == entry["macs_at_28_pixels"]


@pytest.mark.parametrize("entry", numbers()["inception"], ids=lambda e: e["form"])
def test_without_biases_only_weights_are_left(entry: dict[str, Any]) -> None:
    with torch.device("meta"):
        module = FORMS[entry["form"]](256, **entry["filters"], bias=False)
    assert sum(p.numel() for p in module.parameters()) == entry["weights"]


def test_naive_module_is_its_equation() -> None:
    torch.manual_seed(0)
    module = NaiveInception(4, one=2, three=3, five=1)
    x = torch.randn(2, 4, 7, 6)
    expected = []
    for branch, border in ((module.branch1, 0), (module.branch3, 1), (module.branch5, 2)):
        conv = branch.get_submodule("conv")
        assert isinstance(conv, nn.Conv2d)
        expected.append(functional.conv2d(x, conv.weight, conv.bias, padding=border).clamp(min=0))
    expected.append(functional.max_pool2d(x, 3, 1, 1))
    torch.testing.assert_close(module(x), torch.cat(expected, 1))


def test_reduced_module_is_its_equation() -> None:
    torch.manual_seed(0)
    module = Inception(4, one=2, reduce3=3, three=5, reduce5=2, five=3, pool=1)
    x = torch.randn(2, 4, 7, 6)

    def layer(name: str, value: torch.Tensor) -> torch.Tensor:
        conv = module.get_submodule(name)
        assert isinstance(conv, nn.Conv2d)
        border = conv.weight.shape[-1] // 2
        return functional.conv2d(value, conv.weight, conv.bias, padding=border).clamp(min=0)

    expected = [
        layer("branch1.conv", x),
        layer("branch3.conv", layer("branch3.reduce", x)),
        layer("branch5.conv", layer("branch5.reduce", x)),
        layer("branch_pool.conv", functional.max_pool2d(x, 3, 1, 1)),
    ]
    torch.testing.assert_close(module(x), torch.cat(expected, 1))
    assert module(x).shape == (2, module.out_channels, 7, 6)
