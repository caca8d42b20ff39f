"""RMSProp with Nesterov momentum: the gradient is taken where the momentum is about to lead."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from epochlab.component import Positive, ShareBelowOne
from epochlab.optimizers import Optimizer
from epochlab.optimizers._epsilon import Epsilon
from epochlab.schedules import Schedule

if TYPE_CHECKING:
    from torch import Tensor

    from epochlab.optimizers import State


@dataclass(frozen=True, kw_only=True)
class RmspropNesterov(Optimizer):
    """Takes the gradient at the look-ahead point w + momentum * v, then scales it as RMSProp does.

    Equation::

        w'  = w + momentum * v                                 before the gradient is taken
        g   = gradient of the loss at w'
        r  <- rho * r + (1 - rho) * g^2
        v  <- momentum * v - lr * g / (sqrt(r) + epsilon)      or g / sqrt(r + epsilon)
        w  <- w + v

    w: weight; w': look-ahead point; g: gradient, coupled weight decay included (taken at w' like
    the rest); v: velocity, the step itself, rate included; r: fading mean of the squared
    gradients; v and r are 0 before the first step; momentum: share of the velocity that survives
    a step; rho: share of r that survives a step; lr: step size; epsilon: small constant that keeps
    the division defined.

    Since w + v = w' - lr * g / (sqrt(r) + epsilon), the step is taken from w' without going back:
    between two steps the weights are exactly w, the point that is evaluated and saved. Decoupled
    weight decay shrinks w, not w'.

    Kin: RMSProp with momentum differs in one thing only, the point at which the gradient is taken.
    NAdam is the relative on Adam's side, with bias correction and a momentum that warms up.

    Defaults: rate and momentum 0.001 and 0.9, rho 0.9 as for RMSProp here. Neither PyTorch 2.13
    nor Keras 3.15 has the method. The book prints it without epsilon; its text gives 1e-6. Here
    epsilon is RMSProp's, 1e-8 outside the root, so that the two can be compared.

    Example, two steps on the loss w^2 / 2, whose gradient is w:

        >>> import torch
        >>> method = RmspropNesterov(lr=0.01)
        >>> w = torch.tensor([1.0])
        >>> state = {name: torch.full_like(w, fill) for name, fill in method.slots().items()}
        >>> for t in (1, 2):
        ...     method.look_ahead(w, state)
        ...     method.step(w, w.clone(), state, lr=0.01, t=t)
        ...     print(f"{w.item():.4f}")
        0.9684
        0.9177

    Reference: Goodfellow, Bengio, Courville: "Deep Learning", MIT Press 2016, algorithm 8.6.
    """

    lr: Positive | Schedule = 0.001
    "step size: a number, or a schedule of it"
    rho: ShareBelowOne = 0.9
    "share of the mean of squared gradients that survives a step"
    momentum: ShareBelowOne = 0.9
    "share of the velocity that survives a step"
    epsilon: Epsilon = 1e-8
    "small constant that keeps the division defined"
    epsilon_inside: bool = False
    "add epsilon under the root in place of after it"

    state_starts: ClassVar[Mapping[str, float]] = {"square_mean": 0.0, "velocity": 0.0}

    def look_ahead(self, w: Tensor, state: State) -> None:
        w.add_(state["velocity"], alpha=self.momentum)

    def update(self, w: Tensor, g: Tensor, state: State, lr: float, t: int) -> None:
        """`w` enters as the look-ahead point and leaves as the new weight."""
        r = state["square_mean"].mul_(self.rho).addcmul_(g, g, value=1 - self.rho)
        e = self.epsilon
        g.div_(r.add(e).sqrt_() if self.epsilon_inside else r.sqrt().add_(e))
        v = state["velocity"]
        if self.decoupled and self.weight_decay:
            # `step` has shrunk momentum*v along with w; give v its share back.
            w.add_(v, alpha=self.momentum * lr * self.weight_decay)
        w.add_(g, alpha=-lr)
        v.mul_(self.momentum).add_(g, alpha=-lr)
