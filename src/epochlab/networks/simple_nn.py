"""SimpleNN: two convolutions, two poolings and three fully connected layers for 32 x 32 images."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from epochlab.networks import Network
from epochlab.networks._shapes import Window, image_shape, sides_after

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True, kw_only=True)
class SimpleNN(Network):
    """conv 5x5 to 8 channels, pool, conv 3x3 to 16 channels, pool, then 120, 84 and the outputs.

    Convolutions have no padding; pooling takes the maximum of 2x2 pixels; an activation follows
    every layer with weights but the last. On 3 x 32 x 32 images: 28 x 28 x 8, pooled to 14 x 14,
    then 12 x 12 x 16, pooled to 6 x 6, so 576 numbers enter the first fully connected layer. Batch
    normalisation after both convolutions adds 2 (8 + 16) = 48 parameters.

        >>> network = SimpleNN().build((3, 32, 32), 10)
        >>> sum(p.numel() for p in network.parameters())
        82030

    Reference: the structure is that of a course exercise (ECE 661, Table 1), a relative of LeNet-5:
    Y. LeCun, L. Bottou, Y. Bengio, P. Haffner, Gradient-Based Learning Applied to Document
    Recognition, Proceedings of the IEEE 86(11), 1998.
    """

    batch_norm: bool = False
    "normalise the output of each convolution over the batch, before its activation"
    activation: Literal["relu", "leaky_relu", "swish"] = "relu"
    "function after each layer with weights but the last"

    def build(self, input_shape: tuple[int, ...], outputs: int) -> nn.Module:
        """Layers: conv1, bn1, act1, pool1, conv2, bn2, act2, pool2, flatten, fc1 ... fc3.

        Batch normalisation appears only where it is asked for. Raises BadShape for samples that
        are not images, or are too small.
        """
        from torch import nn

        from epochlab.layers.activation import activation

        channels, *sides = image_shape("simple_nn", input_shape)
        windows = [Window("conv1", 5), Window("pool1", 2, 2), Window("conv2", 3),
                   Window("pool2", 2, 2)]  # fmt: skip
        height, width = sides_after("simple_nn", (sides[0], sides[1]), windows)
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        for number, kernel, before, after in ((1, 5, channels, 8), (2, 3, 8, 16)):
            layers[f"conv{number}"] = nn.Conv2d(before, after, kernel)
            if self.batch_norm:
                layers[f"bn{number}"] = nn.BatchNorm2d(after)
            layers[f"act{number}"] = activation(self.activation)
            layers[f"pool{number}"] = nn.MaxPool2d(2)
        layers |= OrderedDict(
            flatten=nn.Flatten(),
            fc1=nn.Linear(16 * height * width, 120),
            act3=activation(self.activation),
            fc2=nn.Linear(120, 84),
            act4=activation(self.activation),
            fc3=nn.Linear(84, outputs),
        )
        return nn.Sequential(layers)
