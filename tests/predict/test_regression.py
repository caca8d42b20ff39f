"""The surface through points: it finds what made them, and knows where it does not know."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from epochlab.predict.regression import fit_surface


@settings(deadline=None, max_examples=20)
@given(slopes=st.lists(st.floats(-1, 1), min_size=1, max_size=4), seed=st.integers(0, 1000))
def test_a_plane_is_found(slopes: list[float], seed: int) -> None:
    random = np.random.default_rng(seed)
    x = random.normal(size=(60, len(slopes)))
    surface = fit_surface(x, x @ slopes + 3)
    new = random.normal(size=(20, len(slopes))) * 0.7
    values, deviations = surface.at(new)
    assert np.abs(values - (new @ slopes + 3)).mean() < 0.1
    assert (deviations > 0).all()


def test_a_curve_is_found_to_its_noise() -> None:
    random = np.random.default_rng(1)
    x = random.uniform(-3, 3, size=(120, 2))

    def truth(x: np.ndarray) -> np.ndarray:
        return np.sin(x[:, 0]) + 0.3 * x[:, 1]

    surface = fit_surface(x, truth(x) + random.normal(scale=0.1, size=120))
    new = random.uniform(-2.5, 2.5, size=(200, 2))
    values, deviations = surface.at(new)
    errors = values - truth(new)
    assert np.abs(errors).mean() < 0.08
    # The deviation is that of a new point with its noise.
    noise = random.normal(scale=0.1, size=200)
    assert np.mean(np.abs(errors + noise) < 1.28 * deviations) > 0.7


def test_the_left_out_residuals_are_those_of_fits_without_the_point() -> None:
    random = np.random.default_rng(2)
    x = random.normal(size=(25, 2))
    y = x[:, 0] ** 2 + random.normal(scale=0.05, size=25)
    surface = fit_surface(x, y)
    kept = np.arange(25) != 7
    inner = np.linalg.inv(np.linalg.inv(surface.inverse)[np.ix_(kept, kept)])
    between = (np.linalg.inv(surface.inverse))[7, kept]
    predicted = surface.mean + between @ inner @ (y[kept] - surface.mean)
    assert surface.left_out[7] == pytest.approx(y[7] - predicted, rel=1e-6)


def test_far_from_all_points_it_is_less_sure() -> None:
    x = np.linspace(0, 1, 20)[:, None]
    surface = fit_surface(x, x[:, 0])
    (_, near), (_, far) = surface.at(np.array([[0.5]])), surface.at(np.array([[9.0]]))
    assert far[0] > 3 * near[0]


def test_one_point_and_a_variable_that_never_changes() -> None:
    assert fit_surface(np.array([[1.0, 2.0]]), np.array([5.0])).at(np.array([[1.0, 2.0]]))[0] == 5
    x = np.column_stack([np.linspace(0, 1, 9), np.ones(9)])
    values, _ = fit_surface(x, x[:, 0]).at(x)
    assert np.abs(values - x[:, 0]).max() < 0.1
