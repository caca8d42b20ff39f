from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

from epochlab.errors import BadOption
from epochlab.layers.residual import BasicBlock, Shortcut, SubsampleAndPad, shortcut_module


def test_option_a_subsamples_and_pads_on_both_sides() -> None:
    x = torch.arange(2 * 4 * 4.0).reshape(1, 2, 4, 4) + 1
    y = SubsampleAndPad(2, 5, stride=2)(x)
    assert y.shape == (1, 5, 2, 2)
    assert y[0, 1].tolist() == [[1, 3], [9, 11]]
    assert y[0, 2].tolist() == [[17, 19], [25, 27]]
    assert y[0, [0, 3, 4]].abs().sum() == 0


def test_option_a_cannot_drop_channels() -> None:
    with pytest.raises(BadOption, match="from 8 to 4"):
        SubsampleAndPad(8, 4, stride=1)


@pytest.mark.parametrize("shortcut", ["A", "B"])
def test_shortcut_is_the_input_itself_where_shapes_agree(shortcut: Shortcut) -> None:
    assert isinstance(shortcut_module(8, 8, 1, shortcut), nn.Identity)


def test_unknown_shortcuts_are_refused() -> None:
    with pytest.raises(BadOption, match="allowed are A, B, none"):
        shortcut_module(8, 8, 1, "C")  # type: ignore[arg-type]


@pytest.mark.parametrize(("shortcut", "extra"), [("A", 0), ("B", 8 * 16 + 2 * 16), ("none", 0)])
def test_parameters_of_a_block(shortcut: Shortcut, extra: int) -> None:
    block = BasicBlock(8, 16, 2, shortcut)
    assert sum(p.numel() for p in block.parameters()) == 9 * 8 * 16 + 9 * 16 * 16 + 4 * 16 + extra


@pytest.mark.parametrize("shortcut", ["A", "B"])
def test_without_its_branch_a_block_is_its_shortcut(shortcut: Shortcut) -> None:
    block = BasicBlock(4, 8, 2, shortcut).eval()
    nn.init.zeros_(block.bn2.weight)
    x = torch.randn(2, 4, 7, 6)
    assert block.shortcut is not None
    assert torch.equal(block(x), block.shortcut(x).relu())
    assert block(x).shape == (2, 8, 4, 3)


def test_without_branch_and_shortcut_nothing_is_left() -> None:
    block = BasicBlock(4, 4, shortcut="none").eval()
    nn.init.zeros_(block.bn2.weight)
    assert block(torch.randn(2, 4, 6, 6)).abs().sum() == 0


@pytest.mark.parametrize("shortcut", ["A", "B"])
def test_block_is_its_equation(shortcut: Shortcut) -> None:
    torch.manual_seed(0)
    block = BasicBlock(3, 6, 2, shortcut).train()
    x = torch.randn(5, 3, 8, 8)

    def normalised(y: torch.Tensor) -> torch.Tensor:
        variance, mean = torch.var_mean(y, (0, 2, 3), correction=0, keepdim=True)
        return (y - mean) / torch.sqrt(variance + 1e-5)

    first = normalised(functional.conv2d(x, block.conv1.weight, stride=2, padding=1)).clamp(min=0)
    second = normalised(functional.conv2d(first, block.conv2.weight, padding=1))
    assert block.shortcut is not None
    torch.testing.assert_close(block(x), (second + block.shortcut(x)).clamp(min=0))
