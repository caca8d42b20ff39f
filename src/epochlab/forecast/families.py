"""Plain curves beside our own: what they say is printed next to it, and replayed against it.

They know nothing of the schedule to come. Each takes positions and values, and gives back a
function from positions to values.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np

from epochlab.forecast.nonnegative import Floats
from epochlab.forecast.optimus import fit_loss_curve, outlying

Predict = Callable[[Floats], Floats]
Family = Callable[[Floats, Floats], Predict]
Shape = Callable[[Floats, Floats, Floats], Floats]

EXPONENTS: Final = np.linspace(np.log(0.05), np.log(5.0), 25)  # logarithms of b
SHIFTS: Final = np.linspace(0.0, 1.5, 13)  # cube roots of s, in units of the last position
SPEEDS: Final = np.linspace(np.log(0.1), np.log(100.0), 60)  # logarithms of b, per last position
ROUNDS = 8  # of ever finer grids


def optimus(at: Floats, values: Floats) -> Predict:
    """1 / (b0 k + b1) + b2, as Optimus fits it."""
    curve = fit_loss_curve(at, values).curve

    def predict(k: Floats) -> Floats:
        return np.asarray([curve.loss_at(float(t)) for t in k])

    return predict


def power_law(at: Floats, values: Floats) -> Predict:
    """a (k + s)^-b + c with a, b, c, s >= 0, by least squares."""
    last = float(at[-1])

    def shape(k: Floats, exponent: Floats, shift: Floats) -> Floats:
        added = shift**3 * last
        # Divided by the first, so that no power overflows.
        return np.asarray(((k + added) / (at[0] + added)) ** -np.exp(exponent))

    return _best(at, values, shape, EXPONENTS, SHIFTS)


def exponential(at: Floats, values: Floats) -> Predict:
    """a exp(-b k) + c with a, b, c >= 0, by least squares."""
    last = float(at[-1])

    def shape(k: Floats, speed: Floats, _: Floats) -> Floats:
        return np.asarray(np.exp(-np.exp(speed) * (k - at[0]) / last))

    return _best(at, values, shape, SPEEDS, np.zeros(1))


def log_log_line(at: Floats, values: Floats) -> Predict:
    """log l = p - q log k, a straight line on logarithmic axes, by least squares."""
    seen = values > 0
    if seen.sum() < 2:
        return last_value(at, values)
    slope, height = np.polyfit(np.log(at[seen]), np.log(values[seen]), 1)
    return lambda k: np.asarray(np.exp(height + slope * np.log(k)))


def last_value(at: Floats, values: Floats) -> Predict:
    """What was seen last, for ever."""
    return lambda k: np.full(len(k), values[-1])


FAMILIES: Final[dict[str, Family]] = {
    "Optimus": optimus, "power law": power_law, "exponential": exponential,
    "log-log line": log_log_line, "last value": last_value,
}  # fmt: skip


def fitted(name: str, at: Floats, values: Floats) -> Predict:
    """The family of that name fitted to the points that are no outliers."""
    kept = ~outlying(values)
    return FAMILIES[name](at[kept], values[kept])


def crossing(said: Floats, positions: Floats, level: float) -> float | None:
    """The first position at which what is said is `level` or lower; None if there is none."""
    below = np.flatnonzero(said <= level)
    return float(positions[below[0]]) if len(below) else None


def _best(at: Floats, values: Floats, shape: Shape, first: Floats, second: Floats) -> Predict:
    """Least squares of height * shape + floor; the two inner numbers by nested search.

    For each of some second numbers the best first one, by ever finer grids; then the same for
    second numbers around the best. (The two can make good for each other, so that a search in
    both at once creeps along a valley.)
    """
    found, least = (0.0, 0.0, 0.0, 0.0), np.inf
    for _ in range(ROUNDS):
        ones = np.broadcast_to(first, (len(second), len(first)))
        for _ in range(ROUNDS):
            pairs = ones.ravel(), np.repeat(second, ones.shape[1])
            shapes = shape(at, pairs[0][:, None], pairs[1][:, None])
            heights, floors, squares = _heights(shapes, values)
            place = int(np.argmin(squares))
            if squares[place] < least:
                least = float(squares[place])
                one, two = float(pairs[0][place]), float(pairs[1][place])
                found = (one, two, float(heights[place]), float(floors[place]))
            best = squares.reshape(ones.shape).argmin(axis=1)
            ones = np.array([_around(row, int(b)) for row, b in zip(ones, best, strict=True)])
        if len(second) == 1:
            break
        second = _around(second, int(np.abs(second - found[1]).argmin()))
    one, two, height, floor = found
    return lambda k: np.asarray(height * shape(k, np.asarray(one), np.asarray(two)) + floor)


def _around(grid: Floats, best: int) -> Floats:
    """Nine values between the neighbours of the best one."""
    return np.linspace(grid[max(best - 1, 0)], grid[min(best + 1, len(grid) - 1)], 9)


def _heights(shapes: Floats, values: Floats) -> tuple[Floats, Floats, Floats]:
    """For each row of `shapes`: height, floor >= 0 of the least squares, and these squares.

    With two unknowns the optimum has both free, or one of them 0, or both; the best of these that
    has no negative number is it.
    """
    points, total = len(values), float(values.sum())
    square, line, along = (shapes**2).sum(axis=1), shapes.sum(axis=1), shapes @ values
    determinant = points * square - line**2
    safe = np.where(determinant > 1e-12 * points * square, determinant, np.inf)
    zero = np.zeros(len(shapes))
    both = ((points * along - line * total) / safe, (square * total - line * along) / safe)
    candidates = (both, (along / square, zero), (zero, zero + total / points), (zero, zero))
    best = tuple(np.full(len(shapes), np.inf) for _ in range(3))
    for height, floor in candidates:
        squares = ((height[:, None] * shapes + floor[:, None] - values) ** 2).sum(axis=1)
        better = (height >= 0) & (floor >= 0) & (squares < best[2])
        best = tuple(
            np.where(better, new, old)
            for new, old in zip((height, floor, squares), best, strict=True)
        )
    return best[0], best[1], best[2]
