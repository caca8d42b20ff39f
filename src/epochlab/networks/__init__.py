"""Networks: each file is one family, built for an input shape and a number of outputs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from epochlab.component import Component

if TYPE_CHECKING:
    from torch import nn


class Network(Component):
    """Builds a module that maps [batch, *input_shape] to [batch, outputs]."""

    @property
    def natural_input(self) -> tuple[int, ...]:
        """One sample of the data that the network is known for: what is analysed by default."""
        return (3, 32, 32)

    @property
    def natural_outputs(self) -> int:
        """Classes of those data."""
        return 10

    def build(self, input_shape: tuple[int, ...], outputs: int) -> nn.Module:
        """The module with freshly drawn weights (torch's own initialisation, global generator).

        `input_shape` is one sample without the batch axis, e.g. (3, 32, 32) or (64,).
        Raises BadShape when the network cannot take that shape.
        """
        raise NotImplementedError
