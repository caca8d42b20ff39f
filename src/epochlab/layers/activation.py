"""Activations by name."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from epochlab.errors import BadOption, nearest
from epochlab.layers.swish import Swish


def activation(name: str, leaky_slope: float = 0.01) -> nn.Module:
    """A new module for the activation called `name`.

    `leaky_slope` is the slope of 'leaky_relu' below zero; the others have no setting. Raises
    BadOption with the allowed names.

        >>> activation("tanh")
        Tanh()
    """
    makers: dict[str, Callable[[], nn.Module]] = {
        "leaky_relu": lambda: nn.LeakyReLU(leaky_slope),
        "relu": nn.ReLU,
        "sigmoid": nn.Sigmoid,
        "swish": Swish,
        "tanh": nn.Tanh,
    }
    if name not in makers:
        close = nearest(name, makers)
        hint = f" Did you mean '{close}'?" if close else ""
        raise BadOption(
            f"There is no activation named '{name}'.{hint} Allowed: {', '.join(makers)}."
        )
    return makers[name]()
