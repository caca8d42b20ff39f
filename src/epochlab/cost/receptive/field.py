"""What is reported of a receptive field, and the textbook's recurrence for a chain of windows.

A. Araujo, W. Norris, J. Sim, Computing Receptive Fields of Convolutional Neural Networks, Distill
2019 (doi 10.23915/distill.00021); V. Dumoulin, F. Visin, A guide to convolution arithmetic for deep
learning, 2016, arXiv 1603.07285.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from epochlab.cost.receptive.laws import Law, Pixels, hull, pixels_at
from epochlab.cost.receptive.spans import (
    Extent,
    Span,
    Walk,
    law_along,
    position,
    positions,
    reached,
)

Jump = int | Fraction


@dataclass(frozen=True, kw_only=True)
class AxisField:
    """The receptive field along one spatial axis of the network's input, in pixels.

    `extent` says what the numbers mean:

    - "window": `size` pixels; the next element's field lies `jump` pixels further on. After
      upsampling, `jump` is a fraction and means the average, and `size` the largest of the sizes
      that alternate; after a flip, `jump` is negative.
    - "uneven": fields of neighbours are not evenly spaced, so there is no `jump`, or their order is
      spread over several axes (after flattening, or cutting into patches). `size` is the largest.
    - "fixed": all elements see the same `size` pixels, which are not the whole axis.
    - "whole": all elements see the whole axis; `size` is its length.
    - "unknown": an operator without a rule came before; `size` is None.

    `first` and `last` are the pixels that element 0 would see if the image had no border; both
    belong to the field, and `first` is negative where padding lies. `start` is the centre of the
    two, counted as in the source above: the centre of pixel 0 is at 0.5.
    """

    extent: Literal["window", "uneven", "fixed", "whole", "unknown"]
    size: int | None
    jump: Jump | None = None
    first: int | None = None
    last: int | None = None

    @property
    def start(self) -> float | None:
        """Centre of element 0's field in pixels; None where it is not known."""
        if self.first is None or self.last is None:
            return None
        return (self.first + self.last + 1) / 2

    def text(self) -> str:
        return self.extent if self.extent in ("whole", "unknown") else str(self.size)


@dataclass(frozen=True)
class ReceptiveField:
    """The receptive field of one element of a tensor, along each spatial axis of the input."""

    axes: tuple[AxisField, ...]

    @property
    def size(self) -> tuple[int | None, ...]:
        return tuple(axis.size for axis in self.axes)

    @property
    def jump(self) -> tuple[Jump | None, ...]:
        return tuple(axis.jump for axis in self.axes)

    @property
    def start(self) -> tuple[float | None, ...]:
        return tuple(axis.start for axis in self.axes)

    def text(self) -> str:
        """For a table: "11 x 11, jump 4", "whole input", "unknown"."""
        sizes = [axis.text() for axis in self.axes]
        if set(sizes) == {"whole"}:
            return "whole input"
        if set(sizes) == {"unknown"}:
            return "unknown"
        jumps = ["-" if axis.jump is None else str(axis.jump) for axis in self.axes]
        if set(jumps) == {"-"}:
            return " x ".join(sizes)
        return (
            f"{' x '.join(sizes)}, jump {jumps[0] if len(set(jumps)) == 1 else ' x '.join(jumps)}"
        )


@dataclass(frozen=True)
class Window:
    """A convolution or pooling along one axis, all in elements."""

    kernel: int
    stride: int = 1
    padding: int = 0
    dilation: int = 1


