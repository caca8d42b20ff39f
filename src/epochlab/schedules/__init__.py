"""Schedules: a value as a pure function of progress; they serve learning rate and batch size."""

from __future__ import annotations

from dataclasses import dataclass

from epochlab.component import Component


@dataclass(frozen=True)
class Progress:
    """Where a training run stands before a step.

    step: steps already taken; epoch: passes over the training data, with fraction; epochs: planned
    passes; steps: planned steps (0 while it is not known, e.g. for a batch-size schedule).
    """

    step: int
    epoch: float
    epochs: int
    steps: int = 0


class Schedule(Component):
    """A value over the course of a run."""

    def value(self, at: Progress) -> float:
        """The value for the step that follows `at`."""
        raise NotImplementedError
