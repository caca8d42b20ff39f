"""The plain curves find their own numbers again."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import nnls

from epochlab.forecast.families import FAMILIES, _heights, crossing, fitted

AT = np.arange(1.0, 21.0)
LATER = np.arange(21.0, 101.0)


@given(height=st.floats(0.1, 10), exponent=st.floats(0.2, 3), shift=st.floats(0, 20),
       floor=st.floats(0, 2))  # fmt: skip
def test_power_law_finds_itself(height: float, exponent: float, shift: float, floor: float) -> None:
    def true(k: np.ndarray) -> np.ndarray:
        return height * ((k + shift) / (1 + shift)) ** -exponent + floor

    said = fitted("power law", AT, true(AT))
    # An exponent and a shift can make good for each other, so the curve is what is compared.
    assert np.abs(said(AT) - true(AT)).max() <= 1e-3 * height
    if shift == 0:
        assert np.abs(said(LATER) - true(LATER)).max() <= 1e-3 * height


@given(height=st.floats(0.1, 10), speed=st.floats(0.01, 1), floor=st.floats(0, 2))
def test_exponential_finds_itself(height: float, speed: float, floor: float) -> None:
    def true(k: np.ndarray) -> np.ndarray:
        return height * np.exp(-speed * k) + floor

    said = fitted("exponential", AT, true(AT))
    assert np.abs(said(LATER) - true(LATER)).max() <= 1e-4 * height


@given(height=st.floats(0.1, 10), exponent=st.floats(0, 2))
def test_log_log_line_finds_itself(height: float, exponent: float) -> None:
    true = height * AT**-exponent
    assert fitted("log-log line", AT, true)(LATER) == pytest.approx(height * LATER**-exponent)


def test_optimus_and_last_value() -> None:
    true = 1 / (0.1 * AT + 0.5) + 0.2
    assert fitted("Optimus", AT, true)(LATER) == pytest.approx(1 / (0.1 * LATER + 0.5) + 0.2)
    assert set(fitted("last value", AT, true)(LATER)) == {true[-1]}


@given(seed=st.integers(0, 2**32))
def test_heights_are_those_of_scipy(seed: int) -> None:
    random = np.random.default_rng(seed)
    shapes, values = random.normal(size=(4, 9)), random.normal(size=9)
    heights, floors, squares = _heights(shapes, values)
    for shape, height, floor, found in zip(shapes, heights, floors, squares, strict=True):
        theirs, distance = nnls(np.column_stack([shape, np.ones(9)]), values)
        assert (height, floor) == pytest.approx(tuple(theirs), abs=1e-9)
        assert found == pytest.approx(distance**2)


@pytest.mark.parametrize("name", FAMILIES)
def test_an_outlier_does_not_change_what_is_said(name: str) -> None:
    true = 2.0 * AT**-0.5
    spoiled = true.copy()
    spoiled[9] = 8.0
    # Curves that are not the true one fit one point less a little differently.
    without = fitted(name, np.delete(AT, 9), np.delete(true, 9))(LATER)
    assert fitted(name, AT, spoiled)(LATER) == pytest.approx(without)


def test_crossing() -> None:
    assert crossing(np.array([3.0, 2.0, 1.0]), np.array([10.0, 20.0, 30.0]), 2.0) == 20.0
    assert crossing(np.array([3.0, 2.0, 1.0]), np.array([10.0, 20.0, 30.0]), 0.5) is None
