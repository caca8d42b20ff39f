"""The residual block of two 3x3 convolutions, with the shortcuts that its authors compare."""

from __future__ import annotations

from collections import OrderedDict
from typing import Literal

from torch import Tensor, nn
from torch.nn import functional

from epochlab.errors import BadOption
from epochlab.layers.activation import activation

Shortcut = Literal["A", "B", "none"]


class SubsampleAndPad(nn.Module):
    """Option A: keep every `stride`-th pixel and add channels of zeros, half before, half after."""

    def __init__(self, in_channels: int, channels: int, stride: int) -> None:
        super().__init__()
        if channels < in_channels:
            raise BadOption(
                f"Shortcut A can only add channels, not go from {in_channels} to {channels}; "
                "use shortcut B."
            )
        self.stride = stride
        self.before = (channels - in_channels) // 2
        self.after = channels - in_channels - self.before

    def forward(self, x: Tensor) -> Tensor:
        kept = x[:, :, :: self.stride, :: self.stride]
        return functional.pad(kept, (0, 0, 0, 0, self.before, self.after))


def shortcut_module(
    in_channels: int, channels: int, stride: int, shortcut: Shortcut
) -> nn.Module | None:
    """The path around a block: x itself where shapes agree, else option A or B; None for 'none'.

    Option B is a 1x1 convolution without bias, then batch normalisation.
    """
    if shortcut not in ("A", "B", "none"):
        raise BadOption(f"The shortcut is {shortcut!r}; allowed are A, B, none.")
    if shortcut == "none":
        return None
    if stride == 1 and in_channels == channels:
        return nn.Identity()
    if shortcut == "A":
        return SubsampleAndPad(in_channels, channels, stride)
    conv = nn.Conv2d(in_channels, channels, 1, stride=stride, bias=False)
    return nn.Sequential(OrderedDict(conv=conv, bn=nn.BatchNorm2d(channels)))


class BasicBlock(nn.Module):
    """act(F(x) + shortcut(x)), where F is conv 3x3, bn, act, conv 3x3, bn in this order.

    Maps [batch, in_channels, h, w] to [batch, channels, ceil(h / stride), ceil(w / stride)]. The
    first convolution carries the stride; convolutions have no bias, since a normalisation follows.
    With shortcut 'none' it is a plain block of the same depth and parameters as with 'A'.

        >>> import torch
        >>> BasicBlock(16, 32, stride=2, shortcut="A")(torch.zeros(1, 16, 8, 8)).shape
        torch.Size([1, 32, 4, 4])

    Reference: K. He, X. Zhang, S. Ren, J. Sun, Deep Residual Learning for Image Recognition, CVPR
    2016, arXiv:1512.03385, sections 3.3 and 4.2.
    """

    def __init__(
        self,
        in_channels: int,
        channels: int,
        stride: int = 1,
        shortcut: Shortcut = "B",
        activation_name: str = "relu",
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, channels, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.act1 = activation(activation_name)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.shortcut = shortcut_module(in_channels, channels, stride, shortcut)
        self.act2 = activation(activation_name)

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn2(self.conv2(self.act1(self.bn1(self.conv1(x)))))
        if self.shortcut is not None:
            y = y + self.shortcut(x)
        out: Tensor = self.act2(y)
        return out
