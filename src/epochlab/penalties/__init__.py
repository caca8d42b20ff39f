"""Penalties: terms that are added to the loss and depend on the weights alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from epochlab.component import Component, NotNegative

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Penalty(Component):
    """strength * size(w), summed over the weights that it is applied to."""

    strength: NotNegative
    "factor in front of the penalty"
    biases: bool = False
    "also penalise one-dimensional parameters: biases and normalisation scales"

    def value(self, w: Tensor) -> Tensor:
        """The penalty of one parameter tensor, a scalar."""
        raise NotImplementedError

    def add_gradient(self, w: Tensor, g: Tensor) -> None:
        """Add the penalty's gradient at w to g, in place."""
        raise NotImplementedError
