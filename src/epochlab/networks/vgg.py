"""VGG with 11, 13, 16 or 19 layers: nothing but 3x3 convolutions and 2x2 poolings."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from epochlab.component import Count
from epochlab.networks import Network
from epochlab.networks._shapes import Window, image_shape, sides_after

if TYPE_CHECKING:
    from torch import nn

CHANNELS = (64, 128, 256, 512, 512)  # of the five blocks


@dataclass(frozen=True, kw_only=True)
class Vgg(Network):
    """Five blocks of 3x3 convolutions, each ending in a 2x2 maximum; then h, h and the outputs.

    Convolutions are padded by 1, so only the poolings shrink the image, each to the half. The
    blocks have 64, 128, 256, 512 and 512 channels and so many convolutions:

        depth   11               13               16               19
        blocks  1, 1, 2, 2, 2    2, 2, 2, 2, 2    2, 2, 3, 3, 3    2, 2, 4, 4, 4

    ReLU follows every layer with weights but the last; half of the units of both hidden layers are
    dropped while training. The network is made for 3 x 224 x 224 images. For other sizes, from 32
    pixels on, a mean brings what is left to 7 x 7 pixels; at 224 it changes nothing. The names of
    the weights are those of the weight files in wide use (features.0.weight ... classifier.6.bias).

        >>> import torch
        >>> def size(**options):
        ...     with torch.device("meta"):
        ...         network = Vgg(**options).build((3, 224, 224), 1000)
        ...     return sum(p.numel() for p in network.parameters())
        >>> size(), size(depth=16), size(depth=16, batch_norm=True)
        (143667240, 138357544, 138365992)

    Reference: K. Simonyan, A. Zisserman, Very Deep Convolutional Networks for Large-Scale Image
    Recognition, ICLR 2015, arXiv:1409.1556, Table 1 (columns A, B, D, E).
    """

    depth: Literal[11, 13, 16, 19] = 19
    "layers with weights: convolutions and three fully connected ones"
    batch_norm: bool = False
    "normalise the output of each convolution over the batch, before its ReLU; later than the paper"
    hidden: Count = 4096
    "h, units of each of the two hidden layers"

    @property
    def natural_input(self) -> tuple[int, ...]:
        return (3, 224, 224)

    @property
    def natural_outputs(self) -> int:
        return 1000

    def build(self, input_shape: tuple[int, ...], outputs: int) -> nn.Module:
        """Layers: features (convolutions and poolings), avgpool, flatten, classifier.

        Raises BadShape for samples that are not images, or are smaller than 32 x 32 pixels.
        """
        from torch import nn

        channels, height, width = image_shape("vgg", input_shape)
        windows = [Window(f"pool{number}", 2, 2) for number in range(1, 6)]
        sides_after("vgg", (height, width), windows)
        features: list[nn.Module] = []
        deeper = {11: (1, 1, 2, 2, 2), 13: (2, 2, 2, 2, 2), 16: (2, 2, 3, 3, 3),
                  19: (2, 2, 4, 4, 4)}  # fmt: skip
        for repeats, after in zip(deeper[self.depth], CHANNELS, strict=True):
            for _ in range(repeats):
                features.append(nn.Conv2d(channels, after, 3, padding=1))
                if self.batch_norm:
                    features.append(nn.BatchNorm2d(after))
                features.append(nn.ReLU())
                channels = after
            features.append(nn.MaxPool2d(2))
        classifier = nn.Sequential(
            nn.Linear(channels * 7 * 7, self.hidden),
            nn.ReLU(),
            nn.Dropout(0.5),
            nn.Linear(self.hidden, self.hidden),
            nn.ReLU(),
            nn.Dropout(0.5),
            nn.Linear(self.hidden, outputs),
        )
        return nn.Sequential(
            OrderedDict(
                features=nn.Sequential(*features),
                avgpool=nn.AdaptiveAvgPool2d(7),
                flatten=nn.Flatten(),
                classifier=classifier,
            )
        )
