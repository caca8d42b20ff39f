"""LeNet-5 as it was in 1998: sparse connections, trainable pooling, distances to fixed codes."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from epochlab.networks import Network
from epochlab.networks._shapes import Window, image_shape, sides_after

if TYPE_CHECKING:
    from torch import nn

DESIGN_SIDE = 32  # pixels; the image side that the network was designed for

# The maps of S2 that each of the 16 maps of C3 sees, Table I of the paper.
CONNECTIONS = (
    (0, 1, 2), (1, 2, 3), (2, 3, 4), (3, 4, 5), (0, 4, 5), (0, 1, 5),
    (0, 1, 2, 3), (1, 2, 3, 4), (2, 3, 4, 5), (0, 3, 4, 5), (0, 1, 4, 5), (0, 1, 2, 5),
    (0, 1, 3, 4), (1, 2, 4, 5), (0, 2, 3, 5),
    (0, 1, 2, 3, 4, 5),
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Lenet5Classic(Network):
    """C1 5x5 to 6 maps, S2, C3 5x5 to 16 maps, S4, C5 5x5 to 120 maps, F6 84 units, distances.

    S2 and S4 add up 2x2 pixels, times one trained coefficient per map, plus one trained bias. Each
    map of C3 sees three to six maps of S2, 60 of 96 connections. A scaled tanh follows every layer
    up to F6. The output for a class is minus the squared distance of F6 to the class's code of 84
    times -1 or 1, which is not trained; the sign makes the largest output the most likely class.
    The paper gives the codes as pictures of characters; here they are fixed pseudo-random bits, so
    that any number of classes has some. On 1 x 32 x 32 images, with 10 classes or any other number:

        layer       C1    S2   C3      S4   C5       F6       all
        parameters  156   12   1,516   32   48,120   10,164   60,000

        >>> network = Lenet5Classic().build((1, 28, 28), 10)
        >>> sum(p.numel() for p in network.parameters())
        60000

    The dense form of today, with max pooling and a linear output, is lenet5.

    Reference: Y. LeCun, L. Bottou, Y. Bengio, P. Haffner, Gradient-Based Learning Applied to
    Document Recognition, Proceedings of the IEEE 86(11), 1998, section II.B.
    """

    padding: bool = True
    "surround images smaller than 32 x 32 with zeros up to that size"

    @property
    def natural_input(self) -> tuple[int, ...]:
        return (1, 32, 32)

    def build(self, input_shape: tuple[int, ...], outputs: int) -> nn.Module:
        """Layers: c1, act1, s2, act2, c3, act3, s4, act4, c5, act5, flatten, f6, act6, output.

        Raises BadShape for samples that are not images, or are too small (without padding).
        """
        from torch import nn

        from epochlab.layers.lenet import CodeDistance, Squash, TableConv2d, TrainablePool

        channels, height, width = image_shape("lenet5_classic", input_shape)
        # An odd number of missing pixels is rounded up; the poolings drop the one too many.
        border = (self._border(height), self._border(width))
        windows = [Window("c1", 5), Window("s2", 2, 2), Window("c3", 5), Window("s4", 2, 2),
                   Window("c5", 5)]  # fmt: skip
        height, width = sides_after(
            "lenet5_classic", (height + 2 * border[0], width + 2 * border[1]), windows,
            "Or set the option padding to true.",
        )  # fmt: skip
        return nn.Sequential(
            OrderedDict(
                c1=nn.Conv2d(channels, 6, 5, padding=border),
                act1=Squash(),
                s2=TrainablePool(6),
                act2=Squash(),
                c3=TableConv2d(CONNECTIONS, 5),
                act3=Squash(),
                s4=TrainablePool(16),
                act4=Squash(),
                c5=nn.Conv2d(16, 120, 5),
                act5=Squash(),
                flatten=nn.Flatten(),
                f6=nn.Linear(120 * height * width, 84),
                act6=Squash(),
                output=CodeDistance(84, outputs),
            )
        )

    def _border(self, side: int) -> int:
        """Pixels of zeros on each end of an image side."""
        return max(0, -(-(DESIGN_SIDE - side) // 2)) if self.padding else 0
