"""The fire module: few channels in the middle, 1x1 and 3x3 filters side by side at the end."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Fire(nn.Module):
    """s = relu(squeeze 1x1 of x); concat(relu(expand 1x1 of s), relu(expand 3x3 of s)).

    Maps [batch, in_channels, h, w] to [batch, one + three, h, w]. The fewer channels `squeeze` has,
    the fewer inputs the 3x3 filters see.

        >>> import torch
        >>> Fire(96, squeeze=16, one=64, three=64)(torch.zeros(1, 96, 8, 8)).shape
        torch.Size([1, 128, 8, 8])

    Reference: F. N. Iandola et al., SqueezeNet: AlexNet-level accuracy with 50x fewer parameters
    and <0.5MB model size, 2016, arXiv:1602.07360, Figure 1.
    """

    def __init__(self, in_channels: int, *, squeeze: int, one: int, three: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(in_channels, squeeze, 1)
        self.squeeze_act = nn.ReLU()
        self.expand1x1 = nn.Conv2d(squeeze, one, 1)
        self.expand1x1_act = nn.ReLU()
        self.expand3x3 = nn.Conv2d(squeeze, three, 3, padding=1)
        self.expand3x3_act = nn.ReLU()
        self.out_channels = one + three

    def forward(self, x: Tensor) -> Tensor:
        s = self.squeeze_act(self.squeeze(x))
        one = self.expand1x1_act(self.expand1x1(s))
        three = self.expand3x3_act(self.expand3x3(s))
        return torch.cat([one, three], 1)
