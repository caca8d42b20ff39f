"""Swings between low and high in straight lines, with a constant or shrinking swing."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Literal

from epochlab.component import Count, Limits, NotNegative, Positive
from epochlab.errors import BadOption
from epochlab.schedules import Progress, Schedule


@dataclass(frozen=True, kw_only=True)
class Cyclical(Schedule):
    """A triangle wave between two limits.

    Equation, with k the steps taken and s the steps of half a cycle::

        cycle = floor(1 + k / (2 s))
        x     = |k / s - 2 cycle + 1|
        value = low + (high - low) * max(0, 1 - x) * scale

        triangular:   scale = 1
        triangular2:  scale = 1 / 2^(cycle - 1)         each cycle half as high as the last
        exp_range:    scale = gamma^k                   a little lower with every step

    x: distance from the top of the cycle, 1 at its ends, 0 at its top. With `half_cycle_epochs` h,
    the fraction k / s is epoch / h, so a cycle keeps its length in epochs when the batch changes.

    Rules of thumb from the paper and the Keras callback: half a cycle is 2 to 10 epochs long, a
    run ends where a cycle ends, and at least 3 cycles are run.

    Names elsewhere:

        =================  ===================  ======================
        here               Keras callback CLR   PyTorch CyclicLR
        =================  ===================  ======================
        low                base_lr              base_lr
        high               max_lr               max_lr
        half_cycle_steps   step_size            step_size_up
        mode               mode                 mode
        gamma              gamma                gamma
        =================  ===================  ======================

    Example, with the paper's values:

        >>> from epochlab.schedules import Progress
        >>> schedule = Cyclical(low=0.001, high=0.006, half_cycle_steps=2000, mode="triangular2")
        >>> steps = (0, 1000, 2000, 4000, 6000)
        >>> [f"{schedule.value(Progress(k, k / 500, 20, 10000)):g}" for k in steps]
        ['0.001', '0.0035', '0.006', '0.001', '0.0035']

    Reference: Smith: "Cyclical learning rates for training neural networks", WACV 2017,
    arXiv 1506.01186.
    """

    low: NotNegative
    "value at the start and the end of each cycle"
    high: Positive
    "value at the top of the first cycle"
    half_cycle_steps: Count | None = None
    "steps from low to high; give this or half_cycle_epochs"
    half_cycle_epochs: Positive | None = None
    "epochs from low to high, with fraction; give this or half_cycle_steps"
    mode: Literal["triangular", "triangular2", "exp_range"] = "triangular"
    "how the height of the swing changes: not, by half per cycle, by gamma per step"
    gamma: Annotated[float, Limits(low=0, low_open=True, high=1)] = 1.0
    "factor per step on the height of the swing, for exp_range"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.low >= self.high:
            raise BadOption(
                f"schedules/cyclical: option 'low' is {self.low:g} and 'high' is {self.high:g}; "
                "low must lie below high."
            )
        if (self.half_cycle_steps is None) == (self.half_cycle_epochs is None):
            given = "neither is" if self.half_cycle_steps is None else "both are"
            raise BadOption(
                "schedules/cyclical: exactly one of 'half_cycle_steps' and 'half_cycle_epochs' "
                f"must be given; {given}. Half a cycle of 2 to 10 epochs is usual."
            )
        if self.gamma != 1 and self.mode != "exp_range":
            raise BadOption(
                f"schedules/cyclical: option 'gamma' is {self.gamma:g}, but the mode "
                f"'{self.mode}' does not use it. Set mode to 'exp_range', or leave gamma out."
            )

    def value(self, at: Progress) -> float:
        """Raises BadOption where it would have to count steps that are not known."""
        half_cycles = self._half_cycles(at)
        cycle = math.floor(1 + half_cycles / 2)
        x = abs(half_cycles - 2 * cycle + 1)
        return self.low + (self.high - self.low) * max(0.0, 1 - x) * self._scale(cycle, at)

    def _half_cycles(self, at: Progress) -> float:
        if self.half_cycle_epochs is not None:
            return at.epoch / self.half_cycle_epochs
        assert self.half_cycle_steps is not None
        self._check_steps(at, "use half_cycle_epochs in place of half_cycle_steps")
        return at.step / self.half_cycle_steps

    def _scale(self, cycle: int, at: Progress) -> float:
        if self.mode == "triangular2":
            return float(0.5 ** (cycle - 1))
        if self.mode == "exp_range":
            self._check_steps(at, "use the mode 'triangular' or 'triangular2'")
            return float(self.gamma**at.step)
        return 1.0

    def _check_steps(self, at: Progress, todo: str) -> None:
        """A batch size is asked for by epoch alone: its step stays 0, which would look like low."""
        if at.steps == 0 and at.step == 0 and at.epoch > 0:
            raise BadOption(
                "schedules/cyclical counts steps here, which are not known where it is used (a "
                f"batch size decides them); {todo}."
            )
