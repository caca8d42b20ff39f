"""Grows by a constant factor every so many epochs, up to a limit; made for batch sizes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from epochlab.component import Limits, Positive
from epochlab.errors import BadOption
from epochlab.schedules import Progress, Schedule
from epochlab.schedules._drops import whole_periods


@dataclass(frozen=True, kw_only=True)
class Growing(Schedule):
    """A staircase upwards that ends at a limit.

    Equation::

        value = min(limit, start * factor^floor(epoch / every_epochs))

    epoch: passes over the training data, with fraction.

    As a batch size it lowers the noise of the steps as a falling rate would: what counts is about
    lr * samples / batch, so doubling the batch does what halving the rate does, in half the steps.

    Kin: StepDecay is the staircase downwards.

    Example, a batch size that doubles from 32 to 4096 in eight stages of two epochs:

        >>> from epochlab.schedules import Progress
        >>> schedule = Growing(start=32, every_epochs=2, limit=4096)
        >>> [round(schedule.value(Progress(0, epoch, 16))) for epoch in range(0, 16, 2)]
        [32, 64, 128, 256, 512, 1024, 2048, 4096]

    Reference: Smith, Kindermans, Ying, Le: "Don't decay the learning rate, increase the batch
    size", ICLR 2018, arXiv 1711.00489.
    """

    start: Positive
    "value during the first period"
    factor: Annotated[float, Limits(low=1, low_open=True)] = 2.0
    "what the value is multiplied by after each period"
    every_epochs: Positive = 1.0
    "epochs from one growth to the next"
    limit: Positive
    "the value never exceeds this"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.limit < self.start:
            raise BadOption(
                f"schedules/growing: option 'limit' is {self.limit:g} and 'start' is "
                f"{self.start:g}; the limit must not lie below the start."
            )

    def value(self, at: Progress) -> float:
        periods = whole_periods(at.epoch, self.every_epochs)
        value = self.start
        # Step by step: a power would overflow long after the limit has been reached.
        while periods > 0 and value < self.limit:
            value *= self.factor
            periods -= 1
        return min(self.limit, value)
