"""Kaiming (He): deviation chosen so that signals keep their size through ReLU layers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from epochlab.component import NotNegative
from epochlab.starts import Start
from epochlab.starts._layers import draw, fans, weights_and_biases

if TYPE_CHECKING:
    import torch
    from torch import nn


@dataclass(frozen=True, kw_only=True)
class Kaiming(Start):
    """Weights whose variance is 2 over the number of inputs, since ReLU drops half the signal.

    Equation::

        std = sqrt(2 / (1 + negative_slope^2)) / sqrt(fan)
        normal:   w ~ normal(0, std)
        uniform:  w ~ uniform(-bound, bound), bound = sqrt(3) * std

    fan: inputs that one output sums over, channels times kernel (`fan = "in"`, keeps the size of
    the forward signal), or outputs that one input reaches ("out", keeps that of the gradient);
    negative_slope: slope of a leaky ReLU for negative inputs, 0 for ReLU.

    Sets convolutions and fully connected layers; normalisation layers stay at scale 1, shift 0.

    Kin: Xavier takes the mean of both fans and leaves the activation to a gain.

    Example, a layer of 8 inputs has deviation sqrt(2 / 8) = 0.5:

        >>> import torch
        >>> layer = torch.nn.Linear(8, 100_000)
        >>> Kaiming().apply(layer, torch.Generator().manual_seed(0))
        >>> f"{layer.weight.std().item():.2f}"
        '0.50'

    Reference: He, Zhang, Ren, Sun: "Delving deep into rectifiers", ICCV 2015, arXiv 1502.01852,
    section 2.2.
    """

    distribution: Literal["normal", "uniform"] = "normal"
    "shape of the distribution; the deviation is the same"
    fan: Literal["in", "out"] = "in"
    "which signal keeps its size: 'in' the forward one, 'out' the gradient"
    negative_slope: NotNegative = 0.0
    "slope of the leaky ReLU that follows; 0 for ReLU"
    bias: float = 0.0
    "value of every bias"

    def apply(self, module: nn.Module, generator: torch.Generator) -> None:
        import torch

        gain = (2 / (1 + self.negative_slope**2)) ** 0.5
        with torch.no_grad():
            for weight, bias in weights_and_biases(module):
                fan_in, fan_out = fans(weight)
                std = gain / (fan_in if self.fan == "in" else fan_out) ** 0.5
                draw(weight, self.distribution, std, generator)
                if bias is not None:
                    bias.fill_(self.bias)
