"""Drops by a constant factor at chosen epochs."""

from __future__ import annotations

from dataclasses import dataclass

from epochlab.component import Positive
from epochlab.errors import BadOption
from epochlab.schedules import Progress, Schedule
from epochlab.schedules._drops import reached


@dataclass(frozen=True, kw_only=True)
class Multistep(Schedule):
    """A staircase whose steps lie where the user puts them.

    Equation::

        value = start * factor^(number of drops at or before the epoch)

    epoch: passes over the training data, with fraction. A drop acts from the first step at or
    after its epoch on, so drop 60 leaves the first 60 epochs at the old value.

    Kin: StepDecay is the same with drops at equal distances. PyTorch's MultiStepLR, stepped once
    per epoch, gives these values with milestones = drops and gamma = factor.

    Example, from 0.1 to 0.0001 in a run of 200 epochs:

        >>> from epochlab.schedules import Progress
        >>> schedule = Multistep(start=0.1, drops=(60, 120, 180))
        >>> [f"{schedule.value(Progress(0, epoch, 200)):g}" for epoch in (0, 60, 120, 180)]
        ['0.1', '0.01', '0.001', '0.0001']

    Reference: PyTorch, torch.optim.lr_scheduler.MultiStepLR.
    """

    start: Positive
    "value before the first drop"
    drops: tuple[Positive, ...]
    "epochs at which the value drops, ascending; fractions are allowed"
    factor: Positive = 0.1
    "what each drop multiplies the value by; above 1 it grows, as a batch size may"

    def __post_init__(self) -> None:
        super().__post_init__()
        if any(a >= b for a, b in zip(self.drops, self.drops[1:], strict=False)):
            given = ", ".join(f"{d:g}" for d in self.drops)
            fixed = ", ".join(f"{d:g}" for d in sorted(set(self.drops)))
            raise BadOption(
                f"schedules/multistep: option 'drops' is {given}; each drop must come after the "
                f"one before it. Did you mean {fixed}?"
            )

    def value(self, at: Progress) -> float:
        return self.start * self.factor ** sum(reached(at.epoch, drop) for drop in self.drops)
