"""Optimizers: each file is one update equation, written once on tensors of any shape."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from epochlab.component import Component, NotNegative, Positive
from epochlab.schedules import Schedule

if TYPE_CHECKING:
    from torch import Tensor

    State = Mapping[str, Tensor]


@dataclass(frozen=True, kw_only=True)
class Optimizer(Component):
    """Moves weights w along their gradient g.

    Everything is element-wise, so the training loop may hand over one tensor per parameter or one
    flat vector of all parameters; the result is the same.
    """

    lr: Positive | Schedule = 0.01
    "step size: a number, or a schedule of it"
    weight_decay: NotNegative = 0.0
    "L2 strength c; the gradient gains c*w"
    decoupled: bool = False
    "apply the decay to the weights directly, w -= lr*c*w, past the method's own scaling"

    state_starts: ClassVar[Mapping[str, float]] = {}
    "state tensors by name and the value that fills them before the first step"

    def slots(self) -> Mapping[str, float]:
        """State tensors that these options need, each shaped like w, and their first value."""
        return self.state_starts

    def look_ahead(self, w: Tensor, state: State) -> None:
        """Move w in place to the point where the gradient is to be taken (most: stay)."""

    def step(self, w: Tensor, g: Tensor, state: State, lr: float, t: int) -> None:
        """One step in place: decay, then the method's update. `t` counts steps from 1.

        `g` may be overwritten. `lr` is the rate of this step, whatever `self.lr` is.
        """
        if self.weight_decay:
            if self.decoupled:
                w.mul_(1 - lr * self.weight_decay)
            else:
                g.add_(w, alpha=self.weight_decay)
        self.update(w, g, state, lr, t)

    def update(self, w: Tensor, g: Tensor, state: State, lr: float, t: int) -> None:
        """The method's own equation, in place on w and on the state tensors."""
        raise NotImplementedError
