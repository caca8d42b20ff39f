from __future__ import annotations

import pytest
import torch
from torch import nn

from epochlab.errors import BadShape
from epochlab.networks.googlenet import GoogLeNet
from tests.networks.per_layer import measure


def on_meta(response_norm: bool = True) -> nn.Module:
    with torch.device("meta"):
        return GoogLeNet(response_norm=response_norm).build((3, 224, 224), 1000)


def test_order_and_output_of_layers() -> None:
    found = measure(on_meta(), (3, 224, 224))
    outputs = {name: found[name].output for name, _ in on_meta().named_children()}
    assert outputs == {
        "conv1": (64, 112, 112), "act1": (64, 112, 112), "pool1": (64, 56, 56),
        "norm1": (64, 56, 56), "reduce2": (64, 56, 56), "reduce2_act": (64, 56, 56),
        "conv2": (192, 56, 56), "act2": (192, 56, 56), "norm2": (192, 56, 56),
        "pool2": (192, 28, 28), "inception3a": (256, 28, 28), "inception3b": (480, 28, 28),
        "pool3": (480, 14, 14), "inception4a": (512, 14, 14), "inception4b": (512, 14, 14),
        "inception4c": (512, 14, 14), "inception4d": (528, 14, 14), "inception4e": (832, 14, 14),
        "pool4": (832, 7, 7), "inception5a": (832, 7, 7), "inception5b": (1024, 7, 7),
        "avgpool": (1024, 1, 1), "flatten": (1024,), "drop": (1024,), "fc": (1000,),
    }  # fmt: skip
    assert list(outputs) == [name for name, _ in on_meta().named_children()]


def test_twenty_two_layers_deep() -> None:
    """Three in the stem, two in each of nine modules, one at the end."""
    convolutions = sum(isinstance(m, nn.Conv2d) for m in on_meta().modules())
    assert convolutions == 3 + 9 * 6
    assert 3 + 9 * 2 + 1 == 22


def test_response_norm_is_an_option_without_parameters() -> None:
    kinds = [type(m) for m in on_meta().modules()]
    assert kinds.count(nn.LocalResponseNorm) == 2
    without = on_meta(response_norm=False)
    assert not any(isinstance(m, nn.LocalResponseNorm) for m in without.modules())
    assert list(without.state_dict()) == list(on_meta().state_dict())


def test_forty_percent_are_dropped() -> None:
    (drop,) = [m for m in on_meta().modules() if isinstance(m, nn.Dropout)]
    assert drop.p == 0.4


def test_smallest_images() -> None:
    torch.manual_seed(0)
    module = GoogLeNet().build((1, 31, 40), 5).eval()
    assert module(torch.randn(2, 1, 31, 40)).shape == (2, 5)
    with pytest.raises(BadShape, match=r"30 x 40 pixels: pool4, which .*at least 31"):
        GoogLeNet().build((1, 30, 40), 5)


def test_the_check_of_sizes_agrees_with_torch() -> None:
    """The smallest allowed image gives one pixel at the end; one less has nothing to pool."""
    module = GoogLeNet().build((1, 31, 31), 2).eval()
    assert measure(module, (1, 31, 31))["pool4"].output == (832, 1, 1)
    with pytest.raises(RuntimeError, match="too small"):
        module(torch.zeros(1, 1, 30, 30))


def test_flat_samples_are_refused() -> None:
    with pytest.raises(BadShape, match="it takes images"):
        GoogLeNet().build((64,), 10)
