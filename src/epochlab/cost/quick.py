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
OTHER_ORDERS = (torch.channels_last, torch.channels_last_3d)


def _like(x: Tensor) -> Tensor:
    """For a contiguous x. torch.empty_like takes many times as long for meta tensors."""
    return torch.empty(x.shape, dtype=x.dtype, device=META)


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
        _like(x) if wanted[0] else None,
        _like(w) if wanted[1] else None,
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
    return (_like(x), torch.empty(kept, dtype=x.dtype, device=META),
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
        _like(x) if wanted[0] else None,
        torch.empty(size, dtype=x.dtype, device=META) if wanted[1] else None,
        torch.empty(size, dtype=x.dtype, device=META) if wanted[2] else None,
    )


def layer_norm(x: Tensor, shape: list[int], weight: Any, bias: Any, eps: float) -> Any:
    """The values, and mean and deviation of each normalised part."""
    if (x.dtype != torch.float32 or not x.is_contiguous()
            or tuple(x.shape[x.ndim - len(shape) :]) != tuple(shape)):  # fmt: skip
        return NotImplemented
    kept = [*x.shape[: x.ndim - len(shape)], *(1 for _ in shape)]
    return (_like(x), torch.empty(kept, dtype=x.dtype, device=META),
            torch.empty(kept, dtype=x.dtype, device=META))  # fmt: skip


def layer_norm_backward(
    gradient: Tensor, x: Tensor, shape: list[int], mean: Tensor, rstd: Tensor,
    weight: Tensor | None, bias: Tensor | None, wanted: list[bool],
) -> Any:  # fmt: skip
    """Gradients of the values, the scale and the shift."""
    if x.dtype != torch.float32 or not x.is_contiguous() or not gradient.is_contiguous():
        return NotImplemented
    return tuple(
        _like(like) if like is not None and want else None
        for like, want in zip((x, weight, bias), wanted, strict=True)
    )


def concatenated(tensors: list[Tensor], dim: int = 0) -> Any:
    """Tensors that differ along one axis, put one after the other."""
    first = tensors[0]
    axis = dim + first.ndim if dim < 0 else dim
    before, after = first.shape[:axis], first.shape[axis + 1 :]
    length = 0
    for t in tensors:
        if (t.ndim != first.ndim or t.dtype != first.dtype or not t.is_contiguous()
                or t.shape[:axis] != before or t.shape[axis + 1 :] != after
                or not t.is_meta):  # fmt: skip
            return NotImplemented
        length += t.shape[axis]
    return torch.empty((*before, length, *after), dtype=first.dtype, device=META)


def matrix_product(a: Tensor, b: Tensor) -> Any:
    """[rows, inner] x [inner, columns], or [batch, rows, inner] x [batch, inner, columns]."""
    if (a.dtype != b.dtype or a.ndim != b.ndim or a.shape[-1] != b.shape[-2]
            or a.shape[:-2] != b.shape[:-2] or not (a.is_meta and b.is_meta)):  # fmt: skip
        return NotImplemented
    return torch.empty((*a.shape[:-1], b.shape[-1]), dtype=a.dtype, device=META)


def added_matrix_product(c: Tensor, a: Tensor, b: Tensor, **named: Any) -> Any:
    """A row [columns] that is added to every row of a product."""
    if c.shape != b.shape[-1:] or c.dtype != a.dtype or a.ndim != 2 or not c.is_meta:
        return NotImplemented
    return matrix_product(a, b)


def grouped_product(
    a: Tensor, b: Tensor, offs: Tensor | None = None, bias: Tensor | None = None,
    out_dtype: torch.dtype | None = None,
) -> Any:  # fmt: skip
    """Products of groups of rows (or columns, or inner numbers) that end at the offsets.

    PyTorch's own formula of the shape asks for bfloat16, which its CPU operator does not.
    """
    if a.dtype == torch.bfloat16 or not (a.is_meta and b.is_meta):
        return NotImplemented
    sizes: tuple[int, ...] = (a.shape[-2], b.shape[-1])
    if a.ndim == b.ndim == 3:
        sizes = (a.shape[0], *sizes)
    elif a.ndim == b.ndim == 2 and offs is not None:
        sizes = (len(offs), *sizes)
    return torch.empty(sizes, dtype=out_dtype or a.dtype, device=META)


