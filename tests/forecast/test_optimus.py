"""The loss curve: known numbers, recovered coefficients, outliers, units, mistakes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from epochlab.errors import BadData, BadOption
from epochlab.forecast import LossCurve, LossFit, fit_loss_curve
from epochlab.forecast.optimus import outlying

KNOWN = LossCurve(b0=0.01, b1=0.5, b2=0.1)

# Curves that fall to between a half and a hundredth of their height over 100 steps.
curves = st.builds(
    lambda height, fall, last: LossCurve(b0=fall / (100 * height), b1=1 / height, b2=last),
    st.floats(0.1, 10), st.floats(1, 100), st.just(0.0) | st.floats(0.01, 5),
)  # fmt: skip


def losses_of(curve: LossCurve, steps: list[int]) -> list[float]:
    return [curve.loss_at(k) for k in steps]


# --- the curve ------------------------------------------------------------------------------------


def test_known_curve() -> None:
    assert KNOWN.loss_at(0) == 2.1
    assert KNOWN.steps_until(0.2) == pytest.approx(950, rel=1e-12)
    assert KNOWN.steps_until(2.1) == 0.0
    assert KNOWN.steps_until(3) == 0.0
    assert KNOWN.steps_until(0.1) is None
    assert KNOWN.steps_until(0.05) is None


def test_curves_at_the_edge() -> None:
    steep = LossCurve(b0=0.5, b1=0.0, b2=0.1)
    assert steep.loss_at(0) == math.inf
    assert steep.steps_until(2.1) == pytest.approx(1.0)
    constant = LossCurve(b0=0.0, b1=2.0, b2=0.0)
    assert constant.loss_at(10**9) == 0.5
    assert constant.steps_until(0.5) == 0.0
    assert constant.steps_until(0.4) is None


@given(curve=curves, first=st.integers(0, 10**6), more=st.integers(0, 10**6))
def test_more_steps_never_raise_the_loss(curve: LossCurve, first: int, more: int) -> None:
    assert curve.loss_at(first + more) <= curve.loss_at(first)


@given(curve=curves, step=st.integers(1, 10**4))
def test_steps_until_is_the_inverse(curve: LossCurve, step: int) -> None:
    found = curve.steps_until(curve.loss_at(step))
    assert found == pytest.approx(step, rel=1e-6)


def test_residuals_of_any_points() -> None:
    assert KNOWN.residuals([0, 50], [2.0, 1.5]) == pytest.approx((-0.1, 0.4))
    with pytest.raises(BadOption, match="2 steps but 1 losses"):
        KNOWN.residuals([0, 50], [2.0])


@pytest.mark.parametrize(
    ("change", "words"),
    [({"b0": -1.0}, "b0 is -1.0"), ({"b1": math.nan}, "b1 is nan"), ({"b2": math.inf}, "b2 is inf"),
     ({"b0": 0.0, "b1": 0.0}, "both 0")],
)  # fmt: skip
def test_wrong_coefficients(change: dict[str, float], words: str) -> None:
    with pytest.raises(BadOption, match=words):
        LossCurve(**({"b0": 0.01, "b1": 0.5, "b2": 0.1} | change))


def test_wrong_questions() -> None:
    for step in (-1, math.nan, math.inf):
        with pytest.raises(BadOption, match="step is"):
            KNOWN.loss_at(step)
    with pytest.raises(BadOption, match="loss is nan"):
        KNOWN.steps_until(math.nan)


# --- the fit --------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(
    curve=curves, points=st.integers(10, 60), weights=st.sampled_from(["equal", "late"])
)  # fmt: skip
def test_known_coefficients_are_recovered(curve: LossCurve, points: int, weights: Any) -> None:
    steps = [round(k) for k in np.linspace(0, 100, points)]
    fit = fit_loss_curve(steps, losses_of(curve, steps), weights=weights)
    assert fit.outlier_steps == ()
    assert fit.curve.b0 == pytest.approx(curve.b0, rel=1e-3)
    assert fit.curve.b1 == pytest.approx(curve.b1, rel=1e-3)
    assert fit.curve.b2 == pytest.approx(curve.b2, rel=1e-3, abs=1e-5 * curve.loss_at(0))
    assert fit.rmse < 1e-6 * curve.loss_at(0)


@settings(max_examples=60, deadline=None)
@given(curve=curves, seed=st.integers(0, 2**32), power=st.integers(-40, 40), scale=st.floats(1, 2))
def test_the_unit_of_the_loss_does_not_matter(
    curve: LossCurve, seed: int, power: int, scale: float
) -> None:
    unit = scale * 2.0**power
    steps = list(range(0, 101, 4))
    noise = np.random.default_rng(seed).uniform(0.97, 1.03, len(steps))
    losses = np.array(losses_of(curve, steps)) * noise
    one, other = fit_loss_curve(steps, losses.tolist()), fit_loss_curve(steps, losses * unit)
    assert other.outlier_steps == one.outlier_steps
    for step in (0, 50, 100, 1000):
        expected = unit * one.curve.loss_at(step)
        assert other.curve.loss_at(step) == pytest.approx(expected, rel=1e-5)


def test_a_power_of_two_as_unit_changes_no_bit() -> None:
    steps = list(range(0, 400, 10))
    noise = np.random.default_rng(3).normal(0, 0.02, len(steps))
    losses = np.array(losses_of(KNOWN, steps)) + noise
    one, other = fit_loss_curve(steps, losses), fit_loss_curve(steps, 1024 * losses)
    assert other.curve.b0 == one.curve.b0 / 1024
    assert other.curve.b1 == one.curve.b1 / 1024
    assert other.curve.b2 == one.curve.b2 * 1024


def test_the_order_of_the_points_does_not_matter() -> None:
    steps = [0, 400, 100, 200, 50, 800, 25]
    fit = fit_loss_curve(steps, losses_of(KNOWN, steps))
    assert fit.curve == fit_loss_curve(sorted(steps), losses_of(KNOWN, sorted(steps))).curve
    assert fit.steps == tuple(sorted(steps))


def test_noise_leaves_the_truth_within_two_standard_errors() -> None:
    steps = np.arange(0, 1200, 4)
    clean = np.array(losses_of(KNOWN, steps.tolist()))
    inside = np.zeros(3)
    for seed in range(100):
        noisy = clean + np.random.default_rng(seed).normal(0, 0.02, len(steps))
        fit = fit_loss_curve(steps.tolist(), noisy.tolist(), outliers=False)
        for place, name in enumerate(("b0", "b1", "b2")):
            error = fit.standard_errors[place]
            assert error is not None
            away = abs(getattr(fit.curve, name) - getattr(KNOWN, name))
            inside[place] += away <= 1.96 * error
    # 95 of 100 are expected; of correct errors, 0.15 % give less than 88 and 0.6 % give 100.
    assert (inside >= 88).all() and (inside < 100).all(), inside


def test_late_points_count_more_when_asked() -> None:
    steps = list(range(0, 300, 10))
    losses = [KNOWN.loss_at(k) + (0.2 if k >= 200 else 0.0) for k in steps]
    equal = fit_loss_curve(steps, losses, outliers=False)
    late = fit_loss_curve(steps, losses, outliers=False, weights="late")
    last = slice(20, None)
    assert max(map(abs, late.residuals[last])) < max(map(abs, equal.residuals[last]))
    assert late.rmse > equal.rmse


def test_losses_that_do_not_fall_give_a_constant() -> None:
    rising = fit_loss_curve([0, 1, 2, 3], [1, 2, 3, 4]).curve
    assert (rising.b0, rising.b2, rising.loss_at(0)) == (0.0, 0.0, 2.5)
    flat = fit_loss_curve([0, 1, 2, 3], [0.3] * 4)
    assert flat.curve.loss_at(7) == pytest.approx(0.3)
    assert flat.r_squared is None
    assert flat.curve.steps_until(0.2) is None


def test_quality_of_a_fit() -> None:
    fit = LossFit(
        curve=LossCurve(b0=0.0, b1=1.0, b2=0.0), steps=(0, 1, 2), losses=(1.0, 2.0, 3.0),
        outlier_steps=(), weights="equal", standard_errors=(None, None, None),
    )  # fmt: skip
    assert fit.residuals == (0.0, 1.0, 2.0)
    assert fit.rmse == pytest.approx(math.sqrt(5 / 3))
    assert fit.r_squared == pytest.approx(1 - 5 / 2)


def test_three_points_are_enough_and_leave_no_error_to_estimate() -> None:
    fit = fit_loss_curve([0, 100, 400], losses_of(KNOWN, [0, 100, 400]))
    assert fit.curve.b0 == pytest.approx(0.01, rel=1e-6)
    assert fit.standard_errors == (None, None, None)


# --- outliers -------------------------------------------------------------------------------------


@given(st.lists(st.floats(0, 1e6), max_size=40))
def test_a_curve_that_only_falls_loses_no_point(values: list[float]) -> None:
    assert not outlying(np.array(sorted(values, reverse=True))).any()


def test_spikes_are_dropped_and_do_not_move_the_curve() -> None:
    steps = list(range(0, 1000, 20))
    losses = losses_of(KNOWN, steps)
    losses[10], losses[11], losses[30] = 5.0, 4.0, 0.0
    fit = fit_loss_curve(steps, losses)
    assert fit.outlier_steps == (200, 220, 600)
    assert fit.curve.b0 == pytest.approx(0.01, rel=1e-6)
    kept = fit_loss_curve(steps, losses, outliers=False)
    assert kept.outlier_steps == () and kept.rmse > 0.4


def test_few_points_of_mere_noise_are_dropped() -> None:
    noise = 5 + np.random.default_rng(0).normal(0, 0.2, 100_000)
    assert round(1000 * outlying(noise).mean()) == 13


def test_a_last_digit_is_no_outlier() -> None:
    assert not outlying(np.array([0.123] * 5 + [0.124] + [0.123] * 5)).any()
    assert outlying(np.array([0.123] * 5 + [0.150] + [0.123] * 5)).sum() == 1


def test_first_and_last_two_points_are_not_judged() -> None:
    values = np.ones(12)
    values[[0, 1, 10, 11]] = 50.0
    assert not outlying(values).any()


# --- mistakes -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("steps", "losses", "words"),
    [
        ([0, 1], [2, 1], "2 points at 2 different steps"),
        ([], [], "0 points"),
        ([5, 5, 5, 6], [2, 2, 2, 1], "4 points at 2 different steps"),
        ([0, 1, 2], [2, 1], r"steps have shape \(3,\), losses \(2,\)"),
        ([0, 1, 2], [2, math.nan, 1], "loss number 2 of 3 is nan"),
        ([0, 1, 2], [2, 1, math.inf], "loss number 3 of 3 is inf"),
        ([0, 1, 2], [2, 1, -1], "loss number 3 of 3 is -1.0"),
        ([0, -1, 2], [2, 1, 1], "step number 2 of 3 is -1.0"),
        ([0, 1, 2], [0, 0, 0], "every loss is 0"),
        ([0, 1, 2], ["a", 0, 0], "must be numbers"),
        ([[0], [1], [2]], [[2], [1], [1]], "plain"),
    ],
)
def test_points_that_cannot_be_fitted(steps: Any, losses: Any, words: str) -> None:
    with pytest.raises(BadData, match=words):
        fit_loss_curve(steps, losses)


def test_too_few_points_beside_the_outliers() -> None:
    with pytest.raises(BadData, match="1 of 5 points are outliers, and fewer than 3"):
        fit_loss_curve([0, 0, 1, 2, 2], [2, 2, 9, 1, 1])
    assert fit_loss_curve([0, 0, 1, 2, 2], [2, 2, 9, 1, 1], outliers=False).outlier_steps == ()


def test_an_unknown_weighting() -> None:
    wrong: Any = "early"
    with pytest.raises(BadOption, match=r"'early'.*'equal'"):
        fit_loss_curve([0, 1, 2], [3, 2, 1], weights=wrong)
