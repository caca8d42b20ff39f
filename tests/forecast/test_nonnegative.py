"""Least squares without negative unknowns, beside scipy's, and one over a line."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import least_squares, nnls

from epochlab.forecast.nonnegative import (
    Floats,
    fit_reciprocal,
    nonnegative_least_squares,
    reciprocal_slopes,
    reciprocal_values,
)


def numbers(seed: int, rows: int, columns: int) -> tuple[Floats, Floats]:
    random = np.random.default_rng(seed)
    return random.normal(size=(rows, columns)), random.normal(size=rows)


@given(seed=st.integers(0, 2**32), rows=st.integers(1, 12), columns=st.integers(1, 5))
def test_as_good_as_scipy(seed: int, rows: int, columns: int) -> None:
    matrix, target = numbers(seed, rows, columns)
    found = nonnegative_least_squares(matrix, target)
    theirs, distance = nnls(matrix, target)
    assert (found >= 0).all()
    assert np.linalg.norm(matrix @ found - target) == pytest.approx(distance, abs=1e-9)
    if rows >= columns:  # else there may be many answers
        assert found == pytest.approx(theirs, abs=1e-7)


@given(seed=st.integers(0, 2**32), power=st.integers(-200, 200))
def test_the_unit_of_a_column_changes_its_coefficient_alone(seed: int, power: int) -> None:
    matrix, target = numbers(seed, 8, 3)
    units = np.array([1.0, 2.0**power, 1.0])
    found = nonnegative_least_squares(matrix * units, target)
    assert found * units == pytest.approx(nonnegative_least_squares(matrix, target), rel=1e-9)


def test_columns_of_zeros_and_equal_columns() -> None:
    zero = nonnegative_least_squares(np.array([[0.0, 1.0], [0.0, 1.0]]), np.array([1.0, 3.0]))
    assert zero.tolist() == pytest.approx([0.0, 2.0])
    twice = nonnegative_least_squares(np.ones((3, 2)), np.array([1.0, 2.0, 3.0]))
    assert twice.sum() == pytest.approx(2.0)


@given(seed=st.integers(0, 2**32))
def test_slopes_are_those_of_the_values(seed: int) -> None:
    random = np.random.default_rng(seed)
    matrix, at = random.uniform(0.5, 2, (6, 2)), random.uniform(0.5, 2, 3)
    for place in range(3):
        step = np.zeros(3)
        step[place] = 1e-6
        rise = reciprocal_values(matrix, at + step) - reciprocal_values(matrix, at - step)
        assert reciprocal_slopes(matrix, at)[:, place] == pytest.approx(rise / 2e-6, rel=1e-6)


@given(seed=st.integers(0, 2**32))
def test_reciprocal_fit_is_at_least_as_good_as_scipys(seed: int) -> None:
    random = np.random.default_rng(seed)
    matrix = np.column_stack([np.linspace(0, 1, 30), np.ones(30)])
    truth = np.array([random.uniform(1, 20), random.uniform(0.5, 2), random.uniform(0, 0.5)])
    target = reciprocal_values(matrix, truth) + random.normal(0, 0.02, 30)
    weights = np.ones(30)
    found = fit_reciprocal(matrix, target, np.array([5.0, 1.0, 0.1]), weights)

    def miss(at: Floats) -> Floats:
        return np.asarray(reciprocal_values(matrix, at) - target)

    theirs = least_squares(miss, [5.0, 1.0, 0.1], bounds=(0, np.inf))
    assert (found >= 0).all()
    assert miss(found) @ miss(found) <= 2 * theirs.cost * (1 + 1e-6)


def test_a_fit_is_never_worse_than_its_start() -> None:
    matrix = np.array([[0.0, 1.0], [1.0, 1.0], [2.0, 1.0]])
    target, start = np.array([1.0, 0.5, 1 / 3]), np.array([1.0, 1.0])
    found = fit_reciprocal(matrix, target, start, np.ones(3))
    assert found.tolist() == pytest.approx([1.0, 1.0], abs=1e-12)
