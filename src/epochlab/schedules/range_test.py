"""Rises from low to high once over the whole run, to find the useful range of learning rates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from epochlab.component import NotNegative, Positive
from epochlab.errors import BadOption
from epochlab.schedules import Progress, Schedule


@dataclass(frozen=True, kw_only=True)
class RangeTest(Schedule):
    """One sweep through the learning rates; the loss over the rate shows where training works.

    Equation, with k the steps taken and N the planned steps::

        exponential:  value = low * (high / low)^(k / N)
        linear:       value = low + (high - low) * k / N

    So the first step has the rate low, and high is reached only after the last. An exponential
    rise gives every power of ten the same number of steps, as the Keras finder does, which
    multiplies the rate by (high / low)^(1 / N) after each batch. Smith's own test is linear.

    Read off: the lower limit where the loss begins to fall, the upper one where it becomes ragged
    or rises.

    Example:

        >>> from epochlab.schedules import Progress
        >>> schedule = RangeTest(low=1e-4, high=1.0)
        >>> [f"{schedule.value(Progress(k, k / 100, 4, 400)):.0e}" for k in (0, 100, 200, 300)]
        ['1e-04', '1e-03', '1e-02', '1e-01']

    Reference: Smith: "Cyclical learning rates for training neural networks", WACV 2017,
    arXiv 1506.01186, section 3.3.
    """

    low: NotNegative = 1e-9
    "value of the first step"
    high: Positive = 10.0
    "value that the rise leads to"
    growth: Literal["exponential", "linear"] = "exponential"
    "multiply by a constant in each step, or add a constant"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.low >= self.high:
            raise BadOption(
                f"schedules/range_test: option 'low' is {self.low:g} and 'high' is {self.high:g}; "
                "low must lie below high."
            )
        if self.growth == "exponential" and self.low == 0:
            raise BadOption(
                "schedules/range_test: option 'low' is 0, from which no factor leads upwards. "
                "Set low above 0 (1e-9 is the default), or growth to 'linear'."
            )

    def value(self, at: Progress) -> float:
        """Raises BadOption while the number of planned steps is not known."""
        if at.steps <= 0:
            raise BadOption(
                "schedules/range_test counts the steps of the whole run, which are not known where "
                "it is used (a batch size decides them). Use it as a learning rate; for a batch "
                "size take the schedule 'growing'."
            )
        share = at.step / at.steps
        if self.growth == "linear":
            return self.low + (self.high - self.low) * share
        return float(self.low * (self.high / self.low) ** share)
