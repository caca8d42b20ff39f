"""A curve that is to be forecast: what was seen of it, and the schedule that is still to come."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Literal, get_args

import numpy as np

from epochlab.errors import BadData
from epochlab.forecast.nonnegative import Floats

Kind = Literal["train loss", "held-out loss", "train error", "held-out error"]
KINDS: tuple[str, ...] = get_args(Kind)

MOST_POSITIONS = 2000
ERROR_FLOOR = 3e-3  # a few wrong answers in a thousand are noise to most test sets
LOSS_FLOOR = 1e-4  # of the median loss; the first one may be huge


@dataclass(frozen=True, kw_only=True)
class Curve:
    """Losses, or shares of wrong answers, that should fall, and the learning rates of the plan.

    `at` holds every position of the plan (epochs or steps, rising from above 0), `rates` the mean
    learning rate over the stretch that ends at each; `values` belong to the first positions.

    Raises BadData for what is no curve: lengths that do not fit, positions that do not rise,
    negative numbers. A value that is NaN or infinite is allowed: `forecast` refuses it.

        >>> curve = Curve(kind="train loss", at=(1, 2, 3, 4), rates=(1,) * 4, values=(2, 1.5, 1.2))
        >>> curve.now, curve.end, curve.cut(2).values
        (3, 4, (2, 1.5))
    """

    kind: Kind
    at: tuple[float, ...]
    "positions, the planned ones included"
    rates: tuple[float, ...]
    "learning rates up to each of them; only their ratios matter"
    values: tuple[float, ...]
    "losses or errors (1 - accuracy) at the first positions"
    name: str = ""
    "what is forecast, as the user calls it, such as test_accuracy"
    unit: str = "epoch"
    "of the positions"
    seconds_per_unit: float | None = None
    "measured wall-clock seconds per epoch (or step)"

    def __post_init__(self) -> None:
        if not len(self.values) <= len(self.at) == len(self.rates):
            raise BadData(
                f"A curve has {len(self.values)} values at {len(self.at)} positions with "
                f"{len(self.rates)} rates; every value needs a position, every position a rate."
            )
        if any(not math.isfinite(t) for t in self.at) or (self.at and self.at[0] <= 0):
            raise BadData("The positions of a curve must be finite numbers above 0.")
        for before, after in zip(self.at, self.at[1:], strict=False):
            if after <= before:
                raise BadData(
                    f"The positions of a curve must rise, but {after:g} follows {before:g}. Sort "
                    "the rows, and give each position one row."
                )
        if any(not (math.isfinite(r) and r >= 0) for r in self.rates) or not any(self.rates):
            raise BadData("Learning rates must be finite numbers, 0 or more, and not all 0.")
        if any(v < 0 for v in self.values):
            raise BadData("A loss or an error below 0 cannot be forecast: its logarithm is taken.")

    @property
    def is_score(self) -> bool:
        """Whether the user knows it as an accuracy: 1 - value."""
        return self.kind.endswith("error")

    @property
    def now(self) -> float:
        """Position of the last value."""
        return self.at[len(self.values) - 1]

    @property
    def end(self) -> float:
        """Position at which the plan ends."""
        return self.at[-1]

    @property
    def floor(self) -> float:
        """What is added before the logarithm, so that an error of 0 stays in reach."""
        return ERROR_FLOOR if self.is_score else LOSS_FLOOR * (median(self.values) or 1.0)

    def logs(self, values: Sequence[float] | Floats) -> Floats:
        """Logarithms of values, the floor added."""
        found: Floats = np.log(np.asarray(values, dtype=np.float64) + self.floor)
        return found

    def from_logs(self, logs: Floats) -> Floats:
        """Inverse of `logs`, never below 0."""
        values: Floats = np.maximum(np.exp(np.minimum(logs, 700.0)) - self.floor, 0.0)
        return values

    def cut(self, at: float) -> Curve:
        """The same curve as it was known at a position."""
        seen = sum(1 for t in self.at[: len(self.values)] if t <= at)
        return replace(self, values=self.values[:seen])

    def first_at(self, level: float) -> float | None:
        """The first position whose value is `level` or lower; None if there is none."""
        return next((t for t, v in zip(self.at, self.values, strict=False) if v <= level), None)

    def planned_until(self, end: float) -> Curve:
        """The same curve with its plan cut or lengthened to `end`.

        A longer plan goes on at the distance of its last two positions, with the last rate that is
        not 0. What was seen is never cut.
        """
        seen = len(self.values)
        kept = max(seen, sum(1 for t in self.at if t <= end))
        at, rates = list(self.at[:kept]), list(self.rates[:kept])
        step = self.at[-1] - self.at[-2] if len(self.at) > 1 else self.at[-1]
        # Not more positions than a drawing could show, however far off the end is.
        step = max(step, (end - at[-1]) / MOST_POSITIONS) if at else step
        rate = next((r for r in reversed(self.rates) if r > 0), 1.0)
        while at and at[-1] + step <= end * (1 + 1e-9):
            at.append(at[-1] + step)
            rates.append(rate)
        return replace(self, at=tuple(at), rates=tuple(rates))
