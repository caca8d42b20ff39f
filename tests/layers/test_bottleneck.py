from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

from epochlab.errors import BadOption
from epochlab.layers.bottleneck import Bottleneck, StrideOn, TwoLayerBlock, projection


def normalised(y: torch.Tensor) -> torch.Tensor:
    variance, mean = torch.var_mean(y, (0, 2, 3), correction=0, keepdim=True)
    return (y - mean) / torch.sqrt(variance + 1e-5)


@pytest.mark.parametrize("stride_on", ["1x1", "3x3"])
def test_bottleneck_is_its_equation(stride_on: StrideOn) -> None:
    torch.manual_seed(0)
    block = Bottleneck(8, 4, 2, stride_on).train()
    x = torch.randn(3, 8, 7, 6)
    first, second = (2, 1) if stride_on == "1x1" else (1, 2)
    y = normalised(functional.conv2d(x, block.conv1.weight, stride=first)).clamp(min=0)
    y = functional.conv2d(y, block.conv2.weight, stride=second, padding=1)
    y = normalised(functional.conv2d(normalised(y).clamp(min=0), block.conv3.weight))
    assert block.downsample is not None
    shortcut = block.downsample.get_submodule("0")
    assert isinstance(shortcut, nn.Conv2d)
    around = normalised(functional.conv2d(x, shortcut.weight, stride=2))
    torch.testing.assert_close(block(x), (y + around).clamp(min=0))
    assert block(x).shape == (3, block.out_channels, 4, 3) == (3, 16, 4, 3)


def test_two_layer_block_is_its_equation() -> None:
    torch.manual_seed(0)
    block = TwoLayerBlock(4, 4).train()
    x = torch.randn(3, 4, 7, 6)
    y = normalised(functional.conv2d(x, block.conv1.weight, padding=1)).clamp(min=0)
    y = normalised(functional.conv2d(y, block.conv2.weight, padding=1))
    torch.testing.assert_close(block(x), (y + x).clamp(min=0))


@pytest.mark.parametrize(
    ("before", "after", "stride", "needed"),
    [(8, 8, 1, False), (8, 16, 1, True), (8, 8, 2, True), (8, 16, 2, True)],
)
def test_projection_only_where_the_shape_changes(
    before: int, after: int, stride: int, needed: bool
) -> None:
    assert (projection(before, after, stride) is not None) is needed


@pytest.mark.parametrize("block", [TwoLayerBlock(4, 8, 2), Bottleneck(4, 2, 2)])
def test_without_its_branch_a_block_is_its_shortcut(block: TwoLayerBlock | Bottleneck) -> None:
    block.eval()
    last = block.bn3 if isinstance(block, Bottleneck) else block.bn2
    nn.init.zeros_(last.weight)
    x = torch.randn(2, 4, 7, 6)
    assert block.downsample is not None
    assert torch.equal(block(x), block.downsample(x).relu())


def test_other_places_of_the_stride_are_refused() -> None:
    with pytest.raises(BadOption, match="allowed are '1x1', '3x3'"):
        Bottleneck(8, 4, 2, "2x2")  # type: ignore[arg-type]
