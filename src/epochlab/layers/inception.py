"""The inception module: filters of several sizes side by side, naive or with cheap reductions."""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import Tensor, nn


def convolution(
    in_channels: int, channels: int, kernel: int, *, bias: bool, name: str = "conv"
) -> OrderedDict[str, nn.Module]:
    """A convolution that keeps height and width (odd kernels), then ReLU."""
    conv = nn.Conv2d(in_channels, channels, kernel, padding=kernel // 2, bias=bias)
    return OrderedDict({name: conv, f"{name}_act": nn.ReLU()})


class NaiveInception(nn.Module):
    """concat(relu(conv 1x1), relu(conv 3x3), relu(conv 5x5), maximum of 3x3) along the channels.

    Maps [batch, in_channels, h, w] to [batch, one + three + five + in_channels, h, w]: each branch
    looks at another scale, and learning decides which one counts. The pooling keeps all of its
    input's channels, so the output has more channels than the input wherever there is a filter at
    all, and each further module is dearer than the one before.

        >>> import torch
        >>> module = NaiveInception(256, one=128, three=192, five=96, bias=False)
        >>> module(torch.zeros(1, 256, 32, 32)).shape[1:]
        torch.Size([672, 32, 32])
        >>> sum(p.numel() for p in module.parameters())
        1089536

    Reference: C. Szegedy et al., Going Deeper with Convolutions, CVPR 2015, arXiv:1409.4842,
    Figure 2 (a).
    """

    def __init__(
        self, in_channels: int, *, one: int, three: int, five: int, bias: bool = True
    ) -> None:
        super().__init__()
        self.branch1 = nn.Sequential(convolution(in_channels, one, 1, bias=bias))
        self.branch3 = nn.Sequential(convolution(in_channels, three, 3, bias=bias))
        self.branch5 = nn.Sequential(convolution(in_channels, five, 5, bias=bias))
        self.branch_pool = nn.Sequential(OrderedDict(pool=nn.MaxPool2d(3, stride=1, padding=1)))
        self.out_channels = one + three + five + in_channels

    def forward(self, x: Tensor) -> Tensor:
        branches = (self.branch1, self.branch3, self.branch5, self.branch_pool)
        return torch.cat([branch(x) for branch in branches], 1)


class Inception(nn.Module):
    """The inception module with 1x1 convolutions that take channels away before the dear ones.

        branch1      1x1 to `one`
        branch3      1x1 to `reduce3`, 3x3 to `three`
        branch5      1x1 to `reduce5`, 5x5 to `five`
        branch_pool  maximum of 3x3, 1x1 to `pool`

    ReLU follows every convolution, the reductions included. Maps [batch, in_channels, h, w] to
    [batch, one + three + five + pool, h, w]: the pooling branch no longer dictates the channels.

        >>> import torch
        >>> module = Inception(256, one=128, reduce3=64, three=192, reduce5=64, five=96, pool=64,
        ...                    bias=False)
        >>> module(torch.zeros(1, 256, 32, 32)).shape[1:]
        torch.Size([480, 32, 32])
        >>> sum(p.numel() for p in module.parameters())
        346112

    Reference: C. Szegedy et al., Going Deeper with Convolutions, CVPR 2015, arXiv:1409.4842,
    Figure 2 (b).
    """

    def __init__(
        self,
        in_channels: int,
        *,
        one: int,
        reduce3: int,
        three: int,
        reduce5: int,
        five: int,
        pool: int,
        bias: bool = True,
    ) -> None:
        super().__init__()
        self.branch1 = nn.Sequential(convolution(in_channels, one, 1, bias=bias))
        self.branch3 = nn.Sequential(
            convolution(in_channels, reduce3, 1, bias=bias, name="reduce")
            | convolution(reduce3, three, 3, bias=bias)
        )
        self.branch5 = nn.Sequential(
            convolution(in_channels, reduce5, 1, bias=bias, name="reduce")
            | convolution(reduce5, five, 5, bias=bias)
        )
        self.branch_pool = nn.Sequential(
            OrderedDict[str, nn.Module](pool=nn.MaxPool2d(3, stride=1, padding=1))
            | convolution(in_channels, pool, 1, bias=bias)
        )
        self.out_channels = one + three + five + pool

    def forward(self, x: Tensor) -> Tensor:
        branches = (self.branch1, self.branch3, self.branch5, self.branch_pool)
        return torch.cat([branch(x) for branch in branches], 1)
