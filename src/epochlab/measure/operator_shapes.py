"""A designed set of layers that spans what image networks have, to time their operators."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from epochlab.errors import BadOption, UnknownName

Kind = Literal["convolution", "linear", "max pooling", "average pooling", "batch normalisation",
               "activation", "add"]  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class OperatorShape:
    """One operator on one size. Kinds are those of `epochlab.cost.Layer`; maps are square."""

    kind: Kind
    batch: int = 1
    in_channels: int
    "features of a linear layer"
    out_channels: int
    "equal to in_channels but for convolutions and linear layers"
    side: int = 1
    "height and width of the input; 1 for a linear layer"
    kernel: int = 1
    stride: int = 1
    groups: int = 1
    training: bool = True
    "of a normalisation: statistics of the batch, not stored ones"

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind):
            raise UnknownName("kind of operator", str(self.kind), get_args(Kind))
        for name in ("batch", "in_channels", "out_channels", "side", "kernel", "stride", "groups"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise BadOption(f"{name} is {value!r}; it must be a whole number, at least 1.")
        if self.in_channels % self.groups or self.out_channels % self.groups:
            raise BadOption(f"groups is {self.groups}; it must divide both numbers of channels, "
                            f"{self.in_channels} and {self.out_channels}.")  # fmt: skip
        if self.kind not in ("convolution", "linear") and self.in_channels != self.out_channels:
            raise BadOption(f"A {self.kind} has as many channels behind as before it; given "
                            f"{self.in_channels} and {self.out_channels}.")  # fmt: skip

    @property
    def padding(self) -> int:
        """Of convolutions (a stride of 1 keeps the size), and of max pooling's odd windows."""
        odd = self.kind == "max pooling" and self.kernel % 2 == 1
        return self.kernel // 2 if self.kind == "convolution" or odd else 0

    def text(self) -> str:
        """'convolution 3x3/2 64->128 at 56x56, batch 8'."""
        window = f" {self.kernel}x{self.kernel}" if self.kernel > 1 else ""
        stride = f"/{self.stride}" if self.stride > 1 else ""
        wide = str(self.in_channels)
        if self.kind in ("convolution", "linear"):
            wide += f"->{self.out_channels}"
        grouped = f" in {self.groups} groups" if self.groups > 1 else ""
        place = f" at {self.side}x{self.side}" if self.kind != "linear" else ""
        return f"{self.kind}{window}{stride} {wide}{grouped}{place}, batch {self.batch}"

    def build(self) -> tuple[nn.Module, tuple[Tensor, ...]]:
        """The module, and inputs for it with gradients wanted."""
        module = _MAKERS[self.kind](self).train(self.training)
        sizes = (self.in_channels,) if self.kind == "linear" else (
            self.in_channels, self.side, self.side)  # fmt: skip
        count = 2 if self.kind == "add" else 1
        return module, tuple(torch.randn(self.batch, *sizes, requires_grad=True)
                             for _ in range(count))  # fmt: skip


class _Add(nn.Module):
    """Sum of two tensors, as at the end of a residual block."""

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return a + b


_MAKERS: dict[str, Callable[[OperatorShape], nn.Module]] = {
    "convolution": lambda s: nn.Conv2d(s.in_channels, s.out_channels, s.kernel, s.stride,
                                       s.padding, groups=s.groups, bias=False),
    "linear": lambda s: nn.Linear(s.in_channels, s.out_channels),
    "max pooling": lambda s: nn.MaxPool2d(s.kernel, s.stride, s.padding),
    "average pooling": lambda s: nn.AvgPool2d(s.kernel, s.stride, s.padding),
    "batch normalisation": lambda s: nn.BatchNorm2d(s.in_channels),
    "activation": lambda s: nn.ReLU(),
    "add": lambda s: _Add(),
}  # fmt: skip


# --- the designed set -----------------------------------------------------------------------------

