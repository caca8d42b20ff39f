"""An independent counter of parameters and multiply-accumulates, from hooks and arithmetic."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from epochlab.networks import Network


def parameters(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def macs(module: nn.Module, input_shape: tuple[int, ...]) -> int:
    """Multiply-accumulates of convolutions and linear layers for one sample."""
    counted = []

    def count(layer: nn.Module, _: tuple[Tensor, ...], output: Tensor) -> None:
        if isinstance(layer, nn.Conv2d):
            counted.append(output[0].numel() * layer.weight[0].numel())
        elif isinstance(layer, nn.Linear):
            counted.append(layer.weight.numel())

    hooks = [layer.register_forward_hook(count) for layer in module.modules()]
    module.eval()
    with torch.no_grad():
        module(torch.zeros(1, *input_shape))
    for hook in hooks:
        hook.remove()
    return sum(counted)


def counts(network: Network, input_shape: tuple[int, ...], outputs: int = 10) -> tuple[int, int]:
    """(parameters, multiply-accumulates per sample) of a network built for this shape."""
    module = network.build(input_shape, outputs)
    return parameters(module), macs(module, input_shape)
