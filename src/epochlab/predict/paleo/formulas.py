"""What PALEO counts for one layer: operations, and bytes that go between memory and processor.

Both passes of a convolution are matrix products. A backward pass is written as two convolutions of
stride 1 with the same rule: for the gradient of the input, the output's gradient, spread out by the
stride, is correlated with the filters; for the gradient of the filters, the input with the output's
gradient. Bias and activation are left out. Two revisions of the public program differ:

* "2016-12", with which the authors' web page was computed, reads each input without its padding;
* "master" reads it with its padding, and adds two operations for each number of the output's
  gradient where a stride spreads it out.

They also differ in how they pad gradients, which is seen only where one of them stops on its own
check of sizes. Here every layer gets a number; `departures` names those on which the authors'
program would have stopped, or for which it has no rule.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, get_args

from epochlab.predict.paleo.layers import (
    FLOAT_BYTES,
    Convolution,
    InnerProduct,
    Padding,
    PaleoLayer,
    Pooling,
    size_after,
)

Revision = Literal["2016-12", "master"]
REVISIONS: tuple[Revision, ...] = get_args(Revision)


@dataclass(frozen=True, kw_only=True)
class Work:
    """One operation: floating-point operations, and the bytes of each tensor read or written."""

    flops: int
    moved_bytes: tuple[int, ...]


def forward_work(layer: PaleoLayer, batch: int, revision: Revision) -> tuple[Work, ...]:
    """What the forward pass of `batch` samples takes.

    >>> pool = Pooling(name="p", input=(54, 54, 64), output=(26, 26, 64), kernel=(3, 3))
    >>> forward_work(pool, 1, "master")
    (Work(flops=778752, moved_bytes=(746496, 173056)),)
    """
    n = batch * layer.copies
    read, written = n * math.prod(layer.input), n * math.prod(layer.output)
    if isinstance(layer, Convolution):
        padded = n * layer.input[2] * _area(layer.input[:2], _pads(layer), revision)
        return (_work(_products(layer, n), padded, layer.filter_numbers, written),)
    if isinstance(layer, InnerProduct):
        weights = math.prod(layer.input) * math.prod(layer.output)
        return (_work(2 * n * weights, read, weights, written),)
    if isinstance(layer, Pooling):
        return (_work(2 * math.prod(layer.kernel) * written, read, written),)
    return (_work(read, read, written),)  # dropout


def backward_work(layer: PaleoLayer, batch: int, revision: Revision) -> tuple[Work, ...]:
    """What the backward pass of `batch` samples takes: gradient of the input, then of the filters.

    A convolution that is fed by the data needs no gradient of its input; PALEO makes that exception
    for convolutions alone.
    """
    n = batch * layer.copies
    if isinstance(layer, Convolution):
        return tuple(_convolution_backward(layer, n, revision))
    if isinstance(layer, InnerProduct):
        # Output gradient times weights, and input times output gradient: the same three matrices.
        (product,) = forward_work(layer, batch, revision)
        return (product, product)
    return forward_work(layer, batch, revision)


def update_work(parameters: int) -> Work:
    """What one step of plain gradient descent takes: two operations and three transfers each."""
    return Work(flops=2 * parameters, moved_bytes=(FLOAT_BYTES * parameters,) * 3)


def departures(layer: PaleoLayer, revision: Revision) -> tuple[str, ...]:
    """Where the numbers for `layer` go beyond the authors' program, and why; usually nowhere."""
    found = list(_extensions(layer, revision))
    if isinstance(layer, Convolution) and not found and not _gradients_fit(layer, revision):
        found.append("its gradient has a size at which PALEO stops")
    return tuple(found)


def all_departures(layers: Iterable[PaleoLayer], revision: Revision) -> tuple[str, ...]:
    """'name: why' of each layer that has `departures`."""
    found = ((layer.name, departures(layer, revision)) for layer in layers)
    return tuple(f"{name}: {', '.join(reasons)}" for name, reasons in found if reasons)


def _extensions(layer: PaleoLayer, revision: Revision) -> Iterator[str]:
    if layer.copies > 1:
        yield f"passed {layer.copies} times by one sample"
    if isinstance(layer, InnerProduct) and revision == "2016-12":
        yield "an inner product, which this revision does not have"
    if isinstance(layer, (InnerProduct, Convolution)) and layer.shared:
        yield "its weights are those of an earlier layer"
    if isinstance(layer, Convolution):
        if layer.groups > 1:
            yield f"{layer.groups} groups"
        if layer.dilation != (1, 1):
            yield "dilation"
        if layer.output[:2] not in _sizes(layer, (layer.padding,)):
            yield "its output has another size than PALEO's rule gives"
    if isinstance(layer, Pooling) and layer.output[:2] not in _sizes(layer, ("VALID", "SAME")):
        yield "windows that are neither VALID nor SAME"


