"""The same value from the first step to the last."""

from __future__ import annotations

from dataclasses import dataclass

from epochlab.component import Positive
from epochlab.schedules import Progress, Schedule


@dataclass(frozen=True, kw_only=True)
class Constant(Schedule):
    """One level for the whole run.

    Equation::

        value = level

    It does what a plain number does; it exists so that a study can vary schedules alone.

    Example:

        >>> from epochlab.schedules import Progress
        >>> Constant(level=0.1).value(Progress(step=500, epoch=5.0, epochs=10))
        0.1

    Reference: the fixed policy against which every schedule here is compared.
    """

    level: Positive
    "the value"

    def value(self, at: Progress) -> float:
        return self.level
