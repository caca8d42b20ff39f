"""Matrix products: rows x inner x columns multiply-accumulates."""

from __future__ import annotations

import math
from typing import Any

from epochlab.cost.counting import Args, Count, Rule, product


def mm(args: Args, out: Any) -> Count:
    """[rows, inner] times [inner, columns]."""
    return _product(args[0], args[1], 0)


def addmm(args: Args, out: Any) -> Count:
    """The summand costs one addition per output value."""
    return _product(args[1], args[2], out.numel())


def _product(a: Any, b: Any, other: int) -> Count:
    """[rows, inner] times [inner, columns], or the same with a batch axis in front."""
    *batch, rows, inner = a.shape
    columns = b.shape[-1]
    formula = f"{product(inner, columns)} products * {product(batch, rows)} rows"
    return Count(math.prod(batch) * rows * inner * columns, other, formula)


def mv(args: Args, out: Any) -> Count:
    """Matrix times vector: every entry of the matrix is used once."""
    rows, inner = args[0].shape
    return Count(rows * inner, 0, f"{product(inner)} products * {product(rows)} rows")


def addmv(args: Args, out: Any) -> Count:
    """`mv`, and one addition per output value."""
    count = mv(args[1:], out)
    return Count(count.macs, out.numel(), count.formula)


def dot(args: Args, out: Any) -> Count:
    """One multiply-accumulate per pair of entries."""
    return Count(args[0].numel(), 0, f"{product(args[0].numel())} products")


def addr(args: Args, out: Any) -> Count:
    """Outer product added to a matrix: one multiply-accumulate per output value."""
    return Count(out.numel(), 0, f"{product(tuple(out.shape))} products")


def ger(args: Args, out: Any) -> Count:
    """Outer product: one multiplication per output value, nothing is accumulated."""
    return Count(0, out.numel())


def linear(args: Args, out: Any) -> Count:
    """Weights [out, in] for every row of the input; a bias adds one operation per output value."""
    weight, bias = args[1], args[2] if len(args) > 2 else None
    columns, inner = weight.shape
    formula = f"{product(inner, columns)} products * {product(out.numel() // columns)} rows"
    return Count(out.numel() * inner, 0 if bias is None else out.numel(), formula)


def trilinear(args: Args, out: Any) -> Count:
    """Sum over the inner axes of a product of three (nn.Bilinear): two products per term.

    The first product of every term belongs to a matrix product over the one inner axis, the second
    to one over the other; [batch, i] x [out, i, j] x [batch, j] takes batch * out * j * (i + 1).
    """
    i1, i2, i3, expand1, expand2, expand3, summed = args[:7]
    rank = i1.ndim + len(expand1)
    sizes = [1] * rank
    for tensor, expanded in ((i1, expand1), (i2, expand2), (i3, expand3)):
        rest = [axis for axis in range(rank) if axis not in expanded]
        for axis, size in zip(rest, tensor.shape, strict=True):
            sizes[axis] = max(sizes[axis], size)
    inner_first = sizes[summed[0]] if summed else 1
    total = math.prod(sizes)
    macs = total + total // inner_first
    return Count(macs, 0, f"{product(sizes)} + {product(total // inner_first)} products")


def euclidean_distances(args: Args, out: Any) -> Count:
    """All distances at once as one matrix product: two more columns hold the squared lengths."""
    inner = args[0].shape[-1] + 2
    macs = out.numel() * inner
    lengths = 2 * (args[0].numel() + args[1].numel())
    return Count(macs, lengths + 2 * out.numel(), f"{inner} products * {product(out.numel())}")


def grouped(args: Args, out: Any) -> Count:
    """Products of groups of rows, each with a matrix of its own: every row is used once."""
    a, b = args[0], args[1]
    inner = a.shape[-1]
    outputs = a.shape[0] * b.shape[1] if a.ndim == b.ndim == 2 else out.numel()
    return Count(outputs * inner, 0, f"{product(inner)} products * {product(outputs)}")


RULES = {
    "mm": Rule("matrix product", mm),
    "bmm": Rule("matrix product", mm),
    "_int_mm": Rule("matrix product", mm),
    "addmm": Rule("matrix product", addmm),
    "_addmm_activation": Rule("matrix product", addmm),
    "baddbmm": Rule("matrix product", addmm),
    "addbmm": Rule("matrix product", addmm),
    "mv": Rule("matrix product", mv),
    "addmv": Rule("matrix product", addmv),
    "dot": Rule("matrix product", dot),
    "vdot": Rule("matrix product", dot),
    "addr": Rule("outer product", addr),
    "ger": Rule("outer product", ger),
    "linear": Rule("linear", linear),
    "_euclidean_dist": Rule("distance", euclidean_distances),
    "_grouped_mm": Rule("matrix product", grouped),
    "_trilinear": Rule("bilinear", trilinear),
}