def _sizes(
    layer: Convolution | Pooling, paddings: tuple[Padding, ...]
) -> Iterator[tuple[int, ...]]:
    reach = layer.reach if isinstance(layer, Convolution) else layer.kernel
    for padding in paddings:
        both = (padding, padding) if isinstance(padding, str) else padding
        yield tuple(map(size_after, layer.input[:2], reach, layer.stride, both))


# --- convolutions ---------------------------------------------------------------------------------


def _work(flops: int, *numbers: int) -> Work:
    return Work(flops=flops, moved_bytes=tuple(FLOAT_BYTES * count for count in numbers))


def _products(layer: Convolution, n: int) -> int:
    """Operations of the forward pass, and of the gradient of the filters."""
    return 2 * n * layer.filter_numbers * layer.output[0] * layer.output[1]


def _convolution_backward(layer: Convolution, n: int, revision: Revision) -> Iterator[Work]:
    (h, w, c_in), (oh, ow, c_out) = layer.input, layer.output
    spread, pads = _spread(layer)
    if not layer.fed_by_data:
        flops = 2 * n * layer.filter_numbers * h * w
        if revision == "master" and math.prod(spread) > oh * ow:
            flops += 2 * n * oh * ow * c_out
        read = n * c_out * _area(spread, pads, revision)
        yield _work(flops, read, layer.filter_numbers, n * h * w * c_in)
    read = n * c_in * _area((h, w), _filter_pads(layer, spread, pads), revision)
    yield _work(_products(layer, n), read, n * oh * ow * c_out, layer.filter_numbers)


def _area(size: tuple[int, ...], pads: tuple[int, ...], revision: Revision) -> int:
    """Rows times columns that are read."""
    if revision == "2016-12":
        return math.prod(size)
    return math.prod(length + 2 * pad for length, pad in zip(size, pads, strict=True))


def _pads(layer: Convolution) -> tuple[int, ...]:
    """Rows and columns of padding on each side; an odd one of SAME is rounded down."""
    if layer.padding == "VALID":
        return 0, 0
    if layer.padding == "SAME":
        return tuple(
            ((o - 1) * s + k - size) // 2
            for size, o, s, k in zip(layer.input, layer.output, layer.stride, layer.reach,
                                     strict=False)
        )  # fmt: skip
    return layer.padding


def _spread(layer: Convolution) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Size of the output's gradient, spread out by the stride, and its padding on each side.

    The correlation with the filters must give the size of the input. Where that takes more padding
    on one side than on the other, the difference is added to the size. (PALEO has this for a
    difference of one row and stops at more.)
    """
    sizes, pads = [], []
    for before, after, extent in _gaps(layer):
        sizes.append(extent + abs(after - before))
        pads.append(min(before, after))
    return tuple(sizes), tuple(pads)


def _gaps(layer: Convolution) -> Iterator[tuple[int, int, int]]:
    """Per axis: padding before and after the spread gradient, and its extent without any."""
    for size, o, s, k, pad in zip(layer.input, layer.output, layer.stride, layer.reach,
                                  _pads(layer), strict=False):  # fmt: skip
        extent = (o - 1) * s + 1
        before = k - 1 - pad
        yield before, size + k - 1 - extent - before, extent


def _filter_pads(
    layer: Convolution, spread: tuple[int, ...], pads: tuple[int, ...]
) -> tuple[int, ...]:
    """Padding with which "master" reads the input for the gradient of the filters.

    It takes that of the input's gradient, which is the layer's own for an odd kernel in the middle
    of its padding; where the filters would come out in another size, the layer's own is right.
    """
    if layer.padding == "VALID" or not _fits(layer, spread, pads):
        return _pads(layer)
    return pads


def _fits(layer: Convolution, spread: tuple[int, ...], pads: tuple[int, ...]) -> bool:
    """Whether correlating the input with the spread gradient gives the size of the filters."""
    return all(size + 2 * pad - extent + 1 == k for size, pad, extent, k
               in zip(layer.input, pads, spread, layer.reach, strict=False))  # fmt: skip


def _gradients_fit(layer: Convolution, revision: Revision) -> bool:
    """Whether the authors' program would find both gradients of the right size."""
    differences = [after - before for before, after, _ in _gaps(layer)]
    spread, pads = _spread(layer)
    if revision == "2016-12":
        strided_same = layer.padding == "SAME" and max(layer.stride) > 1
        allowed = all(0 <= d <= 1 for d in differences) and not strided_same
        return allowed and _fits(layer, spread, _pads(layer))
    own = (0, 0) if layer.padding == "VALID" else pads
    return all(abs(d) <= 1 for d in differences) and _fits(layer, spread, own)
