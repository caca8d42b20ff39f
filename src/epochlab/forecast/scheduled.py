"""Our own curve: the fall per learning rate spent, its bend, and what a drop of the rate yields.

    log l(t) = log l(n) - b * ( (x^a - 1) / a + d * (g(n) - g(t)) )        x = S(t) / S(n)

l: loss, or share of wrong answers; n: now; S(t): the sum of the learning rates up to t, so that a
small rate moves the curve slowly; b: the slope now, on logarithmic axes; a: the bend. a = 0 is a
power law, a = 1 an exponential, a < 0 a curve that levels out; between them the formula goes over
smoothly (Box and Cox, "An analysis of transformations", 1964). g(t) = log10(1 + 9 r) for the rate r
as a share of the largest: the last term is the extra fall when the rate drops and the noise that it
kept up in the weights dies down. That both the summed rate and its decay count is the observation
of Tissue, Wang and Wang, "Scaling law with learning rate annealing", 2024, arXiv 2408.11029.

Everything but the noise is in units of b, so that steep and flat curves share one prior for a and
d, learnt from recorded runs (`prior.toml`). The deviation from the formula is noise from point to
point plus a random walk over log t that starts from now in both directions: old points count less,
and the band opens with the horizon. Every (a, d) of a grid is weighted by how well it explains the
points, each one given those before it; what comes out is a mixture of sampled futures.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from epochlab.forecast.curve import Curve
from epochlab.forecast.nonnegative import Floats

BENDS: Floats = np.linspace(-2.5, 2.5, 81)  # coarser ones make bands too narrow
DROPS: Floats = np.linspace(-0.5, 2.5, 25)

LEAST_SLOPE = 0.01  # of log l per log S, under which a curve does not fall
SLOPE_SPREAD = 5.0  # prior deviation of b, in units of its first guess
LEVEL_SPREAD = 100.0  # prior deviation of log l(n), as good as none
MOST_POINTS = 60  # of the past that are looked at
NOISE_POINTS = 14  # latest that noise is estimated from
MEDIAN_SQUARE = 0.4549  # of a normally distributed number of variance 1
NOISE_WEIGHT = 4.0  # points that the prior of the noise counts for


Factors = tuple[tuple[float, float, float], ...]
"""(end / now, factor of the lower side, of the upper side); see `reach.widened`"""


@dataclass(frozen=True, kw_only=True)
class Prior:
    """What recorded runs tell before the first point is seen, for one kind of curve."""

    bend: float
    "mean of a"
    bend_spread: float
    "standard deviation of a"
    drop: float
    "mean of d"
    drop_spread: float
    "standard deviation of d"
    together: float
    "covariance of a and d"
    walk: float
    "variance of the random walk per unit of log t, in units of b^2"
    noise: float
    "variance of a point around its neighbours, in log l"
    stretch: Factors = ((1.0, 1.0, 1.0),)
    "how much wider than the sampled futures say a band of positions must be"
    value_stretch: Factors = ((1.0, 1.0, 1.0),)
    "the same for a band of values"

    def weights(self) -> Floats:
        """Shares of the grid of bends (rows) and drops (columns)."""
        a, d = BENDS[:, None] - self.bend, DROPS[None, :] - self.drop
        covariance = np.array([[self.bend_spread**2, self.together],
                               [self.together, self.drop_spread**2]])  # fmt: skip
        inverse = np.linalg.inv(covariance + 1e-3 * np.eye(2))
        shares: Floats = np.exp(
            -0.5 * (inverse[0, 0] * a * a + 2 * inverse[0, 1] * a * d + inverse[1, 1] * d * d)
        )
        shares /= shares.sum()
        return shares


@dataclass(frozen=True, kw_only=True)
class Features:
    """Positions of a curve as the formula sees them."""

    spent: Floats
    "log of the learning rate spent, S(t) / S(n)"
    age: Floats
    "log(t / n): below 0 in the past"
    decayed: Floats
    "g(n) - g(t)"

    @classmethod
    def of(cls, curve: Curve, places: np.typing.NDArray[np.intp]) -> Features:
        """At the positions of these numbers (from 0)."""
        at, rates = np.asarray(curve.at), np.asarray(curve.rates)
        spent = np.cumsum(rates * np.diff(at, prepend=0.0))
        # A warm-up may begin at 0, whose logarithm would be infinite.
        spent = np.maximum(spent, 1e-9 * spent[-1])
        height = np.log10(1 + 9 * rates / rates.max())
        now = len(curve.values) - 1
        return cls(
            spent=np.log(spent[places] / spent[now]), age=np.log(at[places] / at[now]),
            decayed=height[now] - height[places],
        )  # fmt: skip

    def fall(self, bend: Floats, drop: Floats) -> Floats:
        """The bracket of the formula: one more axis, the positions, than `bend` and `drop`."""
        bend, drop = bend[..., None], drop[..., None]
        straight = np.abs(bend) < 1e-9
        safe = np.where(straight, 1.0, bend)
        curved = np.where(straight, self.spent, np.expm1(safe * self.spent) / safe)
        found: Floats = curved + drop * self.decayed
        return found

    def walked(self) -> Floats:
        """Covariance of the random walk, for a walk of variance 1 per unit of log t."""
        reach = np.minimum(np.abs(self.age)[:, None], np.abs(self.age)[None, :])
        same_side = (self.age[:, None] > 0) == (self.age[None, :] > 0)
        found: Floats = np.where(same_side, reach, 0.0)
        return found


@dataclass(frozen=True, kw_only=True)
class Posterior:
    """For each bend and drop of the grid: its weight, level and slope, with their covariance."""

    log_weight: Floats
    level: Floats
    slope: Floats
    covariance: tuple[Floats, Floats, Floats]
    "variance of the level, covariance, variance of the slope"

    @property
    def shares(self) -> Floats:
        """Weights that sum to 1; a slope that does not fall has none."""
        allowed = np.where(self.slope > 0, self.log_weight, -np.inf)
        if not np.isfinite(allowed).any():
            return np.full(allowed.shape, 1 / allowed.size)
        shares: Floats = np.exp(allowed - allowed.max())
        shares /= shares.sum()
        return shares


def noise_of(at: Floats, logs: Floats) -> tuple[float, int]:
    """An estimate of the variance of a point around its curve, and from how many points.

    A point is compared with the straight line through its neighbours over log t, so that a power
    law has no noise at all; the median of the squares lets a drop of the rate pass.
    """
    x = np.log(at)
    after = (x[1:-1] - x[:-2]) / (x[2:] - x[:-2])
    misses = logs[1:-1] - ((1 - after) * logs[:-2] + after * logs[2:])
    squares = (misses**2 / (1 + after**2 + (1 - after) ** 2))[-NOISE_POINTS:]
    return float(np.median(squares)) / MEDIAN_SQUARE, len(squares)


def noise_variance(at: Floats, logs: Floats, prior: float) -> float:
    """The variance of a point, between what these points and what the prior say."""
    found, points = noise_of(at, logs)
    return (NOISE_WEIGHT * prior + points * found) / (NOISE_WEIGHT + points)


def first_slope(features: Features, logs: Floats) -> float:
    """b by least squares over the last two thirds of the past; below 0 for a rising curve."""
    past = features.age <= 0
    late = past & (features.age >= np.log(1 / 3))
    chosen = late if late.sum() >= 3 else past
    x, y = features.spent[chosen], logs[chosen]
    spread = float(((x - x.mean()) ** 2).sum())
    return -float((x - x.mean()) @ y) / spread if spread > 0 else 0.0


def explain(
    features: Features, logs: Floats, prior: Prior, noise: float, guess: float,
    log_shares: Floats | None = None,
) -> Posterior:  # fmt: skip
    """Level and slope by generalised least squares for every bend and drop of the grid.

    `logs` are relative to now, `noise` is the variance of a point, `guess` a first b > 0, by which
    the random walk is scaled. `log_shares` are the logarithms of the prior's weights.
    """
    shares = np.log(prior.weights() + 1e-300) if log_shares is None else log_shares
    covariance = features.walked() * prior.walk * guess**2 + noise * np.eye(len(logs))
    whiten = np.linalg.inv(np.linalg.cholesky(covariance))
    y, one = whiten @ logs, whiten @ np.ones(len(logs))
    fall = features.fall(BENDS[:, None], DROPS[None, :]) @ whiten.T
    slope_weight = 1 / (SLOPE_SPREAD * guess) ** 2
    level_level = float(one @ one) + 1 / LEVEL_SPREAD**2
    level_slope = -(fall @ one)
    slope_slope = (fall * fall).sum(axis=-1) + slope_weight
    level_y, slope_y = float(one @ y), slope_weight * guess - fall @ y
    determinant = level_level * slope_slope - level_slope**2
    level = (slope_slope * level_y - level_slope * slope_y) / determinant
    slope = (level_level * slope_y - level_slope * level_y) / determinant
    rest = float(y @ y) + slope_weight * guess**2 - (level * level_y + slope * slope_y)
    return Posterior(
        log_weight=shares - 0.5 * rest - 0.5 * np.log(determinant / slope_weight),
        level=level, slope=slope,
        covariance=(slope_slope / determinant, -level_slope / determinant,
                    np.full(slope.shape, level_level) / determinant),
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Futures:
    """Sampled futures of one curve."""

    at: Floats
    "positions to come"
    logs: Floats
    "[samples, positions]: what will be read off, noise included"
    middle: Floats
    "the median of the curves without noise, in log l"
    raw_slope: float
    "b by plain least squares over the last two thirds; below 0 where the curve rises"
    slope: float
    "b, weighted over the grid"
    slope_error: float
    "standard deviation of b"
    bend: float
    "a, weighted over the grid"
    drop: float
    "d, weighted over the grid"


def futures(curve: Curve, prior: Prior, *, samples: int = 1000, seed: int = 0) -> Futures:
    """Sample what may come between now and the end of the plan. Equal seeds, equal futures.

    `curve` must have at least 3 values, all finite, and a plan that goes on past them.
    """
    seen = len(curve.values)
    past = np.arange(max(0, seen - MOST_POINTS), seen)
    logs = curve.logs(curve.values)
    base = float(logs[-1])
    noise = noise_variance(np.asarray(curve.at[:seen]), logs, prior.noise)
    features = Features.of(curve, past)
    relative = logs[past] - base
    raw = first_slope(features, relative)
    guess = max(raw, LEAST_SLOPE)
    posterior = explain(features, relative, prior, noise, guess)
    # The walk is in units of the slope, which is known better now.
    found = float((posterior.shares * posterior.slope).sum())
    guess = min(max(found, guess / 2, LEAST_SLOPE), 2 * guess)
    posterior = explain(features, relative, prior, noise, guess)
    shares = posterior.shares
    random = np.random.default_rng(seed)
    chosen = random.choice(shares.size, samples, p=shares.ravel())
    row, column = np.unravel_index(chosen, shares.shape)
    level, slope = _sampled(posterior, row, column, random)
    slope = np.maximum(slope, 0.02 * guess)
    to_come = np.arange(seen, len(curve.at))
    ahead = Features.of(curve, to_come)
    smooth = level[:, None] - slope[:, None] * ahead.fall(BENDS[row], DROPS[column])
    steps = np.sqrt(prior.walk * np.diff(ahead.age, prepend=0.0))
    walk = np.cumsum(random.standard_normal((samples, len(to_come))) * steps, axis=1)
    points = random.standard_normal((samples, len(to_come))) * np.sqrt(noise)
    mean = float((shares * posterior.slope).sum())
    second = float((shares * (posterior.slope**2 + posterior.covariance[2])).sum())
    return Futures(
        at=np.asarray(curve.at)[to_come],
        logs=base + smooth + walk * slope[:, None] + points,
        middle=base + np.median(smooth, axis=0),
        raw_slope=raw, slope=mean, slope_error=float(np.sqrt(max(second - mean**2, 0.0))),
        bend=float((shares.sum(axis=1) * BENDS).sum()),
        drop=float((shares.sum(axis=0) * DROPS).sum()),
    )  # fmt: skip


def _sampled(
    posterior: Posterior, row: np.typing.NDArray[np.intp], column: np.typing.NDArray[np.intp],
    random: np.random.Generator,
) -> tuple[Floats, Floats]:  # fmt: skip
    """Levels and slopes from the normal distributions of the chosen bends and drops."""
    level_level, level_slope, slope_slope = (c[row, column] for c in posterior.covariance)
    first, second = random.standard_normal((2, len(row)))
    root = np.sqrt(level_level)
    rest = np.sqrt(np.maximum(slope_slope - level_slope**2 / level_level, 0.0))
    level: Floats = posterior.level[row, column] + root * first
    slope: Floats = posterior.slope[row, column] + level_slope / root * first + rest * second
    return level, slope
