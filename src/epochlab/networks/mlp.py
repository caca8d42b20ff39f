"""Multi-layer perceptron: fully connected layers of any number and width."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from epochlab.component import Count, Positive, ShareBelowOne
from epochlab.errors import BadOption
from epochlab.networks import Network
from epochlab.networks._shapes import flat_size

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True, kw_only=True)
class Mlp(Network):
    """h_i = drop(act(bn(W_i h_(i-1) + b_i))) for each hidden layer i, then y = W h + b.

    h_0: the sample as one flat row, with dropout where asked; act: the activation; bn: batch
    normalisation, where asked. d inputs and widths n_1 ... n_k have (d+1) n_1 + (n_1+1) n_2 + ... +
    (n_k+1) outputs parameters, and 2 more per hidden unit with batch normalisation.

        >>> network = Mlp(hidden=(256, 256)).build((2,), 1)
        >>> sum(p.numel() for p in network.parameters())
        66817

    Reference: D. E. Rumelhart, G. E. Hinton, R. J. Williams, Learning representations by
    back-propagating errors, Nature 323, 1986.
    """

    hidden: tuple[Count, ...] = (1000, 1000)
    "units of each hidden layer, first to last; none makes a linear model"
    activation: Literal["relu", "leaky_relu", "tanh", "sigmoid", "swish"] = "relu"
    "function after each hidden layer"
    leaky_slope: Positive = 0.01
    "slope below zero of leaky_relu; the other activations have no use for it"
    batch_norm: bool = False
    "normalise each hidden layer over the batch, before its activation"
    input_dropout: ShareBelowOne = 0.0
    "share of the inputs that is dropped while training"
    hidden_dropout: ShareBelowOne = 0.0
    "share of each hidden layer's outputs that is dropped while training"
    dropout_form: Literal["inverted", "weight_scaling"] = "inverted"
    "divide by the share kept while training, or multiply by it when evaluating"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.hidden and (self.hidden_dropout or self.batch_norm):
            raise BadOption(
                "mlp: there are no hidden layers, so hidden_dropout and batch_norm have nothing to "
                "work on. Give at least one width in 'hidden', or leave both options out."
            )

    def build(self, input_shape: tuple[int, ...], outputs: int) -> nn.Module:
        """Layers: flatten, drop0, then fc1, bn1, act1, drop1, ..., at last fc and its number.

        Dropout and batch normalisation appear only where they are asked for. Raises BadShape for
        an empty sample.
        """
        from torch import nn

        from epochlab.layers.activation import activation
        from epochlab.layers.dropout import Dropout

        size = flat_size("mlp", input_shape)
        layers: OrderedDict[str, nn.Module] = OrderedDict(flatten=nn.Flatten())
        if self.input_dropout:
            layers["drop0"] = Dropout(self.input_dropout, self.dropout_form)
        for number, width in enumerate(self.hidden, 1):
            layers[f"fc{number}"] = nn.Linear(size, width)
            if self.batch_norm:
                layers[f"bn{number}"] = nn.BatchNorm1d(width)
            layers[f"act{number}"] = activation(self.activation, self.leaky_slope)
            if self.hidden_dropout:
                layers[f"drop{number}"] = Dropout(self.hidden_dropout, self.dropout_form)
            size = width
        layers[f"fc{len(self.hidden) + 1}"] = nn.Linear(size, outputs)
        return nn.Sequential(layers)