def chain_of_windows(windows: Iterable[Window]) -> list[AxisField]:
    """The receptive field after each window of a chain, by the textbook's recurrence.

    With r the size, j the jump and c the start, all in pixels, for kernel k, stride s, padding p
    and dilation d::

        r <- r + (k - 1) d j
        c <- c + ((k - 1) d / 2 - p) j
        j <- j s

    This is the readable twin of the tracker, which does the same operator by operator in any graph.
    The convolutions and poolings of AlexNet's first two stages:

        >>> chain = [Window(11, 4), Window(3, 2), Window(5, padding=2), Window(3, 2)]
        >>> [(field.size, field.jump, field.start) for field in chain_of_windows(chain)]
        [(11, 4, 5.5), (19, 8, 9.5), (51, 8, 9.5), (67, 16, 17.5)]

    Source: see the module's docstring.
    """
    size, jump, start = 1, 1, 0.5
    fields = []
    for window in windows:
        reach = (window.kernel - 1) * window.dilation
        size += reach * jump
        start += (reach / 2 - window.padding) * jump
        jump *= window.stride
        first = int(start - size / 2)
        fields.append(
            AxisField(extent="window", size=size, jump=jump, first=first, last=first + size - 1)
        )
    return fields


def receptive_field(
    spans: Sequence[Span], lengths: Sequence[int], shape: Sequence[int]
) -> ReceptiveField:
    """The report on a tensor of that shape, for an input of `lengths` pixels along its axes."""
    used = [
        {d.axis for walk in span for d in walk.digits} if isinstance(span, tuple) else set()
        for span in spans
    ]
    axes = []
    for place, (span, length) in enumerate(zip(spans, lengths, strict=True)):
        others = set[int]().union(*used[:place], *used[place + 1 :])
        axes.append(_axis_field(span, length, shape, bool(used[place] & others)))
    return ReceptiveField(tuple(axes))


def _axis_field(span: Span, length: int, shape: Sequence[int], shared: bool) -> AxisField:
    """`shared`: a tensor's axis goes along two axes of the image, as after flattening it."""
    if span is Extent.UNKNOWN:
        return AxisField(extent="unknown", size=None)
    if span is Extent.WHOLE:
        return AxisField(extent="whole", size=length, first=0, last=length - 1)
    assert isinstance(span, tuple)
    here = element_pixels(span, length, (0,) * len(shape))
    first, last = (None, None) if here is None else here
    size = _largest(span)
    if not any(walk.digits for walk in span):
        return AxisField(extent="fixed", size=size, first=first, last=last)
    law = None if shared else _law_of_one_axis(span, shape)
    if law is None or law.step is None:
        return AxisField(extent="uneven", size=size, first=first, last=last)
    average = Fraction(law.step, len(law.ranges))
    jump = average.numerator if average.denominator == 1 else average
    return AxisField(extent="window", size=size, jump=jump, first=first, last=last)


def element_pixels(span: Span, length: int, index: Sequence[int]) -> Pixels | None:
    """First and last pixel that the element at an index sees; None for unknown or no pixel."""
    if isinstance(span, Extent):
        return (0, length - 1) if span is Extent.WHOLE else None
    return hull(pixels_at(walk.law, position(walk.digits, index)) for walk in span)


def _law_of_one_axis(span: tuple[Walk, ...], shape: Sequence[int]) -> Law | None:
    """The law by a tensor's axis, if its index, or groups of its indices, go through the image."""
    if len(span) > 1 or len(span[0].digits) > 1:
        return None
    (digit,) = span[0].digits
    size = shape[digit.axis]
    return law_along(span[0], digit.axis, size) if digit.inner * digit.size == size else None


def _largest(span: tuple[Walk, ...]) -> int:
    """The largest number of pixels that one element sees.

    Where walks meet that go by different digits, it is their common stretch over all elements: an
    upper bound.
    """
    going = [walk for walk in span if walk.digits]
    fixed = hull(pixels_at(walk.law, 0) for walk in span if not walk.digits)
    if len(going) > 1:
        seen = [hull((fixed, *(part for walk in going for part in _ranges_of(walk))))]
    elif going and fixed:
        seen = [hull((fixed, part)) for part in _ranges_of(going[0])]
    elif going and going[0].law.step is not None:  # later periods repeat the sizes
        seen = list(going[0].law.ranges[: positions(going[0].digits)])
    else:
        seen = list(_ranges_of(going[0])) if going else [fixed]
    return max((last - first + 1 for first, last in filter(None, seen)), default=0)


def _ranges_of(walk: Walk) -> Iterator[Pixels | None]:
    return (pixels_at(walk.law, place) for place in reached(walk.digits))
