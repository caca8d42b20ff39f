"""AdaDelta: RMSProp whose steps are also scaled by the size of past steps, so no rate is needed."""

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
class Adadelta(Optimizer):
    """Scales the gradient by the ratio of two fading sizes: of past updates and of gradients.

    Equation::

        v <- rho * v + (1 - rho) * g^2
        d  = g * sqrt(u + epsilon) / sqrt(v + epsilon)
        u <- rho * u + (1 - rho) * d^2
        w <- w - lr * d

    w: weight; g: gradient of the loss at w, coupled weight decay included; v: fading mean of the
    squared gradients; d: update; u: fading mean of the squared updates; v and u are 0 before the
    first step; rho: share of a mean that survives a step; epsilon: small constant, which also
    decides how long the first steps are; lr: factor on every update, 1 in the paper.

    Kin: RMSProp has the same denominator. The numerator is what AdaDelta adds: d carries the unit
    of w, since the gradient's unit cancels, so no rate has to be found. The price is a slow start:
    u grows from 0, and the first step is only sqrt(epsilon / (1 - rho)) long.

    Defaults: those of PyTorch 2.13, lr 1, rho 0.9, epsilon 1e-6. The paper: no rate, rho 0.95,
    epsilon 1e-6. Keras 3.15: lr 0.001, rho 0.95, epsilon 1e-7. All of them put epsilon inside.

    Example, two steps with gradient 4; the rate is 1 and yet they are short:

        >>> import torch
        >>> adadelta = Adadelta()
        >>> w = torch.tensor([1.0])
        >>> state = {name: torch.full_like(w, fill) for name, fill in adadelta.slots().items()}
        >>> for t in (1, 2):
        ...     adadelta.step(w, torch.tensor([4.0]), state, lr=1.0, t=t)
        ...     print(f"{w.item():.6f}")
        0.996838
        0.993593

    Reference: Zeiler: "ADADELTA: an adaptive learning rate method", arXiv 1212.5701, algorithm 1.
    """

    lr: Positive | Schedule = 1.0
    "factor on every update: a number, or a schedule of it; 1 is the paper's method"
    rho: ShareBelowOne = 0.9
    "share of both means that survives a step"
    epsilon: Epsilon = 1e-6
    "small constant under both roots; larger makes the first steps longer"

    state_starts: ClassVar[Mapping[str, float]] = {"square_mean": 0.0, "update_square_mean": 0.0}

    def update(self, w: Tensor, g: Tensor, state: State, lr: float, t: int) -> None:
        v = state["square_mean"].mul_(self.rho).addcmul_(g, g, value=1 - self.rho)
        u = state["update_square_mean"]
        # One root of the ratio in place of a ratio of two roots: roots are the dear operation.
        d = g.mul_(u.add(self.epsilon).div_(v.add(self.epsilon)).sqrt_())
        u.mul_(self.rho).addcmul_(d, d, value=1 - self.rho)
        w.add_(d, alpha=-lr)
