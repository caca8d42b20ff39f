"""Speed models fitted to measurements: coefficients recovered, a measured grid, mistakes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import least_squares

from epochlab.errors import BadData, BadOption
from epochlab.predict import (
    AsynchronousSpeed,
    SpeedModel,
    SynchronousSpeed,
    fit_asynchronous,
    fit_synchronous,
    resnet50_speed,
)
from epochlab.studies._server_grid import published_speeds

PAIRS = [(1, 1), (2, 1), (4, 2), (8, 3), (3, 8), (6, 6), (2, 5), (10, 4)]


def measured(model: SpeedModel, pairs: list[tuple[int, int]]) -> list[tuple[int, int, float]]:
    return [(w, p, model.speed(w, p)) for w, p in pairs]


# A coefficient is 0 or large enough to be seen.
coefficient = st.just(0.0) | st.floats(0.05, 10)


@settings(deadline=None)
@given(t0=st.floats(0.05, 10), rest=st.tuples(*[coefficient] * 4))
def test_synchronous_coefficients_are_recovered(t0: float, rest: tuple[float, ...]) -> None:
    t1, t2, t3, t4 = rest
    truth = SynchronousSpeed(t0=t0, t1=t1, t2=t2, t3=t3, t4=t4, batch=32)
    fit = fit_synchronous(measured(truth, PAIRS), batch=32)
    assert fit.model.coefficients == pytest.approx(truth.coefficients, rel=1e-6, abs=1e-6)
    assert fit.mean_relative_error < 1e-8


@settings(deadline=None)
@given(t0=st.floats(0.05, 10), rest=st.tuples(*[coefficient] * 3))
def test_asynchronous_coefficients_are_recovered(t0: float, rest: tuple[float, ...]) -> None:
    t1, t2, t3 = rest
    truth = AsynchronousSpeed(t0=t0, t1=t1, t2=t2, t3=t3)
    fit = fit_asynchronous(measured(truth, PAIRS))
    assert fit.model.coefficients == pytest.approx(truth.coefficients, rel=1e-6, abs=1e-6)


def test_as_few_measurements_as_coefficients() -> None:
    truth = resnet50_speed()
    fit = fit_synchronous(measured(truth, PAIRS[:5]), batch=40)
    assert fit.model.coefficients == pytest.approx(truth.coefficients, abs=1e-9)
    other = AsynchronousSpeed(t0=2.0, t1=3.0, t2=0.1, t3=0.2)
    found = fit_asynchronous(measured(other, PAIRS[:4])).model
    assert found.coefficients == pytest.approx(other.coefficients, abs=1e-9)


def test_measured_grid_as_scipy_fits_it() -> None:
    fit = fit_synchronous(published_speeds(), batch=32)
    rows = np.array([SynchronousSpeed.terms(w, p, 32) for w, p, _ in published_speeds()])
    speeds = np.array([f for _, _, f in published_speeds()])
    theirs = least_squares(
        lambda t: 1 / (rows @ t) - speeds, np.full(5, 0.1), bounds=(0, np.inf),
        xtol=1e-14, ftol=1e-14, gtol=1e-14,
    )  # fmt: skip
    assert fit.model.coefficients == pytest.approx(theirs.x, abs=1e-5)
    assert sum(r * r for r in fit.residuals) <= 2 * theirs.cost
    # Printed by this fit; they guard against a silent change.
    assert [round(t, 5) for t in fit.model.coefficients] == [0.00451, 0.44151, 0.48548, 0.0, 0.0]
    assert fit.r_squared == pytest.approx(0.9080, abs=5e-5)
    assert fit.mean_relative_error == pytest.approx(0.1083, abs=5e-5)


@given(unit=st.floats(1e-6, 1e6))
@settings(deadline=None, max_examples=20)
def test_the_unit_of_time_scales_the_coefficients(unit: float) -> None:
    fit = fit_synchronous(published_speeds()[::7], batch=32)
    other = fit_synchronous([(w, p, f / unit) for w, p, f in published_speeds()[::7]], batch=32)
    expected = [unit * t for t in fit.model.coefficients]
    assert other.model.coefficients == pytest.approx(expected, rel=1e-5, abs=1e-7 * unit)


def test_equal_speeds_have_no_variance_to_explain() -> None:
    fit = fit_synchronous([(w, p, 0.5) for w, p in PAIRS], batch=32)
    assert fit.r_squared is None
    assert fit.model.step_seconds(3, 7) == pytest.approx(2.0)


# --- mistakes -------------------------------------------------------------------------------------


GOOD = measured(resnet50_speed(), PAIRS)


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (GOOD[:4], "4 measurements; at least 5"),
        ([], "0 measurements"),
        ([*GOOD, (0, 1, 1.0)], "measurement 9 has 0 workers"),
        ([*GOOD, (1.5, 1, 1.0)], "measurement 9 has 1.5 workers"),
        ([*GOOD, (1, 1, 0.0)], "measurement 9 .* speed of 0.0"),
        ([*GOOD, (1, 1, float("nan"))], "measurement 9 .* speed of nan"),
        ([*GOOD, (1, 1)], r"measurement 9 is \(1, 1\)"),
        ([*GOOD, (1, 1, "fast")], "measurement 9 is"),
        ([*GOOD, 3.0], "measurement 9 is 3.0"),
        ([(n, n, 1.0) for n in range(1, 11)], "cannot tell the 5 coefficients apart"),
        ([(4, n, 1.0) for n in range(1, 11)], "cannot tell the 5 coefficients apart"),
        (GOOD[:1] * 9, "cannot tell the 5 coefficients apart"),
    ],
)
def test_measurements_that_cannot_be_fitted(rows: Any, words: str) -> None:
    with pytest.raises(BadData, match=words):
        fit_synchronous(rows, batch=40)


def test_asynchronous_mistakes() -> None:
    with pytest.raises(BadData, match="3 measurements; at least 4"):
        fit_asynchronous(GOOD[:3])
    with pytest.raises(BadData, match="cannot tell the 4 coefficients apart"):
        fit_asynchronous([(n, n, 1.0) for n in range(1, 11)])


def test_a_wrong_batch() -> None:
    with pytest.raises(BadOption, match="batch is 0"):
        fit_synchronous(GOOD, batch=0)
