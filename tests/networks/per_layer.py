"""What each layer of a built network has and does, from hooks and arithmetic, on any device."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

WITH_WEIGHTS = (nn.Conv2d, nn.Linear)


@dataclass(frozen=True)
class Measured:
    """One module, and all that is inside it, for one sample."""

    module: nn.Module
    output: tuple[int, ...]
    macs: int

    @property
    def activations(self) -> int:
        return torch.Size(self.output).numel()

    @property
    def parameters(self) -> int:
        return sum(p.numel() for p in self.module.parameters())

    @property
    def weights(self) -> int:
        """Of convolutions and fully connected layers."""
        return sum(m.weight.numel() for m in self._with_weights())

    @property
    def biases(self) -> int:
        """Of convolutions and fully connected layers."""
        return sum(m.bias.numel() for m in self._with_weights() if m.bias is not None)

    def _with_weights(self) -> list[nn.Conv2d | nn.Linear]:
        return [m for m in self.module.modules() if isinstance(m, WITH_WEIGHTS)]


def measure(module: nn.Module, input_shape: tuple[int, ...]) -> dict[str, Measured]:
    """Every module with one tensor as output, by name; '' is the whole network."""
    outputs: dict[nn.Module, Tensor] = {}

    def note(layer: nn.Module, _: tuple[Tensor, ...], output: Tensor) -> None:
        outputs[layer] = output

    hooks = [layer.register_forward_hook(note) for layer in module.modules()]
    device = next(module.parameters()).device
    with torch.no_grad():
        module.eval()(torch.zeros(1, *input_shape, device=device))
    for hook in hooks:
        hook.remove()

    def macs(layer: nn.Module) -> int:
        if not isinstance(layer, WITH_WEIGHTS):
            return sum(map(macs, layer.children()))
        positions = outputs[layer][0, 0].numel() if isinstance(layer, nn.Conv2d) else 1
        return positions * layer.weight.numel()

    return {
        name: Measured(layer, tuple(outputs[layer].shape[1:]), macs(layer))
        for name, layer in module.named_modules()
        if isinstance(outputs.get(layer), Tensor)
    }


def receptive_fields(module: nn.Module) -> dict[str, tuple[int, int]]:
    """(pixels seen per side, step between neighbours) behind each window of a chain of layers."""
    found, field, step = {}, 1, 1
    for name, layer in module.named_modules():
        if isinstance(layer, (nn.Conv2d, nn.MaxPool2d)):
            kernel, stride = (v[0] if isinstance(v, tuple) else v
                              for v in (layer.kernel_size, layer.stride))  # fmt: skip
            field, step = field + (kernel - 1) * step, step * stride
            found[name] = (field, step)
    return found
