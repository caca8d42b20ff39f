"""NAdam: Adam with Nesterov momentum and a momentum that warms up."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from epochlab.component import NotNegative, Positive, ShareBelowOne
from epochlab.optimizers import Optimizer
from epochlab.optimizers._epsilon import Epsilon
from epochlab.schedules import Schedule

if TYPE_CHECKING:
    from torch import Tensor

    from epochlab.optimizers import State

_BASE = 0.96


def warmth_product(psi: float, t: int) -> float:
    """The product of 1 - 0.96^(i psi) / 2 over i = 1..t, in constant time.

    log(1 - x) is expanded in powers of x <= 1/2, and each power's sum over i is a geometric series;
    terms beyond the 60th are below the rounding of a double. So a step needs no memory of the
    steps before it.
    """
    total = 0.0
    for k in range(1, 61):
        x = k * psi * math.log(_BASE)  # log of the k-th power's ratio; expm1 keeps small ones exact
        series = math.exp(x) * math.expm1(t * x) / math.expm1(x) if x else float(t)
        total += 0.5**k / k * series
    return math.exp(-total)


@dataclass(frozen=True, kw_only=True)
class Nadam(Optimizer):
    """Adam whose mean of gradients already contains the momentum of the coming step.

    Equation::

        mu_t = beta1 * (1 - 0.96^(t * psi) / 2)
        P_t  = mu_1 * mu_2 * ... * mu_t
        m <- beta1 * m + (1 - beta1) * g
        v <- beta2 * v + (1 - beta2) * g^2
        n  = (1 - mu_t) / (1 - P_t) * g + mu_(t+1) / (1 - P_(t+1)) * m
        w <- w - lr * n / (sqrt(v / (1 - beta2^t)) + epsilon)

    w: weight; g: gradient of the loss at w, coupled weight decay included; m, v: fading means of
    the gradients and of their squares, 0 before the first step; beta1, beta2: shares of them that
    survive a step; mu_t: momentum of step t, which rises from about beta1 / 2 to beta1; P_t: their
    product, which takes the place of beta1^t in the bias correction; psi: how fast mu_t rises;
    n: mean gradient, one step ahead; t: number of the step, from 1; lr: step size; epsilon: small
    constant that keeps the division defined.

    Kin: Adam with mu_t = beta1 and without the step ahead. RMSProp with Nesterov momentum takes
    the gradient ahead, where NAdam takes it at w and moves the momentum instead.

    Defaults: those of PyTorch 2.13, lr 0.002, beta1 0.9, beta2 0.999, epsilon 1e-8, psi 0.004.
    Keras 3.15: lr 0.001, epsilon 1e-7, psi 1.

    Example, two steps with gradient 4:

        >>> import torch
        >>> nadam = Nadam(lr=0.1)
        >>> w = torch.tensor([1.0])
        >>> state = {name: torch.full_like(w, fill) for name, fill in nadam.slots().items()}
        >>> for t in (1, 2):
        ...     nadam.step(w, torch.tensor([4.0]), state, lr=0.1, t=t)
        ...     print(f"{w.item():.4f}")
        0.8944
        0.8160

    Reference: Dozat: "Incorporating Nesterov momentum into Adam", ICLR workshop 2016.
    """

    lr: Positive | Schedule = 0.002
    "step size: a number, or a schedule of it"
    beta1: ShareBelowOne = 0.9
    "share of the mean of gradients that survives a step, and the momentum at its warmest"
    beta2: ShareBelowOne = 0.999
    "share of the mean of squared gradients that survives a step"
    epsilon: Epsilon = 1e-8
    "small constant that keeps the division defined"
    psi: NotNegative = 0.004
    "how fast the momentum warms up: mu_t = beta1*(1 - 0.96^(t*psi)/2)"

    state_starts: ClassVar[Mapping[str, float]] = {"mean": 0.0, "square_mean": 0.0}

    def update(self, w: Tensor, g: Tensor, state: State, lr: float, t: int) -> None:
        m = state["mean"].lerp_(g, 1 - self.beta1)
        v = state["square_mean"].mul_(self.beta2).addcmul_(g, g, value=1 - self.beta2)
        mu, mu_next = (self.beta1 * (1 - 0.5 * _BASE ** (i * self.psi)) for i in (t, t + 1))
        product = self.beta1**t * warmth_product(self.psi, t)
        correction = math.sqrt(1 - self.beta2**t)
        root = v.sqrt().add_(self.epsilon * correction)
        n = g.mul_((1 - mu) / (1 - product)).add_(m, alpha=mu_next / (1 - product * mu_next))
        w.addcdiv_(n, root, value=-lr * correction)
