"""Penalises absolute weights (lasso): pulls every weight towards zero with the same force."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from epochlab.penalties import Penalty

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class L1(Penalty):
    """Sum of the absolute weights.

    Equation::

        value = strength * sum(|w|)
        gradient = strength * sign(w)                          0 where w = 0

    w: every weight of one parameter tensor; strength: how much the penalty counts.

    Kin: L2's pull fades with the weight, so it makes weights small; this one does not fade, so it
    drives weights that the loss hardly needs to zero, around which they then swing by about
    lr * strength.

    Example:

        >>> import torch
        >>> w, g = torch.tensor([[3.0, -4.0, 0.0]]), torch.zeros(1, 3)
        >>> penalty = L1(strength=0.1)
        >>> penalty.add_gradient(w, g)
        >>> f"{penalty.value(w).item():.2f}", g
        ('0.70', tensor([[ 0.1000, -0.1000,  0.0000]]))

    Reference: Goodfellow, Bengio, Courville: "Deep Learning", MIT Press 2016, section 7.1.2.
    """

    def value(self, w: Tensor) -> Tensor:
        return w.abs().sum() * self.strength

    def add_gradient(self, w: Tensor, g: Tensor) -> None:
        g.add_(w.sign(), alpha=self.strength)
