"""Stochastic gradient descent, with momentum and Nesterov's look-ahead as options."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from epochlab.component import Positive, ShareBelowOne
from epochlab.errors import BadOption
from epochlab.optimizers import Optimizer
from epochlab.schedules import Schedule

if TYPE_CHECKING:
    from torch import Tensor

    from epochlab.optimizers import State


@dataclass(frozen=True, kw_only=True)
class Sgd(Optimizer):
    """Steps against the gradient, or against a fading sum of the gradients so far.

    Equation::

        w <- w - lr * g                                        momentum = 0

        b <- momentum * b + (1 - dampening) * g                (first step: b <- g)
        w <- w - lr * b                                        momentum
        w <- w - lr * (g + momentum * b)                       momentum, nesterov

    w: weight; g: gradient of the loss at w, coupled weight decay included; lr: step size;
    b: momentum buffer, 0 before the first step; momentum: share of the buffer that survives a step;
    dampening: share of the gradient that is kept out of the buffer.

    With `rate_in_momentum` the buffer holds lr * g in place of g and is subtracted as it is. While
    lr is constant the weights are the same; when a schedule lowers lr, the steps already in the
    buffer keep their old, larger rate.

    Kin: no other method here gives every weight the same rate. With `nesterov` the stored weight
    is the look-ahead point itself, so the gradient needs no second place to be taken at.

    Defaults: the rate is Keras's 0.01, where PyTorch 2.13 has 0.001; neither uses momentum unless
    told. PyTorch keeps the rate outside the buffer, Keras inside (`rate_in_momentum`).

    Example, two steps with gradient 1; the second is 1.9 times as long as the first:

        >>> import torch
        >>> sgd = Sgd(lr=0.1, momentum=0.9)
        >>> w = torch.tensor([1.0])
        >>> state = {name: torch.full_like(w, fill) for name, fill in sgd.slots().items()}
        >>> for t in (1, 2):
        ...     sgd.step(w, torch.tensor([1.0]), state, lr=0.1, t=t)
        ...     print(f"{w.item():.4f}")
        0.9000
        0.7100

    Reference: Sutskever, Martens, Dahl, Hinton: "On the importance of initialization and momentum
    in deep learning", ICML 2013.
    """

    lr: Positive | Schedule = 0.01
    "step size: a number, or a schedule of it"
    momentum: ShareBelowOne = 0.0
    "share of the momentum buffer that survives a step; 0 keeps no buffer"
    dampening: ShareBelowOne = 0.0
    "share of each gradient, after the first, that is kept out of the momentum buffer"
    nesterov: bool = False
    "step along the gradient plus the momentum that the next step will add"
    rate_in_momentum: bool = False
    "let the buffer hold lr*g in place of g, as Keras does; differs once lr changes"

    def __post_init__(self) -> None:
        super().__post_init__()
        wants = [n for n in ("nesterov", "dampening", "rate_in_momentum") if getattr(self, n)]
        if wants and not self.momentum:
            raise BadOption(
                f"optimizers/sgd: option '{wants[0]}' is {getattr(self, wants[0])!r}, but it acts "
                "on the momentum and momentum is 0. Set momentum (0.9 is usual), or leave "
                f"'{wants[0]}' out."
            )
        if self.nesterov and self.dampening:
            raise BadOption(
                f"optimizers/sgd: nesterov is on and dampening is {self.dampening:g}; Nesterov's "
                "step is defined for dampening 0 only. Choose one of the two."
            )

    def slots(self) -> Mapping[str, float]:
        return {"momentum": 0.0} if self.momentum else {}

    def update(self, w: Tensor, g: Tensor, state: State, lr: float, t: int) -> None:
        """See the class; with `rate_in_momentum` the gradient is scaled before all else."""
        rate = lr
        if self.rate_in_momentum:
            g.mul_(lr)
            rate = 1.0
        if self.momentum:
            b = state["momentum"]
            if t == 1:
                b.copy_(g)
            else:
                b.mul_(self.momentum).add_(g, alpha=1 - self.dampening)
            if not self.nesterov:
                w.add_(b, alpha=-rate)
                return
            g.add_(b, alpha=self.momentum)
        w.add_(g, alpha=-rate)
