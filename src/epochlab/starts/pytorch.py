"""PyTorch's own initialisation of each layer, left as it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from epochlab.starts import Start

if TYPE_CHECKING:
    import torch
    from torch import nn


@dataclass(frozen=True, kw_only=True)
class Pytorch(Start):
    """Changes nothing: the weights stay as the layers drew them when they were built.

    Equation, for convolutions and fully connected layers::

        w, bias ~ uniform(-bound, bound)        bound = 1 / sqrt(fan_in)

    fan_in: inputs that one output sums over. The numbers come from torch's global generator, which
    the training loop seeds before it builds a network, so that they depend on the seed alone.

    Kin: Kaiming's uniform weights for ReLU are sqrt(6) times as wide and its biases are 0.

    Example:

        >>> import torch
        >>> layer = torch.nn.Linear(16, 1000)
        >>> Pytorch().apply(layer, torch.Generator())
        >>> bool(layer.weight.abs().max() <= 1 / 16**0.5)
        True

    Reference: PyTorch, torch.nn.Linear and torch.nn.Conv2d, section Variables.
    """

    def apply(self, module: nn.Module, generator: torch.Generator) -> None:
        """Leave `module` as it is."""
