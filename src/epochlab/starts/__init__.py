"""Starts: where the weights begin."""

from __future__ import annotations

from typing import TYPE_CHECKING

from epochlab.component import Component

if TYPE_CHECKING:
    import torch
    from torch import nn


class Start(Component):
    """Sets the weights of a freshly built module, in place."""

    def apply(self, module: nn.Module, generator: torch.Generator) -> None:
        """Overwrite parameters of `module`; all randomness comes from `generator`."""
        raise NotImplementedError
