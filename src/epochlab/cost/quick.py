"""Shapes of the commonest operators by short formulas, in place of PyTorch's slower general ones.

Each function takes an operator's arguments and returns fresh meta tensors of the same shape,
strides and type that PyTorch's own meta function would give, or NotImplemented for a case that it
does not know; then PyTorch's own is asked. A test holds the two equal.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

aten = torch.ops.aten
# Made once: asking for torch.contiguous_format and friends each time costs more than the rest.
META = torch.device("meta")


def convolution(
    x: Tensor, w: Tensor, bias: Tensor | None, stride: list[int], padding: list[int],
    dilation: list[int], transposed: bool, extra: list[int], groups: int,
) -> Any:  # fmt: skip
    """Ordinary convolutions of contiguous batches that fit their weights."""
    axes = len(stride)
    if (transposed or x.ndim != axes + 2 or w.ndim != axes + 2 or not x.is_contiguous()
            or x.shape[1] != w.shape[1] * groups or x.dtype != w.dtype or not x.is_meta
            or len(padding) != axes or len(dilation) != axes or w.shape[0] % groups
            or not w.is_contiguous()
            or (bias is not None and bias.shape != w.shape[:1])):  # fmt: skip
        return NotImplemented
    sizes = [x.shape[0], w.shape[0]]
    for axis in range(axes):
        reach = dilation[axis] * (w.shape[axis + 2] - 1) + 1
        side = (x.shape[axis + 2] + 2 * padding[axis] - reach) // stride[axis] + 1
        if side < 1:
            return NotImplemented
        sizes.append(side)
    return torch.empty(sizes, dtype=x.dtype, device=META)


def convolution_backward(
    gradient: Tensor, x: Tensor, w: Tensor, bias_sizes: list[int] | None, stride: list[int],
    padding: list[int], dilation: list[int], transposed: bool, extra: list[int], groups: int,
    wanted: list[bool],
) -> Any:  # fmt: skip
    """Gradients look like what they are gradients of."""
    if not (gradient.is_contiguous() and x.is_contiguous() and w.is_contiguous()):
        return NotImplemented
    return (
        torch.empty_like(x) if wanted[0] else None,
        torch.empty_like(w) if wanted[1] else None,
        torch.empty(bias_sizes or (w.shape[0],), dtype=w.dtype, device=META) if wanted[2] else None,
    )


def batch_norm(
    x: Tensor, weight: Tensor | None, bias: Tensor | None, mean: Tensor | None,
    var: Tensor | None, training: bool, momentum: float, eps: float,
) -> Any:  # fmt: skip
    """The values, and the statistics that backward needs, one per channel."""
    if x.dtype != torch.float32 or x.ndim < 2 or not x.is_contiguous():
        return NotImplemented
    if any(t is not None and t.shape != x.shape[1:2] for t in (weight, bias, mean, var)):
        return NotImplemented
    kept = (x.shape[1],)
    return (torch.empty_like(x), torch.empty(kept, dtype=x.dtype, device=META),
            torch.empty(kept, dtype=x.dtype, device=META))  # fmt: skip


def batch_norm_backward(
    gradient: Tensor, x: Tensor, weight: Tensor | None, mean: Tensor | None, var: Tensor | None,
    save_mean: Tensor | None, save_invstd: Tensor | None, train: bool, eps: float,
    wanted: list[bool],
) -> Any:  # fmt: skip
    """Gradients of the values, the scale and the shift."""
    if x.dtype != torch.float32 or not x.is_contiguous() or not gradient.is_contiguous():
        return NotImplemented
    size = (x.shape[1],)
    return (
        torch.empty_like(x) if wanted[0] else None,
        torch.empty(size, dtype=x.dtype, device=META) if wanted[1] else None,
        torch.empty(size, dtype=x.dtype, device=META) if wanted[2] else None,
    )


def layer_norm(x: Tensor, shape: list[int], weight: Any, bias: Any, eps: float) -> Any:
    """The values, and mean and deviation of each normalised part."""
    if (x.dtype != torch.float32 or not x.is_contiguous()
            or tuple(x.shape[x.ndim - len(shape) :]) != tuple(shape)):  # fmt: skip
        return NotImplemented
    kept = [*x.shape[: x.ndim - len(shape)], *(1 for _ in shape)]
    return (torch.empty_like(x), torch.empty(kept, dtype=x.dtype, device=META),
            torch.empty(kept, dtype=x.dtype, device=META))  # fmt: skip


def same(x: Tensor, *rest: Any, **named: Any) -> Any:
    """One output value per input value, floating point in and out, no gaps between the values."""
    if x.dtype == torch.float32 and x.is_contiguous() and x.is_meta:
        return torch.empty_like(x)
    return NotImplemented


def same_pair(x: Tensor, y: Any, *rest: Any, **named: Any) -> Any:
    """Two tensors of one shape and type, or one and a plain number."""
    if x.dtype == torch.float32 and x.is_contiguous() and x.is_meta and not rest:
        if type(y) in (int, float):
            return torch.empty_like(x)
        if (isinstance(y, Tensor) and y.shape == x.shape and y.dtype == x.dtype
                and y.is_contiguous()):  # fmt: skip
            return torch.empty_like(x)
    return NotImplemented


def in_place(x: Tensor, *rest: Any, **named: Any) -> Any:
    """The tensor itself."""
    return x if x.is_meta else NotImplemented


def in_place_pair(x: Tensor, y: Any, *rest: Any, **named: Any) -> Any:
    """The tensor itself, where the second operand has its shape or is a plain number."""
    if x.is_meta and (type(y) in (int, float) or (isinstance(y, Tensor) and y.shape == x.shape)):
        return x
    return NotImplemented


_SAME = ("relu", "sigmoid", "tanh", "silu", "gelu", "hardtanh", "hardswish", "hardsigmoid", "exp",
         "neg", "sqrt", "rsqrt", "leaky_relu", "elu", "softplus", "mish", "abs", "sin", "cos",
         "clone")  # fmt: skip
_SAME_BACKWARD = ("sigmoid_backward", "tanh_backward", "silu_backward", "gelu_backward",
                  "threshold_backward", "hardtanh_backward", "hardswish_backward")  # fmt: skip
_IN_PLACE = ("relu_", "sigmoid_", "tanh_", "silu_", "hardtanh_", "hardswish_", "hardsigmoid_",
             "leaky_relu_", "elu_")  # fmt: skip

QUICK: dict[Any, Callable[..., Any]] = {
    aten.convolution.default: convolution,
    aten.convolution_backward.default: convolution_backward,
    aten.native_batch_norm.default: batch_norm,
    aten.native_batch_norm_backward.default: batch_norm_backward,
    aten.native_layer_norm.default: layer_norm,
    **{getattr(aten, name).default: same for name in _SAME},
    **{getattr(aten, name).default: same_pair for name in _SAME_BACKWARD
       if "grad_input" in getattr(aten, name).overloads()},
    **{getattr(aten, name).default: in_place for name in _IN_PLACE},
    aten.add.Tensor: same_pair,
    aten.sub.Tensor: same_pair,
    aten.mul.Tensor: same_pair,
    aten.div.Tensor: same_pair,
    aten.add_.Tensor: in_place_pair,
    aten.mul_.Tensor: in_place_pair,
}  # fmt: skip
