"""What each operator that slides a window does to receptive fields: convolution, pooling, resizing.

Every rule says from which positions of its input an output position is made; the algebra of
`spans` does the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from fractions import Fraction
from functools import partial
from math import floor, gcd
from typing import Any

from epochlab.cost.receptive.call import Call, SingleRule, Spans, for_all
from epochlab.cost.receptive.laws import Law, resample, slide

# (law, elements before, elements after) -> law
Change = Callable[[Law, int, int], Law]


def convolution(spans: Spans, call: Call) -> Spans:
    """Convolutions and transposed convolutions over any number of axes, grouped or not.

    An output channel sees all input channels, or its own one where every channel is a group; an
    image that was folded into channels and meets other groups is beyond these rules.
    """
    _, weight, _, stride, padding, dilation, transposed, _, groups = call.args
    if groups == 1:
        spans = call.mixed(spans, (1,))
    elif not groups == call.args[0].shape[1] == call.outputs[0].shape[1]:
        spans = call.blurred(spans, (1,))
    window = _spread if transposed else _slid
    for place, kernel in enumerate(weight.shape[2:]):
        size = (kernel, _at(stride, place), _at(padding, place), _at(dilation, place))
        if transposed or size[:3] != (1, 1, 0):
            spans = _changed(spans, call, 2 + place, partial(window, *size))
    return spans


def pooling(axes: int) -> SingleRule:
    """The rule of maximum and average pooling over the last one, two or three axes."""

    def rule(spans: Spans, call: Call) -> Spans:
        kernel = call.get("kernel_size")
        stride = call.get("stride") or kernel
        padding, dilation = call.get("padding", 0), call.get("dilation", 1)
        for place in range(axes):
            size = (
                _at(kernel, place),
                _at(stride, place),
                _at(padding, place),
                _at(dilation, place),
            )
            axis = call.args[0].ndim - axes + place
            spans = _changed(spans, call, axis, partial(_slid, *size))
        return spans

    return rule


def adaptive_pooling(axes: int) -> SingleRule:
    """The rule where output o of m sees inputs floor(o n / m) to ceil((o + 1) n / m) - 1 of n."""

    def rule(spans: Spans, call: Call) -> Spans:
        rank = call.args[0].ndim
        for axis in range(rank - axes, rank):
            if call.outputs[0].shape[axis] == 1:  # no window that moves on, but everything
                spans = call.mixed(spans, (axis,))
            else:
                spans = _changed(spans, call, axis, _adapted)
        return spans

    return rule


def padding(border: str) -> SingleRule:
    """The rule for a border of constants, a reflected or a replicated one (cropping included)."""

    def rule(spans: Spans, call: Call) -> Spans:
        widths = call.get("pad" if border == "constant" else "padding")
        for place, before in enumerate(widths[::2]):
            axis = call.args[0].ndim - 1 - place
            if before or widths[2 * place + 1]:
                spans = _changed(spans, call, axis, partial(_padded, border, before))
        return spans

    return rule


def resizing(taps: str) -> SingleRule:
    """The rule for resizing all spatial axes; `taps` names the input elements that are mixed.

    Positions are exact fractions, where PyTorch rounds: an output that falls exactly on an input
    element is taken to see that one alone, although rounding may add a trace of its neighbour.
    """

    def rule(spans: Spans, call: Call) -> Spans:
        for place in range(call.args[0].ndim - 2):
            factor = _factor(call, place)
            corners = bool(call.get("align_corners", False))
            spans = _changed(spans, call, 2 + place, partial(_resized, taps, corners, factor))
        return spans

    return rule


# --- laws -----------------------------------------------------------------------------------------


def _changed(spans: Spans, call: Call, axis: int, change: Change) -> Spans:
    old, new = call.args[0].shape[axis], call.outputs[0].shape[axis]
    return call.along(spans, axis, old, new, lambda law: change(law, old, new))


def _at(given: Any, place: int) -> int:
    """An operator's setting for one axis; a single number serves all axes."""
    if isinstance(given, int):
        return given
    return int(given[place] if len(given) > 1 else given[0])


