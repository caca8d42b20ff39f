"""ResNet with 18, 34, 50, 101 or 152 layers, for large images or with a stem for small ones."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from epochlab.networks import Network
from epochlab.networks._shapes import image_shape

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True, kw_only=True)
class ResNet(Network):
    """A stem, four groups of residual blocks y = relu(F(x) + shortcut(x)), mean, linear.

    The groups have 64, 128, 256 and 512 channels inside their blocks; all but the first halve the
    image. With depth 18 and 34, F is two 3x3 convolutions; from 50 on it is a bottleneck of 1x1,
    3x3 and 1x1, whose output has four times as many channels. Batch normalisation follows every
    convolution. Where the shape changes, the shortcut is a 1x1 convolution. Blocks per group:

        depth   18            34            50            101            152
        blocks  2, 2, 2, 2    3, 4, 6, 3    3, 4, 6, 3    3, 4, 23, 3    3, 8, 36, 3

    Made for 3 x 224 x 224 images, but images of any size fit. The names of the weights are those of
    the weight files in wide use (conv1.weight, layer1.0.conv1.weight, layer2.0.downsample.0.weight
    ... fc.bias); these belong to version v1.5.

        >>> import torch
        >>> def size(shape, outputs, **options):
        ...     with torch.device("meta"):
        ...         network = ResNet(**options).build(shape, outputs)
        ...     return sum(p.numel() for p in network.parameters())
        >>> size((3, 224, 224), 1000), size((3, 32, 32), 10, depth=18, stem="cifar")
        (25557032, 11173962)

    The networks of depth 6n + 2 for small images, with 270 thousand parameters and more, are
    resnet_cifar.

    Reference: K. He, X. Zhang, S. Ren, J. Sun, Deep Residual Learning for Image Recognition, CVPR
    2016, arXiv:1512.03385, Table 1.
    """

    depth: Literal[18, 34, 50, 101, 152] = 50
    "layers with weights on the longest path"
    version: Literal["v1", "v1.5"] = "v1.5"
    "a bottleneck's stride: v1 on its first 1x1 convolution, as published; v1.5 on its 3x3 one"
    stem: Literal["imagenet", "cifar"] = "imagenet"
    "imagenet: conv 7x7 and pooling, image to a quarter; cifar: conv 3x3, image keeps its size"

    @property
    def natural_input(self) -> tuple[int, ...]:
        return (3, 32, 32) if self.stem == "cifar" else (3, 224, 224)

    @property
    def natural_outputs(self) -> int:
        return 10 if self.stem == "cifar" else 1000

    def build(self, input_shape: tuple[int, ...], outputs: int) -> nn.Module:
        """Layers: conv1, bn1, act1, maxpool, layer1 ... layer4, avgpool, flatten, fc.

        The stem cifar has no maxpool. Images of any size fit. Raises BadShape for samples that are
        not images.
        """
        from torch import nn

        channels, _, _ = image_shape("resnet", input_shape)
        kernel, stride = (7, 2) if self.stem == "imagenet" else (3, 1)
        layers: OrderedDict[str, nn.Module] = OrderedDict(
            conv1=nn.Conv2d(channels, 64, kernel, stride=stride, padding=kernel // 2, bias=False),
            bn1=nn.BatchNorm2d(64),
            act1=nn.ReLU(),
        )
        if self.stem == "imagenet":
            layers["maxpool"] = nn.MaxPool2d(3, stride=2, padding=1)
        groups, channels = self._groups()
        return nn.Sequential(
            layers
            | groups
            | OrderedDict(
                avgpool=nn.AdaptiveAvgPool2d(1),
                flatten=nn.Flatten(),
                fc=nn.Linear(channels, outputs),
            )
        )

    def _groups(self) -> tuple[OrderedDict[str, nn.Module], int]:
        """layer1 ... layer4, and the channels of their output."""
        from torch import nn

        from epochlab.layers.bottleneck import Bottleneck, TwoLayerBlock

        repeats = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3),
                   152: (3, 8, 36, 3)}  # fmt: skip

        def block(before: int, width: int, stride: int) -> Bottleneck | TwoLayerBlock:
            if self.depth < 50:
                return TwoLayerBlock(before, width, stride)
            return Bottleneck(before, width, stride, "1x1" if self.version == "v1" else "3x3")

        groups: OrderedDict[str, nn.Module] = OrderedDict()
        channels = 64
        for number, count in enumerate(repeats[self.depth]):
            blocks = nn.Sequential()
            for place in range(count):
                made = block(channels, 64 * 2**number, 2 if number and not place else 1)
                blocks.append(made)
                channels = made.out_channels
            groups[f"layer{number + 1}"] = blocks
        return groups, channels
