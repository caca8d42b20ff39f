"""Which pixels along one axis of a network's input one element of a tensor can depend on.

The pieces, from small to large:

    Pixels   first and last pixel, both included: the shortest stretch that covers all of them
    Law      position q = 0, 1, 2, ... -> Pixels: the same stretch again and again, moved on by a
             fixed step after each period; or, where there is no such order, a list
    Digit    where in a tensor the position is written: index // inner % size of one axis counts
             `weight` positions each. A tensor whose axis is an image's axis has one digit; views
             cut an index into several digits and glue them together again, losing nothing
    Walk     digits and the law that their sum obeys; without digits every element sees the same
    Span     all walks of a tensor along one input axis, or Extent.WHOLE, or Extent.UNKNOWN

A law continues over a tensor's border as if the image had no border. So the numbers are those of
elements far from it, and may exceed the image, as in published tables.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from enum import Enum
from itertools import product
from math import gcd
from typing import NamedTuple

from epochlab.cost.receptive.laws import Law, merged, pixels_at, resample, tidy


class Extent(Enum):
    """What is known of elements that have no law."""

    WHOLE = "whole"
    UNKNOWN = "unknown"


class Digit(NamedTuple):
    """index // inner % size of a tensor's axis; each unit of it moves `weight` positions."""

    axis: int
    inner: int
    size: int
    weight: int


class Walk(NamedTuple):
    """Elements at position sum(weight * digit) see what the law says for that position."""

    digits: tuple[Digit, ...]
    law: Law


Span = tuple[Walk, ...] | Extent


# --- walks ----------------------------------------------------------------------------------------


def positions(digits: Sequence[Digit]) -> int:
    """How many positions the digits can count."""
    return sum(d.weight * (d.size - 1) for d in digits) + 1


def reached(digits: Sequence[Digit]) -> Iterator[int]:
    """All positions that the digits can come to."""
    return (sum(s) for s in product(*(range(0, d.weight * d.size, d.weight) for d in digits)))


