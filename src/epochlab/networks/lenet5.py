"""LeNet-5, the classic small convolutional network, in its modern dense form."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from epochlab.networks import Network
from epochlab.networks._shapes import Window, image_shape, sides_after

if TYPE_CHECKING:
    from torch import nn

DESIGN_SIDE = 32  # pixels; the image side that the network was designed for


@dataclass(frozen=True, kw_only=True)
class Lenet5(Network):
    """conv 5x5 to 6 channels, pool, conv 5x5 to 16 channels, pool, then 120, 84 and the outputs.

    Pooling halves each side; an activation follows every layer with weights but the last. On
    1 x 32 x 32 images: 28 x 28 x 6, pooled to 14 x 14, then 10 x 10 x 16, pooled to 5 x 5, so 400
    numbers enter the first fully connected layer. "Modern" means: every channel of the second
    convolution sees all six maps, pooling has no weights, and the last layer is linear; the network
    of 1998 used a table of connections, trainable pooling and radial basis functions.

        >>> network = Lenet5().build((1, 28, 28), 10)
        >>> sum(p.numel() for p in network.parameters())
        61706

    Reference: Y. LeCun, L. Bottou, Y. Bengio, P. Haffner, Gradient-Based Learning Applied to
    Document Recognition, Proceedings of the IEEE 86(11), 1998.
    """

    activation: Literal["relu", "tanh", "swish"] = "relu"
    "function after each layer with weights but the last; tanh is closest to 1998"
    pool: Literal["max", "average"] = "max"
    "what is kept of 2x2 pixels; average is closest to 1998"
    padding: bool = True
    "surround images smaller than 32 x 32 with zeros up to that size"

    @property
    def natural_input(self) -> tuple[int, ...]:
        return (1, 28, 28)

    def build(self, input_shape: tuple[int, ...], outputs: int) -> nn.Module:
        """Layers: conv1, act1, pool1, conv2, act2, pool2, flatten, fc1, act3, fc2, act4, fc3.

        Raises BadShape for samples that are not images, or are too small (without padding).
        """
        from torch import nn

        from epochlab.layers.activation import activation

        channels, height, width = image_shape("lenet5", input_shape)
        # An odd number of missing pixels is rounded up; the poolings drop the one too many.
        border = (self._border(height), self._border(width))
        windows = [Window("conv1", 5), Window("pool1", 2, 2), Window("conv2", 5),
                   Window("pool2", 2, 2)]  # fmt: skip
        height, width = sides_after(
            "lenet5", (height + 2 * border[0], width + 2 * border[1]), windows,
            "Or set the option padding to true.",
        )  # fmt: skip
        pool = nn.MaxPool2d if self.pool == "max" else nn.AvgPool2d
        return nn.Sequential(
            OrderedDict(
                conv1=nn.Conv2d(channels, 6, 5, padding=border),
                act1=activation(self.activation),
                pool1=pool(2),
                conv2=nn.Conv2d(6, 16, 5),
                act2=activation(self.activation),
                pool2=pool(2),
                flatten=nn.Flatten(),
                fc1=nn.Linear(16 * height * width, 120),
                act3=activation(self.activation),
                fc2=nn.Linear(120, 84),
                act4=activation(self.activation),
                fc3=nn.Linear(84, outputs),
            )
        )

    def _border(self, side: int) -> int:
        """Pixels of zeros on each end of an image side."""
        return max(0, -(-(DESIGN_SIDE - side) // 2)) if self.padding else 0
