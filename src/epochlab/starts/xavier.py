"""Xavier (Glorot): deviation chosen so that signals keep their size forwards and backwards."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from epochlab.component import Positive
from epochlab.starts import Start
from epochlab.starts._layers import draw, fans, weights_and_biases

if TYPE_CHECKING:
    import torch
    from torch import nn


@dataclass(frozen=True, kw_only=True)
class Xavier(Start):
    """Weights whose variance is the inverse of the mean number of inputs and outputs.

    Equation::

        std = gain * sqrt(2 / (fan_in + fan_out))
        uniform:  w ~ uniform(-bound, bound), bound = sqrt(3) * std
                    = gain * sqrt(6 / (fan_in + fan_out))
        normal:   w ~ normal(0, std)

    fan_in: inputs that one output sums over, channels times kernel; fan_out: outputs that one
    input reaches; gain: correction for the activation, 1 for linear and tanh-like ones.

    Sets convolutions and fully connected layers; normalisation layers stay at scale 1, shift 0.

    Kin: Kaiming looks at one of the two directions only and has the gain of ReLU built in.

    Example, a layer of 2 inputs and 4 outputs, so that the bound is 1:

        >>> import torch
        >>> layer = torch.nn.Linear(2, 4)
        >>> with torch.no_grad():
        ...     Xavier().apply(layer, torch.Generator().manual_seed(0))
        >>> bool(layer.weight.abs().max() <= 1), layer.bias.tolist()
        (True, [0.0, 0.0, 0.0, 0.0])

    Reference: Glorot, Bengio: "Understanding the difficulty of training deep feedforward neural
    networks", AISTATS 2010, equation 16.
    """

    distribution: Literal["uniform", "normal"] = "uniform"
    "shape of the distribution; the deviation is the same"
    gain: Positive = 1.0
    "factor on the deviation, for the activation that follows"
    bias: float = 0.0
    "value of every bias"

    def apply(self, module: nn.Module, generator: torch.Generator) -> None:
        import torch

        with torch.no_grad():
            for weight, bias in weights_and_biases(module):
                std = self.gain * (2 / sum(fans(weight))) ** 0.5
                draw(weight, self.distribution, std, generator)
                if bias is not None:
                    bias.fill_(self.bias)