# fmt: off
# kernel, channels in, channels out, side, stride, batch: what networks have, and between.
_CONVOLUTIONS = (
    # 1x1: squeezing, widening, shortcuts
    (1, 16, 64, 55, 1, 1), (1, 64, 16, 55, 1, 8), (1, 64, 64, 56, 1, 1), (1, 64, 256, 56, 1, 4),
    (1, 256, 64, 56, 1, 1), (1, 256, 128, 56, 1, 2), (1, 256, 512, 56, 2, 1),
    (1, 128, 512, 28, 1, 4), (1, 512, 128, 28, 1, 1), (1, 512, 1024, 28, 2, 2),
    (1, 192, 64, 28, 1, 16), (1, 192, 16, 28, 1, 4), (1, 256, 1024, 14, 1, 1),
    (1, 1024, 256, 14, 1, 4), (1, 480, 192, 14, 1, 1), (1, 512, 24, 14, 1, 8),
    (1, 512, 512, 14, 1, 2), (1, 832, 384, 7, 1, 1), (1, 512, 1000, 13, 1, 1),
    (1, 1024, 1024, 7, 1, 4), (1, 32, 64, 112, 1, 1), (1, 64, 128, 56, 1, 8),
    (1, 16, 32, 32, 2, 64), (1, 32, 64, 16, 2, 32), (1, 96, 24, 56, 1, 1), (1, 24, 144, 56, 1, 2),
    # 3x3: the work of most networks
    (3, 3, 64, 224, 1, 1), (3, 64, 64, 224, 1, 1), (3, 3, 32, 224, 2, 4), (3, 64, 128, 112, 1, 1),
    (3, 128, 128, 112, 1, 1), (3, 128, 256, 56, 1, 1), (3, 256, 256, 56, 1, 1),
    (3, 256, 512, 28, 1, 1), (3, 512, 512, 28, 1, 1), (3, 512, 512, 14, 1, 1),
    (3, 512, 512, 14, 1, 4), (3, 64, 64, 56, 1, 1), (3, 64, 64, 56, 1, 8), (3, 128, 128, 28, 1, 2),
    (3, 128, 128, 56, 2, 1), (3, 256, 256, 14, 1, 1), (3, 256, 256, 14, 1, 8),
    (3, 256, 256, 28, 2, 2), (3, 512, 512, 7, 1, 2), (3, 512, 512, 14, 2, 4),
    (3, 96, 208, 14, 1, 1), (3, 16, 64, 55, 1, 4), (3, 48, 192, 27, 1, 1), (3, 192, 384, 13, 1, 1),
    (3, 384, 256, 13, 1, 8), (3, 3, 16, 32, 1, 8), (3, 16, 16, 32, 1, 1), (3, 16, 16, 32, 1, 16),
    (3, 16, 16, 32, 1, 64), (3, 16, 32, 32, 2, 32), (3, 32, 32, 16, 1, 1), (3, 32, 32, 16, 1, 64),
    (3, 32, 64, 16, 2, 16),
    (3, 64, 64, 8, 1, 1), (3, 64, 64, 8, 1, 64), (3, 1, 32, 28, 1, 32), (3, 32, 64, 14, 1, 16),
    (3, 24, 24, 7, 1, 1), (3, 8, 8, 4, 1, 1), (3, 1024, 1024, 7, 1, 1), (3, 160, 320, 14, 1, 1),
    # 5x5, 7x7, 11x11: stems, small old networks, inception
    (5, 1, 6, 28, 1, 1), (5, 1, 6, 28, 1, 64), (5, 6, 16, 14, 1, 1), (5, 6, 16, 14, 1, 64),
    (5, 16, 120, 5, 1, 8), (5, 16, 32, 28, 1, 1), (5, 32, 96, 28, 1, 4), (5, 24, 64, 14, 1, 8),
    (5, 48, 128, 7, 1, 1), (5, 64, 192, 27, 1, 1), (5, 96, 256, 27, 1, 2), (5, 20, 50, 12, 1, 32),
    (7, 3, 64, 224, 2, 1), (7, 3, 64, 224, 2, 4), (7, 3, 96, 111, 2, 1), (7, 64, 64, 28, 1, 1),
    (11, 3, 64, 224, 4, 1), (11, 3, 96, 224, 4, 4), (11, 16, 32, 56, 2, 1),
)
# channels, side, stride, batch; 3x3
_DEPTHWISE = (
    (32, 112, 1, 1), (64, 112, 2, 1), (128, 56, 1, 1), (128, 56, 2, 4), (256, 28, 1, 2),
    (512, 14, 1, 1), (512, 14, 1, 8), (1024, 7, 1, 4), (96, 112, 2, 1), (144, 56, 1, 2),
    (48, 112, 1, 16), (100, 112, 2, 12), (160, 56, 1, 16), (220, 28, 2, 32), (400, 14, 1, 24),
)
# features in, features out, batch
_LINEAR = (
    (784, 128, 1), (784, 300, 64), (128, 10, 32), (400, 120, 1), (400, 120, 64), (120, 84, 16),
    (84, 10, 64), (64, 10, 4), (1024, 1000, 1), (2048, 1000, 8), (512, 512, 32), (9216, 4096, 1),
    (4096, 4096, 1), (4096, 4096, 16), (4096, 1000, 64), (1280, 1000, 2),
)
# channels, side, window, stride, batch; 'max' or 'average'
_POOLING = (
    ("max", 64, 224, 2, 2, 1), ("max", 128, 112, 2, 2, 1), ("max", 512, 14, 2, 2, 8),
    ("max", 64, 112, 3, 2, 1), ("max", 192, 28, 3, 1, 2), ("max", 480, 14, 3, 1, 4),
    ("max", 96, 55, 3, 2, 4), ("max", 6, 28, 2, 2, 64), ("average", 6, 28, 2, 2, 16),
    ("average", 16, 10, 2, 2, 1), ("average", 64, 8, 8, 8, 32), ("average", 1024, 7, 7, 7, 1),
    ("average", 1000, 13, 13, 13, 1),
)
# channels, side, batch
_MAPS = (
    (64, 112, 1), (64, 56, 4), (256, 56, 1), (512, 28, 1), (1024, 14, 2), (512, 7, 8), (16, 32, 1),
    (16, 32, 64), (64, 8, 32), (64, 224, 1), (6, 28, 1), (64, 224, 6), (48, 112, 40),
    (200, 28, 24),
)
# fmt: on


