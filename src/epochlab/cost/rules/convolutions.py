"""Convolutions: kernel weights times output positions; for transposed ones input positions."""

from __future__ import annotations

import math
from typing import Any

from torch import Tensor

from epochlab.cost.counting import Args, Count, Rule, first_tensor, product


def convolution(args: Args, out: Any) -> Count:
    """Every weight is used once per output position (transposed: once per input position).

    Weights are [out, in / groups, *kernel] ([in, out / groups, *kernel] when transposed), so groups
    need no further factor. A bias adds one operation per output value.
    """
    inputs, weight, bias, transposed = args[0], args[1], args[2], bool(args[6])
    result = first_tensor(out)
    assert result is not None
    macs, formula = _used(weight, inputs if transposed else result, len(args[3]))
    return Count(macs, result.numel() if bias is not None else 0, formula)


def _used(weight: Tensor, positions: Tensor, axes: int) -> tuple[int, str]:
    """All weights at all positions of `positions`, which has `axes` spatial axes."""
    spatial = tuple(positions.shape[positions.ndim - axes :])
    images = positions.shape[0] if positions.ndim == axes + 2 else 1
    text = (f"{product(tuple(weight.shape[2:]), weight.shape[1], weight.shape[0])} weights * "
            f"{product(spatial)} positions")  # fmt: skip
    if images != 1:
        text += f" * {images} samples"
    return weight.numel() * math.prod(spatial) * images, text


def convolution_backward(args: Args, out: Any) -> Count:
    """As much as forward for the gradient of the input, and again for that of the weights."""
    gradient, inputs, weight, transposed, wanted = args[0], args[1], args[2], args[7], args[10]
    macs, text = _used(weight, inputs if transposed else gradient, len(args[4]))
    times = int(wanted[0]) + int(wanted[1])
    names = [n for n, w in zip(("inputs", "weights"), wanted, strict=False) if w]
    other = gradient.numel() if wanted[2] else 0
    return Count(times * macs, other, f"{times} ({' and '.join(names)}) * {text}")


def conv_tbc(args: Args, out: Any) -> Count:
    """Time x batch x channel layout: weight [kernel, in, out] at every output position."""
    weight = args[1]
    steps, batch = out.shape[0], out.shape[1]
    formula = f"{product(tuple(weight.shape))} weights * {product(steps, batch)} positions"
    return Count(weight.numel() * steps * batch, out.numel(), formula)


def deformable(args: Args, out: Any) -> Count:
    """Deformable convolution: the products of a convolution; sampling 4 taps each is `other`."""
    weight = args[1]
    macs, formula = _used(weight, out, 2)
    taps = math.prod(weight.shape[2:]) * args[0].shape[1]
    sampled = out.shape[0] * math.prod(out.shape[2:]) * taps
    return Count(macs, 7 * sampled + out.numel(), formula)


RULES = {
    "convolution": Rule("convolution", convolution),
    "_convolution": Rule("convolution", convolution),
    "convolution_overrideable": Rule("convolution", convolution),
    "convolution_backward": Rule("convolution", convolution_backward),
    "conv_tbc": Rule("convolution", conv_tbc),
    "torchvision::deform_conv2d": Rule("convolution", deformable),
}
