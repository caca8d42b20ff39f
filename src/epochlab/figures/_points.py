"""From a table's rows to the few numbers that a picture needs."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from epochlab.errors import UnknownName
from epochlab.table import Column, Table

Point = dict[str, Any]

POINTS = 3000
"most points that one picture draws; tables may hold any number"


def column_of(table: Table, name: str) -> Column:
    """The table's column called `name`. Raises UnknownName."""
    for column in table.columns:
        if column.name == name:
            return column
    raise UnknownName(f"column in the table '{table.title}'", name, [c.name for c in table.columns])


def is_numeric(values: Sequence[Any]) -> bool:
    """Whether all values are numbers or not known, and at least one is a number."""
    known = [v for v in values if v is not None]
    return bool(known) and all(
        isinstance(v, (int, float)) and not isinstance(v, bool) for v in known
    )


def is_finite(value: Any) -> bool:
    return isinstance(value, (int, float)) and math.isfinite(value)


def short(value: Any) -> Any:
    """A number with seven digits, more than a screen can show; other values as they are."""
    if isinstance(value, float) and math.isfinite(value):
        return float(f"{value:.7g}")
    return value


def thinned(points: list[Point], keep: int, log_x: bool = False) -> list[Point]:
    """At most about `keep` points of a curve, its extremes kept.

    The x axis is cut into equal stretches (equal as drawn: in decades on a logarithmic axis); of
    each, the first, the lowest, the highest and the last point stay. `x` and `y` must be finite.
    """
    if len(points) <= keep:
        return points
    place: Callable[[Point], float] = (
        (lambda p: math.log(p["x"])) if log_x else (lambda p: float(p["x"]))
    )
    places = [place(p) for p in points]
    low, width = min(places), max(places) - min(places)
    stretches = max(1, keep // 4)
    by_stretch: dict[int, list[int]] = {}
    for i, at in enumerate(places):
        number = min(stretches - 1, int((at - low) / width * stretches)) if width else 0
        by_stretch.setdefault(number, []).append(i)
    kept: set[int] = set()
    for members in by_stretch.values():
        by_height = lambda i: points[i]["y"]  # noqa: E731 - reads best where it is used
        kept |= {members[0], members[-1], min(members, key=by_height), max(members, key=by_height)}
    return [points[i] for i in sorted(kept)]


def running_mean(values: Sequence[float], window: int) -> list[float]:
    """Mean over `window` neighbours, centred; at the ends over those that there are."""
    sums = [0.0]
    for value in values:
        sums.append(sums[-1] + value)
    half, n = window // 2, len(values)
    ends = ((max(0, i - half), min(n, i + half + 1)) for i in range(n))
    return [(sums[last] - sums[first]) / (last - first) for first, last in ends]


def powers(values: Sequence[float], base: int) -> list[float]:
    """The powers of `base` that a logarithmic axis over `values` should be marked with."""
    low, high = min(values), max(values)
    first, last = math.floor(math.log(low, base)), math.ceil(math.log(high, base))
    step = max(1, math.ceil((last - first) / 12))
    marks = [float(base) ** e for e in range(first, last + 1, step)]
    if base == 10 and last - first <= 3:
        marks = sorted({m * 10.0**e for m in (1, 2, 5) for e in range(first, last + 1)})
    return marks


def counted(number: int, what: str) -> str:
    """`1, 'point'` -> '1 point'; `1200, 'point'` -> '1,200 points'."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"
