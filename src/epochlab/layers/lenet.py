"""The special layers of the LeNet-5 of 1998: squashing, pooling, table of connections, codes."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional


class Squash(nn.Module):
    """1.7159 * tanh(2/3 * x), element by element: close to 1 at 1 and to -1 at -1.

        >>> Squash()(torch.tensor([-1.0, 0.0, 1.0]))
        tensor([-1.0000,  0.0000,  1.0000])

    Reference: Y. LeCun, L. Bottou, Y. Bengio, P. Haffner, Gradient-Based Learning Applied to
    Document Recognition, Proceedings of the IEEE 86(11), 1998, section II.B and appendix A.
    """

    def forward(self, x: Tensor) -> Tensor:
        return 1.7159 * torch.tanh(x * (2 / 3))


class TrainablePool(nn.Module):
    """coefficient * (sum of 2x2 pixels) + bias, one coefficient and one bias per channel.

    Maps [batch, channels, h, w] to [batch, channels, h // 2, w // 2]. It starts as the mean:
    coefficients are 1/4, biases 0.

        >>> TrainablePool(1)(torch.tensor([[[[1.0, 2.0], [3.0, 6.0]]]])).item()
        3.0

    Reference: as for Squash, section II.B, layers S2 and S4.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.coefficient = nn.Parameter(torch.full((channels,), 0.25))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        summed = functional.avg_pool2d(x, 2, divisor_override=1)
        return summed * self.coefficient[:, None, None] + self.bias[:, None, None]


class TableConv2d(nn.Module):
    """A convolution whose output channels see only the input channels that a table gives them.

    `table` holds one row of input channels per output channel. Maps [batch, channels, h, w] to
    [batch, len(table), h - kernel + 1, w - kernel + 1]. Only connections of the table have weights.

        >>> layer = TableConv2d([(0, 1), (1, 2), (0, 1, 2)], kernel=5)
        >>> layer(torch.zeros(1, 3, 8, 8)).shape, sum(p.numel() for p in layer.parameters())
        (torch.Size([1, 3, 4, 4]), 178)

    Reference: as for Squash, section II.B, layer C3.
    """

    def __init__(self, table: Sequence[Sequence[int]], kernel: int) -> None:
        super().__init__()
        self.table = tuple(tuple(row) for row in table)
        self.maps = nn.ModuleList(nn.Conv2d(len(row), 1, kernel) for row in self.table)

    def forward(self, x: Tensor) -> Tensor:
        seen = zip(self.table, self.maps, strict=True)
        return torch.cat([conv(x[:, list(row)]) for row, conv in seen], 1)


class CodeDistance(nn.Module):
    """-sum_j (x_j - code_ij)^2 for each class i: the nearer x is to a class's code, the larger.

    Maps [batch, units] to [batch, classes]. Codes are rows of -1 and 1, fixed, not trained. They
    are the first bits of SHAKE-256 of 'class i', so a class has the same code everywhere; two codes
    of 84 differ in about half of their places.

        >>> layer = CodeDistance(84, 10)
        >>> layer(layer.codes[3:4]).argmax().item(), len(list(layer.parameters()))
        (3, 0)

    Reference: as for Squash, section II.B, output layer. The authors draw the codes of digits as
    pictures of 7 x 12 pixels and have the distance itself as output.
    """

    codes: Tensor

    def __init__(self, units: int, classes: int) -> None:
        super().__init__()
        codes = [_code(number, units) for number in range(classes)]
        self.register_buffer("codes", torch.tensor(codes))

    def forward(self, x: Tensor) -> Tensor:
        return -(x[:, None, :] - self.codes).square().sum(2)


def _code(number: int, units: int) -> list[float]:
    digest = hashlib.shake_256(f"class {number}".encode()).digest(-(-units // 8))
    bits = [byte >> place & 1 for byte in digest for place in range(8)]
    return [2.0 * bit - 1.0 for bit in bits[:units]]
