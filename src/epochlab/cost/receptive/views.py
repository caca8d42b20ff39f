"""What views and permutations do to receptive fields: elements get another index, and no more.

The index of an element is followed exactly through all of them, so that an image cut into patches
and put together again is the image it was.
"""

from __future__ import annotations

from collections.abc import Sequence

from epochlab.cost.receptive.call import Call, SingleRule, Spans, axes_of, for_all
from epochlab.cost.receptive.laws import slide
from epochlab.cost.receptive.spans import (
    Digit,
    Extent,
    Span,
    Walk,
    law_along,
    normal,
    positions,
    regrouped,
    settled,
)

# --- the same elements under other indices --------------------------------------------------------


def view(spans: Spans, call: Call) -> Spans:
    """All reshaping: the linear index of an element stays what it is."""
    old, new = call.args[0].shape, call.outputs[0].shape
    if old == new:
        return spans
    if call.args[0].numel() != call.outputs[0].numel():  # the bytes, read as another type
        return call.blurred(spans, range(len(old)))
    return _reshaped(spans, call, old, new)


def permute(spans: Spans, call: Call) -> Spans:
    """Axes in another order."""
    return _permuted(spans, call, axes_of(call.get("dims"), call.args[0].ndim))


def transpose(spans: Spans, call: Call) -> Spans:
    """Two axes change places."""
    rank = call.args[0].ndim
    if rank < 2:
        return spans
    order = list(range(rank))
    a, b = axes_of((call.get("dim0", -2), call.get("dim1", -1)), rank)
    order[a], order[b] = order[b], order[a]
    return _permuted(spans, call, order)


def unsqueeze(spans: Spans, call: Call) -> Spans:
    """A new axis of one element."""
    rank = call.args[0].ndim
    return inserted(spans, call, rank, call.get("dim") % (rank + 1))


def squeeze(spans: Spans, call: Call) -> Spans:
    """Axes of one element go."""
    shape = call.args[0].shape
    if call.outputs[0].ndim == len(shape):
        return spans
    asked = axes_of(call.get("dim"), len(shape))
    return dropped(spans, call, [a for a in asked if shape[a] == 1])


def expand(spans: Spans, call: Call) -> Spans:
    """Axes of one element are repeated: the copies see what it sees."""
    return broadcast(spans, call, call.args[0].shape, call.outputs[0].shape)


def repeat(spans: Spans, call: Call) -> Spans:
    """Copies side by side: an index beyond the first copy starts again, as digits do."""
    lead = call.outputs[0].ndim - call.args[0].ndim
    return call.moved(spans, [axis + lead for axis in range(call.args[0].ndim)])


