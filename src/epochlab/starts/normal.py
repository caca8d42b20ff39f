"""Normally distributed weights of one fixed deviation in every layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from epochlab.component import Positive
from epochlab.starts import Start
from epochlab.starts._layers import draw, weights_and_biases

if TYPE_CHECKING:
    import torch
    from torch import nn


@dataclass(frozen=True, kw_only=True)
class Normal(Start):
    """The same spread for every layer, whatever its size.

    Equation::

        w ~ normal(0, std)

    w: weight; std: deviation. Sets convolutions and fully connected layers; normalisation layers
    stay at scale 1, shift 0.

    Kin: Xavier and Kaiming adapt the deviation to each layer's size. With one fixed deviation the
    signal shrinks or grows from layer to layer, which deep networks do not survive.

    Example:

        >>> import torch
        >>> layer = torch.nn.Linear(100, 1000)
        >>> Normal(std=0.01, bias=0.1).apply(layer, torch.Generator().manual_seed(0))
        >>> f"{layer.weight.std().item():.3f} {layer.bias[0].item():.1f}"
        '0.010 0.1'

    Reference: Krizhevsky, Sutskever, Hinton: "ImageNet classification with deep convolutional
    neural networks", NIPS 2012, section 5.
    """

    std: Positive = 0.01
    "deviation of every weight"
    bias: float = 0.0
    "value of every bias"

    def apply(self, module: nn.Module, generator: torch.Generator) -> None:
        import torch

        with torch.no_grad():
            for weight, bias in weights_and_biases(module):
                draw(weight, "normal", self.std, generator)
                if bias is not None:
                    bias.fill_(self.bias)
