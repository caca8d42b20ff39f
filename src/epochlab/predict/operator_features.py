"""What of an operator decides how long it takes: a family, and a few numbers within it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from epochlab.cost.step_operators import StepOperator, TensorForm

Array = NDArray[np.float64]

BLOCK = 16
"numbers of 4 bytes in the widest vector register"
PRODUCTS = ("mm", "addmm", "bmm", "baddbmm")
# Place of the argument that says whether the statistics are those of the batch.
# Functions of single numbers that take no longer than moving the numbers does, in one family: those
# that return a new tensor, and those that write over their first operand.
CHEAP = frozenset({
    "relu", "hardtanh", "leaky_relu", "neg", "abs", "clone", "add", "sub", "mul", "div",
    "threshold_backward", "hardtanh_backward", "leaky_relu_backward", "clamp", "clamp_min",
})  # fmt: skip
NORMALISATIONS = {"native_batch_norm": 5, "native_batch_norm_backward": 7}
POOLING = ("max_pool2d_with_indices", "max_pool2d_with_indices_backward", "avg_pool2d",
           "avg_pool2d_backward")  # fmt: skip


def features(operator: StepOperator) -> tuple[str, Array]:
    """Family and variables; logarithms to base 2 of sizes, so that ratios count.

    A convolution has samples, channels in and out per group, window, positions, groups, whether it
    strides, its order in memory, and how well its channels fill the kernels' blocks; its gradient
    with or without that of the inputs is a family each, and so is normalisation by the batch's own
    statistics or by stored ones. A matrix product has its four sizes and what is transposed.
    Anything else has bytes, the length of a row, the window, the number of operands and its order
    in memory.
    """
    name = operator.name
    if name == "convolution":
        x, w, _, stride, *rest = operator.args
        return name, _convolution(x, w, operator.results[0], stride, rest[-1])
    if name == "convolution_backward":
        gradient, x, w, _, stride, *rest = operator.args
        wanted = " of inputs too" if rest[-1][0] else ""
        return name + wanted, _convolution(x, w, gradient, stride, rest[-2])
    if name in PRODUCTS:
        a, b = [form for form in operator.operands if len(form.shape) >= 2][-2:]
        batch = a.shape[0] if len(a.shape) == 3 else 1
        return "matrix product", np.array([
            _log(batch), _log(a.shape[-2]), _log(a.shape[-1]), _log(b.shape[-1]),
            float(_is_transposed(a)), float(_is_transposed(b)),
        ])  # fmt: skip
    if name in NORMALISATIONS:
        kind = " by the batch" if operator.args[NORMALISATIONS[name]] else " by what is stored"
        return name + kind, _map(operator.operands[0])
    if name.removesuffix("_") in CHEAP:
        name = "written over" if name.endswith("_") else "number by number"
    largest = max((*operator.operands, *operator.results), key=lambda form: form.numbers)
    window = operator.args[-5 if name.endswith("backward") else 1] if name in POOLING else ()
    return name, np.array([
        _log(operator.bytes), _log(largest.shape[-1] if largest.shape else 1),
        _log(math.prod(window) if isinstance(window, tuple) else 1),
        _log(len(operator.operands)), float(largest.channels_last),
    ])  # fmt: skip


def general_features(operator: StepOperator) -> Array:
    """Variables that every operator has: bytes and FLOP."""
    return np.array([_log(operator.bytes), _log(operator.flops + 1)])


def _convolution(
    x: TensorForm, w: TensorForm, out: TensorForm, stride: Any, groups: int
) -> Array:  # fmt: skip
    outputs, inner, *window = w.shape
    return np.array([
        _log(x.shape[0]), _log(inner), _log(outputs / groups), _log(math.prod(window)),
        _log(math.prod(out.shape[2:])), _log(groups), float(math.prod(stride) > 1),
        float(x.channels_last), _filled(inner), _filled(outputs // groups),
    ])  # fmt: skip


def _filled(channels: int) -> float:
    """How much of the blocks of 16 channels, which kernels work on, is used; in logarithms."""
    return 4 * _log(channels / (BLOCK * -(-channels // BLOCK)))


def _map(form: TensorForm) -> Array:
    """Samples, channels, positions, order in memory."""
    return np.array([
        _log(form.shape[0]), _log(form.shape[1]), _log(math.prod(form.shape[2:])),
        float(form.channels_last),
    ])  # fmt: skip


def _is_transposed(form: TensorForm) -> bool:
    return form.strides[-1] != 1 and form.strides[-2] == 1


def _log(value: float) -> float:
    return math.log2(max(value, 0.01))
