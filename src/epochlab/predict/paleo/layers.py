"""Layers as PALEO sees them: sizes of one sample, kernel, stride and padding, nothing else.

H. Qi, E. R. Sparks, A. Talwalkar, PALEO: a Performance Model for Deep Neural Networks, ICLR 2017,
with its public program (TalwalkarLab/paleo). Sizes are (height, width, channels).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from epochlab.errors import BadOption

Size = tuple[int, int, int]
Pair = tuple[int, int]
Padding = Literal["VALID", "SAME"] | Pair

FLOAT_BYTES = 4


@dataclass(frozen=True, kw_only=True)
class PaleoLayer:
    """What every layer has: its name, and the sizes of one sample before and after it."""

    name: str
    input: Size
    output: Size
    copies: int = 1
    "how often one sample passes it, for instance once for each word of a sentence"

    def __post_init__(self) -> None:
        for what in ("input", "output"):
            _check(f"{self.name}: {what}", getattr(self, what), 3)
        _check(f"{self.name}: copies", (self.copies,), 1)

    @property
    def kind(self) -> str:
        return _KINDS[type(self)]

    @property
    def parameters(self) -> int:
        """Weights and biases as PALEO counts them: a bias for every output channel, always."""
        return 0


@dataclass(frozen=True, kw_only=True)
class Convolution(PaleoLayer):
    """A two-dimensional convolution; a fully connected layer may be written as one."""

    kernel: Pair
    stride: Pair = (1, 1)
    padding: Padding = "VALID"
    "a pair is rows and columns added on each side"
    fed_by_data: bool = False
    "then no gradient with respect to its input is needed"
    dilation: Pair = (1, 1)
    groups: int = 1
    shared: bool = False
    "its weights are those of an earlier layer"

    def __post_init__(self) -> None:
        super().__post_init__()
        for what in ("kernel", "stride", "dilation"):
            _check(f"{self.name}: {what}", getattr(self, what), 2)
        if isinstance(self.padding, str) and self.padding not in ("VALID", "SAME"):
            raise BadOption(f"{self.name}: padding is {self.padding!r}; allowed are 'VALID', "
                            "'SAME' and a pair of whole numbers.")  # fmt: skip
        _check(f"{self.name}: groups", (self.groups,), 1)
        if self.input[2] % self.groups or self.output[2] % self.groups:
            raise BadOption(f"{self.name}: {self.groups} groups do not divide its channels, "
                            f"{self.input[2]} and {self.output[2]}.")  # fmt: skip

    @property
    def filter_numbers(self) -> int:
        """kernel height * width * input channels * output channels, over the groups."""
        return math.prod(self.kernel) * self.input[2] * self.output[2] // self.groups

    @property
    def reach(self) -> Pair:
        """Rows and columns from the first to the last tap of the kernel."""
        (kh, kw), (dh, dw) = self.kernel, self.dilation
        return dh * (kh - 1) + 1, dw * (kw - 1) + 1

    @property
    def parameters(self) -> int:
        return 0 if self.shared else self.filter_numbers + self.output[2]


@dataclass(frozen=True, kw_only=True)
class InnerProduct(PaleoLayer):
    """A fully connected layer: all numbers of a sample times a matrix."""

    shared: bool = False
    "its weights are those of an earlier layer"

    @property
    def parameters(self) -> int:
        outputs = math.prod(self.output)
        return 0 if self.shared else math.prod(self.input) * outputs + outputs


@dataclass(frozen=True, kw_only=True)
class Pooling(PaleoLayer):
    """Maximum or average over windows; PALEO charges both alike."""

    kernel: Pair
    stride: Pair = (1, 1)

    def __post_init__(self) -> None:
        super().__post_init__()
        for what in ("kernel", "stride"):
            _check(f"{self.name}: {what}", getattr(self, what), 2)


@dataclass(frozen=True, kw_only=True)
class Dropout(PaleoLayer):
    """Dropout: one operation for each number."""


@dataclass(frozen=True, kw_only=True)
class PaleoNetwork:
    """A network as PALEO describes it: the layers that cost something, as they are executed."""

    name: str
    layers: tuple[PaleoLayer, ...]
    without_cost: tuple[str, ...] = ()
    "layers and operations that PALEO charges nothing: it has no rule for them, or a rule of zero"

    def __post_init__(self) -> None:
        if not self.layers:
            raise BadOption(
                f"'{self.name}' has no layer that PALEO charges for: convolution, inner product, "
                "pooling or dropout."
            )
        names = [layer.name for layer in self.layers]
        if len(set(names)) != len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise BadOption(f"'{self.name}' has two layers named '{twice}'; names must differ.")

    @property
    def parameters(self) -> int:
        """As PALEO counts them; see PaleoLayer.parameters."""
        return sum(layer.parameters for layer in self.layers)

    @property
    def parameter_bytes(self) -> int:
        return FLOAT_BYTES * self.parameters


_KINDS: dict[type[PaleoLayer], str] = {
    Convolution: "convolution", InnerProduct: "inner product", Pooling: "pooling",
    Dropout: "dropout",
}  # fmt: skip


def size_after(size: int, kernel: int, stride: int, padding: Literal["VALID", "SAME"] | int) -> int:
    """Rows after a convolution or pooling of `size` rows, by PALEO's rule."""
    if padding == "VALID":
        return -(-(size - kernel + 1) // stride)
    if padding == "SAME":
        return -(-size // stride)
    return (size + 2 * padding - kernel) // stride + 1


def _check(what: str, values: Iterable[object], count: int) -> None:
    values = tuple(values)
    whole = all(isinstance(v, int) and not isinstance(v, bool) and v > 0 for v in values)
    if not whole or len(values) != count:
        raise BadOption(f"{what} is {values}; it must be {count} whole numbers above 0.")
