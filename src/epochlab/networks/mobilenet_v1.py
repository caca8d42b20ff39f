"""MobileNet: thirteen depthwise-separable blocks, thinner by one factor where wanted."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from epochlab.component import Positive
from epochlab.networks import Network
from epochlab.networks._shapes import image_shape

if TYPE_CHECKING:
    from torch import nn

# (channels, stride) of each block; the first convolution has 32 channels.
BLOCKS = (
    (64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), (512, 1), (512, 1), (512, 1),
    (512, 1), (512, 1), (1024, 2), (1024, 1),
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class MobileNetV1(Network):
    """conv 3x3, thirteen blocks of depthwise 3x3 and pointwise 1x1, mean over pixels, linear.

    A block filters each channel on its own, then mixes the channels: 7.9 to 8.9 times less work
    than a 3x3 convolution between so many channels. Batch normalisation and ReLU follow every
    convolution. The blocks have 64 to 1024 channels, all times the factor `width`. Made for
    3 x 224 x 224 images, which five strides of 2 bring to 7 x 7; images of any size fit.

        >>> import torch
        >>> def size(width):
        ...     with torch.device("meta"):
        ...         network = MobileNetV1(width=width).build((3, 224, 224), 1000)
        ...     return sum(p.numel() for p in network.parameters())
        >>> [size(width) for width in (1, 0.75, 0.5, 0.25)]
        [4231976, 2585560, 1331592, 470072]

    Reference: A. G. Howard et al., MobileNets: Efficient Convolutional Neural Networks for Mobile
    Vision Applications, 2017, arXiv:1704.04861, Tables 1 and 6.
    """

    width: Positive = 1.0
    "factor on the channels of every layer, rounded, at least one channel"

    @property
    def natural_input(self) -> tuple[int, ...]:
        return (3, 224, 224)

    @property
    def natural_outputs(self) -> int:
        return 1000

    def build(self, input_shape: tuple[int, ...], outputs: int) -> nn.Module:
        """Layers: conv1, bn1, act1, block1 ... block13, avgpool, flatten, fc.

        Images of any size fit. Raises BadShape for samples that are not images.
        """
        from torch import nn

        from epochlab.layers.depthwise import DepthwiseSeparable

        channels, _, _ = image_shape("mobilenet_v1", input_shape)
        first = self._thinned(32)
        layers: OrderedDict[str, nn.Module] = OrderedDict(
            conv1=nn.Conv2d(channels, first, 3, stride=2, padding=1, bias=False),
            bn1=nn.BatchNorm2d(first),
            act1=nn.ReLU(),
        )
        channels = first
        for number, (after, stride) in enumerate(BLOCKS, 1):
            layers[f"block{number}"] = DepthwiseSeparable(channels, self._thinned(after), stride)
            channels = self._thinned(after)
        layers |= OrderedDict(
            avgpool=nn.AdaptiveAvgPool2d(1),
            flatten=nn.Flatten(),
            fc=nn.Linear(channels, outputs),
        )
        return nn.Sequential(layers)

    def _thinned(self, channels: int) -> int:
        return max(1, round(self.width * channels))
