"""What one layer of a network costs, as plain facts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

if TYPE_CHECKING:
    from epochlab.cost.receptive import ReceptiveField

Count = Literal["macs", "flops", "full"]
COUNTS: tuple[Count, ...] = get_args(Count)
COUNT_TEXT: dict[Count, str] = {
    "macs": "multiply-accumulates of convolutions, matrix products and recurrent cells",
    "flops": "2 per multiply-accumulate, nothing else",
    "full": "2 per multiply-accumulate, plus biases, activations, pooling, normalisation, sums",
}


@dataclass(frozen=True, kw_only=True)
class Layer:
    """One layer at one call, or one operation between layers. Shapes include the batch axis.

    Counts are for the whole batch. Parameters are counted where they are used first; a later call
    of the same layer has none of its own.
    """

    name: str
    "path of the module ('features.0'); 'path/operation' for an operation between layers"
    kind: str
    call: int = 0
    "0 for the first call of this module, 1 for the second ..."
    input_shape: tuple[int, ...] = ()
    output_shape: tuple[int, ...] = ()
    weights: int = 0
    biases: int = 0
    activations: int = 0
    "numbers in the output"
    macs: int = 0
    other_flops: int = 0
    "what the full count adds to 2 * macs"
    backward_macs: int = 0
    bytes_read: int = 0
    "bytes of all operands, each read once per operation"
    bytes_written: int = 0
    saved_bytes: int = 0
    "bytes that autograd keeps from here for the backward pass, beyond weights and inputs"
    field: ReceptiveField | None = None
    "part of the network's input that one output value sees; None where there is nothing spatial"
    formula: str = ""
    "of macs, with the numbers filled in"
    parameters_formula: str = ""
    shared: bool = False
    "its parameters were counted at an earlier layer"
    operators: tuple[str, ...] = ()
    "the ATen operators that did the work, views and copies left out"

    @property
    def parameters(self) -> int:
        return self.weights + self.biases

    def count(self, how: Count) -> int:
        """Forward operations in one of the counting conventions."""
        if how == "macs":
            return self.macs
        return 2 * self.macs + (self.other_flops if how == "full" else 0)

    @property
    def intensity(self) -> float | None:
        """Arithmetic intensity: FLOP of the full count per byte moved."""
        moved = self.bytes_read + self.bytes_written
        return self.count("full") / moved if moved else None


@dataclass(frozen=True, kw_only=True)
class Uncounted:
    """An operator for which there is no counting rule, so its arithmetic is in no sum."""

    operator: str
    where: str
    "the first layer in which it occurs"
    times: int = 1
    phase: Literal["forward", "backward"] = "forward"


def shape_text(shape: Sequence[int]) -> str:
    """(64, 224, 224) -> '64x224x224'."""
    return "x".join(map(str, shape)) if shape else "scalar"