def _slid(
    kernel: int, stride: int, padding: int, dilation: int, law: Law, old: int, new: int
) -> Law:
    return slide(law, kernel, stride, padding, dilation, new)


def _spread(
    kernel: int, stride: int, padding: int, dilation: int, law: Law, old: int, new: int
) -> Law:
    """Transposed: input i reaches the outputs i * stride - padding + t * dilation, t < kernel."""

    def sources(output: int) -> Iterable[int]:
        reach = (output + padding - t * dilation for t in range(kernel))
        return (place // stride for place in reach if place % stride == 0)

    return resample(law, stride, 1, sources, new)


def _adapted(law: Law, old: int, new: int) -> Law:
    common = gcd(old, new)
    return resample(
        law, new // common, old // common,
        lambda o: range(o * old // new, -(-(o + 1) * old // new)), new,
    )  # fmt: skip


def _padded(border: str, before: int, law: Law, old: int, new: int) -> Law:
    if law.step is not None or border == "constant":
        return slide(law, 1, 1, before, 1, new)

    def sources(output: int) -> Iterable[int]:
        place = output - before
        if border == "replication":
            return (min(max(place, 0), old - 1),)
        return (old - 1 - abs(old - 1 - abs(place)),)

    return resample(law, 1, 1, sources, new)


def _factor(call: Call, place: int) -> float | None:
    """How many times larger the output was asked to be, where that and not a size was given."""
    factors = call.get("scale_factors")
    if factors is None:
        names = ("scales_d", "scales_h", "scales_w")[3 - (call.args[0].ndim - 2) :]
        given = call.get(names[place], call.get("scales"))
        return None if given is None else float(given)
    return float(factors[place])


def _resized(taps: str, corners: bool, factor: float | None, law: Law, old: int, new: int) -> Law:
    if corners and taps != "nearest":
        scale = Fraction(old - 1, new - 1) if new > 1 else Fraction(0)
    elif factor is None:
        scale = Fraction(old, new)
    else:
        scale = 1 / Fraction(factor).limit_denominator(10_000)
    half = Fraction(0 if corners or taps == "nearest" else 1, 2)

    def sources(output: int) -> Iterable[int]:
        place = (output + half) * scale
        if taps in ("nearest", "nearest exact"):
            return (floor(place),)
        place -= half
        near = floor(place)
        if place == near:
            return (near,)
        return range(near, near + 2) if taps == "linear" else range(near - 1, near + 3)

    if not scale:
        return resample(law, 1, 0, sources, new)
    return resample(law, scale.denominator, scale.numerator, sources, new)


WINDOW_RULES: dict[str, SingleRule] = {
    **for_all("convolution convolution_overrideable", convolution),
    **{f"avg_pool{n}d": pooling(n) for n in (1, 2, 3)},
    **{f"max_pool{n}d_with_indices": pooling(n) for n in (1, 2, 3)},
    **{f"max_pool{n}d": pooling(n) for n in (1, 2, 3)},
    **{f"_adaptive_avg_pool{n}d": adaptive_pooling(n) for n in (2, 3)},
    **{f"adaptive_avg_pool{n}d": adaptive_pooling(n) for n in (1, 2, 3)},
    **{f"adaptive_max_pool{n}d": adaptive_pooling(n) for n in (1, 2, 3)},
    "constant_pad_nd": padding("constant"),
    **{f"reflection_pad{n}d": padding("reflection") for n in (1, 2, 3)},
    **{f"replication_pad{n}d": padding("replication") for n in (1, 2, 3)},
    **{f"upsample_nearest{n}d": resizing("nearest") for n in (1, 2, 3)},
    **{f"_upsample_nearest_exact{n}d": resizing("nearest exact") for n in (1, 2, 3)},
    **for_all("upsample_linear1d upsample_bilinear2d upsample_trilinear3d", resizing("linear")),
    "upsample_bicubic2d": resizing("cubic"),
}
