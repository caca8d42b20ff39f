"""What the CPU kernels allocate inside an operator, beside its inputs and outputs.

A rule says in order what a kernel takes (+) and gives back (-), outputs included; the workspace is
the highest sum on the way less the sum at the end. The rules were read off the allocator's events
of PyTorch 2.13 with oneDNN 3.12, float32, on a processor with AVX-512 and on one held to AVX2;
`benchmarks/memory.py` checks them on whole training steps. Operators without a rule were seen to
hold nothing of note, or, as enlarging small images and 1x1 convolutions in groups on one thread,
are not modelled.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate
from math import prod
from typing import Any

import torch
from torch import Tensor

aten = torch.ops.aten

# Channels that oneDNN keeps side by side: as many float32 as a register of the processor holds.
BLOCK = 16 if "AVX512" in torch.backends.cpu.get_cpu_capability() else 8
PAGE = 4096  # bytes; parts of oneDNN's own memory begin on one

Script = Iterable[int]
"""Bytes taken (+) and given back (-), in order."""


def workspace_bytes(func: Any, args: tuple[Any, ...], outputs: Any) -> int:
    """Bytes that `func` holds at its worst moment beyond its inputs and its results."""
    rule = RULES.get(func)
    return 0 if rule is None else surplus(rule(args, outputs))


def surplus(script: Script) -> int:
    """Highest running sum of a script, over its final sum."""
    sums = list(accumulate(script, initial=0))
    return max(sums) - sums[-1]


def padded(channels: int, block: int = BLOCK) -> int:
    """The channels of a blocked layout: the next multiple of the block."""
    return -(-channels // block) * block


def pixels_first(t: Tensor) -> bool:
    """Whether the channels of a pixel lie side by side, and the order matters."""
    return t.ndim == 4 and not t.is_contiguous() and t.is_contiguous(
        memory_format=torch.channels_last)  # fmt: skip


def onednn_takes(x: Tensor, weight: Tensor, stride: Sequence[int], dilation: Sequence[int],
                 groups: int) -> bool:  # fmt: skip
    """Whether PyTorch gives a convolution to oneDNN, or to its own matrix-multiplication kernel.

    oneDNN gets float32 convolutions, but not those of a single small image with a kernel of up to
    3 pixels, and on one thread not plain 1x1 convolutions of small batches
    (ATen/native/Convolution.cpp, `use_mkldnn`).
    """
    kernel = (1, *weight.shape[2:])[-2:]
    plain = max(kernel) == 1 and max(stride) == 1 and max(dilation) == 1
    batch = x.shape[0]
    return (
        x.dtype is not torch.float64
        and not (plain and batch < 16 and torch.get_num_threads() == 1)
        and (groups > 1 or min(kernel) > 3 or batch > 1 or x.numel() > 20480)
    )


def forward_convolution(args: tuple[Any, ...], y: Tensor) -> Iterator[int]:
    """Blocked copies of input, weights and output, then the output in the usual order.

    Images with the channels outside are copied into blocks of channels: input x' (not if it has
    less than one block), weights w', output y'; after the work y is copied out of y'. Images with
    the channels inside stay as they are; the weights are copied into that order first, then into
    blocks. Kernels by matrix multiplication unfold the input: batch * c * k * k * positions.
    A transposed convolution runs the kernel for the gradient of a convolution's input.
    """
    x, weight, _, stride, _, dilation, transposed, _, groups = args
    inside = pixels_first(x) or pixels_first(weight)
    turned = _turned(weight) if inside else 0
    if not onednn_takes(x, weight, stride, dilation, groups):
        columns = _columns(x, weight, x if transposed else y, stride)
        yield from (turned, columns, y.nbytes, -columns, -turned)
    elif inside:
        scratch = _scratch(groups)
        blocks = _weight_blocks(weight, groups, pad_inputs=False)
        copied = 0 if pixels_first(x) else x.nbytes
        yield from (copied, turned, y.nbytes, scratch, blocks, -blocks, -scratch, -turned, -copied)
    elif transposed:
        yield from _input_gradient(x, y, weight, y.nbytes, stride, groups)
    else:
        thin = _thin(x, groups)
        x_blocks = 0 if thin else _blocked(x)
        w_blocks = _weight_blocks(weight, groups, pad_inputs=not thin)
        y_blocks = _blocked(y)
        yield from (x_blocks, w_blocks, y_blocks, -w_blocks, -x_blocks, y.nbytes, -y_blocks)


def backward_convolution(args: tuple[Any, ...], outputs: Any) -> Iterator[int]:
    """The gradient of the input, then that of the weights, each with blocked copies.

    Channels outside: dy', w', dx', then dx out of dx'; with a stride dx is held three times, while
    dy and the weights are copied channels inside. Then dy', x', dw', and dw out of dw'. Channels
    inside: only weights and their gradient are copied. `None` results were not asked for.
    """
    dy, x, weight, _, stride, padding, dilation, transposed, _, groups, _ = args
    dx, dw, db = ((0 if t is None else t.nbytes) for t in outputs)
    inside = pixels_first(x) or pixels_first(weight)
    turned = _turned(weight) if inside else 0
    copied = dy.nbytes if inside and not pixels_first(dy) else 0
    odd = _odd_depthwise(x, weight, stride, padding, groups)
    if not onednn_takes(x, weight, stride, dilation, groups):
        columns = _columns(x, weight, x if transposed else dy, stride)
        yield from (turned, copied, dx, -copied, db, dw, copied, columns, -columns, -copied,
                    -turned)  # fmt: skip
    elif inside:
        yield from (turned, copied)
        if dx:
            blocks = _weight_blocks(weight, groups, pad_outputs=False)
            scratch = _scratch(groups)
            yield from (dx, blocks, scratch, -scratch, -blocks)
        # The general kernel holds a whole block of weights for each group.
        blocks = (
            weight.nbytes * BLOCK**2
            if odd
            else _weight_blocks(weight, groups, pad_inputs=not _thin(x, groups))
        )
        yield from (blocks, db, db, dw, dw, -dw, -blocks, -db, -copied, -turned)
    else:
        if dx:
            steps = (1,) if transposed else stride
            yield from _input_gradient(dy, x, weight, dx, steps, groups)
        if odd:
            # By matrix multiplication: one channel unfolded, the weights' gradient in four parts.
            parts = 4 * dw + prod(dy.shape[2:]) * weight.nbytes // weight.shape[0]
            yield from (dw, parts, db, -parts, db, dw, -dw, -db)
        else:
            yield from _weight_gradient(dy, x, weight, dw, db, groups)


def _input_gradient(dy: Tensor, x: Tensor, weight: Tensor, dx: int, stride: Sequence[int],
                    groups: int) -> Iterator[int]:  # fmt: skip
    if max(stride) > 1 and groups == 1:
        blocks = _weight_blocks(weight, groups, pad_outputs=False)
        yield from (dy.nbytes, blocks, dx, -blocks, -dy.nbytes, dx, dx, -dx, -dx)
    else:
        blocks = _weight_blocks(weight, groups)
        yield from (_blocked(dy), blocks, _blocked(x), -blocks, -_blocked(dy), dx, -_blocked(x))


def _weight_gradient(dy: Tensor, x: Tensor, weight: Tensor, dw: int, db: int,
                     groups: int) -> Iterator[int]:  # fmt: skip
    """Inputs of up to 3 channels stay as they are; fewer than a block go into blocks of 8.

    With blocks of 8 they only stay if the outputs fill whole blocks.
    """
    if not _thin(x, groups):
        x_blocks, blocks, block = _blocked(x), _weight_blocks(weight, groups), BLOCK
    elif x.shape[1] <= 3 and (BLOCK > 8 or weight.shape[0] % 8 == 0):
        x_blocks, block = 0, BLOCK
        blocks = _weight_blocks(weight, groups, pad_inputs=False)
    else:
        x_blocks, block = _blocked(x, 8), 8
        blocks = _weight_blocks(weight, groups, block=8)
    dy_blocks = _blocked(dy, block)
    yield from (dy_blocks, x_blocks, blocks, db, -x_blocks, -dy_blocks, db, dw, -blocks, -db)


def _odd_depthwise(x: Tensor, weight: Tensor, stride: Sequence[int], padding: Sequence[int],
                   groups: int) -> bool:  # fmt: skip
    """Depthwise weights whose gradient oneDNN has no special kernel for.

    That is, wider than 3 pixels, or wider than the image.
    """
    if groups == 1 or weight.shape[1] > 1:
        return False
    sizes = zip(x.shape[2:], weight.shape[2:], stride, padding, strict=True)
    return any(k > 3 or size < k + -pad % step for size, k, step, pad in sizes)


def _thin(x: Tensor, groups: int) -> bool:
    return groups == 1 and x.shape[1] < BLOCK


def _blocked(t: Tensor, block: int = BLOCK) -> int:
    """Bytes of images whose channels are filled up to whole blocks."""
    return t.nbytes // t.shape[1] * padded(t.shape[1], block) if t.shape[1] else 0


def _weight_blocks(weight: Tensor, groups: int, *, pad_inputs: bool = True,
                   pad_outputs: bool = True, block: int = BLOCK) -> int:  # fmt: skip
    """Bytes of weights whose output and input channels are filled up to whole blocks."""
    outputs, inputs = weight.shape[:2]
    each = weight.nbytes // (outputs * inputs)
    if groups > 1:
        # Depthwise weights form blocks of groups, grouped ones stay as they are.
        return each * padded(outputs) if inputs == 1 else weight.nbytes
    return (
        each
        * (padded(outputs, block) if pad_outputs else outputs)
        * (padded(inputs, block) if pad_inputs else inputs)
    )


def _turned(weight: Tensor) -> int:
    """Bytes of a copy of the weights with the input channels inside, if that changes anything."""
    return 0 if weight.is_contiguous(memory_format=torch.channels_last) else weight.nbytes


def _scratch(groups: int) -> int:
    """Room for batches of small matrix products: 4 KiB, and as much for each thread."""
    return 4096 + 4120 * torch.get_num_threads() if groups == 1 else 0


def _columns(x: Tensor, weight: Tensor, y: Tensor, stride: Sequence[int]) -> int:
    """Bytes of the unfolded input, one column per position of `y`."""
    if prod(weight.shape[2:]) == 1 and max(stride) == 1:
        return 0
    return x.shape[0] * prod(weight.shape[1:]) * prod(y.shape[2:]) * x.element_size()


def batch_norm_backward(args: tuple[Any, ...], outputs: Any) -> Iterator[int]:
    """The gradient of the normalised values is held beside that of the input."""
    dx = 0 if outputs[0] is None else outputs[0].nbytes
    yield from (dx, dx, -dx)


def max_pool_backward(args: tuple[Any, ...], dx: Tensor) -> Iterator[int]:
    """Where only the input lies channels inside: indices and result are copied into its order."""
    dy, x, indices = args[0], args[1], args[-1]
    if pixels_first(x) and not pixels_first(dy):
        yield from (dx.nbytes, indices.nbytes, dx.nbytes, -dx.nbytes, -indices.nbytes)


def safe_softmax(args: tuple[Any, ...], y: Tensor) -> Iterator[int]:
    """Flags of the values that are minus infinity, and one flag for each row."""
    values, rows = y.numel(), y.numel() // max(1, y.shape[args[1]])
    yield from (y.nbytes, values, rows, -rows, -values)


def ordered_copies(count: int) -> Callable[[tuple[Any, ...], Any], Iterator[int]]:
    """Of a kernel that copies its first `count` arguments unless their numbers lie in order."""

    def script(args: tuple[Any, ...], outputs: Any) -> Iterator[int]:
        results = (outputs,) if isinstance(outputs, Tensor) else outputs
        kept = sum(t.nbytes for t in results if t is not None)
        copied = sum(t.nbytes for t in args[:count] if not t.is_contiguous())
        yield from (kept, copied, -copied)

    return script


def lstm_forward(args: tuple[Any, ...], outputs: Any) -> Iterator[int]:
    """Both weight matrices with rows of a good length (see `good_row`), and the gates.

    With T steps, batch N, I inputs, H units, 4 bytes a number: weights (I + H) * row(4H), gates
    T * N * row(4H), two rows of states N * row(H).
    """
    x, w_input, w_state = args[:3]
    kept = sum(t.nbytes for t in outputs)
    weights = _rows(w_input, turned=True) + _rows(w_state, turned=True)
    scratch = _lstm_scratch(x, w_state)
    yield from (kept, weights, scratch, -scratch, -weights)


def lstm_backward(args: tuple[Any, ...], outputs: Any) -> Iterator[int]:
    """As forward for the gradients of both matrices, and the matrices where rows need filling up.

    A gradient of the output whose numbers do not lie in order is copied.
    """
    x, w_input, w_state = args[:3]
    dy, states = args[10], outputs[5].nbytes + outputs[6].nbytes
    copied = 0 if dy is None or dy.is_contiguous() else dy.nbytes
    weights = sum(_rows(w, turned=True) for w in (w_input, w_state))
    weights += sum(filled for w in (w_input, w_state) if (filled := _rows(w)) != w.nbytes)
    scratch = _lstm_scratch(x, w_state)
    kept = sum(t.nbytes for t in outputs if t is not None) - outputs[4].nbytes
    yield from (copied, states, kept, weights, scratch, -scratch, -weights, -states, -copied)


def lstm_kept_bytes(x: Tensor, w_state: Tensor) -> int:
    """What one LSTM layer keeps for the backward pass, in one block whose size PyTorch hides.

    With T steps, batch N, I inputs, H units: gates T * N * row(4H); before and after the layer,
    T + 1 states each: three times 2 * (T+1) * N * row(max(I, H)), twice 2 * (T+1) * N * H; outputs
    T * N * row(H). Each part fills whole pages.
    """
    steps, batch, inputs = x.shape
    units, number = w_state.shape[1], x.element_size()
    states = 2 * (steps + 1) * batch
    parts = (
        steps * batch * good_row(4 * units, number),
        *(states * good_row(max(inputs, units), number) for _ in range(3)),
        *(states * units for _ in range(2)),
        steps * batch * good_row(units, number),
    )
    return sum(padded(part * number, PAGE) for part in parts)


def good_row(length: int, number_bytes: int) -> int:
    """The row length oneDNN prefers: whole lines of 64 bytes, but not a multiple of 256 numbers."""
    line = 64 // number_bytes
    row = padded(length, line)
    return row if row % 256 else row + line


def _rows(weight: Tensor, *, turned: bool = False) -> int:
    """Bytes of a matrix (turned: of its transpose) with good rows."""
    rows, length = reversed(weight.shape) if turned else weight.shape
    return rows * good_row(length, weight.element_size()) * weight.element_size()


def _lstm_scratch(x: Tensor, w_state: Tensor) -> int:
    """Gates of all steps and two rows of states, in whole pages; the bias; what oneDNN adds."""
    steps, batch, _ = x.shape
    units, number = w_state.shape[1], x.element_size()
    gates = steps * batch * good_row(4 * units, number)
    states = batch * good_row(units, number)
    pages = (padded(part * number, PAGE) for part in (gates, states, states))
    return sum(pages) + 4 * units * number + 4664


RULES: dict[Any, Callable[[tuple[Any, ...], Any], Script]] = {
    aten.convolution.default: forward_convolution,
    aten.convolution_backward.default: backward_convolution,
    aten.native_batch_norm_backward.default: batch_norm_backward,
    aten.max_pool2d_with_indices_backward.default: max_pool_backward,
    aten._safe_softmax.default: safe_softmax,
    aten.embedding_dense_backward.default: ordered_copies(1),
    aten.native_layer_norm.default: ordered_copies(1),
    aten.native_layer_norm_backward.default: ordered_copies(2),
    aten.avg_pool3d_backward.default: ordered_copies(1),
    aten.mkldnn_rnn_layer.default: lstm_forward,
    aten.mkldnn_rnn_layer_backward.default: lstm_backward,
}
