"""The law by which the pixels that an element sees move on from element to element.

A law continues over a tensor's border as if the image had no border. So the numbers are those of
elements far from it, and may exceed the image, as in published tables.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import pairwise
from math import gcd, lcm
from typing import NamedTuple

# Longer periods (from chains of uneven resizing) are written out as lists instead.
LONGEST_PERIOD = 4096

Pixels = tuple[int, int]


class Law(NamedTuple):
    """`ranges` repeat, moved by `step` pixels each time; with step None they are a finite list."""

    ranges: tuple[Pixels | None, ...]
    step: int | None


def pixels_at(law: Law, position: int) -> Pixels | None:
    """What the element at a position sees; None for no pixel at all."""
    ranges, step = law
    if step is None:
        return ranges[position] if 0 <= position < len(ranges) else None
    turns, phase = divmod(position, len(ranges))
    return shifted(ranges[phase], turns * step)


def shifted(pixels: Pixels | None, by: int) -> Pixels | None:
    """The same stretch, `by` pixels further on."""
    return None if pixels is None else (pixels[0] + by, pixels[1] + by)


def hull(parts: Iterable[Pixels | None]) -> Pixels | None:
    """The shortest stretch that covers all parts."""
    seen = [part for part in parts if part is not None]
    if not seen:
        return None
    return min(first for first, _ in seen), max(last for _, last in seen)


def resample(
    law: Law, produced: int, consumed: int, sources: Callable[[int], Iterable[int]], count: int
) -> Law:
    """The law of elements that each see all of `sources(position)`, positions in the old law.

    `produced` elements later the sources lie `consumed` positions later (which may be negative);
    `count` elements exist.
    """
    ranges, step = law
    if step is not None:
        repeats = len(ranges) // gcd(len(ranges), consumed)
        period = produced * repeats
        if period <= LONGEST_PERIOD:
            seen = tuple(hull(pixels_at(law, q) for q in sources(o)) for o in range(period))
            return tidy(Law(seen, step * (consumed * repeats // len(ranges))))
    seen = tuple(hull(pixels_at(law, q) for q in sources(o)) for o in range(count))
    return tidy(Law(seen, None))


def slide(law: Law, kernel: int, stride: int, padding: int, dilation: int, count: int) -> Law:
    """The law after a window: element o sees o * stride - padding + t * dilation, t < kernel."""
    ranges, step = law
    if step is not None and len(ranges) == 1 and ranges[0] is not None:
        first, last = ranges[0]
        low, high = -padding * step, ((kernel - 1) * dilation - padding) * step
        if step < 0:
            low, high = high, low
        return Law(((first + low, last + high),), step * stride)
    taps = range(-padding, (kernel - 1) * dilation - padding + 1, dilation)
    return resample(law, 1, stride, lambda o: (o * stride + t for t in taps), count)


def tidy(law: Law) -> Law:
    """The same law with the shortest period; a list that has an order becomes a law with one."""
    ranges, step = law
    size = len(ranges)
    if step is None:
        if size > 1 and None not in ranges:
            by = ranges[1][0] - ranges[0][0]  # type: ignore[index]
            if all(shifted(a, by) == b for a, b in pairwise(ranges)):
                return Law(ranges[:1], by)
        return law
    for short in range(1, size // 2 + 1):
        if size % short == 0 and step * short % size == 0:
            by = step * short // size
            later = zip(ranges, ranges[short:], strict=False)
            if all(shifted(a, by) == b for a, b in later):
                return Law(ranges[:short], by)
    return law


def merged(a: Law, b: Law, count: int) -> Law:
    """The law of elements that see what both laws say; a list where the two drift apart."""
    if a == b:
        return a
    if a.step is not None and b.step is not None:
        period = lcm(len(a.ranges), len(b.ranges))
        if a.step * len(b.ranges) == b.step * len(a.ranges) and period <= LONGEST_PERIOD:
            both = tuple(hull((pixels_at(a, q), pixels_at(b, q))) for q in range(period))
            return tidy(Law(both, a.step * period // len(a.ranges)))
    return tidy(Law(tuple(hull((pixels_at(a, q), pixels_at(b, q))) for q in range(count)), None))
