"""RMSProp: each weight's rate follows the root of a fading mean of its squared gradients."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from epochlab.component import Positive, ShareBelowOne
from epochlab.errors import BadOption
from epochlab.optimizers import Optimizer
from epochlab.optimizers._epsilon import Epsilon
from epochlab.schedules import Schedule

if TYPE_CHECKING:
    from torch import Tensor

    from epochlab.optimizers import State


@dataclass(frozen=True, kw_only=True)
class Rmsprop(Optimizer):
    """Divides every step by the root of a fading mean of the squared gradients.

    Equation::

        v <- rho * v + (1 - rho) * g^2
        a <- rho * a + (1 - rho) * g                           centered only, else a = 0
        n  = g / (sqrt(v - a^2) + epsilon)                     or g / sqrt(v - a^2 + epsilon)
        w <- w - lr * n                                        momentum = 0

        b <- momentum * b + n                                  momentum
        w <- w - lr * b

    w: weight; g: gradient of the loss at w, coupled weight decay included; v: fading mean of the
    squared gradients; a: fading mean of the gradients; n: scaled gradient; b: momentum buffer;
    v, a and b are 0 before the first step; rho: share of a mean that survives a step; lr: step
    size; epsilon: small constant that keeps the division defined.

    With `rate_in_momentum` the buffer holds lr * n in place of n and is subtracted as it is.

    Kin: AdaGrad with a mean in place of the sum, so old gradients are forgotten and the rate can
    grow again. AdaDelta also scales by the size of past updates. Adam replaces the g on top by
    its own mean and corrects both means for their start at 0; without that correction the first
    step here is 1 / sqrt(1 - rho) times lr long, 3.16 lr for rho 0.9.

    Defaults: rho 0.9 as Hinton's lecture and Keras 3.15 have it, where PyTorch 2.13 has 0.99
    (there called alpha); the rest as PyTorch: lr 0.01, epsilon 1e-8 outside the root. Keras:
    `Rmsprop(lr=0.001, epsilon=1e-7, epsilon_inside=True)`, with momentum also
    `rate_in_momentum=True`.

    Example, two steps with gradient 4:

        >>> import torch
        >>> rmsprop = Rmsprop(lr=0.01)
        >>> w = torch.tensor([1.0])
        >>> state = {name: torch.full_like(w, fill) for name, fill in rmsprop.slots().items()}
        >>> for t in (1, 2):
        ...     rmsprop.step(w, torch.tensor([4.0]), state, lr=0.01, t=t)
        ...     print(f"{w.item():.4f}")
        0.9684
        0.9454

    Reference: Tieleman, Hinton: "Lecture 6.5 - RMSProp", Coursera: Neural networks for machine
    learning, 2012. Centred form: Graves: "Generating sequences with recurrent neural networks",
    arXiv 1308.0850.
    """

    lr: Positive | Schedule = 0.01
    "step size: a number, or a schedule of it"
    rho: ShareBelowOne = 0.9
    "share of the mean of squared gradients that survives a step"
    epsilon: Epsilon = 1e-8
    "small constant that keeps the division defined"
    epsilon_inside: bool = False
    "add epsilon under the root, as Keras does, in place of after it"
    centered: bool = False
    "divide by the deviation of the gradients from their mean, in place of their size"
    momentum: ShareBelowOne = 0.0
    "share of the momentum buffer that survives a step; 0 keeps no buffer"
    rate_in_momentum: bool = False
    "let the buffer hold the steps with their rate, as Keras does; differs once lr changes"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.rate_in_momentum and not self.momentum:
            raise BadOption(
                "optimizers/rmsprop: option 'rate_in_momentum' is True, but it acts on the "
                "momentum and momentum is 0. Set momentum (0.9 is usual), or leave it out."
            )

    def slots(self) -> Mapping[str, float]:
        needed = {"square_mean": 0.0}
        if self.centered:
            needed["gradient_mean"] = 0.0
        if self.momentum:
            needed["momentum"] = 0.0
        return needed

    def update(self, w: Tensor, g: Tensor, state: State, lr: float, t: int) -> None:
        v = state["square_mean"].mul_(self.rho).addcmul_(g, g, value=1 - self.rho)
        root = self._root(v, g, state)
        if not self.momentum:
            w.addcdiv_(g, root, value=-lr)
            return
        b = state["momentum"].mul_(self.momentum)
        if self.rate_in_momentum:
            w.sub_(b.addcdiv_(g, root, value=lr))
        else:
            w.add_(b.addcdiv_(g, root), alpha=-lr)

    def _root(self, v: Tensor, g: Tensor, state: State) -> Tensor:
        """The denominator, in fresh memory."""
        if self.centered:
            a = state["gradient_mean"].lerp_(g, 1 - self.rho)
            # Rounding can leave a constant gradient with a variance just below 0.
            spread = v.addcmul(a, a, value=-1).clamp_min_(0)
            if self.epsilon_inside:
                return spread.add_(self.epsilon).sqrt_()
            return spread.sqrt_().add_(self.epsilon)
        if self.epsilon_inside:
            return v.add(self.epsilon).sqrt_()
        return v.sqrt().add_(self.epsilon)
