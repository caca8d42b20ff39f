"""Learn the priors of the curves from recorded runs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from epochlab.forecast.curve import Curve
from epochlab.forecast.nonnegative import Floats
from epochlab.forecast.scheduled import (
    BENDS,
    DROPS,
    LEAST_SLOPE,
    Features,
    Prior,
    explain,
    first_slope,
    noise_of,
    noise_variance,
)

CUTS = (0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6)  # of the plan, at which a run is looked at
FEWEST_POINTS = 5
PAST_POINTS, FUTURE_POINTS = 20, 12  # that are looked at on both sides of a cut
ROUNDS = 4
# Variance of the random walk, in units of the squared slope. A likelihood would choose it by the
# few curves that leave the formula most; bands are calibrated anyway, and the middle hardly moves.
WALK = 0.08

WIDE = Prior(
    bend=0.0, bend_spread=1.2, drop=0.3, drop_spread=0.7, together=0.0, walk=WALK, noise=1e-3
)
"what is believed before any run was seen"


def learn(curves: Sequence[Curve], walk: float = WALK) -> Prior:
    """The prior of a kind of curve from complete recorded curves of that kind.

    Every curve is cut at seven places and explained as a whole from there, past and future. The
    mean and covariance of bend and drop over all of them, weighted as each explains them, are the
    next round's prior (expectation and maximisation). Curves that do not fall at a cut are left out
    there. `stretch` is not learnt here, but from replays.
    """
    noise = float(np.median([noise_of(_at(c), _logs(c))[0] for c in curves])) + 1e-6
    cases = [case for c in curves for share in CUTS if (case := _case(c, share, noise))]
    prior = WIDE
    for _ in range(ROUNDS):
        log_shares = np.log(prior.weights() + 1e-300)
        summed = np.zeros(log_shares.shape)
        for features, logs, variance, slope in cases:
            summed += explain(features, logs, prior, variance, slope, log_shares).shares
        prior = _moments(summed / len(cases), walk, noise)
    return prior


def _at(curve: Curve) -> Floats:
    return np.asarray(curve.at[: len(curve.values)])


def _logs(curve: Curve) -> Floats:
    return curve.logs(curve.values)


def _case(curve: Curve, share: float, noise: float) -> tuple[Features, Floats, float, float] | None:
    """A complete curve seen from a cut: features, logs relative to it, noise and slope."""
    seen, all_points = max(FEWEST_POINTS, round(share * len(curve.values))), len(curve.values)
    if seen >= all_points:
        return None
    to_come = np.linspace(seen, all_points - 1, FUTURE_POINTS).round().astype(np.intp)
    places = np.unique(np.concatenate([np.arange(max(0, seen - PAST_POINTS), seen), to_come]))
    logs = _logs(curve)
    features = Features.of(curve.cut(curve.at[seen - 1]), places)
    relative = logs[places] - logs[seen - 1]
    slope = first_slope(features, relative)
    if slope <= LEAST_SLOPE:
        return None
    return features, relative, noise_variance(_at(curve)[:seen], logs[:seen], noise), slope


def _moments(shares: Floats, walk: float, noise: float) -> Prior:
    """The prior whose bend and drop have the mean and covariance of these shares of the grid."""
    bend, drop = float(shares.sum(axis=1) @ BENDS), float(shares.sum(axis=0) @ DROPS)
    a, d = BENDS - bend, DROPS - drop
    return Prior(
        bend=bend, bend_spread=float(np.sqrt(shares.sum(axis=1) @ a**2)),
        drop=drop, drop_spread=float(np.sqrt(shares.sum(axis=0) @ d**2)),
        together=float(a @ shares @ d), walk=walk, noise=noise,
    )  # fmt: skip
