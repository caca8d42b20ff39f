"""Falls along half a cosine, after a linear warm-up if wanted."""

from __future__ import annotations

import math
from dataclasses import dataclass

from epochlab.component import NotNegative, Positive
from epochlab.errors import BadOption
from epochlab.schedules import Progress, Schedule


@dataclass(frozen=True, kw_only=True)
class Cosine(Schedule):
    """One smooth fall over the whole run: flat, steep, flat.

    Equation, with e the epoch, E the planned epochs and w = warmup_epochs::

        e < w:   value = warmup_start + (high - warmup_start) * e / w
        else:    value = low + (high - low) * (1 + cos(pi * (e - w) / (E - w))) / 2

    epoch: passes over the training data, with fraction.

    Kin: without warm-up, PyTorch's CosineAnnealingLR with T_max = all steps gives these values;
    with warm-up it is a one-cycle policy with a straight rise.

    Example:

        >>> from epochlab.schedules import Progress
        >>> schedule = Cosine(high=0.1, warmup_epochs=2)
        >>> [f"{schedule.value(Progress(0, epoch, 10)):.4f}" for epoch in (0, 1, 2, 6, 10)]
        ['0.0000', '0.0500', '0.1000', '0.0500', '0.0000']

    Reference: Loshchilov, Hutter: "SGDR: stochastic gradient descent with warm restarts",
    ICLR 2017, arXiv 1608.03983, equation 5. Warm-up: Goyal et al.: "Accurate, large minibatch
    SGD", arXiv 1706.02677.
    """

    high: Positive
    "value at the end of the warm-up, or of the first step without one"
    low: NotNegative = 0.0
    "value at the end of the run"
    warmup_epochs: NotNegative = 0.0
    "epochs of the linear rise before the fall"
    warmup_start: NotNegative = 0.0
    "value of the first step of the warm-up"

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("low", "warmup_start"):
            if getattr(self, name) >= self.high:
                raise BadOption(
                    f"schedules/cosine: option '{name}' is {getattr(self, name):g} and 'high' is "
                    f"{self.high:g}; '{name}' must lie below 'high'."
                )
        if self.warmup_start and not self.warmup_epochs:
            raise BadOption(
                f"schedules/cosine: option 'warmup_start' is {self.warmup_start:g}, but there is "
                "no warm-up. Set 'warmup_epochs', or leave 'warmup_start' out."
            )

    def value(self, at: Progress) -> float:
        """Raises BadOption if the warm-up leaves no epochs for the fall."""
        if self.warmup_epochs >= at.epochs:
            raise BadOption(
                f"schedules/cosine: option 'warmup_epochs' is {self.warmup_epochs:g}, but the run "
                f"has {at.epochs} epochs. The warm-up must be shorter than the run."
            )
        if at.epoch < self.warmup_epochs:
            share = at.epoch / self.warmup_epochs
            return self.warmup_start + (self.high - self.warmup_start) * share
        share = (at.epoch - self.warmup_epochs) / (at.epochs - self.warmup_epochs)
        return self.low + (self.high - self.low) * (1 + math.cos(math.pi * min(share, 1.0))) / 2
