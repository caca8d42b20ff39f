"""What a whole table would be for somebody who makes one of the usual mistakes.

Each function takes the right sheet and the convention of counting, and makes alternatives to it.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from epochlab.cost.checking.matching import TOTAL
from epochlab.cost.sheet import Convention, Entry, Quantity, Sheet, Value, numbers_in
from epochlab.errors import EpochlabError


@dataclass(frozen=True, kw_only=True)
class Alternative:
    """What the cells would be with one mistake."""

    sheet: Sheet
    convention: Convention
    detail: str = ""
    "what the trap's name leaves open, such as the size that was taken"
    factor: Mapping[Quantity, float] = field(default_factory=dict)
    "by which all cells of a column are multiplied"
    instead: Mapping[Quantity, Quantity] = field(default_factory=dict)
    "column -> the column whose numbers are written there"
    totals: Mapping[Quantity, int] = field(default_factory=dict)
    "totals that are not the sum of the rows"

    def value(self, row: int, quantity: Quantity) -> Value | Fraction:
        """What stands in a cell; row TOTAL is the sum."""
        source = self.instead.get(quantity, quantity)
        if row == TOTAL:
            value = self.totals.get(source, self.sheet.total(source, self.convention))
        else:
            value = self.sheet.entries[row].value(source, self.convention)
        factor = self.factor.get(quantity)
        return Fraction(factor) * value if factor and isinstance(value, int) else value


Alternatives = Callable[[Sheet, Convention], Iterable[Alternative]]


def rows_changed(change: Callable[[Entry], Entry]) -> Alternatives:
    """The alternative in which every row is changed alike."""

    def alternatives(sheet: Sheet, how: Convention) -> Iterator[Alternative]:
        yield Alternative(sheet=sheet.renewed([change(e) for e in sheet.entries]), convention=how)

    return alternatives


def _scaled(entry: Entry, weights: int, **changes: Any) -> Entry:
    """Another number of weights, each still used at every position."""
    macs = entry.macs * weights // entry.weights if entry.weights else entry.macs
    return dataclasses.replace(entry, weights=weights, macs=macs, **changes)


def _resized(entry: Entry, sides: tuple[int, ...]) -> Entry:
    """Another height and width of the output."""
    if not sides or len(sides) != len(entry.sides) or min(sides) < 1:
        return entry
    shape = (entry.output_shape[0], *sides)
    positions = numbers_in(entry.sides)
    return dataclasses.replace(entry, output_shape=shape, activations=numbers_in(shape),
                               macs=entry.macs // positions * numbers_in(sides))  # fmt: skip


def _is_convolution(entry: Entry) -> bool:
    return entry.kind == "convolution" and bool(entry.kernel)


# --- the mistakes: weights ------------------------------------------------------------------------


def ungrouped(entry: Entry) -> Entry:
    """All input channels for every filter, whatever the groups."""
    return _scaled(entry, entry.weights * entry.groups) if entry.groups > 1 else entry


def without_input_channels(entry: Entry) -> Entry:
    """k*k weights per filter."""
    if not _is_convolution(entry):
        return entry
    return _scaled(entry, numbers_in(entry.kernel) * entry.output_shape[0])


def one_filter(entry: Entry) -> Entry:
    """One filter in place of all."""
    if not _is_convolution(entry):
        return entry
    return _scaled(entry, entry.weights // entry.output_shape[0])


def unflattened(sheet: Sheet, how: Convention) -> Iterator[Alternative]:
    """Channels only, or positions only, into the first fully connected layer."""
    for pick in (slice(0, 1), slice(1, None)):

        def change(entry: Entry, pick: slice = pick) -> Entry:
            if len(entry.before) < 2:
                return entry
            return _scaled(entry, numbers_in(entry.before[pick]) * entry.output_shape[0])

        yield from rows_changed(change)(sheet, how)


def own_filters_after_pooling(sheet: Sheet, how: Convention) -> Iterator[Alternative]:
    """1x1 convolutions behind a pooling of the same branch, fed with as many channels as leave."""
    entries, last = [], None
    for entry in sheet.entries:
        inside = last is not None and last.pools and "." in entry.path and (
            last.path.rpartition(".")[0] == entry.path.rpartition(".")[0]
        )  # fmt: skip
        if inside and _is_convolution(entry) and set(entry.kernel) == {1}:
            entries.append(_scaled(entry, entry.output_shape[0] ** 2))
        else:
            entries.append(entry)
        last = entry
    if entries != list(sheet.entries):
        yield Alternative(sheet=sheet.renewed(entries), convention=how)


def without_reductions(entry: Entry) -> Entry:
    """Nothing for the cheap convolutions in front of the dear ones."""
    if not entry.path.endswith(".reduce"):
        return entry
    return dataclasses.replace(entry, weights=0, biases=0, macs=0)


def other_biases(included: bool) -> Alternatives:
    """The other convention, where it differs."""

    def alternatives(sheet: Sheet, how: Convention) -> Iterator[Alternative]:
        if how.biases != included:
            other = dataclasses.replace(how, biases=included)
            yield Alternative(sheet=sheet, convention=other)

    return alternatives


def batch_norm_counted(sheet: Sheet, how: Convention) -> Iterator[Alternative]:
    """Two parameters per channel more, where there is no normalisation."""
    if any(entry.kind == "batch normalisation" for entry in sheet.entries):
        return
    yield from rows_changed(
        lambda e: dataclasses.replace(e, weights=e.weights + 2 * e.output_shape[0])
        if _is_convolution(e) else e
    )(sheet, how)  # fmt: skip


def batch_norm_times(times: int) -> Alternatives:
    """So many times the parameters of each normalisation."""
    return rows_changed(
        lambda e: dataclasses.replace(e, weights=times * e.weights, biases=times * e.biases)
        if e.kind == "batch normalisation" else e
    )  # fmt: skip


# --- the mistakes: sizes --------------------------------------------------------------------------


def before_pooling(sheet: Sheet, how: Convention) -> Iterator[Alternative]:
    """From each pooling to the next one, the size that the image had before it."""
    sides: tuple[int, ...] = ()
    entries = []
    for entry in sheet.entries:
        if entry.pools and entry.sides:
            sides = entry.input_shape[1:]
        if sides and entry.sides:
            entries.append(_resized(entry, sides))
        elif sides and len(entry.before) > 1 and entry.kind == "linear":
            entries.append(_scaled(entry, entry.before[0] * numbers_in(sides)
                                   * entry.output_shape[0]))  # fmt: skip
        else:
            entries.append(entry)
    yield Alternative(sheet=sheet.renewed(entries), convention=how)


def window_sizes(stride: bool = True, padding: bool = True, more: int = 0) -> Alternatives:
    """The output size by the formula, with something left out or one pixel more or less."""

    def change(entry: Entry) -> Entry:
        if not entry.kernel or not entry.sides:
            return entry
        if more:
            return _resized(entry, tuple(side + more for side in entry.sides))
        sides = []
        for n, k, s, p in zip(entry.input_shape[1:], entry.kernel, entry.stride, entry.padding,
                              strict=True):  # fmt: skip
            step, border = (s if stride else 1), (p if padding else 0)
            rest = n + 2 * border - k
            sides.append((-(-rest // step) if entry.rounds_up else rest // step) + 1)
        return _resized(entry, tuple(sides)) if tuple(sides) != entry.sides else entry

    return rows_changed(change)


def off_by_one(sheet: Sheet, how: Convention) -> Iterator[Alternative]:
    """One pixel less or more per side."""
    for more in (-1, 1):
        yield from window_sizes(more=more)(sheet, how)


def without_padding(sheet: Sheet, how: Convention) -> Iterator[Alternative]:
    """In one layer at a time, and in all of them, so that the image shrinks on the way."""
    yield from window_sizes(padding=False)(sheet, how)
    entries: list[Entry] = []
    sides: tuple[int, ...] = ()
    for entry in sheet.entries:
        follows = not entries or entry.input_shape == sheet.entries[len(entries) - 1].output_shape
        if entry.kernel and follows and len(sides) == len(entry.kernel):
            sides = tuple((n - k) // s + 1 for n, k, s in
                          zip(sides, entry.kernel, entry.stride, strict=True))  # fmt: skip
            entries.append(_resized(entry, sides))
        else:
            sides = entry.sides
            entries.append(entry)
        if min(sides, default=0) < 1:
            break  # nothing is left of the image
    entries += sheet.entries[len(entries) :]
    yield Alternative(sheet=sheet.renewed(entries), convention=how)


def other_input(sheet: Sheet, how: Convention) -> Iterator[Alternative]:
    """The whole network on images of another usual size."""
    if sheet.exercise is None or len(sheet.exercise.input_shape) != 3:
        return
    channels, *sides = sheet.exercise.input_shape
    for side in (224, 227, 32, 28):
        if [side, side] != sides:
            detail = f"{side}x{side} in place of {'x'.join(map(str, sides))}"
            with contextlib.suppress(EpochlabError):  # too small, for example
                other = sheet.exercise.sheet((channels, side, side))
                if [e.path for e in other.entries] == [e.path for e in sheet.entries]:
                    yield Alternative(sheet=other, convention=how, detail=detail)


def branch_forgotten(sheet: Sheet, how: Convention) -> Iterator[Alternative]:
    """The concatenation without the pooling branch, or with all the channels that it pools."""
    if sheet.entries[-1].kind != "concatenation":
        return
    joined = sheet.entries[-1]
    pooled = [e for e in sheet.entries if "pool" in e.path]
    if not pooled:
        return
    out, inside = pooled[-1].output_shape[0], pooled[0].input_shape[0]
    for channels in (joined.output_shape[0] - out, joined.output_shape[0] - out + inside):
        shape = (channels, *joined.sides)
        if shape != joined.output_shape:
            changed = dataclasses.replace(joined, output_shape=shape, activations=numbers_in(shape))
            yield Alternative(sheet=sheet.renewed((*sheet.entries[:-1], changed)), convention=how)


def one_channel(entry: Entry) -> Entry:
    """Positions in place of activations."""
    if not entry.sides:
        return entry
    return dataclasses.replace(entry, activations=numbers_in(entry.sides))


# --- the mistakes: counting -----------------------------------------------------------------------


def other_count(sheet: Sheet, how: Convention) -> Iterator[Alternative]:
    """The other conventions of counting operations."""
    for count in ("macs", "flops", "full"):
        if count != how.count:
            names = {"macs": "multiply-accumulates", "flops": "2 per multiply-accumulate",
                     "full": "with biases, activations and pooling"}  # fmt: skip
            other = dataclasses.replace(how, count=count)
            yield Alternative(sheet=sheet, convention=other, detail=names[count] + " given")


def in_bytes(sheet: Sheet, how: Convention) -> Iterator[Alternative]:
    """Four bytes per number."""
    columns: tuple[Quantity, ...] = ("activations", "parameters", "weights", "biases")
    yield Alternative(sheet=sheet, convention=how, factor=dict.fromkeys(columns, 4.0))


def other_column(column: Quantity, source: Quantity) -> Alternatives:
    """The numbers of another column."""

    def alternatives(sheet: Sheet, how: Convention) -> Iterator[Alternative]:
        yield Alternative(sheet=sheet, convention=how, instead={column: source})

    return alternatives


def total_of(*kinds: str, hidden: bool = False) -> Alternatives:
    """The total of activations without rows of these kinds, or with activation functions."""

    def alternatives(sheet: Sheet, how: Convention) -> Iterator[Alternative]:
        numbers = [e.activations for e in sheet.entries if e.in_total
                   and not (e.kind in kinds or (e.pools and "pooling" in kinds))]  # fmt: skip
        total = sum(numbers) + (sheet.hidden_activations if hidden else 0)
        yield Alternative(sheet=sheet, convention=how, totals={"activations": total})

    return alternatives


def any_of(*makers: Alternatives) -> Alternatives:
    """All alternatives of several mistakes."""

    def alternatives(sheet: Sheet, how: Convention) -> Iterator[Alternative]:
        for maker in makers:
            yield from maker(sheet, how)

    return alternatives
