"""The schedule-aware curve: its formula, its weights, and what it knows of drops to come."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from epochlab.forecast.curve import KINDS, Curve
from epochlab.forecast.learn import learn
from epochlab.forecast.priors import shipped, written
from epochlab.forecast.scheduled import (
    BENDS,
    DROPS,
    SLOPE_SPREAD,
    Features,
    Prior,
    explain,
    first_slope,
    futures,
    noise_of,
)

from .curves import curve_of, with_drop

PRIOR = Prior(bend=0.0, bend_spread=0.5, drop=0.4, drop_spread=0.4, together=0.0, walk=0.05,
              noise=1e-4)  # fmt: skip
EVERY = np.arange(60, dtype=np.intp)


def test_the_three_shapes_between_which_it_bends() -> None:
    curve = curve_of(lambda t: t**-0.5, seen=20)
    features = Features.of(curve, EVERY)
    x = np.array(curve.at) / 20
    none = np.zeros(())
    assert features.fall(none, none) == pytest.approx(np.log(x))
    assert features.fall(none + 1, none) == pytest.approx(x - 1)
    assert features.fall(none - 1, none) == pytest.approx(1 - 1 / x)
    near = features.fall(none + 1e-6, none)
    assert near == pytest.approx(np.log(x), abs=1e-5)


def test_rates_are_what_counts_as_time() -> None:
    curve = curve_of(lambda t: 1.0, seen=20, rates=with_drop(factor=0.1))
    features = Features.of(curve, EVERY)
    spent = np.array([min(t, 30) + 0.1 * max(t - 30, 0) for t in curve.at])
    assert features.spent == pytest.approx(np.log(spent / 20))
    assert features.decayed[:30].tolist() == [0.0] * 30
    assert features.decayed[30:] == pytest.approx(1 - math.log10(1.9))


def test_a_warm_up_from_nothing_is_no_infinity() -> None:
    rates = (0.0, 0.05) + (0.1,) * 58
    features = Features.of(curve_of(lambda t: 1 / t, seen=10, rates=rates), EVERY)
    assert np.isfinite(features.spent).all()


@given(seed=st.integers(0, 2**32), row=st.integers(0, len(BENDS) - 1),
       column=st.integers(0, len(DROPS) - 1))  # fmt: skip
def test_level_and_slope_are_generalised_least_squares(seed: int, row: int, column: int) -> None:
    curve = curve_of(lambda t: t**-0.5, seen=12, noise=0.05, seed=seed, rates=with_drop(60, 6, 0.3))
    features = Features.of(curve, np.arange(12, dtype=np.intp))
    logs = np.log(curve.values) - math.log(curve.values[-1])
    guess, noise = 0.5, 0.02
    found = explain(features, logs, PRIOR, noise, guess)
    # The same by the textbook: one equation per point, and one for what is believed of the slope.
    covariance = features.walked() * PRIOR.walk * guess**2 + noise * np.eye(12)
    fall = features.fall(BENDS[row], DROPS[column])
    matrix = np.column_stack([np.ones(12), -fall])
    inverse = np.linalg.inv(covariance)
    believed = np.diag([1e-4, 1 / (SLOPE_SPREAD * guess) ** 2])
    normal = matrix.T @ inverse @ matrix + believed
    right = matrix.T @ inverse @ logs + believed @ np.array([0.0, guess])
    level, slope = np.linalg.solve(normal, right)
    assert found.level[row, column] == pytest.approx(level, abs=1e-9)
    assert found.slope[row, column] == pytest.approx(slope, rel=1e-7, abs=1e-9)
    spread = np.linalg.inv(normal)
    theirs = [c[row, column] for c in found.covariance]
    assert theirs == pytest.approx([spread[0, 0], spread[0, 1], spread[1, 1]], rel=1e-6)


@pytest.mark.parametrize("bend", [-1.0, 0.0, 1.0])
def test_a_smooth_curve_tells_its_bend(bend: float) -> None:
    def formula(t: float) -> float:
        x = t / 30
        return math.exp(-0.5 * (math.log(x) if bend == 0 else (x**bend - 1) / bend))

    wide = Prior(bend=0.0, bend_spread=1.5, drop=0.0, drop_spread=0.1, together=0.0, walk=1e-4,
                 noise=1e-6)  # fmt: skip
    found = futures(curve_of(formula, seen=30), wide)
    assert found.bend == pytest.approx(bend, abs=0.1)
    assert found.slope == pytest.approx(0.5, rel=0.05)
    true = np.log([formula(t) for t in found.at])
    assert np.abs(found.middle - true).max() < 0.1


def test_a_drop_that_is_known_to_come_is_expected_where_it_comes() -> None:
    def formula(t: float) -> float:
        spent = min(t, 30) + 0.1 * max(t - 30, 0)
        return float(2 * spent**-0.4 * (1.0 if t <= 30 else 0.7))

    rates = with_drop(60, 30, 0.1)
    knowing = futures(curve_of(formula, seen=20, rates=rates), PRIOR)
    blind = futures(curve_of(formula, seen=20), PRIOR)
    falls = -np.diff(knowing.middle)
    assert knowing.at[int(falls.argmax()) + 1] == 31.0
    assert falls.max() > 5 * np.median(falls)
    # After the drop next to nothing moves any more; without the schedule it goes on falling.
    assert knowing.middle[11] - knowing.middle[-1] < 0.3 * (blind.middle[11] - blind.middle[-1])


def test_a_drop_that_was_seen_says_how_large_the_next_one_is() -> None:
    rates = tuple(0.1 * (1.0 if t <= 15 else 0.3 if t <= 40 else 0.09) for t in range(1, 61))
    height = {r: math.log10(1 + 9 * r / 0.1) for r in set(rates)}
    spent = np.cumsum(rates)

    def formula(size: float) -> Curve:
        return curve_of(
            lambda t: float(math.exp(-0.5 * (math.log(spent[int(t) - 1])
                                             - size * height[rates[int(t) - 1]]))),
            seen=30, rates=rates,
        )  # fmt: skip

    none, large = (futures(formula(size), PRIOR).drop for size in (0.0, 1.5))
    # The prior believes in 0.4 +- 0.4, so the answers lie between it and the truth.
    assert none < 0.2
    assert large > 0.8


def test_equal_seeds_give_equal_futures() -> None:
    curve = curve_of(lambda t: t**-0.5, seen=15, noise=0.02)
    one, two, other = (futures(curve, PRIOR, seed=s, samples=50).logs for s in (3, 3, 4))
    assert (one == two).all()
    assert (one != other).any()


def test_the_unit_of_loss_and_time_does_not_matter() -> None:
    curve = curve_of(lambda t: 2 * t**-0.5, seen=15, noise=0.02)
    hours = Curve(kind=curve.kind, at=tuple(3600 * t for t in curve.at), rates=curve.rates,
                  values=tuple(1000 * v for v in curve.values))  # fmt: skip
    one, two = futures(curve, PRIOR), futures(hours, PRIOR)
    assert two.at == pytest.approx(3600 * one.at)
    assert two.logs - math.log(1000) == pytest.approx(one.logs, abs=1e-9)


def test_noise_is_what_differs_from_neighbours() -> None:
    at = np.arange(1.0, 61.0)
    smooth = np.log(2 * at**-0.5)
    assert noise_of(at, smooth)[0] < 1e-20
    dropped = smooth - np.where(at > 55, 1.0, 0.0)
    assert noise_of(at, dropped)[0] < 1e-20
    found = []
    for seed in range(400):
        noisy = smooth + 0.1 * np.random.default_rng(seed).standard_normal(60)
        found.append(noise_of(at, noisy)[0])
    assert np.median(found) == pytest.approx(0.01, rel=0.2)


def test_first_slope_of_a_power_law_is_its_exponent() -> None:
    curve = curve_of(lambda t: t**-0.7, seen=20)
    places = np.arange(20, dtype=np.intp)
    logs = np.log(np.array(curve.values))
    assert first_slope(Features.of(curve, places), logs) == pytest.approx(0.7)
    assert first_slope(Features.of(curve, places), -logs) == pytest.approx(-0.7)


# --- priors ---------------------------------------------------------------------------------------


def test_weights_are_shares_around_what_is_believed() -> None:
    weights = PRIOR.weights()
    assert weights.sum() == pytest.approx(1)
    assert weights.sum(axis=1) @ BENDS == pytest.approx(PRIOR.bend, abs=0.02)
    assert weights.sum(axis=0) @ DROPS == pytest.approx(PRIOR.drop, abs=0.05)


def test_learning_finds_the_bend_of_the_curves_it_is_shown() -> None:
    def formula(exponent: float, bend: float) -> Curve:
        return curve_of(lambda t: math.exp(-exponent * ((t / 30) ** bend - 1) / bend), noise=0.01)

    bent = [formula(b, -1.0) for b in (0.3, 0.5, 0.8)]
    straight = [formula(b, 1e-6) for b in (0.3, 0.5, 0.8)]
    assert learn(bent).bend < -0.6
    assert abs(learn(straight).bend) < 0.2
    assert learn([*bent, *straight]).bend_spread > learn(straight).bend_spread


@pytest.mark.parametrize("kind", KINDS)
def test_shipped_priors_are_there_and_come_back(kind: str, tmp_path: object) -> None:
    from pathlib import Path

    prior = shipped(kind)
    assert prior.bend_spread > 0 < prior.drop_spread
    assert all(low > 0 < high for _, low, high in prior.stretch)
    file = Path(str(tmp_path)) / "prior.toml"
    file.write_text(written({kind: prior}, "made by\na test"))
    assert shipped(kind, file) == prior
