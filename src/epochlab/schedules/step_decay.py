"""Drops by a constant factor every so many epochs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from epochlab.component import Limits, Positive
from epochlab.schedules import Progress, Schedule
from epochlab.schedules._drops import whole_periods


@dataclass(frozen=True, kw_only=True)
class StepDecay(Schedule):
    """A staircase with steps of equal length.

    Equation::

        value = start * factor^floor(epoch / every_epochs)

    epoch: passes over the training data, with fraction.

    Kin: Multistep puts each drop where the user wants it; Growing is the staircase upwards.
    PyTorch's StepLR, stepped once per epoch, gives these values with step_size = every_epochs and
    gamma = factor. In scripts with the constants DECAY_EPOCHS and DECAY they are every_epochs and
    factor.

    Example:

        >>> from epochlab.schedules import Progress
        >>> schedule = StepDecay(start=0.1, factor=0.5, every_epochs=2)
        >>> [schedule.value(Progress(0, epoch, 6)) for epoch in (0, 1, 2, 3, 4, 5)]
        [0.1, 0.1, 0.05, 0.05, 0.025, 0.025]

    Reference: PyTorch, torch.optim.lr_scheduler.StepLR.
    """

    start: Positive
    "value during the first period"
    factor: Annotated[float, Limits(low=0, low_open=True, high=1)] = 0.1
    "what each drop multiplies the value by (DECAY)"
    every_epochs: Positive = 10.0
    "epochs from one drop to the next (DECAY_EPOCHS)"

    def value(self, at: Progress) -> float:
        return self.start * self.factor ** whole_periods(at.epoch, self.every_epochs)
