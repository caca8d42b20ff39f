"""MobileNetV2: seventeen inverted residual blocks, wide inside and narrow at their ends."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from epochlab.component import Positive
from epochlab.networks import Network
from epochlab.networks._shapes import image_shape

if TYPE_CHECKING:
    from torch import nn

# (expansion, channels, blocks, stride of the first) of each group; the first convolution has 32
# channels, the last 1280.
GROUPS = (
    (1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2),
    (6, 320, 1, 1),
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class MobileNetV2(Network):
    """conv 3x3, seven groups of inverted residuals, conv 1x1 to 1280 channels, mean, linear.

    A block goes up to six times its channels (not in the first group), filters each of them on its
    own with 3x3 and goes down again without an activation; where the shape stays the same, its
    input is added. 20 % of the 1280 means are dropped while training. Channels are multiplied by
    `width` and rounded to multiples of 8. Made for 3 x 224 x 224 images; images of any size fit.
    The names of the weights are those of the weight files in wide use (features.0.0.weight,
    features.1.conv.0.0.weight ... classifier.1.bias).

        >>> import torch
        >>> with torch.device("meta"):
        ...     network = MobileNetV2().build((3, 224, 224), 1000)
        >>> sum(p.numel() for p in network.parameters())
        3504872

    Reference: M. Sandler, A. Howard, M. Zhu, A. Zhmoginov, L.-C. Chen, MobileNetV2: Inverted
    Residuals and Linear Bottlenecks, CVPR 2018, arXiv:1801.04381, Table 2.
    """

    width: Positive = 1.0
    "factor on the channels of every layer; the last convolution is never made thinner"

    @property
    def natural_input(self) -> tuple[int, ...]:
        return (3, 224, 224)

    @property
    def natural_outputs(self) -> int:
        return 1000

    def build(self, input_shape: tuple[int, ...], outputs: int) -> nn.Module:
        """Layers: features (0 and 18 are convolutions, between them the blocks), avgpool, flatten,
        classifier.

        Images of any size fit. Raises BadShape for samples that are not images.
        """
        from torch import nn

        from epochlab.layers.depthwise import InvertedResidual, conv_bn_relu6

        channels, _, _ = image_shape("mobilenet_v2", input_shape)
        first = multiple_of_8(32 * self.width)
        features: list[nn.Module] = [conv_bn_relu6(channels, first, 3, stride=2)]
        channels = first
        for expand, base, blocks, stride in GROUPS:
            after = multiple_of_8(base * self.width)
            for place in range(blocks):
                first_stride = stride if place == 0 else 1
                features.append(InvertedResidual(channels, after, first_stride, expand))
                channels = after
        last = multiple_of_8(1280 * max(1.0, self.width))
        features.append(conv_bn_relu6(channels, last, 1))
        return nn.Sequential(
            OrderedDict(
                features=nn.Sequential(*features),
                avgpool=nn.AdaptiveAvgPool2d(1),
                flatten=nn.Flatten(),
                classifier=nn.Sequential(nn.Dropout(0.2), nn.Linear(last, outputs)),
            )
        )


def multiple_of_8(channels: float) -> int:
    """The multiple of 8 nearest to `channels`, at least 8, and not more than a tenth below it.

    >>> multiple_of_8(32 * 0.75), multiple_of_8(3), multiple_of_8(11)
    (24, 8, 16)
    """
    rounded = max(8, int(channels + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * channels else rounded
