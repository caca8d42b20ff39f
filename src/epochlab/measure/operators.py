"""Time single operators over a designed set of shapes, forward and backward."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from epochlab.cost import trace
from epochlab.errors import BadOption, UnknownName
from epochlab.measure.stopwatch import CpuStopwatch, Stopwatch, on_threads
from epochlab.measure.timing import Effort, Tell, Timing, time_call

Kind = Literal["convolution", "linear", "max pooling", "average pooling", "batch normalisation",
               "activation", "add"]  # fmt: skip
Phase = Literal["forward", "backward"]

# Enough for a median within a few percent; the whole set then takes some minutes.
EFFORT = Effort(narrow=0.02, limit_s=0.8, least=11, warmup=2)


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


@dataclass(frozen=True, kw_only=True)
class OperatorTiming:
    """How long one operator took, repeated by itself."""

    shape: OperatorShape
    phase: Phase
    flops: int
    "2 per multiply-accumulate and 1 per other operation; backward of an operator without "
    "multiply-accumulates as many as forward; of a sum none"
    bytes: int
    "forward: operands read and result written; backward: operands and the result's gradient "
    "read, the operands' gradients written"
    threads: int
    median_s: float
    spread: float
    "distance of the quartiles over the median"
    spoiled: bool = False


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


def time_operator(
    shape: OperatorShape, *, threads: int | None = None, effort: Effort | None = None,
    watch: Stopwatch | None = None,
) -> list[OperatorTiming]:  # fmt: skip
    """Time one operator forward (without gradients) and backward (all gradients), on the CPU.

    A normalisation with stored statistics is timed forward only. Raises BadOption.
    """
    effort, watch = effort or EFFORT, watch or CpuStopwatch()
    module, inputs = shape.build()
    work = _work(module, inputs, shape)
    with on_threads(threads) as used:
        with torch.inference_mode():
            plain = tuple(t.detach() for t in inputs)
            timed: dict[Phase, Timing] = {"forward": time_call(
                lambda: module(*plain), effort=effort, watch=watch, threads=used)}  # fmt: skip
        if shape.training:
            with torch.enable_grad():
                out = module(*inputs)
            gradient = torch.randn_like(out)
            wanted = [*inputs, *module.parameters()]
            timed["backward"] = time_call(
                lambda: torch.autograd.grad(out, wanted, gradient, retain_graph=True),
                effort=effort, watch=watch, threads=used)  # fmt: skip
    return [
        OperatorTiming(shape=shape, phase=phase, flops=work[phase][0], bytes=work[phase][1],
                       threads=used, median_s=one.median_s, spread=one.spread, spoiled=one.spoiled)
        for phase, one in timed.items()
    ]  # fmt: skip


def time_operators(
    shapes: Sequence[OperatorShape] | None = None, *, threads: int | None = None,
    effort: Effort | None = None, watch: Stopwatch | None = None, tell: Tell | None = None,
) -> Iterator[OperatorTiming]:  # fmt: skip
    """Time a set of operators one after the other, by default `designed_shapes`."""
    shapes = designed_shapes() if shapes is None else shapes
    if not shapes:
        raise BadOption("There is nothing to time: no operators were given.")
    for number, shape in enumerate(shapes):
        if tell is not None:
            tell(shape.text(), number / len(shapes))
        yield from time_operator(shape, threads=threads, effort=effort, watch=watch)


def _work(
    module: nn.Module, inputs: tuple[Tensor, ...], shape: OperatorShape
) -> dict[Phase, tuple[int, int]]:
    """FLOP and bytes of each phase."""
    cost = trace(module, inputs=inputs, training=shape.training, backward=False, fields=False)
    flops = cost.count("full")
    read = sum(layer.bytes_read for layer in cost.layers)
    written = sum(layer.bytes_written for layer in cost.layers)
    if shape.kind == "add":  # both operands are given the sum's own gradient: nothing is done
        return {"forward": (flops, read + written), "backward": (0, 0)}
    # A product has two operands, and the gradient of each is one more product.
    return {"forward": (flops, read + written),
            "backward": (4 * cost.macs or flops, 2 * read + written)}  # fmt: skip


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
    (16, 32, 64), (64, 8, 32), (64, 224, 1), (6, 28, 1),
)
# fmt: on


def designed_shapes() -> list[OperatorShape]:
    """About 150 operators that span what image networks have, from LeNet-5 to VGG and MobileNet.

    Together they take some minutes on one core.
    """
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
    return shapes
