"""From sampled futures to an answer: is the target reached, and if so, when?"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from epochlab.forecast.curve import Curve
from epochlab.forecast.nonnegative import Floats
from epochlab.forecast.scheduled import Factors, Futures, Prior

BLUR = 0.1  # of the middle half of the futures, over which neighbouring levels are taken together
FEWEST_PATHS = 3.0  # worth of futures that must come near a level


@dataclass(frozen=True, kw_only=True)
class Reach:
    """When a curve reaches a level."""

    probability: float
    "that it does so before the plan ends"
    position: float | None
    "middle of the positions at which it does, given that it does; None if no future comes near"
    low: float | None
    "lower end of the band"
    high: float | None
    "upper end of the band"


def reach(curve: Curve, futures: Futures, prior: Prior, level: float, share: float = 0.8) -> Reach:
    """Probability and position of the first value at or below `level`, with a band of `share`.

    The probability is the share of futures that reach the level before the plan ends. The position
    is what is known *if* it is reached: each pair of a future and a position in it is weighted by
    how near the best value up to there is to the level, and points to where that best value was
    first seen. So before the futures have spoken, any position is as likely as another.

    The band holds `share` of these positions, its sides stretched as recorded runs ask for.
    """
    logs = futures.logs
    wanted = float(curve.logs([level])[0])
    best_now = float(curve.logs(curve.values).min())
    best = np.minimum(np.minimum.accumulate(logs, axis=1), best_now)
    probability = float((best[:, -1] <= wanted).mean())
    before = np.column_stack([np.full(len(best), best_now), best[:, :-1]])
    order = np.arange(best.shape[1])
    first = np.maximum.accumulate(np.where(best < before, order, 0), axis=1)
    quarter, three_quarters = np.quantile(best, [0.25, 0.75], axis=0)
    blur = BLUR * (three_quarters - quarter) + 1e-4
    weights = np.exp(-0.5 * ((best - wanted) / blur) ** 2) / blur
    weights = np.where(best < best_now, weights, 0.0)
    if float((weights * blur).sum()) < FEWEST_PATHS:
        return Reach(probability=probability, position=None, low=None, high=None)
    tails = (1 - share) / 2
    heights: Floats = np.bincount(first.ravel(), weights.ravel(), len(futures.at)).astype(float)
    low, middle, high = _quantiles(curve.now, futures.at, heights, (tails, 0.5, 1 - tails))
    # On a logarithmic scale, on which errors of near and far targets are alike.
    logs_of = (math.log(low), math.log(middle), math.log(high))
    low, high = map(math.exp, widened(*logs_of, prior.stretch, curve.end / curve.now))
    return Reach(
        probability=probability, position=middle,
        low=max(curve.now, low), high=max(middle, min(curve.end, high)),
    )  # fmt: skip


def value_band(
    curve: Curve, futures: Futures, prior: Prior, share: float = 0.8
) -> tuple[Floats, Floats, Floats]:
    """Lower end, middle and upper end of the values at every position to come."""
    tails = (1 - share) / 2
    low, middle, high = np.quantile(futures.logs, [tails, 0.5, 1 - tails], axis=0)
    ratios = (futures.at / curve.now).tolist()
    rows = zip(low.tolist(), middle.tolist(), high.tolist(), ratios, strict=True)
    ends = [widened(a, b, c, prior.value_stretch, ratio) for a, b, c, ratio in rows]
    low, high = np.array(ends).T
    return curve.from_logs(low), curve.from_logs(middle), curve.from_logs(high)


def widened(
    low: float, middle: float, high: float, factors: Factors, ratio: float
) -> tuple[float, float]:
    """The ends of a band after both sides are stretched by the factors for a ratio to now.

    Between the ratios that have factors these follow straight lines over the ratios' logarithms,
    and down to now they go to 1: so near, the noise that was seen is all that matters.
    """
    if min(factors)[0] > 1:
        factors = ((1.0, 1.0, 1.0), *factors)
    ratios, lower, upper = zip(*sorted(factors), strict=True)
    at, places = math.log(ratio), np.log(ratios)
    below, above = float(np.interp(at, places, lower)), float(np.interp(at, places, upper))
    return middle + below * (low - middle), middle + above * (high - middle)


def _quantiles(now: float, at: Floats, heights: Floats, shares: tuple[float, ...]) -> list[float]:
    """Quantiles of a position; each of `at` stands for the stretch half-way to its neighbours."""
    middles = (np.concatenate([[now], at[:-1]]) + at) / 2
    edges = np.append(middles, 2 * at[-1] - middles[-1])
    summed = np.concatenate([[0.0], np.cumsum(heights)])
    return [float(q) for q in np.interp(np.asarray(shares) * summed[-1], summed, edges)]
