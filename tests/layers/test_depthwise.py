"""Depthwise-separable layers: equations, and how much less they cost than what they replace."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional

from epochlab.layers.depthwise import DepthwiseSeparable, InvertedResidual
from epochlab.registry import load_class
from tests.known import Known, numbers
from tests.networks.counting import macs
from tests.networks.per_layer import measure


def cost_of_both(conv: nn.Conv2d, side: int) -> tuple[int, int]:
    """Macs of a 3x3 convolution on images of this side, and of its depthwise-separable form."""
    shape = (conv.in_channels, side, side)
    with torch.device("meta"):
        twin = DepthwiseSeparable(conv.in_channels, conv.out_channels, conv.stride[0])
        return macs(conv, shape), macs(twin, shape)


@pytest.mark.parametrize("entry", numbers()["separable"], ids=lambda e: str(e["channels"]))
def test_saving_of_one_layer(entry: dict[str, Any]) -> None:
    c = entry["channels"]
    with torch.device("meta"):
        whole, parts = cost_of_both(nn.Conv2d(c, c, 3, padding=1), side=14)
    assert round(whole / parts, 3) == entry["ratio"] == round(9 * c / (9 + c), 3)


def test_saving_has_a_limit() -> None:
    c = 10**6
    with torch.device("meta"):
        whole, parts = cost_of_both(nn.Conv2d(c, c, 3, padding=1), side=1)
    limit = numbers()["separable_limit"]["ratio"]
    assert limit - 1e-4 < whole / parts < limit


@pytest.mark.parametrize("entry", numbers()["separable_network"], ids=lambda e: e["component"])
def test_saving_in_all_3x3_layers_of_a_network(entry: dict[str, Any]) -> None:
    known = Known(
        name="", component=entry["component"], options=entry["options"],
        input_shape=tuple(entry["input_shape"]), outputs=10, facts={}, layers=(),
    )  # fmt: skip
    module = known.build()
    whole = parts = 0
    for name, layer in measure(module, known.input_shape).items():
        conv = layer.module
        if isinstance(conv, nn.Conv2d) and conv.kernel_size == (3, 3) and name != "conv1":
            one, other = cost_of_both(conv, side=layer.output[1] * conv.stride[0])
            assert one == layer.macs, name
            whole, parts = whole + one, parts + other
    assert round(whole / parts, 3) == entry["ratio"]


def test_saving_in_each_block_of_mobilenet() -> None:
    with torch.device("meta"):
        module = load_class("networks", "mobilenet_v1")().build((3, 224, 224), 1000)  # type: ignore[attr-defined]
    ratios = []
    for layer in measure(module, (3, 224, 224)).values():
        if isinstance(layer.module, DepthwiseSeparable):
            pointwise = layer.module.get_submodule("pointwise")
            assert isinstance(pointwise, nn.Conv2d)
            whole = 9 * pointwise.in_channels * layer.activations
            ratios.append(whole / layer.macs)
    assert len(ratios) == 13
    assert min(ratios) == 9 * 64 / (9 + 64)
    assert max(ratios) == 9 * 1024 / (9 + 1024)


def test_depthwise_separable_is_its_equation() -> None:
    torch.manual_seed(0)
    block = DepthwiseSeparable(3, 5, stride=2).eval()
    x = torch.randn(2, 3, 7, 6)
    depthwise, pointwise = block.get_submodule("depthwise"), block.get_submodule("pointwise")
    assert isinstance(depthwise, nn.Conv2d) and isinstance(pointwise, nn.Conv2d)
    channels = [
        functional.conv2d(x[:, c : c + 1], depthwise.weight[c : c + 1], stride=2, padding=1)
        for c in range(3)
    ]
    scale = (1 + 1e-5) ** -0.5  # fresh statistics: mean 0, variance 1
    y = (torch.cat(channels, 1) * scale).clamp(min=0)
    mixed = torch.einsum("oc,bchw->bohw", pointwise.weight[:, :, 0, 0], y)
    torch.testing.assert_close(block(x), (mixed * scale).clamp(min=0))


@pytest.mark.parametrize(
    ("channels", "stride", "adds"), [(4, 1, True), (4, 2, False), (6, 1, False)]
)
def test_inverted_residual_adds_where_the_shape_stays(
    channels: int, stride: int, adds: bool
) -> None:
    block = InvertedResidual(4, channels, stride, expand=6).eval()
    last = block.conv.get_submodule("3")
    assert isinstance(last, nn.BatchNorm2d)
    nn.init.zeros_(last.weight)  # F(x) is 0
    x = torch.randn(2, 4, 6, 6)
    y = block(x)
    assert y.shape == (2, channels, 6 // stride, 6 // stride)
    assert torch.equal(y, x if adds else torch.zeros_like(y))
    assert f"adds={adds}" in repr(block)


def test_expansion_of_one_has_no_first_convolution() -> None:
    convs = [m for m in InvertedResidual(8, 4, 1, expand=1).modules() if isinstance(m, nn.Conv2d)]
    assert [(c.in_channels, c.out_channels, c.groups) for c in convs] == [(8, 8, 8), (8, 4, 1)]