def pixel_shuffle(spans: Spans, call: Call) -> Spans:
    """[c r r, h, w] -> [c, h r, w r]."""
    *lead, channels, height, width = call.args[0].shape
    r, n = call.get("upscale_factor"), len(lead)
    cut = (*lead, channels // (r * r), r, r, height, width)
    spans = _reshaped(spans, call, call.args[0].shape, cut)
    order = (*range(n), n, n + 3, n + 1, n + 4, n + 2)
    mixed = (*lead, channels // (r * r), height, r, width, r)
    return _reshaped(_permuted(spans, call, order), call, mixed, call.outputs[0].shape)


def pixel_unshuffle(spans: Spans, call: Call) -> Spans:
    """[c, h r, w r] -> [c r r, h, w]."""
    *lead, channels, height, width = call.args[0].shape
    r, n = call.get("downscale_factor"), len(lead)
    cut = (*lead, channels, height // r, r, width // r, r)
    spans = _reshaped(spans, call, call.args[0].shape, cut)
    order = (*range(n), n, n + 2, n + 4, n + 1, n + 3)
    mixed = (*lead, channels, r, r, height // r, width // r)
    return _reshaped(_permuted(spans, call, order), call, mixed, call.outputs[0].shape)


def channel_shuffle(spans: Spans, call: Call) -> Spans:
    """Channels in `groups` rows, read by columns."""
    batch, channels, *rest = call.args[0].shape
    groups = call.get("groups")
    cut, mixed = (
        (batch, *two, *rest) for two in ((groups, channels // groups), (channels // groups, groups))
    )
    spans = _reshaped(spans, call, call.args[0].shape, cut)
    spans = _permuted(spans, call, (0, 2, 1, *range(3, len(cut))))
    return _reshaped(spans, call, mixed, call.outputs[0].shape)


def unfold(spans: Spans, call: Call) -> Spans:
    """Overlapping pieces of one axis, laid along a new last axis."""
    shape, made = call.args[0].shape, call.outputs[0].shape
    axis = axes_of(call.get("dimension"), len(shape))[0]
    pieces = Digit(axis, 1, made[axis], call.get("step"))
    inside = Digit(len(shape), 1, call.get("size"), 1)
    return call.each(spans, lambda s, n: _spelled(s, axis, shape[axis], (pieces, inside), 0, n))


def im2col(spans: Spans, call: Call) -> Spans:
    """[b, c, h, w] -> [b, c kh kw, positions]: all windows of a convolution, written out."""
    if call.args[0].ndim != 4:
        return call.blurred(spans, (0, 1, 2))
    kernel, sides = call.get("kernel_size"), call.args[0].shape[2:]
    settings = zip(sides, kernel, *(call.get(n) for n in ("dilation", "padding", "stride")),
                   strict=True)  # fmt: skip
    outs = [(n + 2 * pad - gap * (k - 1) - 1) // step + 1 for n, k, gap, pad, step in settings]
    taps = kernel[0] * kernel[1]

    def windows(span: Span, length: int) -> Span:
        if isinstance(span, Extent):
            return span
        walks = [
            Walk(tuple(Digit(1, d.inner * taps, d.size, d.weight) if d.axis == 1 else d
                       for d in walk.digits), walk.law)
            for walk in span
        ]  # fmt: skip
        found: Span = tuple(walks)
        for place, (below, later) in enumerate(((kernel[1], outs[1]), (1, 1))):
            gap, pad, step = (call.get(n)[place] for n in ("dilation", "padding", "stride"))
            tap = Digit(1, below, kernel[place], gap)
            spot = Digit(2, later, outs[place], step)
            # The old axes 2 and 3 must not be taken for the new axis 2: give them other numbers.
            found = _spelled(found, -2 - place, sides[place], (tap, spot), pad, length)
        return found

    spans = call.moved(spans, (0, 1, -2, -3))
    return call.each(spans, windows)


# --- the moves on spans ---------------------------------------------------------------------------


def dropped(spans: Spans, call: Call, gone: Sequence[int]) -> Spans:
    """The spans without some axes of the first argument, each of one element."""
    if not gone:
        return spans
    places: list[int | None] = [
        None if axis in gone else axis - sum(g < axis for g in gone)
        for axis in range(call.args[0].ndim)
    ]
    return call.moved(spans, places)


def broadcast(spans: Spans, call: Call, old: Sequence[int], new: Sequence[int]) -> Spans:
    """The spans after an expansion from shape `old` to `new`."""
    if old == new:
        return spans
    lead = len(new) - len(old)
    places = [
        None if old[axis] == 1 != new[axis + lead] else axis + lead for axis in range(len(old))
    ]
    return call.moved(spans, places)


def _reshaped(spans: Spans, call: Call, old: Sequence[int], new: Sequence[int]) -> Spans:
    return call.each(spans, lambda s, n: regrouped(s, old, new, n))


def _permuted(spans: Spans, call: Call, order: Sequence[int]) -> Spans:
    places: list[int | None] = [0] * len(order)
    for new, old in enumerate(order):
        places[old] = new
    return call.moved(spans, places)


def inserted(spans: Spans, call: Call, rank: int, at: int) -> Spans:
    """The spans after a new axis came in at a place."""
    return call.moved(spans, [axis + (axis >= at) for axis in range(rank)])


def _spelled(
    span: Span, axis: int, size: int, digits: tuple[Digit, ...], padding: int, length: int
) -> Span:
    """Walks along `axis` go by the given digits now, from `padding` positions further ahead."""
    if isinstance(span, Extent):
        return span
    walks = []
    for walk in span:
        if all(d.axis != axis for d in walk.digits):
            walks.append(walk)
            continue
        law = law_along(walk, axis, size)
        if law is None:
            return Extent.UNKNOWN
        walks.append(normal(digits, slide(law, 1, 1, padding, 1, positions(digits))))
    return settled(walks, length)


VIEW_RULES: dict[str, SingleRule] = {
    **for_all("view _unsafe_view reshape _reshape_alias", view),
    "permute": permute,
    **for_all("transpose t", transpose),
    "unsqueeze": unsqueeze,
    "squeeze": squeeze,
    "expand": expand,
    "repeat": repeat,
    "pixel_shuffle": pixel_shuffle,
    "pixel_unshuffle": pixel_unshuffle,
    **for_all("channel_shuffle native_channel_shuffle", channel_shuffle),
    "unfold": unfold,
    "im2col": im2col,
}
