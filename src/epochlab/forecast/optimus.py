"""The loss as one over the number of steps: l(k) = 1 / (b0 k + b1) + b2.

The model is equation 1 of Peng, Bao, Chen, Wu and Guo, "Optimus: an efficient dynamic resource
scheduler for deep learning clusters", EuroSys 2018: stochastic gradient descent approaches its
last loss b2 like one over the number of steps. It suits a smooth curve. Where the learning rate
drops, the loss falls off it: fit the stretches between the drops one by one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from epochlab.errors import BadData, BadOption
from epochlab.forecast.nonnegative import (
    Floats,
    fit_reciprocal,
    nonnegative_least_squares,
    reciprocal_slopes,
    reciprocal_values,
)

Weights = Literal["equal", "late"]

NEIGHBOURS = 5  # on each side, that a point is compared with
FEWEST_NEIGHBOURS = 2
FENCES = 3.0  # widths of the neighbours' middle half, beyond which a point is an outlier
LEAST_WIDTH = 0.01  # of the loss; less than this is no spread worth comparing with
LAST_LOSSES = 40  # values of b2 that are tried


def fit_loss_curve(
    steps: Sequence[float] | Floats,
    losses: Sequence[float] | Floats,
    *,
    outliers: bool = True,
    weights: Weights = "equal",
) -> LossFit:
    """Fit l(k) = 1 / (b0 k + b1) + b2, all coefficients >= 0, to the losses of a run.

    `steps` are counts from the start of training, in any order and unit (steps, epochs); `losses`
    are as many numbers >= 0 in any unit. At least 3 different steps are needed.

    Points far outside the range of their neighbours are dropped (`outliers=False` keeps all), and
    losses are divided by the largest, so that the unit of the loss does not matter. For a fixed b2,
    1 / (l - b2) is a straight line in k, and b0, b1 >= 0 follow from least squares with the weights
    (l - b2)^4, which count errors of l and not of its inverse. A search over b2 finds where the
    squared error of l is least, and from there all three coefficients are improved together.

    `weights="late"` lets the second third of the points count 4 times and the last 16 times as
    much as the first (errors, before they are squared), as in the authors' own program; "equal" is
    plain least squares. Losses that do not fall give b0 = b2 = 0: a constant.

    Raises BadData for points that cannot be fitted, BadOption for an unknown `weights`.

        >>> fit = fit_loss_curve([0, 100, 200, 400, 800], [2.1, 0.7667, 0.5, 0.3222, 0.2176])
        >>> round(fit.curve.b0, 4), round(fit.curve.b1, 3), round(fit.curve.b2, 3)
        (0.01, 0.5, 0.1)
    """
    if weights not in get_args(Weights):
        raise BadOption(
            f"fit_loss_curve: weights is {weights!r}; allowed are 'equal' (every point counts the "
            "same) and 'late' (later points count more)."
        )
    k, loss = _checked(steps, losses)
    kept = ~outlying(loss) if outliers else np.ones(len(loss), dtype=bool)
    dropped = tuple(k[~kept].tolist())
    k, loss = k[kept], loss[kept]
    if len(np.unique(k)) < 3:
        raise BadData(
            f"fit_loss_curve: {len(dropped)} of {len(kept)} points are outliers, and fewer than 3 "
            "different steps are left. Give more points, or outliers=False to keep them all."
        )
    factor = _late(len(k)) if weights == "late" else np.ones(len(k))
    k_unit, loss_unit = float(k.max()), float(loss.max())
    lines = np.column_stack([k / k_unit, np.ones(len(k))])
    found = _search(lines, loss / loss_unit, factor)
    errors = _standard_errors(lines, loss / loss_unit, factor, found)
    units = np.array([1 / (k_unit * loss_unit), 1 / loss_unit, loss_unit])
    curve = LossCurve(**dict(zip(("b0", "b1", "b2"), (found * units).tolist(), strict=True)))
    return LossFit(
        curve=curve, steps=tuple(k.tolist()), losses=tuple(loss.tolist()),
        outlier_steps=dropped, weights=weights,
        standard_errors=tuple(
            None if e is None else e * u for e, u in zip(errors, units.tolist(), strict=True)
        ),
    )  # fmt: skip


def outlying(losses: Floats) -> np.typing.NDArray[np.bool_]:
    """Which losses, in the order of their steps, lie far outside the range of their neighbours.

    A point is compared with up to 5 points on each side, as many before as after it. It is an
    outlier if it lies further outside the middle half of these than 3 times the width of that
    half. In a curve that only falls every point lies within that half, so none is ever dropped; of
    normally distributed noise 13 points in 1000 are. The first two and the last two points have too
    few neighbours to be judged.
    """
    found = np.zeros(len(losses), dtype=bool)
    for reach in range(FEWEST_NEIGHBOURS, NEIGHBOURS + 1):
        if len(losses) < 2 * reach + 1:
            break
        # Later rounds have more neighbours and overrule earlier ones.
        windows = np.lib.stride_tricks.sliding_window_view(losses, 2 * reach + 1)
        around = np.delete(windows, reach, axis=1)
        low, high = np.quantile(around, [0.25, 0.75], axis=1)
        width = FENCES * np.maximum(high - low, LEAST_WIDTH * high)
        centre = windows[:, reach]
        found[reach : len(losses) - reach] = (centre < low - width) | (centre > high + width)
    return found


def _checked(
    steps: Sequence[float] | Floats, losses: Sequence[float] | Floats
) -> tuple[Floats, Floats]:
    """Both as arrays in the order of the steps, or an error that says what is wrong."""
    try:
        k, loss = np.asarray(steps, dtype=np.float64), np.asarray(losses, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise BadData(f"fit_loss_curve: steps and losses must be numbers: {error}.") from None
    if k.ndim != 1 or k.shape != loss.shape:
        raise BadData(
            f"fit_loss_curve: steps have shape {k.shape}, losses {loss.shape}; both must be plain "
            "sequences of equal length, one loss per step."
        )
    for name, values in (("step", k), ("loss", loss)):
        wrong = np.flatnonzero(~np.isfinite(values) | (values < 0))
        if len(wrong):
            raise BadData(
                f"fit_loss_curve: {name} number {wrong[0] + 1} of {len(values)} is "
                f"{values[wrong[0]]}; every {name} must be a finite number, 0 or more. Leave such "
                "points out, or fit only the points before the run diverged."
            )
    different = len(np.unique(k))
    if different < 3:
        raise BadData(
            f"fit_loss_curve: {len(k)} points at {different} different steps; a curve with three "
            "coefficients needs at least 3. Train longer, or record the loss more often."
        )
    if not loss.max() > 0:
        raise BadData("fit_loss_curve: every loss is 0, so there is no curve to fit.")
    order = np.argsort(k, kind="stable")
    return k[order], loss[order]


def _late(points: int) -> Floats:
    """1 for the first third of the points, 4 for the second, 16 for the last."""
    third = math.ceil(points / 3)
    return np.asarray(4.0 ** (np.arange(points) // third))


def _search(lines: Floats, loss: Floats, factor: Floats) -> Floats:
    """(b0, b1, b2) with the least weighted squared error, for steps and losses up to 1."""
    best, least = np.array([0.0, 1.0, 0.0]), math.inf
    lowest = float(loss.min())
    # From 0 to just below the lowest loss, ever closer together.
    for b2 in lowest * (1.0 - np.geomspace(1.0, 1e-3, LAST_LOSSES)):
        above = loss - b2
        by_loss = factor * above**2
        line = nonnegative_least_squares(by_loss[:, None] * lines, factor * above)
        at = np.append(line, b2)
        miss = factor * (reciprocal_values(lines, at) - loss)
        if np.isfinite(miss).all() and float(miss @ miss) < least:
            best, least = at, float(miss @ miss)
    found = fit_reciprocal(lines, loss, best, factor)
    if found[0] == 0 or loss.max() == lowest:
        squared = factor**2
        return np.array([0.0, float(squared.sum() / (squared @ loss)), 0.0])
    return found


def _standard_errors(
    lines: Floats, loss: Floats, factor: Floats, found: Floats
) -> tuple[float | None, ...]:
    """Standard errors of the coefficients, None for one at 0 or not to be told from another."""
    free = np.flatnonzero(found > 0)
    freedom = len(loss) - len(free)
    unknown: list[float | None] = [None, None, None]
    slopes = factor[:, None] * reciprocal_slopes(lines, found)[:, free]
    if freedom < 1 or not np.isfinite(slopes).all():
        return tuple(unknown)
    lengths = np.sqrt((slopes * slopes).sum(axis=0))
    if (lengths == 0).any() or np.linalg.matrix_rank(slopes / lengths) < len(free):
        return tuple(unknown)
    miss = factor * (reciprocal_values(lines, found) - loss)
    inverse = np.linalg.pinv(slopes / lengths)
    spread = np.sqrt((inverse * inverse).sum(axis=1) * float(miss @ miss) / freedom) / lengths
    for place, value in zip(free, spread.tolist(), strict=True):
        unknown[place] = value
    return tuple(unknown)


@dataclass(frozen=True, kw_only=True)
class LossCurve:
    """l(k) = 1 / (b0 k + b1) + b2, a loss that falls towards b2 as the steps k go on.

    Raises BadOption for coefficients that are negative or not finite, or b0 = b1 = 0.

        >>> curve = LossCurve(b0=0.01, b1=0.5, b2=0.1)
        >>> curve.loss_at(0), round(curve.steps_until(0.2), 6), curve.steps_until(0.1)
        (2.1, 950.0, None)
    """

    b0: float
    "how fast the loss falls, in 1 / (loss x step); 0 for a constant"
    b1: float
    "one over the height of the first loss above the last, in 1 / loss"
    b2: float
    "the loss that is never reached, in the unit of the loss"

    def __post_init__(self) -> None:
        for name in ("b0", "b1", "b2"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0):
                raise BadOption(f"LossCurve: {name} is {value!r}; it must be finite, 0 or more.")
        if self.b0 == self.b1 == 0:
            raise BadOption("LossCurve: b0 and b1 are both 0, so that every loss is infinite.")

    def loss_at(self, step: float) -> float:
        """The loss after `step` steps (0 or more), in the unit of the losses of the fit.

        Infinite at 0 where b1 is 0. Raises BadOption for a negative step or one not finite.
        """
        if not (math.isfinite(step) and step >= 0):
            raise BadOption(f"LossCurve.loss_at: step is {step!r}; it must be finite, 0 or more.")
        line = self.b0 * step + self.b1
        return (1 / line if line else math.inf) + self.b2

    def steps_until(self, loss: float) -> float | None:
        """Steps from the start until the loss is `loss`, 0 if it starts there, None if never.

        A fraction of a step is left as it is, for one who counts in epochs. Raises BadOption for
        a loss that is not finite.
        """
        if not math.isfinite(loss):
            raise BadOption(f"LossCurve.steps_until: loss is {loss!r}; it must be finite.")
        if self.loss_at(0) <= loss:
            return 0.0
        above = loss - self.b2
        if above <= 0 or self.b0 == 0:
            return None
        steps = (1 / above - self.b1) / self.b0
        return max(steps, 0.0) if math.isfinite(steps) else None

    def residuals(self, steps: Sequence[float], losses: Sequence[float]) -> tuple[float, ...]:
        """Loss minus predicted loss at each of these steps; BadOption if lengths differ."""
        if len(steps) != len(losses):
            raise BadOption(
                f"LossCurve.residuals: {len(steps)} steps but {len(losses)} losses; give one loss "
                "for each step."
            )
        return tuple(y - self.loss_at(k) for k, y in zip(steps, losses, strict=True))


@dataclass(frozen=True, kw_only=True)
class LossFit:
    """A loss curve with the points that it was fitted to and how well it fits them."""

    curve: LossCurve
    steps: tuple[float, ...]
    "of the points that were fitted, in order"
    losses: tuple[float, ...]
    "of the same points"
    outlier_steps: tuple[float, ...]
    "steps of the points that were dropped"
    weights: Weights
    standard_errors: tuple[float | None, ...]
    """of b0, b1, b2, if the errors of the losses are independent and equally large; None where a
    coefficient is 0, or cannot be told from another, or no point is left over"""

    @property
    def residuals(self) -> tuple[float, ...]:
        """Loss minus fitted loss at `steps`."""
        return self.curve.residuals(self.steps, self.losses)

    @property
    def rmse(self) -> float:
        """Root of the mean squared residual, in the unit of the loss."""
        return math.hypot(*self.residuals) / math.sqrt(len(self.steps))

    @property
    def r_squared(self) -> float | None:
        """Share of the losses' variance that the curve explains; None for equal losses."""
        mean = math.fsum(self.losses) / len(self.losses)
        spread = math.fsum((y - mean) ** 2 for y in self.losses)
        return 1 - math.fsum(r * r for r in self.residuals) / spread if spread else None