def position(digits: Sequence[Digit], index: Sequence[int]) -> int:
    """Where the element at an index of the tensor stands."""
    return sum(d.weight * (index[d.axis] // d.inner % d.size) for d in digits)


def plain(digits: Sequence[Digit], axis: int, size: int) -> bool:
    """Whether the position is the index of that axis and nothing else."""
    return len(digits) == 1 and digits[0][:3] == (axis, 1, size)


def normal(digits: Sequence[Digit], law: Law) -> Walk:
    """The same walk in the one form in which equal walks look equal."""
    if len(digits) > 1:
        glued: list[Digit] = []
        for d in sorted((d for d in digits if d.size > 1), key=lambda d: (d.axis, -d.inner)):
            if glued and glued[-1].axis == d.axis and glued[-1].inner == d.inner * d.size:
                outer = glued[-1]
                if outer.weight == d.weight * d.size:
                    glued[-1] = Digit(d.axis, d.inner, outer.size * d.size, d.weight)
                    continue
            glued.append(d)
        digits = sorted(glued, key=lambda d: (-d.weight, d.axis, d.inner))
    if not digits:
        return Walk((), Law((pixels_at(law, 0),), 0))
    unit = gcd(*(d.weight for d in digits))
    if unit > 1:
        digits = [Digit(d.axis, d.inner, d.size, d.weight // unit) for d in digits]
        law = resample(law, 1, unit, lambda q: (q * unit,), positions(digits))
    return Walk(tuple(digits), law)


def law_along(walk: Walk, axis: int, size: int) -> Law | None:
    """The law by the plain index of one axis; None when other axes matter as well."""
    digits, law = walk
    if plain(digits, axis, size):
        return law
    if any(d.axis != axis for d in digits):
        return None
    if len(digits) == 1 and digits[0].inner * digits[0].size == size:
        inner = digits[0].inner
        return resample(law, inner, 1, lambda i: (i // inner,), size)
    places = (sum(d.weight * (i // d.inner % d.size) for d in digits) for i in range(size))
    return tidy(Law(tuple(pixels_at(law, place) for place in places), None))


def settled(walks: Iterable[Walk], length: int) -> Span:
    """The walks as a span: equal digits are merged; seeing all `length` pixels becomes WHOLE."""
    found: dict[tuple[Digit, ...], Law] = {}
    for digits, law in walks:
        before = found.get(digits)
        found[digits] = law if before is None else merged(before, law, positions(digits))
    fixed = found.get(())
    if fixed is not None:
        pixels = fixed.ranges[0]
        if pixels is None:
            del found[()]
        elif pixels[0] <= 0 and pixels[1] >= length - 1:
            return Extent.WHOLE
    return tuple(Walk(digits, law) for digits, law in found.items())


# --- spans ----------------------------------------------------------------------------------------


def goes_along(span: tuple[Walk, ...], axes: Sequence[int]) -> bool:
    """Whether position along one of these axes of the tensor matters."""
    for walk in span:
        for digit in walk.digits:  # plain loops: this is asked several times per operator
            if digit.axis in axes:
                return True
    return False


def union(spans: Sequence[Span], length: int) -> Span:
    """What elements see that depend on one element of each of several tensors (same indexing)."""
    first = spans[0]
    if all(span == first for span in spans):
        return first
    if Extent.WHOLE in spans:  # the whole and anything else is the whole
        return Extent.WHOLE
    if Extent.UNKNOWN in spans:
        return Extent.UNKNOWN
    return settled((walk for span in spans if isinstance(span, tuple) for walk in span), length)


def along(
    span: Span, axis: int, size: int, change: Callable[[Law], Law], new_size: int, length: int
) -> Span:
    """The span after an operator that moves along one axis of the tensor only."""
    if isinstance(span, Extent) or not goes_along(span, (axis,)):
        return span
    walks = []
    for walk in span:
        if not goes_along((walk,), (axis,)):
            walks.append(walk)
            continue
        law = law_along(walk, axis, size)
        if law is None:
            return Extent.UNKNOWN
        walks.append(Walk((Digit(axis, 1, new_size, 1),), change(law)))
    return tuple(walks) if len(walks) == 1 else settled(walks, length)


def contracted(span: Span, axes: Sequence[int], length: int) -> Span:
    """The span of elements that each see everything along some axes (which stay, or go after)."""
    if isinstance(span, Extent) or not goes_along(span, axes):
        return span
    walks = []
    for digits, law in span:
        kept = [d for d in digits if d.axis not in axes]
        gone = [d for d in digits if d.axis in axes]
        offsets: Sequence[int] = (0, positions(gone) - 1)
        if law.step is None or len(law.ranges) > 1:  # between the two ends may lie a wider range
            offsets = list(reached(gone))
        walks.append(normal(kept, _seen_from(law, offsets, positions(kept))))
    return settled(walks, length)


def _seen_from(law: Law, offsets: Sequence[int], count: int) -> Law:
    return resample(law, 1, 1, lambda q: (q + offset for offset in offsets), count)


def picked(span: Span, axis: int, index: int, length: int) -> Span:
    """The span of the elements at one index of an axis; the axis stays, with a single element."""
    if isinstance(span, Extent) or not goes_along(span, (axis,)):
        return span
    walks = []
    for digits, law in span:
        base = sum(d.weight * (index // d.inner % d.size) for d in digits if d.axis == axis)
        kept = [d for d in digits if d.axis != axis]
        walks.append(normal(kept, _seen_from(law, (base,), positions(kept))))
    return settled(walks, length)


def blurred(span: Span, axes: Sequence[int]) -> Span:
    """UNKNOWN if position along one of the axes matters: elements there changed places."""
    if isinstance(span, Extent) or not goes_along(span, axes):
        return span
    return Extent.UNKNOWN


def moved(span: Span, places: Sequence[int | None], length: int) -> Span:
    """The span after axis a became axis places[a]; None for an axis of one element that is gone."""
    if isinstance(span, Extent):
        return span
    walks = []
    for digits, law in span:
        new = []
        for d in digits:
            place = places[d.axis]
            if place is not None:
                new.append(Digit(place, d.inner, d.size, d.weight))
        walks.append(normal(new, law))
    return tuple(walks) if len(walks) == 1 and walks[0].digits else settled(walks, length)


def regrouped(span: Span, old: Sequence[int], new: Sequence[int], length: int) -> Span:
    """The span after a view from shape `old` to shape `new`; digits follow the linear index."""
    if isinstance(span, Extent):
        return span
    walks = []
    for digits, law in span:
        cut: list[Digit] = []
        for d in digits:
            inner = d.inner
            for size in old[d.axis + 1 :]:
                inner *= size
            parts = _cut(inner, d.size, d.weight, new)
            if parts is None:
                return Extent.UNKNOWN
            cut += parts
        walks.append(normal(cut, law))
    return settled(walks, length)


def _cut(inner: int, count: int, weight: int, shape: Sequence[int]) -> list[Digit] | None:
    """The digit `index // inner % size` of a linear index, written on the axes of a shape."""
    parts = []
    stride = 1
    for axis in range(len(shape) - 1, -1, -1):
        if count == 1:
            break
        size, below = shape[axis], stride
        stride *= size
        if stride <= inner:
            continue
        if inner % below or stride % inner:
            return None
        room = stride // inner
        here = min(room, count)
        if room % here or count % here:
            return None
        parts.append(Digit(axis, inner // below, here, weight))
        inner, count, weight = inner * here, count // here, weight * here
    return parts if count == 1 else None
