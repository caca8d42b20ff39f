"""Least squares whose unknowns may not be negative, for a line and for one over a line."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

MOST_UNKNOWNS = 10  # 1024 sets of unknowns; the models here have two to five
ROUNDS = 200
LEAST_GAIN = 1e-14  # relative; a round that gains less is the last one


def nonnegative_least_squares(matrix: Floats, target: Floats) -> Floats:
    """The coefficients c >= 0 with the least |matrix @ c - target|.

    `matrix` has one row per equation and one column per unknown, at most 10; `target` has one
    number per row. At the optimum some coefficients are 0 and the others solve the least squares
    problem of their columns alone, so every set of columns is solved and the best one without a
    negative number wins. This is exact, and cheap: one QR decomposition leaves a triangle of a few
    rows, however many equations there are.

        >>> matrix = np.array([[1.0, 0.0], [1.0, 1.0], [1.0, 2.0]])
        >>> nonnegative_least_squares(matrix, np.array([1.0, 3.0, 5.0])).round(12).tolist()
        [1.0, 2.0]
        >>> nonnegative_least_squares(matrix, np.array([5.0, 3.0, 1.0])).round(12).tolist()
        [3.0, 0.0]
    """
    unknowns = matrix.shape[1]
    assert unknowns <= MOST_UNKNOWNS
    # Columns of length 1, so that no unknown is lost for its unit alone.
    lengths = np.sqrt((matrix * matrix).sum(axis=0))
    lengths[lengths == 0] = 1.0
    triangle: Floats = np.linalg.qr(np.column_stack([matrix / lengths, target]))[1]
    columns, right = triangle[:, :unknowns], triangle[:, unknowns]
    best, least = np.zeros(unknowns), float(right @ right)
    for size in range(1, unknowns + 1):
        for chosen in map(list, combinations(range(unknowns), size)):
            found = np.linalg.lstsq(columns[:, chosen], right, rcond=None)[0]
            miss = columns[:, chosen] @ found - right
            if (found >= 0).all() and float(miss @ miss) < least:
                least = float(miss @ miss)
                best = np.zeros(unknowns)
                best[chosen] = found
    scaled: Floats = best / lengths
    return scaled


def reciprocal_values(matrix: Floats, coefficients: Floats) -> Floats:
    """1 / (matrix @ c) + o, where `coefficients` is c, followed by o if it is one number longer."""
    unknowns = matrix.shape[1]
    offset = coefficients[unknowns] if len(coefficients) > unknowns else 0.0
    with np.errstate(divide="ignore", over="ignore"):
        values: Floats = 1.0 / (matrix @ coefficients[:unknowns]) + offset
    return values


def reciprocal_slopes(matrix: Floats, coefficients: Floats) -> Floats:
    """Derivatives of `reciprocal_values`: one row per value, one column per coefficient."""
    unknowns = matrix.shape[1]
    inverse = reciprocal_values(matrix, coefficients[:unknowns])
    slopes: Floats = -(inverse**2)[:, None] * matrix
    if len(coefficients) > unknowns:
        slopes = np.column_stack([slopes, np.ones(len(matrix))])
    return slopes


def fit_reciprocal(matrix: Floats, target: Floats, start: Floats, weights: Floats) -> Floats:
    """Coefficients >= 0 that minimise the weighted squares of `reciprocal_values` - `target`.

    `start` holds the first guess (with the offset last, if there is one), `weights` one factor per
    residual. The method is that of Gauss and Newton: put the straight line that touches the model
    in its place, solve for non-negative coefficients, go there, or half as far while the squares
    do not fall. So the answer is never worse than the guess.
    """
    here: Floats = start

    def squares(at: Floats) -> Any:
        miss = weights * (reciprocal_values(matrix, at) - target)
        return miss @ miss

    least = squares(here)
    for _ in range(ROUNDS):
        slopes = reciprocal_slopes(matrix, here)
        wanted = target - reciprocal_values(matrix, here) + slopes @ here
        if not np.isfinite(wanted).all():
            return here
        goal = nonnegative_least_squares(weights[:, None] * slopes, weights * wanted)
        for halvings in range(40):
            there: Floats = here + (goal - here) / 2**halvings
            if squares(there) < least:
                break
        else:
            return here
        gained = least - squares(there)
        here, least = there, squares(there)
        if gained <= LEAST_GAIN * least:
            return here
    return here
