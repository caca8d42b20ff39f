"""What slices, joins and flips do to receptive fields."""

from __future__ import annotations

from collections.abc import Sequence

from epochlab.cost.receptive.call import Call, JointRule, SingleRule, Spans, axes_of, for_all
from epochlab.cost.receptive.laws import Law, Pixels, hull, pixels_at, resample, slide, tidy
from epochlab.cost.receptive.spans import (
    Digit,
    Extent,
    Span,
    Walk,
    law_along,
    picked,
    settled,
    union,
)
from epochlab.cost.receptive.views import dropped, inserted

# --- parts and orders -----------------------------------------------------------------------------


def slice_(spans: Spans, call: Call) -> Spans:
    """Every step-th element of an axis from a start; PyTorch allows no backward steps."""
    shape = call.args[0].shape
    axis = call.get("dim", 0) % len(shape)
    start = call.get("start") or 0
    start = min(max(start + shape[axis] if start < 0 else start, 0), shape[axis])
    made = call.outputs[0].shape[axis]
    return _strided(spans, call, axis, start, call.get("step", 1), made)


def select(spans: Spans, call: Call) -> Spans:
    """One element of an axis, which goes."""
    axis = call.get("dim") % call.args[0].ndim
    return _selected(spans, call, axis, call.get("index") % call.args[0].shape[axis])


def unbind(spans: Spans, call: Call) -> list[Spans | None]:
    """All elements of an axis, each a tensor without it."""
    axis = call.get("dim", 0) % call.args[0].ndim
    return [_selected(spans, call, axis, index) for index in range(len(call.outputs))]


def split(spans: Spans, call: Call) -> list[Spans | None]:
    """All cuts of one axis into consecutive parts; the outputs tell where."""
    axis = call.get("dim", 0) % call.args[0].ndim
    start, parts = 0, list[Spans | None]()
    for part in call.outputs:
        parts.append(_strided(spans, call, axis, start, 1, part.shape[axis]))
        start += part.shape[axis]
    return parts


def flip(spans: Spans, call: Call) -> Spans:
    """Axes read backwards: their jump turns negative."""
    for axis in axes_of(call.get("dims"), call.args[0].ndim):
        spans = _turned(spans, call, axis, call.args[0].shape[axis])
    return spans


def roll(spans: Spans, call: Call) -> Spans:
    """Elements that leave an axis at its end come in at its start."""
    rank = call.args[0].ndim
    if not call.get("dims"):  # elements move along the linear index
        return call.blurred(spans, range(rank))
    axes = axes_of(call.get("dims"), rank)
    for shift, axis in zip(call.get("shifts"), axes, strict=True):
        spans = _rolled(spans, call, axis, call.args[0].shape[axis], shift)
    return spans


# --- joins ----------------------------------------------------------------------------------------


def cat(call: Call) -> Spans | None:
    """Tensors end to end along an axis that they have."""
    tensors = [t for t in call.get("tensors") if t.ndim > 1 or t.shape != (0,)]
    axis = call.get("dim", 0) % call.outputs[0].ndim
    return joined(call, [(call.spans_of(t), t.shape[axis]) for t in tensors], axis)


def stack(call: Call) -> Spans | None:
    """Tensors side by side along an axis that is new."""
    rank = call.outputs[0].ndim
    axis = call.get("dim", 0) % rank
    pieces = []
    for tensor in call.get("tensors"):
        spans = call.spans_of(tensor)
        new = None if spans is None else inserted(spans, call, rank - 1, axis)
        pieces.append((new, 1))
    return joined(call, pieces, axis)


def joined(call: Call, pieces: Sequence[tuple[Spans | None, int]], axis: int) -> Spans:
    """Tensors laid end to end along an axis, each with its size there.

    Along channels (no walk goes that way) each element is taken to see the union of what all
    tensors see, as every later layer will; along an image's axis each element keeps its own.
    """
    spans = []
    for place, length in enumerate(call.lengths):
        parts = [(s[place] if s else (), size) for s, size in pieces]
        seen = [part for part, _ in parts if part]
        axes = {d.axis for part in seen if isinstance(part, tuple) for w in part for d in w.digits}
        alike = Extent.UNKNOWN in seen or all(part is Extent.WHOLE for part in seen)
        if seen and (alike or (axes and axis not in axes)):
            spans.append(union(seen, length))
        else:
            spans.append(_end_to_end(parts, axis, length))
    return tuple(spans)


# --- the moves on spans ---------------------------------------------------------------------------


def _strided(spans: Spans, call: Call, axis: int, start: int, step: int, new: int) -> Spans:
    old = call.args[0].shape[axis]
    if (start, step, old) == (0, 1, new):
        return spans
    return call.along(spans, axis, old, new, lambda law: slide(law, 1, step, -start, 1, new))


def _selected(spans: Spans, call: Call, axis: int, index: int) -> Spans:
    spans = call.each(spans, lambda s, n: picked(s, axis, index, n))
    return dropped(spans, call, [axis])


def _turned(spans: Spans, call: Call, axis: int, size: int) -> Spans:
    def turned(law: Law) -> Law:
        return resample(law, 1, -1, lambda i: (size - 1 - i,), size)

    return call.along(spans, axis, size, size, turned)


def _rolled(spans: Spans, call: Call, axis: int, size: int, by: int) -> Spans:
    def rolled(law: Law) -> Law:
        return tidy(Law(tuple(pixels_at(law, (i - by) % size) for i in range(size)), None))

    return call.along(spans, axis, size, size, rolled)


def _end_to_end(parts: Sequence[tuple[Span, int]], axis: int, length: int) -> Span:
    seen: list[Pixels | None] = []
    for part, size in parts:
        if isinstance(part, Extent):  # the whole: the unknown was sorted out before
            seen += [(0, length - 1)] * size
            continue
        laws = [law_along(walk, axis, size) for walk in part]
        if None in laws:
            return Extent.UNKNOWN
        seen += [hull(pixels_at(law, i) for law in laws if law) for i in range(size)]
    law = tidy(Law(tuple(seen), None))
    return settled([Walk((Digit(axis, 1, len(seen), 1),), law)], length)


PART_RULES: dict[str, SingleRule] = {
    "slice": slice_,
    "select": select,
    **for_all("split split_with_sizes unsafe_split unsafe_split_with_sizes", split),
    "unbind": unbind,
    "flip": flip,
    "roll": roll,
}
JOIN_RULES: dict[str, JointRule] = {"cat": cat, "stack": stack}
