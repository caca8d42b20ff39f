"""The quick shape formulas give what PyTorch's own meta functions give."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from epochlab.cost import quick
from epochlab.cost.counting import tensors_in

aten = torch.ops.aten
SIZES = st.integers(1, 5)


def meta(*shape: int) -> torch.Tensor:
    return torch.empty(shape, device="meta")


def described(value: Any) -> list[Any]:
    """Shape, strides and type of every tensor in a result, None where there is none."""
    if isinstance(value, torch.Tensor):
        return [(tuple(value.shape), value.stride(), value.dtype, value.device.type)]
    return [d for item in value for d in (described(item) if item is not None else [None])]


def same(func: Any, *args: Any) -> None:
    own = quick.QUICK[func](*args)
    assert own is not NotImplemented
    assert described(own) == described(func(*args))


@settings(deadline=None)
@given(
    axes=st.integers(1, 3), batch=SIZES, groups=st.integers(1, 3), each=st.integers(1, 3),
    out=st.integers(1, 3), side=st.integers(6, 11), kernel=st.integers(1, 3),
    stride=st.integers(1, 3), padding=st.integers(0, 2), dilation=st.integers(1, 2),
    bias=st.booleans(),
)  # fmt: skip
def test_convolutions(axes: int, batch: int, groups: int, each: int, out: int, side: int,
                      kernel: int, stride: int, padding: int, dilation: int,
                      bias: bool) -> None:  # fmt: skip
    x = meta(batch, groups * each, *[side] * axes)
    w = meta(groups * out, each, *[kernel] * axes)
    b = meta(groups * out) if bias else None
    options = ([stride] * axes, [padding] * axes, [dilation] * axes, False, [0] * axes, groups)
    same(aten.convolution.default, x, w, b, *options)
    gradient = torch.empty_like(aten.convolution.default(x, w, b, *options))
    for wanted in ([True, True, True], [False, True, False], [True, True, False]):
        same(aten.convolution_backward.default, gradient, x, w, [w.shape[0]], *options, wanted)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("shape", [(2, 3, 4, 4), (4, 3), (2, 3, 5)])
def test_batch_norm(training: bool, shape: tuple[int, ...]) -> None:
    x, one = meta(*shape), meta(3)
    same(aten.native_batch_norm.default, x, one, one, one, one, training, 0.1, 1e-5)
    same(aten.native_batch_norm_backward.default, torch.empty_like(x), x, one, one, one, one, one,
         training, 1e-5, [True, True, True])  # fmt: skip


@settings(deadline=None)
@given(SIZES, SIZES, SIZES, SIZES)
def test_matrix_products(batch: int, rows: int, inner: int, columns: int) -> None:
    a, b = meta(rows, inner), meta(columns, inner).t()
    same(aten.mm.default, a, b)
    same(aten.addmm.default, meta(columns), a, b)
    same(aten.bmm.default, meta(batch, rows, inner), meta(batch, inner, columns))
    assert quick.QUICK[aten.mm.default](a, meta(inner + 1, columns)) is NotImplemented
    assert quick.QUICK[aten.addmm.default](meta(columns + 1), a, b) is NotImplemented
    assert quick.QUICK[aten.addmm.default](meta(rows, columns), a, b) is NotImplemented


@settings(deadline=None)
@given(st.lists(SIZES, min_size=1, max_size=4), st.integers(1, 3))
def test_layer_norm(shape: list[int], last: int) -> None:
    normed = shape[-min(last, len(shape)) :]
    x, one = meta(*shape), meta(*normed)
    same(aten.native_layer_norm.default, x, normed, one, one, 1e-5)
    _, mean, deviation = aten.native_layer_norm.default(x, normed, one, one, 1e-5)
    for weight, bias in ((one, one), (one, None), (None, None)):
        for wanted in ([True, True, True], [False, True, False]):
            same(aten.native_layer_norm_backward.default, meta(*shape), x, normed, mean, deviation,
                 weight, bias, wanted)  # fmt: skip


@settings(deadline=None)
@given(shape=st.lists(SIZES, min_size=1, max_size=4), lengths=st.lists(SIZES, min_size=1),
       data=st.data())  # fmt: skip
def test_concatenations(shape: list[int], lengths: list[int], data: st.DataObject) -> None:
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    parts = []
    for length in lengths:
        shape[axis] = length
        parts.append(meta(*shape))
    same(aten.cat.default, parts, axis)
    for other in (meta(*shape, 2), meta(*shape).long(), meta(2, *shape).movedim(0, -1)[..., 0]):
        if other.dtype == torch.int64 or not other.is_contiguous() or other.ndim > len(shape):
            assert quick.QUICK[aten.cat.default]([meta(*shape), other], axis) is NotImplemented


@pytest.mark.parametrize("func", [f for f, q in quick.QUICK.items() if q is quick.same], ids=str)
@settings(deadline=None)
@given(shape=st.lists(SIZES, max_size=4))
def test_value_by_value(func: Any, shape: list[int]) -> None:
    same(func, meta(*shape))


@pytest.mark.parametrize(
    "func", [f for f, q in quick.QUICK.items() if q is quick.same_pair], ids=str
)
@settings(deadline=None)
@given(shape=st.lists(SIZES, max_size=4))
def test_pairs(func: Any, shape: list[int]) -> None:
    same(func, meta(*shape), meta(*shape))
    if func in (aten.add.Tensor, aten.sub.Tensor, aten.mul.Tensor, aten.div.Tensor):
        same(func, meta(*shape), 2.0)
        for first in range(len(shape)):
            same(func, meta(*shape), meta(*shape[first:]))
            same(func, meta(*shape), meta(*shape[:first], 1, *shape[first + 1 :]))


@pytest.mark.parametrize(
    "func", [f for f, q in quick.QUICK.items() if q is quick.of_values], ids=str
)
@settings(deadline=None)
@given(shape=st.lists(SIZES, max_size=4))
def test_gradients_of_values(func: Any, shape: list[int]) -> None:
    rest = {aten.hardtanh_backward.default: [-1.0, 1.0], aten.threshold_backward.default: [0.0]}
    if func is aten.gelu_backward.default:
        x = meta(*shape)
        own = quick.QUICK[func](x, x, approximate="tanh")
        assert described(own) == described(func(x, x, approximate="tanh"))
    same(func, meta(*shape), meta(*shape), *rest.get(func, []))
    wide = torch.empty(*shape, 2, device="meta")[..., 0]
    if shape and not wide.is_contiguous():
        assert quick.QUICK[func](wide, wide, *rest.get(func, [])) is NotImplemented


@pytest.mark.parametrize(
    ("a", "b", "ends"),
    [((8, 4), (2, 4, 8), (3, 8)), ((2, 4, 8), (8, 12), (4, 12)), ((4, 8), (8, 4), (4, 8)),
     ((2, 3, 4), (2, 4, 8), None)],
)  # fmt: skip
def test_products_of_groups(
    a: tuple[int, ...], b: tuple[int, ...], ends: tuple[int, ...] | None
) -> None:
    """The meta formula takes only bfloat16, so the operator itself on the CPU is the measure."""
    offs = None if ends is None else torch.tensor(ends, dtype=torch.int32)
    real = aten._grouped_mm.default(torch.ones(a), torch.ones(b), offs=offs)
    own = quick.grouped_product(
        meta(*a), meta(*b), offs=None if offs is None else torch.empty_like(offs, device="meta")
    )
    assert own.is_meta
    assert (own.shape, own.dtype) == (real.shape, real.dtype)


@settings(deadline=None)
@given(
    batch=SIZES, channels=SIZES, side=st.integers(4, 11), kernel=st.integers(1, 3),
    stride=st.integers(1, 3), dilation=st.integers(1, 2), padded=st.booleans(),
)  # fmt: skip
def test_max_pooling(batch: int, channels: int, side: int, kernel: int, stride: int,
                     dilation: int, padded: bool) -> None:  # fmt: skip
    x, padding = meta(batch, channels, side, side + 1), kernel // 2 if padded else 0
    if side + 2 * padding < dilation * (kernel - 1) + 1:
        return
    options = ([kernel, kernel], [stride, stride], [padding, padding], [dilation, dilation], False)
    same(aten.max_pool2d_with_indices.default, x, *options)
    out, places = aten.max_pool2d_with_indices.default(x, *options)
    same(aten.max_pool2d_with_indices_backward.default, out, x, *options, places)
    same(aten.max_pool2d_with_indices.default, x, [kernel, kernel])


def test_a_copy_in_another_order_is_left_to_pytorch() -> None:
    x = meta(2, 3, 4, 5)
    copied = quick.QUICK[aten.clone.default]
    assert copied(x, memory_format=torch.channels_last) is NotImplemented
    same(aten.clone.default, x)


@pytest.mark.parametrize("func", [aten.add.Tensor, aten.mul.Tensor], ids=str)
def test_unusual_operands_are_left_to_pytorch(func: Any) -> None:
    pair = quick.QUICK[func]
    assert pair(meta(3), meta(2, 3)) is NotImplemented
    assert pair(meta(2, 1), meta(1, 3)) is NotImplemented
    assert pair(meta(2, 3), torch.empty(2, 3, dtype=torch.int64, device="meta")) is NotImplemented
    assert pair(meta(2, 3).t(), meta(3, 2)) is NotImplemented
    assert pair(torch.empty(2, 3), meta(2, 3)) is NotImplemented


@pytest.mark.parametrize(
    "func", [f for f, q in quick.QUICK.items() if q in (quick.in_place, quick.in_place_pair)],
    ids=str,
)  # fmt: skip
def test_in_place_gives_the_tensor_back(func: Any) -> None:
    x = meta(2, 3)
    args = (x, meta(2, 3)) if quick.QUICK[func] is quick.in_place_pair else (x,)
    assert quick.QUICK[func](*args) is x
    assert [t is x for t in tensors_in((func(*args),))] == [True]
