"""AdaGrad: each weight's rate shrinks with the root of the sum of all its squared gradients."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from epochlab.component import NotNegative, Positive
from epochlab.optimizers import Optimizer
from epochlab.optimizers._epsilon import Epsilon
from epochlab.schedules import Schedule

if TYPE_CHECKING:
    from torch import Tensor

    from epochlab.optimizers import State


@dataclass(frozen=True, kw_only=True)
class Adagrad(Optimizer):
    """Divides every step by the root of the sum of squared gradients since the start.

    Equation::

        s <- s + g^2
        w <- w - lr_t * g / (sqrt(s) + epsilon)                or g / sqrt(s + epsilon)
        lr_t = lr / (1 + (t - 1) * lr_decay)

    w: weight; g: gradient of the loss at w, coupled weight decay included; s: sum of squared
    gradients, `initial_accumulator` before the first step; lr: step size; t: number of the step,
    from 1; epsilon: small constant that keeps the division defined.

    Kin: the accumulator s only grows, so the rate of every weight falls towards 0 for good.
    RMSProp replaces the sum by a mean that forgets; AdaDelta and Adam keep that change.

    Defaults: those of PyTorch 2.13, epsilon 1e-10 outside the root and s = 0 at the start. The
    paper leaves the rate open. Keras 3.15: lr 0.001, epsilon 1e-7 inside the root, s = 0.1 at the
    start: `Adagrad(lr=0.001, epsilon=1e-7, epsilon_inside=True, initial_accumulator=0.1)`.

    Example, three steps with gradient 4; each is lr / sqrt(t) long, whatever the gradient's size:

        >>> import torch
        >>> adagrad = Adagrad(lr=0.1)
        >>> w = torch.tensor([1.0])
        >>> state = {name: torch.full_like(w, fill) for name, fill in adagrad.slots().items()}
        >>> for t in (1, 2, 3):
        ...     adagrad.step(w, torch.tensor([4.0]), state, lr=0.1, t=t)
        ...     print(f"{w.item():.4f}")
        0.9000
        0.8293
        0.7716

    Reference: Duchi, Hazan, Singer: "Adaptive subgradient methods for online learning and
    stochastic optimization", JMLR 12, 2011.
    """

    lr: Positive | Schedule = 0.01
    "step size: a number, or a schedule of it"
    lr_decay: NotNegative = 0.0
    "divides the rate of step t by 1 + (t-1)*lr_decay"
    epsilon: Epsilon = 1e-10
    "small constant that keeps the division defined"
    epsilon_inside: bool = False
    "add epsilon under the root, as Keras does, in place of after it"
    initial_accumulator: NotNegative = 0.0
    "sum of squared gradients before the first step"

    def slots(self) -> Mapping[str, float]:
        return {"square_sum": self.initial_accumulator}

    def update(self, w: Tensor, g: Tensor, state: State, lr: float, t: int) -> None:
        s = state["square_sum"].addcmul_(g, g)
        e = self.epsilon
        root = s.add(e).sqrt_() if self.epsilon_inside else s.sqrt().add_(e)
        w.addcdiv_(g, root, value=-lr / (1 + (t - 1) * self.lr_decay))