SCATTERED = 120
MOST_MACS = 4e8
"of a scattered convolution: its gradients are to take well below a second"
MOST_NUMBERS = 1 << 24
"in the input or the output of a scattered convolution"


def scattered_shapes() -> list[OperatorShape]:
    """Convolutions drawn evenly over the logarithms of all sizes, batches up to 256."""
    draw = random.Random(0)
    found: list[OperatorShape] = []

    def even(low: float, high: float) -> int:
        return round(math.exp(draw.uniform(math.log(low), math.log(high))))

    while len(found) < SCATTERED:
        kernel, stride = draw.choice((1, 1, 1, 3, 3, 3, 5, 7)), draw.choice((1, 1, 1, 2))
        shape = OperatorShape(
            kind="convolution", kernel=kernel, stride=stride, in_channels=even(3, 700),
            out_channels=even(6, 700), side=even(4, 160), batch=even(1, 256),
        )  # fmt: skip
        positions = shape.batch * (shape.side / stride) ** 2
        macs = positions * kernel**2 * shape.in_channels * shape.out_channels
        widest = max(shape.in_channels * stride**2, shape.out_channels)
        if macs <= MOST_MACS and positions * widest <= MOST_NUMBERS and shape.side >= kernel:
            found.append(shape)
    return found


def designed_shapes() -> list[OperatorShape]:
    """Layers that span what image networks have, from LeNet-5 to VGG and MobileNet."""
    shapes = [
        OperatorShape(kind="convolution", kernel=k, in_channels=i, out_channels=o, side=side,
                      stride=stride, batch=batch)
        for k, i, o, side, stride, batch in _CONVOLUTIONS
    ]  # fmt: skip
    shapes += [
        OperatorShape(kind="convolution", kernel=3, in_channels=c, out_channels=c, groups=c,
                      side=side, stride=stride, batch=batch)
        for c, side, stride, batch in _DEPTHWISE
    ]  # fmt: skip
    shapes += [OperatorShape(kind="linear", in_channels=i, out_channels=o, batch=batch)
               for i, o, batch in _LINEAR]  # fmt: skip
    for which, c, side, window, stride, batch in _POOLING:
        kind: Kind = "max pooling" if which == "max" else "average pooling"
        # A window as large as the map has no rim.
        shapes.append(OperatorShape(kind=kind, in_channels=c, out_channels=c, side=side,
                                    kernel=window, stride=stride, batch=batch))  # fmt: skip
    for c, side, batch in _MAPS:
        base: dict[str, Any] = {"in_channels": c, "out_channels": c, "side": side, "batch": batch}
        normalised = OperatorShape(kind="batch normalisation", **base)
        shapes += [normalised, OperatorShape(kind="activation", **base)]
        if c != 6:
            shapes += [replace(normalised, training=False), OperatorShape(kind="add", **base)]
    return shapes + scattered_shapes()
