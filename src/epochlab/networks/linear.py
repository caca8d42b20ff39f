"""Linear model: softmax regression for classes, linear regression for numbers."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from epochlab.networks import Network
from epochlab.networks._shapes import flat_size

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True, kw_only=True)
class Linear(Network):
    """y = W x + b, the smallest network there is and a useful first step.

    x: the sample as one flat row of d numbers; W: [outputs, d]; b: [outputs]. With cross-entropy as
    the loss it is softmax regression. Samples of any shape fit.

        >>> network = Linear().build((1, 28, 28), 10)
        >>> sum(p.numel() for p in network.parameters())
        7850

    Reference: C. M. Bishop, Pattern Recognition and Machine Learning, 2006, sections 3.1 and 4.3.
    """

    def build(self, input_shape: tuple[int, ...], outputs: int) -> nn.Module:
        """Layers: flatten, fc1. Raises BadShape for an empty sample."""
        from torch import nn

        size = flat_size("linear", input_shape)
        return nn.Sequential(OrderedDict(flatten=nn.Flatten(), fc1=nn.Linear(size, outputs)))
