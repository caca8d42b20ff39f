"""Forecast a curve: when it reaches a target, with a band, or why that cannot be said."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from epochlab.errors import BadOption
from epochlab.forecast.curve import Curve
from epochlab.forecast.families import FAMILIES, crossing, fitted
from epochlab.forecast.nonnegative import Floats
from epochlab.forecast.priors import shipped
from epochlab.forecast.reach import Reach, reach, value_band
from epochlab.forecast.scheduled import Futures, Prior, futures

BAND = 0.8
FEWEST_VALUES = 5
LEAST_PROBABILITY = 0.05
MOST_SPREAD = 4.0  # upper end of a band over its lower end
CERTAIN = 1.3  # standard errors by which a slope must be above 0: nine chances in ten


@dataclass(frozen=True, kw_only=True)
class View:
    """What can be said of a curve without a target: sampled futures, or why there are none."""

    curve: Curve
    prior: Prior
    futures: Futures | None
    refusal: str | None

    @cached_property
    def band(self) -> tuple[Floats, Floats, Floats] | None:
        """Lower end, middle and upper end of the values at `futures.at`; an 80 % band."""
        return value_band(self.curve, self.futures, self.prior, BAND) if self.futures else None

    @cached_property
    def plain(self) -> dict[str, Floats]:
        """What the plain families say of every position to come; none without futures."""
        if self.futures is None:
            return {}
        seen = len(self.curve.values)
        at, values = np.asarray(self.curve.at[:seen]), np.asarray(self.curve.values)
        return {name: fitted(name, at, values)(self.futures.at) for name in FAMILIES}


@dataclass(frozen=True, kw_only=True)
class Outlook:
    """When a curve reaches a level."""

    view: View
    level: float
    "the loss, or 1 - accuracy, that is to be reached"
    reached: float | None
    "where it has been reached already"
    reach: Reach | None
    "when it will be; None where that cannot be said"
    refusal: str | None
    "why it cannot be said"

    @property
    def plain(self) -> dict[str, float | None]:
        """Where each plain family first says the level or less; None for never within the plan."""
        if self.view.futures is None:
            return {}
        return {
            name: crossing(said, self.view.futures.at, self.level)
            for name, said in self.view.plain.items()
        }

    def seconds(self, position: float | None) -> float | None:
        """Wall-clock seconds from now to a position; None where the clock was not read."""
        pace = self.view.curve.seconds_per_unit
        if position is None or pace is None:
            return None
        return (position - self.view.curve.now) * pace


def look_ahead(
    curve: Curve, *, prior: Prior | None = None, samples: int = 1000, seed: int = 0
) -> View:
    """Sample the futures of a curve up to the end of its plan, or say why that makes no sense.

    `prior` is that of the recorded runs that epochlab ships, unless another one is given. Equal
    seeds give equal futures.
    """
    prior = shipped(curve.kind) if prior is None else prior
    refusal = _unfit(curve)
    if refusal is None:
        found = futures(curve, prior, samples=samples, seed=seed)
        refusal = _not_falling(curve, found)
        if refusal is None:
            return View(curve=curve, prior=prior, futures=found, refusal=None)
    return View(curve=curve, prior=prior, futures=None, refusal=refusal)


def forecast(curve: Curve | View, level: float, *, prior: Prior | None = None) -> Outlook:
    """When `curve` reaches `level`: position, band and probability, or a stated refusal.

    `level` is in the curve's own sense: a loss, or 1 - accuracy. Raises BadOption for a level that
    is not finite or below 0.

        >>> at = tuple(range(1, 61))
        >>> curve = Curve(kind="train loss", at=at, rates=(0.1,) * 60,
        ...               values=tuple(2.0 * k**-0.5 for k in at[:20]))
        >>> outlook = forecast(curve, 0.3)                       # 2 k^-0.5 is 0.3 at k = 44.4
        >>> round(outlook.reach.low) <= 45 <= round(outlook.reach.high)
        True
        >>> forecast(curve.cut(3), 0.3).refusal
        'only 3 points were seen, and at least 5 are needed'
    """
    if not (math.isfinite(level) and level >= 0):
        raise BadOption(f"forecast: level is {level!r}; it must be a finite number, 0 or more.")
    view = look_ahead(curve, prior=prior) if isinstance(curve, Curve) else curve
    curve = view.curve
    reached = curve.first_at(level)
    if reached is not None:
        return Outlook(view=view, level=level, reached=reached, reach=None, refusal=None)
    if view.futures is None:
        return Outlook(view=view, level=level, reached=None, reach=None, refusal=view.refusal)
    found = reach(curve, view.futures, view.prior, level, BAND)
    refusal = _doubtful(curve, found)
    return Outlook(
        view=view, level=level, reached=None, reach=None if refusal else found, refusal=refusal
    )


def _unfit(curve: Curve) -> str | None:
    """Why no formula should be fitted to these points."""
    values = curve.values
    wrong = next((i for i, v in enumerate(values) if not math.isfinite(v)), None)
    if wrong is not None:
        return (f"the value at {curve.unit} {curve.at[wrong]:g} is {values[wrong]}: the run "
                "diverged, or its log is damaged")  # fmt: skip
    if len(values) < FEWEST_VALUES:
        return f"only {len(values)} points were seen, and at least {FEWEST_VALUES} are needed"
    if len(values) == len(curve.at):
        return "the plan ends here, so that nothing is left to forecast"
    if max(values) <= 0:
        return "every value is 0, which cannot fall"
    return None


def _not_falling(curve: Curve, found: Futures) -> str | None:
    """Why the futures of a curve that does not fall are not to be used."""
    if found.raw_slope > 0 and found.slope > CERTAIN * found.slope_error:
        return None
    what = "rises" if found.raw_slope < 0 else "does not fall by more than its noise"
    return f"the curve {what} over the latest {curve.unit}s, so that no fall can be carried on"


def _doubtful(curve: Curve, found: Reach) -> str | None:
    """Why a position is not to be told."""
    if found.probability < LEAST_PROBABILITY or found.position is None:
        return (f"the target is out of reach: {found.probability:.0%} of the sampled futures reach "
                f"it by {curve.unit} {curve.end:g}, where the plan ends")  # fmt: skip
    assert found.low is not None and found.high is not None
    if found.high > MOST_SPREAD * found.low:
        return (f"the futures disagree too much: {curve.unit} {found.low:.0f} and {found.high:.0f} "
                "are both well possible")  # fmt: skip
    return None