def max_pooling(
    x: Tensor, kernel: list[int], stride: list[int] = (), padding: list[int] = (0,),  # type: ignore[assignment] # as the operator's schema says
    dilation: list[int] = (1,), ceil_mode: bool = False,  # type: ignore[assignment] # the same
) -> Any:  # fmt: skip
    """The values, and the place that each came from."""
    if ceil_mode or x.ndim != 4 or not x.is_contiguous() or not x.is_meta:
        return NotImplemented
    pairs = [_pair(v) for v in (kernel, stride or kernel, padding, dilation)]
    sides = []
    for axis, (k, s, p, d) in enumerate(zip(*pairs, strict=True)):
        side = (x.shape[axis + 2] + 2 * p - d * (k - 1) - 1) // s + 1
        if side < 1 or 2 * p > k:
            return NotImplemented
        sides.append(side)
    shape = (*x.shape[:2], *sides)
    return (torch.empty(shape, dtype=x.dtype, device=META),
            torch.empty(shape, dtype=torch.int64, device=META))  # fmt: skip


def _pair(values: Any) -> tuple[int, int]:
    return (values[0], values[0]) if len(values) == 1 else (values[0], values[1])


def max_pooling_backward(gradient: Tensor, x: Tensor, *rest: Any) -> Any:
    """Every gradient goes back to the place that its value came from."""
    return _like(x) if x.is_contiguous() and gradient.is_contiguous() else NotImplemented


def of_values(gradient: Tensor, x: Tensor, *rest: Any, **named: Any) -> Any:
    """The gradient of a function of single values."""
    if x.dtype == torch.float32 and gradient.shape == x.shape and gradient.dtype == x.dtype:
        return max_pooling_backward(gradient, x)
    return NotImplemented


def same(x: Tensor, *rest: Any, **named: Any) -> Any:
    """One output value per input value, floating point in and out, no gaps between the values."""
    if (x.dtype == torch.float32 and x.is_contiguous() and x.is_meta
            and named.get("memory_format") not in OTHER_ORDERS):  # fmt: skip
        return _like(x)
    return NotImplemented


def same_pair(x: Tensor, y: Any, *rest: Any, **named: Any) -> Any:
    """Two tensors of one type, the second repeated where it is too short, or a plain number."""
    if x.dtype == torch.float32 and x.is_contiguous() and x.is_meta and not rest:
        if type(y) in (int, float):
            return _like(x)
        if (isinstance(y, Tensor) and y.dtype == x.dtype and y.is_contiguous()
                and _repeats(y.shape, x.shape)):  # fmt: skip
            return _like(x)
    return NotImplemented


def _repeats(short: tuple[int, ...], long: tuple[int, ...]) -> bool:
    """Whether repeating axes of length 1 (or missing ones in front) makes one shape the other."""
    if short == long:
        return True
    missing = len(long) - len(short)
    return missing >= 0 and all(
        s in (1, n) for s, n in zip(short, long[missing:], strict=True)
    )  # fmt: skip


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
    aten.native_layer_norm_backward.default: layer_norm_backward,
    aten.cat.default: concatenated,
    **{getattr(aten, name).default: same for name in _SAME},
    **{getattr(aten, name).default: of_values for name in _SAME_BACKWARD},
    aten.max_pool2d_with_indices.default: max_pooling,
    aten.max_pool2d_with_indices_backward.default: max_pooling_backward,
    **{getattr(aten, name).default: in_place for name in _IN_PLACE},
    aten.mm.default: matrix_product,
    aten.bmm.default: matrix_product,
    aten.addmm.default: added_matrix_product,
    aten._grouped_mm.default: grouped_product,
    aten.add.Tensor: same_pair,
    aten.sub.Tensor: same_pair,
    aten.mul.Tensor: same_pair,
    aten.div.Tensor: same_pair,
    aten.add_.Tensor: in_place_pair,
    aten.mul_.Tensor: in_place_pair,
}  # fmt: skip
