"""Which parameters a start sets, and how many inputs and outputs each weight connects."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn


def weights_and_biases(module: nn.Module) -> Iterator[tuple[Tensor, Tensor | None]]:
    """Weight and bias of every convolution and fully connected layer, in the order of the module.

    Everything else, normalisation layers above all, stays as it was built.
    """
    from torch import nn
    from torch.nn.modules.conv import _ConvNd

    for layer in module.modules():
        if isinstance(layer, (_ConvNd, nn.Linear)):
            yield layer.weight, layer.bias


def fans(weight: Tensor) -> tuple[int, int]:
    """Connections (into one output, out of one input) of a weight [outputs, inputs, *kernel]."""
    kernel = weight[0, 0].numel()
    return weight.shape[1] * kernel, weight.shape[0] * kernel


def draw(weight: Tensor, distribution: str, std: float, generator: torch.Generator) -> None:
    """Fill with numbers of mean 0 and deviation `std`; uniform ones lie within sqrt(3) of it."""
    if distribution == "uniform":
        bound = 3**0.5 * std
        weight.uniform_(-bound, bound, generator=generator)
    else:
        weight.normal_(0.0, std, generator=generator)
