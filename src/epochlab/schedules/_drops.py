"""Epochs with fractions, compared so that rounding cannot shift an event by one step."""

from __future__ import annotations

import math

# An epoch's fraction is a quotient of two counts, so it may miss the written number by its last
# digits; a step is never this small a part of an epoch.
_SLACK_EPOCHS = 1e-9


def reached(epoch: float, goal: float) -> bool:
    """Whether `epoch` is at or past `goal`."""
    return epoch >= goal - _SLACK_EPOCHS


def whole_periods(epoch: float, every: float) -> int:
    """How many periods of `every` epochs are complete."""
    return math.floor((epoch + _SLACK_EPOCHS) / every)
