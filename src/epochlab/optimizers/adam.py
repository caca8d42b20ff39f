"""Adam: mean gradient over root mean square gradient, both corrected for their start at zero."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from epochlab.component import Positive, ShareBelowOne
from epochlab.optimizers import Optimizer
from epochlab.optimizers._epsilon import Epsilon
from epochlab.schedules import Schedule

if TYPE_CHECKING:
    from torch import Tensor

    from epochlab.optimizers import State


@dataclass(frozen=True, kw_only=True)
class Adam(Optimizer):
    """Steps along a fading mean of the gradients, divided by the root of their mean square.

    Equation::

        m <- beta1 * m + (1 - beta1) * g
        v <- beta2 * v + (1 - beta2) * g^2
        m_hat = m / (1 - beta1^t)
        v_hat = v / (1 - beta2^t)
        w <- w - lr * m_hat / (sqrt(v_hat) + epsilon)

    w: weight; g: gradient of the loss at w, coupled weight decay included; m, v: fading means of
    the gradients and of their squares, 0 before the first step; beta1, beta2: shares of them that
    survive a step; m_hat, v_hat: the means without the pull of their start at 0; t: number of the
    step, from 1; lr: step size; epsilon: small constant that keeps the division defined.

    `epsilon_hat` adds epsilon to sqrt(v) in place of sqrt(v_hat), which makes it larger by
    1 / sqrt(1 - beta2^t) in early steps. `amsgrad` puts the largest v so far in the place of v.

    Kin: RMSProp's denominator, momentum's numerator, and a correction that neither of them has.
    With weight_decay the decay is divided by the denominator too, so weights with large gradients
    are decayed less; `decoupled` (AdamW) decays all weights alike.

    Defaults: lr 0.001, beta1 0.9, beta2 0.999, epsilon 1e-8 in the paper and in PyTorch 2.13.
    Keras 3.15 has the same but `Adam(epsilon=1e-7, epsilon_hat=True)`.

    Example, two steps with gradients 4 and 1; a constant gradient of any size would give lr:

        >>> import torch
        >>> adam = Adam(lr=0.1)
        >>> w = torch.tensor([1.0])
        >>> state = {name: torch.full_like(w, fill) for name, fill in adam.slots().items()}
        >>> for t, gradient in ((1, 4.0), (2, 1.0)):
        ...     adam.step(w, torch.tensor([gradient]), state, lr=0.1, t=t)
        ...     print(f"{w.item():.4f}")
        0.9000
        0.8169

    Reference: Kingma, Ba: "Adam: a method for stochastic optimization", ICLR 2015, arXiv 1412.6980,
    algorithm 1. Decoupled decay: Loshchilov, Hutter, arXiv 1711.05101. AMSGrad: Reddi, Kale,
    Kumar: "On the convergence of Adam and beyond", ICLR 2018.
    """

    lr: Positive | Schedule = 0.001
    "step size: a number, or a schedule of it"
    beta1: ShareBelowOne = 0.9
    "share of the mean of gradients that survives a step"
    beta2: ShareBelowOne = 0.999
    "share of the mean of squared gradients that survives a step"
    epsilon: Epsilon = 1e-8
    "small constant that keeps the division defined"
    epsilon_hat: bool = False
    "add epsilon before the bias correction, as Keras does"
    amsgrad: bool = False
    "divide by the largest mean of squared gradients so far; the rate can then only fall"

    def slots(self) -> Mapping[str, float]:
        needed = {"mean": 0.0, "square_mean": 0.0}
        if self.amsgrad:
            needed["square_mean_max"] = 0.0
        return needed

    def update(self, w: Tensor, g: Tensor, state: State, lr: float, t: int) -> None:
        """Both corrections are scalars, so they go into the rate and epsilon, not the tensors."""
        import torch

        m = state["mean"].lerp_(g, 1 - self.beta1)
        v = state["square_mean"].mul_(self.beta2).addcmul_(g, g, value=1 - self.beta2)
        if self.amsgrad:
            v = torch.maximum(state["square_mean_max"], v, out=state["square_mean_max"])
        correction = math.sqrt(1 - self.beta2**t)
        epsilon = self.epsilon if self.epsilon_hat else self.epsilon * correction
        # The gradient has been used: its memory takes the denominator.
        root = torch.sqrt(v, out=g).add_(epsilon)
        w.addcdiv_(m, root, value=-lr * correction / (1 - self.beta1**t))
