"""Penalises squared weights (ridge): pulls every weight towards zero in proportion to its size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from epochlab.penalties import Penalty

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class L2(Penalty):
    """Sum of the squared weights.

    Equation::

        halved:      value = strength / 2 * sum(w^2)           gradient = strength * w
        not halved:  value = strength * sum(w^2)               gradient = 2 * strength * w

    w: every weight of one parameter tensor; strength: how much the penalty counts.

    Two conventions are in use, and a strength means half as much in one as in the other. Halved is
    PyTorch's: the same steps as an optimizer's `weight_decay` of this strength. Not halved is
    Keras's `regularizers.l2(strength)`.

    Kin: L1 pulls with a constant force and brings weights to exactly zero; here the pull fades with
    the weight. An optimizer's `weight_decay` adds this gradient without showing the value, and to
    biases too.

    Example:

        >>> import torch
        >>> w, g = torch.tensor([[3.0, -4.0]]), torch.zeros(1, 2)
        >>> penalty = L2(strength=0.1)
        >>> penalty.add_gradient(w, g)
        >>> f"{penalty.value(w).item():.2f}", g
        ('1.25', tensor([[ 0.3000, -0.4000]]))

    Reference: Goodfellow, Bengio, Courville: "Deep Learning", MIT Press 2016, section 7.1.1.
    """

    halved: bool = True
    "count strength/2 * w^2 as PyTorch's weight_decay does; false counts strength * w^2 as Keras"

    def value(self, w: Tensor) -> Tensor:
        return w.square().sum() * (self._slope() / 2)

    def add_gradient(self, w: Tensor, g: Tensor) -> None:
        g.add_(w, alpha=self._slope())

    def _slope(self) -> float:
        """Gradient per weight."""
        return self.strength if self.halved else 2 * self.strength
